/* One register is the 16 lanes; a multiply and an add, never fused, so that the bits are the reference's. */
#include "kernels/kernels.h"

#if GGL_ARCH_X86
#include <immintrin.h>

static __mmask16 first_lanes(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static float add_lanes(__m512 acc)
{
    __m256 v8 = _mm256_add_ps(_mm512_castps512_ps256(acc), _mm512_extractf32x8_ps(acc, 1));
    __m128 v4 = _mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
    __m128 v2 = _mm_add_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_add_ss(v2, _mm_movehdup_ps(v2)));
}

float ggl_dot_f32_avx512(const float *a, const float *b, int64_t n)
{
    __m512 acc = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + GGL_LANES <= n; i += GGL_LANES)
        acc = _mm512_add_ps(acc, _mm512_mul_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i)));
    if (i < n) { /* lanes beyond the tail keep their sums: adding 0 would turn -0 into 0 */
        __mmask16 m = first_lanes(n - i);
        acc = _mm512_mask_add_ps(acc, m, acc,
                                 _mm512_mul_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i)));
    }
    return add_lanes(acc);
}

void ggl_axpy_f32_avx512(float *y, float a, const float *x, int64_t n)
{
    const __m512 va = _mm512_set1_ps(a);
    int64_t i = 0;
    for (; i + GGL_LANES <= n; i += GGL_LANES)
        _mm512_storeu_ps(y + i, _mm512_add_ps(_mm512_loadu_ps(y + i), _mm512_mul_ps(va, _mm512_loadu_ps(x + i))));
    if (i < n) {
        __mmask16 m = first_lanes(n - i);
        __m512 product = _mm512_mul_ps(va, _mm512_maskz_loadu_ps(m, x + i));
        _mm512_mask_storeu_ps(y + i, m, _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i), product));
    }
}
#endif
