/*
 * Q6_K (256 elements, 210 bytes): 128 bytes of low nibbles, 64 bytes of two high bits, 16 signed scales, one
 * for 16 elements, d half.  y = (d scale) (q - 32).
 */
#include <math.h>
#include <string.h>
#include "codec.h"
#include "scalar.h"
#include "search.h"

void ggl_q6_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 210) {
        float d = ggl_load_f16(b + 208);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *low = b + 64 * (g / 8) + 16 * (g % 4), *high = b + 128 + 32 * (g / 8) + 16 * (g % 2);
            int low_shift = 4 * (g / 4 % 2), high_shift = 2 * (g / 2 % 4);
            float ds = d * (float)(int8_t)b[192 + g];
            for (int j = 0; j < 16; j++) {
                int q = (low[j] >> low_shift & 15) | (high[j] >> high_shift & 3) << 4;
                y[j] = ds * (float)(q - 32);
            }
        }
    }
}

/* ---- encoder: a scale for every 16 elements, bytes for the scales, elements rounded again with what these became */

enum { GROUP = 16, N_GROUPS = 16 };

/* The bytes of scales: the largest magnitude at -128.  Returns the half d. */
static uint16_t quantise_scales(const struct ggl_block *block, const float *scale, int8_t *code)
{
    float extreme = 0;
    for (int g = 0; g < N_GROUPS; g++)
        if (fabsf(scale[g]) > fabsf(extreme)) extreme = scale[g];
    memset(code, 0, N_GROUPS);
    if (extreme == 0) return 0;
    float inverse = -128 / extreme;
    for (int g = 0; g < N_GROUPS; g++) code[g] = (int8_t)ggl_code_within(inverse * scale[g], -128, 127);
    return ggl_block_half(block, 1 / inverse);
}

static void round_again(const struct ggl_block *block, float d, const int8_t *scale, const struct ggl_found *found,
                        uint8_t *codes)
{
    for (int g = 0; g < N_GROUPS; g++) {
        float ds = d * (float)scale[g];
        if (ds == 0) ggl_put_symmetric(found, g, 32, block->x + GROUP * g, GROUP, codes + GROUP * g);
        for (int i = GROUP * g; i < GROUP * (g + 1) && ds != 0; i++)
            codes[i] = (uint8_t)(int)(ggl_code_within(block->x[i] / ds, -32, 31) + 32);
    }
}

static void put_codes(const uint8_t *codes, uint8_t *b)
{
    for (int half = 0; half < 2; half++, codes += 128)
        for (int i = 0; i < 32; i++) {
            int q0 = codes[i], q1 = codes[i + 32], q2 = codes[i + 64], q3 = codes[i + 96];
            b[64 * half + i] = (uint8_t)((q0 & 15) | (q2 & 15) << 4);
            b[64 * half + 32 + i] = (uint8_t)((q1 & 15) | (q3 & 15) << 4);
            b[128 + 32 * half + i] = (uint8_t)(q0 >> 4 | q1 >> 4 << 2 | q2 >> 4 << 4 | q3 >> 4 << 6);
        }
}

static void encode_block(const struct ggl_searches *s, struct ggl_block *block, const float *weights, uint8_t *b)
{
    struct ggl_found found;
    struct ggl_lanes lanes;
    int8_t scale_code[N_GROUPS];
    uint8_t codes[GGL_BLOCK_MAX];
    if (weights) ggl_block_weigh(block, weights, -1, GROUP);
    else ggl_block_weigh_squares(block);
    ggl_lanes_begin(&lanes, GROUP, N_GROUPS);
    ggl_lanes_load_block(&lanes, 0, block, N_GROUPS);
    s->symmetric(&lanes, 32, &found);
    uint16_t d = quantise_scales(block, found.scale, scale_code);
    round_again(block, ggl_block_of_half(block, d), scale_code, &found, codes);
    put_codes(codes, b);
    memcpy(b + 192, scale_code, N_GROUPS);
    ggl_store_u16(b + 208, d);
}

void ggl_q6_k_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 210) {
        struct ggl_block block;
        float room[GGL_BLOCK_ROOM];
        if (ggl_block_begin(&block, room, x + i, 256, b, 210, 208, GGL_NO_FIELD))
            encode_block(s, &block, weights ? weights + i : NULL, b);
    }
}

void ggl_q6_k_encode(const float *x, void *blocks, int64_t n)
{
    ggl_q6_k_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}
