/* Panels in the plain form (fp8.h), one code after the other: for the reference and the twins of levels that add otherwise. */
#ifndef GGL_KERNEL_FP8_PLAIN_H
#define GGL_KERNEL_FP8_PLAIN_H

#include "kernels/fp8/fp8.h"
#include "quant/quant.h"

/* sum and what a tile of up to 128 inputs adds to it. */
typedef float ggl_fp8_plain_tile(float sum, const float *w, const uint16_t *x, int n, float scale);

/* Inputs begin .. begin + n - 1 of a row. */
static inline void ggl_fp8_plain_weights(const uint8_t *panel, int row, int64_t begin, int n, float *w)
{
    panel += row / 4 * 16 + row % 4 * 2;
    for (int64_t i = begin; i < begin + n; i++) *w++ = ggl_e4m3_to_f32(panel[i / 4 * 64 + i % 4 / 2 * 8 + i % 2]);
}

/* fp8_mul by such sums. */
static inline void ggl_fp8_plain_mul(ggl_fp8_plain_tile *add_tile, const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride,
                                     int64_t n_tokens, float *y, int64_t y_stride, int n_rows, bool more)
{
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *mine = panel + r / GGL_FP8_ROWS * ggl_fp8_panel_bytes(n);
        for (int64_t i = 0; i < n; i += GGL_FP8_TILE) {
            const int inputs = n - i < GGL_FP8_TILE ? (int)(n - i) : GGL_FP8_TILE;
            float w[GGL_FP8_TILE], scale;
            ggl_fp8_plain_weights(mine, r % GGL_FP8_ROWS, i, inputs, w);
            memcpy(&scale, mine + n * GGL_FP8_ROWS + i / GGL_FP8_TILE * 4, 4);
            for (int64_t t = 0; t < n_tokens; t++) {
                float *sum = y + t * y_stride + r;
                *sum = add_tile(more || i ? *sum : 0, w, x + t * x_stride + i, inputs, scale);
            }
        }
    }
}

#endif
