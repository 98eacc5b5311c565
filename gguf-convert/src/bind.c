/*
 * Safetensors to ggl_tensor: walks the table of names over the blocks, checks dtype, shape and the values that are
 * used as indices or scales, and finds what is left over.
 */
#include "gguf-convert/src/checkpoint_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/checked.h"
#include "gguf-convert/src/v4_names.h"

#define OFFICIAL_MAX 96 /* the longest name of the table, with its prefix */

struct binder {
    struct ggl_checkpoint *c;
    struct ggl_error *err;
    char prefix[32]; /* "layers.3.", "mtp.0." or "" */
    char blk[32];    /* "blk.3." or "" */
    int32_t ratio;
};

/* ---- messages */

static enum ggl_status no_memory(const struct binder *b)
{
    return ggl_fail(b->err, GGL_ERR_NOMEM, b->c->dir, GGL_NO_OFFSET, NULL, NULL, "tensor list");
}

static enum ggl_status bad_dtype(const struct binder *b, const struct ggl_st_tensor *t, const char *expected)
{
    bool known = false;
    switch (t->dtype) {
    case GGL_ST_F32: case GGL_ST_BF16: case GGL_ST_F16: case GGL_ST_F8_E4M3: case GGL_ST_F8_E8M0:
    case GGL_ST_I8: case GGL_ST_U8: case GGL_ST_I32: case GGL_ST_I64: known = true; break;
    default: break;
    }
    return ggl_fail(b->err, known ? GGL_ERR_FORMAT : GGL_ERR_UNSUPPORTED, t->path, GGL_NO_OFFSET,
                    ggl_st_dtype_name(t->dtype), expected, "%s: dtype", t->name);
}

static const char *shape_text(const uint64_t *shape, uint32_t rank, char buf[96])
{
    size_t n = 0;
    for (uint32_t i = 0; i < rank && n < 64; i++) {
        n += (size_t)snprintf(buf + n, 96 - n, "%s%" PRIu64, i ? ", " : "[", shape[i]);
    }
    snprintf(buf + n, 96 - n, "%s", rank ? "]" : "[]");
    return buf;
}

/* ---- pieces */

/* NULL: missing, a FORMAT error. */
static struct ggl_st_tensor *find(const struct binder *b, const char *name)
{
    struct ggl_st_tensor *t = ggl_shards_find(&b->c->shards, name);
    if (t) t->used = true;
    else ggl_fail(b->err, GGL_ERR_FORMAT, b->c->dir, GGL_NO_OFFSET, "missing", "a tensor", "%s", name);
    return t;
}

static enum ggl_status check_shape(const struct binder *b, const struct ggl_st_tensor *t, const uint64_t *dims,
                                   uint32_t rank)
{
    if (t->rank == rank && memcmp(t->shape, dims, rank * sizeof(*dims)) == 0) return GGL_OK;
    char found[96], expected[96];
    return ggl_fail(b->err, GGL_ERR_FORMAT, t->path, GGL_NO_OFFSET, shape_text(t->shape, t->rank, found),
                    shape_text(dims, rank, expected), "%s: shape", t->name);
}

static bool own(struct ggl_checkpoint *c, void *p)
{
    if (c->n_owned == c->cap_owned) {
        size_t cap = c->cap_owned ? 2 * c->cap_owned : 256;
        void **owned = realloc(c->owned, cap * sizeof(*owned));
        if (!owned) return false;
        c->owned = owned;
        c->cap_owned = cap;
    }
    c->owned[c->n_owned++] = p;
    return true;
}

static void *own_alloc(struct ggl_checkpoint *c, size_t n)
{
    void *p = malloc(n ? n : 1);
    if (p && !own(c, p)) {
        free(p);
        return NULL;
    }
    return p;
}

/* The tensor's bytes at an address that numbers of `size` bytes may have: nothing in the format promises that. */
static enum ggl_status aligned(const struct binder *b, const struct ggl_st_tensor *t, size_t size,
                               const uint8_t **out)
{
    *out = t->data;
    if (b->c->shards.next_place || (uintptr_t)t->data % size == 0) return GGL_OK; /* who reads a place finds room for it */
    void *copy = own_alloc(b->c, (size_t)t->bytes);
    if (!copy) return no_memory(b);
    memcpy(copy, t->data, (size_t)t->bytes);
    *out = copy;
    return GGL_OK;
}

