/* Panels in the plain form (fp8.h), one code after the other: for the reference and the twins of levels that add otherwise. */
#ifndef GGL_KERNEL_FP8_PLAIN_H
#define GGL_KERNEL_FP8_PLAIN_H

#include "kernels/fp8/fp8.h"
#include "quant/quant.h"

static inline float ggl_fp8_plain_weight(const uint8_t *panel, int64_t i, int row)
{
    return ggl_e4m3_to_f32(panel[i / 4 * 64 + row / 4 * 16 + i % 4 / 2 * 8 + row % 4 * 2 + i % 2]);
}

/* sum and what a row of the panel adds to it. */
typedef float ggl_fp8_plain_dot(const uint8_t *panel, int64_t n, int row, const uint16_t *x, float sum);

/* fp8_mul by such sums. */
static inline void ggl_fp8_plain_mul(ggl_fp8_plain_dot *dot, const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride,
                                     int64_t n_tokens, float *y, int64_t y_stride, int n_rows, bool more)
{
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *mine = panel + r / GGL_FP8_ROWS * ggl_fp8_panel_bytes(n);
        for (int64_t t = 0; t < n_tokens; t++)
            y[t * y_stride + r] = dot(mine, n, r % GGL_FP8_ROWS, x + t * x_stride, more ? y[t * y_stride + r] : 0);
    }
}

#endif
