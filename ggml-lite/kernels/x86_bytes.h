/* AVX2: bytes for products of bytes; several operations' files need these. */
#ifndef GGL_KERNEL_X86_BYTES_H
#define GGL_KERNEL_X86_BYTES_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Four activations in every lane of 32 bits. */
static inline __m256i broadcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

#endif
