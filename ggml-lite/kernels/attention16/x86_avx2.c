/*
 * AVX2: BF16 values widened to floats, whose products are exact, so that fused multiply-adds give the bits of the
 * instructions for BF16.  Scores have a row a lane, sums a dimension a lane; blocks of 4 heads by 2 vectors keep 8
 * accumulators in registers.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/math.h"
#include "kernels/math/x86_avx2.h"
#include "quant/quant.h"

enum { HEADS = 4, LANES = 8, VECTORS = 2, GROUP = 16, TILE = GGL_ATTENTION_TILE };

#define INLINE static inline __attribute__((always_inline))

/* Of eight pairs, the second and the first values. */
INLINE __m256 second(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}

INLINE __m256 first(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

INLINE __m256i load(const uint16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* acc[h][j] takes the pair at x + h * x_stride times the pairs of vector j at y, second values first. */
INLINE void step(const uint16_t *x, int64_t x_stride, const uint16_t *y, const int heads, __m256 acc[HEADS][VECTORS])
{
    __m256 y1[VECTORS], y0[VECTORS];
    for (int j = 0; j < VECTORS; j++) {
        __m256i pairs = load(y + 2 * LANES * j);
        y1[j] = second(pairs);
        y0[j] = first(pairs);
    }
    for (int h = 0; h < heads; h++) {
        uint32_t pair;
        memcpy(&pair, x + h * x_stride, 4);
        __m256i v = _mm256_set1_epi32((int)pair);
        __m256 x1 = second(v), x0 = first(v);
        for (int j = 0; j < VECTORS; j++) acc[h][j] = _mm256_fmadd_ps(x0, y0[j], _mm256_fmadd_ps(x1, y1[j], acc[h][j]));
    }
}

/* Rows 16 g .. 16 g + 15. */
INLINE void score_block(const uint16_t *q, const uint16_t *keys, int n_dim, float scale, int g, const int heads, float (*score)[TILE])
{
    __m256 acc[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) acc[h][j] = _mm256_setzero_ps();
    for (int d = 0; d < n_dim; d += 2) step(q + d, n_dim, keys + (int64_t)(g * n_dim + d) * GROUP, heads, acc);
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++)
            _mm256_storeu_ps(score[h] + g * GROUP + j * LANES, _mm256_mul_ps(acc[h][j], _mm256_set1_ps(scale)));
}

/* As in ref.c; weight in BF16. */
static float soften(struct ggl_attention_state *s, int head, float *score, int n, uint16_t *weight)
{
    float max = s->max[head];
    for (int i = 0; i < n; i++) max = score[i] > max ? score[i] : max;
    for (int i = n; i < TILE; i++) score[i] = -3.0e38f; /* far below: their weights are 0 */
    float shrink = max != s->max[head] ? ggl_expf(s->max[head] - max) : 1.0f;
    __m256 lanes[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (int i = 0; i < TILE; i += LANES) {
        __m256 p = ggl_exp8(_mm256_sub_ps(_mm256_loadu_ps(score + i), _mm256_set1_ps(max)));
        p = _mm256_andnot_ps(_mm256_cmp_ps(p, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ), p);
        float w[LANES];
        _mm256_storeu_ps(w, p);
        for (int l = 0; l < LANES; l++) {
            weight[i + l] = i + l < n ? ggl_bf16_from_f32(w[l]) : 0;
            w[l] = ggl_bf16_to_f32(weight[i + l]);
        }
        lanes[i / LANES % 2] = _mm256_add_ps(lanes[i / LANES % 2], _mm256_loadu_ps(w));
    }
    s->max[head] = max;
    s->sum[head] = s->sum[head] * shrink + ggl_add_lanes8x2(lanes[0], lanes[1]);
    return shrink;
}

INLINE void sum_block(float *acc, int n_dim, const uint16_t *values, int n, const uint16_t (*weight)[TILE], const float *shrink,
                      const int heads)
{
    __m256 a[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++)
            a[h][j] = _mm256_mul_ps(_mm256_loadu_ps(acc + (int64_t)h * n_dim + j * LANES), _mm256_set1_ps(shrink[h]));
    for (int i = 0; i < n; i += 2) step(weight[0] + i, TILE, values + (int64_t)i * n_dim, heads, a);
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) _mm256_storeu_ps(acc + (int64_t)h * n_dim + j * LANES, a[h][j]);
}

#include "kernels/attention16/walk.h"

void ggl_attention16_tile_avx2(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    walk(s, q, keys, values, n);
}
