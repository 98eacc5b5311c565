/*
 * Cache rows: float vector <-> the bytes that are stored.
 */
#include "ggml-lite/cache.h"

#include <string.h>

enum { KV_BLOCK = 64, INDEX_BLOCK = 32 };

struct ggl_row_format ggl_row_format(enum ggl_row_kind kind, int32_t n_dim, int32_t n_rope)
{
    struct ggl_row_format f = {kind, n_dim, n_rope, 0};
    switch (kind) {
    case GGL_ROW_KV: f.bytes = (uint32_t)((n_dim - n_rope) + (n_dim - n_rope) / KV_BLOCK + 2 * n_rope); break;
    case GGL_ROW_INDEX: f.bytes = (uint32_t)(n_dim / 2 + n_dim / INDEX_BLOCK); break;
    case GGL_ROW_FLOAT: f.bytes = (uint32_t)n_dim * 4; break;
    }
    return f;
}

static void encode_kv(const struct ggl_row_format *f, const float *x, uint8_t *row)
{
    int nope = f->n_dim - f->n_rope;
    uint8_t *scales = row + nope, *rope = scales + nope / KV_BLOCK;
    for (int i = 0; i < nope; i += KV_BLOCK) ggl_fp8_block_encode(x + i, KV_BLOCK, row + i, scales + i / KV_BLOCK);
    for (int i = 0; i < f->n_rope; i++) {
        uint16_t h = ggl_bf16_from_f32(x[nope + i]);
        memcpy(rope + 2 * i, &h, 2);
    }
}

static void decode_kv(const struct ggl_row_format *f, const uint8_t *row, float *x)
{
    int nope = f->n_dim - f->n_rope;
    const uint8_t *scales = row + nope, *rope = scales + nope / KV_BLOCK;
    for (int i = 0; i < nope; i += KV_BLOCK) ggl_fp8_block_decode(row + i, scales[i / KV_BLOCK], x + i, KV_BLOCK);
    for (int i = 0; i < f->n_rope; i++) {
        uint16_t h;
        memcpy(&h, rope + 2 * i, 2);
        x[nope + i] = ggl_bf16_to_f32(h);
    }
}

void ggl_row_encode(const struct ggl_row_format *f, const float *x, uint8_t *row)
{
    if (f->kind == GGL_ROW_KV) {
        encode_kv(f, x, row);
    } else if (f->kind == GGL_ROW_INDEX) {
        for (int i = 0; i < f->n_dim; i += INDEX_BLOCK)
            ggl_fp4_block_encode(x + i, INDEX_BLOCK, row + i / 2, row + f->n_dim / 2 + i / INDEX_BLOCK);
    } else {
        memcpy(row, x, f->bytes);
    }
}

void ggl_row_decode(const struct ggl_row_format *f, const uint8_t *row, float *x)
{
    if (f->kind == GGL_ROW_KV) {
        decode_kv(f, row, x);
    } else if (f->kind == GGL_ROW_INDEX) {
        for (int i = 0; i < f->n_dim; i += INDEX_BLOCK)
            ggl_fp4_block_decode(row + i / 2, row[f->n_dim / 2 + i / INDEX_BLOCK], x + i, INDEX_BLOCK);
    } else {
        memcpy(x, row, f->bytes);
    }
}
