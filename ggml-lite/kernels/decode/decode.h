/*
 * Stored numbers as floats: rows of weights (tensor.h) and of the cache (cache.h), bit for bit what quant/ decodes.
 */
#ifndef GGL_KERNEL_DECODE_H
#define GGL_KERNEL_DECODE_H

#include "ggml-lite/cache.h"
#include "ggml-lite/tensor.h"

/* Row `row` of a slice of a weight of any type: y [w->ne[0]]. */
typedef void ggl_decode_row_fn(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y);

/* A cache row: y [f->n_dim]. */
typedef void ggl_decode_cache_fn(const struct ggl_row_format *f, const uint8_t *row, float *y);

#endif