/* Scales multiply every weight of a tile: one NaN spoils a matrix. */
static enum ggl_status check_e8m0(const struct binder *b, const struct ggl_st_tensor *t)
{
    if (b->c->shards.next_place) return GGL_OK; /* checked when it is read */
    const uint8_t *bad = t->bytes ? memchr(t->data, 255, (size_t)t->bytes) : NULL;
    if (!bad) return GGL_OK;
    return ggl_fail(b->err, GGL_ERR_FORMAT, t->path, t->offset + (uint64_t)(bad - t->data), "255 (not a number)",
                    "0 to 254", "%s: scale %" PRIu64, t->name, (uint64_t)(bad - t->data));
}

static enum ggl_status check_f32_scales(const struct binder *b, const struct ggl_st_tensor *t, const uint8_t *data)
{
    if (b->c->shards.next_place) return GGL_OK;
    const float *scale = (const float *)(const void *)data;
    for (uint64_t i = 0; i < t->bytes / 4; i++) {
        if (!isfinite(scale[i])) {
            return ggl_fail(b->err, GGL_ERR_FORMAT, t->path, t->offset + 4 * i, "not a finite number", NULL,
                            "%s: scale %" PRIu64, t->name, i);
        }
    }
    return GGL_OK;
}

/* The scale plane of an FP8 matrix [out, in]. */
static enum ggl_status bind_fp8_scale(const struct binder *b, const char *name, const uint64_t *dims,
                                      enum ggl_scale_type *type, const uint8_t **data)
{
    struct ggl_st_tensor *t = find(b, name);
    if (!t) return GGL_ERR_FORMAT;
    enum ggl_status s;
    const uint64_t tiles[2] = {(dims[0] + 127) / 128, (dims[1] + 127) / 128};
    switch (t->dtype) {
    case GGL_ST_F8_E8M0: case GGL_ST_U8: *type = GGL_SCALE_E8M0; break;
    case GGL_ST_F32: *type = GGL_SCALE_F32; break;
    default: return bad_dtype(b, t, "F8_E8M0, U8 or F32");
    }
    if ((s = check_shape(b, t, tiles, 2))) return s;
    if ((s = aligned(b, t, *type == GGL_SCALE_F32 ? 4 : 1, data))) return s;
    return *type == GGL_SCALE_F32 ? check_f32_scales(b, t, *data) : check_e8m0(b, t);
}

static bool float_type(enum ggl_st_dtype dtype, enum ggl_type *type)
{
    switch (dtype) {
    case GGL_ST_F32: *type = GGL_TYPE_F32; return true;
    case GGL_ST_BF16: *type = GGL_TYPE_BF16; return true;
    case GGL_ST_F16: *type = GGL_TYPE_F16; return true;
    default: return false;
    }
}

/* Sizes of the planes, once type, scale_type and ne are known. */
static enum ggl_status set_sizes(const struct binder *b, struct ggl_tensor *t)
{
    bool ok = ggl_row_bytes(t->type, t->ne[0], &t->row_bytes) &&
              ggl_mul_u64(t->row_bytes, (uint64_t)t->ne[1], &t->slice_bytes);
    if (t->type == GGL_TYPE_FP8) {
        t->scale_row_bytes = (uint64_t)(t->ne[0] + 127) / 128 * (t->scale_type == GGL_SCALE_F32 ? 4 : 1);
        ok = ok && ggl_mul_u64(t->scale_row_bytes, (uint64_t)(t->ne[1] + 127) / 128, &t->scale_slice_bytes);
    } else if (t->type == GGL_TYPE_FP4) {
        t->scale_row_bytes = (uint64_t)t->ne[0] / 32;
        ok = ok && ggl_mul_u64(t->scale_row_bytes, (uint64_t)t->ne[1], &t->scale_slice_bytes);
    }
    if (ok) return GGL_OK;
    return ggl_fail(b->err, GGL_ERR_FORMAT, b->c->dir, GGL_NO_OFFSET, "a size beyond 64 bits", NULL, "%s", t->name);
}

/* ---- one row of the table each */

