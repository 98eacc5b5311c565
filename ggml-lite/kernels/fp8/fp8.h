/*
 * FP8 (E4M3) matrices times 16-bit activations, in panels of 16 rows: BF16, and halves at the level AVX512FP16.
 *
 * A panel of n inputs (n a multiple of 4) is n / 4 groups of 64 codes, then ceil(n / 128) float scales (one a
 * 128-column tile: all 16 rows lie in the same 128), then 32 bits: bit r says that row r has a code that is no number; then
 * a byte a tile: bit i says that of the inputs 32 i .. 32 i + 31 of it some row has a code that is denormal, zero, or no number.
 *
 * How the codes of a group lie is the level's own affair: what fp8_pack of a level writes, fp8_mul of the same level
 * reads, as it does what act_fp8 writes, and the pick always takes all three from one (tests/kernels/fp8.c).  The plain
 * form (plain.h), which NEON and AVX-512 have, too: byte 16 l + 8 p + 2 r + i is row 4 l + r and input 2 p + i of the four.
 *
 * Every result is, whatever the number of tokens or threads, and at every level but AMX and AVX512FP16:
 *     sum = 0; for each tile of 128 inputs:
 *         s0 = s1 = 0; for each group of four inputs (a, b, c, d):
 *             s0 = (s0 + w_b x_b) + w_a x_a; s1 = (s1 + w_d x_d) + w_c x_c
 *         sum = sum + (s0 + s1) * scale
 * AMX adds in an order of its own, whatever the number of tokens or threads:
 *     sum = 0; for each tile of 128 inputs:
 *         s = 0; for each step of 32 inputs of it:
 *             even = odd = 0; for each pair of inputs (a, b): even = even + w_a x_a; odd = odd + w_b x_b
 *             s = s + (even + odd)
 *         sum = sum + s * scale
 * where a number that is denormal counts as zero, be it an input or a result.
 * Products of E4M3 and BF16 are exact in float, so fused and separate rounding agree.
 * AVX512FP16 adds halves, a 256th of the weights times activations below 256 (so that no sum is too large), with product and
 * sum rounded together:
 *     sum = 0; for each tile of 128 inputs:
 *         s0 = s1 = s2 = s3 = 0; for each group of four inputs (a, b, c, d):
 *             s0 = s0 + w_a x_a; s1 = s1 + w_b x_b; s2 = s2 + w_c x_c; s3 = s3 + w_d x_d
 *         sum = sum + ((s0 + s2) + (s1 + s3)) * 256 scale, product and sum rounded together
 * At most 32 products a sum, and activations of 11 instead of 8 bits: NMSE 1.0e-6 against BF16's 3.1e-6 (4096 normal inputs).
 *
 * A row with a code that is no number has no results that are numbers.
 */
#ifndef GGL_KERNEL_FP8_H
#define GGL_KERNEL_FP8_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GGL_FP8_ROWS 16
#define GGL_FP8_TILE 128
#define GGL_FP8_STEP 32

/* From the beginning of a panel to the bits of its rows. */
static inline int64_t ggl_fp8_flags_at(int64_t n)
{
    return n * GGL_FP8_ROWS + (n + GGL_FP8_TILE - 1) / GGL_FP8_TILE * 4;
}

/* And to the bytes of its tiles. */
static inline int64_t ggl_fp8_steps_at(int64_t n)
{
    return ggl_fp8_flags_at(n) + 4;
}

static inline int64_t ggl_fp8_panel_bytes(int64_t n)
{
    return (ggl_fp8_steps_at(n) + (n + GGL_FP8_TILE - 1) / GGL_FP8_TILE + 63) & ~(int64_t)63;
}

/* x -> BF16, nearest even; out may not overlap x. */
typedef void ggl_act_bf16_fn(const float *x, int64_t n, uint16_t *out);

/* What fp8_mul of the same level takes: n numbers, and behind them a float that all results of the row are to be multiplied
 * with, a power of two.  n is even; out has room for n + 2 and may not overlap x. */
typedef void ggl_act_fp8_fn(const float *x, int64_t n, uint16_t *out);

static inline void ggl_act_fp8_put_scale(uint16_t *row, int64_t n, float scale)
{
    memcpy(row + n, &scale, sizeof(scale));
}

static inline float ggl_act_fp8_scale(const uint16_t *row, int64_t n)
{
    float scale;
    memcpy(&scale, row + n, sizeof(scale));
    return scale;
}

/* Halves are x * up, and results come out right times down.  A row with a NaN, an infinity or a magnitude of 2^100 has
 * no halves, and no result that is a number. */
struct ggl_act_fp8_scaling {
    float up, down;
};

/* top: the largest magnitude's bits, which becomes 128 .. 256. */
static inline struct ggl_act_fp8_scaling ggl_act_fp8_scaling(uint32_t top)
{
    const int least = 27, most = 227; /* exponents of 2^-100 and 2^100 */
    const int exponent = (int)(top >> 23);
    struct ggl_act_fp8_scaling s = {0.0f, 1.0f};
    if (exponent >= most) s.down = INFINITY;
    if (exponent < least || exponent >= most) return s;
    const uint32_t up = (uint32_t)(127 + 127 + 7 - exponent) << 23, down = (uint32_t)(exponent - 7) << 23;
    memcpy(&s.up, &up, 4);
    memcpy(&s.down, &down, 4);
    return s;
}

/* The codes and all bits of n_rows <= 16 rows, row_bytes apart, of n inputs; the rows that are missing are zeros.  The
 * scales, n * 16 bytes into the panel, are the caller's to write. */
typedef void ggl_fp8_pack_fn(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel);

/* y[t * y_stride + r] for r < n_rows; panels of 16 rows follow each other, ggl_fp8_panel_bytes apart; token t is
 * x + t * x_stride elements.  With `more` the sums go on from those
 * in y: a row of more inputs may be cut into panels of whole tiles. */
typedef void ggl_fp8_mul_fn(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows, bool more);

/* What AMX and AVX512FP16 compute, in plain C, from plain panels: no level's, but twins to compare with. */
ggl_fp8_mul_fn ggl_fp8_mul_steps_ref, ggl_fp8_mul_halves_ref;
ggl_act_fp8_fn ggl_act_fp8_halves_ref;

#endif
