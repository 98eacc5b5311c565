/*
 * One number at a time: the conversions behind every codec, inline so that the loops of the block decoders
 * vectorise.  None has a denormal operand that matters, so a caller that runs with flush-to-zero gets the same
 * answers; only products with a denormal scale need the usual arithmetic.
 */
#ifndef GGL_QUANT_SCALAR_H
#define GGL_QUANT_SCALAR_H

#include <stdint.h>
#include <string.h>

static inline float ggl_float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint32_t ggl_bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

#define GGL_F32_INF_BITS 0x7f800000u
#define GGL_F32_NAN_BITS 0x7fc00000u
#define GGL_F16_NAN_BITS 0x7e00u

/* ---- little-endian fields of a block; blocks have no alignment. */
static inline uint16_t ggl_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t ggl_load_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void ggl_store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* ---- F16 */
/* Denormals are read with the exponent of the smallest normal, whose leading one is then taken away; masks
 * instead of choices keep this free of branches, and of denormal operands too. */
static inline float ggl_f16_decode(uint16_t h)
{
    uint32_t m = h & 0x7fffu, denormal = 0u - (m < 0x0400u);
    float a = ggl_float_of((m << 13) + (112u << 23) + (denormal & 1u << 23));
    uint32_t r = ggl_bits_of(a - ggl_float_of(denormal & 0x38800000u));
    r |= (0u - (m >= 0x7c00u)) & GGL_F32_INF_BITS;
    r |= (0u - (m > 0x7c00u)) & GGL_F32_NAN_BITS; /* NaN becomes quiet, as the hardware does it */
    return ggl_float_of(r | (h & 0x8000u) << 16);
}

static inline float ggl_load_f16(const uint8_t *p)
{
    return ggl_f16_decode(ggl_load_u16(p));
}

/* ---- BF16 */
static inline float ggl_bf16_decode(uint16_t h)
{
    return ggl_float_of((uint32_t)h << 16);
}

static inline uint16_t ggl_bf16_encode(float x)
{
    uint32_t b = ggl_bits_of(x);
    uint32_t rounded = (b + 0x7fffu + ((b >> 16) & 1)) >> 16;
    return (uint16_t)((b & 0x7fffffffu) > GGL_F32_INF_BITS ? b >> 16 | 0x40u : rounded);
}

/* ---- E4M3: s eeee mmm, bias 7, no infinity */
static inline float ggl_e4m3_decode(uint8_t code)
{
    uint32_t m = code & 0x7fu, denormal = 0u - (m < 8u);
    float a = ggl_float_of((m << 20) + (120u << 23) + (denormal & 1u << 23));
    uint32_t r = ggl_bits_of(a - ggl_float_of(denormal & 0x3c800000u));
    r |= (0u - (m == 0x7fu)) & GGL_F32_NAN_BITS;
    return ggl_float_of(r | (code & 0x80u) << 24);
}

static inline uint8_t ggl_e4m3_encode(float x)
{
    uint32_t b = ggl_bits_of(x), a = b & 0x7fffffffu, sign = b >> 24 & 0x80u;
    if (a > GGL_F32_INF_BITS) return 0x7f;
    if (a >= 0x43e00000u) return (uint8_t)(sign | 0x7e); /* >= 448 */
    if (a < 0x3c800000u) /* below 2^-6: a sum near 2^14 leaves the multiple of 2^-9, rounded to even */
        return (uint8_t)(sign | (ggl_bits_of(ggl_float_of(a) + 0x1p14f) - 0x46800000u));
    a += 0x7ffffu + (a >> 20 & 1);
    return (uint8_t)(sign | ((a >> 20) - (120u << 3)));
}

/* ---- E8M0: 2^(code - 127), 255 is NaN */
static inline float ggl_e8m0_decode(uint8_t code)
{
    uint32_t r = code ? (uint32_t)code << 23 : 0x00400000u;
    return ggl_float_of(code == 255 ? GGL_F32_NAN_BITS : r);
}

/* 2^e for -126 <= e <= 127. */
static inline float ggl_pow2(int e)
{
    return ggl_float_of((uint32_t)(e + 127) << 23);
}

/* ---- E2M1: s ee m, bias 1 */
static inline float ggl_e2m1_decode(uint8_t code)
{
    uint32_t m = code & 7u;
    uint32_t r = m < 2 ? m * 0x3f000000u : (m << 22) + 0x3f000000u;
    return ggl_float_of(r | (code & 8u) << 28);
}

/* ggml counts in doubled E2M1 values, where code 8 is a plain zero: adding +0 turns -0 into it. */
static inline float ggl_e2m1_decode_doubled(uint8_t code)
{
    return ggl_e2m1_decode(code) * 2.0f + 0.0f;
}

/* The magnitude code; ties go to the even one.  NaN gives 0: E2M1 has none. */
static inline uint8_t ggl_e2m1_magnitude(float a)
{
    return (uint8_t)((a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) +
                     (a > 5.0f));
}

static inline uint8_t ggl_e2m1_encode(float x)
{
    uint32_t b = ggl_bits_of(x);
    return (uint8_t)(ggl_e2m1_magnitude(ggl_float_of(b & 0x7fffffffu)) | (b >> 28 & 8u));
}

/* The largest magnitude as bits, which order as the values do, with infinity and then NaN above them all:
 * unlike a chain of float comparisons this cannot lose a NaN. */
static inline uint32_t ggl_amax_bits(const float *x, int64_t n)
{
    uint32_t amax = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t a = ggl_bits_of(x[i]) & 0x7fffffffu;
        amax = a > amax ? a : amax;
    }
    return amax;
}

#endif
