/*
 * Q2_K (256 elements, 84 bytes): 16 bytes of scale (low nibble) and minimum (high nibble), one for 16
 * elements; 64 bytes of 2-bit codes; d and dmin half.  y = (d scale) q - dmin minimum.
 */
#include <math.h>
#include "codec.h"
#include "scalar.h"
#include "search.h"

void ggl_q2_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 84) {
        float d = ggl_load_f16(b + 80), dmin = ggl_load_f16(b + 82);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *qs = b + 16 + 32 * (g / 8) + 16 * (g % 2);
            int shift = 2 * (g / 2 % 4);
            float scale = d * (float)(b[g] & 15), min = dmin * (float)(b[g] >> 4);
            for (int j = 0; j < 16; j++) y[j] = scale * (float)(qs[j] >> shift & 3) - min;
        }
    }
}

/* ---- encoder: a scale and a minimum for every 16 elements, nibbles for these, elements rounded again */

enum { GROUP = 16, N_GROUPS = 16 };

struct parts {
    float scale[N_GROUPS], min[N_GROUPS], weight[N_GROUPS];
    uint8_t scale_code[N_GROUPS], min_code[N_GROUPS], codes[GGL_BLOCK_MAX];
    uint16_t d, dmin;
};

static void search_groups(struct ggl_block *block, const float *weights, struct parts *p)
{
    /* Two bits lie far from most numbers: without importances distances count, not their squares. */
    const struct ggl_affine_search plain = {.top = 3, .n_steps = 15, .first = -0.5f, .step = 0.1f, .absolute = true};
    const struct ggl_affine_search how = weights ? ggl_affine_weighted(3) : plain;
    if (weights) ggl_block_weigh(block, weights, ggl_block_mean_square(block), GROUP);
    else
        for (int i = 0; i < 256; i++) block->w[i] = fabsf(block->x[i]);
    for (int g = 0; g < N_GROUPS; g += GGL_LANES) {
        struct ggl_lanes lanes;
        ggl_lanes_load_block(&lanes, block, GROUP * g, GROUP);
        ggl_search_affine(&lanes, &how, p->scale + g, p->min + g, p->codes + GROUP * g);
    }
    for (int g = 0; g < N_GROUPS; g++) {
        p->weight[g] = 0;
        for (int i = 0; i < GROUP; i++) p->weight[g] += block->w[GROUP * g + i];
    }
}

static void quantise_scales(const struct ggl_block *block, bool weighted, struct parts *p)
{
    const float *weight = weighted ? p->weight : NULL;
    p->d = ggl_quantise_positive(block, p->scale, weight, N_GROUPS, 15, p->scale_code);
    p->dmin = ggl_quantise_positive(block, p->min, weight, N_GROUPS, 15, p->min_code);
}

static void round_again(const struct ggl_block *block, struct parts *p)
{
    float d = ggl_block_of_half(block, p->d), dmin = ggl_block_of_half(block, p->dmin);
    for (int g = 0; g < N_GROUPS; g++) {
        float scale = d * (float)p->scale_code[g], min = dmin * (float)p->min_code[g];
        if (scale == 0) continue;
        for (int i = GROUP * g; i < GROUP * (g + 1); i++)
            p->codes[i] = (uint8_t)(int)ggl_code_within((block->x[i] + min) / scale, 0, 3);
    }
}

static void put_block(const struct parts *p, uint8_t *b)
{
    for (int g = 0; g < N_GROUPS; g++) b[g] = (uint8_t)(p->scale_code[g] | p->min_code[g] << 4);
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 32; i++) {
            const uint8_t *c = p->codes + 128 * half + i;
            b[16 + 32 * half + i] = (uint8_t)(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
        }
    ggl_store_u16(b + 80, p->d);
    ggl_store_u16(b + 82, p->dmin);
}

void ggl_q2_k_encode_row(const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 84) {
        struct ggl_block block;
        struct parts p;
        if (!ggl_block_begin(&block, x + i, 256, b, 84, 80, 82)) continue;
        search_groups(&block, weights ? weights + i : NULL, &p);
        quantise_scales(&block, weights, &p);
        round_again(&block, &p);
        put_block(&p, b);
    }
}

void ggl_q2_k_encode(const float *x, void *blocks, int64_t n)
{
    ggl_q2_k_encode_row(x, NULL, blocks, n);
}
