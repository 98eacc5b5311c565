/*
 * y = W x for rows [row0, row1) of one slice of a weight of any type, float activations.
 *
 *   x  vectors of w->ne[0] floats, x_stride apart; token t is vector index[t], or t when index is NULL
 *   y  y[t * y_stride + row - row0]
 *   scratch  ggl_mul_mat_scratch(w->ne[0]) bytes
 *
 * Each y is one dot_f32 of the decoded row: its bits depend on the row and the vector only.
 */
#ifndef GGL_KERNEL_MUL_MAT_H
#define GGL_KERNEL_MUL_MAT_H

#include "ggml-lite/tensor.h"

struct ggl_kernels;

/* Rows of n_in inputs that are decoded at a time, so that a tile stays in the second-level cache; and its bytes. */
int64_t ggl_mul_mat_tile_rows(int64_t n_in);
uint64_t ggl_mul_mat_scratch(int64_t n_in);

typedef void ggl_mul_mat_f32_fn(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice,
                                int64_t row0, int64_t row1, const float *x, int64_t x_stride,
                                const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride,
                                void *scratch);

#endif
