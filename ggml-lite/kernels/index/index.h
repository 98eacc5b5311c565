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

/*
 * Scans: rows of 128 inputs whose four scales lie within a factor of 8, as integers of one scale.  A head's product is
 * then one integer dot product, below 2^21 and so exact as a float, as are the partial sums of the products by blocks
 * that index_unpack leads to.  Scales are powers of two, so that it does not matter either when they are multiplied with:
 * a head's belongs to its weight here (gains), a key's to its score.  So both ways give the same bits, as long as nothing
 * comes near the ends of floats, for which there are limits to scales and weights.
 *
 * A row's values lie in the order of scans: element 32 q + 16 h + i at 64 h + 16 q + i.
 */
#define GGL_INDEX_SCAN_DIM  128
#define GGL_INDEX_SCAN_BIAS 96 /* of keys, whose bytes are unsigned: the largest value is 12 << 3 */

struct ggl_index_scan {
    int n_panels;           /* of 16 heads */
    const int8_t *values;   /* [n_panels][32][16][4]: four neighbouring values of each head */
    const int32_t *biased;  /* [16 n_panels] -GGL_INDEX_SCAN_BIAS times the sum of the values */
    const float *gains;     /* [16 n_panels] weights times scales of the heads */
};

/* The least of a row's four exponents; -1: too far apart, or so that products of scales come near the ends of floats. */
static inline int ggl_index_least(const uint8_t e[4])
{
    int least = e[0], most = e[0];
    for (int q = 1; q < 4; q++) {
        least = e[q] < least ? e[q] : least;
        most = e[q] > most ? e[q] : most;
    }
    return most - least > 3 || least < 100 || most > 150 ? -1 : least;
}

/* Whether scans may have a head of this weight. */
static inline bool ggl_index_weight_is_sane(float weight)
{
    float size = weight < 0 ? -weight : weight;
    return size == 0 || (size >= 0x1p-40f && size <= 0x1p40f);
}

/* A row as 128 values (multiples of *scale, at most 96); false: its scales are too different, or not sane. */
bool ggl_index_level(const uint8_t *row, int8_t *values, float *scale);

/* score[t * stride + i] of keys rows[0 .. n) for query t of n_queries, as index_combine; false: a row has no such values, and score
 * is undefined.  Several queries share what making numbers of the keys takes. */
typedef bool ggl_index_scan_fn(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride);

/* The best `cap` of a stream of (score, entry), entries ascending; a tie goes to the lower entry.  A NaN score
 * counts as the lowest.  What may be among them is collected until there is no more room; then the best stay, in their
 * order.  Their worst score is what later ones have to exceed, so that of a long stream few are collected. */
struct ggl_top_k {
    float *score;   /* [2 cap] */
    int32_t *entry; /* [2 cap] */
    int32_t cap, n;
    float least;
};
void ggl_top_k_begin(struct ggl_top_k *k); /* of an empty stream; cap and the arrays are set */
void ggl_top_k_add(struct ggl_top_k *k, const float *score, int32_t n, int32_t entry); /* entries entry .. entry + n - 1 */
void ggl_top_k_join(struct ggl_top_k *k, const struct ggl_top_k *later); /* of a stream that goes on where this one ends */
void ggl_top_k_settle(struct ggl_top_k *k); /* only the best are left, entries ascending */

#endif
