/*
 * The layout of a file to be written: headers, parts and sizes.  One function
 * emits a header, either to a file or to nowhere, which is how it is measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/checked.h"
#include "ggml-lite/src/gguf_internal.h"

#define MAX_PARTS 65535u /* split.count is u16 */

struct sink {
    struct ggl_output *o; /* NULL: only count */
    uint64_t n;
    enum ggl_status status;
    struct ggl_error *err;
};

static void put(struct sink *k, const void *data, uint64_t n)
{
    k->n += n;
    if (k->o && !k->status) k->status = ggl_output_write(k->o, data, (size_t)n, k->err);
}

static void put_u32(struct sink *k, uint32_t v)
{
    put(k, &v, sizeof(v));
}

static void put_u64(struct sink *k, uint64_t v)
{
    put(k, &v, sizeof(v));
}

static void put_string(struct sink *k, const char *s, uint64_t n)
{
    put_u64(k, n);
    put(k, s, n);
}

static void put_zeros(struct sink *k, uint64_t n)
{
    static const uint8_t zeros[4096];
    for (uint64_t chunk; n; n -= chunk) {
        chunk = n < sizeof(zeros) ? n : sizeof(zeros);
        put(k, zeros, chunk);
    }
}

/* ---- keys */

static void put_kv(struct sink *k, const struct ggl_kv *kv)
{
    put_string(k, kv->key, strlen(kv->key));
    put_u32(k, kv->type);
    if (kv->type == GGL_KV_ARR) {
        put_u32(k, kv->elem);
        put_u64(k, kv->n);
    }
    if (!kv->str) {
        put(k, kv->data, kv->n * ggl_kv_type_bytes(kv->elem));
        return;
    }
    for (uint64_t i = 0; i < kv->n; i++) put_string(k, kv->str[i].data, kv->str[i].size);
}

static void put_number(struct sink *k, const char *key, enum ggl_kv_type type, const void *value)
{
    put_kv(k, &(struct ggl_kv){.key = key, .type = type, .elem = type, .n = 1, .data = value});
}

/* Keys that the writer makes itself: what a source file says about its own parts and bytes is not copied. */
static bool is_own_key(const char *key)
{
    static const char *const own[] = {GGL_KEY_SPLIT_NO, GGL_KEY_SPLIT_COUNT, GGL_KEY_SPLIT_TENSORS, GGL_KEY_XXH3};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (!strcmp(key, own[i])) return true;
    return false;
}

static bool belongs_to(const struct ggl_kv *kv, uint32_t part)
{
    return part ? !strcmp(kv->key, GGL_KEY_ALIGNMENT) : !is_own_key(kv->key);
}

static void put_split_keys(const struct ggl_gguf_layout *l, uint32_t part, struct sink *k)
{
    uint16_t no = (uint16_t)part, count = (uint16_t)l->n_parts;
    int32_t n_tensors = (int32_t)l->g->n_tensors;
    put_number(k, GGL_KEY_SPLIT_NO, GGL_KV_U16, &no);
    put_number(k, GGL_KEY_SPLIT_COUNT, GGL_KV_U16, &count);
    put_number(k, GGL_KEY_SPLIT_TENSORS, GGL_KV_I32, &n_tensors);
}

/* The first part lists the hashes of the tensors of all parts; zeros until they are known. */
static void put_hashes(const struct ggl_gguf_layout *l, struct sink *k, uint64_t *offset)
{
    static const char zeros[] = "00000000000000000000000000000000";
    put_string(k, GGL_KEY_XXH3, strlen(GGL_KEY_XXH3));
    put_u32(k, GGL_KV_ARR);
    put_u32(k, GGL_KV_STR);
    put_u64(k, l->g->n_tensors);
    if (offset) *offset = k->n;
    for (uint64_t i = 0; i < l->g->n_tensors; i++) put_string(k, zeros, sizeof(zeros) - 1);
}

static void put_keys(const struct ggl_gguf_layout *l, uint32_t part, struct sink *k, uint64_t *hash_offset)
{
    for (uint64_t i = 0; i < l->g->n_kv; i++)
        if (belongs_to(&l->g->kv[i], part)) put_kv(k, &l->g->kv[i]);
    if (l->split) put_split_keys(l, part, k);
    if (l->hashes && !part) put_hashes(l, k, hash_offset);
}

static uint64_t count_keys(const struct ggl_gguf_layout *l, uint32_t part)
{
    uint64_t n = (l->split ? 3u : 0u) + (l->hashes && !part ? 1u : 0u);
    for (uint64_t i = 0; i < l->g->n_kv; i++) n += belongs_to(&l->g->kv[i], part);
    return n;
}

/* ---- tensors */

