/*
 * FP4 in checkpoint order: two E2M1 codes a byte, the even element in the low nibble, and a UE8M0 scale
 * for 32 elements.  The scale is the smallest power of two that brings the largest magnitude to 6 or
 * below (MXFP4's own rule, in mxfp4.c, is another).  Products of code and scale are exact in float.
 */
#include "quant/quant.h"
#include "scalar.h"

enum { GROUP = 32 };

/* UE8M0 byte for the largest magnitude (as bits), by the multiplication that the official kernels do.
 * Infinity or NaN gives the NaN scale: E2M1 has neither. */
static uint8_t scale_byte(uint32_t amax_bits)
{
    if (amax_bits >= GGL_F32_INF_BITS) return 255;
    float amax = ggl_float_of(amax_bits), least = 6 * 0x1p-126f;
    if (amax < least) amax = least;
    return (uint8_t)(ggl_pow2_ceil_exponent(amax * (float)(1.0 / 6.0)) + 127);
}

void ggl_fp4_block_encode(const float *x, int n, uint8_t *codes, uint8_t *scale)
{
    *scale = scale_byte(ggl_amax_bits(x, n));
    /* Scale bytes lie in 1..253, so the inverse is a normal power of two. */
    float inverse = *scale == 255 ? 0.0f : ggl_pow2(127 - *scale);
    for (int i = 0; i + 1 < n; i += 2) {
        uint8_t low = ggl_e2m1_encode(x[i] * inverse), high = ggl_e2m1_encode(x[i + 1] * inverse);
        codes[i / 2] = (uint8_t)(low | high << 4);
    }
    if (n % 2) codes[n / 2] = ggl_e2m1_encode(x[n - 1] * inverse);
}

void ggl_fp4_block_decode(const uint8_t *codes, uint8_t scale, float *restrict y, int n)
{
    float s = ggl_e8m0_decode(scale);
    for (int i = 0; i < n / 2; i++) {
        y[2 * i] = ggl_e2m1_decode(codes[i]) * s;
        y[2 * i + 1] = ggl_e2m1_decode(codes[i] >> 4) * s;
    }
    if (n % 2) y[n - 1] = ggl_e2m1_decode(codes[n / 2]) * s;
}

void ggl_fp4_encode_row(const float *x, uint8_t *codes, uint8_t *scales, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP)
        ggl_fp4_block_encode(x + i, (int)(n - i < GROUP ? n - i : GROUP), codes + i / 2, scales + i / GROUP);
}

void ggl_fp4_decode_row(const uint8_t *codes, const uint8_t *scales, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP)
        ggl_fp4_block_decode(codes + i / 2, scales[i / GROUP], y + i, (int)(n - i < GROUP ? n - i : GROUP));
}
