#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/math/x86_avx2.h"
#include "quant/quant.h"

void ggl_index_unpack_avx2(const uint8_t *row, int32_t n_dim, int8_t *out)
{
    const __m256i doubled = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
    const __m128i low = _mm_set1_epi8(15);
    const uint8_t *exponents = row + n_dim / 2;
    float *scales = (float *)(void *)(out + n_dim);
    int32_t *sums = (int32_t *)(void *)(out + n_dim + n_dim / GGL_ACT_BLOCK * 4);
    for (int32_t b = 0; b < n_dim / GGL_ACT_BLOCK; b++) {
        __m128i packed = _mm_loadu_si128((const __m128i *)(const void *)(row + 16 * b));
        __m128i even = _mm_and_si128(packed, low), odd = _mm_and_si128(_mm_srli_epi16(packed, 4), low);
        __m256i codes = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(even, odd)), _mm_unpackhi_epi8(even, odd), 1);
        __m256i v = _mm256_shuffle_epi8(doubled, codes);
        _mm256_storeu_si256((__m256i *)(void *)(out + b * GGL_ACT_BLOCK), v);
        __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), v);
        __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        __m128i s = _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
        sums[b] = _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
        scales[b] = ggl_e8m0_to_f32(exponents[b]) * 0.5f;
    }
}

void ggl_index_combine_avx2(const float *products, int64_t stride, const float *weights, int n_panels, int n, float *score)
{
    for (int i = 0; i < n; i++) {
        __m256 lane[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        for (int p = 0; p < n_panels; p++) {
            for (int j = 0; j < 2; j++) {
                int64_t at = p * GGL_LANES + 8 * j;
                __m256 y = _mm256_loadu_ps(products + i * stride + at);
                y = _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), y);
                lane[j] = _mm256_add_ps(lane[j], _mm256_mul_ps(_mm256_loadu_ps(weights + at), y));
            }
        }
        score[i] = ggl_add_lanes8x2(lane[0], lane[1]);
    }
}
