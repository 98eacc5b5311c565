/*
 * A tile of attention.h with BF16 queries, rows and weights, for n_dim even.  Rows of the cache are BF16 already, so only
 * queries and weights are rounded; begin and end are those of attention.h.  A tile is laid out twice:
 *     keys    [tile / 16][n_dim / 2][16 rows][2 dimensions]
 *     values  [tile / 2][n_dim][2 rows]
 * where the rows that the last 16 lack are zero, and what follows these is not looked at.  With each operation rounded
 * on its own, products being exact:
 *     score = 0; for each pair of dimensions (a, b): score = (score + q_b k_b) + q_a k_a
 *     weights = exp(score * scale - max) as BF16, 0 below 2^-126; sum = sum * shrink + (weights added up as in vec.h)
 *     acc = acc * shrink; for each pair of rows (a, b): acc = (acc + w_b v_b) + w_a v_a
 * AMX, which is the exception, adds the same products in steps (math/steps.h):
 *     score = 0; for each 32 dimensions: score = score + (sum of the even products + sum of the odd ones)
 *     acc = acc * shrink; for each 32 rows: acc = acc + (sum of the even rows' products + sum of the odd ones')
 */
#ifndef GGL_KERNEL_ATTENTION_BF16_H
#define GGL_KERNEL_ATTENTION_BF16_H

#include <stdint.h>

#include "ggml-lite/cache.h"
#include "kernels/attention/attention.h"

static inline int64_t ggl_attention_pack_values(int64_t n_dim) /* of keys, and of values */
{
    return GGL_ATTENTION_TILE * n_dim;
}

/* rows: n pointers, 1 <= n <= GGL_ATTENTION_TILE */
typedef void ggl_attention_pack_fn(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys,
                                   uint16_t *values);
/* q [n_head][n_dim] */
typedef void ggl_attention_tile_bf16_fn(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys,
                                        const uint16_t *values, int n);

/* What AMX computes, in plain C: no level's, but a twin to compare with, and for n_dim that its tiles do not fit. */
ggl_attention_tile_bf16_fn ggl_attention_tile_steps_ref;

#endif
