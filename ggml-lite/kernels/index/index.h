/*
 * The indexer: scores of compressed entries and the choice of the best.
 */
#ifndef GGL_KERNEL_INDEX_H
#define GGL_KERNEL_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct ggl_kernels;

/* sum_h weights[h] * max(0, q[h] . key), heads in ascending order.  q [n_head][n_dim]. */
typedef float ggl_index_score_f32_fn(const struct ggl_kernels *k, const float *q, const float *weights,
                                     const float *key, int n_head, int n_dim);

/* An index row (n_dim / 2 bytes of E2M1 codes, low nibble first, then a UE8M0 scale a 32) as a row of act_q8.h: twice
 * the values as integers, half the scales, the sums. */
typedef void ggl_index_unpack_fn(const uint8_t *row, int32_t n_dim, int8_t *out);

/* score[i] = sum over panels p and lanes l of weights[16 p + l] * max(0, products[i * stride + 16 p + l]): lane by lane
 * over the panels, then the lanes in the tree of vec.h. */
typedef void ggl_index_combine_fn(const float *products, int64_t stride, const float *weights, int n_panels, int n, float *score);

/* The best `cap` of a stream of (score, entry), entries ascending; a tie goes to the lower entry.  A NaN score
 * counts as the lowest. */
struct ggl_top_k {
    float *score;   /* [cap] */
    int32_t *entry; /* [cap] */
    int32_t n, cap;
};
void ggl_top_k_push(struct ggl_top_k *k, float score, int32_t entry);
void ggl_top_k_sort_entries(struct ggl_top_k *k); /* ascending entries; scores are lost */

#endif
