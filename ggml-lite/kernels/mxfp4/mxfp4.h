/*
 * Rows of MXFP4 in file order (17-byte blocks) times 8-bit activations: the routed experts, which are never repacked.
 *
 * Results are those of panel.h, bit for bit: an integer dot product a block, scaled and summed in block order.
 */
#ifndef GGL_KERNEL_MXFP4_H
#define GGL_KERNEL_MXFP4_H

#include <stdint.h>

/* y[r] for n_rows rows (a multiple of 16), row_bytes apart, of n inputs (a multiple of 32), and one row x of act_q8.h. */
typedef void ggl_mxfp4_rows_fn(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y);

/* Sixteen rows as a panel of kind X8 with bias 12: n / 32 * 576 bytes, 64-byte aligned. */
typedef void ggl_mxfp4_expand_fn(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel);

#define GGL_MXFP4_BIAS 12

#endif
