/*
 * Q4_K (256 elements, 144 bytes): d and dmin half; eight 6-bit scales and eight 6-bit minima in 12 bytes, one
 * pair for 32 elements; 128 bytes of nibbles.  Q5_K (176 bytes): the same with 32 bytes of fifth bits before
 * the nibbles.  y = (d scale) q - dmin minimum.
 *
 * The encoder searches a scale and a minimum for every 32 elements, then a factor for the eight scales and one for
 * the minima, and rounds the elements again with what these became.
 */
#include <math.h>
#include "codec.h"
#include "scalar.h"
#include "search.h"

static int scale_of(const uint8_t *s, int j)
{
    return j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
}

static int min_of(const uint8_t *s, int j)
{
    return j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

void ggl_q4_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 144) {
        float d = ggl_load_f16(b), dmin = ggl_load_f16(b + 2);
        for (int g = 0; g < 8; g++, y += 32) {
            const uint8_t *qs = b + 16 + 32 * (g / 2);
            int shift = 4 * (g % 2);
            float scale = d * (float)scale_of(b + 4, g), min = dmin * (float)min_of(b + 4, g);
            for (int j = 0; j < 32; j++) y[j] = scale * (float)(qs[j] >> shift & 15) - min;
        }
    }
}

void ggl_q5_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 176) {
        const uint8_t *high = b + 16;
        float d = ggl_load_f16(b), dmin = ggl_load_f16(b + 2);
        for (int g = 0; g < 8; g++, y += 32) {
            const uint8_t *qs = b + 48 + 32 * (g / 2);
            int shift = 4 * (g % 2);
            float scale = d * (float)scale_of(b + 4, g), min = dmin * (float)min_of(b + 4, g);
            for (int j = 0; j < 32; j++) {
                int q = (qs[j] >> shift & 15) | (high[j] >> g & 1) << 4;
                y[j] = scale * (float)q - min;
            }
        }
    }
}

/* ---- encoders */

enum { GROUP = 32, N_GROUPS = 8 };

/* A block on its way: the 6-bit codes of its groups' scales and minima; an element's code a byte. */
struct parts {
    uint8_t scale_code[N_GROUPS], min_code[N_GROUPS], codes[GGL_BLOCK_MAX];
    uint16_t d, dmin;
};

/* Without importances large elements of a group count a little more than small ones. */
static void weigh_group(float *restrict w, const float *restrict x)
{
    float sum[8] = {0};
    for (int i = 0; i < GROUP; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += x[i + j] * x[i + j];
    float rms = sqrtf(ggl_sum_lanes(sum) / GROUP);
    for (int i = 0; i < GROUP; i++) w[i] = rms + fabsf(x[i]);
}

static void weigh(struct ggl_block *block, const float *weights)
{
    if (weights) ggl_block_weigh(block, weights, 2 * ggl_block_mean_square(block), GROUP);
    for (int g = 0; g < N_GROUPS && !weights; g++) weigh_group(block->w + GROUP * g, block->x + GROUP * g);
}

/* The block's groups are those from `first` on. */
static void quantise_scales(const struct ggl_block *block, bool weighted, const struct ggl_found *found, int first,
                            struct parts *p)
{
    float sums[N_GROUPS] = {0}, *weight = weighted ? sums : NULL;
    for (int i = 0; i < 256 && weighted; i++) sums[i / GROUP] += block->w[i];
    p->d = ggl_quantise_positive(block, found->scale + first, weight, N_GROUPS, 63, p->scale_code);
    p->dmin = ggl_quantise_positive(block, found->min + first, weight, N_GROUPS, 63, p->min_code);
}

static void round_again(const struct ggl_block *block, int top, const struct ggl_found *found, int first, struct parts *p)
{
    float d = ggl_block_of_half(block, p->d), dmin = ggl_block_of_half(block, p->dmin);
    for (int g = 0; g < N_GROUPS; g++) {
        float scale = d * (float)p->scale_code[g], min = dmin * (float)p->min_code[g];
        const float *x = block->x + GROUP * g;
        uint8_t *codes = p->codes + GROUP * g;
        if (scale == 0) ggl_put_affine(found, first + g, top, x, GROUP, codes);
        for (int i = 0; i < GROUP && scale != 0; i++)
            codes[i] = (uint8_t)(int)ggl_code_within((x[i] + min) / scale, 0, (float)top);
    }
}

static void put_head(const struct parts *p, uint8_t *b)
{
    uint8_t *s = b + 4;
    ggl_store_u16(b, p->d);
    ggl_store_u16(b + 2, p->dmin);
    for (int g = 0; g < 4; g++) {
        int scale = p->scale_code[g + 4], min = p->min_code[g + 4];
        s[g] = (uint8_t)(p->scale_code[g] | scale >> 4 << 6);
        s[g + 4] = (uint8_t)(p->min_code[g] | min >> 4 << 6);
        s[g + 8] = (uint8_t)((scale & 15) | (min & 15) << 4);
    }
}

/* Low nibbles; fifth bits, where there are any, into `high`. */
static void put_codes(const uint8_t *codes, uint8_t *low, uint8_t *high)
{
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < GROUP; i++) {
            int even = codes[64 * k + i], odd = codes[64 * k + GROUP + i];
            low[GROUP * k + i] = (uint8_t)((even & 15) | (odd & 15) << 4);
            if (high) high[i] = (uint8_t)(high[i] | even >> 4 << 2 * k | odd >> 4 << (2 * k + 1));
        }
}

static void encode(const struct ggl_searches *s, const float *x, const float *weights, uint8_t *b, int64_t n,
                   const struct ggl_affine_search *how)
{
    const bool fifth = how->top == 31;
    const uint32_t bytes = fifth ? 176 : 144;
    for (int64_t i = 0; i < n; i += GROUP * GGL_LANES) {
        struct ggl_batch batch;
        struct ggl_found found;
        bool any = ggl_batch_begin(&batch, x + i, n - i, 256, GROUP, b, bytes, 0, 2);
        for (int k = 0; k < batch.n_blocks; k++)
            if (batch.used[k]) weigh(&batch.blocks[k], weights ? weights + i + 256 * k : NULL);
        ggl_batch_load(&batch);
        if (any) s->affine(&batch.lanes, how, &found);
        for (int k = 0; k < batch.n_blocks; k++, b += bytes) {
            struct parts p;
            if (!batch.used[k]) continue;
            quantise_scales(&batch.blocks[k], weights, &found, N_GROUPS * k, &p);
            round_again(&batch.blocks[k], how->top, &found, N_GROUPS * k, &p);
            put_head(&p, b);
            put_codes(p.codes, b + (fifth ? 48 : 16), fifth ? b + 16 : NULL);
        }
    }
}

void ggl_q4_k_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    const struct ggl_affine_search plain = {.top = 15, .n_steps = 20, .first = -1, .step = 0.1f};
    const struct ggl_affine_search how = weights ? ggl_affine_weighted(15) : plain;
    encode(s, x, weights, blocks, n, &how);
}

void ggl_q5_k_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    const struct ggl_affine_search plain = {.top = 31, .n_steps = 15, .first = -0.5f, .step = 0.1f};
    const struct ggl_affine_search how = weights ? ggl_affine_weighted(31) : plain;
    encode(s, x, weights, blocks, n, &how);
}

void ggl_q4_k_encode(const float *x, void *blocks, int64_t n)
{
    ggl_q4_k_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}

void ggl_q5_k_encode(const float *x, void *blocks, int64_t n)
{
    ggl_q5_k_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}
