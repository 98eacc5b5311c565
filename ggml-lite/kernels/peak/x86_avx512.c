#include "kernels/kernels.h"

#include <immintrin.h>

uint64_t ggl_read_bandwidth_avx512(const void *data, int64_t bytes)
{
    const char *p = data;
    __m512i sum[4];
    for (int l = 0; l < 4; l++) sum[l] = _mm512_setzero_si512();
    for (int64_t i = 0; i < bytes; i += 256)
        for (int l = 0; l < 4; l++) sum[l] = _mm512_add_epi64(sum[l], _mm512_load_si512(p + i + 64 * l));
    sum[0] = _mm512_add_epi64(_mm512_add_epi64(sum[0], sum[1]), _mm512_add_epi64(sum[2], sum[3]));
    uint64_t word[8], total = 0;
    _mm512_storeu_si512(word, sum[0]);
    for (int i = 0; i < 8; i++) total += word[i]; /* the intrinsic for this adds signed numbers */
    return total;
}
