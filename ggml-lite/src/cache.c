/*
 * Cache rows: float vector <-> the bytes that are stored; and made-up rows.
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

/* ---- random rows */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u; /* SplitMix64, as published by Steele, Lea and Flood in 2014 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Scales from `first` on, a power of two apart; codes are all but NaN. */
void ggl_row_random(const struct ggl_row_format *f, uint64_t seed, uint8_t *row)
{
    enum { ONE = 127 }; /* of UE8M0 */
    int nope = f->n_dim - f->n_rope;
    uint32_t i = 0;
    for (; i < f->bytes; i += 8) {
        uint64_t word = next_random(&seed);
        memcpy(row + i, &word, f->bytes - i < 8 ? f->bytes - i : 8);
    }
    if (f->kind == GGL_ROW_INDEX) { /* E2M1 goes up to 6 */
        for (i = (uint32_t)f->n_dim / 2; i < f->bytes; i++) row[i] = (uint8_t)(ONE - 3 + (row[i] & 1));
    } else if (f->kind == GGL_ROW_KV) { /* E4M3 goes up to 448 */
        for (i = 0; i < (uint32_t)nope; i++)
            if ((row[i] & 0x7f) == 0x7f) row[i] &= 0xfe;
        for (; i < (uint32_t)(nope + nope / KV_BLOCK); i++) row[i] = (uint8_t)(ONE - 9 + (row[i] & 1));
        for (; i < f->bytes; i += 2) {
            uint16_t h;
            memcpy(&h, row + i, 2);
            h = (uint16_t)(0x3e80 | (h & 0x80ff)); /* exponent of 1/4 or 1/2 */
            memcpy(row + i, &h, 2);
        }
    } else {
        for (i = 0; i < f->bytes; i += 4) {
            uint32_t word;
            memcpy(&word, row + i, 4);
            float x = (float)(int32_t)word * 0x1p-31f;
            memcpy(row + i, &x, 4);
        }
    }
}
