/*
 * AVX-512 with BF16: two products a lane and instruction.  Scores have a row a lane, sums a dimension a lane; blocks of
 * 4 heads by 4 vectors keep 16 accumulators in registers.  The instructions take what is below 2^-126 as zero.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/attention16/x86_avx512.h"
#include "kernels/math/math.h"
#include "kernels/math/x86_avx512.h"

enum { HEADS = 4, GROUP = 16, GROUPS = GGL_ATTENTION_TILE / GROUP, VECTORS = 4, TILE = GGL_ATTENTION_TILE };

#define INLINE static inline __attribute__((always_inline))

INLINE __m512bh load(const uint16_t *p)
{
    return (__m512bh)_mm512_loadu_si512(p);
}

INLINE __m512bh broadcast2(const uint16_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return (__m512bh)_mm512_set1_epi32(v);
}

INLINE void score_block(const uint16_t *q, const uint16_t *keys, int n_dim, float scale, const int heads, const int groups,
                        float (*score)[TILE])
{
    __m512 acc[HEADS][GROUPS];
    for (int h = 0; h < heads; h++)
        for (int g = 0; g < groups; g++) acc[h][g] = _mm512_setzero_ps();
    for (int d = 0; d < n_dim; d += 2) {
        __m512bh k[GROUPS];
        for (int g = 0; g < groups; g++) k[g] = load(keys + (int64_t)(g * n_dim + d) * GROUP);
        for (int h = 0; h < heads; h++) {
            __m512bh v = broadcast2(q + (int64_t)h * n_dim + d);
            for (int g = 0; g < groups; g++) acc[h][g] = _mm512_dpbf16_ps(acc[h][g], v, k[g]);
        }
    }
    for (int h = 0; h < heads; h++)
        for (int g = 0; g < groups; g++) _mm512_storeu_ps(score[h] + g * GROUP, _mm512_mul_ps(acc[h][g], _mm512_set1_ps(scale)));
}

static void scores(const struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, int heads, int groups,
                   float (*score)[TILE])
{
    if (heads == HEADS && groups == GROUPS) {
        score_block(q, keys, s->n_dim, s->scale, HEADS, GROUPS, score);
        return;
    }
    for (int h = 0; h < heads; h++)
        for (int g = 0; g < groups; g++) {
            float one[1][TILE];
            score_block(q + (int64_t)h * s->n_dim, keys + (int64_t)g * s->n_dim * GROUP, s->n_dim, s->scale, 1, 1, one);
            memcpy(score[h] + g * GROUP, one[0], GROUP * sizeof(float));
        }
}

/* As in ref.c; weight in BF16. */
static float soften(struct ggl_attention_state *s, int head, const float *score, int n, uint16_t *weight)
{
    __m512 x[GGL_TILE_VECTORS], lanes = _mm512_setzero_ps();
    __mmask16 used[GGL_TILE_VECTORS];
    float max = ggl_load_scores(score, n, s->max[head], x, used);
    float shrink = max != s->max[head] ? ggl_expf(s->max[head] - max) : 1.0f;
    for (int g = 0; g < GGL_TILE_VECTORS; g++) {
        __m512 p = _mm512_maskz_mov_ps(used[g], ggl_exp16(_mm512_sub_ps(x[g], _mm512_set1_ps(max))));
        __m256i half = (__m256i)_mm512_cvtneps_pbh(p);
        _mm256_storeu_si256((__m256i *)(void *)(weight + g * GROUP), half);
        lanes = _mm512_add_ps(lanes, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)));
    }
    s->max[head] = max;
    s->sum[head] = s->sum[head] * shrink + ggl_add_lanes16(lanes);
    return shrink;
}

INLINE void sum_block(float *acc, int n_dim, const uint16_t *values, int n, const uint16_t (*weight)[TILE], const float *shrink,
                      const int heads)
{
    __m512 a[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++)
            a[h][j] = _mm512_mul_ps(_mm512_loadu_ps(acc + (int64_t)h * n_dim + j * GROUP), _mm512_set1_ps(shrink[h]));
    for (int i = 0; i < n; i += 2) {
        __m512bh v[VECTORS];
        for (int j = 0; j < VECTORS; j++) v[j] = load(values + (int64_t)i * n_dim + j * 2 * GROUP);
        for (int h = 0; h < heads; h++) {
            __m512bh w = broadcast2(weight[h] + i);
            for (int j = 0; j < VECTORS; j++) a[h][j] = _mm512_dpbf16_ps(a[h][j], w, v[j]);
        }
    }
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) _mm512_storeu_ps(acc + (int64_t)h * n_dim + j * GROUP, a[h][j]);
}

void ggl_attention16_tile_avx512(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    if (s->n_dim % (VECTORS * GROUP)) { /* no published model */
        ggl_attention16_tile_ref(s, q, keys, values, n);
        return;
    }
    int groups = (n + GROUP - 1) / GROUP;
    for (int h = 0; h < s->n_head; h += HEADS) {
        int heads = s->n_head - h < HEADS ? s->n_head - h : HEADS;
        float score[HEADS][TILE], shrink[HEADS], *acc = s->acc + (int64_t)h * s->n_dim;
        uint16_t weight[HEADS][TILE];
        scores(s, q + (int64_t)h * s->n_dim, keys, heads, groups, score);
        for (int i = 0; i < heads; i++) shrink[i] = soften(s, h + i, score[i], n, weight[i]);
        for (int d = 0; d < s->n_dim; d += VECTORS * GROUP) {
            const uint16_t *v = values + 2 * d;
            if (heads == HEADS) {
                sum_block(acc + d, s->n_dim, v, n, (const uint16_t (*)[TILE])weight, shrink, HEADS);
                continue;
            }
            for (int i = 0; i < heads; i++)
                sum_block(acc + (int64_t)i * s->n_dim + d, s->n_dim, v, n, (const uint16_t (*)[TILE])(weight + i), shrink + i, 1);
        }
    }
}
