/*
 * AVX-512 with FP16, for processors that multiply floats twice as fast as pairs of BF16, and halves twice as fast as
 * floats.  The order is the one that fp8.h has for it.
 *
 * A code of E4M3 is a half once it is shifted, a 256th of its value, and denormal numbers and zeros are no case of their
 * own.  A vector has two inputs of 16 rows, which one broadcast of 32 bits serves.  Panels are in an order of their own: byte
 * 4 r + 2 i + p of a group of four inputs is row r and input 2 p + i, so that the upper and the lower bytes of 16 bits
 * become a vector each.
 *
 * One token's weights are read once, and fetched ahead.  For more tokens a tile of 128 inputs of two panels is widened into the
 * first-level cache; TOKENS of them meet it at a time.  Of the four sums of a tile the first two, and then the others, are
 * in registers.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/fetch.h"
#include "kernels/fp8/flags.h"
#include "kernels/math/x86_halves.h"

enum { ROWS = GGL_FP8_ROWS, TILE = GGL_FP8_TILE, GROUP = 4, GROUP_BYTES = GROUP * ROWS };
enum { FEW = 2, TOKENS = 12, PANELS = 2 };

#define INLINE static inline __attribute__((always_inline))

/* A group of four inputs: w[p], lane 2 r + i: a 256th of row r, input 2 p + i. */
INLINE void widen_group(const uint8_t *codes, __m512h w[2])
{
    const __m512i code = _mm512_set1_epi16((short)0xbf80);
    __m512i v = _mm512_loadu_si512(codes);
    __asm__("" : "+v"(v)); /* loaded once */
    w[0] = _mm512_castsi512_ph(_mm512_and_si512(_mm512_srai_epi16(_mm512_slli_epi16(v, 8), 1), code));
    w[1] = _mm512_castsi512_ph(_mm512_and_si512(_mm512_srai_epi16(v, 1), code));
}

/* sum + the four sums of a tile, scaled. */
INLINE __m512 add_tile(__m512 sum, __m512h first, __m512h second, __m512 scale)
{
    __m512i both = _mm512_castph_si512(_mm512_add_ph(first, second));
    __m512h all = _mm512_add_ph(_mm512_castsi512_ph(both), _mm512_castsi512_ph(_mm512_rol_epi32(both, 16)));
    return _mm512_fmadd_ps(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_castph_si512(all))), scale, sum);
}

/* For weights that are a 256th of theirs. */
INLINE __m512 scale_of(const uint8_t *panel, int64_t n, int64_t i)
{
    float scale;
    memcpy(&scale, panel + n * ROWS + i / TILE * 4, 4);
    return _mm512_set1_ps(scale * 256);
}

INLINE int inputs_of(int64_t i, int64_t n)
{
    return (int)(n - i < TILE ? n - i : TILE);
}

static inline __mmask16 rows_from(int n_rows, int r)
{
    return (__mmask16)(n_rows - r < ROWS ? (1u << (n_rows - r)) - 1 : 0xffff);
}

/* ---- up to FEW tokens: from codes to sums at once */

INLINE void mul_few(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, const int count, float *y, int64_t y_stride,
                    __mmask16 rows, bool more)
{
    const struct ggl_fetch ahead = {12288, 6144};
    const uint8_t *codes = panel;
    __m512 sum[FEW];
    for (int k = 0; k < count; k++) sum[k] = _mm512_maskz_loadu_ps(more ? rows : 0, y + k * y_stride);
    for (int64_t tile = 0; tile < n; tile += TILE) {
        const int inputs = inputs_of(tile, n);
        __m512h s[2][FEW];
        for (int k = 0; k < count; k++) s[0][k] = s[1][k] = _mm512_setzero_ph();
        for (int i = 0; i < inputs; i += GROUP, codes += GROUP_BYTES) {
            __m512h w[2];
            ggl_fetch_line(ahead, codes);
            widen_group(codes, w);
            for (int k = 0; k < count; k++)
                for (int p = 0; p < 2; p++) s[p][k] = _mm512_fmadd_ph(w[p], ggl_broadcast_pair(x + k * x_stride + tile + i + 2 * p), s[p][k]);
        }
        for (int k = 0; k < count; k++) sum[k] = add_tile(sum[k], s[0][k], s[1][k], scale_of(panel, n, tile));
    }
    for (int k = 0; k < count; k++) _mm512_mask_storeu_ps(y + k * y_stride, rows, sum[k]);
}

