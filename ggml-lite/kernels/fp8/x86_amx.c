/*
 * AMX: 16 tokens by 16 rows by 32 inputs are one instruction, in an order of its own (fp8.h).
 *
 * Codes of PART inputs of PANELS panels are decoded into pairs of BF16, in the form in which they lie: pairs of inputs of
 * 16 rows are a row of a tile.  Tokens meet them in blocks of 32 by 32 rows, first all products, then all scales: the two
 * units do not work side by side, and each change from one to the other costs some fifty cycles.
 *
 * One token's weights are read once, fetched ahead and multiplied in vectors, in the same order.  Tiles take numbers that
 * are denormal for zeros, so vectors are told to, too.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/fetch.h"
#include "kernels/fp8/x86_vbmi.h"
#include "kernels/math/steps.h"
#include "kernels/x86_amx.h"

enum { ROWS = GGL_FP8_ROWS, TILE = GGL_FP8_TILE, STEP = GGL_STEP, STRIP = 16 };
enum { PANELS = 4, PART = 512 };
enum { WIDE = 1024 }; /* inputs of one token that are widened at a time */
_Static_assert(STEP == (int)GGL_FP8_STEP, "what packing notes is of steps");

#define INLINE static inline __attribute__((always_inline))

/* PART inputs of some panels, pair after pair, zeros where they end within a step; and the scales. */
struct weights {
    _Alignas(64) uint16_t pairs[PANELS][PART / 2][2 * ROWS];
    _Alignas(64) float scales[PANELS][PART / TILE];
};

/* Products of a tile's inputs, of strips and panels (0, 0), (0, 1), (1, 0) and (1, 1) of two each. */
typedef float products[4][STRIP][ROWS];

struct strip {
    const uint16_t *x;
    int64_t stride; /* bytes */
};

/* ---- one token: from codes to sums at once */

/* x as floats; n is a multiple of 4. */
static void widen(const uint16_t *x, int n, float *out)
{
    for (int i = 0; i < n; i += 16) {
        __mmask16 m = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        __m512i v = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, x + i)), 16);
        _mm512_mask_storeu_ps(out + i, m, _mm512_castsi512_ps(v));
    }
}

/* Up to a step's inputs: the even ones' sum and the odd ones', of 16 rows. */
INLINE __m512 run_step(const struct tables *t, const uint8_t *codes, const float *x, const int n, const bool normal)
{
    static const struct ggl_fetch ahead = {12288, 6144};
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    __m512 even = _mm512_setzero_ps(), odd = even;
    __asm__("" : "+r"(codes)); /* one register for all addresses, those that are fetched, too */
    for (int i = 0; i < n; i += 4, codes += 4 * ROWS) {
        __m512i w[2];
        ggl_fetch_line(ahead, codes);
        decode_group(t, codes, normal, w);
        for (int j = 0; j < 2; j++) {
            __m512 first = _mm512_castsi512_ps(_mm512_slli_epi32(w[j], 16));
            __m512 second = _mm512_castsi512_ps(_mm512_and_si512(w[j], upper));
            even = _mm512_fmadd_ps(first, _mm512_set1_ps(x[i + 2 * j]), even);
            odd = _mm512_fmadd_ps(second, _mm512_set1_ps(x[i + 2 * j + 1]), odd);
        }
    }
    return _mm512_add_ps(even, odd);
}

/* Inputs [begin, end) of one panel; x are those from `begin` on, a multiple of TILE. */
INLINE __m512 run_one(const struct tables *t, const uint8_t *panel, int64_t n, int64_t begin, int64_t end, const float *x, __m512 sum)
{
    for (int64_t tile = begin; tile < end; tile += TILE) {
        const int64_t last = tile + TILE < end ? tile + TILE : end;
        __m512 all = _mm512_setzero_ps();
        int64_t i = tile;
        for (; i + STEP <= last; i += STEP) {
            const uint8_t *codes = panel + i * ROWS;
            if (is_normal(panel, n, i)) all = _mm512_add_ps(all, run_step(t, codes, x + (i - begin), STEP, true));
            else all = _mm512_add_ps(all, run_step(t, codes, x + (i - begin), STEP, false));
        }
        if (i < last) all = _mm512_add_ps(all, run_step(t, panel + i * ROWS, x + (i - begin), (int)(last - i), false));
        sum = _mm512_add_ps(sum, _mm512_mul_ps(all, _mm512_set1_ps(scale_of(panel, n, tile))));
    }
    return sum;
}

