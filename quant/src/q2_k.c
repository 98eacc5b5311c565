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
    uint8_t scale_code[N_GROUPS], min_code[N_GROUPS], codes[GGL_BLOCK_MAX];
    uint16_t d, dmin;
};

static void weigh(struct ggl_block *block, const float *weights)
{
    if (weights) ggl_block_weigh(block, weights, ggl_block_mean_square(block), GROUP);
    for (int i = 0; i < 256 && !weights; i++) block->w[i] = fabsf(block->x[i]);
}

/* The block's groups are those from `first` on. */
static void quantise_scales(const struct ggl_block *block, bool weighted, const struct ggl_found *found, int first,
                            struct parts *p)
{
    float sums[N_GROUPS] = {0}, *weight = weighted ? sums : NULL;
    for (int i = 0; i < 256 && weighted; i++) sums[i / GROUP] += block->w[i];
    p->d = ggl_quantise_positive(block, found->scale + first, weight, N_GROUPS, 15, p->scale_code);
    p->dmin = ggl_quantise_positive(block, found->min + first, weight, N_GROUPS, 15, p->min_code);
}

static void round_again(const struct ggl_block *block, const struct ggl_found *found, int first, struct parts *p)
{
    float d = ggl_block_of_half(block, p->d), dmin = ggl_block_of_half(block, p->dmin);
    for (int g = 0; g < N_GROUPS; g++) {
        float scale = d * (float)p->scale_code[g], min = dmin * (float)p->min_code[g];
        const float *x = block->x + GROUP * g;
        uint8_t *codes = p->codes + GROUP * g;
        if (scale == 0) ggl_put_affine(found, first + g, 3, x, GROUP, codes);
        for (int i = 0; i < GROUP && scale != 0; i++)
            codes[i] = (uint8_t)(int)ggl_code_within((x[i] + min) / scale, 0, 3);
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

void ggl_q2_k_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    /* Two bits lie far from most numbers: without importances distances count, not their squares. */
    const struct ggl_affine_search plain = {.top = 3, .n_steps = 15, .first = -0.5f, .step = 0.1f, .absolute = true};
    const struct ggl_affine_search how = weights ? ggl_affine_weighted(3) : plain;
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += GROUP * GGL_LANES) {
        struct ggl_batch batch;
        struct ggl_found found;
        bool any = ggl_batch_begin(&batch, x + i, n - i, 256, GROUP, b, 84, 80, 82);
        for (int k = 0; k < batch.n_blocks; k++)
            if (batch.used[k]) weigh(&batch.blocks[k], weights ? weights + i + 256 * k : NULL);
        ggl_batch_load(&batch);
        if (any) s->affine(&batch.lanes, &how, &found);
        for (int k = 0; k < batch.n_blocks; k++, b += 84) {
            struct parts p;
            if (!batch.used[k]) continue;
            quantise_scales(&batch.blocks[k], weights, &found, N_GROUPS * k, &p);
            round_again(&batch.blocks[k], &found, N_GROUPS * k, &p);
            put_block(&p, b);
        }
    }
}

void ggl_q2_k_encode(const float *x, void *blocks, int64_t n)
{
    ggl_q2_k_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}
