/*
 * Q3_K (256 elements, 110 bytes): 32 bytes of third bits, 64 bytes of 2-bit codes, 16 six-bit scales in 12
 * bytes, d half.  y = (d (scale - 32)) (q - 4).
 */
#include <math.h>
#include <string.h>
#include "codec.h"
#include "scalar.h"
#include "search.h"

void ggl_q3_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 110) {
        const uint8_t *scales = b + 96;
        float d = ggl_load_f16(b + 108);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *qs = b + 32 + 32 * (g / 8) + 16 * (g % 2), *high = b + 16 * (g % 2);
            int shift = 2 * (g / 2 % 4), bit = g / 2;
            int scale = (scales[g % 8] >> 4 * (g / 8) & 15) | (scales[8 + g % 4] >> 2 * (g / 4) & 3) << 4;
            float ds = d * (float)(scale - 32);
            for (int j = 0; j < 16; j++) {
                int q = (qs[j] >> shift & 3) | (high[j] >> bit & 1) << 2;
                y[j] = ds * (float)(q - 4);
            }
        }
    }
}

/* ---- encoder: a scale for every 16 elements, six bits for the scales, elements rounded again with what these became */

enum { GROUP = 16, N_GROUPS = 16 };

/* Codes 0..63 of scales around 32, the largest magnitude at 0.  Returns d. */
static float round_scales(const float *scale, uint8_t *code)
{
    float extreme = 0;
    for (int g = 0; g < N_GROUPS; g++)
        if (fabsf(scale[g]) > fabsf(extreme)) extreme = scale[g];
    memset(code, 32, N_GROUPS);
    if (extreme == 0) return 0;
    float inverse = -32 / extreme;
    for (int g = 0; g < N_GROUPS; g++) code[g] = (uint8_t)(int)(ggl_code_within(inverse * scale[g], -32, 31) + 32);
    return 1 / inverse;
}

static float steps(const struct ggl_block *block, uint8_t *scale_code, uint8_t *codes)
{
    float scale[N_GROUPS];
    for (int g = 0; g < N_GROUPS; g++)
        scale[g] = ggl_search_symmetric_steps(block->x + GROUP * g, GROUP, 4, codes + GROUP * g);
    return round_scales(scale, scale_code);
}

/* With importances the best scale is searched, and a scale weighs what its elements weigh. */
static float search(const struct ggl_searches *s, struct ggl_block *block, const float *weights, uint8_t *scale_code,
                    uint8_t *codes)
{
    float weight[N_GROUPS] = {0};
    struct ggl_lanes lanes;
    struct ggl_found found, found_d;
    ggl_block_weigh(block, weights, 2 * ggl_block_mean_square(block), GROUP);
    ggl_lanes_begin(&lanes, GROUP, N_GROUPS);
    ggl_lanes_load_block(&lanes, 0, block, N_GROUPS);
    s->symmetric(&lanes, 4, &found);
    for (int g = 0; g < N_GROUPS; g++) ggl_put_symmetric(&found, g, 4, block->x + GROUP * g, GROUP, codes + GROUP * g);
    for (int i = 0; i < 256; i++) weight[i / GROUP] += block->w[i];
    ggl_lanes_begin(&lanes, N_GROUPS, 1);
    ggl_lanes_load(&lanes, 0, found.scale, weight);
    s->symmetric(&lanes, 32, &found_d);
    ggl_put_symmetric(&found_d, 0, 32, found.scale, N_GROUPS, scale_code);
    return found_d.scale[0];
}

static void round_again(const struct ggl_block *block, float d, const uint8_t *scale, uint8_t *codes)
{
    for (int g = 0; g < N_GROUPS; g++) {
        float ds = d * (float)(scale[g] - 32);
        if (ds == 0) continue;
        for (int i = GROUP * g; i < GROUP * (g + 1); i++)
            codes[i] = (uint8_t)(int)(ggl_code_within(block->x[i] / ds, -4, 3) + 4);
    }
}

static void put_codes(const uint8_t *codes, uint8_t *b)
{
    for (int i = 0; i < 256; i++) {
        b[i % 32] = (uint8_t)(b[i % 32] | codes[i] >> 2 << i / 32);
        uint8_t *q = b + 32 + 32 * (i / 128) + i % 32;
        *q = (uint8_t)(*q | (codes[i] & 3) << 2 * (i % 128 / 32));
    }
}

static void put_scales(const uint8_t *code, uint8_t *s)
{
    for (int g = 0; g < N_GROUPS; g++) {
        s[g % 8] = (uint8_t)(s[g % 8] | (code[g] & 15) << 4 * (g / 8));
        s[8 + g % 4] = (uint8_t)(s[8 + g % 4] | code[g] >> 4 << 2 * (g / 4));
    }
}

void ggl_q3_k_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 110) {
        struct ggl_block block;
        float room[GGL_BLOCK_ROOM];
        uint8_t scales[N_GROUPS], codes[GGL_BLOCK_MAX];
        if (!ggl_block_begin(&block, room, x + i, 256, b, 110, 108, GGL_NO_FIELD)) continue;
        float scale = weights ? search(s, &block, weights + i, scales, codes) : steps(&block, scales, codes);
        uint16_t d = ggl_block_half(&block, scale);
        round_again(&block, ggl_block_of_half(&block, d), scales, codes);
        put_codes(codes, b);
        put_scales(scales, b + 96);
        ggl_store_u16(b + 108, d);
    }
}

void ggl_q3_k_encode(const float *x, void *blocks, int64_t n)
{
    ggl_q3_k_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}
