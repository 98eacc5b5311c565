/*
 * Q4_0 (32 elements, 18 bytes): d half, 16 bytes of nibbles, elements 0..15 low; y = (q - 8) d.
 * Q4_1 (20 bytes): d and m half, nibbles; y = q d + m.
 * Without importances the encoders are ggml's plain rounding; with them they search the scale of the smallest error.
 */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"
#include "search.h"

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

/* ---- with importances */

static void put_nibbles(const uint8_t *codes, uint8_t *b)
{
    for (int j = 0; j < QK / 2; j++) b[j] = (uint8_t)(codes[j] | codes[j + QK / 2] << 4);
}

void ggl_q4_0_encode_row(const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks, codes[QK];
    double mean_square = ggl_row_mean_square(x, n);
    for (int64_t i = 0; i < n; i += QK, b += 18) {
        struct ggl_block block;
        if (!ggl_block_begin(&block, x + i, QK, b, 18, 0, GGL_NO_FIELD)) continue;
        ggl_block_weigh(&block, weights + i, ggl_block_of_square(&block, mean_square), QK);
        ggl_store_u16(b, ggl_block_half(&block, ggl_search_symmetric(block.x, block.w, QK, 8, codes)));
        put_nibbles(codes, b + 2);
    }
}

void ggl_q4_1_encode_row(const float *x, const float *weights, void *blocks, int64_t n)
{
    const struct ggl_affine_search how = ggl_affine_weighted(15);
    uint8_t *b = blocks, codes[QK];
    double mean_square = ggl_row_mean_square(x, n);
    for (int64_t i = 0; i < n; i += QK, b += 20) {
        struct ggl_block block;
        float min;
        if (!ggl_block_begin(&block, x + i, QK, b, 20, 0, 2)) continue;
        ggl_block_weigh(&block, weights + i, ggl_block_of_square(&block, mean_square), QK);
        ggl_store_u16(b, ggl_block_half(&block, ggl_search_affine(block.x, block.w, QK, &how, codes, &min)));
        ggl_store_u16(b + 2, ggl_block_half(&block, -min));
        put_nibbles(codes, b + 4);
    }
}
