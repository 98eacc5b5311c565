/*
 * Activations as 8-bit integers in blocks of 32, each with a float scale: what integer kernels multiply with.
 *
 * A row of n elements (n a multiple of 32) is stored as
 *   int8  code[n]       round(x / scale) to nearest even
 *   float scale[n / 32] amax / 127 rounded to 22 bits, amax of the block of 32
 *   int32 sum[n / 32]   sum of the block's codes, for weights that are stored with a bias
 *   int32 half[n / 32]  sum of the block's first 16 codes, for weights with a scale for 16 (kernels/kquant)
 * A block with a NaN, an infinity or a magnitude of 2^100 gets an infinite scale, so that it is not lost.
 *
 * Of 22 bits, a scale times 1.5 * 2^23 is exact, and below 2^100 finite: kernels may so scale an integer without converting it
 * (panel/x86_avx512_tiles.h).
 */
#ifndef GGL_KERNEL_ACT_Q8_H
#define GGL_KERNEL_ACT_Q8_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GGL_ACT_BLOCK 32

static inline int64_t ggl_act_q8_bytes(int64_t n) /* a multiple of 64 when n is one of 32 */
{
    return (n + n / GGL_ACT_BLOCK * 12 + 63) & ~(int64_t)63;
}

static inline const float *ggl_act_q8_scales(const int8_t *row, int64_t n)
{
    return (const float *)(const void *)(row + n);
}

static inline const int32_t *ggl_act_q8_sums(const int8_t *row, int64_t n)
{
    return (const int32_t *)(const void *)(row + n + n / GGL_ACT_BLOCK * 4);
}

static inline const int32_t *ggl_act_q8_halves(const int8_t *row, int64_t n)
{
    return (const int32_t *)(const void *)(row + n + n / GGL_ACT_BLOCK * 8);
}

/* A block's scale, and what its elements are multiplied with: zero where nothing is left of them. */
struct ggl_act_q8_scaling {
    float scale, inverse;
};

static inline struct ggl_act_q8_scaling ggl_act_q8_scaling(float amax)
{
    const float tiny = 1e-30f, most = 0x1p100f;
    float scale = amax / 127.0f;
    uint32_t bits;
    if (!(amax < most)) return (struct ggl_act_q8_scaling){INFINITY, 0.0f};
    if (amax <= tiny) return (struct ggl_act_q8_scaling){0.0f, 0.0f}; /* its inverse would overflow */
    memcpy(&bits, &scale, 4);
    bits = (bits + 2) & ~3u;
    memcpy(&scale, &bits, 4);
    return (struct ggl_act_q8_scaling){scale, 1.0f / scale};
}

/*
 * Inputs from `begin` on (a multiple of 32) of some of those rows: what a panel is multiplied with.  A matrix may be cut
 * into panels of a part of its inputs each (pack_impl.h); sums then go on from part to part.
 */
struct ggl_act_q8 {
    const int8_t *rows;
    int64_t width, stride; /* elements of a whole row; bytes from row to row */
    int64_t begin;
    int64_t n_tokens;
};

/* From vector t on. */
static inline struct ggl_act_q8 ggl_act_q8_from(const struct ggl_act_q8 *x, int64_t t)
{
    struct ggl_act_q8 rest = *x;
    rest.rows += t * x->stride;
    rest.n_tokens -= t;
    return rest;
}

/* A vector's inputs from `begin` on: codes, and of each block of 32 the rest. */
struct ggl_act_q8_row {
    const int8_t *codes;
    const float *scales;
    const int32_t *sums, *halves;
};

static inline struct ggl_act_q8_row ggl_act_q8_row(const struct ggl_act_q8 *x, int64_t t)
{
    const int8_t *row = x->rows + t * x->stride;
    int64_t block = x->begin / GGL_ACT_BLOCK;
    return (struct ggl_act_q8_row){row + x->begin, ggl_act_q8_scales(row, x->width) + block,
                                   ggl_act_q8_sums(row, x->width) + block, ggl_act_q8_halves(row, x->width) + block};
}

typedef void ggl_act_q8_fn(const float *x, int64_t n, int8_t *row);

#endif
