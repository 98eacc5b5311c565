/*
 * AVX-512 with VNNI and VBMI: one token.
 *
 * Rows are read one after the other, as they lie in memory: that is what the processor fetches ahead by itself.  Sixteen
 * blocks of a row become four vectors of four blocks; the dot-product instruction leaves four sums a block, which are
 * added up to one vector of 16 integers, scaled, and kept.  After 16 rows these products are turned round, and summed
 * block by block with a row a lane: the order that every level has.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"

enum { ROWS = 16, BLOCK = 32, BLOCK_BYTES = 17, BATCH = 16, MAX_BATCHES = 32 };

/* What 16 blocks of a row are multiplied with: vector i has blocks i, i + 4, i + 8 and i + 12. */
struct batch {
    __m512i low[4], high[4]; /* activations for low nibbles (inputs 0..15 of a block) and for high ones */
    __m512i correction;      /* for the bias of the weights */
    __m512 scale;
};

static inline __m128i load16(const void *p)
{
    return _mm_loadu_si128(p);
}

/* Lanes of 128 bits at p, p + 4 * step, ...; three loads of the four are part of an insertion. */
static inline __attribute__((always_inline)) __m512i load_four(const uint8_t *p, const int64_t step)
{
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p)), load16(p + 4 * step), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p + 8 * step)), load16(p + 12 * step), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

static void arrange(const int8_t *x, int64_t n, struct batch *batches)
{
    const float *scales = ggl_act_q8_scales(x, n);
    const int32_t *sums = ggl_act_q8_sums(x, n);
    for (int64_t g = 0; g < n / (BATCH * BLOCK); g++) {
        const uint8_t *codes = (const uint8_t *)x + g * BATCH * BLOCK;
        for (int i = 0; i < 4; i++) {
            batches[g].low[i] = load_four(codes + i * BLOCK, BLOCK);
            batches[g].high[i] = load_four(codes + i * BLOCK + 16, BLOCK);
        }
        batches[g].correction = _mm512_mullo_epi32(_mm512_loadu_si512(sums + g * BATCH), _mm512_set1_epi32(-GGL_MXFP4_BIAS));
        batches[g].scale = _mm512_loadu_ps(scales + g * BATCH);
    }
}

/* d[i], lane q: four sums of block 4q + i, each of eight products and so below 2^15 -> one sum a block, in order. */
static inline __m512i add_up(const __m512i d[4])
{
    const __m512i ones = _mm512_set1_epi16(1);
    __m512 d01 = _mm512_castsi512_ps(_mm512_madd_epi16(_mm512_packs_epi32(d[0], d[1]), ones));
    __m512 d23 = _mm512_castsi512_ps(_mm512_madd_epi16(_mm512_packs_epi32(d[2], d[3]), ones));
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(d01, d23, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(d01, d23, 0xdd)));
}

/* 2^(e - 128) of 16 blocks, the denormal ones as zero.  Four loads of 64 bytes see four exponents each. */
static inline __m512 half_scales(const uint8_t *blocks)
{
    const __m512i every17 = _mm512_set1_epi32(51 << 24 | 34 << 16 | 17 << 8);
    __m512i e = _mm512_permutexvar_epi8(every17, _mm512_loadu_si512(blocks));
    for (int k = 1; k < 4; k++)
        e = _mm512_mask_permutexvar_epi8(e, (__mmask64)15 << 4 * k, every17, _mm512_loadu_si512(blocks + 4 * k * BLOCK_BYTES));
    __m128i bytes = _mm_subs_epu8(_mm512_castsi512_si128(e), _mm_set1_epi8(1));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23));
}

/* The scaled products of 16 blocks. */
static inline __m512 multiply(const uint8_t *blocks, const struct batch *x, __m512i table)
{
    const __m512i shift4 = _mm512_set1_epi16(1 << 12); /* as a product: shifts and shuffles compete */
    __m512i d[4];
    for (int i = 0; i < 4; i++) {
        __m512i codes = load_four(blocks + i * BLOCK_BYTES + 1, BLOCK_BYTES);
        d[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_permutexvar_epi8(codes, table), x->low[i]);
        d[i] = _mm512_dpbusd_epi32(d[i], _mm512_permutexvar_epi8(_mm512_mulhi_epu16(codes, shift4), table), x->high[i]);
    }
    __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(add_up(d), x->correction));
    return _mm512_mul_ps(dot, _mm512_mul_ps(half_scales(blocks), x->scale));
}

void ggl_mxfp4_rows_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    /* 12 + twice the value of a nibble, four times over, so that the two bits above an index do not matter. */
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    struct batch batches[MAX_BATCHES];
    __m512 products[MAX_BATCHES][ROWS];
    int64_t n_batches = n / (BATCH * BLOCK);
    if (n % (BATCH * BLOCK) || n_batches > MAX_BATCHES) { /* no published model */
        ggl_mxfp4_rows_avx2(rows, row_bytes, n, n_rows, x, y);
        return;
    }
    arrange(x, n, batches);
    for (int first = 0; first < n_rows; first += ROWS) {
        for (int r = 0; r < ROWS; r++, rows += row_bytes)
            for (int64_t g = 0; g < n_batches; g++)
                products[g][r] = multiply(rows + g * BATCH * BLOCK_BYTES, &batches[g], table);
        __m512 sum = _mm512_setzero_ps();
        for (int64_t g = 0; g < n_batches; g++) {
            ggl_transpose16(products[g]);
            for (int b = 0; b < BATCH; b++) sum = _mm512_add_ps(sum, products[g][b]);
        }
        _mm512_storeu_ps(y + first, sum);
    }
}
