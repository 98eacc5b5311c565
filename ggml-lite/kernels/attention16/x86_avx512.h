/* What the tiles of AVX-512 share. */
#ifndef GGL_KERNEL_ATTENTION16_X86_AVX512_H
#define GGL_KERNEL_ATTENTION16_X86_AVX512_H

#include <immintrin.h>

#include "kernels/attention/attention.h"
#include "kernels/math/math.h"
#include "kernels/math/x86_avx512.h"

enum { GGL_TILE_VECTORS = GGL_ATTENTION_TILE / 16 };

/* The first n scores of a tile -> x, far below where there is none, and which there are -> used.  Returns the largest of
 * them and `max`. */
static inline float ggl_load_scores(const float *score, int n, float max, __m512 x[GGL_TILE_VECTORS], __mmask16 used[GGL_TILE_VECTORS])
{
    const __m512 lowest = _mm512_set1_ps(-3.0e38f);
    __m512 top = lowest;
    for (int g = 0; g < GGL_TILE_VECTORS; g++) {
        int left = n - g * 16;
        used[g] = (__mmask16)(left >= 16 ? 0xffff : left > 0 ? (1 << left) - 1 : 0);
        x[g] = _mm512_mask_loadu_ps(lowest, used[g], score + g * 16);
        top = _mm512_mask_mov_ps(top, _mm512_cmp_ps_mask(x[g], top, _CMP_GT_OQ), x[g]);
    }
    float most = _mm512_reduce_max_ps(top);
    return most > max ? most : max;
}

/* To the nearest even, of a finite number. */
static inline __m512 ggl_round_bf16(__m512 x)
{
    __m512i v = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(v, 16), _mm512_set1_epi32(1));
    v = _mm512_add_epi32(v, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32((int)0xffff0000)));
}

/* As in ref.c; weights that BF16 holds, as floats. */
static inline float ggl_soften(struct ggl_attention_state *s, int head, const float *score, int n, float *weight)
{
    const __m512 normal = _mm512_set1_ps(0x1p-126f);
    __m512 x[GGL_TILE_VECTORS], lanes = _mm512_setzero_ps();
    __mmask16 used[GGL_TILE_VECTORS];
    float max = ggl_load_scores(score, n, s->max[head], x, used);
    float shrink = max != s->max[head] ? ggl_expf(s->max[head] - max) : 1.0f;
    for (int g = 0; g < GGL_TILE_VECTORS; g++) {
        __m512 p = ggl_exp16(_mm512_sub_ps(x[g], _mm512_set1_ps(max)));
        p = _mm512_maskz_mov_ps(used[g] & (__mmask16)~_mm512_cmp_ps_mask(p, normal, _CMP_LT_OQ), p);
        p = ggl_round_bf16(p);
        _mm512_storeu_ps(weight + g * 16, p);
        lanes = _mm512_add_ps(lanes, p);
    }
    s->max[head] = max;
    s->sum[head] = s->sum[head] * shrink + ggl_add_lanes16(lanes);
    return shrink;
}

#endif