/* ---- more: tile by tile */

/* A tile of two panels, and so many tokens. */
struct tile {
    _Alignas(64) uint16_t w[2][PANELS][TILE / GROUP][2 * ROWS]; /* the first pairs of all groups, then the second */
    __m512 scale[PANELS];
    __mmask16 rows[PANELS]; /* 0 for a panel that is not there */
    int groups;
    bool more;
};

static void widen_tile(struct tile *t, const uint8_t *panel, int64_t n, int64_t begin, int n_rows)
{
    t->groups = inputs_of(begin, n) / GROUP;
    for (int p = 0; p < PANELS; p++, panel += ggl_fp8_panel_bytes(n)) {
        const uint8_t *codes = panel + begin * ROWS;
        t->rows[p] = p * ROWS < n_rows ? rows_from(n_rows, p * ROWS) : 0;
        if (!t->rows[p]) {
            t->scale[p] = _mm512_setzero_ps();
            memset(t->w[0][p], 0, sizeof(t->w[0][p])), memset(t->w[1][p], 0, sizeof(t->w[1][p]));
            continue;
        }
        t->scale[p] = scale_of(panel, n, begin);
        for (int g = 0; g < t->groups; g++, codes += GROUP_BYTES) {
            __m512h w[2];
            widen_group(codes, w);
            for (int h = 0; h < 2; h++) _mm512_store_si512(t->w[h][p][g], _mm512_castph_si512(w[h]));
        }
    }
}

