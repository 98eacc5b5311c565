/*
 * Searches for the scale of a group of numbers: what the encoders of blocks with few bits share.
 *
 * A block is loaded in a unit of its own, a power of two, in which its largest number is near 1: nothing overflows
 * or vanishes inside a search, and as such a factor is exact the codes are those of the numbers as they were.
 * Groups are searched side by side, and sums run over the elements of each in order, so results depend on no compiler
 * and no processor, however many of them fit its vectors.
 */
#ifndef GGL_QUANT_SEARCH_H
#define GGL_QUANT_SEARCH_H

#include <stdbool.h>
#include <stdint.h>
#include "scalar.h"

enum { GGL_BLOCK_MAX = 256 };

struct ggl_block {
    float *x, *w;        /* numbers in this unit, and how much their errors weigh */
    float unit, inverse; /* powers of two */
    int n;
};

/* Loads x[n] into `room`, with w to be chosen below behind it, and clears the `bytes` bytes at `out`: that is all when no
 * number is large enough for a half scale.  With an infinity or a NaN in x the halves at d_at and m_at become NaN, so
 * that all is lost visibly.  True when there is more to do. */
enum { GGL_NO_FIELD = -1, GGL_BLOCK_ROOM = 2 * GGL_BLOCK_MAX };
bool ggl_block_begin(struct ggl_block *b, float *room, const float *x, int n, uint8_t *out, uint32_t bytes, int d_at,
                     int m_at);

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

/* ---- searches */

/* Groups below this, beside a block's largest number near 1, are zeros. */
#define GGL_GROUP_EPS 1e-15f

/* Up to 32 groups of n numbers are searched at a time, side by side: element i of group g is x[32 i + g]. */
enum { GGL_LANES = 32, GGL_GROUP_MAX = 32 };
struct ggl_lanes {
    _Alignas(64) float x[GGL_GROUP_MAX * GGL_LANES], w[GGL_GROUP_MAX * GGL_LANES];
    int n, n_groups;
};
/* Zeros, where not all are to be loaded. */
void ggl_lanes_begin(struct ggl_lanes *lanes, int n, int n_groups);
/* Group g from x[n] and w[n]. */
void ggl_lanes_load(struct ggl_lanes *lanes, int g, const float *x, const float *w);
/* Groups g .. g + n_groups - 1 from as many of a block. */
void ggl_lanes_load_block(struct ggl_lanes *lanes, int g, const struct ggl_block *b, int n_groups);

/* Whole blocks with a unit of their own, as many as have 32 groups, side by side. */
struct ggl_batch {
    struct ggl_lanes lanes;
    float room[2 * GGL_GROUP_MAX * GGL_LANES];
    struct ggl_block blocks[GGL_LANES];
    bool used[GGL_LANES]; /* ggl_block_begin was true */
    int n_blocks, n_groups; /* n_groups: of one block */
};
/* ggl_block_begin for the first blocks of x[n], of `group` elements a group; true when any is used.  Weigh those, then
 * load the lanes. */
bool ggl_batch_begin(struct ggl_batch *batch, const float *x, int64_t n, int block_elems, int group, uint8_t *out,
                     uint32_t bytes, int d_at, int m_at);
void ggl_batch_load(struct ggl_batch *batch);

/* What was found for each group: the scale that fits best, and the minimum; and what its codes are: they round
 * inverse x, or inverse (x - code_min). */
struct ggl_found {
    float scale[GGL_LANES], min[GGL_LANES];
    float inverse[GGL_LANES], code_min[GGL_LANES];
};
/* Codes of one group, none of them negative. */
void ggl_put_symmetric(const struct ggl_found *found, int g, int top, const float *x, int n, uint8_t *codes);
void ggl_put_affine(const struct ggl_found *found, int g, int top, const float *x, int n, uint8_t *codes);

struct ggl_affine_search {
    int top, n_steps;
    float first, step;
    bool absolute; /* the error is the sum of |differences|, not of their squares */
};

/* Searches of one level of the processor.  All have the same results. */
struct ggl_searches {
    /* x = scale (code - top), codes to 2 top - 1: the best of 19 scales around the one that has the largest magnitude at
     * code 0, each refitted to its codes.  gguf's "make_qx". */
    void (*symmetric)(const struct ggl_lanes *lanes, int top, struct ggl_found *found);
    /* x = scale code - min, codes to top, min >= 0: scales (top + first + k step) / (max - min), k = 0 .. n_steps, each
     * refitted together with its minimum.  "make_qkx". */
    void (*affine)(const struct ggl_lanes *lanes, const struct ggl_affine_search *how, struct ggl_found *found);
    /* x = scale level, one of IQ4's: the best of the scales that have the largest magnitude at places[n_places], refitted.
     * There is only a scale. */
    void (*levels)(const struct ggl_lanes *lanes, const float *places, int n_places, struct ggl_found *found);
};
extern const struct ggl_searches ggl_searches_c, ggl_searches_avx2, ggl_searches_avx512;
/* The best for these levels (quant/isa.h). */
const struct ggl_searches *ggl_searches_pick(uint64_t isa);

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

/* Of eight partial sums. */
static inline float ggl_sum_lanes(const float *s)
{
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

#endif
