/*
 * AVX-512 with VBMI: an expert's rows for many tokens, unpacked once.
 *
 * The codes of one block of 16 rows are four vectors of a dword a row after a transposition of dwords; a lookup a nibble
 * makes them biased weights, in the order of a panel.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 16, BLOCK = 32, BLOCK_BYTES = 17, LINE = 64 };

/* 12 + twice the value of a nibble, four times over, so that the two bits above an index do not matter. */
static inline __m512i biased_table(void)
{
    return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

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

/* Sixteen exponent bytes -> 2^(e - 128), the denormal ones as zero. */
static inline __m512 half_scales(const uint8_t *e)
{
    __m128i v = _mm_subs_epu8(_mm_loadu_si128((const __m128i *)(const void *)e), _mm_set1_epi8(1));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(v), 23));
}

/* The exponents of the block `offset` bytes further on. */
static inline __attribute__((always_inline)) void gather_scales(const struct quarters *q, int offset, uint8_t e[ROWS])
{
    for (int i = 0; i < 4; i++) {
        e[4 * i] = q->p[i][offset];
        e[4 * i + 1] = q->p[i][offset + q->step];
        e[4 * i + 2] = q->p[i][offset + 2 * q->step];
        e[4 * i + 3] = q->p[i][offset + q->step3];
    }
}

/* Rows are read side by side, so the processor sees 16 short streams and guesses badly: fetch the next 16 rows, which
 * follow these, while these are unpacked.  Fetching beyond the end of a mapping does nothing. */
static inline void fetch(const uint8_t *next)
{
    for (int i = 0; i < ROWS * BLOCK_BYTES; i += LINE) _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

void ggl_mxfp4_expand_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    const __m512i table = biased_table();
    const uint8_t *next = rows + ROWS * row_bytes;
    struct quarters q = make_quarters(rows, row_bytes);
    for (int64_t b = 0; b < n / BLOCK; b++, panel += 64 + ROWS * BLOCK, next += ROWS * BLOCK_BYTES) {
        __m512i v[4];
        uint8_t e[ROWS];
        fetch(next);
        gather_scales(&q, 0, e);
        load_codes(&q, v);
        transpose(v);
        for (int j = 0; j < 4; j++) {
            _mm512_storeu_si512(panel + 64 + 64 * j, _mm512_permutexvar_epi8(v[j], table));
            _mm512_storeu_si512(panel + 64 + 64 * (4 + j), _mm512_permutexvar_epi8(_mm512_srli_epi16(v[j], 4), table));
        }
        _mm512_storeu_ps((float *)(void *)panel, half_scales(e));
        next_block(&q);
    }
}
