/*
 * AVX-512 with VNNI and VBMI.
 *
 * Two blocks of a row are one 34-byte load; one byte permutation spreads their nibbles over 64 bytes, one looks the
 * weights up.  The dot-product instruction leaves eight partial sums a block; a tree over the 16 rows turns them
 * into one integer a row and block, so that scaling and summing go on with a row a lane.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>


enum { ROWS = 16, BLOCK = 32, BLOCK_BYTES = 17 };

struct tables {
    __m512i spread; /* byte positions of the codes of two blocks, each twice */
    __m512i shift;  /* multishift controls: low nibbles, then high nibbles of the same bytes */
    __m512i weights; /* 12 + twice the value, four times over: the index's upper bits are noise */
};

static struct tables make_tables(void)
{
    static const uint8_t biased[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
    uint8_t spread[64], shift[64];
    for (int i = 0; i < 64; i++) {
        spread[i] = (uint8_t)(i / 32 * BLOCK_BYTES + 1 + i % 16);
        shift[i] = (uint8_t)(8 * (i % 8) + (i % 32 >= 16 ? 4 : 0));
    }
    struct tables t;
    t.spread = _mm512_loadu_si512(spread);
    t.shift = _mm512_loadu_si512(shift);
    t.weights = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)biased));
    return t;
}

/* Two blocks of one row: their 64 biased weights in order. */
static inline __m512i unpack(const struct tables *t, const uint8_t *p, __mmask64 bytes)
{
    __m512i packed = _mm512_maskz_loadu_epi8(bytes, p);
    __m512i nibbles = _mm512_multishift_epi64_epi8(t->shift, _mm512_permutexvar_epi8(t->spread, packed));
    return _mm512_permutexvar_epi8(nibbles, t->weights);
}

/* d[r]: eight partial sums of block A, eight of block B.  -> one sum a row for each. */
static inline void add_up(__m512i d[ROWS], __m512i *a, __m512i *b)
{
    __m512i q[4], p[2];
    for (int i = 0; i < 4; i++) {
        __m512i s[2];
        for (int j = 0; j < 2; j++) {
            __m512i x = d[4 * i + 2 * j], y = d[4 * i + 2 * j + 1];
            s[j] = _mm512_add_epi32(_mm512_unpacklo_epi32(x, y), _mm512_unpackhi_epi32(x, y));
        }
        q[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(s[0], s[1]), _mm512_unpackhi_epi64(s[0], s[1]));
    }
    for (int i = 0; i < 2; i++)
        p[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(q[2 * i], q[2 * i + 1], 0x88),
                                _mm512_shuffle_i32x4(q[2 * i], q[2 * i + 1], 0xdd));
    *a = _mm512_shuffle_i32x4(p[0], p[1], 0x88);
    *b = _mm512_shuffle_i32x4(p[0], p[1], 0xdd);
}

/* Sixteen exponent bytes -> 2^(e - 128), the denormal ones as zero. */
static inline __m512 half_scales(const uint8_t *e)
{
    __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)e));
    __m512i bits = _mm512_slli_epi32(_mm512_sub_epi32(v, _mm512_set1_epi32(1)), 23);
    return _mm512_castsi512_ps(_mm512_maskz_mov_epi32(_mm512_cmpgt_epi32_mask(v, _mm512_set1_epi32(1)), bits));
}

static inline __m512 accumulate(__m512 sum, __m512i dot, int32_t code_sum, const uint8_t *e, float scale)
{
    dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(GGL_MXFP4_BIAS * code_sum));
    return _mm512_add_ps(sum, _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(half_scales(e), _mm512_set1_ps(scale))));
}

static inline void gather_scales(const uint8_t *rows, int64_t row_bytes, uint8_t e[2][ROWS])
{
    for (int r = 0; r < ROWS; r++) {
        e[0][r] = rows[r * row_bytes];
        e[1][r] = rows[r * row_bytes + BLOCK_BYTES];
    }
}

void ggl_mxfp4_rows_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, const int8_t *x, float *y)
{
    const struct tables t = make_tables();
    const float *scales = ggl_act_q8_scales(x, n);
    const int32_t *sums = ggl_act_q8_sums(x, n);
    const __mmask64 two = ((__mmask64)1 << (2 * BLOCK_BYTES)) - 1, one = ((__mmask64)1 << BLOCK_BYTES) - 1;
    uint8_t e[2][2][ROWS]; /* this pair's and the next one's: written a round ahead, so that loads do not wait */
    __m512 sum = _mm512_setzero_ps();
    __m512i d[ROWS], a, b;
    int64_t pairs = n / (2 * BLOCK), i = 0;
    if (pairs) gather_scales(rows, row_bytes, e[0]);
    for (; i < pairs; i++) {
        const uint8_t *p = rows + i * 2 * BLOCK_BYTES;
        __m512i codes = _mm512_loadu_si512(x + i * 2 * BLOCK);
        if (i + 1 < pairs) gather_scales(p + 2 * BLOCK_BYTES, row_bytes, e[(i + 1) & 1]);
        for (int r = 0; r < ROWS; r++)
            d[r] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), unpack(&t, p + r * row_bytes, two), codes);
        add_up(d, &a, &b);
        sum = accumulate(sum, a, sums[2 * i], e[i & 1][0], scales[2 * i]);
        sum = accumulate(sum, b, sums[2 * i + 1], e[i & 1][1], scales[2 * i + 1]);
    }
    if (n / BLOCK % 2) { /* a last single block */
        const uint8_t *p = rows + i * 2 * BLOCK_BYTES;
        __m512i codes = _mm512_maskz_loadu_epi8(0xffffffffu, x + i * 2 * BLOCK);
        for (int r = 0; r < ROWS; r++) {
            e[0][0][r] = p[r * row_bytes];
            d[r] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), unpack(&t, p + r * row_bytes, one), codes);
        }
        add_up(d, &a, &b);
        sum = accumulate(sum, a, sums[2 * i], e[0][0], scales[2 * i]);
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
    const __mmask64 half = 0x1ffffu;
    /* Rows r and r + 8 side by side: the second one's bytes 0..16 go to 17..33, where the next block would be. */
    uint8_t beside[64] = {0};
    for (int i = 0; i < 34; i++) beside[i] = (uint8_t)(i < 17 ? i : 64 + i - 17);
    const __m512i join = _mm512_loadu_si512(beside);
    for (int64_t b = 0; b < n / BLOCK; b++) {
        __m512i w[8];
        uint8_t e[ROWS];
        for (int r = 0; r < 8; r++) {
            const uint8_t *p = rows + r * row_bytes + b * BLOCK_BYTES, *q = p + 8 * row_bytes;
            __m512i both = _mm512_permutex2var_epi8(_mm512_maskz_loadu_epi8(half, p), join, _mm512_maskz_loadu_epi8(half, q));
            __m512i nibbles = _mm512_multishift_epi64_epi8(t.shift, _mm512_permutexvar_epi8(t.spread, both));
            w[r] = _mm512_permutexvar_epi8(nibbles, t.weights);
            e[r] = *p;
            e[r + 8] = *q;
        }
        transpose(w);
        _mm512_storeu_ps((float *)(void *)panel, half_scales(e));
        for (int j = 0; j < 8; j++) _mm512_storeu_si512(panel + 64 + 64 * j, w[j]);
        panel += 64 + ROWS * BLOCK;
    }
}
