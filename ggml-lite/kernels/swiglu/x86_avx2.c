/* AVX2: the reference's operations, eight elements at a time. */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx2.h"

enum { LANES = 8 };

/* A NaN is above no limit, and stays. */
static inline __m256 at_most(__m256 v, __m256 limit)
{
    return _mm256_blendv_ps(v, limit, _mm256_cmp_ps(v, limit, _CMP_GT_OQ));
}

static inline __m256 at_least(__m256 v, __m256 limit)
{
    return _mm256_blendv_ps(v, limit, _mm256_cmp_ps(v, limit, _CMP_LT_OQ));
}

static inline __m256 eight(const float *gate, const float *up, __m256 top, float gain)
{
    __m256 g = at_most(_mm256_loadu_ps(gate), top);
    __m256 u = at_least(at_most(_mm256_loadu_ps(up), top), _mm256_sub_ps(_mm256_setzero_ps(), top));
    __m256 e = ggl_exp8(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
    __m256 silu = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
    return _mm256_mul_ps(_mm256_mul_ps(silu, u), _mm256_set1_ps(gain));
}

void ggl_swiglu_f32_avx2(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    const __m256 top = _mm256_set1_ps(limit > 0 ? limit : __builtin_inff());
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) _mm256_storeu_ps(y + i, eight(gate + i, up + i, top, gain));
    if (i == n) return;
    float g[LANES] = {0}, u[LANES] = {0};
    size_t bytes = (size_t)(n - i) * 4;
    memcpy(g, gate + i, bytes);
    memcpy(u, up + i, bytes);
    _mm256_storeu_ps(g, eight(g, u, top, gain));
    memcpy(y + i, g, bytes);
}
