/* math.h's functions for 16 floats: the same operations in the same order, so the same bits. */
#ifndef GGL_KERNEL_MATH_X86_AVX512_H
#define GGL_KERNEL_MATH_X86_AVX512_H

#include <immintrin.h>

static inline __m512 ggl_exp16(__m512 x)
{
    const __m512 magic = _mm512_set1_ps(12582912.0f);
    __mmask16 ordered = _mm512_cmp_ps_mask(x, x, _CMP_EQ_OQ);
    __m512 v = _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, _mm512_set1_ps(88.7228394f), _CMP_GT_OQ), _mm512_set1_ps(88.7228394f + 1.0f));
    v = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, _mm512_set1_ps(-104.0f), _CMP_LT_OQ), _mm512_set1_ps(-104.0f));
    v = _mm512_maskz_mov_ps(ordered, v);
    __m512 n = _mm512_sub_ps(_mm512_add_ps(_mm512_mul_ps(v, _mm512_set1_ps(1.44269504f)), magic), magic);
    __m512 r = _mm512_sub_ps(v, _mm512_mul_ps(n, _mm512_set1_ps(0.693359375f)));
    r = _mm512_sub_ps(r, _mm512_mul_ps(n, _mm512_set1_ps(-2.12194440e-4f)));
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_add_ps(_mm512_add_ps(_mm512_mul_ps(_mm512_mul_ps(p, r), r), r), _mm512_set1_ps(1.0f));
    __m512i k = _mm512_cvttps_epi32(n);
    __m512i half = _mm512_srai_epi32(_mm512_add_epi32(k, _mm512_srli_epi32(k, 31)), 1); /* towards zero, as in C */
    __m512i bias = _mm512_set1_epi32(127);
    __m512 a = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(half, bias), 23));
    __m512 b = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(k, half), bias), 23));
    return _mm512_mask_mov_ps(x, ordered, _mm512_mul_ps(_mm512_mul_ps(p, a), b));
}

/* The lanes added in the fixed tree of vec.h. */
static inline float ggl_add_lanes16(__m512 acc)
{
    __m256 v8 = _mm256_add_ps(_mm512_castps512_ps256(acc), _mm512_extractf32x8_ps(acc, 1));
    __m128 v4 = _mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
    __m128 v2 = _mm_add_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_add_ss(v2, _mm_movehdup_ps(v2)));
}

/* p[i], lane j -> p[j], lane i. */
static inline void ggl_transpose16(__m512 p[16])
{
    __m512 a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(p[i], p[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(p[i], p[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[i]), _mm512_castps_pd(a[i + 2])));
        b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[i]), _mm512_castps_pd(a[i + 2])));
        b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[i + 1]), _mm512_castps_pd(a[i + 3])));
        b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[i + 1]), _mm512_castps_pd(a[i + 3])));
    }
    for (int i = 0; i < 4; i++) { /* b[4k + i], 128-bit lane q: elements 4q + i of p[4k .. 4k + 3] */
        __m512 s0 = _mm512_shuffle_f32x4(b[i], b[4 + i], 0x44), s1 = _mm512_shuffle_f32x4(b[i], b[4 + i], 0xee);
        __m512 s2 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0x44), s3 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0xee);
        p[i] = _mm512_shuffle_f32x4(s0, s2, 0x88);
        p[4 + i] = _mm512_shuffle_f32x4(s0, s2, 0xdd);
        p[8 + i] = _mm512_shuffle_f32x4(s1, s3, 0x88);
        p[12 + i] = _mm512_shuffle_f32x4(s1, s3, 0xdd);
    }
}

#endif
