/* AVX-512: keys of a scan as integers, unpacked some time before they are read again; included by the files of such levels. */
#ifndef GGL_KERNEL_INDEX_X86_UNPACK_H
#define GGL_KERNEL_INDEX_X86_UNPACK_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/index/index.h"

enum { AHEAD = 16, DIM = GGL_INDEX_SCAN_DIM };

struct keys {
    _Alignas(64) int8_t values[AHEAD][DIM]; /* plus a bias */
    float scale[AHEAD];
};

/* Twice a code's value << row. */
static const int8_t key_values[4][16] = {
    {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12},
    {0, 2, 4, 6, 8, 12, 16, 24, 0, -2, -4, -6, -8, -12, -16, -24},
    {0, 4, 8, 12, 16, 24, 32, 48, 0, -4, -8, -12, -16, -24, -32, -48},
    {0, 8, 16, 24, 32, 48, 64, 96, 0, -8, -16, -24, -32, -48, -64, -96},
};

static inline __m128i values_of(int shift)
{
    return _mm_loadu_si128((const __m128i *)(const void *)key_values[shift]);
}

/* Key k; false: its scales are too different, or not sane. */
static inline __attribute__((always_inline)) bool unpack(const uint8_t *row, struct keys *keys, int k, const int bias)
{
    const uint8_t *e = row + DIM / 2;
    int least = ggl_index_least(e);
    if (least < 0) return false;
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(values_of(e[0] - least)), values_of(e[1] - least), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(values_of(e[2] - least)), values_of(e[3] - least), 1);
    __m512i lookup = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    if (bias) lookup = _mm512_add_epi8(lookup, _mm512_set1_epi8((char)bias));
    __m512i codes = _mm512_loadu_si512(row), nibble = _mm512_set1_epi8(15);
    __m512i even = _mm512_shuffle_epi8(lookup, _mm512_and_si512(codes, nibble));
    __m512i odd = _mm512_shuffle_epi8(lookup, _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble));
    _mm512_store_si512(keys->values[k], _mm512_unpacklo_epi8(even, odd));
    _mm512_store_si512(keys->values[k] + 64, _mm512_unpackhi_epi8(even, odd));
    uint32_t bits = (uint32_t)(least - 1) << 23; /* 2^(least - 128) */
    memcpy(&keys->scale[k], &bits, 4);
    return true;
}

#endif
