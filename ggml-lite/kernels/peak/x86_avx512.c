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
    return (uint64_t)_mm512_reduce_add_epi64(sum[0]);
}
