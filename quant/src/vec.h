/*
 * A vector of floats, as wide as the processor that the including file is built for has them: + - * / and comparisons
 * are the compiler's (gcc and clang), and round as those of single floats do.  Below is what these lack.
 */
#ifndef GGL_QUANT_VEC_H
#define GGL_QUANT_VEC_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512VL__)
enum { GGL_VEC = 16 };
#elif defined(__AVX2__)
enum { GGL_VEC = 8 };
#else
enum { GGL_VEC = 4 };
#endif

typedef float ggl_vec __attribute__((vector_size(4 * GGL_VEC)));
typedef int32_t ggl_vec_bits __attribute__((vector_size(4 * GGL_VEC))); /* a comparison's: all bits of a lane, or none */

#define GGL_INLINE inline __attribute__((always_inline))

static inline ggl_vec vec_load(const float *p)
{
    ggl_vec v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void vec_store(float *p, ggl_vec v)
{
    memcpy(p, &v, sizeof(v));
}

static inline ggl_vec vec_all(float x)
{
    return x - (ggl_vec){0};
}

/* a where `which` is set, b elsewhere. */
static inline ggl_vec vec_choose(ggl_vec_bits which, ggl_vec a, ggl_vec b)
{
    return (ggl_vec)(((ggl_vec_bits)a & which) | ((ggl_vec_bits)b & ~which));
}

static inline ggl_vec vec_abs(ggl_vec v)
{
    return (ggl_vec)((ggl_vec_bits)v & 0x7fffffff);
}

/* a > b ? a : b and a < b ? a : b, which is what x86's instructions do with NaN and with zeros, too. */
#if defined(__SSE2__) && !defined(GGL_PLAIN_C)
#include <immintrin.h>
#if defined(__AVX512F__) && defined(__AVX512VL__)
#define GGL_X86(name) _mm512_##name
#elif defined(__AVX2__)
#define GGL_X86(name) _mm256_##name
#else
#define GGL_X86(name) _mm_##name
#endif

static inline ggl_vec vec_max(ggl_vec a, ggl_vec b)
{
    return GGL_X86(max_ps)(a, b);
}

static inline ggl_vec vec_min(ggl_vec a, ggl_vec b)
{
    return GGL_X86(min_ps)(a, b);
}
#else
static inline ggl_vec vec_max(ggl_vec a, ggl_vec b)
{
    return vec_choose(a > b, a, b);
}

static inline ggl_vec vec_min(ggl_vec a, ggl_vec b)
{
    return vec_choose(a < b, a, b);
}
#endif

/* The nearest whole number, ties to even; |v| < 2^22.  Then between low and high, which is also what NaN becomes (low). */
static inline ggl_vec vec_round(ggl_vec v)
{
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

static inline ggl_vec vec_code_within(ggl_vec v, ggl_vec low, ggl_vec high)
{
    return vec_round(vec_min(vec_max(v, low), high));
}

#endif
