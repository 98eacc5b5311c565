/*
 * AVX-512 with VNNI.  Two panels and more tokens than one go through x86_avx512_tiles.h; a single panel meets up to TOKENS
 * tokens at a time: weights are loaded once, activations are broadcast from memory by the dot-product instruction itself.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/fetch.h"
#include "kernels/panel/x86_avx512.h"
#include "kernels/panel/x86_avx512_tiles.h"

enum { TOKENS = 8 };

typedef struct ggl_act_q8_row tile[TOKENS];

static inline __attribute__((always_inline)) void run_tile(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                           const uint8_t *panel, int64_t n_blocks, const tile x,
                                                           const int n, __m512 *sum, const struct ggl_fetch fetch)
{
    const bool has_table = kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
    const __m512i table = has_table
        ? _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)f->table)) : _mm512_setzero_si512();
    const __m512i low = _mm512_set1_epi8(15);
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        ggl_fetch_block(fetch, codes, ggl_panel_code_bytes(kind));
        ggl_fetch_step(fetch, scales, ggl_panel_scale_bytes(kind), b);
        __m512 scale = load_scales(kind, scales);
        __m512i dot[TOKENS], dot2[TOKENS];
        for (int t = 0; t < n; t++) {
            dot[t] = _mm512_set1_epi32(-f->bias * x[t].sums[b]);
            if (n <= 2) dot2[t] = _mm512_setzero_si512(); /* two chains hide the latency when there is one token */
        }
        if (has_table) {
            for (int j = 0; j < 4; j++) {
                __m512i packed = _mm512_loadu_si512(codes + 64 * j);
                __m512i w0 = _mm512_shuffle_epi8(table, _mm512_and_si512(packed, low));
                __m512i w1 = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(packed, 4), low));
                for (int t = 0; t < n; t++) {
                    dot[t] = _mm512_dpbusd_epi32(dot[t], w0, broadcast4(x[t].codes + 32 * b + 4 * j));
                    if (n <= 2) dot2[t] = _mm512_dpbusd_epi32(dot2[t], w1, broadcast4(x[t].codes + 32 * b + 16 + 4 * j));
                    else dot[t] = _mm512_dpbusd_epi32(dot[t], w1, broadcast4(x[t].codes + 32 * b + 16 + 4 * j));
                }
            }
        } else {
            for (int j = 0; j < 8; j += 2) {
                __m512i w0 = _mm512_loadu_si512(codes + 64 * j), w1 = _mm512_loadu_si512(codes + 64 * j + 64);
                for (int t = 0; t < n; t++) {
                    dot[t] = _mm512_dpbusd_epi32(dot[t], w0, broadcast4(x[t].codes + 32 * b + 4 * j));
                    if (n <= 2) dot2[t] = _mm512_dpbusd_epi32(dot2[t], w1, broadcast4(x[t].codes + 32 * b + 4 * j + 4));
                    else dot[t] = _mm512_dpbusd_epi32(dot[t], w1, broadcast4(x[t].codes + 32 * b + 4 * j + 4));
                }
            }
        }
        for (int t = 0; t < n; t++) {
            if (n <= 2) dot[t] = _mm512_add_epi32(dot[t], dot2[t]);
            __m512 p = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_set1_ps(x[t].scales[b]));
            sum[t] = _mm512_fmadd_ps(p, scale, sum[t]);
        }
    }
}

#define CASES(kind)                                                                                                    \
    switch (n) {                                                                                                       \
    case 1: run_tile(f, kind, panel, n_blocks, x, 1, sum, none); break;                                                      \
    case 2: run_tile(f, kind, panel, n_blocks, x, 2, sum, none); break;                                                      \
    case 3: run_tile(f, kind, panel, n_blocks, x, 3, sum, none); break;                                                      \
    case 4: run_tile(f, kind, panel, n_blocks, x, 4, sum, none); break;                                                      \
    case 5: run_tile(f, kind, panel, n_blocks, x, 5, sum, none); break;                                                      \
    case 6: run_tile(f, kind, panel, n_blocks, x, 6, sum, none); break;                                                      \
    case 7: run_tile(f, kind, panel, n_blocks, x, 7, sum, none); break;                                                      \
    default: run_tile(f, kind, panel, n_blocks, x, 8, sum, none); break;                                                     \
    }

static const struct ggl_fetch none = {0, 0};

static void dispatch(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, int n,
                     __m512 *sum)
{
    if (f->kind == GGL_PANEL_Q8) {
        CASES(GGL_PANEL_Q8)
    } else if (f->kind == GGL_PANEL_X8) {
        CASES(GGL_PANEL_X8)
    } else if (f->kind == GGL_PANEL_I4) {
        CASES(GGL_PANEL_I4)
    } else {
        CASES(GGL_PANEL_T4)
    }
}

static void mul_one(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                    int64_t y_stride, int n_rows)
{
    __mmask16 rows = (__mmask16)((1u << n_rows) - 1), old = x->begin ? rows : 0;
    for (int64_t t = 0; t < x->n_tokens; t += TOKENS, y += TOKENS * y_stride) {
        int count = (int)(x->n_tokens - t < TOKENS ? x->n_tokens - t : TOKENS);
        tile v;
        __m512 sum[TOKENS];
        for (int i = 0; i < count; i++) {
            v[i] = ggl_act_q8_row(x, t + i);
            sum[i] = _mm512_maskz_loadu_ps(old, y + i * y_stride);
        }
        dispatch(f, panel, n / GGL_PANEL_BLOCK, v, count, sum);
        for (int i = 0; i < count; i++) _mm512_mask_storeu_ps(y + i * y_stride, rows, sum[i]);
    }
}

