/* math.h's functions for 8 floats: the same operations in the same order, so the same bits. */
#ifndef GGL_KERNEL_MATH_X86_AVX2_H
#define GGL_KERNEL_MATH_X86_AVX2_H

#include <immintrin.h>
#include <string.h>

static inline __m256 ggl_exp8(__m256 x)
{
    const __m256 magic = _mm256_set1_ps(12582912.0f), top = _mm256_set1_ps(88.7228394f), low = _mm256_set1_ps(-104.0f);
    __m256 ordered = _mm256_cmp_ps(x, x, _CMP_EQ_OQ);
    __m256 v = _mm256_blendv_ps(x, _mm256_set1_ps(88.7228394f + 1.0f), _mm256_cmp_ps(x, top, _CMP_GT_OQ));
    v = _mm256_blendv_ps(v, low, _mm256_cmp_ps(v, low, _CMP_LT_OQ));
    v = _mm256_and_ps(v, ordered);
    __m256 n = _mm256_sub_ps(_mm256_add_ps(_mm256_mul_ps(v, _mm256_set1_ps(1.44269504f)), magic), magic);
    __m256 r = _mm256_sub_ps(v, _mm256_mul_ps(n, _mm256_set1_ps(0.693359375f)));
    r = _mm256_sub_ps(r, _mm256_mul_ps(n, _mm256_set1_ps(-2.12194440e-4f)));
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_add_ps(_mm256_add_ps(_mm256_mul_ps(_mm256_mul_ps(p, r), r), r), _mm256_set1_ps(1.0f));
    __m256i k = _mm256_cvttps_epi32(n);
    __m256i half = _mm256_srai_epi32(_mm256_add_epi32(k, _mm256_srli_epi32(k, 31)), 1); /* towards zero, as in C */
    __m256i bias = _mm256_set1_epi32(127);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, half), bias), 23));
    return _mm256_blendv_ps(x, _mm256_mul_ps(_mm256_mul_ps(p, a), b), ordered);
}

/* 16 lanes added in the fixed tree of vec.h. */
static inline float ggl_add_lanes8x2(__m256 low, __m256 high)
{
    __m256 v8 = _mm256_add_ps(low, high);
    __m128 v4 = _mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
    __m128 v2 = _mm_add_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_add_ss(v2, _mm_movehdup_ps(v2)));
}

/* Sixteen rows' results, of which the first n are in memory; the others are zero, and are not stored. */
typedef __m256 ggl_rows[2];

static inline void ggl_load_rows(const float *y, int n, ggl_rows rows)
{
    float all[16] = {0};
    memcpy(all, y, (size_t)n * 4);
    rows[0] = _mm256_loadu_ps(all);
    rows[1] = _mm256_loadu_ps(all + 8);
}

static inline void ggl_store_rows(float *y, int n, const ggl_rows rows)
{
    float all[16];
    _mm256_storeu_ps(all, rows[0]);
    _mm256_storeu_ps(all + 8, rows[1]);
    memcpy(y, all, (size_t)n * 4);
}

#endif
