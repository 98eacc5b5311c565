/*
 * Q4_0, Q4_1, Q5_0, Q5_1 with importances: the scale, or scale and minimum, of the smallest weighted error.  Blocks
 * are searched side by side; each has a unit of its own.
 */
#include "codec.h"
#include "scalar.h"
#include "search.h"

enum { QK = 32 };

struct format {
    uint32_t bytes;
    int levels; /* codes 0 .. 2 levels - 1 */
    bool has_min;
    void (*put)(const uint8_t *codes, uint8_t *b);
};

static void encode(const struct ggl_searches *s, const struct format *f, const float *x, const float *weights, uint8_t *b,
                   int64_t n)
{
    const struct ggl_affine_search how = ggl_affine_weighted(2 * f->levels - 1);
    const double mean_square = ggl_row_mean_square(x, n);
    for (int64_t i = 0; i < n; i += QK * GGL_LANES) {
        struct ggl_batch batch;
        struct ggl_found found;
        uint8_t codes[QK];
        bool any = ggl_batch_begin(&batch, x + i, n - i, QK, QK, b, f->bytes, 0, f->has_min ? 2 : GGL_NO_FIELD);
        for (int k = 0; k < batch.n_blocks; k++)
            if (batch.used[k])
                ggl_block_weigh(&batch.blocks[k], weights + i + QK * k, ggl_block_of_square(&batch.blocks[k], mean_square), QK);
        ggl_batch_load(&batch);
        if (any && f->has_min) s->affine(&batch.lanes, &how, &found);
        else if (any) s->symmetric(&batch.lanes, f->levels, &found);
        for (int k = 0; k < batch.n_blocks; k++, b += f->bytes) {
            if (!batch.used[k]) continue;
            ggl_store_u16(b, ggl_block_half(&batch.blocks[k], found.scale[k]));
            if (f->has_min) ggl_store_u16(b + 2, ggl_block_half(&batch.blocks[k], -found.min[k]));
            if (f->has_min) ggl_put_affine(&found, k, how.top, batch.blocks[k].x, QK, codes);
            else ggl_put_symmetric(&found, k, f->levels, batch.blocks[k].x, QK, codes);
            f->put(codes, b + (f->has_min ? 4 : 2));
        }
    }
}

void ggl_q4_0_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    encode(s, &(struct format){18, 8, false, ggl_q4_put_codes}, x, weights, blocks, n);
}

void ggl_q4_1_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    encode(s, &(struct format){20, 8, true, ggl_q4_put_codes}, x, weights, blocks, n);
}

void ggl_q5_0_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    encode(s, &(struct format){22, 16, false, ggl_q5_put_codes}, x, weights, blocks, n);
}

void ggl_q5_1_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    encode(s, &(struct format){24, 16, true, ggl_q5_put_codes}, x, weights, blocks, n);
}
