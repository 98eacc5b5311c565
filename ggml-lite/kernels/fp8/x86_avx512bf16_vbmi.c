/*
 * AVX-512 with BF16 and VBMI: 64 codes become 64 BF16 by two lookups of 128 bytes (upper and lower byte), the
 * sign is put back, and the dot-product instruction adds two products a lane.  For one token the two chains of sums limit
 * what comes from a cache (38 GB/s a core), but not from memory, where reading two tiles at a time was slower.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/fp8/flags.h"

enum { TOKENS = 8 };

/* BF16 of every positive E4M3 code, exact: upper and lower bytes, eight codes a line.  The first line's are denormal as
 * E4M3 and normal as BF16; the last code is no number. */
#define EIGHT(x) x, x, x, x, x, x, x, x
#define UPPER(x) EIGHT(x), EIGHT(x)
#define STEPS(x) x, x + 0x10, x + 0x20, x + 0x30, x + 0x40, x + 0x50, x + 0x60, x + 0x70
#define LOWER STEPS(0), STEPS(0x80)
static const uint8_t upper_bytes[128] = {0, 0x3b, 0x3b, 0x3b, 0x3c, 0x3c, 0x3c, 0x3c, EIGHT(0x3c),
                                         UPPER(0x3d), UPPER(0x3e), UPPER(0x3f), UPPER(0x40), UPPER(0x41), UPPER(0x42),
                                         EIGHT(0x43), 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x7f};
static const uint8_t lower_bytes[128] = {0, 0, 0x80, 0xc0, 0, 0x20, 0x40, 0x60, STEPS(0x80),
                                         LOWER, LOWER, LOWER, LOWER, LOWER, LOWER,
                                         STEPS(0), 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0, 0xe0, 0xc0};

struct tables {
    __m512i high[2], low[2];
};

static inline struct tables load_tables(void)
{
    struct tables t;
    for (int i = 0; i < 2; i++) {
        t.high[i] = _mm512_loadu_si512(upper_bytes + 64 * i);
        t.low[i] = _mm512_loadu_si512(lower_bytes + 64 * i);
    }
    return t;
}

static inline __m512bh pair_of(const uint16_t *x)
{
    int32_t v;
    memcpy(&v, x, 4);
    return (__m512bh)_mm512_set1_epi32(v);
}

/* A group of 64 codes -> both pairs of inputs of 16 rows. */
static inline __attribute__((always_inline)) void decode(const struct tables *t, const uint8_t *group, __m512bh w[2])
{
    __m512i codes = _mm512_loadu_si512(group);
    __asm__("" : "+v"(codes)); /* loaded once, not once a lookup */
    __m512i high = _mm512_permutex2var_epi8(t->high[0], codes, t->high[1]);
    __m512i low = _mm512_permutex2var_epi8(t->low[0], codes, t->low[1]);
    high = _mm512_ternarylogic_epi32(high, codes, _mm512_set1_epi8((char)0x80), 0xf8); /* high | (codes & sign) */
    w[0] = (__m512bh)_mm512_unpacklo_epi8(low, high);
    w[1] = (__m512bh)_mm512_unpackhi_epi8(low, high);
}

static inline __attribute__((always_inline)) void run_tokens(const struct tables *t, const uint8_t *panel, int64_t n,
                                                             const uint16_t *x, int64_t x_stride, const int count,
                                                             __m512 *sum)
{
    const uint8_t *scales = panel + n * GGL_FP8_ROWS;
    for (int64_t i = 0; i < n; scales += 4) {
        __m512 s0[TOKENS], s1[TOKENS];
        int64_t end = i + GGL_FP8_TILE < n ? i + GGL_FP8_TILE : n;
        for (int k = 0; k < count; k++) s0[k] = s1[k] = _mm512_setzero_ps();
        for (; i < end; i += 4) {
            __m512bh w[2];
            decode(t, panel + i * GGL_FP8_ROWS, w);
            for (int k = 0; k < count; k++) {
                s0[k] = _mm512_dpbf16_ps(s0[k], w[0], pair_of(x + k * x_stride + i));
                s1[k] = _mm512_dpbf16_ps(s1[k], w[1], pair_of(x + k * x_stride + i + 2));
            }
        }
        float scale;
        memcpy(&scale, scales, 4);
        for (int k = 0; k < count; k++)
            sum[k] = _mm512_add_ps(sum[k], _mm512_mul_ps(_mm512_add_ps(s0[k], s1[k]), _mm512_set1_ps(scale)));
    }
}

void ggl_fp8_mul_avx512(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                        int64_t y_stride, int n_rows, bool more)
{
    const struct tables t = load_tables();
    __mmask16 rows = (__mmask16)((1u << n_rows) - 1), old = more ? rows : 0;
    for (int64_t k = 0; k < n_tokens;) {
        const uint16_t *v = x + k * x_stride;
        int64_t left = n_tokens - k;
        int count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        __m512 sum[TOKENS];
        for (int i = 0; i < count; i++) sum[i] = _mm512_maskz_loadu_ps(old, y + (k + i) * y_stride);
        if (count == 8) run_tokens(&t, panel, n, v, x_stride, 8, sum);
        else if (count == 4) run_tokens(&t, panel, n, v, x_stride, 4, sum);
        else if (count == 2) run_tokens(&t, panel, n, v, x_stride, 2, sum);
        else run_tokens(&t, panel, n, v, x_stride, 1, sum);
        for (int i = 0; i < count; i++) _mm512_mask_storeu_ps(y + (k + i) * y_stride, rows, sum[i]);
        k += count;
    }
}

/* Four rows by four inputs -> 16 bytes of a group: the first pair of each row, then the second. */
static inline __m128i four_rows(const uint8_t *rows, int64_t row_bytes)
{
    int32_t v[4];
    for (int r = 0; r < 4; r++) memcpy(&v[r], rows + r * row_bytes, 4);
    return _mm_shuffle_epi8(_mm_set_epi32(v[3], v[2], v[1], v[0]), _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
}

void ggl_fp8_pack_avx512(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    if (n_rows < GGL_FP8_ROWS) {
        ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
        return;
    }
    uint32_t flags = ggl_fp8_flags(rows, row_bytes, n_rows, n);
    for (int64_t i = 0; i < n; i += 4)
        for (int l = 0; l < 4; l++)
            _mm_storeu_si128((__m128i *)(void *)(panel + 16 * i + 16 * l), four_rows(rows + 4 * l * row_bytes + i, row_bytes));
    memcpy(panel + ggl_fp8_flags_at(n), &flags, 4);
}
