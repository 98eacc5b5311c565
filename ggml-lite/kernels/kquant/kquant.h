/*
 * Panels of the types that scale blocks of 256 twice (K-quants, IQ types): a float for the block, and small integers for
 * its parts of 16 or 32 inputs.  Panels are 16 rows interleaved, as in panel.h, and activations are those of act_q8.h.
 *
 * A weight is d * scale * (code's value - bias), less dmin * min where a type has minima.  A block of 256 inputs is
 *   d       16 x float, row 0 first
 *   dmin    16 x float                      where the format has minima
 *   scales  for each part, 16 x int8
 *   mins    for each part, 16 x uint8       where the format has minima
 *   codes   for each 32 inputs
 *             for j = 0..3, for row = 0..15: low nibbles inputs 4j .. 4j + 3, high nibbles 4j + 16 .. 4j + 19
 *             6 bits: for v = 0, 1, for row = 0..15, for k = 0..3: a byte with the two upper bits of inputs
 *             16v + k, + 4, + 8, + 12, lowest bits first
 * With 4 bits a nibble is an index of the table of 16 values; with 6 bits the code is the value.
 *
 * Every result is, whatever the level, the number of tokens or threads:
 *     y = 0; for each block in order:
 *         s = 0; for each 32 inputs b in order: s = s + (float)(sum over b's parts of scale * integer dot product) * scale_x[b]
 *         m = 0; for each part p in order:      m = m + (float)min[p] * ((float)(sum of p's activations) * scale_x[b])
 *         y = y + d * s, or with minima y = y + (d * s - dmin * m)
 * with each operation rounded on its own, so all levels give the same bits.  No integer passes 2^24: it is exact as float.
 *
 * Types of 32 weights with a minimum, or with five bits (Q4_1, Q5_0, Q5_1), are taken eight blocks at a time.  Each has a
 * d and a minimum of its own, dmin * min in one float: 8 x 16 floats d, then as many minima, before the codes, and
 *     s = s + (float)(integer dot product of b) * (d[b] * scale_x[b]);  m = m + min[b] * ((float)(sum) * scale_x[b])
 *     y = y + s, or with minima y = y + (s - m)
 */
#ifndef GGL_KERNEL_KQUANT_H
#define GGL_KERNEL_KQUANT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/act_q8/act_q8.h"
#include "quant/quant.h"

#define GGL_KQUANT_ROWS  16
#define GGL_KQUANT_BLOCK 256

struct ggl_kquant_format {
    enum ggl_type type;
    uint8_t bits;      /* of a code: 4 or 6 */
    uint8_t parts;     /* of 32 inputs: 1 or 2 */
    bool mins;
    bool each;         /* 32 inputs have a d of their own */
    uint8_t bias;      /* what is taken from a value */
    uint8_t most;      /* the largest value */
    float factor;      /* d is that of the file times this power of two */
    uint8_t table[16]; /* 4 bits: values */
};

/* NULL: a type that has no such panels. */
const struct ggl_kquant_format *ggl_kquant_format(enum ggl_type type);

/* Of one block of 16 rows before its codes, of the codes of 32 inputs, of a panel of n inputs; multiples of 64. */
static inline int64_t ggl_kquant_head_bytes(const struct ggl_kquant_format *f)
{
    return (f->each ? 512 : 64 + 8 * f->parts * 16) * (f->mins ? 2 : 1);
}

static inline int64_t ggl_kquant_code_bytes(const struct ggl_kquant_format *f)
{
    return f->bits == 6 ? 384 : 256;
}

static inline int64_t ggl_kquant_panel_bytes(const struct ggl_kquant_format *f, int64_t n)
{
    return n / GGL_KQUANT_BLOCK * (ggl_kquant_head_bytes(f) + 8 * ggl_kquant_code_bytes(f));
}

/* The panel of 16 rows of n inputs (a multiple of 256) in file order, row_bytes apart; rows from n_rows on are zeros. */
typedef void ggl_kquant_expand_fn(const struct ggl_kquant_format *f, const uint8_t *rows, int64_t row_bytes, int n_rows,
                                  int64_t n, uint8_t *panel);

/*
 * y[t * y_stride + r] for r < n_rows and the vectors of x; panels of n inputs and 16 rows follow each other,
 * ggl_kquant_panel_bytes apart.  Where x begins with input 0, so do the sums; else they go on from those in y.
 */
typedef void ggl_kquant_mul_fn(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x,
                               float *y, int64_t y_stride, int n_rows);

#endif
