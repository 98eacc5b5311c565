/*
 * Attention of some heads to one shared list of KV rows (each row is key and value), with an online softmax over
 * fixed tiles of GGL_ATTENTION_TILE rows, so that the sums depend on the list alone.
 *
 *     ggl_attention_begin(&s, n_head, n_dim, ...);
 *     for each tile of decoded rows: ggl_attention_tile(&s, q, rows, n);
 *     ggl_attention_end(&s, sinks);
 */
#ifndef GGL_KERNEL_ATTENTION_H
#define GGL_KERNEL_ATTENTION_H

#include <stdint.h>

struct ggl_kernels;

#define GGL_ATTENTION_TILE 64

struct ggl_attention_state {
    int n_head, n_dim;
    float scale; /* n_dim^-0.5 */
    float *acc;  /* [n_head][n_dim] sum of exp(s - max) * row; at the end the result */
    float *max;  /* [n_head] */
    float *sum;  /* [n_head] */
};

typedef void ggl_attention_begin_fn(struct ggl_attention_state *s);
/* q [n_head][n_dim], rows [n][n_dim], 1 <= n <= GGL_ATTENTION_TILE */
typedef void ggl_attention_tile_fn(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q,
                                   const float *rows, int n);
/* acc / (sum + exp(sink - max)), in its place */
typedef void ggl_attention_end_fn(struct ggl_attention_state *s, const float *sinks);

#endif
