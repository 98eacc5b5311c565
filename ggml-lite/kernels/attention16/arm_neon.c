/*
 * NEON: BF16 values widened to floats, whose products are exact, so that fused multiply-adds give the bits of the
 * reference.  Scores have a row a lane, sums a dimension a lane; blocks of 4 heads by 4 vectors keep 16 accumulators in
 * registers.
 */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/math/arm_neon.h"
#include "kernels/math/math.h"
#include "quant/quant.h"

enum { HEADS = 4, LANES = 4, VECTORS = 4, GROUP = 16, TILE = GGL_ATTENTION_TILE, MAX_DIM = 4096 };

#define INLINE static inline __attribute__((always_inline))

/* ---- layout */

/* Nearest even; a NaN is made quiet. */
INLINE uint16x4_t bf16_of(float32x4_t v)
{
    uint32x4_t bits = vreinterpretq_u32_f32(v), upper = vshrq_n_u32(bits, 16);
    uint32x4_t half = vaddq_u32(vandq_u32(upper, vdupq_n_u32(1)), vdupq_n_u32(0x7fff));
    uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, half), 16), quiet = vorrq_u32(upper, vdupq_n_u32(64));
    return vmovn_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet));
}

/* Eight dimensions of four rows, the first being row i of the tile. */
INLINE void put_rows(const uint16x8_t h[4], int i, int d, int n_dim, uint16_t *keys, uint16_t *values)
{
    uint16_t *k = keys + (int64_t)(i / GROUP * (n_dim / 2) + d / 2) * 2 * GROUP + i % GROUP * 2;
    uint32x4_t w[4];
    for (int r = 0; r < 4; r++) w[r] = vreinterpretq_u32_u16(h[r]);
    uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(w[0], w[1])), b = vreinterpretq_u64_u32(vtrn2q_u32(w[0], w[1]));
    uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(w[2], w[3])), e = vreinterpretq_u64_u32(vtrn2q_u32(w[2], w[3]));
    vst1q_u16(k, vreinterpretq_u16_u64(vtrn1q_u64(a, c)));
    vst1q_u16(k + 2 * GROUP, vreinterpretq_u16_u64(vtrn1q_u64(b, e)));
    vst1q_u16(k + 4 * GROUP, vreinterpretq_u16_u64(vtrn2q_u64(a, c)));
    vst1q_u16(k + 6 * GROUP, vreinterpretq_u16_u64(vtrn2q_u64(b, e)));
    for (int r = 0; r < 4; r += 2) {
        uint16x8x2_t pair = {{h[r], h[r + 1]}};
        vst2q_u16(values + (int64_t)((i + r) / 2 * n_dim + d) * 2, pair);
    }
}

void ggl_attention16_pack_neon(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    const int n_dim = f->n_dim;
    if (n_dim % 8) { /* no published model */
        ggl_attention16_pack_ref(f, rows, n, keys, values);
        return;
    }
    for (int i = 0; i < (n + GROUP - 1) / GROUP * GROUP; i += 4) {
        float x[4][MAX_DIM];
        for (int r = 0; r < 4 && i + r < n; r++) ggl_decode_cache_neon(f, rows[i + r], x[r]);
        for (int d = 0; d < n_dim; d += 8) {
            uint16x8_t h[4];
            for (int r = 0; r < 4; r++)
                h[r] = i + r < n ? vcombine_u16(bf16_of(vld1q_f32(x[r] + d)), bf16_of(vld1q_f32(x[r] + d + 4))) : vdupq_n_u16(0);
            put_rows(h, i, d, n_dim, keys, values);
        }
    }
}

/* ---- products */

/* acc[h][j] takes the pair at x + h * x_stride times the pairs of vector j at y, second values first. */
INLINE void step(const uint16_t *x, int64_t x_stride, const uint16_t *y, const int heads, float32x4_t acc[HEADS][VECTORS])
{
    float32x4_t y1[VECTORS], y0[VECTORS];
    for (int j = 0; j < VECTORS; j++) {
        uint32x4_t pairs = vreinterpretq_u32_u16(vld1q_u16(y + 2 * LANES * j));
        y1[j] = vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
        y0[j] = vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
    }
    for (int h = 0; h < heads; h++) {
        uint32_t pair;
        memcpy(&pair, x + h * x_stride, 4);
        float32x4_t v = vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u32(vdup_n_u32(pair)), 16));
        for (int j = 0; j < VECTORS; j++)
            acc[h][j] = vfmaq_laneq_f32(vfmaq_laneq_f32(acc[h][j], y1[j], v, 1), y0[j], v, 0);
    }
}

/* Rows 16 g .. 16 g + 15. */
INLINE void score_block(const uint16_t *q, const uint16_t *keys, int n_dim, float scale, int g, const int heads, float (*score)[TILE])
{
    float32x4_t acc[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) acc[h][j] = vdupq_n_f32(0);
    for (int d = 0; d < n_dim; d += 2) step(q + d, n_dim, keys + (int64_t)(g * n_dim + d) * GROUP, heads, acc);
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) vst1q_f32(score[h] + g * GROUP + j * LANES, vmulq_n_f32(acc[h][j], scale));
}

/* As in ref.c; weight in BF16. */
static float soften(struct ggl_attention_state *s, int head, float *score, int n, uint16_t *weight)
{
    const float32x4_t least = vdupq_n_f32(0x1p-126f);
    float max = s->max[head];
    for (int i = 0; i < n; i++) max = score[i] > max ? score[i] : max;
    for (int i = n; i < TILE; i++) score[i] = -3.0e38f; /* far below: their weights are 0 */
    float shrink = max != s->max[head] ? ggl_expf(s->max[head] - max) : 1.0f;
    float32x4_t lanes[GGL_LANES / LANES];
    for (int j = 0; j < GGL_LANES / LANES; j++) lanes[j] = vdupq_n_f32(0);
    for (int i = 0; i < TILE; i += LANES) {
        float32x4_t p = ggl_exp4(vsubq_f32(vld1q_f32(score + i), vdupq_n_f32(max)));
        p = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), vcltq_f32(p, least)));
        vst1_u16(weight + i, bf16_of(p));
        for (int l = 0; l < LANES; l++)
            if (i + l >= n) weight[i + l] = 0;
        float32x4_t w = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(weight + i), 16));
        lanes[i / LANES % 4] = vaddq_f32(lanes[i / LANES % 4], w);
    }
    s->max[head] = max;
    s->sum[head] = s->sum[head] * shrink + ggl_add_lanes16(lanes);
    return shrink;
}

INLINE void sum_block(float *acc, int n_dim, const uint16_t *values, int n, const uint16_t (*weight)[TILE], const float *shrink,
                      const int heads)
{
    float32x4_t a[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) a[h][j] = vmulq_n_f32(vld1q_f32(acc + (int64_t)h * n_dim + j * LANES), shrink[h]);
    for (int i = 0; i < n; i += 2) step(weight[0] + i, TILE, values + (int64_t)i * n_dim, heads, a);
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) vst1q_f32(acc + (int64_t)h * n_dim + j * LANES, a[h][j]);
}

#include "kernels/attention16/walk.h"

void ggl_attention16_tile_neon(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    walk(s, q, keys, values, n);
}
