/* The exported scalar conversions, and the rows of plain floating-point types. */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

float ggl_f16_to_f32(uint16_t h)
{
    return ggl_f16_decode(h);
}

uint16_t ggl_f16_from_f32(float x)
{
    uint32_t b = ggl_bits_of(x), a = b & 0x7fffffffu, sign = b >> 16 & 0x8000u;
    if (a > GGL_F32_INF_BITS) return (uint16_t)(sign | 0x7e00u | (a >> 13 & 0x1ffu));
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above round to infinity */
    if (a < 0x38800000u) /* below 2^-14: a sum near 1/2 leaves the multiple of 2^-24, rounded to even */
        return (uint16_t)(sign | (ggl_bits_of(ggl_float_of(a) + 0.5f) - 0x3f000000u));
    a += 0xfffu + (a >> 13 & 1);
    return (uint16_t)(sign | ((a >> 13) - (112u << 10)));
}

float ggl_bf16_to_f32(uint16_t h)
{
    return ggl_bf16_decode(h);
}

uint16_t ggl_bf16_from_f32(float x)
{
    return ggl_bf16_encode(x);
}

float ggl_e4m3_to_f32(uint8_t code)
{
    return ggl_e4m3_decode(code);
}

uint8_t ggl_e4m3_from_f32(float x)
{
    return ggl_e4m3_encode(x);
}

float ggl_e8m0_to_f32(uint8_t code)
{
    return ggl_e8m0_decode(code);
}

float ggl_e2m1_to_f32(uint8_t code)
{
    return ggl_e2m1_decode(code);
}

uint8_t ggl_e2m1_from_f32(float x)
{
    return ggl_e2m1_encode(x);
}

int ggl_pow2_ceil_exponent(float x)
{
    uint32_t b = ggl_bits_of(x);
    return (int)(b >> 23 & 0xff) - 127 + ((b & 0x7fffffu) != 0);
}

/* ---- rows */

void ggl_f32_decode(const void *blocks, float *restrict y, int64_t n)
{
    if (n > 0) memcpy(y, blocks, (size_t)n * sizeof(*y));
}

void ggl_f32_encode(const float *x, void *blocks, int64_t n)
{
    if (n > 0) memcpy(blocks, x, (size_t)n * sizeof(*x));
}

void ggl_f16_decode_row(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i++) y[i] = ggl_load_f16(b + 2 * i);
}

void ggl_f16_encode_row(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i++) ggl_store_u16(b + 2 * i, ggl_f16_from_f32(x[i]));
}

void ggl_bf16_decode_row(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i++) y[i] = ggl_bf16_decode(ggl_load_u16(b + 2 * i));
}

void ggl_bf16_encode_row(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i++) ggl_store_u16(b + 2 * i, ggl_bf16_encode(x[i]));
}