static __attribute__((noinline)) void mul_one(const uint8_t *panel, int64_t n, const uint16_t *x, float *y, int n_rows, bool more)
{
    const struct tables t = load_tables();
    _Alignas(64) float wide[WIDE];
    for (int r = 0; r < n_rows; r += ROWS, panel += ggl_fp8_panel_bytes(n)) {
        __mmask16 rows = mask_of(rows_of(n_rows, r));
        __m512 sum = _mm512_maskz_loadu_ps(more ? rows : 0, y + r);
        fetch_end(panel + ggl_fp8_panel_bytes(n), n);
        for (int64_t i = 0, end; i < n; i = end) {
            end = i + WIDE < n ? i + WIDE : n;
            if (r == 0 || n > WIDE) widen(x + i, (int)(end - i), wide);
            sum = run_one(&t, panel, n, i, end, wide, sum);
        }
        _mm512_mask_storeu_ps(y + r, rows, sum);
    }
}

/* ---- more */

/* n inputs from `begin` on (a multiple of TILE) of one panel. */
static void decode_panel(const struct tables *t, const uint8_t *panel, int64_t n_in, int64_t begin, int n, struct weights *w, int p)
{
    for (int i = 0; i < n; i += 4) {
        __m512i pairs[2];
        decode_group(t, panel + (begin + i) * ROWS, is_normal(panel, n_in, begin + i), pairs);
        _mm512_store_si512(w->pairs[p][i / 2], pairs[0]);
        _mm512_store_si512(w->pairs[p][i / 2 + 1], pairs[1]);
    }
    for (int i = n; i % STEP; i += 2) _mm512_store_si512(w->pairs[p][i / 2], _mm512_setzero_si512());
    for (int i = 0; i < n; i += TILE) w->scales[p][i / TILE] = scale_of(panel, n_in, begin + i);
}

/* Inputs of `count` tokens, in whole steps: where they are, or a copy with zeros. */
static struct strip strip_of(uint16_t copy[STRIP][PART], const uint16_t *x, int64_t x_stride, int count, int n)
{
    if (count == STRIP && n % STEP == 0) return (struct strip){x, 2 * x_stride};
    for (int t = 0; t < STRIP; t++) {
        size_t bytes = t < count ? 2 * (size_t)n : 0;
        memcpy(copy[t], x + (t < count ? t : 0) * x_stride, bytes);
        memset((uint8_t *)copy[t] + bytes, 0, 2 * (size_t)((n + STEP - 1) / STEP * STEP) - bytes);
    }
    return (struct strip){copy[0], 2 * PART};
}

/* Of two strips and two panels, n inputs from input i on. */
INLINE void multiply(const struct weights *w, int p, int q, const struct strip *a, const struct strip *b, int i, int n, products out)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int end = i + n; i < end; i += STEP) {
        _tile_loadd(4, a->x + i, (size_t)a->stride);
        _tile_loadd(5, w->pairs[p][i / 2], 64);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(7, w->pairs[q][i / 2], 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, b->x + i, (size_t)b->stride);
        _tile_dpbf16ps(2, 6, 5);
        _tile_dpbf16ps(3, 6, 7);
    }
    _tile_stored(0, out[0], 64);
    _tile_stored(1, out[1], 64);
    _tile_stored(2, out[2], 64);
    _tile_stored(3, out[3], 64);
}

/* y of a strip and a panel, which goes on with `more`, and n inputs' products. */
static void add_scaled(float *y, int64_t y_stride, __mmask16 rows, bool more, int n, const products *from, int which, const float *scales)
{
    const __mmask16 old = more ? rows : 0;
    __m512 sum[STRIP];
#pragma GCC unroll 16
    for (int t = 0; t < STRIP; t++) sum[t] = _mm512_maskz_loadu_ps(old, y + t * y_stride);
    for (int i = 0; i < n; i += TILE, from++, scales++) {
        const __m512 scale = _mm512_set1_ps(*scales);
#pragma GCC unroll 16
        for (int t = 0; t < STRIP; t++) sum[t] = _mm512_add_ps(sum[t], _mm512_mul_ps(_mm512_load_ps((*from)[which][t]), scale));
    }
#pragma GCC unroll 16
    for (int t = 0; t < STRIP; t++) _mm512_mask_storeu_ps(y + t * y_stride, rows, sum[t]);
}

