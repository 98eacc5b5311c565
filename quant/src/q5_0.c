/*
 * Q5_0 (32 elements, 22 bytes): d half, 32 high bits, 16 bytes of low nibbles; y = (q - 16) d.
 * Q5_1 (24 bytes): d and m half, high bits, nibbles; y = q d + m.
 * The encoders are ggml's plain rounding; weighted.c has those that search the scale of the smallest error.
 */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

enum { QK = 32 };

void ggl_q5_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 22, y += QK) {
        float d = ggl_load_f16(b);
        uint32_t high = ggl_load_u32(b + 2);
        for (int j = 0; j < QK / 2; j++) {
            int low = (b[6 + j] & 15) | (int)(high >> j & 1) << 4;
            int top = b[6 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
            y[j] = (float)(low - 16) * d;
            y[j + QK / 2] = (float)(top - 16) * d;
        }
    }
}

void ggl_q5_1_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 24, y += QK) {
        float d = ggl_load_f16(b), m = ggl_load_f16(b + 2);
        uint32_t high = ggl_load_u32(b + 4);
        for (int j = 0; j < QK / 2; j++) {
            int low = (b[8 + j] & 15) | (int)(high >> j & 1) << 4;
            int top = b[8 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
            y[j] = (float)low * d + m;
            y[j + QK / 2] = (float)top * d + m;
        }
    }
}

void ggl_q5_put_codes(const uint8_t *codes, uint8_t *b)
{
    uint32_t high = 0;
    for (int j = 0; j < QK / 2; j++) {
        uint32_t low = codes[j], top = codes[j + QK / 2];
        b[4 + j] = (uint8_t)((low & 15) | (top & 15) << 4);
        high |= low >> 4 << j | top >> 4 << (j + 16);
    }
    ggl_store_u16(b, (uint16_t)high);
    ggl_store_u16(b + 2, (uint16_t)(high >> 16));
}

static void round_codes(const struct ggl_rounding *r, const float *x, uint8_t *codes)
{
    for (int j = 0; j < QK; j++) codes[j] = ggl_round_code(r, x[j], 31);
}

void ggl_q5_0_encode(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks, codes[QK];
    for (int64_t i = 0; i < n; i += QK, b += 22, x += QK) {
        struct ggl_rounding r = ggl_rounding_signed(x, QK, 16);
        ggl_store_u16(b, r.d_half);
        round_codes(&r, x, codes);
        ggl_q5_put_codes(codes, b + 2);
    }
}

void ggl_q5_1_encode(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks, codes[QK];
    for (int64_t i = 0; i < n; i += QK, b += 24, x += QK) {
        struct ggl_rounding r = ggl_rounding_min(x, QK, 31);
        ggl_store_u16(b, r.d_half);
        ggl_store_u16(b + 2, r.m_half);
        round_codes(&r, x, codes);
        ggl_q5_put_codes(codes, b + 4);
    }
}
