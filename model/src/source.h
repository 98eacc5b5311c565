/*
 * Where a model's weights come from: a GGUF file or a checkpoint directory.
 * Both give metadata and named tensors; nothing above this cares which it is.
 */
#ifndef GGL_SOURCE_H
#define GGL_SOURCE_H

#include "ggml-lite/gguf.h"

struct ggl_checkpoint;

struct ggl_source {
    struct ggl_gguf *gguf;             /* one of the two */
    struct ggl_checkpoint *checkpoint;
    const struct ggl_gguf *meta;
    char *path;
};

enum ggl_status ggl_source_open(const char *path, struct ggl_source *s, struct ggl_error *err);
void ggl_source_close(struct ggl_source *s); /* accepts a zeroed or half-open one */
const struct ggl_tensor *ggl_source_find(const struct ggl_source *s, const char *name);
uint64_t ggl_source_n_tensors(const struct ggl_source *s);
const struct ggl_tensor *ggl_source_tensor(const struct ggl_source *s, uint64_t i);
/* Bytes of all slices, and of the scale plane where that is no tensor of its own. */
uint64_t ggl_source_tensor_bytes(const struct ggl_source *s, const struct ggl_tensor *t);

#endif
