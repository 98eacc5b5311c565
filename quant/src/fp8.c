/*
 * FP8: E4M3 codes under power-of-two scales, one scale a block of a row (activations, cache) or a
 * 128 x 128 tile of a matrix (weights).  The scale is the smallest power of two that brings the largest
 * magnitude to 448 or below; products of code and scale are exact in float.
 */
#include "quant/quant.h"
#include "scalar.h"

enum { TILE = 128 };

/* UE8M0 byte for the largest magnitude (as bits), by the multiplication that the official kernels do (a
 * division gives the same exponent for every float).  Infinity or NaN gives the NaN scale, which spoils the
 * block visibly. */
static uint8_t scale_byte(uint32_t amax_bits)
{
    if (amax_bits >= GGL_F32_INF_BITS) return 255;
    float amax = ggl_float_of(amax_bits);
    if (amax < 1e-4f) amax = 1e-4f;
    return (uint8_t)(ggl_pow2_ceil_exponent(amax * (float)(1.0 / 448.0)) + 127);
}

/* 1 / scale; an exact power of two, since scale bytes lie in 105..247. */
static float inverse_scale(uint8_t scale)
{
    return scale == 255 ? 0.0f : ggl_pow2(127 - scale);
}

static void encode_run(const float *x, float inverse, uint8_t *codes, int64_t n)
{
    for (int64_t i = 0; i < n; i++) codes[i] = ggl_e4m3_encode(x[i] * inverse);
}

static void decode_run(const uint8_t *codes, float scale, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = ggl_e4m3_decode(codes[i]) * scale;
}

void ggl_fp8_block_encode(const float *x, int n, uint8_t *codes, uint8_t *scale)
{
    *scale = scale_byte(ggl_amax_bits(x, n));
    encode_run(x, inverse_scale(*scale), codes, n);
}

void ggl_fp8_block_decode(const uint8_t *codes, uint8_t scale, float *restrict y, int n)
{
    decode_run(codes, ggl_e8m0_decode(scale), y, n);
}

static float load_scale(const void *scales, enum ggl_scale_type type, int64_t i)
{
    const uint8_t *bytes = scales;
    if (type == GGL_SCALE_E8M0) return ggl_e8m0_decode(bytes[i]);
    if (type == GGL_SCALE_F32) return ggl_float_of(ggl_load_u32(bytes + 4 * i));
    return 1.0f;
}

void ggl_fp8_decode_row(const uint8_t *codes, const void *scales, enum ggl_scale_type scale_type, float *y,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i += TILE) {
        int64_t width = n - i < TILE ? n - i : TILE;
        decode_run(codes + i, load_scale(scales, scale_type, i / TILE), y + i, width);
    }
}

static void encode_tile(const float *x, int64_t stride, int64_t rows, int64_t width, uint8_t *codes,
                        uint8_t *scale)
{
    uint32_t amax = 0;
    for (int64_t r = 0; r < rows; r++) {
        uint32_t a = ggl_amax_bits(x + r * stride, width);
        amax = a > amax ? a : amax;
    }
    *scale = scale_byte(amax);
    float inverse = inverse_scale(*scale);
    for (int64_t r = 0; r < rows; r++) encode_run(x + r * stride, inverse, codes + r * stride, width);
}

void ggl_fp8_encode(const float *x, int64_t rows, int64_t n, uint8_t *codes, uint8_t *scales)
{
    for (int64_t r = 0; r < rows; r += TILE) {
        int64_t height = rows - r < TILE ? rows - r : TILE;
        for (int64_t i = 0; i < n; i += TILE) {
            int64_t width = n - i < TILE ? n - i : TILE;
            encode_tile(x + r * n + i, n, height, width, codes + r * n + i, scales++);
        }
    }
}
