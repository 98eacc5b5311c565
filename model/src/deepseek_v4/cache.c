/*
 * The cache's containers.  Rings hold twice what a layer looks back on, so that
 * a short run which fails half-way has overwritten nothing that counts; before
 * a longer one the rings are copied.
 */
#include "cache.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_R4 = 8, KEEP_R128 = 128 };
enum { SEED_STEP = 8 }; /* between rows: a layer has five kinds of them */

static int ratio_of(const struct v4_hparams *hp, int layer)
{
    return layer < hp->n_layer ? hp->ratio[layer] : 0; /* the MTP block is a plain one */
}

static uint32_t state_bytes(int ratio, int n_dim)
{
    return (uint32_t)n_dim * (ratio == 4 ? 2 : 1) * 2 * 4;
}

static uint64_t place_ring(struct ggl_row_ring *r, uint8_t *base, uint64_t at, int64_t capacity, uint32_t row_bytes)
{
    r->rows = base ? base + at : NULL;
    r->capacity = capacity;
    r->row_bytes = row_bytes;
    return at + (((uint64_t)capacity * row_bytes + 63) & ~(uint64_t)63);
}

/* Lay out all rings from base; returns their bytes. */
static uint64_t place_rings(const struct v4_hparams *hp, uint32_t kv_bytes, int n_layers, struct v4_layer_cache *layers,
                            uint8_t *base)
{
    uint64_t at = 0;
    for (int i = 0; i < n_layers; i++) {
        struct v4_layer_cache scratch = {0}, *l = layers ? &layers[i] : &scratch;
        int ratio = ratio_of(hp, i), keep = ratio == 4 ? KEEP_R4 : KEEP_R128;
        at = place_ring(&l->window, base, at, 2 * (int64_t)hp->window, kv_bytes);
        if (ratio) at = place_ring(&l->state, base, at, 2 * keep, state_bytes(ratio, hp->n_dim));
        if (ratio == 4) at = place_ring(&l->index_state, base, at, 2 * keep, state_bytes(ratio, hp->index_dim));
    }
    return at;
}

static bool init_list(struct ggl_row_list *l, int64_t rows, uint32_t row_bytes)
{
    l->row_bytes = row_bytes;
    l->max_segments = rows / GGL_SEGMENT_ROWS + 1;
    l->segments = calloc((size_t)l->max_segments, sizeof(*l->segments));
    return l->segments != NULL;
}

static void free_list(struct ggl_row_list *l)
{
    for (int64_t i = 0; i < l->n_segments; i++) free(l->segments[i]);
    free(l->segments);
}

enum ggl_status v4_cache_init(struct v4_cache *c, const struct v4_hparams *hp, int32_t n_ctx, bool rounding, bool mtp,
                              struct ggl_error *err)
{
    memset(c, 0, sizeof(*c));
    c->hp = hp;
    c->kv = ggl_row_format(rounding ? GGL_ROW_KV : GGL_ROW_FLOAT, hp->n_dim, hp->n_rope);
    c->index = ggl_row_format(rounding ? GGL_ROW_INDEX : GGL_ROW_FLOAT, hp->index_dim, 0);
    c->n_layers = hp->n_layer + (mtp ? hp->n_mtp : 0);
    c->layers = calloc((size_t)c->n_layers, sizeof(*c->layers));
    c->rings_bytes = place_rings(hp, c->kv.bytes, c->n_layers, NULL, NULL);
    c->rings = calloc(1, c->rings_bytes);
    bool ok = c->layers && c->rings;
    if (ok) place_rings(hp, c->kv.bytes, c->n_layers, c->layers, c->rings);
    for (int i = 0; ok && i < c->n_layers; i++) {
        int ratio = ratio_of(hp, i);
        if (ratio) ok = init_list(&c->layers[i].entries, n_ctx / ratio, c->kv.bytes);
        if (ok && ratio == 4) ok = init_list(&c->layers[i].index_keys, n_ctx / ratio, c->index.bytes);
    }
    if (ok) return GGL_OK;
    v4_cache_deinit(c);
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "cache: out of memory");
}

void v4_cache_deinit(struct v4_cache *c)
{
    for (int i = 0; c->layers && i < c->n_layers; i++) {
        free_list(&c->layers[i].entries);
        free_list(&c->layers[i].index_keys);
    }
    free(c->layers);
    free(c->rings);
    free(c->backup);
    memset(c, 0, sizeof(*c));
}

