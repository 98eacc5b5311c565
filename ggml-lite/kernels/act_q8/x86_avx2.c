/* AVX2: a block of 32 is four vectors. */
#include "kernels/kernels.h"

#include <immintrin.h>

enum { PARTS = GGL_ACT_BLOCK / 8 };

/* The largest magnitude of a block by its bits: a NaN is above everything. */
static inline float largest(const __m256 v[PARTS])
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i top = _mm256_setzero_si256();
    for (int i = 0; i < PARTS; i++) top = _mm256_max_epu32(top, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1))));
}

/* To the nearest, ties to even; a NaN becomes 0. */
static inline __m256i round_to_int(__m256 v)
{
    return _mm256_and_si256(_mm256_cvtps_epi32(v), _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_EQ_OQ)));
}

static inline int32_t add_up(__m256i v)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

void ggl_act_q8_avx2(const float *x, int64_t n, int8_t *row)
{
    float *scales = (float *)(void *)(row + n);
    int32_t *sums = (int32_t *)(void *)(row + n + n / GGL_ACT_BLOCK * 4), *halves = sums + n / GGL_ACT_BLOCK;
    for (int64_t b = 0; b < n / GGL_ACT_BLOCK; b++, x += GGL_ACT_BLOCK, row += GGL_ACT_BLOCK) {
        __m256 v[PARTS];
        __m256i code[PARTS];
        for (int i = 0; i < PARTS; i++) v[i] = _mm256_loadu_ps(x + 8 * i);
        float amax = largest(v);
        const struct ggl_act_q8_scaling scaling = ggl_act_q8_scaling(amax);
        for (int i = 0; i < PARTS; i++) code[i] = round_to_int(_mm256_mul_ps(v[i], _mm256_set1_ps(scaling.inverse)));
        __m256i words0 = _mm256_packs_epi32(code[0], code[1]), words1 = _mm256_packs_epi32(code[2], code[3]);
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(words0, words1), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256((__m256i *)(void *)row, bytes);
        scales[b] = scaling.scale;
        halves[b] = add_up(_mm256_add_epi32(code[0], code[1]));
        sums[b] = halves[b] + add_up(_mm256_add_epi32(code[2], code[3]));
    }
}
