/*
 * NEON without dot products: bytes are multiplied to 16 bits and those added in pairs.  Two products of weights as large
 * as 128 fit in 16 bits (2 * 128 * 127), eight of X8's, which are at most 32.  Eight rows at a time, so that the sums
 * of four tokens stay in registers.
 */
#include "kernels/kernels.h"

#include "kernels/panel/arm_neon.h"

enum { TOKENS = 4, UNIT = 1 };
#include "kernels/panel/tiles.h"

static inline int8x16_t broadcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

/* dot[t][q]: the sums of block b for rows 8 half + 4q .. + 3. */
GGL_PANEL_INLINE void multiply(const enum ggl_panel_kind kind, const uint8_t *codes, struct ggl_panel_levels levels, int half,
                               const tile x, const int n, int64_t b, int32x4_t dot[TOKENS][2])
{
    const int run = kind == GGL_PANEL_X8 ? 8 : 2; /* inputs 4j whose products are added in 16 bits */
    int32x4_t sum[TOKENS][2][2];
    for (int t = 0; t < n; t++)
        for (int q = 0; q < 2; q++) sum[t][q][0] = sum[t][q][1] = vdupq_n_s32(0);
    for (int j0 = 0; j0 < 8; j0 += run) {
        int16x8_t pairs[TOKENS][2][2];
        for (int j = j0; j < j0 + run; j++) {
            int8x16_t w[2];
            for (int q = 0; q < 2; q++) w[q] = ggl_panel_weights(kind, codes, j, 2 * half + q, levels);
            for (int t = 0; t < n; t++) {
                int8x16_t a = broadcast4(x[t].codes + GGL_PANEL_BLOCK * b + 4 * j);
                for (int q = 0; q < 2; q++) {
                    int16x8_t *p = pairs[t][q];
                    p[0] = j == j0 ? vmull_s8(vget_low_s8(w[q]), vget_low_s8(a))
                                   : vmlal_s8(p[0], vget_low_s8(w[q]), vget_low_s8(a));
                    p[1] = j == j0 ? vmull_high_s8(w[q], a) : vmlal_high_s8(p[1], w[q], a);
                }
            }
        }
        for (int t = 0; t < n; t++)
            for (int q = 0; q < 2; q++)
                for (int i = 0; i < 2; i++) sum[t][q][i] = vpadalq_s16(sum[t][q][i], pairs[t][q][i]);
    }
    for (int t = 0; t < n; t++)
        for (int q = 0; q < 2; q++) dot[t][q] = vpaddq_s32(sum[t][q][0], sum[t][q][1]);
}

GGL_PANEL_INLINE void run_tile(const struct ggl_panel_format *f, const enum ggl_panel_kind kind, const uint8_t *panel,
                               int64_t n_blocks, const tile x, const int n, ggl_rows sum[TOKENS])
{
    const struct ggl_panel_levels levels = ggl_panel_levels_of(f, kind);
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        for (int half = 0; half < 2; half++) {
            int32x4_t dot[TOKENS][2];
            multiply(kind, codes, levels, half, x, n, b, dot);
            for (int q = 0; q < 2; q++) {
                float32x4_t scale = ggl_panel_scales(kind, scales, 2 * half + q);
                for (int t = 0; t < n; t++)
                    sum[t][2 * half + q] = ggl_panel_add(sum[t][2 * half + q], dot[t][q], scale, x[t].scales[b]);
            }
        }
    }
}

void ggl_panel_mul_neon(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                        int64_t y_stride, int n_rows)
{
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n))
        mul_one(f, panel, n, x, y + r, y_stride, n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS);
}