/* ---- more tokens: tiles */

/* n_blocks of a panel of n inputs from block `from` on: its codes, those of the kinds with a table as bytes
 * in `bytes`, and its scales, the place of every second vector. */
static inline __attribute__((always_inline)) const uint8_t *unpack(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                                   const uint8_t *panel, int64_t n, int64_t from, int n_blocks,
                                                                   uint8_t *bytes, float (*scales)[GGL_PANEL_ROWS])
{
    const uint8_t *codes = panel + from * ggl_panel_code_bytes(kind);
    const uint8_t *at = panel + ggl_panel_scales_at(kind, n) + from * ggl_panel_scale_bytes(kind);
    for (int b = 0; b < n_blocks; b++) _mm512_store_ps(scales[b * TILE_PANELS], load_scales(kind, at + b * ggl_panel_scale_bytes(kind)));
    if (kind == GGL_PANEL_Q8 || kind == GGL_PANEL_X8) return codes;
    const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)f->table)), low = _mm512_set1_epi8(15);
    for (uint8_t *out = bytes; out < bytes + n_blocks * TILE_BLOCK_BYTES; out += TILE_BLOCK_BYTES, codes += ggl_panel_code_bytes(kind)) {
        for (int j = 0; j < 4; j++) {
            __m512i v = _mm512_loadu_si512(codes + 64 * j);
            _mm512_store_si512(out + 64 * j, _mm512_shuffle_epi8(table, _mm512_and_si512(v, low)));
            _mm512_store_si512(out + 64 * (j + 4), _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), low)));
        }
    }
    return bytes;
}

static const uint8_t *unpack_any(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, int64_t from, int n_blocks,
                                 uint8_t *bytes, float (*scales)[GGL_PANEL_ROWS])
{
    switch (f->kind) {
    case GGL_PANEL_Q8: return unpack(f, GGL_PANEL_Q8, panel, n, from, n_blocks, bytes, scales);
    case GGL_PANEL_X8: return unpack(f, GGL_PANEL_X8, panel, n, from, n_blocks, bytes, scales);
    case GGL_PANEL_I4: return unpack(f, GGL_PANEL_I4, panel, n, from, n_blocks, bytes, scales);
    default: return unpack(f, GGL_PANEL_T4, panel, n, from, n_blocks, bytes, scales);
    }
}

/* Two whole panels, TILE_BLOCKS blocks after the other. */
static void mul_two(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                    int64_t y_stride)
{
    const int64_t stride = ggl_panel_bytes(f->kind, n), n_blocks = n / GGL_PANEL_BLOCK;
    _Alignas(64) uint8_t bytes[TILE_PANELS][TILE_BLOCKS * TILE_BLOCK_BYTES];
    struct tile_weights w = {.bias = f->bias};
    struct ggl_act_q8 part = *x;
    for (int64_t from = 0; from < n_blocks; from += TILE_BLOCKS, part.begin += TILE_BLOCKS * GGL_PANEL_BLOCK) {
        w.n_blocks = (int)(n_blocks - from < TILE_BLOCKS ? n_blocks - from : TILE_BLOCKS);
        for (int p = 0; p < TILE_PANELS; p++) w.codes[p] = unpack_any(f, panel + p * stride, n, from, w.n_blocks, bytes[p], &w.scales[0][p]);
        tile_mul(&w, &part, y, y_stride);
    }
}

void ggl_panel_mul_avx512(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                          int64_t y_stride, int n_rows)
{
    const int64_t stride = ggl_panel_bytes(f->kind, n);
    for (int r = 0, rows; r < n_rows; r += rows, panel += rows / GGL_PANEL_ROWS * stride) {
        const int left = n_rows - r;
        if (left >= TILE_ROWS && x->n_tokens > 1) {
            rows = TILE_ROWS;
            mul_two(f, panel, n, x, y + r, y_stride);
        } else {
            rows = GGL_PANEL_ROWS;
            mul_one(f, panel, n, x, y + r, y_stride, left < rows ? left : rows);
        }
    }
}

/* ---- one token, fetched ahead */

static void mul_fetched(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, __m512 *sum)
{
    const struct ggl_fetch ahead = {8192, 1536};
    switch (f->kind) {
    case GGL_PANEL_Q8: run_tile(f, GGL_PANEL_Q8, panel, n_blocks, x, 1, sum, ahead); break;
    case GGL_PANEL_X8: run_tile(f, GGL_PANEL_X8, panel, n_blocks, x, 1, sum, ahead); break;
    case GGL_PANEL_I4: run_tile(f, GGL_PANEL_I4, panel, n_blocks, x, 1, sum, ahead); break;
    default: run_tile(f, GGL_PANEL_T4, panel, n_blocks, x, 1, sum, ahead); break;
    }
}

void ggl_panel_mul_avx512fetch(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x,
                               float *y, int64_t y_stride, int n_rows)
{
    if (x->n_tokens != 1) {
        ggl_panel_mul_avx512(f, panel, n, x, y, y_stride, n_rows);
        return;
    }
    const tile one = {ggl_act_q8_row(x, 0)};
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n)) {
        __mmask16 rows = (__mmask16)(n_rows - r < GGL_PANEL_ROWS ? (1u << (n_rows - r)) - 1 : 0xffff);
        __m512 sum = _mm512_maskz_loadu_ps(x->begin ? rows : 0, y + r);
        mul_fetched(f, panel, n / GGL_PANEL_BLOCK, one, &sum);
        _mm512_mask_storeu_ps(y + r, rows, sum);
    }
}
