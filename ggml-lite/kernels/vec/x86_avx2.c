/* Two registers are the 16 lanes; a multiply and an add, never fused, so that the bits are the reference's. */
#include "kernels/kernels.h"

#if GGL_ARCH_X86
#include <immintrin.h>

static float add_lanes(__m256 low, __m256 high)
{
    __m256 v8 = _mm256_add_ps(low, high);
    __m128 v4 = _mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
    __m128 v2 = _mm_add_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_add_ss(v2, _mm_movehdup_ps(v2)));
}

float ggl_dot_f32_avx2(const float *a, const float *b, int64_t n)
{
    __m256 low = _mm256_setzero_ps(), high = low;
    int64_t i = 0;
    for (; i + GGL_LANES <= n; i += GGL_LANES) {
        low = _mm256_add_ps(low, _mm256_mul_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
        high = _mm256_add_ps(high, _mm256_mul_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8)));
    }
    if (i < n) {
        float acc[GGL_LANES];
        _mm256_storeu_ps(acc, low);
        _mm256_storeu_ps(acc + 8, high);
        for (int l = 0; i + l < n; l++) acc[l] += a[i + l] * b[i + l];
        low = _mm256_loadu_ps(acc);
        high = _mm256_loadu_ps(acc + 8);
    }
    return add_lanes(low, high);
}

void ggl_axpy_f32_avx2(float *y, float a, const float *x, int64_t n)
{
    const __m256 va = _mm256_set1_ps(a);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_mul_ps(va, _mm256_loadu_ps(x + i))));
    for (; i < n; i++) y[i] += a * x[i];
}
#endif
