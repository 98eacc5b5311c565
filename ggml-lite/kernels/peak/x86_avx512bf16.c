#include "kernels/kernels.h"

#include <immintrin.h>

enum { SUMS = 14 }; /* two products a cycle, six cycles each */

float ggl_bf16_peak_avx512(float a, float b, int64_t rounds, int64_t *macs)
{
    const __m512 wide_a = _mm512_set1_ps(a), wide_b = _mm512_set1_ps(b);
    const __m512bh y = _mm512_cvtne2ps_pbh(wide_b, wide_b);
    __m512bh x = _mm512_cvtne2ps_pbh(wide_a, wide_a);
    __m512 sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_ps();
    for (int64_t r = 0; r < rounds; r++) {
        GGL_PEAK_HIDE(x);
        for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], x, y);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    *macs = rounds * SUMS * 32;
    return _mm512_reduce_add_ps(sum[0]);
}
