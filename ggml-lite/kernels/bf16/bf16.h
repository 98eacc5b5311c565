/*
 * BF16 matrices times BF16 activations; the rows lie as in the file, row_bytes apart and at any alignment.
 *
 * Every result is, whatever the level, the number of tokens, rows or threads:
 *     s0[16] = s1[16] = 0; for each 64 inputs and each lane l, with (a, b) inputs 2 l and 2 l + 1 of the 64, and (c, d)
 *     inputs 32 + 2 l and 33 + 2 l:
 *         s0[l] = (s0[l] + w_b x_b) + w_a x_a;   s1[l] = (s1[l] + w_d x_d) + w_c x_c
 *     y = the lanes s0[l] + s1[l], added in the fixed tree of vec.h
 * Products are exact, so each bracket is rounded once, to nearest even.  Weights and activations below 2^-126 are taken
 * as zeros of their sign; a bracket that would be below 2^-126 when rounded to 24 bits becomes a zero of its sign; the
 * tree knows numbers below 2^-126.  That is what vdpbf16ps computes.  Inputs that the last 64 lack are products +0.
 * A result that is no number is no number at every level; which one is not said.
 */
#ifndef GGL_KERNEL_BF16_H
#define GGL_KERNEL_BF16_H

#include <stdint.h>

/* y[t * y_stride + r]; token t is x + t * x_stride elements; n > 0, odd ones too; nothing behind the n-th input is read.
 * Several tokens are read fastest when x_stride is not a multiple of a large power of two: n + 32 for n = 4096. */
typedef void ggl_bf16_mul_fn(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x,
                             int64_t x_stride, int64_t n_tokens, float *y, int64_t y_stride);

#endif
