/*
 * exp and its relatives in float, written out so that every build, level and
 * libc gives the same bits.
 *
 * ggl_expf: x = n ln2 + r with |r| <= ln2 / 2, then a polynomial for e^r.  Overflow gives infinity, underflow 0
 * below the smallest subnormal, NaN stays NaN.
 *
 * Largest errors over all 2^32 floats: exp 0.992 ulp; for x >= -88 sigmoid 2.49 and silu 2.41 ulp.  Below -88 exp(-x)
 * overflows, and sigmoid and silu are 0 where they should be under 1e-38 and 1e-36.
 */
#ifndef GGL_KERNEL_MATH_H
#define GGL_KERNEL_MATH_H

#include <stdint.h>
#include <string.h>

static inline float ggl_pow2i(int n) /* -126 <= n <= 127 */
{
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static inline float ggl_expf(float x)
{
    if (!(x == x)) return x;
    if (x > 88.7228394f) x = 88.7228394f + 1.0f; /* beyond the largest finite result */
    if (x < -104.0f) x = -104.0f;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float n = x * 1.44269504f + magic - magic;
    float r = x - n * 0.693359375f; /* exact: 9 bits of ln 2 */
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int k = (int)n, half = k / 2; /* two steps, so that 2^128 and denormal results are reached */
    return p * ggl_pow2i(half) * ggl_pow2i(k - half);
}

static inline float ggl_sigmoid(float x)
{
    return 1.0f / (1.0f + ggl_expf(-x));
}

static inline float ggl_silu(float x)
{
    return x / (1.0f + ggl_expf(-x));
}

#endif
