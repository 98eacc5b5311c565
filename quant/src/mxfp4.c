/*
 * MXFP4 (32 elements, 17 bytes): a UE8M0 byte e, then 16 bytes whose low nibbles are elements 0..15 and
 * high nibbles elements 16..31.  ggml counts in doubled E2M1 values, so a code k is worth k2[k] * 2^(e - 128)
 * and code 8 decodes to +0.  The published FP4 rows hold the same codes in another order.
 */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

enum { QK = 32, BYTES = 17 };

/* 2^(e - 128), denormals included; e = 255 is NaN in the standard but 2^127 in ggml. */
static float half_scale(uint8_t e)
{
    return ggl_float_of(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

void ggl_mxfp4_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += BYTES, y += QK) {
        float d = half_scale(b[0]);
        for (int j = 0; j < QK / 2; j++) {
            y[j] = ggl_e2m1_decode_doubled(b[1 + j]) * d;
            y[j + QK / 2] = ggl_e2m1_decode_doubled(b[1 + j] >> 4) * d;
        }
    }
}

/* floor(log2 amax) - 2 as an exponent byte; 0 for a block of zeros and for anything too small. */
static uint8_t scale_byte(uint32_t amax_bits)
{
    if (amax_bits >= GGL_F32_INF_BITS) return 255;
    uint32_t exponent = amax_bits >> 23;
    return (uint8_t)(exponent > 2 ? exponent - 2 : 0);
}

/* The nearest code; halfway goes to the smaller magnitude, and zero is never negative. */
static uint8_t nearest(float x, float inverse)
{
    float a = (x < 0 ? -x : x) * inverse;
    int m = (a > 0.25f) + (a > 0.75f) + (a > 1.25f) + (a > 1.75f) + (a > 2.5f) + (a > 3.5f) + (a > 5.0f);
    return (uint8_t)(m | (x < 0 && m ? 8 : 0));
}

void ggl_mxfp4_encode(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += BYTES, x += QK) {
        b[0] = scale_byte(ggl_amax_bits(x, QK));
        if (b[0] == 255) { /* sixes under the NaN scale: NaN by the standard, infinity as ggml reads them */
            for (int j = 0; j < QK / 2; j++) b[1 + j] = 0x77;
            continue;
        }
        float inverse = ggl_pow2(127 - b[0]);
        for (int j = 0; j < QK / 2; j++)
            b[1 + j] = (uint8_t)(nearest(x[j], inverse) | nearest(x[j + QK / 2], inverse) << 4);
    }
}

void ggl_fp4_to_mxfp4(const uint8_t *codes, const uint8_t *scales, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t g = 0; g < n / QK; g++, codes += QK / 2, b += BYTES) {
        b[0] = scales[g];
        for (int k = 0; k < 8; k++) {
            b[1 + 2 * k] = (uint8_t)((codes[k] & 15) | (codes[k + 8] & 15) << 4);
            b[2 + 2 * k] = (uint8_t)(codes[k] >> 4 | (codes[k + 8] & 0xf0));
        }
    }
}

void ggl_mxfp4_to_fp4(const void *blocks, uint8_t *codes, uint8_t *scales, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t g = 0; g < n / QK; g++, codes += QK / 2, b += BYTES) {
        scales[g] = b[0];
        for (int k = 0; k < 8; k++) {
            codes[k] = (uint8_t)((b[1 + 2 * k] & 15) | (b[2 + 2 * k] & 15) << 4);
            codes[k + 8] = (uint8_t)(b[1 + 2 * k] >> 4 | (b[2 + 2 * k] & 0xf0));
        }
    }
}
