/*
 * AVX-512 with VBMI, for processors that multiply floats twice as fast as pairs of BF16: the BF16 of x86_vbmi.h are
 * widened, and products and sums fused, which gives the same bits, because the products are exact.
 *
 * One token's weights are read once, and fetched ahead.  For more tokens a tile of 128 inputs of two panels is decoded into
 * the first-level cache; TOKENS of them meet it at a time, with both sums of each in registers.  Activations are widened
 * once for all panels.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/fp8/x86_vbmi.h"
#include "kernels/fetch.h"

enum { ROWS = GGL_FP8_ROWS, TILE = GGL_FP8_TILE, STEP = GGL_FP8_STEP };
enum { FEW = 3, PART = 1024 };                       /* inputs that are widened at a time for FEW tokens */
enum { TOKENS = 6, PAIR = 2, CHUNK = 48, PANELS = 4 }; /* tokens and panels that are widened and decoded for each other */

#define INLINE static inline __attribute__((always_inline))

static const struct ggl_fetch ahead = {12288, 6144};

/* Of sixteen pairs, the first and the second values. */
INLINE __m512 first(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

INLINE __m512 second(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)));
}

INLINE int64_t end_of_tile(int64_t i, int64_t n)
{
    return i + TILE < n ? i + TILE : n;
}

/* n inputs (a multiple of 4) of some tokens as floats, `pitch` apart. */
static void widen(const uint16_t *x, int64_t x_stride, int n, int n_tokens, float *out, int pitch)
{
    for (int k = 0; k < n_tokens; k++, x += x_stride, out += pitch) {
        for (int i = 0; i < n; i += 16) {
            __mmask16 m = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
            _mm512_mask_storeu_ps(out + i, m, first(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, x + i))));
        }
    }
}

/* sum + (s0 + s1) * scale */
INLINE __m512 add_tile(__m512 sum, __m512 s0, __m512 s1, float scale)
{
    return _mm512_add_ps(sum, _mm512_mul_ps(_mm512_add_ps(s0, s1), _mm512_set1_ps(scale)));
}

/* ---- up to FEW tokens: from codes to sums at once */

/* The two sums of each token, from n inputs on. */
INLINE void add_inputs(const struct tables *t, const uint8_t *codes, int n, const bool normal, const float *x, const int count,
                       __m512 s0[FEW], __m512 s1[FEW])
{
    __asm__("" : "+r"(codes)); /* one register for all addresses, those that are fetched, too */
    for (int i = 0; i < n; i += 4, codes += 4 * ROWS) {
        __m512i w[2];
        ggl_fetch_line(ahead, codes);
        decode_group(t, codes, normal, w);
        for (int k = 0; k < count; k++) {
            const float *v = x + k * PART + i;
            s0[k] = _mm512_fmadd_ps(second(w[0]), _mm512_set1_ps(v[1]), s0[k]);
            s1[k] = _mm512_fmadd_ps(second(w[1]), _mm512_set1_ps(v[3]), s1[k]);
            s0[k] = _mm512_fmadd_ps(first(w[0]), _mm512_set1_ps(v[0]), s0[k]);
            s1[k] = _mm512_fmadd_ps(first(w[1]), _mm512_set1_ps(v[2]), s1[k]);
        }
    }
}

/* Inputs [begin, end) of one panel; x [count][PART] are those from `begin` on, a multiple of TILE. */
INLINE void run_few(const struct tables *t, const uint8_t *panel, int64_t n, int64_t begin, int64_t end, const float *x,
                    const int count, __m512 sum[FEW])
{
    for (int64_t tile = begin; tile < end; tile += TILE, x += TILE) {
        __m512 s0[FEW], s1[FEW];
        float scale = scale_of(panel, n, tile);
        const int inputs = (int)(end_of_tile(tile, end) - tile);
        for (int k = 0; k < count; k++) s0[k] = s1[k] = _mm512_setzero_ps();
        for (int i = 0; i < inputs; i += STEP) {
            const uint8_t *codes = panel + (tile + i) * ROWS;
            const int some = inputs - i < STEP ? inputs - i : STEP;
            if (some == STEP && is_normal(panel, n, tile + i)) add_inputs(t, codes, STEP, true, x + i, count, s0, s1);
            else add_inputs(t, codes, some, false, x + i, count, s0, s1);
        }
        for (int k = 0; k < count; k++) sum[k] = add_tile(sum[k], s0[k], s1[k], scale);
    }
}

INLINE void mul_few(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, const int count, float *y,
                    int64_t y_stride, int n_rows, bool more)
{
    const struct tables t = load_tables();
    _Alignas(64) float wide[FEW * PART];
    for (int r = 0; r < n_rows; r += ROWS, panel += ggl_fp8_panel_bytes(n)) {
        __mmask16 rows = mask_of(rows_of(n_rows, r));
        __m512 sum[FEW];
        for (int k = 0; k < count; k++) sum[k] = _mm512_maskz_loadu_ps(more ? rows : 0, y + k * y_stride + r);
        fetch_end(panel + ggl_fp8_panel_bytes(n), n);
        for (int64_t i = 0, end; i < n; i = end) {
            end = i + PART < n ? i + PART : n;
            if (r == 0 || n > PART) widen(x + i, x_stride, (int)(end - i), count, wide, PART);
            run_few(&t, panel, n, i, end, wide, count, sum);
        }
        for (int k = 0; k < count; k++) _mm512_mask_storeu_ps(y + k * y_stride + r, rows, sum[k]);
    }
}

/* ---- more: tile by tile */

