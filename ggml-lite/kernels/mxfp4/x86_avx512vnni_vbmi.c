/*
 * AVX-512 with VNNI and VBMI: one token.
 *
 * Rows are read one after the other, as they lie in memory, and with as few loads as there are lines: that is what the
 * processor fetches ahead by itself (two rows at a time came at half of the memory's speed; such a core is slower when told
 * in the program's own words, too; for others there is x86_avx512vnni_vbmi_intel.c).  Sixteen blocks of a row become four
 * vectors of four blocks; the dot-product instruction leaves four sums a block, which are added up to one vector of
 * 16 integers, scaled, and kept.  The 47 or so vector instructions that this takes are close to what a core has time for,
 * so each counts.
 *
 * Blocks have 17 bytes, so four of them end behind a vector.  Lookups in two vectors pick them from five that follow
 * each other.
 *
 * The products of four rows are summed block by block, with a row a lane, which is the order that every level
 * has, while the next four rows are multiplied: that hides the long chain of sums, and no more is kept than leaves the
 * first-level cache to the activations (sixteen rows came at 65 % of the memory's speed, these at 85 %).
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"
#include "kernels/x86_bytes512.h"

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 4, BLOCK = 32, BLOCK_BYTES = 17, BATCH = 16, MAX_BATCHES = 32 };

/* What 16 blocks of a row are multiplied with: lane q of vector k belongs to block 4k + q.  Sums come out with block
 * 4k + q at 4q + k, the order of the scales. */
struct batch {
    __m512i low[4], high[4]; /* activations for low nibbles (inputs 0..15 of a block) and for high ones */
    __m512i start[4];        /* of the sums: what the bias of the weights adds, taken away */
    __m512 scale, less;      /* less: what to add after scaling */
};

/* The block at place 4q + k is 4k + q. */
static inline __m512i blocks_by_place(void)
{
    return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

static void arrange(const int8_t *x, int64_t n, struct batch *batches)
{
    const float *scales = ggl_act_q8_scales(x, n);
    const __m512i by_place = blocks_by_place(), bias = _mm512_set1_epi8(GGL_MXFP4_BIAS), zero = _mm512_setzero_si512();
    for (int64_t g = 0; g < n / (BATCH * BLOCK); g++, scales += BATCH, x += BATCH * BLOCK) {
        for (int k = 0; k < 4; k++) { /* lanes of 128 bits are halves of blocks, two blocks a vector */
            __m512i first = _mm512_loadu_si512(x + 4 * k * BLOCK), second = _mm512_loadu_si512(x + (4 * k + 2) * BLOCK);
            batches[g].low[k] = _mm512_shuffle_i64x2(first, second, 0x88);
            batches[g].high[k] = _mm512_shuffle_i64x2(first, second, 0xdd);
            __m512i more = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, bias, batches[g].low[k]), bias, batches[g].high[k]);
            batches[g].start[k] = _mm512_sub_epi32(zero, more);
        }
        batches[g].scale = _mm512_permutexvar_ps(by_place, _mm512_loadu_ps(scales));
        batches[g].less = start_scaled(batches[g].scale);
    }
}

struct lookups {
    __m512i weights;  /* 12 + twice the value of a nibble, four times over: two bits above an index do not matter */
    __m512i codes[4]; /* of blocks 4k .. 4k + 3, in the 128 bytes from 64k */
    __m512i scales;   /* of blocks 4k .. 4k + 3 in the upper bytes of words 4q + k, in the 128 bytes from 0 or 128 */
};

static inline struct lookups make_lookups(void)
{
    const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    const __m512i lanes = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    const __m512i every_byte = _mm512_set1_epi64(0x0101010101010101);
    const __m512i first = _mm512_add_epi8(bytes, _mm512_mullo_epi64(lanes, _mm512_slli_epi64(every_byte, 4)));
    struct lookups t;
    t.weights = _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m512i blocks = _mm512_add_epi8(first, _mm512_mullo_epi64(lanes, every_byte)); /* 17 bytes apart */
    for (int k = 0; k < 4; k++) t.codes[k] = _mm512_add_epi8(blocks, _mm512_set1_epi8((char)((BLOCK_BYTES * 4 - 64) * k)));
    t.scales = _mm512_slli_epi32(_mm512_and_si512(_mm512_mullo_epi32(blocks_by_place(), _mm512_set1_epi32(BLOCK_BYTES)),
                                                  _mm512_set1_epi32(127)), 24);
    return t;
}

/* d[k], lane q: four sums of block 4k + q, each of eight products -> one sum a block, from sum_start() on.  Weights are 12 or less here, so that
 * sixteen products are within 16 bits, too. */
static inline __m512i add_up(const __m512i d[4])
{
    const __m512i ones = _mm512_set1_epi16(1);
    __m512i d01 = _mm512_madd_epi16(_mm512_packs_epi32(d[0], d[1]), ones);
    __m512i d23 = _mm512_madd_epi16(_mm512_packs_epi32(d[2], d[3]), ones);
    return _mm512_dpwssd_epi32(sum_start(), _mm512_packs_epi32(d01, d23), ones);
}

/* Exponents in upper bytes -> 2^(e - 128), the denormal ones as zero. */
static inline __m512 half_scales(__m512i e)
{
    return _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_subs_epu8(e, _mm512_set1_epi8(1)), 1));
}

