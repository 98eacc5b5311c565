/*
 * AMX: strips of 16 tokens times panels, of which AMX_PART inputs of AMX_PANELS lie decoded in the first-level cache, as
 * signed bytes in the order of tiles: four neighbouring inputs of 16 rows are a row.  16 tokens by 16 rows by a block of 32
 * inputs are one instruction, exact as every integer dot product; what is left to the vector units are the scales.
 *
 * The 16 sums of a strip and a panel stay in registers.  All their products come first, then all scales: the two units do
 * not work side by side, and each change from one to the other costs some fifty cycles.
 */
#ifndef GGL_KERNEL_PANEL_X86_AMX_STRIPS_H
#define GGL_KERNEL_PANEL_X86_AMX_STRIPS_H

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/act_q8/act_q8.h"
#include "kernels/math/x86_avx512.h"
#include "kernels/x86_amx.h"

enum { AMX_ROWS = 16, AMX_BLOCK = 32, AMX_STRIP = 16, AMX_SHORT = 8, AMX_PANELS = 4, AMX_PART = 256, AMX_BLOCKS = AMX_PART / AMX_BLOCK };

/* AMX_PART inputs of some panels, and of some tokens. */
struct amx_weights {
    _Alignas(64) int8_t codes[AMX_PANELS][AMX_BLOCKS][AMX_BLOCK * AMX_ROWS];
    _Alignas(64) float scales[AMX_PANELS][AMX_BLOCKS][AMX_ROWS];
};

struct amx_strip {
    _Alignas(64) int8_t copy[AMX_STRIP][AMX_PART];
    _Alignas(64) float scales[AMX_BLOCKS][AMX_STRIP];
    const int8_t *codes;
    int64_t stride;
    int count; /* tokens that are there */
};

/* What is fetched meanwhile: a few lines a strip and panel, since many at once would have to wait for each other. */
struct amx_ahead {
    const uint8_t *far; /* the weights after the next ones, into the second-level cache */
    int far_lines;
    const uint8_t *near; /* the next ones, into the first: pieces of so many rows, so far apart */
    int64_t row_bytes;
    int near_rows;
};

static inline void amx_fetch(struct amx_ahead *a, int piece)
{
    for (int i = 0; i < a->far_lines; i++, a->far += 64) _mm_prefetch((const char *)a->far, _MM_HINT_T1);
    for (int i = 0; i < a->near_rows; i++, a->near += a->row_bytes)
        for (int line = 0; line < piece; line += 64) _mm_prefetch((const char *)a->near + line, _MM_HINT_T0);
}

#define AMX_INLINE static inline __attribute__((always_inline))

/* ---- strips */

/* `count` tokens from t on; those that are missing repeat the first. */
static inline void amx_load_strip(struct amx_strip *s, const struct ggl_act_q8 *x, int64_t t, int count, int n_blocks)
{
    const __mmask16 blocks = (__mmask16)((1u << n_blocks) - 1);
    __m512 scales[AMX_STRIP];
    for (int i = 0; i < AMX_STRIP; i++) {
        struct ggl_act_q8_row row = ggl_act_q8_row(x, t + (i < count ? i : 0));
        scales[i] = _mm512_maskz_loadu_ps(blocks, row.scales);
        if (i == 0) s->codes = row.codes;
        if (count < AMX_STRIP) memcpy(s->copy[i], row.codes, (size_t)(n_blocks * AMX_BLOCK));
    }
    s->count = count;
    s->stride = x->stride;
    if (count < AMX_STRIP) s->codes = s->copy[0], s->stride = AMX_PART;
    ggl_transpose16(scales);
    for (int b = 0; b < AMX_BLOCKS; b++) _mm512_store_ps(s->scales[b], scales[b]);
}

/* ---- products */

