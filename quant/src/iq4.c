/* IQ4_NL (32 elements, 18 bytes) and IQ4_XS (256 elements, 136 bytes): nibbles choose from 16 uneven levels. */
#include <math.h>
#include "codec.h"
#include "scalar.h"
#include "search.h"

const int8_t ggl_iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* 32 elements from 16 bytes: low nibbles first. */
void ggl_iq4_decode_run(float d, const uint8_t *qs, float *restrict y)
{
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)ggl_iq4_levels[qs[j] & 15];
        y[j + 16] = d * (float)ggl_iq4_levels[qs[j] >> 4];
    }
}

void ggl_iq4_nl_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 32, b += 18) ggl_iq4_decode_run(ggl_load_f16(b), b + 2, y + i);
}

/* d, 8 x 2 high scale bits, 8 x 4 low scale bits, nibbles; the 6-bit scale counts from -32. */
void ggl_iq4_xs_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 136) {
        float d = ggl_load_f16(b);
        int high = ggl_load_u16(b + 2);
        for (int ib = 0; ib < 8; ib++, y += 32) {
            int scale = (b[4 + ib / 2] >> 4 * (ib % 2) & 15) | (high >> 2 * ib & 3) << 4;
            ggl_iq4_decode_run(d * (float)(scale - 32), b + 8 + 16 * ib, y);
        }
    }
}

/* ---- encoders: for every 32 elements the best of some scales, each refitted to the levels that it gives */

enum { GROUP = 32 };

/* Where a scale puts the extreme of its group: the 16 places that ggml tries, and for IQ4_NL five near the highest level,
 * as the levels are not symmetric.  They are worth 1.3 % of the error, and ten more would not gain 0.02 %. */
static const float places[] = {127,  -134, -133, -132, -131, -130, -129, -128, -127, -126, -125,
                               -124, -123, -122, -121, -120, 103,  108,  113,  118,  123};
enum { N_PLACES_XS = 16, N_PLACES_NL = 21 };

static uint8_t nearest_code(float v)
{
    uint8_t code = 0;
    for (int k = 0; k < 15; k++) code = (uint8_t)(code + (2 * v >= (float)(ggl_iq4_levels[k] + ggl_iq4_levels[k + 1])));
    return code;
}

static void put_codes(const float *x, float d, uint8_t *b)
{
    float inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < 16; j++) b[j] = (uint8_t)(nearest_code(inverse * x[j]) | nearest_code(inverse * x[j + 16]) << 4);
}

/* Without importances IQ4_NL looks for the least squared error, and so comes closer than ggml, which weighs by x^2. */
static void weigh_nl(struct ggl_block *block, const float *weights)
{
    if (weights) ggl_block_weigh(block, weights, 2 * ggl_block_mean_square(block), GROUP);
    else
        for (int i = 0; i < GROUP; i++) block->w[i] = 1;
}

static void weigh_xs(struct ggl_block *block, const float *weights)
{
    if (weights) ggl_block_weigh(block, weights, 2 * ggl_block_mean_square(block), GROUP);
    else ggl_block_weigh_squares(block);
}

void ggl_iq4_nl_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += GROUP * GGL_LANES) {
        struct ggl_batch batch;
        struct ggl_found found;
        bool any = ggl_batch_begin(&batch, x + i, n - i, GROUP, GROUP, b, 18, 0, GGL_NO_FIELD);
        for (int k = 0; k < batch.n_blocks; k++)
            if (batch.used[k]) weigh_nl(&batch.blocks[k], weights ? weights + i + GROUP * k : NULL);
        ggl_batch_load(&batch);
        if (any) s->levels(&batch.lanes, places, N_PLACES_NL, &found);
        for (int k = 0; k < batch.n_blocks; k++, b += 18) {
            if (!batch.used[k]) continue;
            ggl_store_u16(b, ggl_block_half(&batch.blocks[k], found.scale[k]));
            put_codes(batch.blocks[k].x, found.scale[k], b + 2);
        }
    }
}

/* Six bits a scale around 32, the largest magnitude at 0; elements get the levels of what the scales became. */
static void encode_xs_block(const struct ggl_block *block, const float *scale, uint8_t *b)
{
    float extreme = 0;
    for (int g = 0; g < 8; g++)
        if (fabsf(scale[g]) > fabsf(extreme)) extreme = scale[g];
    float d = -extreme / 32, inverse = d != 0 ? 1 / d : 0;
    uint32_t high = 0;
    for (int g = 0; g < 8; g++) {
        float l = ggl_code_within(inverse * scale[g], -32, 31);
        uint32_t code = (uint32_t)((int)l + 32);
        b[4 + g / 2] = (uint8_t)(b[4 + g / 2] | (code & 15) << 4 * (g % 2));
        high |= code >> 4 << 2 * g;
        put_codes(block->x + GROUP * g, d * l, b + 8 + 16 * g);
    }
    ggl_store_u16(b, ggl_block_half(block, d));
    ggl_store_u16(b + 2, (uint16_t)high);
}

void ggl_iq4_xs_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += GROUP * GGL_LANES) {
        struct ggl_batch batch;
        struct ggl_found found;
        bool any = ggl_batch_begin(&batch, x + i, n - i, 256, GROUP, b, 136, 0, GGL_NO_FIELD);
        for (int k = 0; k < batch.n_blocks; k++)
            if (batch.used[k]) weigh_xs(&batch.blocks[k], weights ? weights + i + 256 * k : NULL);
        ggl_batch_load(&batch);
        if (any) s->levels(&batch.lanes, places, N_PLACES_XS, &found);
        for (int k = 0; k < batch.n_blocks; k++, b += 136)
            if (batch.used[k]) encode_xs_block(&batch.blocks[k], found.scale + 8 * k, b);
    }
}

void ggl_iq4_nl_encode(const float *x, void *blocks, int64_t n)
{
    ggl_iq4_nl_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}

void ggl_iq4_xs_encode(const float *x, void *blocks, int64_t n)
{
    ggl_iq4_xs_encode_row(&ggl_searches_c, x, NULL, blocks, n);
}
