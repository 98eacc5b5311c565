/*
 * NEON with integer matrix products: one instruction multiplies two rows by eight inputs with eight inputs by two
 * tokens.  A tile is half a panel by up to four pairs of tokens; a last single token takes the dot products.
 */
#include "kernels/kernels.h"

#include "kernels/panel/arm_neon.h"

enum { PAIRS = 4, UNIT = 2, TOKENS = UNIT * PAIRS };
#include "kernels/panel/tiles.h"

/* Inputs i .. i + 7 of block b of a pair of tokens. */
GGL_PANEL_INLINE int8x16_t load_pair(const tile x, int pair, int64_t b, int i)
{
    int64_t at = GGL_PANEL_BLOCK * b + i;
    return vcombine_s8(vld1_s8(x[2 * pair].codes + at), vld1_s8(x[2 * pair + 1].codes + at));
}

/* dot[q][p][i]: row 4q + 2i of half a panel with both tokens of pair p, then row 4q + 2i + 1. */
GGL_PANEL_INLINE void multiply(const enum ggl_panel_kind kind, const uint8_t *codes, struct ggl_panel_levels levels, int half,
                               const tile x, const int n_pairs, int64_t b, int32x4_t dot[2][PAIRS][2])
{
    for (int q = 0; q < 2; q++)
        for (int p = 0; p < n_pairs; p++) dot[q][p][0] = dot[q][p][1] = vdupq_n_s32(0);
#pragma GCC unroll 4
    for (int j = 0; j < 8; j += 2) {
        int8x16_t a[PAIRS];
        for (int p = 0; p < n_pairs; p++) a[p] = load_pair(x, p, b, 4 * j);
        for (int q = 0; q < 2; q++) { /* four inputs a row twice -> eight inputs a row */
            int32x4_t first = vreinterpretq_s32_s8(ggl_panel_weights(kind, codes, j, 2 * half + q, levels));
            int32x4_t second = vreinterpretq_s32_s8(ggl_panel_weights(kind, codes, j + 1, 2 * half + q, levels));
            int8x16_t w0 = vreinterpretq_s8_s32(vzip1q_s32(first, second)), w1 = vreinterpretq_s8_s32(vzip2q_s32(first, second));
            for (int p = 0; p < n_pairs; p++) {
                dot[q][p][0] = vmmlaq_s32(dot[q][p][0], w0, a[p]);
                dot[q][p][1] = vmmlaq_s32(dot[q][p][1], w1, a[p]);
            }
        }
    }
}

GGL_PANEL_INLINE void run_tile(const struct ggl_panel_format *f, const enum ggl_panel_kind kind, const uint8_t *panel,
                               int64_t n_blocks, const tile x, const int n_pairs, ggl_rows sum[TOKENS])
{
    const struct ggl_panel_levels levels = ggl_panel_levels_of(f, kind);
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        for (int half = 0; half < 2; half++) {
            int32x4_t dot[2][PAIRS][2];
            multiply(kind, codes, levels, half, x, n_pairs, b, dot);
            for (int q = 0; q < 2; q++) {
                float32x4_t scale = ggl_panel_scales(kind, scales, 2 * half + q);
                for (int p = 0; p < n_pairs; p++) {
                    float32x4_t *s = &sum[2 * p][2 * half + q], *s1 = &sum[2 * p + 1][2 * half + q];
                    *s = ggl_panel_add(*s, vuzp1q_s32(dot[q][p][0], dot[q][p][1]), scale, x[2 * p].scales[b]);
                    *s1 = ggl_panel_add(*s1, vuzp2q_s32(dot[q][p][0], dot[q][p][1]), scale, x[2 * p + 1].scales[b]);
                }
            }
        }
    }
}

void ggl_panel_mul_i8mm(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                        int64_t y_stride, int n_rows)
{
    int64_t stride = ggl_panel_bytes(f->kind, n);
    struct ggl_act_q8 pairs = *x, last = ggl_act_q8_from(x, x->n_tokens & ~(int64_t)1);
    pairs.n_tokens -= last.n_tokens;
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += stride) {
        int rows = n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS;
        mul_one(f, panel, n, &pairs, y + r, y_stride, rows);
        if (last.n_tokens) ggl_panel_mul_dotprod(f, panel, n, &last, y + pairs.n_tokens * y_stride + r, y_stride, rows);
    }
}