/* The sums of one half: the first pairs of each group, or the second ones. */
INLINE void add_half(const struct tile *t, const int half, const uint16_t *x, int64_t x_stride, const int count, __m512h s[TOKENS][PANELS])
{
    const uint16_t *at[(TOKENS + 2) / 3];
#pragma GCC unroll 4
    for (int i = 0; i < (TOKENS + 2) / 3; i++) at[i] = x + 3 * i * x_stride + 2 * half;
#pragma GCC unroll 12
    for (int k = 0; k < count; k++)
        for (int p = 0; p < PANELS; p++) s[k][p] = _mm512_setzero_ph();
    for (int g = 0; g < t->groups; g++) {
        __m512h w0 = ggl_load_halves(t->w[half][0][g]), w1 = ggl_load_halves(t->w[half][1][g]);
        __asm__("" : "+v"(w0), "+v"(w1)); /* loaded once */
#pragma GCC unroll 12
        for (int k = 0; k < count; k++) {
            __m512h v = ggl_broadcast_pair(at[k / 3] + k % 3 * x_stride);
            __asm__("" : "+v"(v));
            s[k][0] = _mm512_fmadd_ph(w0, v, s[k][0]);
            s[k][1] = _mm512_fmadd_ph(w1, v, s[k][1]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < (TOKENS + 2) / 3; i++) {
            at[i] += GROUP;
            __asm__("" : "+r"(at[i])); /* or the compiler would keep more addresses than there are registers */
        }
    }
}

INLINE void run_tile(const struct tile *t, const uint16_t *x, int64_t x_stride, const int count, float *y, int64_t y_stride)
{
    __m512h s[TOKENS][PANELS];
    _Alignas(64) uint16_t first[TOKENS][PANELS][2 * ROWS];
    add_half(t, 0, x, x_stride, count, s);
#pragma GCC unroll 12
    for (int k = 0; k < count; k++)
        for (int p = 0; p < PANELS; p++) _mm512_store_si512(first[k][p], _mm512_castph_si512(s[k][p]));
    add_half(t, 1, x, x_stride, count, s);
#pragma GCC unroll 12
    for (int k = 0; k < count; k++) {
        for (int p = 0; p < PANELS; p++) {
            float *out = y + k * y_stride + p * ROWS;
            __m512 sum = _mm512_maskz_loadu_ps(t->more ? t->rows[p] : 0, out);
            _mm512_mask_storeu_ps(out, t->rows[p], add_tile(sum, ggl_load_halves(first[k][p]), s[k][p], t->scale[p]));
        }
    }
}

#define RUN(n)                                                                                                         \
    static __attribute__((noinline)) void run_##n(const struct tile *t, const uint16_t *x, int64_t x_stride, float *y, int64_t y_stride) \
    {                                                                                                                  \
        run_tile(t, x, x_stride, n, y, y_stride);                                                                      \
    }
RUN(1) RUN(2) RUN(3) RUN(4) RUN(5) RUN(6) RUN(7) RUN(8) RUN(9) RUN(10) RUN(11) RUN(12)
#undef RUN

/* Up to PANELS panels. */
static void mul_many(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                     int64_t y_stride, int n_rows, bool more)
{
    static void (*const run[])(const struct tile *, const uint16_t *, int64_t, float *, int64_t) = {
        run_1, run_2, run_3, run_4, run_5, run_6, run_7, run_8, run_9, run_10, run_11, run_12};
    const int64_t n_runs = (n_tokens + TOKENS - 1) / TOKENS; /* all of nearly the same size */
    struct tile t;
    for (int64_t i = 0; i < n; i += TILE) {
        widen_tile(&t, panel, n, i, n_rows);
        t.more = more || i > 0;
        for (int64_t j = 0, k = 0, end; j < n_runs; j++, k = end) {
            end = (j + 1) * n_tokens / n_runs;
            run[end - k - 1](&t, x + k * x_stride + i, x_stride, y + k * y_stride, y_stride);
        }
    }
}

void ggl_fp8_mul_avx512fp16(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows, bool more)
{
    const int64_t bytes = ggl_fp8_panel_bytes(n);
    const int step = n_tokens > FEW ? PANELS * ROWS : ROWS;
    for (int r = 0; r < n_rows; r += step) {
        const uint8_t *first = panel + r / ROWS * bytes;
        if (n_tokens > FEW) mul_many(first, n, x, x_stride, n_tokens, y + r, y_stride, n_rows - r, more);
        else if (n_tokens == 2) mul_few(first, n, x, x_stride, 2, y + r, y_stride, rows_from(n_rows, r), more);
        else mul_few(first, n, x, x_stride, 1, y + r, y_stride, rows_from(n_rows, r), more);
    }
    for (int r = 0; r < n_rows; r += ROWS)
        ggl_fp8_spoil(panel + r / ROWS * bytes, n, n_tokens, y + r, y_stride, n_rows - r < ROWS ? n_rows - r : ROWS);
}

/* Four inputs of up to four rows; those of missing rows are zeros. */
static inline __m128i four_rows(const uint8_t *rows, int64_t row_bytes, int n_rows)
{
    int32_t v[4] = {0};
    for (int r = 0; r < n_rows; r++) memcpy(&v[r], rows + r * row_bytes, GROUP);
    return _mm_shuffle_epi8(_mm_set_epi32(v[3], v[2], v[1], v[0]), _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
}

void ggl_fp8_pack_avx512fp16(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    for (int r = 0; r < ROWS; r += 4) {
        const int count = n_rows - r < 4 ? n_rows - r : 4;
        const uint8_t *from = count > 0 ? rows + r * row_bytes : rows;
        __m128i *to = (__m128i *)(void *)(panel + r * GROUP);
        for (int64_t i = 0; i < n; i += GROUP, to += ROWS * GROUP / 16)
            _mm_storeu_si128(to, count == 4 ? four_rows(from + i, row_bytes, 4) : four_rows(from + i, row_bytes, count));
    }
    ggl_fp8_write_flags(rows, row_bytes, n_rows, n, panel);
}

void ggl_act_fp8_avx512fp16(const float *x, int64_t n, uint16_t *out)
{
    const struct ggl_act_fp8_scaling scaling = ggl_scaling_of(x, n);
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 m = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(scaling.up != 0 ? m : 0, x + i), _mm512_set1_ps(scaling.up));
        _mm256_mask_storeu_epi16(out + i, m, ggl_to_halves(v));
    }
    ggl_act_fp8_put_scale(out, n, scaling.down);
}
