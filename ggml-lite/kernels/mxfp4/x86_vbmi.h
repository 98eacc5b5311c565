/* A block of 16 rows of MXFP4: its codes, four vectors of a dword a row after a transposition of dwords, and its scales;
 * included by the files of levels with AVX-512 and VBMI. */
#ifndef GGL_KERNEL_MXFP4_X86_VBMI_H
#define GGL_KERNEL_MXFP4_X86_VBMI_H

#include <immintrin.h>
#include <stdint.h>

enum { ROWS = 16, BLOCK = 32, BLOCK_BYTES = 17, LINE = 64 };

/* Four of the 16 rows each; the compiler must not keep an address a row, for which it has no registers. */
struct quarters {
    const uint8_t *p[4];
    int64_t step, step3; /* bytes to the next row and to the third */
};

static inline struct quarters make_quarters(const uint8_t *rows, int64_t row_bytes)
{
    struct quarters q = {.step = row_bytes, .step3 = 3 * row_bytes};
    for (int i = 0; i < 4; i++) q.p[i] = rows + 4 * i * row_bytes;
    return q;
}

static inline __attribute__((always_inline)) void next_block(struct quarters *q)
{
    for (int i = 0; i < 4; i++) {
        q->p[i] += BLOCK_BYTES;
        __asm__("" : "+r"(q->p[i]));
    }
    __asm__("" : "+r"(q->step), "+r"(q->step3));
}

static inline __m128i codes_of(const uint8_t *block)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(block + 1));
}

/* A lane each of 128 bits: rows i, i + 4, i + 8 and i + 12, which are `offset` bytes into the quarters. */
static inline __attribute__((always_inline)) __m512i load_four(const struct quarters *q, int64_t offset)
{
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(codes_of(q->p[0] + offset)), codes_of(q->p[1] + offset), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(codes_of(q->p[2] + offset)), codes_of(q->p[3] + offset), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

static inline __attribute__((always_inline)) void load_codes(const struct quarters *q, __m512i v[4])
{
    v[0] = load_four(q, 0);
    v[1] = load_four(q, q->step);
    v[2] = load_four(q, 2 * q->step);
    v[3] = load_four(q, q->step3);
}

/* v[i] as load_codes leaves them -> v[j], lane r: bytes 4j .. 4j + 3 of the codes of row r. */
static inline void transpose(__m512i v[4])
{
    __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm512_unpacklo_epi64(low01, low23);
    v[1] = _mm512_unpackhi_epi64(low01, low23);
    v[2] = _mm512_unpacklo_epi64(high01, high23);
    v[3] = _mm512_unpackhi_epi64(high01, high23);
}

/* 2^(e - 128) for the exponents e of a block of 16 rows, the denormal ones as zero.  rows[i]: where row i's begin. */
static inline __m512 half_scales(const uint8_t *block, __m512i rows)
{
    __m512i e = _mm512_and_si512(_mm512_i32gather_epi32(rows, block, 1), _mm512_set1_epi32(255));
    e = _mm512_maskz_sub_epi32(_mm512_test_epi32_mask(e, e), e, _mm512_set1_epi32(1));
    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}

/* Sixteen rows so many bytes apart. */
static inline __m512i row_offsets(int64_t row_bytes)
{
    const __m512i i = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mullo_epi32(i, _mm512_set1_epi32((int)row_bytes));
}

#endif