/* Every id is an index into the experts of its layer. */
static enum ggl_status bind_ids(const struct binder *b, const struct ggl_st_tensor *st, struct ggl_tensor *t)
{
    bool wide = st->dtype == GGL_ST_I64;
    if (!wide && st->dtype != GGL_ST_I32) return bad_dtype(b, st, "I64 or I32");
    t->type = wide ? GGL_TYPE_I64 : GGL_TYPE_I32;
    enum ggl_status s = aligned(b, st, wide ? 8 : 4, &t->data);
    if (s || b->c->shards.next_place) return s;
    const int64_t *i64 = (const int64_t *)(const void *)t->data;
    const int32_t *i32 = (const int32_t *)(const void *)t->data;
    uint64_t n = st->bytes / (wide ? 8 : 4);
    for (uint64_t i = 0; i < n; i++) {
        int64_t id = wide ? i64[i] : i32[i];
        if (id < 0 || id >= (int64_t)b->c->config.n_expert) {
            char found[32], expected[32];
            snprintf(found, sizeof(found), "%" PRId64, id);
            snprintf(expected, sizeof(expected), "0 to %" PRIu32, b->c->config.n_expert - 1);
            return ggl_fail(b->err, GGL_ERR_FORMAT, st->path, st->offset + i * (wide ? 8 : 4), found, expected,
                            "%s: expert %" PRIu64 " of token %" PRIu64, st->name, i % (uint64_t)t->ne[0],
                            i / (uint64_t)t->ne[0]);
        }
    }
    return GGL_OK;
}

static enum ggl_status bind_plain(const struct binder *b, const struct ggl_v4_name *n, const uint64_t *dims,
                                  uint32_t rank, struct ggl_tensor *t)
{
    char name[OFFICIAL_MAX];
    struct ggl_st_tensor *st;
    enum ggl_status s;
    snprintf(name, sizeof(name), "%s%s", b->prefix, n->official);
    if (!(st = find(b, name))) return GGL_ERR_FORMAT;
    if ((s = check_shape(b, st, dims, rank))) return s;
    if (n->kind == GGL_NAME_IDS) return bind_ids(b, st, t);
    if (!float_type(st->dtype, &t->type) || (n->kind == GGL_NAME_F32 && t->type != GGL_TYPE_F32)) {
        return bad_dtype(b, st, n->kind == GGL_NAME_F32 ? "F32" : "BF16, F16 or F32");
    }
    return aligned(b, st, t->type == GGL_TYPE_F32 ? 4 : 2, &t->data);
}

static enum ggl_status bind_dense(const struct binder *b, const struct ggl_v4_name *n, const uint64_t *dims,
                                  struct ggl_tensor *t)
{
    char name[OFFICIAL_MAX];
    struct ggl_st_tensor *st;
    enum ggl_status s;
    snprintf(name, sizeof(name), "%s%s.weight", b->prefix, n->official);
    if (!(st = find(b, name))) return GGL_ERR_FORMAT;
    if (st->dtype == GGL_ST_F8_E4M3) {
        t->type = GGL_TYPE_FP8;
        t->data = st->data;
        if ((s = check_shape(b, st, dims, 2))) return s;
        snprintf(name, sizeof(name), "%s%s.scale", b->prefix, n->official);
        return bind_fp8_scale(b, name, dims, &t->scale_type, &t->scale);
    }
    if (!float_type(st->dtype, &t->type)) return bad_dtype(b, st, "F8_E4M3, BF16, F16 or F32");
    if ((s = check_shape(b, st, dims, 2))) return s;
    return aligned(b, st, t->type == GGL_TYPE_F32 ? 4 : 2, &t->data);
}

/* Codes and scales of expert e; the first expert decides about the type of all. */
static enum ggl_status bind_expert(const struct binder *b, const struct ggl_v4_name *n, uint32_t e, const uint64_t *dims,
                                   struct ggl_tensor *t, const uint8_t **codes, const uint8_t **scales)
{
    char name[OFFICIAL_MAX];
    struct ggl_st_tensor *st, *sc;
    enum ggl_status s;
    snprintf(name, sizeof(name), "%sffn.experts.%" PRIu32 ".%s.weight", b->prefix, e, n->official);
    if (!(st = find(b, name))) return GGL_ERR_FORMAT;
    bool fp8 = st->dtype == GGL_ST_F8_E4M3, fp4 = st->dtype == GGL_ST_I8 || st->dtype == GGL_ST_U8;
    if (!fp8 && !fp4) return bad_dtype(b, st, "I8 (two FP4 codes a byte) or F8_E4M3");
    enum ggl_type type = fp8 ? GGL_TYPE_FP8 : GGL_TYPE_FP4;
    if (!e) t->type = type;
    if (t->type != type) return bad_dtype(b, st, "the dtype of expert 0");

