/* NEON with dot products: they leave four partial sums a row, and a tree over four rows one integer a row. */
#include "kernels/kernels.h"

#include "kernels/mxfp4/arm_neon.h"

enum { ROWS = 16, QUADS = ROWS / 4 };

static void sixteen_rows(const uint8_t *rows, int64_t row_bytes, int64_t n, const int8_t *x, float *y)
{
    const int8x16_t table = ggl_mxfp4_doubled();
    const float *scales = ggl_act_q8_scales(x, n);
    float32x4_t sum[QUADS];
    for (int q = 0; q < QUADS; q++) sum[q] = vdupq_n_f32(0);
    for (int64_t b = 0; b < n / GGL_MXFP4_BLOCK; b++, rows += GGL_MXFP4_BLOCK_BYTES) {
        int8x16_t low = vld1q_s8(x + b * GGL_MXFP4_BLOCK), high = vld1q_s8(x + b * GGL_MXFP4_BLOCK + 16);
        for (int q = 0; q < QUADS; q++) {
            const uint8_t *block = rows + 4 * q * row_bytes;
            int32x4_t d[4];
            for (int r = 0; r < 4; r++) {
                int8x16x2_t w = ggl_mxfp4_unpack(block + r * row_bytes, table);
                d[r] = vdotq_s32(vdotq_s32(vdupq_n_s32(0), w.val[0], low), w.val[1], high);
            }
            int32x4_t dot = vpaddq_s32(vpaddq_s32(d[0], d[1]), vpaddq_s32(d[2], d[3]));
            float32x4_t p = vmulq_n_f32(vcvtq_f32_s32(dot), scales[b]);
            sum[q] = vfmaq_f32(sum[q], p, ggl_mxfp4_half_scales(block, row_bytes));
        }
    }
    for (int q = 0; q < QUADS; q++) vst1q_f32(y + 4 * q, sum[q]);
}

void ggl_mxfp4_rows_dotprod(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    for (int r = 0; r < n_rows; r += ROWS) sixteen_rows(rows + r * row_bytes, row_bytes, n, x, y + r);
}
