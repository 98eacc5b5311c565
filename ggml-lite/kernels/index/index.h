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
