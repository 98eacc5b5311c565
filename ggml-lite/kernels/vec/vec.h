/*
 * Sums over float vectors, with the order that every level and every number of
 * tokens must keep: 16 lanes, lane l takes elements l, l + 16, ...; the tail goes
 * to its lanes; the lanes are added in a fixed tree.
 */
#ifndef GGL_KERNEL_VEC_H
#define GGL_KERNEL_VEC_H

#include <stdint.h>

#define GGL_LANES 16

/* sum_i a[i] * b[i] */
typedef float ggl_dot_f32_fn(const float *a, const float *b, int64_t n);

/* y[i] += a * x[i] */
typedef void ggl_axpy_f32_fn(float *y, float a, const float *x, int64_t n);

#endif
