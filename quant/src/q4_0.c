/*
 * Q4_0 (32 elements, 18 bytes): d half, 16 bytes of nibbles, elements 0..15 low; y = (q - 8) d.
 * Q4_1 (20 bytes): d and m half, nibbles; y = q d + m.
 * The encoders are ggml's plain rounding; weighted.c has those that search the scale of the smallest error.
 */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

enum { QK = 32 };

void ggl_q4_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 18, y += QK) {
        float d = ggl_load_f16(b);
        for (int j = 0; j < QK / 2; j++) {
            y[j] = (float)((b[2 + j] & 15) - 8) * d;
            y[j + QK / 2] = (float)((b[2 + j] >> 4) - 8) * d;
        }
    }
}

void ggl_q4_1_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 20, y += QK) {
        float d = ggl_load_f16(b), m = ggl_load_f16(b + 2);
        for (int j = 0; j < QK / 2; j++) {
            y[j] = (float)(b[4 + j] & 15) * d + m;
            y[j + QK / 2] = (float)(b[4 + j] >> 4) * d + m;
        }
    }
}

void ggl_q4_put_codes(const uint8_t *codes, uint8_t *b)
{
    for (int j = 0; j < QK / 2; j++) b[j] = (uint8_t)(codes[j] | codes[j + QK / 2] << 4);
}

void ggl_q4_0_encode(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 18, x += QK) {
        struct ggl_rounding r = ggl_rounding_signed(x, QK, 8);
        ggl_store_u16(b, r.d_half);
        for (int j = 0; j < QK / 2; j++)
            b[2 + j] = (uint8_t)(ggl_round_code(&r, x[j], 15) | ggl_round_code(&r, x[j + QK / 2], 15) << 4);
    }
}

void ggl_q4_1_encode(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 20, x += QK) {
        struct ggl_rounding r = ggl_rounding_min(x, QK, 15);
        ggl_store_u16(b, r.d_half);
        ggl_store_u16(b + 2, r.m_half);
        for (int j = 0; j < QK / 2; j++)
            b[4 + j] = (uint8_t)(ggl_round_code(&r, x[j], 15) | ggl_round_code(&r, x[j + QK / 2], 15) << 4);
    }
}