    const uint64_t packed[2] = {dims[0], fp8 ? dims[1] : dims[1] / 2}, groups[2] = {dims[0], dims[1] / 32};
    if ((s = check_shape(b, st, packed, 2))) return s;
    *codes = st->data;
    snprintf(name, sizeof(name), "%sffn.experts.%" PRIu32 ".%s.scale", b->prefix, e, n->official);
    if (fp8) {
        enum ggl_scale_type scale_type;
        if ((s = bind_fp8_scale(b, name, dims, &scale_type, scales))) return s;
        if (!e) t->scale_type = scale_type;
        if (t->scale_type == scale_type) return GGL_OK;
        return ggl_fail(b->err, GGL_ERR_FORMAT, b->c->dir, GGL_NO_OFFSET, "another one", "the dtype of expert 0",
                        "%s: dtype", name);
    }
    if (!(sc = find(b, name))) return GGL_ERR_FORMAT;
    if (sc->dtype != GGL_ST_F8_E8M0 && sc->dtype != GGL_ST_U8) return bad_dtype(b, sc, "F8_E8M0 or U8");
    if ((s = check_shape(b, sc, groups, 2))) return s;
    t->scale_type = GGL_SCALE_E8M0;
    *scales = sc->data;
    return check_e8m0(b, sc);
}

