/*
 * AVX-512 with VNNI and VBMI.
 *
 * One block of two rows, r and r + 8, fills a vector: [r low nibbles | r high | r + 8 low | r + 8 high], put there by
 * broadcasting loads.  The dot-product instruction leaves eight partial sums a row; a tree over the 16 rows turns them
 * into one integer a row, so that scaling and summing go on with a row a lane.  Shuffles are the scarce unit: the
 * tree blends first and shuffles once a pair.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 16, BLOCK = 32, BLOCK_BYTES = 17 };

struct tables {
    __m512i shift;   /* brings the high nibbles of lanes 1 and 3 down; what lies above them is noise */
    __m512i weights; /* 12 + twice the value, four times over, so that the noise does not matter */
};

static inline struct tables make_tables(void)
{
    const __m128i biased = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    struct tables t = {_mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4), _mm512_broadcast_i32x4(biased)};
    return t;
}

static inline __m128i codes_of(const uint8_t *block)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(block + 1));
}

/* The 32 biased weights of one block of row r (lower half) and of row r + 8 (upper half), in order. */
static inline __m512i unpack(const struct tables *t, const uint8_t *row, const uint8_t *row8)
{
    __m512i packed = _mm512_broadcast_i32x4(codes_of(row));
    packed = _mm512_mask_broadcast_i32x4(packed, 0xff00, codes_of(row8));
    return _mm512_permutexvar_epi8(_mm512_srlv_epi64(packed, t->shift), t->weights);
}

/* x and y: partial sums in groups of two `step` lanes; afterwards x's are in the even groups, y's in the odd ones. */
#define ADD_PAIR(x, y, mask, swap) \
    _mm512_add_epi32(_mm512_mask_blend_epi32(mask, x, y), swap(_mm512_mask_blend_epi32(mask, y, x)))
#define SWAP1(v) _mm512_shuffle_epi32(v, _MM_PERM_CDAB)
#define SWAP2(v) _mm512_shuffle_epi32(v, _MM_PERM_BADC)
#define SWAP4(v) _mm512_shuffle_i64x2(v, v, 0xb1)

/* d[r]: eight partial sums of row r, eight of row r + 8 -> one sum a row. */
static inline __m512i add_up(const __m512i d[8])
{
    __m512i s[4], q[2];
    for (int i = 0; i < 4; i++) s[i] = ADD_PAIR(d[2 * i], d[2 * i + 1], 0xaaaa, SWAP1);
    for (int i = 0; i < 2; i++) q[i] = ADD_PAIR(s[2 * i], s[2 * i + 1], 0xcccc, SWAP2);
    return ADD_PAIR(q[0], q[1], 0xf0f0, SWAP4);
}

/* Sixteen exponent bytes -> 2^(e - 128), the denormal ones as zero. */
static inline __m512 half_scales(const uint8_t *e)
{
    __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)e)), one = _mm512_set1_epi32(1);
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(_mm512_cmpgt_epi32_mask(v, one), _mm512_sub_epi32(v, one), 23));
}

static inline void gather_scales(const uint8_t *rows, int64_t row_bytes, uint8_t e[ROWS])
{
    for (int r = 0; r < ROWS; r++) e[r] = rows[r * row_bytes];
}

void ggl_mxfp4_rows_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, const int8_t *x, float *y)
{
    const struct tables t = make_tables();
    const float *scales = ggl_act_q8_scales(x, n);
    const int32_t *sums = ggl_act_q8_sums(x, n);
    uint8_t e[4][ROWS]; /* exponents of this block and the next ones: written ahead, so that loads do not wait */
    __m512 sum = _mm512_setzero_ps();
    int64_t n_blocks = n / BLOCK;
    for (int64_t b = 0; b < 2 && b < n_blocks; b++) gather_scales(rows + b * BLOCK_BYTES, row_bytes, e[b]);
    for (int64_t b = 0; b < n_blocks; b++, rows += BLOCK_BYTES) {
        __m512i codes = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)(x + b * BLOCK))), d[8];
        if (b + 2 < n_blocks) gather_scales(rows + 2 * BLOCK_BYTES, row_bytes, e[(b + 2) & 3]);
        for (int r = 0; r < 8; r++)
            d[r] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), unpack(&t, rows + r * row_bytes, rows + (r + 8) * row_bytes), codes);
        __m512i dot = _mm512_sub_epi32(add_up(d), _mm512_set1_epi32(GGL_MXFP4_BIAS * sums[b]));
        __m512 s = _mm512_mul_ps(half_scales(e[b & 3]), _mm512_set1_ps(scales[b]));
        sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_cvtepi32_ps(dot), s));
    }
    _mm512_storeu_ps(y, sum);
}

/* One block of 16 rows: 8 vectors of 4 inputs a row.  w[r] holds rows r (low half) and r + 8 (high half). */
static inline void transpose(__m512i w[8])
{
    const __m512i lo = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), hi = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    __m512i s[8], q[8];
    for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm512_unpacklo_epi32(w[2 * i], w[2 * i + 1]);
        s[2 * i + 1] = _mm512_unpackhi_epi32(w[2 * i], w[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            q[4 * i + 2 * j] = _mm512_unpacklo_epi64(s[4 * i + j], s[4 * i + 2 + j]);
            q[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(s[4 * i + j], s[4 * i + 2 + j]);
        }
    }
    for (int j = 0; j < 4; j++) {
        w[j] = _mm512_permutex2var_epi64(q[j], lo, q[4 + j]);
        w[4 + j] = _mm512_permutex2var_epi64(q[j], hi, q[4 + j]);
    }
}

void ggl_mxfp4_expand_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    const struct tables t = make_tables();
    for (int64_t b = 0; b < n / BLOCK; b++, rows += BLOCK_BYTES, panel += 64 + ROWS * BLOCK) {
        __m512i w[8];
        uint8_t e[ROWS];
        for (int r = 0; r < 8; r++) w[r] = unpack(&t, rows + r * row_bytes, rows + (r + 8) * row_bytes);
        gather_scales(rows, row_bytes, e);
        transpose(w);
        _mm512_storeu_ps((float *)(void *)panel, half_scales(e));
        for (int j = 0; j < 8; j++) _mm512_storeu_si512(panel + 64 + 64 * j, w[j]);
    }
}
