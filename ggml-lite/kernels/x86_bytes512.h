/* AVX-512: four bytes in every lane of 32 bits, for products of bytes, and what becomes of their sums; several operations' files
 * need this. */
#ifndef GGL_KERNEL_X86_BYTES512_H
#define GGL_KERNEL_X86_BYTES512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static inline __m512i broadcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/*
 * Sums that start at the integer whose bits are the float 1.5 * 2^23 need no conversion: there a step of the integer is a step
 * of the float, so the bits of a sum below 2^22, read as a float, are 1.5 * 2^23 + sum, and one fused operation takes
 * that away and scales: scale * bits - scale * 1.5 * 2^23, exact but for its one rounding, since a scale of act_q8.h has 22 bits.
 * The result is that of a conversion and a product.
 */
static inline __m512i sum_start(void)
{
    return _mm512_set1_epi32(0x4b400000);
}

/* What to add after scaling. */
static inline __m512 start_scaled(__m512 scale)
{
    return _mm512_mul_ps(scale, _mm512_set1_ps(-0x1.8p23f));
}

static inline __m512 scale_sum(__m512i sum, __m512 scale, __m512 less)
{
    return _mm512_fmadd_ps(_mm512_castsi512_ps(sum), scale, less);
}

#endif