/* n inputs from `begin` on of a panel of n_in, an input a vector. */
static void decode_tile(const struct tables *t, const uint8_t *panel, int64_t n_in, int64_t begin, int n, float *w)
{
    const uint8_t *codes = panel + begin * ROWS;
    for (int i = 0; i < n; i += 4, w += 4 * ROWS) {
        __m512i pairs[2];
        decode_group(t, codes + i * ROWS, is_normal(panel, n_in, begin + i), pairs);
        for (int p = 0; p < 2; p++) {
            _mm512_store_ps(w + 2 * p * ROWS, first(pairs[p]));
            _mm512_store_ps(w + (2 * p + 1) * ROWS, second(pairs[p]));
        }
    }
}

/* What a tile's products are added to: sums of token k and panel p at sum[k][p]. */
typedef __m512 sums[PANELS];

/* n inputs of `panels` panels, w [panels][TILE][ROWS], and `count` tokens. */
INLINE void run_tile(const float *w, int n, const float *x, const int panels, const int count, const float *scale, __m512 *sum)
{
    __m512 s[2][TOKENS][PAIR];
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < count; k++)
            for (int p = 0; p < panels; p++) s[h][k][p] = _mm512_setzero_ps();
    for (int i = 0; i < n; i += 4) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) { /* inputs 1, 0, 3, 2 */
            const int at = i + (j ^ 1);
            __m512 v[PAIR];
            for (int p = 0; p < panels; p++) v[p] = _mm512_load_ps(w + (p * TILE + at) * ROWS);
            for (int k = 0; k < count; k++) {
                __m512 a = _mm512_set1_ps(x[k * TILE + at]);
                for (int p = 0; p < panels; p++) s[j / 2][k][p] = _mm512_fmadd_ps(v[p], a, s[j / 2][k][p]);
            }
        }
    }
    for (int k = 0; k < count; k++)
        for (int p = 0; p < panels; p++) sum[k * PANELS + p] = add_tile(sum[k * PANELS + p], s[0][k][p], s[1][k][p], scale[p]);
}

INLINE void run_tokens(const float *w, int n, const float *x, const int panels, int n_tokens, const float *scale, __m512 *sum)
{
    int k = 0;
    for (; k + TOKENS <= n_tokens; k += TOKENS) run_tile(w, n, x + k * TILE, panels, TOKENS, scale, sum + k * PANELS);
    for (; k + 2 <= n_tokens; k += 2) run_tile(w, n, x + k * TILE, panels, 2, scale, sum + k * PANELS);
    for (; k < n_tokens; k++) run_tile(w, n, x + k * TILE, panels, 1, scale, sum + k * PANELS);
}

/* Up to PANELS panels and CHUNK tokens. */
static void run_block(const struct tables *t, const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int n_panels,
                      int n_tokens, sums *sum)
{
    _Alignas(64) float w[PAIR * TILE * ROWS], wide[CHUNK * TILE];
    const int64_t bytes = ggl_fp8_panel_bytes(n);
    for (int64_t tile = 0; tile < n; tile += TILE) {
        int inputs = (int)(end_of_tile(tile, n) - tile);
        widen(x + tile, x_stride, inputs, n_tokens, wide, TILE);
        for (int p = 0; p < n_panels; p += PAIR) {
            float scale[PAIR];
            int pair = n_panels - p < PAIR ? 1 : PAIR;
            for (int i = 0; i < pair; i++) {
                decode_tile(t, panel + (p + i) * bytes, n, tile, inputs, w + i * TILE * ROWS);
                scale[i] = scale_of(panel + (p + i) * bytes, n, tile);
            }
            if (pair == PAIR) run_tokens(w, inputs, wide, PAIR, n_tokens, scale, &sum[0][p]);
            else run_tokens(w, inputs, wide, 1, n_tokens, scale, &sum[0][p]);
        }
    }
}

static void mul_many(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                     int64_t y_stride, int n_rows, bool more)
{
    const struct tables t = load_tables();
    sums sum[CHUNK];
    int panels = (n_rows + ROWS - 1) / ROWS;
    for (int64_t k = 0; k < n_tokens; k += CHUNK) {
        int count = n_tokens - k < CHUNK ? (int)(n_tokens - k) : CHUNK;
        for (int i = 0; i < count; i++)
            for (int p = 0; p < panels; p++)
                sum[i][p] = _mm512_maskz_loadu_ps(more ? mask_of(rows_of(n_rows, p * ROWS)) : 0, y + (k + i) * y_stride + p * ROWS);
        run_block(&t, panel, n, x + k * x_stride, x_stride, panels, count, sum);
        for (int i = 0; i < count; i++)
            for (int p = 0; p < panels; p++)
                _mm512_mask_storeu_ps(y + (k + i) * y_stride + p * ROWS, mask_of(rows_of(n_rows, p * ROWS)), sum[i][p]);
    }
}

void ggl_fp8_mul_avx512fma(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                           int64_t y_stride, int n_rows, bool more)
{
    if (n_tokens == 1) mul_few(panel, n, x, x_stride, 1, y, y_stride, n_rows, more);
    else if (n_tokens == 2) mul_few(panel, n, x, x_stride, 2, y, y_stride, n_rows, more);
    else if (n_tokens == 3) mul_few(panel, n, x, x_stride, 3, y, y_stride, n_rows, more);
    if (n_tokens <= FEW) return;
    for (int r = 0; r < n_rows; r += PANELS * ROWS, panel += PANELS * ggl_fp8_panel_bytes(n))
        mul_many(panel, n, x, x_stride, n_tokens, y + r, y_stride, n_rows - r < PANELS * ROWS ? n_rows - r : PANELS * ROWS, more);
}

void ggl_fp8_pack_avx512fma(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    pack(rows, row_bytes, n_rows, n, panel);
}
