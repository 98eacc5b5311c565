/* AVX2: a transposition that several files of that level need. */
#ifndef GGL_KERNEL_X86_TRANSPOSE_H
#define GGL_KERNEL_X86_TRANSPOSE_H

#include <immintrin.h>

/* Eight rows of eight words -> eight vectors of one word a row. */
static inline void x86_transpose_words(__m256i w[8])
{
    __m256i s[8], q[8];
    for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm256_unpacklo_epi32(w[2 * i], w[2 * i + 1]);
        s[2 * i + 1] = _mm256_unpackhi_epi32(w[2 * i], w[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            q[4 * i + 2 * j] = _mm256_unpacklo_epi64(s[4 * i + j], s[4 * i + 2 + j]);
            q[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(s[4 * i + j], s[4 * i + 2 + j]);
        }
    }
    for (int j = 0; j < 4; j++) {
        w[j] = _mm256_permute2x128_si256(q[j], q[4 + j], 0x20);
        w[4 + j] = _mm256_permute2x128_si256(q[j], q[4 + j], 0x31);
    }
}

#endif
