/* What kernels with arithmetic of halves share (AVX-512 with FP16). */
#ifndef GGL_KERNEL_MATH_X86_HALVES_H
#define GGL_KERNEL_MATH_X86_HALVES_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/fp8/fp8.h"

static inline __m512h ggl_load_halves(const uint16_t *p)
{
    return _mm512_castsi512_ph(_mm512_loadu_si512(p));
}

/* Two halves, 16 times: a load and nothing else, which a broadcast of one is not. */
static inline __m512h ggl_broadcast_pair(const void *p)
{
    int32_t pair;
    memcpy(&pair, p, 4);
    return _mm512_castsi512_ph(_mm512_set1_epi32(pair));
}

/* Nearest, ties to even. */
static inline __m256i ggl_to_halves(__m512 x)
{
    return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* What n numbers are to be multiplied with to be halves. */
static inline struct ggl_act_fp8_scaling ggl_scaling_of(const float *x, int64_t n)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i top = _mm512_setzero_si512(); /* the largest magnitude by its bits: a NaN is above everything */
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 m = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        top = _mm512_max_epu32(top, _mm512_and_si512(_mm512_castps_si512(_mm512_maskz_loadu_ps(m, x + i)), magnitude));
    }
    return ggl_act_fp8_scaling(_mm512_reduce_max_epu32(top));
}

#endif
