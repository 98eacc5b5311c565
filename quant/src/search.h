/*
 * Searches for the scale of a group of numbers: what the encoders of blocks with few bits share.
 *
 * A block is loaded in a unit of its own, a power of two, in which its largest number is near 1: nothing overflows
 * or vanishes inside a search, and as such a factor is exact the codes are those of the numbers as they were.
 * Loops go over lanes that have nothing to do with each other, and sums over the elements in order, so results depend
 * on no compiler and no processor.
 */
#ifndef GGL_QUANT_SEARCH_H
#define GGL_QUANT_SEARCH_H

#include <stdbool.h>
#include <stdint.h>
#include "scalar.h"

enum { GGL_BLOCK_MAX = 256 };

struct ggl_block {
    float x[GGL_BLOCK_MAX], w[GGL_BLOCK_MAX]; /* numbers in this unit, and how much their errors weigh */
    float unit, inverse;                      /* powers of two */
    int n;
};

/* Loads x[n], with w to be chosen below, and clears the `bytes` bytes at `out`: that is all when no number is large
 * enough for a half scale.  With an infinity or a NaN in x the halves at d_at and m_at become NaN, so that all is lost
 * visibly.  True when there is more to do. */
enum { GGL_NO_FIELD = -1 };
bool ggl_block_begin(struct ggl_block *b, const float *x, int n, uint8_t *out, uint32_t bytes, int d_at, int m_at);

/* w = x^2. */
void ggl_block_weigh_squares(struct ggl_block *b);
/* w = weights * sqrt(mean_square + x^2), with mean_square in the block's unit; with a negative mean_square w = weights.
 * What is no weight counts as zero, and nothing but zeros among `group` of them as all alike. */
void ggl_block_weigh(struct ggl_block *b, const float *weights, float mean_square, int group);
float ggl_block_mean_square(const struct ggl_block *b);
/* Of a row, and then in the unit of one of its blocks. */
double ggl_row_mean_square(const float *x, int64_t n);
float ggl_block_of_square(const struct ggl_block *b, double square);

/* The half nearest to v units; and what it is worth, in units. */
uint16_t ggl_block_half(const struct ggl_block *b, float v);
float ggl_block_of_half(const struct ggl_block *b, uint16_t half);

/* ---- searches.  Scales are returned or put, and so are codes, none of them negative. */

/* Eight groups of n numbers are searched at a time, side by side: element i of group g is x[8 i + g]. */
enum { GGL_LANES = 8, GGL_GROUP_MAX = 32 };
struct ggl_lanes {
    float x[GGL_GROUP_MAX * GGL_LANES], w[GGL_GROUP_MAX * GGL_LANES];
    int n;
};
/* Group g from x[n] and w[n]. */
void ggl_lanes_load(struct ggl_lanes *lanes, int g, const float *x, const float *w, int n);
/* Groups 0 .. 7 from 8 n elements of a block, beginning at `first`. */
void ggl_lanes_load_block(struct ggl_lanes *lanes, const struct ggl_block *b, int first, int n);

/* Up to eight blocks of 32, each with a unit of its own, side by side. */
struct ggl_batch {
    struct ggl_lanes lanes;
    struct ggl_block blocks[GGL_LANES];
    bool used[GGL_LANES]; /* ggl_block_begin was true */
};
/* ggl_block_begin for x[32 n_blocks]; true when any block is used.  Weigh those, then load the lanes. */
bool ggl_batch_begin(struct ggl_batch *batch, const float *x, int n_blocks, uint8_t *out, uint32_t bytes, int d_at,
                     int m_at);
void ggl_batch_load(struct ggl_batch *batch);

/* x = scale (code - top), codes to 2 top - 1: the best of 19 scales around the one that has the largest magnitude at
 * code 0, each refitted to its codes.  gguf's "make_qx".  Codes of group g begin at codes[g n]. */
void ggl_search_symmetric(const struct ggl_lanes *lanes, int top, float *scale, uint8_t *codes);

/* x = scale code - min, codes to top, min >= 0: scales (top + first + k step) / (max - min), k = 0 .. n_steps, each
 * refitted together with its minimum.  "make_qkx". */
struct ggl_affine_search {
    int top, n_steps;
    float first, step;
    bool absolute; /* the error is the sum of |differences|, not of their squares */
};
void ggl_search_affine(const struct ggl_lanes *lanes, const struct ggl_affine_search *how, float *scale, float *min,
                       uint8_t *codes);
/* What importances call for: 37 scales in narrower steps. */
static inline struct ggl_affine_search ggl_affine_weighted(int top)
{
    return (struct ggl_affine_search){.top = top, .n_steps = 36, .first = -0.9f, .step = 0.05f};
}

/* One group: from the middle one of the symmetric scales, whose codes are then changed one at a time while that helps;
 * w = x^2.  "make_q3". */
float ggl_search_symmetric_steps(const float *x, int n, int top, uint8_t *codes);
/* One group, x = scale code for x >= 0, codes to top: nine scales, then changes one at a time.  "make_qp". */
float ggl_search_positive(const float *x, const float *w, int n, int top, uint8_t *codes);
/* The same with the largest at code `top`, without a search. */
float ggl_round_positive(const float *x, int n, int top, uint8_t *codes);
/* Codes of n scales or minima of a block's groups, and the half that they are multiples of: searched for where groups
 * have weights w, rounded where w is NULL. */
uint16_t ggl_quantise_positive(const struct ggl_block *b, const float *x, const float *w, int n, int top, uint8_t *codes);

/* ---- pieces of searches */

/* The nearest whole number, ties to even; |v| < 2^22. */
static inline float ggl_round_even(float v)
{
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

/* ... between low and high, which is also what NaN becomes. */
static inline float ggl_code_within(float v, float low, float high)
{
    v = v > low ? v : low;
    v = v < high ? v : high;
    return ggl_round_even(v);
}

/* a where all bits of `which` are set, b where none is: loops with this vectorise, those with ?: often do not. */
static inline float ggl_choose(uint32_t which, float a, float b)
{
    return ggl_float_of((ggl_bits_of(a) & which) | (ggl_bits_of(b) & ~which));
}

/* Of eight partial sums. */
static inline float ggl_sum_lanes(const float *s)
{
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

#endif