/* Tiles: 0 .. 3 products, 4 tokens, 5 weights; of a short strip 7 products and 6 tokens. */
static inline void amx_begin_strips(void)
{
    struct x86_amx_config config = x86_amx_config(AMX_BLOCK);
    config.rows[6] = config.rows[7] = AMX_SHORT, config.row_bytes[7] = 64;
    x86_amx_begin(&config);
}

#define AMX_MULTIPLY(product, tokens, block)                                                                           \
    do {                                                                                                               \
        _tile_loadd(tokens, s->codes + (block) * AMX_BLOCK, (size_t)s->stride);                                        \
        _tile_loadd(5, codes[block], 64);                                                                              \
        _tile_zero(product);                                                                                           \
        _tile_dpbssd(product, tokens, 5);                                                                              \
    } while (0)

/* The products of n_blocks blocks. */
AMX_INLINE void amx_multiply(const int8_t codes[AMX_BLOCKS][AMX_BLOCK * AMX_ROWS], const struct amx_strip *s, int n_blocks,
                             int32_t products[AMX_BLOCKS][AMX_STRIP][AMX_ROWS])
{
    int b = 0;
    for (; b + 4 <= n_blocks; b += 4) {
        AMX_MULTIPLY(0, 4, b);
        AMX_MULTIPLY(1, 4, b + 1);
        AMX_MULTIPLY(2, 4, b + 2);
        AMX_MULTIPLY(3, 4, b + 3);
        _tile_stored(0, products[b], 64);
        _tile_stored(1, products[b + 1], 64);
        _tile_stored(2, products[b + 2], 64);
        _tile_stored(3, products[b + 3], 64);
    }
    for (; b < n_blocks; b++) {
        AMX_MULTIPLY(0, 4, b);
        _tile_stored(0, products[b], 64);
    }
}

/* Of AMX_SHORT tokens. */
AMX_INLINE void amx_multiply_short(const int8_t codes[AMX_BLOCKS][AMX_BLOCK * AMX_ROWS], const struct amx_strip *s, int n_blocks,
                                   int32_t products[AMX_BLOCKS][AMX_STRIP][AMX_ROWS])
{
    for (int b = 0; b < n_blocks; b++) {
        AMX_MULTIPLY(7, 6, b);
        _tile_stored(7, products[b], 64);
    }
}

AMX_INLINE void amx_add_scaled(const int32_t products[AMX_STRIP][AMX_ROWS], const float *w_scales, const float *x_scales,
                               const int tokens, __m512 sum[AMX_STRIP])
{
    const __m512 w = _mm512_load_ps(w_scales);
#pragma GCC unroll 16
    for (int t = 0; t < tokens; t++) {
        __m512 p = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(products[t])), _mm512_set1_ps(x_scales[t]));
        sum[t] = _mm512_fmadd_ps(p, w, sum[t]);
    }
}

/* One panel's part and one strip of `tokens`, AMX_STRIP or AMX_SHORT, of which the first `count` are there; their sums go on
 * from those in y with `more`. */
AMX_INLINE void amx_run(const int8_t codes[AMX_BLOCKS][AMX_BLOCK * AMX_ROWS], const float scales[AMX_BLOCKS][AMX_ROWS],
                        const struct amx_strip *s, int n_blocks, float *y, int64_t y_stride, __mmask16 rows, bool more,
                        const int tokens, const int count)
{
    _Alignas(64) int32_t products[AMX_BLOCKS][AMX_STRIP][AMX_ROWS];
    const __mmask16 old = more ? rows : 0;
    __m512 sum[AMX_STRIP];
    if (tokens == AMX_STRIP) amx_multiply(codes, s, n_blocks, products);
    else amx_multiply_short(codes, s, n_blocks, products);
    const float *from = y;
#pragma GCC unroll 16
    for (int t = 0; t < tokens; t++, from += y_stride) sum[t] = _mm512_maskz_loadu_ps(t < count ? old : 0, from);
    __asm__ volatile("" : "+r"(y), "+r"(y_stride)); /* or the compiler would keep 16 addresses */
    for (int b = 0; b < n_blocks; b++) amx_add_scaled(products[b], scales[b], s->scales[b], tokens, sum);
#pragma GCC unroll 16
    for (int t = 0; t < tokens; t++, y += y_stride) _mm512_mask_storeu_ps(y, t < count ? rows : 0, sum[t]);
}