static void put_tensor_info(const struct ggl_gguf *g, uint64_t i, uint64_t offset, struct sink *k)
{
    const struct ggl_tensor *t = &g->tensors[i];
    uint32_t n_dims = GGL_MAX_DIMS; /* as ggml counts them: without trailing ones, but at least one */
    while (n_dims > 1 && t->ne[n_dims - 1] == 1) n_dims--;
    put_string(k, t->name, strlen(t->name));
    put_u32(k, n_dims);
    for (uint32_t d = 0; d < n_dims; d++) put_u64(k, (uint64_t)t->ne[d]);
    put_u32(k, g->places[i].stored_type);
    put_u64(k, offset);
}

static bool padded_bytes(const struct ggl_gguf_layout *l, uint64_t i, uint64_t *bytes)
{
    return ggl_align_u64(ggl_gguf_tensor_bytes(&l->g->tensors[i]), l->alignment, bytes);
}

enum ggl_status ggl_gguf_layout_header(const struct ggl_gguf_layout *l, uint32_t part, struct ggl_output *o,
                                       uint64_t *hash_offset, struct ggl_error *err)
{
    struct sink k = {.o = o, .err = err};
    const struct ggl_gguf_part *p = &l->parts[part];
    put(&k, "GGUF", 4);
    put_u32(&k, 3);
    put_u64(&k, p->n);
    put_u64(&k, count_keys(l, part));
    put_keys(l, part, &k, hash_offset);
    uint64_t offset = 0, bytes = 0;
    for (uint64_t i = p->first; i < p->first + p->n; i++) {
        put_tensor_info(l->g, i, offset, &k);
        if (padded_bytes(l, i, &bytes)) offset += bytes; /* checked when the layout was made */
    }
    put_zeros(&k, p->header_bytes - k.n);
    return k.status;
}

/* ---- parts */

static enum ggl_status check_alignment(struct ggl_gguf_layout *l, struct ggl_error *err)
{
    const struct ggl_kv *kv = ggl_gguf_find_kv(l->g, GGL_KEY_ALIGNMENT);
    l->alignment = ggl_gguf_alignment(l->g);
    if (!kv) return GGL_OK;
    uint32_t v = kv->type == GGL_KV_U32 ? *(const uint32_t *)kv->data : 0;
    if (v == l->alignment && !(v & (v - 1))) return GGL_OK;
    char found[32];
    snprintf(found, sizeof(found), "%u", v);
    return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, found, "a u32 power of two from 8 to 1048576",
                    GGL_KEY_ALIGNMENT);
}

static enum ggl_status too_large(struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "the file would be too large");
}

/* Measure a part that starts with tensor `first` and take as many as fit; at least one. */
static enum ggl_status fill_part(struct ggl_gguf_layout *l, uint64_t first, uint64_t max, struct ggl_error *err)
{
    const struct ggl_gguf *g = l->g;
    struct ggl_gguf_part p = {.first = first};
    struct sink k = {0};
    put_zeros(&k, 24); /* magic, version, counts */
    put_keys(l, l->n_parts, &k, NULL);
    uint64_t data = 0, bytes, next, header, total;
    if (!ggl_align_u64(k.n, l->alignment, &p.header_bytes)) return too_large(err);
    p.bytes = p.header_bytes;
    for (uint64_t i = first; i < g->n_tensors; i++) {
        put_tensor_info(g, i, 0, &k);
        if (!padded_bytes(l, i, &bytes) || !ggl_add_u64(data, bytes, &next) ||
            !ggl_align_u64(k.n, l->alignment, &header) || !ggl_add_u64(header, next, &total) || total > INT64_MAX)
            return too_large(err);
        if (max && p.n && total > max) break;
        data = next;
        p.header_bytes = header;
        p.bytes = total;
        p.n++;
    }
    struct ggl_gguf_part *parts = realloc(l->parts, (l->n_parts + 1) * sizeof(*parts));
    if (!parts) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "layout: out of memory");
    l->parts = parts;
    l->parts[l->n_parts++] = p;
    if (!ggl_add_u64(l->bytes, p.bytes, &l->bytes)) return too_large(err);
    return GGL_OK;
}

enum ggl_status ggl_gguf_layout_init(struct ggl_gguf_layout *l, const struct ggl_gguf *g,
                                     const struct ggl_gguf_write_options *o, struct ggl_error *err)
{
    uint64_t max = o ? o->split_max_bytes : 0, done = 0;
    char probe[33];
    *l = (struct ggl_gguf_layout){.g = g, .split = max > 0};
    l->hashes = g->n_tensors && ggl_hash_hex("", 0, probe);
    enum ggl_status s = check_alignment(l, err);
    if (!s && l->split && g->n_tensors > INT32_MAX) s = too_large(err);
    do {
        if (!s) s = fill_part(l, done, max, err);
        if (!s) done += l->parts[l->n_parts - 1].n;
        if (!s && l->n_parts > MAX_PARTS)
            s = ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, "at most 65535 parts",
                         "the parts of a split file are too small");
    } while (!s && done < g->n_tensors);
    if (s) ggl_gguf_layout_deinit(l);
    return s;
}

void ggl_gguf_layout_deinit(struct ggl_gguf_layout *l)
{
    free(l->parts);
    l->parts = NULL;
}
