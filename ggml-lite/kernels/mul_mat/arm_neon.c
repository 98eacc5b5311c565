/*
 * NEON, bit for bit the reference: four registers are the 16 lanes of a sum, a multiply and an add are never fused.
 * Four rows by one vector, and blocks of 2 rows by 2 vectors, keep 16 sums in registers.
 */
#include "kernels/kernels.h"

#include "kernels/math/arm_neon.h"
#include "quant/quant.h"

#include <string.h>

enum { ROWS = 4, BLOCK_ROWS = 2, TOKENS = 2, PARTS = GGL_LANES / 4, HALVES_AHEAD = 0 };
#include "kernels/mul_mat/walk.h"

/* Four elements of a row from i on. */
INLINE float32x4_t load(const enum ggl_type type, const uint8_t *row, int64_t i)
{
    if (type == GGL_TYPE_F32) return vreinterpretq_f32_u8(vld1q_u8(row + 4 * i));
    uint8x8_t half = vld1_u8(row + 2 * i);
    if (type == GGL_TYPE_F16) return vcvt_f32_f16(vreinterpret_f16_u8(half));
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(half), 16));
}

/* One element, for the tail. */
static inline float load_one(const enum ggl_type type, const uint8_t *row, int64_t i)
{
    float y;
    uint16_t half;
    if (type == GGL_TYPE_F32) {
        memcpy(&y, row + 4 * i, 4);
        return y;
    }
    memcpy(&half, row + 2 * i, 2);
    return type == GGL_TYPE_F16 ? ggl_f16_to_f32(half) : ggl_bf16_to_f32(half);
}

static inline float add_tail(const enum ggl_type type, const struct block *b, int r, int t, int64_t i, float32x4_t acc[PARTS])
{
    float lane[GGL_LANES];
    for (int j = 0; j < PARTS; j++) vst1q_f32(lane + 4 * j, acc[j]);
    for (int l = 0; i + l < b->n; l++) lane[l] += load_one(type, b->w + r * b->row_bytes, i + l) * b->x[t][i + l];
    for (int j = 0; j < PARTS; j++) acc[j] = vld1q_f32(lane + 4 * j);
    return ggl_add_lanes16(acc);
}

INLINE void run_block(const enum ggl_type type, const struct block *b, const int rows, const int tokens)
{
    float32x4_t acc[TOKENS][ROWS][PARTS];
    int64_t i = 0;
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < PARTS; j++) acc[t][r][j] = vdupq_n_f32(0);
    for (; i + GGL_LANES <= b->n; i += GGL_LANES) {
        for (int j = 0; j < PARTS; j++) {
            float32x4_t w[ROWS];
            for (int r = 0; r < rows; r++) w[r] = load(type, b->w + r * b->row_bytes, i + 4 * j);
            for (int t = 0; t < tokens; t++) {
                float32x4_t x = vld1q_f32(b->x[t] + i + 4 * j);
                for (int r = 0; r < rows; r++) acc[t][r][j] = vaddq_f32(acc[t][r][j], vmulq_f32(w[r], x));
            }
        }
    }
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++)
            b->y[t * b->y_stride + r] = i == b->n ? ggl_add_lanes16(acc[t][r]) : add_tail(type, b, r, t, i, acc[t][r]);
}

INLINE float dot_q8_0(const uint8_t *row, int64_t n, const float *x, const struct ggl_fetch fetch)
{
    float32x4_t sum[PARTS];
    for (int j = 0; j < PARTS; j++) sum[j] = vdupq_n_f32(0);
    for (int64_t i = 0; i < n; i += Q8_0_BLOCK, row += Q8_0_BYTES) {
        uint16_t half;
        ggl_fetch_line(fetch, row);
        memcpy(&half, row, 2);
        float scale = ggl_f16_to_f32(half);
        for (int h = 0; h < Q8_0_BLOCK; h += 8) {
            int16x8_t codes = vmovl_s8(vreinterpret_s8_u8(vld1_u8(row + 2 + h)));
            int32x4_t quad[2] = {vmovl_s16(vget_low_s16(codes)), vmovl_s16(vget_high_s16(codes))};
            for (int q = 0; q < 2; q++) {
                float32x4_t w = vmulq_n_f32(vcvtq_f32_s32(quad[q]), scale), *s = &sum[(h / 4 + q) % PARTS];
                *s = vaddq_f32(*s, vmulq_f32(w, vld1q_f32(x + i + h + 4 * q)));
            }
        }
    }
    return ggl_add_lanes16(sum);
}

void ggl_mul_mat_f32_neon(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1,
                          const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y,
                          int64_t y_stride, void *scratch)
{
    walk(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch, (struct ggl_fetch){0, 0});
}