/* n inputs of up to two strips and all panels.  An odd panel is its own partner, and so is an odd strip. */
static void run_strips(const struct weights *w, const struct strip *a, const struct strip *b, int n, float *y, int64_t y_stride, int n_rows,
                       bool more)
{
    _Alignas(64) products all[PART / TILE];
    for (int r = 0; r < n_rows; r += 2 * ROWS) {
        const int p = r / ROWS, q = r + ROWS < n_rows ? p + 1 : p;
        for (int i = 0; i < n; i += TILE) multiply(w, p, q, a, b, i, n - i < TILE ? n - i : TILE, all[i / TILE]);
        for (int k = 0; k < 4; k++) {
            const int strip = k / 2, panel = k % 2 ? q : p;
            if ((strip && b == a) || (k % 2 && q == p)) continue;
            add_scaled(y + strip * STRIP * y_stride + panel * ROWS, y_stride, mask_of(rows_of(n_rows, panel * ROWS)), more, n,
                       (const products *)all, k, w->scales[panel]);
        }
    }
}

/* The same for a strip that lacks tokens, in memory of its own. */
static void run_rest(const struct weights *w, const struct strip *a, int count, int n, float *y, int64_t y_stride, int n_rows, bool more)
{
    float all[STRIP][PANELS * ROWS];
    for (int t = 0; t < STRIP && more; t++) memcpy(all[t], y + (t < count ? t : 0) * y_stride, (size_t)n_rows * 4);
    run_strips(w, a, a, n, all[0], PANELS * ROWS, n_rows, more);
    for (int t = 0; t < count; t++) memcpy(y + t * y_stride, all[t], (size_t)n_rows * 4);
}

/* n inputs, all decoded, of every token. */
static void mul_part(const struct weights *w, const uint16_t *x, int64_t x_stride, int64_t n_tokens, int n, float *y, int64_t y_stride,
                     int n_rows, bool more)
{
    _Alignas(64) uint16_t copy[2][STRIP][PART];
    for (int64_t k = 0; k < n_tokens; k += 2 * STRIP, x += 2 * STRIP * x_stride, y += 2 * STRIP * y_stride) {
        const int count = n_tokens - k < 2 * STRIP ? (int)(n_tokens - k) : 2 * STRIP;
        const int first = count < STRIP ? count : STRIP, second = count - first;
        struct strip a = strip_of(copy[0], x, x_stride, first, n), b = a;
        if (second) b = strip_of(copy[1], x + STRIP * x_stride, x_stride, second, n);
        __asm__ volatile("" ::: "memory"); /* tiles are loaded from what has been written */
        if (second == STRIP) {
            run_strips(w, &a, &b, n, y, y_stride, n_rows, more);
            continue;
        }
        if (first == STRIP) run_strips(w, &a, &a, n, y, y_stride, n_rows, more);
        else run_rest(w, &a, first, n, y, y_stride, n_rows, more);
        if (second) run_rest(w, &b, second, n, y + STRIP * y_stride, y_stride, n_rows, more);
    }
}

static __attribute__((noinline)) void mul_many(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens,
                                               float *y, int64_t y_stride, int n_rows, bool more)
{
    const struct tables t = load_tables();
    const struct x86_amx_config config = x86_amx_config(2 * STEP);
    const int64_t bytes = ggl_fp8_panel_bytes(n);
    struct weights w;
    x86_amx_begin(&config);
    for (int r = 0; r < n_rows; r += PANELS * ROWS, panel += PANELS * bytes) {
        int rows = n_rows - r < PANELS * ROWS ? n_rows - r : PANELS * ROWS;
        for (int64_t i = 0; i < n; i += PART) {
            int inputs = n - i < PART ? (int)(n - i) : PART;
            for (int p = 0; p * ROWS < rows; p++) decode_panel(&t, panel + p * bytes, n, i, inputs, &w, p);
            mul_part(&w, x + i, x_stride, n_tokens, inputs, y + r, y_stride, rows, more || i > 0);
        }
    }
    x86_amx_end();
}

void ggl_fp8_mul_amx(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                     int64_t y_stride, int n_rows, bool more)
{
    enum { ZERO_DENORMALS = 0x8040 };
    unsigned control = _mm_getcsr();
    _mm_setcsr(control | ZERO_DENORMALS);
    if (n_tokens == 1) mul_one(panel, n, x, y, n_rows, more);
    else mul_many(panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
    _mm_setcsr(control);
}

void ggl_fp8_pack_amx(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    pack(rows, row_bytes, n_rows, n, panel);
}

void ggl_act_fp8_amx(const float *x, int64_t n, uint16_t *out)
{
    ggl_act_fp8_avx2(x, n, out);
}
