/*
 * Rows of MXFP4 in file order (17-byte blocks) times 8-bit activations: the routed experts, which are never repacked.
 *
 * Results are those of panel.h, bit for bit: an integer dot product a block, scaled and summed in block order.  A weight's
 * scale is a power of two, so that its product is exact, fused or not (a denormal one aside, below 2^-126).
 */
#ifndef GGL_KERNEL_MXFP4_H
#define GGL_KERNEL_MXFP4_H

#include <stdint.h>

#include "kernels/act_q8/act_q8.h"

/* y[r] for n_rows rows (a multiple of 16), row_bytes apart, of n inputs (a multiple of 32), and one row x of act_q8.h. */
typedef void ggl_mxfp4_rows_fn(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y);

/* Sixteen rows as a panel of kind X8 with bias 12: n / 32 * 576 bytes, 64-byte aligned. */
typedef void ggl_mxfp4_expand_fn(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel);

#define GGL_MXFP4_BIAS 12

struct ggl_kernels;

/* y[t * y_stride + r] for n_rows rows (a multiple of 16), row_bytes apart, of n inputs and the vectors of x, which begin with
 * input 0; more than a few vectors, so that it pays to unpack.  panels: room for n_rows / 16 of mxfp4_expand's.  An operation
 * made of others: without one of the level's own it is mxfp4_expand and panel_mul. */
typedef void ggl_mxfp4_mul_fn(const struct ggl_kernels *k, const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows,
                              const struct ggl_act_q8 *x, float *y, int64_t y_stride, uint8_t *panels);

#endif
