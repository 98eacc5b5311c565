/*
 * NEON: four rows at a time.  Doubled weights are at most 12 and four products of them are added in 16 bits; so are the
 * sums of four lanes, at most 16 * 12 * 127.  A tree over four rows leaves one integer a row, so that scaling and
 * summing go on with a row a lane.
 */
#include "kernels/kernels.h"

#include "kernels/mxfp4/arm_neon.h"

enum { ROWS = 16, QUADS = ROWS / 4 };

/* Eight sums of four products. */
static inline int16x8_t multiply(int8x16x2_t w, int8x16x2_t x)
{
    int16x8_t p = vmull_s8(vget_low_s8(w.val[0]), vget_low_s8(x.val[0]));
    p = vmlal_high_s8(p, w.val[0], x.val[0]);
    p = vmlal_s8(p, vget_low_s8(w.val[1]), vget_low_s8(x.val[1]));
    return vmlal_high_s8(p, w.val[1], x.val[1]);
}

static void sixteen_rows(const uint8_t *rows, int64_t row_bytes, int64_t n, const int8_t *x, float *y)
{
    const int8x16_t table = ggl_mxfp4_doubled();
    const float *scales = ggl_act_q8_scales(x, n);
    float32x4_t sum[QUADS];
    for (int q = 0; q < QUADS; q++) sum[q] = vdupq_n_f32(0);
    for (int64_t b = 0; b < n / GGL_MXFP4_BLOCK; b++, rows += GGL_MXFP4_BLOCK_BYTES) {
        const int8x16x2_t codes = {{vld1q_s8(x + b * GGL_MXFP4_BLOCK), vld1q_s8(x + b * GGL_MXFP4_BLOCK + 16)}};
        for (int q = 0; q < QUADS; q++) {
            const uint8_t *block = rows + 4 * q * row_bytes;
            int16x8_t d[4];
            for (int r = 0; r < 4; r++) d[r] = multiply(ggl_mxfp4_unpack(block + r * row_bytes, table), codes);
            int32x4_t dot = vpaddlq_s16(vpaddq_s16(vpaddq_s16(d[0], d[1]), vpaddq_s16(d[2], d[3])));
            float32x4_t p = vmulq_n_f32(vcvtq_f32_s32(dot), scales[b]);
            sum[q] = vfmaq_f32(sum[q], p, ggl_mxfp4_half_scales(block, row_bytes));
        }
    }
    for (int q = 0; q < QUADS; q++) vst1q_f32(y + 4 * q, sum[q]);
}

void ggl_mxfp4_rows_neon(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    for (int r = 0; r < n_rows; r += ROWS) sixteen_rows(rows + r * row_bytes, row_bytes, n, x, y + r);
}

/* w[r]: inputs 4j .. 4j + 3 of row r in lane j -> w[j]: those of row r in lane r. */
static inline void transpose(int32x4_t w[4])
{
    int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(w[0], w[1])), b = vreinterpretq_s64_s32(vtrn2q_s32(w[0], w[1]));
    int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(w[2], w[3])), d = vreinterpretq_s64_s32(vtrn2q_s32(w[2], w[3]));
    w[0] = vreinterpretq_s32_s64(vtrn1q_s64(a, c));
    w[1] = vreinterpretq_s32_s64(vtrn1q_s64(b, d));
    w[2] = vreinterpretq_s32_s64(vtrn2q_s64(a, c));
    w[3] = vreinterpretq_s32_s64(vtrn2q_s64(b, d));
}

void ggl_mxfp4_expand_neon(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    const int8x16_t table = vaddq_s8(ggl_mxfp4_doubled(), vdupq_n_s8(GGL_MXFP4_BIAS));
    uint8_t *scales = panel + ggl_panel_scales_at(GGL_PANEL_X8, n);
    for (int64_t b = 0; b < n / GGL_MXFP4_BLOCK; b++, rows += GGL_MXFP4_BLOCK_BYTES, panel += ROWS * GGL_MXFP4_BLOCK, scales += 4 * ROWS) {
        for (int q = 0; q < QUADS; q++) {
            const uint8_t *block = rows + 4 * q * row_bytes;
            int32x4_t low[4], high[4];
            for (int r = 0; r < 4; r++) {
                int8x16x2_t w = ggl_mxfp4_unpack(block + r * row_bytes, table);
                low[r] = vreinterpretq_s32_s8(w.val[0]);
                high[r] = vreinterpretq_s32_s8(w.val[1]);
            }
            transpose(low);
            transpose(high);
            vst1q_u8(scales + 16 * q, vreinterpretq_u8_f32(ggl_mxfp4_half_scales(block, row_bytes)));
            for (int j = 0; j < 4; j++) {
                vst1q_u8(panel + 64 * j + 16 * q, vreinterpretq_u8_s32(low[j]));
                vst1q_u8(panel + 64 * (4 + j) + 16 * q, vreinterpretq_u8_s32(high[j]));
            }
        }
    }
}
