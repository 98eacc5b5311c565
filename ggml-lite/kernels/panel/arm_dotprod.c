/*
 * NEON with dot products: a register of four rows by four inputs meets four activations of a token, which the
 * instruction itself broadcasts.  A tile is a panel by up to four tokens, 16 integer sums.
 */
#include "kernels/kernels.h"

#include "kernels/panel/arm_neon.h"

enum { TOKENS = 4, UNIT = 1 };
#include "kernels/panel/tiles.h"

/* dot += the products with inputs 4i .. 4i + 3 of the 16 in x; i is a constant once the loops are unrolled. */
GGL_PANEL_INLINE int32x4_t add_dot(int32x4_t dot, int8x16_t w, int8x16_t x, const int i)
{
    switch (i) {
    case 0: return vdotq_laneq_s32(dot, w, x, 0);
    case 1: return vdotq_laneq_s32(dot, w, x, 1);
    case 2: return vdotq_laneq_s32(dot, w, x, 2);
    default: return vdotq_laneq_s32(dot, w, x, 3);
    }
}

/* dot[t][q]: the sums of block b for rows 4q .. 4q + 3. */
GGL_PANEL_INLINE void multiply(const enum ggl_panel_kind kind, const uint8_t *codes, struct ggl_panel_levels levels,
                               const tile x, const int n, int64_t b, int32x4_t dot[TOKENS][GGL_PANEL_QUADS])
{
    for (int t = 0; t < n; t++)
        for (int q = 0; q < GGL_PANEL_QUADS; q++) dot[t][q] = vdupq_n_s32(0);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        int8x16_t a[TOKENS];
        for (int t = 0; t < n; t++) a[t] = vld1q_s8(x[t].codes + GGL_PANEL_BLOCK * b + 16 * half);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            for (int q = 0; q < GGL_PANEL_QUADS; q++) {
                int8x16_t w = ggl_panel_weights(kind, codes, 4 * half + i, q, levels);
                for (int t = 0; t < n; t++) dot[t][q] = add_dot(dot[t][q], w, a[t], i);
            }
        }
    }
}

GGL_PANEL_INLINE void run_tile(const struct ggl_panel_format *f, const enum ggl_panel_kind kind, const uint8_t *panel,
                               int64_t n_blocks, const tile x, const int n, ggl_rows sum[TOKENS])
{
    const struct ggl_panel_levels levels = ggl_panel_levels_of(f, kind);
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        int32x4_t dot[TOKENS][GGL_PANEL_QUADS];
        multiply(kind, codes, levels, x, n, b, dot);
        for (int q = 0; q < GGL_PANEL_QUADS; q++) {
            float32x4_t scale = ggl_panel_scales(kind, scales, q);
            for (int t = 0; t < n; t++) sum[t][q] = ggl_panel_add(sum[t][q], dot[t][q], scale, x[t].scales[b]);
        }
    }
}

void ggl_panel_mul_dotprod(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                           int64_t y_stride, int n_rows)
{
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n))
        mul_one(f, panel, n, x, y + r, y_stride, n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS);
}
