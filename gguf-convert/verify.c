/*
 * Compares a finished file with its source: keys, shapes, and every byte.  What was converted on the way out is
 * converted back here, by the inverse function, so a fault of the writer does not hide itself.  What was rounded must
 * be what rounding the source gives (INT4: the nearest of its levels), and how much it lost is printed.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gguf-convert/convert.h"

#define PIECE_BYTES  (256u << 10)
#define BUFFER_BYTES (16u << 10)

struct verifier {
    const struct ggl_gguf *file;
    struct ggl_error *err;
    struct cli_progress progress;
    uint64_t done;
    uint8_t *buffer; /* BUFFER_BYTES */
};

static enum ggl_status differs(const struct verifier *v, const char *name, const char *what, const char *found,
                               const char *expected)
{
    return ggl_fail(v->err, GGL_ERR_FORMAT, ggl_gguf_path(v->file), GGL_NO_OFFSET, found, expected, "%s: %s", name, what);
}

static enum ggl_status differs_at(const struct verifier *v, const struct ggl_tensor *t, int64_t slice, uint64_t at)
{
    char what[96];
    snprintf(what, sizeof(what), "slice %" PRId64 ", near byte %" PRIu64, slice, at);
    return differs(v, t->name, what, "another value", "the source's");
}

static enum ggl_status tick(struct verifier *v, uint64_t n)
{
    v->done += n;
    cli_progress_update(&v->progress, v->done);
    if (!convert_stop) return GGL_OK;
    return ggl_fail(v->err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "interrupted");
}

/* ---- keys */

/* The writer's own: they say how a file is stored, not what is in it. */
static bool is_storage_key(const char *key)
{
    return strncmp(key, "split.", 6) == 0 || strcmp(key, "ggl.tensor.xxh3") == 0;
}

static bool same_value(const struct ggl_kv *a, const struct ggl_kv *b)
{
    static const uint8_t bytes[] = {[GGL_KV_U8] = 1, [GGL_KV_I8] = 1, [GGL_KV_U16] = 2, [GGL_KV_I16] = 2,
                                    [GGL_KV_U32] = 4, [GGL_KV_I32] = 4, [GGL_KV_F32] = 4, [GGL_KV_BOOL] = 1,
                                    [GGL_KV_U64] = 8, [GGL_KV_I64] = 8, [GGL_KV_F64] = 8};
    if (a->type != b->type || a->n != b->n || (a->type == GGL_KV_ARR && a->elem != b->elem)) return false;
    enum ggl_kv_type elem = a->type == GGL_KV_ARR ? a->elem : a->type;
    for (uint64_t i = 0; elem == GGL_KV_STR && i < a->n; i++) {
        if (a->str[i].size != b->str[i].size || memcmp(a->str[i].data, b->str[i].data, (size_t)a->str[i].size) != 0) {
            return false;
        }
    }
    return elem == GGL_KV_STR || !a->n || memcmp(a->data, b->data, (size_t)a->n * bytes[elem]) == 0;
}

static enum ggl_status verify_keys(const struct verifier *v, const struct ggl_gguf *want)
{
    for (uint64_t i = 0; i < ggl_gguf_n_kv(want); i++) {
        const struct ggl_kv *kv = ggl_gguf_kv(want, i);
        const struct ggl_kv *is = ggl_gguf_find_kv(v->file, kv->key);
        if (is_storage_key(kv->key)) continue;
        if (!is) return differs(v, kv->key, "key", "missing", NULL);
        if (!same_value(kv, is)) return differs(v, kv->key, "key", "another value", "the source's");
    }
    for (uint64_t i = 0; i < ggl_gguf_n_kv(v->file); i++) {
        const char *key = ggl_gguf_kv(v->file, i)->key;
        if (is_storage_key(key) || ggl_gguf_find_kv(want, key)) continue;
        return differs(v, key, "key", "a key that the source does not give", NULL);
    }
    return GGL_OK;
}

/* ---- tensors */

static enum ggl_status verify_plane(struct verifier *v, const struct ggl_tensor *t, int64_t slice, const uint8_t *is,
                                    const uint8_t *want, uint64_t bytes)
{
    for (uint64_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        if (memcmp(is + at, want + at, (size_t)n) != 0) {
            while (is[at] == want[at]) at++;
            return differs_at(v, t, slice, at);
        }
        enum ggl_status s = tick(v, n);
        if (s) return s;
    }
    return GGL_OK;
}

