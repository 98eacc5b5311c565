/*
 * The order in which AMX adds products of BF16, for twins in plain C: up to 32 pairs of inputs are a step, in which the even
 * ones have a sum and the odd ones another.  Numbers that are denormal count as zeros.
 */
#ifndef GGL_KERNEL_STEPS_H
#define GGL_KERNEL_STEPS_H

#include <float.h>
#include <math.h>

enum { GGL_STEP = 32 };

static inline float ggl_flush(float x)
{
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

/* sum and a step of n products, n even; each of these is exact in float. */
static inline float ggl_add_step(float sum, const float *a, const float *b, int n)
{
    float even = 0, odd = 0;
    for (int i = 0; i < n; i += 2) {
        even = ggl_flush(even + ggl_flush(a[i]) * ggl_flush(b[i]));
        odd = ggl_flush(odd + ggl_flush(a[i + 1]) * ggl_flush(b[i + 1]));
    }
    return ggl_flush(ggl_flush(sum) + ggl_flush(even + odd));
}

#endif
