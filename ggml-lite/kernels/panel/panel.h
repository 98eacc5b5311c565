/*
 * Panels: 16 rows of a matrix, interleaved so that one vector holds four neighbouring inputs of each row and one
 * broadcast of four activations serves all 16.  Weights are integers with a scale a block of 32 inputs.
 *
 * A panel of n inputs is n / 32 blocks: the codes of all of them, then the scales of all.  (With its scales before its codes a
 * block's vectors crossed lines, and INT4 came at 88 % of the memory's speed, so at 96.)
 *   scales  row 0 first: 16 x half (GGL_PANEL_Q8, GGL_PANEL_T4), 16 x float (GGL_PANEL_X8) or 16 x E4M3 (GGL_PANEL_I4),
 *           which count as a 256th of their value: as the half that has the code's bits, an exact widening
 *   codes   Q8, X8: for j = 0..7, for row = 0..15: inputs 4j .. 4j + 3 of the row, each plus the bias, one byte
 *           T4, I4: for j = 0..3, for row = 0..15: low nibbles inputs 4j .. 4j + 3, high nibbles 4j + 16 .. 4j + 19;
 *                   a nibble is an index of the table
 *
 * Every result is, whatever the level, the number of tokens or threads:
 *     y = 0; for each block b in order: y = fma((float)(integer dot product of block b) * scale_x[b], scale_w[b], y)
 * with each product rounded, and the last one and the sum only together, so all levels give the same bits.  What else there is to multiply I4's y with
 * is the caller's affair.
 *
 * Weights without their bias lie in -128 .. 127, codes of X8 in 0 .. 32 and activations in -127 .. 127: more would not
 * fit in the 16-bit sums of AVX2.  The scales of activations have 22 bits (act_q8.h).
 */
#ifndef GGL_KERNEL_PANEL_H
#define GGL_KERNEL_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/act_q8/act_q8.h"

#define GGL_PANEL_ROWS  16
#define GGL_PANEL_BLOCK 32

enum ggl_panel_kind { GGL_PANEL_Q8, GGL_PANEL_X8, GGL_PANEL_T4, GGL_PANEL_I4 };

struct ggl_panel_format {
    enum ggl_panel_kind kind;
    int32_t bias;        /* of the codes: stored = weight + bias, 0..255 */
    const uint8_t *table; /* T4, I4: 16 biased weights */
};

/* Of a block. */
static inline int64_t ggl_panel_code_bytes(enum ggl_panel_kind kind)
{
    return kind == GGL_PANEL_Q8 || kind == GGL_PANEL_X8 ? 512 : 256;
}

static inline int64_t ggl_panel_scale_bytes(enum ggl_panel_kind kind)
{
    return kind == GGL_PANEL_X8 ? 64 : kind == GGL_PANEL_I4 ? 16 : 32;
}

/* Of a panel of n inputs. */
static inline int64_t ggl_panel_bytes(enum ggl_panel_kind kind, int64_t n)
{
    return n / GGL_PANEL_BLOCK * (ggl_panel_code_bytes(kind) + ggl_panel_scale_bytes(kind));
}

/* From the beginning of a panel of n inputs to its scales. */
static inline int64_t ggl_panel_scales_at(enum ggl_panel_kind kind, int64_t n)
{
    return n / GGL_PANEL_BLOCK * ggl_panel_code_bytes(kind);
}

/*
 * y[t * y_stride + r] for r < n_rows and the vectors of x; panels of n inputs and 16 rows follow each other,
 * ggl_panel_bytes apart.  Where x begins with input 0, so do the sums; else they go on from those in y.
 */
typedef void ggl_panel_mul_fn(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x,
                              float *y, int64_t y_stride, int n_rows);

#endif
