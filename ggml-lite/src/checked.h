/*
 * The one place where numbers from files are multiplied, added or rounded up.
 * Each helper returns false on overflow and leaves *out alone.
 */
#ifndef GGL_CHECKED_H
#define GGL_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool ggl_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
#if defined(__GNUC__)
    uint64_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
#else
    if (a && b > UINT64_MAX / a) return false;
    *out = a * b;
    return true;
#endif
}

static inline bool ggl_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b > UINT64_MAX - a) return false;
    *out = a + b;
    return true;
}

/* a rounded up to a multiple of `align`, a power of two. */
static inline bool ggl_align_u64(uint64_t a, uint64_t align, uint64_t *out)
{
    uint64_t r;
    if (!ggl_add_u64(a, align - 1, &r)) return false;
    *out = r & ~(align - 1);
    return true;
}

#endif
