/* The layout of halves (attention16.h), and a row's power of two: for the level that has them and its twin. */
#ifndef GGL_KERNEL_ATTENTION16_HALVES_H
#define GGL_KERNEL_ATTENTION16_HALVES_H

#include <math.h>
#include <string.h>

#include "kernels/attention16/attention16.h"
#include "quant/quant.h"

enum { GGL_KV_BLOCK = 64, GGL_QUERY_GROUP = 16, GGL_LEAST_POWER = -24 /* of two, that is a half */ };

/* Where a head's dimension of a query is, and where all heads' factors begin. */
static inline int64_t ggl_query_at(int n_dim, int head, int d)
{
    return ((int64_t)(head / GGL_QUERY_GROUP) * (n_dim / 2) + d / 2) * 2 * GGL_QUERY_GROUP + head % GGL_QUERY_GROUP * 2 + d % 2;
}

static inline int64_t ggl_query_factors_at(int n_head, int n_dim)
{
    return (int64_t)((n_head + GGL_QUERY_GROUP - 1) / GGL_QUERY_GROUP) * GGL_QUERY_GROUP * n_dim;
}

/* Where a row's dimensions d .. are, d a multiple of a chunk. */
static inline int64_t ggl_half_row_at(int n_dim, int row, int d)
{
    const int width = n_dim - d < GGL_ATTENTION16_CHUNK ? n_dim - d : GGL_ATTENTION16_CHUNK;
    return (int64_t)d * GGL_ATTENTION_TILE + (int64_t)row * width;
}

static inline float ggl_row_factor(const uint16_t *values, int row)
{
    float factor;
    memcpy(&factor, values + 2 * row, 4);
    return factor;
}

static inline void ggl_put_row_factor(uint16_t *values, int row, float factor)
{
    memcpy(values + 2 * row, &factor, 4);
}

/* The largest of them, of those that are numbers; 1 without any. */
static inline float ggl_top_factor(const uint16_t *values, int n)
{
    float top = 0;
    for (int i = 0; i < n; i++) top = ggl_row_factor(values, i) > top ? ggl_row_factor(values, i) : top;
    return top > 0 ? top : 1;
}

/* 2^(exponent - 127), for exponent 1 .. 254. */
static inline float ggl_power(int exponent)
{
    const uint32_t bits = (uint32_t)exponent << 23;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

enum { GGL_NO_NUMBERS = 254 }; /* a row's exponent from which on not all of it is numbers, or they are too large */

/* A row's exponent, whose 2^(exponent - 127) it is divided by: a block's is that of its codes as halves, which are 256ths of
 * theirs.  top: the largest magnitude of its rotary part, as BF16. */
static inline int ggl_row_exponent(const uint8_t *scales, int n_blocks, uint16_t top)
{
    int exponent = top >> 7 > 1 ? top >> 7 : 1;
    for (int i = 0; i < n_blocks; i++) {
        const int e = scales[i] == 255 ? 255 : scales[i] + 8;
        if (e > exponent) exponent = e;
    }
    return exponent;
}

#endif
