#include "kernels/kernels.h"

#include <immintrin.h>

enum { SUMS = 12 }; /* two products a cycle, five cycles each */

uint32_t ggl_int8_peak_avxvnni(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    const __m256i y = _mm256_set1_epi8((char)b);
    __m256i x = _mm256_set1_epi8((char)a), sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_si256();
    for (int64_t r = 0; r < rounds; r++) {
        GGL_PEAK_HIDE(x);
        for (int i = 0; i < SUMS; i++) sum[i] = _mm256_dpbusd_avx_epi32(sum[i], x, y);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    uint32_t word[8], total = 0;
    _mm256_storeu_si256((__m256i *)(void *)word, sum[0]);
    for (int i = 0; i < 8; i++) total += word[i];
    *macs = rounds * SUMS * 32;
    return total;
}
