/*
 * AVX-512 with VNNI and VBMI, one token, for cores of GGL_ISA_INTEL: four rows side by side, fetched ahead in the order in which they
 * lie in memory.  While another program has half of such a core, its time for a line is hardly enough, so
 * each operation counts: 41 vector instructions for 16 blocks, where rows one after the other took 48.
 *
 * A step is four blocks of each of four rows, a lane of 128 bits a block.  A lookup under a mask picks codes from 64 bytes of
 * a row and puts them beside those of another: the first or the last eight of a block of rows a and b,
 * and the same of c and d.  So one chain of four dot products leaves two sums for each block and row, one packing and one addition
 * finish them, and sums stand with a row beside the other, as adding them up block by block needs them: no lane is
 * turned anywhere.
 *
 *     lane q of     ab01: a 0..7, b 0..7     ab23: a 8..15, b 8..15     sums: a, b, c, d     all of block q
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/fetch.h"
#include "kernels/x86_bytes512.h"

enum { ROWS = 4, BLOCKS = 4, BLOCK = 32, BLOCK_BYTES = 17, STEP = BLOCKS * BLOCK, STEP_BYTES = BLOCKS * BLOCK_BYTES, MOST_STEPS = 128 };

#define INLINE static inline __attribute__((always_inline))

/* Codes 4i .. 4i + 7 of a block, i = 0 or 2, have their low nibbles with inputs 4i .., their high ones with 16 + 4i ... */
struct inputs {
    __m512i low01, high01, low23, high23; /* lane q: eight inputs of block q, twice */
    __m512i start;                        /* of both sums of a block: what the bias of the weights adds, taken away */
    __m512 scale, less;                   /* of block q, four times; and what to add after scaling */
};

struct lookups {
    __m512i weights;          /* 12 + twice the value of a nibble, four times over: two bits above an index do not matter */
    __m512i codes01, codes23; /* lane q: bytes 1 .. 8 of block q, twice; bytes 9 .. 16 in what begins with byte 4 of block 0 */
    __m512i scales;           /* lane q: byte 0 of block q */
};

static inline __m512i block_of_lane(void)
{
    return _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
}

static inline struct lookups make_lookups(void)
{
    struct lookups t;
    t.weights = _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    t.scales = _mm512_mullo_epi32(block_of_lane(), _mm512_set1_epi32(BLOCK_BYTES * 0x01010101));
    t.codes01 = _mm512_add_epi8(t.scales, _mm512_set1_epi64(0x0807060504030201));
    t.codes23 = _mm512_add_epi8(t.codes01, _mm512_set1_epi8(8 - 4));
    return t;
}

static void arrange(const int8_t *x, int64_t n, struct inputs *in)
{
    const float *scales = ggl_act_q8_scales(x, n);
    const __m512i bias = _mm512_set1_epi8(GGL_MXFP4_BIAS);
    for (int64_t i = 0; i < n / STEP; i++, in++, x += STEP, scales += BLOCKS) {
        __m512i first = _mm512_loadu_si512(x), second = _mm512_loadu_si512(x + STEP / 2); /* lanes are halves of blocks */
        __m512i low = _mm512_shuffle_i64x2(first, second, 0x88), high = _mm512_shuffle_i64x2(first, second, 0xdd);
        in->low01 = _mm512_unpacklo_epi64(low, low);
        in->low23 = _mm512_unpackhi_epi64(low, low);
        in->high01 = _mm512_unpacklo_epi64(high, high);
        in->high23 = _mm512_unpackhi_epi64(high, high);
        __m512i more = _mm512_dpbusd_epi32(_mm512_setzero_si512(), bias, in->low01);
        more = _mm512_dpbusd_epi32(more, bias, in->high01);
        more = _mm512_dpbusd_epi32(more, bias, in->low23);
        in->start = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_dpbusd_epi32(more, bias, in->high23));
        in->scale = _mm512_permutexvar_ps(block_of_lane(), _mm512_castps128_ps512(_mm_loadu_ps(scales)));
        in->less = start_scaled(in->scale);
    }
}

/* The codes of two rows, half of each lane's. */
INLINE __m512i beside(const __m512i lookup, __m512i a, __m512i b)
{
    return _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(lookup, a), 0xff00ff00ff00ff00, lookup, b);
}

