/*
 * Eight rows at a time, for levels with vectors of 32 bytes.  The codes of one block are four vectors of a dword a row after a
 * transposition of dwords: the nibbles become biased weights by a lookup each, and their products are added up in the row's
 * lane, so that scaling and summing go on with a row a lane.  Included by the levels' files, which define
 *
 *     dot_block(v, table, x, start)    start and the products of a block: codes as load_codes leaves them
 */
#include <immintrin.h>
#include <stdbool.h>

#include "kernels/x86_bytes.h"

enum { ROWS = 8, BLOCK = 32, BLOCK_BYTES = 17, LINE = 64 };
enum { MOST_BLOCKS = 512, NEAR = 256 }; /* of a row; bytes ahead */

static inline __m256i biased_table(void)
{
    return _mm256_broadcastsi128_si256(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

/* Four of the eight rows each; the compiler must not keep an address a row, for which it has no registers. */
struct halves {
    const uint8_t *p[2];
    int64_t step, step3; /* bytes to the next row and to the third */
};

static inline struct halves make_halves(const uint8_t *rows, int64_t row_bytes)
{
    return (struct halves){{rows, rows + 4 * row_bytes}, row_bytes, 3 * row_bytes};
}

static inline __attribute__((always_inline)) void next_block(struct halves *h)
{
    for (int i = 0; i < 2; i++) {
        h->p[i] += BLOCK_BYTES;
        __asm__("" : "+r"(h->p[i]));
    }
    __asm__("" : "+r"(h->step), "+r"(h->step3));
}

static inline __m128i codes_of(const uint8_t *block)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(block + 1));
}

/* Rows i and i + 4, which are `offset` bytes into the halves. */
static inline __attribute__((always_inline)) __m256i load_two(const struct halves *h, int64_t offset)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(codes_of(h->p[0] + offset)), codes_of(h->p[1] + offset), 1);
}

/* v[j], lane r: bytes 4j .. 4j + 3 of the codes of row r. */
static inline __attribute__((always_inline)) void load_codes(const struct halves *h, __m256i v[4])
{
    __m256i a0 = load_two(h, 0), a1 = load_two(h, h->step), a2 = load_two(h, 2 * h->step), a3 = load_two(h, h->step3);
    __m256i low01 = _mm256_unpacklo_epi32(a0, a1), high01 = _mm256_unpackhi_epi32(a0, a1);
    __m256i low23 = _mm256_unpacklo_epi32(a2, a3), high23 = _mm256_unpackhi_epi32(a2, a3);
    v[0] = _mm256_unpacklo_epi64(low01, low23);
    v[1] = _mm256_unpackhi_epi64(low01, low23);
    v[2] = _mm256_unpacklo_epi64(high01, high23);
    v[3] = _mm256_unpackhi_epi64(high01, high23);
}

static inline __m256i low_weights(__m256i codes, __m256i table)
{
    return _mm256_shuffle_epi8(table, _mm256_and_si256(codes, _mm256_set1_epi8(15)));
}

static inline __m256i high_weights(__m256i codes, __m256i table)
{
    return _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(codes, 4), _mm256_set1_epi8(15)));
}

/* Eight exponent bytes -> 2^(e - 128), the denormal ones as zero. */
static inline __m256 half_scales(const uint8_t *e)
{
    __m128i v = _mm_subs_epu8(_mm_loadl_epi64((const __m128i *)(const void *)e), _mm_set1_epi8(1));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(v), 23));
}

/* The exponents of the block `offset` bytes further on. */
static inline __attribute__((always_inline)) void gather_scales(const struct halves *h, int offset, uint8_t e[ROWS])
{
    for (int i = 0; i < 2; i++) {
        e[4 * i] = h->p[i][offset];
        e[4 * i + 1] = h->p[i][offset + h->step];
        e[4 * i + 2] = h->p[i][offset + 2 * h->step];
        e[4 * i + 3] = h->p[i][offset + h->step3];
    }
}

/* Rows are read side by side, so the processor sees many short streams and guesses badly: fetch the next eight rows,
 * which follow these, while these are multiplied.  Fetching beyond the end of a mapping does nothing. */
static inline __attribute__((always_inline)) void fetch(const uint8_t *next) /* see kernels/fetch.h */
{
    for (int i = 0; i < ROWS * BLOCK_BYTES; i += LINE) _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

/* And, where it must be told that, too, of these rows what comes into the first-level cache: a line of two of them for each
 * block, since a line has nearly four. */
static inline __attribute__((always_inline)) void fetch_near(const uint8_t *rows, int64_t row_bytes, int64_t b)
{
    const char *p = (const char *)rows + b % 4 * 2 * row_bytes + b * BLOCK_BYTES + NEAR;
    _mm_prefetch(p, _MM_HINT_T0);
    _mm_prefetch(p + row_bytes, _MM_HINT_T0);
}

static inline __m256i dot_block(const __m256i v[4], __m256i table, const int8_t *x, int32_t start);

/* start: of the sums of blocks, what the bias of the weights adds, taken away. */
static inline __attribute__((always_inline)) void eight_rows(const uint8_t *rows, int64_t row_bytes, int64_t n, const int8_t *x,
                                                             const int32_t *start, float *y, const bool near)
{
    const __m256i table = biased_table();
    const float *scales = ggl_act_q8_scales(x, n);
    const uint8_t *next = rows + ROWS * row_bytes;
    uint8_t e[2][ROWS]; /* exponents of this block and the next one: written ahead, so that loads do not wait */
    __m256 sum = _mm256_setzero_ps();
    int64_t n_blocks = n / BLOCK;
    struct halves h = make_halves(rows, row_bytes);
    gather_scales(&h, 0, e[0]);
    for (int64_t b = 0; b < n_blocks; b++, x += BLOCK, next += ROWS * BLOCK_BYTES) {
        __m256i v[4];
        fetch(next);
        if (near) fetch_near(rows, row_bytes, b);
        if (b + 1 < n_blocks) gather_scales(&h, BLOCK_BYTES, e[(b + 1) & 1]);
        load_codes(&h, v);
        __m256 p = _mm256_mul_ps(_mm256_cvtepi32_ps(dot_block(v, table, x, start[b])), _mm256_set1_ps(scales[b]));
        sum = _mm256_fmadd_ps(p, half_scales(e[b & 1]), sum);
        next_block(&h);
    }
    _mm256_storeu_ps(y, sum);
}

static inline __attribute__((always_inline)) void all_rows(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x,
                                                           float *y, const bool near)
{
    int32_t start[MOST_BLOCKS];
    if (n > MOST_BLOCKS * BLOCK) { /* no published model */
        ggl_mxfp4_rows_ref(rows, row_bytes, n, n_rows, x, y);
        return;
    }
    const int32_t *sums = ggl_act_q8_sums(x, n);
    for (int64_t b = 0; b < n / BLOCK; b++) start[b] = -GGL_MXFP4_BIAS * sums[b];
    for (int r = 0; r < n_rows; r += ROWS) eight_rows(rows + r * row_bytes, row_bytes, n, x, start, y + r, near);
}