/* MXFP4 blocks back to codes and scales. */
static enum ggl_status verify_mxfp4(struct verifier *v, const struct ggl_tensor *t, const struct ggl_tensor *from,
                                    int64_t slice)
{
    const uint8_t *blocks = ggl_tensor_slice(t, slice), *codes = ggl_tensor_slice(from, slice);
    const uint8_t *scales = ggl_tensor_scale_slice(from, slice);
    const uint64_t groups = (uint64_t)(from->ne[0] / 32) * (uint64_t)from->ne[1], most = BUFFER_BYTES / 17;
    for (uint64_t g = 0, n; g < groups; g += n) {
        n = groups - g < most ? groups - g : most;
        uint8_t *back_scales = v->buffer + n * 16;
        ggl_mxfp4_to_fp4(blocks + g * 17, v->buffer, back_scales, (int64_t)n * 32);
        if (memcmp(v->buffer, codes + g * 16, (size_t)n * 16) != 0 || memcmp(back_scales, scales + g, (size_t)n) != 0) {
            return differs_at(v, t, slice, g * 17);
        }
        enum ggl_status s = tick(v, n * 17);
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status verify_ids(struct verifier *v, const struct ggl_tensor *t, const struct ggl_tensor *from)
{
    uint64_t n = (uint64_t)from->ne[0] * (uint64_t)from->ne[1];
    for (uint64_t i = 0; i < n; i++) {
        int64_t want;
        int32_t is;
        memcpy(&want, from->data + 8 * i, 8);
        memcpy(&is, t->data + 4 * i, 4);
        if (is != want) return differs_at(v, t, 0, 4 * i);
    }
    return tick(v, 4 * n);
}

static enum ggl_status verify_int4(struct verifier *v, const struct ggl_tensor *t, const struct ggl_tensor *from)
{
    struct int4_stats stats = {0};
    enum ggl_status s = GGL_OK;
    if (t->type != GGL_TYPE_INT4) return differs(v, t->name, "type", "another type", "INT4");
    float *x = malloc((size_t)from->ne[0] * sizeof(*x));
    if (!x) return ggl_fail(v->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: a row", t->name);
    for (int64_t row = 0; row < from->ne[1] && !s; row++) {
        if (ggl_tensor_decode_row(from, 0, row, x) && int4_compare_row(t, row, x, &stats)) s = tick(v, t->row_bytes);
        else s = differs_at(v, t, 0, (uint64_t)row * t->row_bytes);
    }
    free(x);
    if (s) return s;
    printf("%s: INT4, relative RMS error %.3f %%, worst group %.2f %% (row %" PRId64 ", inputs %" PRId64 " to %" PRId64 ")\n",
           t->name, stats.power > 0 ? 100 * sqrt(stats.error / stats.power) : 0.0, 100 * stats.worst, stats.worst_row,
           stats.worst_input, stats.worst_input + 31);
    return GGL_OK;
}

struct loss {
    double error, power; /* sums of squares */
};

/* One row of the file: no other than the source's values give, and those it decodes to are near them. */
static bool same_row(const struct ggl_tensor *t, const struct ggl_tensor *from, int64_t row, float *x, float *y,
                     uint8_t *blocks, struct loss *loss)
{
    const int64_t n = t->ne[0], slice = row / t->ne[1], in_slice = row % t->ne[1];
    if (!ggl_tensor_decode_row(from, slice, in_slice, x) || !ggl_tensor_decode_row(t, slice, in_slice, y)) return false;
    if (!ggl_encode(t->type, x, blocks, n) || memcmp(blocks, t->data + (uint64_t)row * t->row_bytes, t->row_bytes) != 0) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        double e = (double)x[i] - (double)y[i];
        loss->error += e * e;
        loss->power += (double)x[i] * (double)x[i];
    }
    return isfinite(loss->error);
}

/* Rows that were rounded again from the source; what that lost is printed, unless it must be nothing. */
static enum ggl_status verify_encoded(struct verifier *v, const struct ggl_tensor *t, const struct ggl_tensor *from)
{
    struct loss loss = {0, 0};
    enum ggl_status s = GGL_OK;
    const int64_t rows = t->ne[1] * t->ne[2] * t->ne[3];
    float *x = malloc((size_t)t->ne[0] * 2 * sizeof(*x));
    uint8_t *blocks = malloc((size_t)t->row_bytes);
    if (!x || !blocks) s = ggl_fail(v->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: a row", t->name);
    for (int64_t row = 0; row < rows && !s; row++) {
        if (same_row(t, from, row, x, x + t->ne[0], blocks, &loss)) s = tick(v, t->row_bytes);
        else s = differs_at(v, t, row / t->ne[1], (uint64_t)(row % t->ne[1]) * t->row_bytes);
    }
    if (!s && t->type == GGL_TYPE_F32 && loss.error > 0) s = differs_at(v, t, 0, 0);
    free(x);
    free(blocks);
    if (s || t->type == GGL_TYPE_F32) return s;
    printf("%s: %s, relative RMS error %.3f %%\n", t->name, ggl_type_info((uint32_t)t->type)->name,
           loss.power > 0 ? 100 * sqrt(loss.error / loss.power) : 0.0);
    return GGL_OK;
}

static enum ggl_status verify_hash(const struct verifier *v, const struct ggl_kv *hashes, uint64_t i,
                                   const struct ggl_tensor *t, uint64_t bytes)
{
    char hex[33];
    if (!hashes || !ggl_hash_hex(bytes ? t->data : NULL, (size_t)bytes, hex)) return GGL_OK;
    if (hashes->str && i < hashes->n && hashes->str[i].size == 32 && memcmp(hashes->str[i].data, hex, 32) == 0) {
        return GGL_OK;
    }
    return differs(v, t->name, "ggl.tensor.xxh3", "another hash", hex);
}

static enum ggl_status verify_shape(const struct verifier *v, const struct ggl_tensor *is, uint32_t stored,
                                    const struct ggl_tensor *want)
{
    if (strcmp(is->name, want->name) != 0) return differs(v, is->name, "name", is->name, want->name);
    if (stored != (uint32_t)want->type) return differs(v, is->name, "type", "another type", "the plan's");
    int64_t ne[GGL_MAX_DIMS]; /* as stored */
    memcpy(ne, is->ne, sizeof(ne));
    if (is->type == GGL_TYPE_INT4) ne[0] /= 2;
    if (memcmp(ne, want->ne, sizeof(ne)) != 0) { /* not n_dims: writers drop trailing ones */
        return differs(v, is->name, "shape", "another shape", "the source's");
    }
    return GGL_OK;
}

static enum ggl_status verify_tensor(struct verifier *v, const struct plan *p, uint64_t i)
{
    const struct item *item = &p->items[i];
    const struct ggl_tensor *t = ggl_gguf_tensor(v->file, i), *from = item->source;
    enum ggl_status s = verify_shape(v, t, ggl_gguf_stored_type(v->file, i), ggl_gguf_tensor(p->out, i));
    if (s || !item->bytes) return s;
    if (item->kind == ITEM_IDS) return verify_ids(v, t, from);
    if (item->kind == ITEM_ENCODE) return verify_encoded(v, t, from);
    if (item->kind == ITEM_INT4) return verify_int4(v, t, from);
    if (item->kind > ITEM_INT4) return tick(v, item->bytes); /* compared with the codes */
    for (int64_t slice = 0; slice < from->ne[2] * from->ne[3] && !s; slice++) {
        if (item->kind == ITEM_MXFP4) {
            s = verify_mxfp4(v, t, from, slice);
        } else if (item->kind == ITEM_SCALE) {
            s = verify_plane(v, t, slice, ggl_tensor_slice(t, slice), ggl_tensor_scale_slice(from, slice),
                             from->scale_slice_bytes);
        } else {
            s = verify_plane(v, t, slice, ggl_tensor_slice(t, slice), ggl_tensor_slice(from, slice), from->slice_bytes);
        }
    }
    return s;
}

static enum ggl_status verify_all(struct verifier *v, const struct plan *p)
{
    const struct ggl_kv *hashes = ggl_gguf_find_kv(v->file, "ggl.tensor.xxh3");
    enum ggl_status s = verify_keys(v, p->out);
    if (s) return s;
    if (ggl_gguf_n_tensors(v->file) != p->n_items) {
        char found[32], expected[32];
        snprintf(found, sizeof(found), "%" PRIu64, ggl_gguf_n_tensors(v->file));
        snprintf(expected, sizeof(expected), "%" PRIu64, p->n_items);
        return differs(v, "file", "number of tensors", found, expected);
    }
    for (uint64_t i = 0; i < p->n_items && !s; i++) {
        s = verify_tensor(v, p, i);
        if (!s) s = verify_hash(v, hashes, i, ggl_gguf_tensor(v->file, i), p->items[i].bytes);
    }
    return s;
}

enum ggl_status verify_output(const struct plan *p, const char *path, bool quiet, struct ggl_error *err)
{
    struct ggl_gguf *file;
    enum ggl_status s = ggl_gguf_open(path, NULL, &file, err);
    if (s) return s;
    struct verifier v = {.file = file, .err = err, .buffer = malloc(BUFFER_BYTES)};
    if (!v.buffer) {
        s = ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "buffer");
    } else {
        cli_progress_begin(&v.progress, "verifying", "B", p->tensor_bytes, quiet);
        s = verify_all(&v, p);
        cli_progress_end(&v.progress, v.done);
    }
    free(v.buffer);
    ggl_gguf_free(file);
    return s;
}
