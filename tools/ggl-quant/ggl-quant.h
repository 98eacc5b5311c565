/* What the files of ggl-quant share. */
#ifndef GGL_QUANT_TOOL_H
#define GGL_QUANT_TOOL_H

#include <stddef.h>
#include <stdint.h>
#include "common/cli.h"
#include "ggml-lite/src/checked.h"
#include "quant/quant.h"

enum { EXIT_USAGE = 2, EXIT_DATA = 65, EXIT_INTERNAL = 70, EXIT_IO = 74 };

extern const struct cli cli;

/* All n bytes unless stdin ends first; both exit when the stream fails. */
size_t quant_read(void *data, size_t n);
void quant_write(const void *data, size_t n);

/* A buffer that lives as long as the process (a run needs two or three); never NULL: exits without memory or
 * when n * size overflows. */
void *quant_alloc(uint64_t n, uint64_t size);

/* The file's n float32, all of which can weigh something; exits where it has others. */
const float *quant_read_importance(const char *path, uint64_t n);

/* stdin -> stdout, rows of n > 0 elements. */
void fp8_encode(uint64_t n);
void fp8_decode(uint64_t n);
void fp4_encode(uint64_t n);
void fp4_decode(uint64_t n);
void int4_encode(uint64_t n, const char *imatrix); /* imatrix: a file of n float32, or NULL */
void int4_decode(uint64_t n);

#endif
