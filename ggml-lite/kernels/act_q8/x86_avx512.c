#include "kernels/kernels.h"

#include <immintrin.h>

void ggl_act_q8_avx512(const float *x, int64_t n, int8_t *row)
{
    float *scales = (float *)(void *)(row + n);
    int32_t *sums = (int32_t *)(void *)(row + n + n / GGL_ACT_BLOCK * 4), *halves = sums + n / GGL_ACT_BLOCK;
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    for (int64_t b = 0; b < n / GGL_ACT_BLOCK; b++, x += GGL_ACT_BLOCK) {
        __m512 lo = _mm512_loadu_ps(x), hi = _mm512_loadu_ps(x + 16);
        __m512i top = _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(lo), magnitude),
                                       _mm512_and_si512(_mm512_castps_si512(hi), magnitude));
        float amax = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)_mm512_reduce_max_epu32(top))));
        const struct ggl_act_q8_scaling scaling = ggl_act_q8_scaling(amax);
        lo = _mm512_mul_ps(lo, _mm512_set1_ps(scaling.inverse));
        hi = _mm512_mul_ps(hi, _mm512_set1_ps(scaling.inverse));
        __m512i a = _mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(lo, lo, _CMP_EQ_OQ), lo);
        __m512i c = _mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(hi, hi, _CMP_EQ_OQ), hi);
        _mm_storeu_si128((__m128i *)(void *)(row + b * GGL_ACT_BLOCK), _mm512_cvtepi32_epi8(a));
        _mm_storeu_si128((__m128i *)(void *)(row + b * GGL_ACT_BLOCK + 16), _mm512_cvtepi32_epi8(c));
        scales[b] = scaling.scale;
        halves[b] = _mm512_reduce_add_epi32(a);
        sums[b] = halves[b] + _mm512_reduce_add_epi32(c);
    }
}
