/*
 * AVX2 with AVX-VNNI, the processors that have the dot product of bytes but not AVX-512: weights are taken as they are
 * stored, biased, and what the bias adds is taken away where a sum starts.  That is half of the operations that AVX2 needs
 * (x86_avx2.c).
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/fetch.h"
#include "kernels/panel/x86_avx2.h"

enum { TOKENS = 4, UNIT = 1 };
#include "kernels/panel/tiles.h"

static inline __m256i low_nibbles(__m256i packed, __m256i table)
{
    return _mm256_shuffle_epi8(table, _mm256_and_si256(packed, _mm256_set1_epi8(15)));
}

/* The weights of inputs 4j .. 4j + 3 of 16 rows, and where there is a table those of 16 + 4j .. 19 + 4j behind them. */
static inline __attribute__((always_inline)) void load_weights(const bool has_table, const uint8_t *codes, __m256i table, __m256i w[4])
{
    for (int half = 0; half < 2; half++) {
        __m256i packed = load(codes + 32 * half);
        w[half] = has_table ? low_nibbles(packed, table) : packed;
        if (has_table) w[2 + half] = low_nibbles(_mm256_srli_epi16(packed, 4), table);
    }
}

static inline __attribute__((always_inline)) void run_blocks(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                             const uint8_t *panel, int64_t n_blocks, const tile x, const int n,
                                                             ggl_rows sum[TOKENS], const struct ggl_fetch fetch)
{
    const bool has_table = kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
    const __m256i table = has_table ? _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)f->table))
                                    : _mm256_setzero_si256();
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        __m256i dot[TOKENS][2], w[4];
        ggl_rows scale;
        ggl_fetch_block(fetch, codes, ggl_panel_code_bytes(kind));
        ggl_fetch_step(fetch, scales, ggl_panel_scale_bytes(kind), b);
        for (int t = 0; t < n; t++) dot[t][0] = dot[t][1] = _mm256_set1_epi32(-f->bias * x[t].sums[b]);
        for (int j = 0; j < (has_table ? 4 : 8); j++) {
            load_weights(has_table, codes + 64 * j, table, w);
            for (int t = 0; t < n; t++) {
                const int8_t *v = x[t].codes + GGL_PANEL_BLOCK * b + 4 * j;
                for (int half = 0; half < 2; half++) dot[t][half] = _mm256_dpbusd_avx_epi32(dot[t][half], w[half], broadcast4(v));
                for (int half = 0; half < 2 && has_table; half++)
                    dot[t][half] = _mm256_dpbusd_avx_epi32(dot[t][half], w[2 + half], broadcast4(v + 16));
            }
        }
        load_all_scales(kind, scales, scale);
        for (int t = 0; t < n; t++) {
            for (int half = 0; half < 2; half++) {
                __m256 p = _mm256_mul_ps(_mm256_cvtepi32_ps(dot[t][half]), _mm256_set1_ps(x[t].scales[b]));
                sum[t][half] = _mm256_fmadd_ps(p, scale[half], sum[t][half]);
            }
        }
    }
}

static inline __attribute__((always_inline)) void run_tile(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                           const uint8_t *panel, int64_t n_blocks, const tile x, const int n,
                                                           ggl_rows sum[TOKENS])
{
    run_blocks(f, kind, panel, n_blocks, x, n, sum, (struct ggl_fetch){0, 0});
}

void ggl_panel_mul_avxvnni(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                           int64_t y_stride, int n_rows)
{
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n))
        mul_one(f, panel, n, x, y + r, y_stride, n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS);
}

/* ---- one token, fetched ahead */

static inline __attribute__((always_inline)) void one_token(const enum ggl_panel_kind kind, const struct ggl_panel_format *f,
                                                            const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                                                            int n_rows)
{
    const tile one = {ggl_act_q8_row(x, 0)};
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(kind, n)) {
        int rows = n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS;
        ggl_rows sum[TOKENS];
        ggl_load_rows(y + r, x->begin ? rows : 0, sum[0]);
        run_blocks(f, kind, panel, n / GGL_PANEL_BLOCK, one, 1, sum, (struct ggl_fetch){16384, 4096});
        ggl_store_rows(y + r, rows, sum[0]);
    }
}

void ggl_panel_mul_avxvnnifetch(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                                int64_t y_stride, int n_rows)
{
    if (x->n_tokens != 1) {
        ggl_panel_mul_avxvnni(f, panel, n, x, y, y_stride, n_rows);
        return;
    }
    switch (f->kind) {
    case GGL_PANEL_Q8: one_token(GGL_PANEL_Q8, f, panel, n, x, y, n_rows); break;
    case GGL_PANEL_X8: one_token(GGL_PANEL_X8, f, panel, n, x, y, n_rows); break;
    case GGL_PANEL_I4: one_token(GGL_PANEL_I4, f, panel, n, x, y, n_rows); break;
    default: one_token(GGL_PANEL_T4, f, panel, n, x, y, n_rows); break;
    }
}
