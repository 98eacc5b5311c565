/* AVX-512: the reference's operations, 16 elements at a time. */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/math/x86_avx512.h"

/* A NaN is above no limit, and stays. */
static inline __m512 at_most(__m512 v, __m512 limit)
{
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, limit, _CMP_GT_OQ), limit);
}

static inline __m512 at_least(__m512 v, __m512 limit)
{
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, limit, _CMP_LT_OQ), limit);
}

void ggl_swiglu_f32_avx512(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    const __m512 top = _mm512_set1_ps(limit > 0 ? limit : __builtin_inff()), bottom = _mm512_sub_ps(_mm512_setzero_ps(), top);
    const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f), gains = _mm512_set1_ps(gain);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        __m512 g = at_most(_mm512_maskz_loadu_ps(m, gate + i), top);
        __m512 u = at_least(at_most(_mm512_maskz_loadu_ps(m, up + i), top), bottom);
        __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, ggl_exp16(_mm512_xor_ps(g, sign))));
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(_mm512_mul_ps(silu, u), gains));
    }
}
