/*
 * NEON: an E4M3 code moved up by seven bits is a half 2^8 too small, denormals included, so the processor's own
 * conversion decodes it.  The factor goes into the tile's scale, which stays exact; so do the products, so that they
 * may be fused with their sums.
 */
#include "kernels/kernels.h"

#include <arm_neon.h>
#include <string.h>

#include "kernels/fp8/flags.h"
#include "kernels/math/arm_neon.h"

enum { TOKENS = 4, QUADS = GGL_FP8_ROWS / 4 };

/* Signs to the top, the other bits below a half's two upper exponent bits; `codes` in the upper bytes. */
static inline float16x8_t halves(uint16x8_t codes)
{
    int16x8_t v = vshrq_n_s16(vreinterpretq_s16_u16(codes), 1); /* bit 14 is a copy of the sign */
    return vreinterpretq_f16_s16(vandq_s16(v, vdupq_n_s16((int16_t)0xbf80)));
}

/* Sixteen codes of four rows -> w[i]: input i of each row. */
static inline void decode(const uint8_t *codes, float32x4_t w[4])
{
    uint16x8_t c = vreinterpretq_u16_u8(vld1q_u8(codes));
    float16x8_t even = halves(vshlq_n_u16(c, 8)), odd = halves(c);
    w[0] = vcvt_f32_f16(vget_low_f16(even));
    w[1] = vcvt_f32_f16(vget_low_f16(odd));
    w[2] = vcvt_high_f32_f16(even);
    w[3] = vcvt_high_f32_f16(odd);
}

/* sum[t][q] goes on, for quads q0 .. q0 + n_quads - 1 of `count` tokens. */
static inline __attribute__((always_inline)) void run_quads(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride,
                                                            const int count, int q0, const int n_quads,
                                                            float32x4_t sum[TOKENS][QUADS])
{
    const uint8_t *scales = panel + n * GGL_FP8_ROWS;
    for (int64_t i = 0; i < n; scales += 4) {
        float32x4_t s0[TOKENS][QUADS], s1[TOKENS][QUADS];
        int64_t end = i + GGL_FP8_TILE < n ? i + GGL_FP8_TILE : n;
        for (int t = 0; t < count; t++)
            for (int q = 0; q < n_quads; q++) s0[t][q] = s1[t][q] = vdupq_n_f32(0);
        for (; i < end; i += 4) {
            float32x4_t a[TOKENS];
            for (int t = 0; t < count; t++)
                a[t] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(x + t * x_stride + i), 16));
            for (int q = 0; q < n_quads; q++) {
                float32x4_t w[4];
                decode(panel + i * GGL_FP8_ROWS + 16 * (q0 + q), w);
                for (int t = 0; t < count; t++) {
                    s0[t][q] = vfmaq_laneq_f32(vfmaq_laneq_f32(s0[t][q], w[1], a[t], 1), w[0], a[t], 0);
                    s1[t][q] = vfmaq_laneq_f32(vfmaq_laneq_f32(s1[t][q], w[3], a[t], 3), w[2], a[t], 2);
                }
            }
        }
        float scale;
        memcpy(&scale, scales, 4);
        for (int t = 0; t < count; t++)
            for (int q = 0; q < n_quads; q++)
                sum[t][q0 + q] = vaddq_f32(sum[t][q0 + q], vmulq_n_f32(vaddq_f32(s0[t][q], s1[t][q]), scale * 256.0f));
    }
}

static void mul_panel(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                      int64_t y_stride, int n_rows, bool more)
{
    int old = more ? n_rows : 0;
    for (int64_t k = 0; k < n_tokens;) {
        const uint16_t *v = x + k * x_stride;
        int64_t left = n_tokens - k;
        int count = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        float32x4_t sum[TOKENS][QUADS];
        for (int i = 0; i < count; i++) ggl_load_rows(y + (k + i) * y_stride, old, sum[i]);
        if (count == 4) { /* half the rows: the sums of all would not fit into the registers */
            run_quads(panel, n, v, x_stride, 4, 0, QUADS / 2, sum);
            run_quads(panel, n, v, x_stride, 4, QUADS / 2, QUADS / 2, sum);
        } else if (count == 2) {
            run_quads(panel, n, v, x_stride, 2, 0, QUADS, sum);
        } else {
            run_quads(panel, n, v, x_stride, 1, 0, QUADS, sum);
        }
        for (int i = 0; i < count; i++) ggl_store_rows(y + (k + i) * y_stride, n_rows, sum[i]);
        k += count;
    }
    ggl_fp8_spoil(panel, n, n_tokens, y, y_stride, n_rows);
}

void ggl_fp8_mul_neon(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                      int64_t y_stride, int n_rows, bool more)
{
    for (int r = 0; r < n_rows; r += GGL_FP8_ROWS, panel += ggl_fp8_panel_bytes(n))
        mul_panel(panel, n, x, x_stride, n_tokens, y + r, y_stride, n_rows - r < GGL_FP8_ROWS ? n_rows - r : GGL_FP8_ROWS, more);
}

/* Four rows by four inputs -> 16 bytes of a group: the first pair of each row, then the second. */
static inline uint8x16_t four_rows(const uint8_t *rows, int64_t row_bytes)
{
    uint32_t inputs[4];
    for (int r = 0; r < 4; r++) memcpy(&inputs[r], rows + r * row_bytes, 4);
    uint16x8_t pairs = vreinterpretq_u16_u32(vld1q_u32(inputs));
    uint16x4_t low = vget_low_u16(pairs), high = vget_high_u16(pairs);
    return vreinterpretq_u8_u16(vcombine_u16(vuzp1_u16(low, high), vuzp2_u16(low, high)));
}

void ggl_fp8_pack_neon(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    if (n_rows < GGL_FP8_ROWS) {
        ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
        return;
    }
    for (int64_t i = 0; i < n; i += 4)
        for (int q = 0; q < QUADS; q++) vst1q_u8(panel + 16 * i + 16 * q, four_rows(rows + 4 * q * row_bytes + i, row_bytes));
    ggl_fp8_write_flags(rows, row_bytes, n_rows, n, panel);
}

/* Nearest even by integer arithmetic; a NaN keeps its sign and upper bits and is made quiet. */
static inline uint16x4_t bf16_of(float32x4_t v)
{
    uint32x4_t bits = vreinterpretq_u32_f32(v), upper = vshrq_n_u32(bits, 16);
    uint32x4_t half = vaddq_u32(vandq_u32(upper, vdupq_n_u32(1)), vdupq_n_u32(0x7fff));
    uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, half), 16), quiet = vorrq_u32(upper, vdupq_n_u32(64));
    return vmovn_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet));
}

void ggl_act_bf16_neon(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        vst1q_u16(out + i, vcombine_u16(bf16_of(vld1q_f32(x + i)), bf16_of(vld1q_f32(x + i + 4))));
    for (; i < n; i++) out[i] = vget_lane_u16(bf16_of(vdupq_n_f32(x[i])), 0);
}

void ggl_act_fp8_neon(const float *x, int64_t n, uint16_t *out)
{
    ggl_act_bf16_neon(x, n, out);
    ggl_act_fp8_put_scale(out, n, 1);
}