static bool reserve_list(struct ggl_row_list *l, int64_t rows)
{
    while (l->n_segments * GGL_SEGMENT_ROWS < rows) {
        if (l->n_segments == l->max_segments) return false;
        uint8_t *segment = malloc((size_t)GGL_SEGMENT_ROWS * l->row_bytes);
        if (!segment) return false;
        l->segments[l->n_segments++] = segment;
    }
    return true;
}

enum ggl_status v4_cache_reserve(struct v4_cache *c, int64_t n_tokens, struct ggl_error *err)
{
    for (int i = 0; i < c->n_layers; i++) {
        int ratio = ratio_of(c->hp, i);
        if (ratio && (!reserve_list(&c->layers[i].entries, n_tokens / ratio) ||
                      (ratio == 4 && !reserve_list(&c->layers[i].index_keys, n_tokens / ratio))))
            return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "cache: no memory for %lld tokens",
                            (long long)n_tokens);
    }
    return GGL_OK;
}

static uint64_t segment_bytes(int64_t rows, uint32_t row_bytes)
{
    return (uint64_t)((rows + GGL_SEGMENT_ROWS - 1) / GGL_SEGMENT_ROWS) * GGL_SEGMENT_ROWS * row_bytes;
}

uint64_t v4_cache_bytes(const struct v4_hparams *hp, int64_t n_tokens, bool rounding, bool mtp)
{
    struct ggl_row_format kv = ggl_row_format(rounding ? GGL_ROW_KV : GGL_ROW_FLOAT, hp->n_dim, hp->n_rope);
    struct ggl_row_format index = ggl_row_format(rounding ? GGL_ROW_INDEX : GGL_ROW_FLOAT, hp->index_dim, 0);
    int n_layers = hp->n_layer + (mtp ? hp->n_mtp : 0);
    uint64_t bytes = 2 * place_rings(hp, kv.bytes, n_layers, NULL, NULL); /* and their copy */
    for (int i = 0; i < n_layers; i++) {
        int ratio = ratio_of(hp, i);
        if (ratio) bytes += segment_bytes(n_tokens / ratio, kv.bytes);
        if (ratio == 4) bytes += segment_bytes(n_tokens / ratio, index.bytes);
    }
    return bytes;
}

enum ggl_status v4_cache_save_rings(struct v4_cache *c, int64_t n_tokens, struct ggl_error *err)
{
    int64_t safe = c->hp->window < KEEP_R4 ? c->hp->window : KEEP_R4;
    if (n_tokens <= safe) {
        free(c->backup);
        c->backup = NULL;
        return GGL_OK;
    }
    if (!c->backup) c->backup = malloc(c->rings_bytes);
    if (!c->backup) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "cache: out of memory");
    memcpy(c->backup, c->rings, c->rings_bytes);
    return GGL_OK;
}

void v4_cache_restore_rings(struct v4_cache *c)
{
    if (c->backup) memcpy(c->rings, c->backup, c->rings_bytes);
}

/* ---- made-up rows */

/* Rings are filled whole: which rows count depends on the number of tokens. */
static void fill_ring(const struct ggl_row_ring *r, const struct ggl_row_format *f, uint64_t seed)
{
    for (int64_t i = 0; i < r->capacity; i++) ggl_row_random(f, seed + (uint64_t)i * SEED_STEP, ggl_ring_row(r, i));
}

static void fill_list(const struct ggl_row_list *l, const struct ggl_row_format *f, int64_t rows, uint64_t seed)
{
    for (int64_t i = 0; i < rows; i++) ggl_row_random(f, seed + (uint64_t)i * SEED_STEP, ggl_list_row(l, i));
}

void v4_cache_fill(struct v4_cache *c, int64_t n_tokens)
{
    for (int i = 0; i < c->n_layers; i++) {
        const struct v4_layer_cache *l = &c->layers[i];
        int ratio = ratio_of(c->hp, i);
        uint64_t seed = (uint64_t)i << 40;
        fill_ring(&l->window, &c->kv, seed);
        if (!ratio) continue;
        struct ggl_row_format state = ggl_row_format(GGL_ROW_FLOAT, (int32_t)(l->state.row_bytes / 4), 0);
        fill_ring(&l->state, &state, seed + 1);
        fill_list(&l->entries, &c->kv, n_tokens / ratio, seed + 2);
        if (ratio != 4) continue;
        state = ggl_row_format(GGL_ROW_FLOAT, (int32_t)(l->index_state.row_bytes / 4), 0);
        fill_ring(&l->index_state, &state, seed + 3);
        fill_list(&l->index_keys, &c->index, n_tokens / ratio, seed + 4);
    }
}
