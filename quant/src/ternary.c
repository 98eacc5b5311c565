/*
 * Types of one, one and a half and two bits: TQ1_0 and TQ2_0 (256 elements), Q1_0 (128), Q2_0 (64).  All have
 * one half d and codes that stand for small integers.
 */
#include "codec.h"
#include "scalar.h"

/* Five base-3 digits a byte, as a fraction: multiplying by 3^k modulo 256 brings digit k to the top.
 * 54 bytes: 32 + 16 bytes of five digits, 4 bytes of four, d.  A run of `width` bytes holds digit k of every
 * byte before digit k + 1 of any. */
static float *tq1_run(const uint8_t *b, int width, int digits, float d, float *restrict y)
{
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    for (int k = 0; k < digits; k++, y += width)
        for (int j = 0; j < width; j++) {
            uint8_t q = (uint8_t)(b[j] * power[k]);
            y[j] = (float)((q * 3 >> 8) - 1) * d;
        }
    return y;
}

void ggl_tq1_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 54) {
        float d = ggl_load_f16(b + 52);
        y = tq1_run(b, 32, 5, d, y);
        y = tq1_run(b + 32, 16, 5, d, y);
        y = tq1_run(b + 48, 4, 4, d, y);
    }
}

/* 66 bytes: 64 bytes of 2-bit codes, d; y = (q - 1) d. */
void ggl_tq2_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 66) {
        float d = ggl_load_f16(b + 64);
        for (int g = 0; g < 8; g++, y += 32) {
            const uint8_t *qs = b + 32 * (g / 4);
            int shift = 2 * (g % 4);
            for (int j = 0; j < 32; j++) y[j] = (float)((qs[j] >> shift & 3) - 1) * d;
        }
    }
}

/* 18 bytes: d, 16 bytes of bits, lowest first; a one is +d, a zero -d. */
void ggl_q1_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 128, b += 18) {
        float d = ggl_load_f16(b);
        for (int k = 0; k < 16; k++, y += 8)
            for (int j = 0; j < 8; j++) y[j] = b[2 + k] >> j & 1 ? d : -d;
    }
}

/* 18 bytes: d, 16 bytes of 2-bit codes, lowest first; y = (q - 1) d. */
void ggl_q2_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 64, b += 18) {
        float d = ggl_load_f16(b);
        for (int k = 0; k < 16; k++, y += 4)
            for (int j = 0; j < 4; j++) y[j] = (float)((b[2 + k] >> 2 * j & 3) - 1) * d;
    }
}