static enum ggl_status bind_experts(const struct binder *b, const struct ggl_v4_name *n, const uint64_t *dims,
                                    struct ggl_tensor *t)
{
    uint32_t n_expert = b->c->config.n_expert;
    const uint8_t **codes = own_alloc(b->c, n_expert * sizeof(*codes));
    const uint8_t **scales = own_alloc(b->c, n_expert * sizeof(*scales));
    if (!codes || !scales) return no_memory(b);
    t->slices = codes;
    t->scale_slices = scales;
    t->n_dims = 3;
    t->ne[2] = n_expert;
    for (uint32_t e = 0; e < n_expert; e++) {
        enum ggl_status s = bind_expert(b, n, e, dims, t, &codes[e], &scales[e]);
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status bind_name(const struct binder *b, const struct ggl_v4_name *n)
{
    struct ggl_tensor *t = &b->c->tensors[b->c->n_tensors];
    uint64_t dims[2];
    uint32_t rank = 0;
    for (; rank < 2 && n->dims[rank]; rank++) dims[rank] = ggl_v4_dim(&b->c->config, n->dims[rank], b->ratio);
    snprintf(t->name, sizeof(t->name), "%s%s", b->blk, n->gguf);
    t->n_dims = rank;
    for (uint32_t i = 0; i < GGL_MAX_DIMS; i++) t->ne[i] = i < rank ? (int64_t)dims[rank - 1 - i] : 1;

    enum ggl_status s;
    switch (n->kind) {
    case GGL_NAME_DENSE: s = bind_dense(b, n, dims, t); break;
    case GGL_NAME_EXPERTS: s = bind_experts(b, n, dims, t); break;
    default: s = bind_plain(b, n, dims, rank, t); break;
    }
    if (!s) s = set_sizes(b, t);
    if (s) return s;
    ggl_names_add(&b->c->names, t->name, b->c->n_tensors++);
    return GGL_OK;
}

/* ---- all of it */

static bool applies(const struct ggl_checkpoint *c, enum ggl_v4_scope scope, uint32_t block, int32_t ratio)
{
    uint32_t n_layer = c->config.n_layer;
    bool hash = block < c->config.n_hash, mtp = block >= n_layer;
    switch (scope) {
    case GGL_SCOPE_ROOT: return false;
    case GGL_SCOPE_BLOCK: return true;
    case GGL_SCOPE_COMPRESSED: return ratio != 0;
    case GGL_SCOPE_INDEXED: return ratio == 4;
    case GGL_SCOPE_HASH: return hash;
    case GGL_SCOPE_LEARNED: return !hash;
    case GGL_SCOPE_MTP: return mtp && !c->dspark;
    case GGL_SCOPE_DSPARK_FIRST: return c->dspark && block == n_layer;
    case GGL_SCOPE_DSPARK_LAST: return c->dspark && block == n_layer + c->n_mtp - 1;
    }
    return false;
}

static enum ggl_status bind_block(struct binder *b, uint32_t block)
{
    const struct ggl_config *config = &b->c->config;
    if (block < config->n_layer) snprintf(b->prefix, sizeof(b->prefix), "layers.%" PRIu32 ".", block);
    else snprintf(b->prefix, sizeof(b->prefix), "mtp.%" PRIu32 ".", block - config->n_layer);
    snprintf(b->blk, sizeof(b->blk), "blk.%" PRIu32 ".", block);
    b->ratio = config->ratio[block];
    for (size_t i = 0; i < ggl_n_v4_names; i++) {
        if (!applies(b->c, ggl_v4_names[i].scope, block, b->ratio)) continue;
        enum ggl_status s = bind_name(b, &ggl_v4_names[i]);
        if (s) return s;
    }
    return GGL_OK;
}

/* Which model family the names belong to, and how many prediction blocks there are (config.json does not know). */
static enum ggl_status survey(const struct binder *b)
{
    struct ggl_checkpoint *c = b->c;
    for (uint32_t i = 0; i < c->shards.n_tensors; i++) {
        const struct ggl_st_tensor *t = c->shards.tensors[i];
        const char *foreign = ggl_v4_name_foreign(t->name);
        if (foreign) {
            return ggl_fail(b->err, GGL_ERR_UNSUPPORTED, t->path, GGL_NO_OFFSET, foreign,
                            "DeepSeek V4 with its official names", "%.120s", t->name);
        }
        int stage = ggl_v4_name_mtp(t->name);
        if (stage >= GGL_MAX_MTP) {
            return ggl_fail(b->err, GGL_ERR_UNSUPPORTED, t->path, GGL_NO_OFFSET, NULL, "at most 8 prediction blocks",
                            "%.120s", t->name);
        }
        if (stage >= (int)c->n_mtp) c->n_mtp = (uint32_t)stage + 1;
    }
    c->dspark = ggl_shards_find(&c->shards, "mtp.0.main_proj.weight") != NULL;
    if (!c->dspark) return GGL_OK;
    char last[64];
    snprintf(last, sizeof(last), "mtp.%" PRIu32 ".markov_head.markov_w1.weight", c->n_mtp - 1);
    const struct ggl_st_tensor *markov = ggl_shards_find(&c->shards, last);
    if (!c->config.n_target) c->config.n_target = 3;
    if (!c->config.dspark_rank && markov && markov->rank == 2 && markov->shape[1] <= (1u << 20)) {
        c->config.dspark_rank = (uint32_t)markov->shape[1];
    }
    return GGL_OK;
}

static enum ggl_status check_leftovers(const struct binder *b)
{
    for (uint32_t i = 0; i < b->c->shards.n_tensors; i++) {
        const struct ggl_st_tensor *t = b->c->shards.tensors[i];
        if (t->used) continue;
        if (t->bytes && !ggl_v4_name_harmless(&b->c->config, t->name)) {
            return ggl_fail(b->err, GGL_ERR_FORMAT, t->path, GGL_NO_OFFSET, "a tensor that this model does not have",
                            NULL, "%.180s", t->name);
        }
        ggl_checkpoint_warn(b->c, "%.180s is not used", t->name);
    }
    return GGL_OK;
}

enum ggl_status ggl_bind_tensors(struct ggl_checkpoint *c, struct ggl_error *err)
{
    struct binder b = {.c = c, .err = err};
    enum ggl_status s = survey(&b);
    if (s) return s;
    uint32_t n_block = c->config.n_layer + c->n_mtp;
    size_t most = ggl_n_v4_names * ((size_t)n_block + 1);
    c->tensors = calloc(most, sizeof(*c->tensors));
    if (!c->tensors || !ggl_names_reserve(&c->names, most)) return no_memory(&b);

    for (size_t i = 0; i < ggl_n_v4_names; i++) {
        if (ggl_v4_names[i].scope == GGL_SCOPE_ROOT && (s = bind_name(&b, &ggl_v4_names[i]))) return s;
    }
    for (uint32_t block = 0; block < n_block; block++) {
        if ((s = bind_block(&b, block))) return s;
    }
    return check_leftovers(&b);
}
