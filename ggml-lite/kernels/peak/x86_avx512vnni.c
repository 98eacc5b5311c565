#include "kernels/kernels.h"

#include <immintrin.h>

enum { SUMS = 12 }; /* two products a cycle, five cycles each */

uint32_t ggl_int8_peak_avx512(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    const __m512i y = _mm512_set1_epi8((char)b);
    __m512i x = _mm512_set1_epi8((char)a), sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_si512();
    for (int64_t r = 0; r < rounds; r++) {
        GGL_PEAK_HIDE(x);
        for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbusd_epi32(sum[i], x, y);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    uint32_t word[16], total = 0;
    _mm512_storeu_si512(word, sum[0]);
    for (int i = 0; i < 16; i++) total += word[i];
    *macs = rounds * SUMS * 64;
    return total;
}
