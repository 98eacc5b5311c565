/*
 * FP8 (E4M3) matrices times BF16 activations, in panels of 16 rows.
 *
 * A panel of n inputs (n a multiple of 4) is n / 4 groups of 64 codes, then ceil(n / 128) float scales (one a
 * 128-column tile: all 16 rows lie in the same 128).  In a group, byte 16 l + 8 p + 2 r + i holds row 4 l + r and
 * input 2 p + i of the four.
 *
 * Every result is, whatever the level, the number of tokens or threads:
 *     sum = 0; for each tile of 128 inputs:
 *         s0 = s1 = 0; for each group of four inputs (a, b, c, d):
 *             s0 = (s0 + w_b x_b) + w_a x_a; s1 = (s1 + w_d x_d) + w_c x_c
 *         sum = sum + (s0 + s1) * scale
 * Products of E4M3 and BF16 are exact in float, so fused and separate rounding agree.
 */
#ifndef GGL_KERNEL_FP8_H
#define GGL_KERNEL_FP8_H

#include <stdint.h>

#define GGL_FP8_ROWS 16
#define GGL_FP8_TILE 128

static inline int64_t ggl_fp8_panel_bytes(int64_t n)
{
    return (n * GGL_FP8_ROWS + (n + GGL_FP8_TILE - 1) / GGL_FP8_TILE * 4 + 63) & ~(int64_t)63;
}

/* x -> BF16, nearest even; out may not overlap x. */
typedef void ggl_act_bf16_fn(const float *x, int64_t n, uint16_t *out);

/* y[t * y_stride + r] for r < n_rows <= 16; token t is x + t * x_stride elements. */
typedef void ggl_fp8_mul_fn(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows);

#endif
