/*
 * AVX-512 with VNNI: tiles of two panels by up to TILE_TOKENS tokens.
 *
 * TILE_BLOCKS blocks of both panels lie in the first-level cache with a byte a weight, while all tokens pass by.  A core
 * of two vector units has two operations a cycle for all there is to do, so what is not a product counts:
 *  - a weight meets eight tokens before it is let go, and sums stay in registers from block to block;
 *  - dot products are not converted to floats (x86_bytes512.h).
 */
#ifndef GGL_KERNEL_PANEL_X86_AVX512_TILES_H
#define GGL_KERNEL_PANEL_X86_AVX512_TILES_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/act_q8/act_q8.h"
#include "kernels/panel/panel.h"
#include "kernels/x86_bytes512.h"

enum { TILE_PANELS = 2, TILE_ROWS = TILE_PANELS * GGL_PANEL_ROWS, TILE_TOKENS = 8, TILE_BLOCKS = 16, TILE_BLOCK_BYTES = 512 };

#define TILE_INLINE static inline __attribute__((always_inline))

/* Up to TILE_BLOCKS blocks of two panels. */
struct tile_weights {
    const uint8_t *codes[TILE_PANELS]; /* as in a panel of kind X8 */
    _Alignas(64) float scales[TILE_BLOCKS][TILE_PANELS][GGL_PANEL_ROWS];
    int n_blocks;
    int32_t bias; /* of the codes */
};

/* Of each token of a tile and each block. */
struct tile_tokens {
    const int8_t *codes;
    int64_t stride;
    int32_t start[TILE_TOKENS][TILE_BLOCKS];                              /* of its dot products */
    float scale[TILE_TOKENS][TILE_BLOCKS], less[TILE_TOKENS][TILE_BLOCKS]; /* less: what to add after scaling, the start taken away */
};

static inline void tile_load_tokens(struct tile_tokens *s, const struct tile_weights *w, const struct ggl_act_q8 *x, int64_t t, int n)
{
    const __mmask16 blocks = (__mmask16)((1u << w->n_blocks) - 1);
    s->codes = ggl_act_q8_row(x, t).codes;
    s->stride = x->stride;
    for (int i = 0; i < n; i++) {
        const struct ggl_act_q8_row row = ggl_act_q8_row(x, t + i);
        const __m512 scale = _mm512_maskz_loadu_ps(blocks, row.scales);
        const __m512i bias = _mm512_mullo_epi32(_mm512_maskz_loadu_epi32(blocks, row.sums), _mm512_set1_epi32(w->bias));
        _mm512_storeu_si512(s->start[i], _mm512_sub_epi32(sum_start(), bias));
        _mm512_storeu_ps(s->scale[i], scale);
        _mm512_storeu_ps(s->less[i], start_scaled(scale));
    }
}

/* What block b of both panels adds to the sums of n tokens, whose inputs of the block are at x. */
TILE_INLINE void tile_add_block(const uint8_t *const codes[TILE_PANELS], const struct tile_weights *w, const struct tile_tokens *s, int b,
                                const int8_t *x, const int n, __m512 sum[TILE_TOKENS][TILE_PANELS])
{
    const int8_t *at[3] = {x, x + 3 * s->stride, x + 6 * s->stride};
    __m512i dot[TILE_TOKENS][TILE_PANELS];
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) dot[t][0] = dot[t][1] = _mm512_set1_epi32(s->start[t][b]);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        __m512i w0 = _mm512_loadu_si512(codes[0] + 64 * j), w1 = _mm512_loadu_si512(codes[1] + 64 * j);
        __asm__("" : "+v"(w0), "+v"(w1)); /* loaded once */
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            __m512i v = broadcast4(at[t / 3] + t % 3 * s->stride + 4 * j);
            __asm__("" : "+v"(v));
            dot[t][0] = _mm512_dpbusd_epi32(dot[t][0], w0, v);
            dot[t][1] = _mm512_dpbusd_epi32(dot[t][1], w1, v);
        }
    }
    const __m512 scale0 = _mm512_load_ps(w->scales[b][0]), scale1 = _mm512_load_ps(w->scales[b][1]);
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        const __m512 scale = _mm512_set1_ps(s->scale[t][b]), less = _mm512_set1_ps(s->less[t][b]);
        sum[t][0] = _mm512_fmadd_ps(scale_sum(dot[t][0], scale, less), scale0, sum[t][0]);
        sum[t][1] = _mm512_fmadd_ps(scale_sum(dot[t][1], scale, less), scale1, sum[t][1]);
    }
}

TILE_INLINE void tile_run(const struct tile_weights *w, const struct tile_tokens *s, const int n, float *y, int64_t y_stride, __mmask16 old)
{
    const uint8_t *codes[TILE_PANELS] = {w->codes[0], w->codes[1]};
    const int8_t *x = s->codes;
    __m512 sum[TILE_TOKENS][TILE_PANELS];
#pragma GCC unroll 8
    for (int t = 0; t < n; t++)
        for (int p = 0; p < TILE_PANELS; p++) sum[t][p] = _mm512_maskz_loadu_ps(old, y + t * y_stride + p * GGL_PANEL_ROWS);
    for (int b = 0; b < w->n_blocks; b++, x += GGL_PANEL_BLOCK, codes[0] += TILE_BLOCK_BYTES, codes[1] += TILE_BLOCK_BYTES) {
        __asm__ volatile("" : "+r"(x), "+r"(codes[0]), "+r"(codes[1]) : : "memory"); /* or the compiler would keep too many addresses */
        tile_add_block(codes, w, s, b, x, n, sum);
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++)
        for (int p = 0; p < TILE_PANELS; p++) _mm512_storeu_ps(y + t * y_stride + p * GGL_PANEL_ROWS, sum[t][p]);
}

#define TILE_RUN(n)                                                                                                    \
    static __attribute__((noinline)) void tile_run_##n(const struct tile_weights *w, const struct tile_tokens *s, float *y, \
                                                       int64_t y_stride, __mmask16 old)                                \
    {                                                                                                                  \
        tile_run(w, s, n, y, y_stride, old);                                                                           \
    }
TILE_RUN(1) TILE_RUN(2) TILE_RUN(3) TILE_RUN(4) TILE_RUN(5) TILE_RUN(6) TILE_RUN(7) TILE_RUN(8)
#undef TILE_RUN

/* What w's inputs, from x->begin on, add to the 32 rows of every token; with none before them, sums begin here. */
static inline void tile_mul(const struct tile_weights *w, const struct ggl_act_q8 *x, float *y, int64_t y_stride)
{
    static void (*const run[])(const struct tile_weights *, const struct tile_tokens *, float *, int64_t, __mmask16) = {
        tile_run_1, tile_run_2, tile_run_3, tile_run_4, tile_run_5, tile_run_6, tile_run_7, tile_run_8};
    const int64_t n_tiles = (x->n_tokens + TILE_TOKENS - 1) / TILE_TOKENS; /* all of nearly the same size */
    for (int64_t i = 0, t = 0, end; i < n_tiles; i++, t = end) {
        struct tile_tokens s;
        end = (i + 1) * x->n_tokens / n_tiles;
        tile_load_tokens(&s, w, x, t, (int)(end - t));
        run[end - t - 1](w, &s, y + t * y_stride, y_stride, x->begin ? 0xffff : 0);
    }
}

#endif