/* Sixteen blocks: codes[k] of blocks 4k .. 4k + 3. */
INLINE __m512 load(const uint8_t *blocks, const struct lookups *t, __m512i codes[4])
{
    const __mmask64 first8 = 0x0088008800880088, last8 = 0x8800880088008800; /* upper bytes of words 4q + k: k < 2, k >= 2 */
    __m512i v[5];
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_loadu_si512(blocks + 64 * i);
        __asm__("" : "+v"(v[i])); /* loaded once: each of these loads crosses a line */
    }
    v[4] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)(blocks + 256)));
    for (int k = 0; k < 4; k++) codes[k] = _mm512_permutex2var_epi8(v[k], t->codes[k], v[k + 1]);
    return half_scales(_mm512_or_si512(_mm512_maskz_permutex2var_epi8(first8, v[0], t->scales, v[1]),
                                       _mm512_maskz_permutex2var_epi8(last8, v[2], t->scales, v[3])));
}

/* The scaled products of 16 blocks. */
INLINE __m512 multiply(const uint8_t *blocks, const struct batch *x, const struct lookups *t)
{
    __m512i codes[4], d[4];
    __m512 scale = load(blocks, t, codes);
    for (int k = 0; k < 4; k++) {
        d[k] = _mm512_dpbusd_epi32(x->start[k], _mm512_permutexvar_epi8(codes[k], t->weights), x->low[k]);
        d[k] = _mm512_dpbusd_epi32(d[k], _mm512_permutexvar_epi8(_mm512_srli_epi16(codes[k], 4), t->weights), x->high[k]);
    }
    return _mm512_mul_ps(scale_sum(add_up(d), x->scale, x->less), scale); /* the second is exact, so the sum need not be fused */
}

/* The products of 16 blocks of four rows: 16 times four rows, in the order of the blocks. */
static inline void turn(const __m512 products[ROWS], float turned[ROWS * BATCH])
{
    __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(products[0], products[1]));
    __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(products[0], products[1]));
    __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(products[2], products[3]));
    __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(products[2], products[3]));
    _mm512_store_ps(turned, _mm512_castpd_ps(_mm512_unpacklo_pd(a, c)));
    _mm512_store_ps(turned + 16, _mm512_castpd_ps(_mm512_unpackhi_pd(a, c)));
    _mm512_store_ps(turned + 32, _mm512_castpd_ps(_mm512_unpacklo_pd(b, d)));
    _mm512_store_ps(turned + 48, _mm512_castpd_ps(_mm512_unpackhi_pd(b, d)));
    __asm__("" : "+m"(*(float (*)[ROWS * BATCH])turned)); /* read from there: taking vectors apart is work for the lookups' port */
}

static inline __m128 add_four(__m128 sum, const float *turned)
{
    for (int b = 0; b < 4; b++) sum = _mm_add_ps(sum, _mm_load_ps(turned + ROWS * b));
    return sum;
}

/* The products of four rows -> mine; returns the sums of the four before, whose products are `last`: each has n_batches
 * times four vectors to go through, so there is one of these for one of those. */
INLINE __m128 multiply_rows(const uint8_t *rows, int64_t row_bytes, int64_t n_batches, const struct batch *x, const struct lookups *t,
                            __m512 mine[][ROWS], const __m512 last[][ROWS])
{
    _Alignas(64) float turned[ROWS * BATCH];
    __m128 sum = _mm_setzero_ps();
    int64_t g = 0, r = 0;
    for (int64_t i = 0; i < n_batches; i++) {
        turn(last[i], turned);
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            mine[g][r] = multiply(rows + g * BATCH * BLOCK_BYTES, &x[g], t);
            sum = add_four(sum, turned + 4 * ROWS * k);
            if (++g == n_batches) g = 0, r++, rows += row_bytes;
        }
    }
    return sum;
}

void ggl_mxfp4_rows_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    struct batch batches[MAX_BATCHES];
    __m512 products[2 * MAX_BATCHES][ROWS];
    _Alignas(64) float turned[ROWS * BATCH];
    int64_t n_batches = n / (BATCH * BLOCK);
    if (n % (BATCH * BLOCK) || n_batches > MAX_BATCHES) { /* no published model */
        ggl_mxfp4_rows_avx2(rows, row_bytes, n, n_rows, x, y);
        return;
    }
    const struct lookups t = make_lookups();
    __m512 (*mine)[ROWS] = products, (*last)[ROWS] = products + n_batches, (*other)[ROWS];
    __m128 sum = _mm_setzero_ps();
    arrange(x, n, batches);
    memset(last, 0, (size_t)n_batches * sizeof(*last)); /* before the first rows there are none */
    for (int r = 0; r < n_rows; r += ROWS, rows += ROWS * row_bytes) {
        sum = multiply_rows(rows, row_bytes, n_batches, batches, &t, mine, (const __m512 (*)[ROWS])last);
        if (r) _mm_storeu_ps(y + r - ROWS, sum);
        other = last, last = mine, mine = other;
    }
    sum = _mm_setzero_ps();
    for (int64_t g = 0; g < n_batches; g++) {
        turn(last[g], turned);
        for (int k = 0; k < 4; k++) sum = add_four(sum, turned + 4 * ROWS * k);
    }
    _mm_storeu_ps(y + n_rows - ROWS, sum);
}
