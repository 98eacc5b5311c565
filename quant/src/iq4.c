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

/* The nearest level of v, halfway the higher one. */
static inline float nearest_level(float v)
{
    float level = (float)ggl_iq4_levels[0];
    level += v >= -115.5f ? 23.0f : 0;
    level += v >= -93.5f ? 21.0f : 0;
    level += v >= -74.0f ? 18.0f : 0;
    level += v >= -57.0f ? 16.0f : 0;
    level += v >= -42.0f ? 14.0f : 0;
    level += v >= -28.5f ? 13.0f : 0;
    level += v >= -16.0f ? 12.0f : 0;
    level += v >= -4.5f ? 11.0f : 0;
    level += v >= 7.0f ? 12.0f : 0;
    level += v >= 19.0f ? 12.0f : 0;
    level += v >= 31.5f ? 13.0f : 0;
    level += v >= 45.5f ? 15.0f : 0;
    level += v >= 61.0f ? 16.0f : 0;
    level += v >= 79.0f ? 20.0f : 0;
    level += v >= 101.0f ? 24.0f : 0;
    return level;
}

static uint8_t nearest_code(float v)
{
    uint8_t code = 0;
    for (int k = 0; k < 15; k++) code = (uint8_t)(code + (2 * v >= (float)(ggl_iq4_levels[k] + ggl_iq4_levels[k + 1])));
    return code;
}

/* Sums of w x q and w q^2 over the levels q. */
struct fits {
    float xq[GGL_LANES], q2[GGL_LANES];
};

static void fit(const struct ggl_lanes *restrict lanes, const float *restrict inverse, struct fits *restrict f)
{
    *f = (struct fits){0};
    for (int i = 0; i < GROUP; i++) {
        const float *x = lanes->x + GGL_LANES * i, *w = lanes->w + GGL_LANES * i;
        for (int j = 0; j < GGL_LANES; j++) {
            float q = nearest_level(inverse[j] * x[j]);
            f->xq[j] += w[j] * q * x[j];
            f->q2[j] += w[j] * q * q;
        }
    }
}

static void find_extremes(const struct ggl_lanes *lanes, float *extreme)
{
    for (int j = 0; j < GGL_LANES; j++) {
        extreme[j] = 0;
        for (int i = 0; i < GROUP; i++) {
            float x = lanes->x[GGL_LANES * i + j];
            if (fabsf(x) > fabsf(extreme[j])) extreme[j] = x;
        }
    }
}

static void search(const struct ggl_lanes *lanes, int n_places, float *scale)
{
    float extreme[GGL_LANES], best[GGL_LANES] = {0};
    find_extremes(lanes, extreme);
    for (int j = 0; j < GGL_LANES; j++) scale[j] = 0;
    for (int k = 0; k < n_places; k++) {
        float inverse[GGL_LANES];
        struct fits f;
        for (int j = 0; j < GGL_LANES; j++) inverse[j] = fabsf(extreme[j]) > 1e-15f ? places[k] / extreme[j] : 0;
        fit(lanes, inverse, &f);
        for (int j = 0; j < GGL_LANES; j++) {
            bool better = f.q2[j] > 0 && f.xq[j] * f.xq[j] > best[j] * f.q2[j];
            if (!better || inverse[j] == 0) continue;
            scale[j] = f.xq[j] / f.q2[j];
            best[j] = scale[j] * f.xq[j];
        }
    }
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

void ggl_iq4_nl_encode_row(const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += GROUP * GGL_LANES) {
        struct ggl_batch batch;
        float scale[GGL_LANES] = {0};
        int n_blocks = n - i < GROUP * GGL_LANES ? (int)(n - i) / GROUP : GGL_LANES;
        bool any = ggl_batch_begin(&batch, x + i, n_blocks, b, 18, 0, GGL_NO_FIELD);
        for (int k = 0; k < n_blocks; k++)
            if (batch.used[k]) weigh_nl(&batch.blocks[k], weights ? weights + i + GROUP * k : NULL);
        ggl_batch_load(&batch);
        if (any) search(&batch.lanes, N_PLACES_NL, scale);
        for (int k = 0; k < n_blocks; k++, b += 18) {
            if (!batch.used[k]) continue;
            ggl_store_u16(b, ggl_block_half(&batch.blocks[k], scale[k]));
            put_codes(batch.blocks[k].x, scale[k], b + 2);
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

void ggl_iq4_xs_encode_row(const float *x, const float *weights, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 136) {
        struct ggl_block block;
        struct ggl_lanes lanes;
        float scale[8];
        if (!ggl_block_begin(&block, x + i, 256, b, 136, 0, GGL_NO_FIELD)) continue;
        weigh_xs(&block, weights ? weights + i : NULL);
        ggl_lanes_load_block(&lanes, &block, 0, GROUP);
        search(&lanes, N_PLACES_XS, scale);
        encode_xs_block(&block, scale, b);
    }
}

void ggl_iq4_nl_encode(const float *x, void *blocks, int64_t n)
{
    ggl_iq4_nl_encode_row(x, NULL, blocks, n);
}

void ggl_iq4_xs_encode(const float *x, void *blocks, int64_t n)
{
    ggl_iq4_xs_encode_row(x, NULL, blocks, n);
}
