/*
 * A tile of attention.h with queries, rows and weights of 16 bits: BF16, and halves at the level AVX512FP16; begin and end
 * are those of attention.h.  How queries and rows are laid out is the level's own affair: what query and pack of a level
 * write, tile of the same level reads, and the pick always takes all three from one (tests/kernels/attention16.c).
 *
 * BF16, for n_dim even.  Rows of the cache are BF16 already, so only queries and weights are rounded.  Queries are
 * [n_head][n_dim]; a tile is laid out twice:
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
 *
 * Halves, for n_dim even:
 *     queries [heads / 16][n_dim / 2][16 heads][2 dimensions], times a power of two a head, then a float a head that makes up
 *             for it (fp8.h says which: the largest becomes 128 .. 256); heads that the last 16 lack are zero
 *     keys    [n_dim / 128][tile][128 dimensions], which are the values, too; the last dimensions may be fewer
 *     values  a float a row: the power of two that its numbers are to be multiplied with
 * A row's power of two is the largest of its blocks' scales and of what its rotary part needs, so that its numbers are below
 * 2; blocks whose scale is less than 2^-24 of that are zeros.  A row that is not all numbers (or has one of 2^127) is zeros under
 * a NaN.  Rows that the last four lack are zero.  With product and sum of halves rounded together:
 *     score = 0; for each 128 dimensions:
 *         s0 = s1 = 0; for each pair of them (a, b): s0 = s0 + q_a k_a; s1 = s1 + q_b k_b
 *         score = score + (s0 + s1)
 *     score = (score * (query's factor * scale)) * row's factor
 *     weights = exp(score - max) as halves; sum = sum * shrink + (weights added up in order)
 *     top = the largest factor of the tile's rows; w = weight * (row's factor / top) as a half
 *     s = 0; for each row: s = s + w v; acc = acc * shrink + s * top
 * At most 64 products a sum; NMSE of 640 rows of 512 normal numbers 3.6e-6, of BF16 4.3e-6.
 */
#ifndef GGL_KERNEL_ATTENTION16_H
#define GGL_KERNEL_ATTENTION16_H

#include <stdint.h>

#include "ggml-lite/cache.h"
#include "kernels/attention/attention.h"

struct ggl_kernels;

#define GGL_ATTENTION16_MAX_DIM 4096 /* dimensions of a row, at most */
#define GGL_ATTENTION16_CHUNK   128  /* dimensions of a row of halves that lie together */

/* Numbers of 16 bits that queries take, and keys; values take as many as keys. */
static inline int64_t ggl_attention16_queries(int64_t n_head, int64_t n_dim)
{
    return (n_head + 15) / 16 * 16 * (n_dim + 2);
}

static inline int64_t ggl_attention16_values(int64_t n_dim)
{
    return GGL_ATTENTION_TILE * (n_dim < 2 ? 2 : n_dim);
}

/* q [n_head][n_dim] -> out */
typedef void ggl_attention16_query_fn(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out);
/* rows: n pointers, 1 <= n <= GGL_ATTENTION_TILE */
typedef void ggl_attention16_pack_fn(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values);
typedef void ggl_attention16_tile_fn(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n);

/* What AMX computes, in plain C: no level's, but a twin to compare with, and for n_dim that its tiles do not fit. */
ggl_attention16_tile_fn ggl_attention16_tile_steps_ref;
/* What AVX512FP16 computes, the same. */
ggl_attention16_query_fn ggl_attention16_query_halves_ref;
ggl_attention16_pack_fn ggl_attention16_pack_halves_ref;
ggl_attention16_tile_fn ggl_attention16_tile_halves_ref;

#endif
