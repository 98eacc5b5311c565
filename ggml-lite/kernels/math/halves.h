/* Halves one operation at a time, for twins in plain C of kernels that add products of halves with one rounding. */
#ifndef GGL_KERNEL_HALVES_H
#define GGL_KERNEL_HALVES_H

#include <stdint.h>
#include <string.h>

/* a + b, one of its two neighbours where it is not exact, that with an odd last bit: a second rounding to half the bits or
 * fewer then ends where a single one does. */
static inline double ggl_add_to_odd(double a, double b)
{
    const double s = a + b, of_b = s - a, rest = (a - (s - of_b)) + (b - of_b);
    uint64_t bits;
    memcpy(&bits, &s, 8);
    if (rest == 0 || bits & 1) return s;
    bits += (rest > 0) == (s > 0) ? 1 : (uint64_t)-1;
    double odd;
    memcpy(&odd, &bits, 8);
    return odd;
}

/* Nearest half, ties to even: of a number that is not too large for one, or no number. */
static inline double ggl_to_half(double x)
{
    const int least = -14; /* exponent of the smallest halves */
    uint64_t bits;
    memcpy(&bits, &x, 8);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    if (exponent < least) exponent = least;
    /* 1.5 * 2^52 steps of a half: what is added to that is rounded to whole steps. */
    bits = (uint64_t)(exponent - 10 + 52 + 1023) << 52 | UINT64_C(1) << 51;
    double steps;
    memcpy(&steps, &bits, 8);
    return x + steps - steps;
}

/* sum + a b, with one rounding. */
static inline double ggl_fma_half(double a, double b, double sum)
{
    return ggl_to_half(ggl_add_to_odd(sum, a * b));
}

#endif
