/* AVX-512: four bytes in every lane of 32 bits, for products of bytes; several operations' files need this. */
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

#endif