/* 2^(e - 128) of four rows, the denormal ones as zero: exponents go to the upper bytes of words. */
INLINE __m512 half_scales(const struct lookups *t, const __m512i row[ROWS])
{
    __m512i e = _mm512_maskz_permutexvar_epi8(0x0008000800080008, t->scales, row[0]);
    e = _mm512_mask_permutexvar_epi8(e, 0x0080008000800080, t->scales, row[1]);
    e = _mm512_mask_permutexvar_epi8(e, 0x0800080008000800, t->scales, row[2]);
    e = _mm512_mask_permutexvar_epi8(e, 0x8000800080008000, t->scales, row[3]);
    return _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_subs_epu8(e, _mm512_set1_epi8(1)), 1));
}

/* Two sums for each block of two rows. */
INLINE __m512i dots(const struct lookups *t, __m512i codes01, __m512i codes23, const struct inputs *x)
{
    __m512i d = _mm512_dpbusd_epi32(x->start, _mm512_permutexvar_epi8(codes01, t->weights), x->low01);
    d = _mm512_dpbusd_epi32(d, _mm512_permutexvar_epi8(_mm512_srli_epi16(codes01, 4), t->weights), x->high01);
    d = _mm512_dpbusd_epi32(d, _mm512_permutexvar_epi8(codes23, t->weights), x->low23);
    return _mm512_dpbusd_epi32(d, _mm512_permutexvar_epi8(_mm512_srli_epi16(codes23, 4), t->weights), x->high23);
}

INLINE __m512i load_once(const uint8_t *p)
{
    __m512i v = _mm512_loadu_si512(p);
    __asm__("" : "+v"(v)); /* each lookup would load it again */
    return v;
}

/* Four blocks of four rows, added to the rows' sums in their order. */
INLINE __m128 add_step(const struct lookups *t, const uint8_t *blocks, int64_t row_bytes, const struct inputs *x, __m128 sum)
{
    const uint8_t *below = blocks + 2 * row_bytes;
    const __m512i row[ROWS] = {load_once(blocks), load_once(blocks + row_bytes), load_once(below), load_once(below + row_bytes)};
    const __m512i ab01 = beside(t->codes01, row[0], row[1]), cd01 = beside(t->codes01, row[2], row[3]);
    const __m512i ab23 = beside(t->codes23, _mm512_loadu_si512(blocks + 4), _mm512_loadu_si512(blocks + row_bytes + 4));
    const __m512i cd23 = beside(t->codes23, _mm512_loadu_si512(below + 4), _mm512_loadu_si512(below + row_bytes + 4));
    /* Weights are 12 or less here, so that sixteen products are within 16 bits. */
    const __m512i both = _mm512_packs_epi32(dots(t, ab01, ab23, x), dots(t, cd01, cd23, x));
    const __m512i dot = _mm512_dpwssd_epi32(sum_start(), both, _mm512_set1_epi16(1));
    _Alignas(64) float products[BLOCKS][ROWS], scales[BLOCKS][ROWS];
    _mm512_store_ps(products[0], scale_sum(dot, x->scale, x->less));
    _mm512_store_ps(scales[0], half_scales(t, row));
    __asm__("" : "+m"(products), "+m"(scales)); /* read from there: taking vectors apart is work for the lookups' port */
    for (int b = 0; b < BLOCKS; b++) sum = _mm_fmadd_ps(_mm_load_ps(products[b]), _mm_load_ps(scales[b]), sum);
    return sum;
}

void ggl_mxfp4_rows_intel(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    struct inputs inputs[MOST_STEPS];
    if (n % STEP || n / STEP > MOST_STEPS) { /* no published model */
        ggl_mxfp4_rows_avx2(rows, row_bytes, n, n_rows, x, y);
        return;
    }
    arrange(x, n, inputs);
    const struct lookups t = make_lookups();
    const struct ggl_fetch ahead = {20480, 10240}; /* the nearer one is beyond the last of four rows */
    for (int r = 0; r < n_rows; r += ROWS, rows += ROWS * row_bytes) {
        __m128 sum = _mm_setzero_ps();
        for (int64_t i = 0; i < n / STEP; i++) {
            ggl_fetch_pairs(ahead, rows + i * ROWS * STEP_BYTES, ROWS * STEP_BYTES);
            sum = add_step(&t, rows + i * STEP_BYTES, row_bytes, &inputs[i], sum);
        }
        _mm_storeu_ps(y + r, sum);
    }
}