#define AMX_RUN(name, tokens, count)                                                                                   \
    static __attribute__((noinline)) void name(const struct amx_weights *w, int p, const struct amx_strip *s, int n_blocks, \
                                               float *y, int64_t y_stride, __mmask16 rows, bool more)                  \
    {                                                                                                                  \
        amx_run(w->codes[p], w->scales[p], s, n_blocks, y, y_stride, rows, more, tokens, count);                       \
    }
AMX_RUN(amx_run_whole, AMX_STRIP, AMX_STRIP)
AMX_RUN(amx_run_part, AMX_STRIP, s->count)
AMX_RUN(amx_run_short, AMX_SHORT, s->count)
#undef AMX_RUN

static inline void amx_run_panels(const struct amx_weights *w, const struct amx_strip *s, int n_blocks, float *y, int64_t y_stride,
                                  int n_rows, bool more, struct amx_ahead *ahead)
{
    for (int r = 0; r < n_rows; r += AMX_ROWS) {
        const __mmask16 rows = (__mmask16)(n_rows - r < AMX_ROWS ? (1u << (n_rows - r)) - 1 : 0xffff);
        if (ahead) amx_fetch(ahead, AMX_PART / 32 * 17);
        if (s->count == AMX_STRIP) amx_run_whole(w, r / AMX_ROWS, s, n_blocks, y + r, y_stride, rows, more);
        else if (s->count > AMX_SHORT) amx_run_part(w, r / AMX_ROWS, s, n_blocks, y + r, y_stride, rows, more);
        else amx_run_short(w, r / AMX_ROWS, s, n_blocks, y + r, y_stride, rows, more);
    }
}

/* Tell the processor of so many bytes of a strip's rows. */
AMX_INLINE void amx_fetch_strip(const struct ggl_act_q8 *x, int64_t t, int64_t bytes)
{
    for (int64_t end = t + AMX_STRIP < x->n_tokens ? t + AMX_STRIP : x->n_tokens; t < end; t++) {
        const struct ggl_act_q8_row row = ggl_act_q8_row(x, t);
        for (int64_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)row.codes + i, _MM_HINT_T0);
        _mm_prefetch((const char *)row.scales, _MM_HINT_T0);
    }
}

static inline int64_t amx_runs(int64_t n_tokens, int n_rows)
{
    return (n_tokens + AMX_STRIP - 1) / AMX_STRIP * ((n_rows + AMX_ROWS - 1) / AMX_ROWS);
}

/* y of n_rows rows and all tokens: what n_blocks blocks from x->begin on add to it.  ahead: NULL, or what each of amx_runs
 * fetches. */
static inline void amx_mul_part(const struct amx_weights *w, int n_blocks, const struct ggl_act_q8 *x, float *y, int64_t y_stride,
                                int n_rows, struct amx_ahead *ahead)
{
    struct amx_strip s;
    for (int64_t t = 0; t < x->n_tokens; t += AMX_STRIP, y += AMX_STRIP * y_stride) {
        int count = (int)(x->n_tokens - t < AMX_STRIP ? x->n_tokens - t : AMX_STRIP);
        amx_load_strip(&s, x, t, count, n_blocks);
        amx_fetch_strip(x, t + AMX_STRIP, n_blocks * AMX_BLOCK);
        __asm__ volatile("" ::: "memory"); /* tiles are loaded from what has been written */
        amx_run_panels(w, &s, n_blocks, y, y_stride, n_rows, x->begin > 0, ahead);
    }
}

#endif
