/*
 * Reads one GGUF file: the only place where its bytes are interpreted, and
 * where every length, count, size and offset in it is checked, once.
 *
 * Nothing is allocated from a count before the file is known to be long
 * enough to hold that many records, so memory is bounded by the file's size;
 * duplicates are found by hashing and overlaps by sorting, so time is too.
 * Gaps between tensors, a last tensor without padding and bytes after the last
 * tensor are accepted; everything else that is odd is an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/checked.h"
#include "ggml-lite/src/gguf_internal.h"

#define MAX_STRING      (1u << 30)
#define MAX_ARRAY       (1u << 30)
#define MIN_KV_BYTES    13u /* key length, type, one byte of value */
#define MIN_TENSOR_INFO 24u /* name length, n_dims, type, offset */

struct reader {
    struct ggl_gguf *g;
    const uint8_t *data;
    uint64_t size, pos;
    struct ggl_error *err;
    enum ggl_status status;
    /* What is being read, for messages: "key 3 'general.name'". */
    const char *item;
    uint64_t index;
    const char *name;
};

/* ---- failing */

static void describe(const struct reader *r, char *buf, size_t n)
{
    buf[0] = '\0';
    if (r->item && r->name)
        snprintf(buf, n, "%s %llu '%.120s': ", r->item, (unsigned long long)r->index, r->name);
    else if (r->item)
        snprintf(buf, n, "%s %llu: ", r->item, (unsigned long long)r->index);
}

static bool fail(struct reader *r, uint64_t offset, const char *field, const char *found, const char *expected)
{
    char item[200];
    describe(r, item, sizeof(item));
    r->status = ggl_fail(r->err, GGL_ERR_FORMAT, r->g->path, offset, found, expected, "%s%s", item, field);
    return false;
}

static bool fail_number(struct reader *r, uint64_t offset, const char *field, uint64_t found, const char *expected)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)found);
    return fail(r, offset, field, text, expected);
}

static bool fail_nomem(struct reader *r)
{
    char item[200];
    describe(r, item, sizeof(item));
    r->status = ggl_fail(r->err, GGL_ERR_NOMEM, r->g->path, GGL_NO_OFFSET, NULL, NULL, "%sout of memory", item);
    return false;
}

/* ---- taking bytes */

static uint64_t left(const struct reader *r)
{
    return r->size - r->pos;
}

static bool need(struct reader *r, uint64_t n, const char *field)
{
    if (n <= left(r)) return true;
    char item[200], found[48], expected[48];
    describe(r, item, sizeof(item));
    snprintf(found, sizeof(found), "%llu bytes", (unsigned long long)left(r));
    snprintf(expected, sizeof(expected), "at least %llu", (unsigned long long)n);
    r->status = ggl_fail(r->err, GGL_ERR_FORMAT, r->g->path, r->pos, found, expected,
                         "truncated: %swhat is left for the %s", item, field);
    return false;
}

static bool take_u32(struct reader *r, uint32_t *v, const char *field)
{
    if (!need(r, sizeof(*v), field)) return false;
    memcpy(v, r->data + r->pos, sizeof(*v));
    r->pos += sizeof(*v);
    return true;
}

static bool take_u64(struct reader *r, uint64_t *v, const char *field)
{
    if (!need(r, sizeof(*v), field)) return false;
    memcpy(v, r->data + r->pos, sizeof(*v));
    r->pos += sizeof(*v);
    return true;
}

/* The string's bytes stay in the file; they have no terminator. */
static bool take_string(struct reader *r, const char **s, uint64_t *n, const char *field)
{
    if (!take_u64(r, n, field)) return false;
    if (*n > MAX_STRING) return fail_number(r, r->pos - 8, field, *n, "a length of at most 2^30 bytes");
    if (!need(r, *n, field)) return false;
    *s = (const char *)r->data + r->pos;
    r->pos += *n;
    return true;
}

static bool take_name(struct reader *r, const char **s, uint64_t *n, uint64_t max, const char *expected)
{
    uint64_t at = r->pos;
    if (!take_string(r, s, n, "name")) return false;
    const char *fault = ggl_name_fault(*s, *n, max);
    return !fault || fail(r, at, "name", fault, expected);
}

static void *allocate(struct reader *r, uint64_t n)
{
    void *p = ggl_arena_alloc(&r->g->arena, n);
    if (!p) fail_nomem(r);
    return p;
}

static const char *copy_string(struct reader *r, const char *s, uint64_t n)
{
    char *copy = allocate(r, n + 1);
    if (!copy) return NULL;
    memcpy(copy, s, (size_t)n);
    copy[n] = '\0';
    return copy;
}

/* ---- keys and values */

static bool read_numbers(struct reader *r, struct ggl_kv *kv)
{
    uint64_t bytes;
    if (!ggl_mul_u64(kv->n, ggl_kv_type_bytes(kv->elem), &bytes)) bytes = UINT64_MAX;
    if (!need(r, bytes, "value")) return false;
    const uint8_t *from = r->data + r->pos;
    if (kv->elem == GGL_KV_BOOL)
        for (uint64_t i = 0; i < bytes; i++)
            if (from[i] > 1) return fail_number(r, r->pos + i, "bool", from[i], "0 or 1");
    void *copy = allocate(r, bytes);
    if (!copy) return false;
    memcpy(copy, from, (size_t)bytes);
    kv->data = copy;
    r->pos += bytes;
    return true;
}

static bool read_strings(struct reader *r, struct ggl_kv *kv)
{
    if (!need(r, 8 * kv->n, "value")) return false; /* n <= 2^30 */
    struct ggl_str *copy = allocate(r, kv->n * sizeof(*copy));
    if (!copy) return false;
    kv->str = copy;
    for (uint64_t i = 0; i < kv->n; i++) {
        const char *s = NULL;
        if (!take_string(r, &s, &copy[i].size, "string")) return false;
        if (!(copy[i].data = copy_string(r, s, copy[i].size))) return false;
    }
    return true;
}

static bool read_array_head(struct reader *r, struct ggl_kv *kv)
{
    uint32_t elem;
    if (!take_u32(r, &elem, "element type")) return false;
    if (elem == GGL_KV_ARR) return fail(r, r->pos - 4, "element type", "array", "no nested arrays");
    if (elem > GGL_KV_F64) return fail_number(r, r->pos - 4, "element type", elem, "0 .. 12");
    kv->elem = (enum ggl_kv_type)elem;
    if (!take_u64(r, &kv->n, "array length")) return false;
    return kv->n <= MAX_ARRAY || fail_number(r, r->pos - 8, "array length", kv->n, "at most 2^30");
}

static bool check_alignment(struct reader *r, const struct ggl_kv *kv, uint64_t at)
{
    if (strcmp(kv->key, GGL_KEY_ALIGNMENT)) return true;
    if (kv->type != GGL_KV_U32) return fail(r, at, "type", ggl_kv_type_name(kv->type), "u32");
    uint32_t a = *(const uint32_t *)kv->data;
    if (a >= GGL_GGUF_MIN_ALIGNMENT && a <= GGL_GGUF_MAX_ALIGNMENT && !(a & (a - 1))) return true;
    return fail_number(r, at, "value", a, "a power of two from 8 to 1048576");
}

static bool read_kv(struct reader *r)
{
    struct ggl_kv kv = {.n = 1};
    const char *s = NULL;
    uint64_t n = 0, at = r->pos;
    uint32_t type;
    r->name = NULL;
    if (!take_name(r, &s, &n, GGL_GGUF_MAX_KEY, "1 .. 65535 bytes of UTF-8 without NUL")) return false;
    if (!(kv.key = copy_string(r, s, n))) return false;
    r->name = kv.key;
    if (ggl_gguf_find_kv(r->g, kv.key)) return fail(r, at, "key", "a duplicate", "each key once");

    at = r->pos;
    if (!take_u32(r, &type, "type")) return false;
    if (type > GGL_KV_F64) return fail_number(r, at, "type", type, "0 .. 12");
    kv.type = kv.elem = (enum ggl_kv_type)type;
    if (type == GGL_KV_ARR && !read_array_head(r, &kv)) return false;
    if (!(kv.elem == GGL_KV_STR ? read_strings(r, &kv) : read_numbers(r, &kv))) return false;
    if (!check_alignment(r, &kv, at)) return false;
    ggl_gguf_append_kv(r->g, &kv);
    return true;
}

/* ---- tensors */

static bool read_tensor_info(struct reader *r)
{
    struct ggl_tensor t = {.ne = {1, 1, 1, 1}};
    struct ggl_gguf_place place = {0};
    struct ggl_shape_fault fault;
    const char *s = NULL;
    uint64_t n = 0, bytes = 0, at = r->pos;
    r->name = NULL;
    if (!take_name(r, &s, &n, GGL_MAX_NAME - 1, "1 .. 63 bytes of UTF-8 without NUL")) return false;
    memcpy(t.name, s, (size_t)n);
    r->name = t.name;
    if (ggl_gguf_find_tensor(r->g, t.name)) return fail(r, at, "name", "a duplicate", "each tensor once");

    if (!take_u32(r, &t.n_dims, "n_dims")) return false;
    if (t.n_dims > GGL_MAX_DIMS) return fail_number(r, r->pos - 4, "n_dims", t.n_dims, "0 .. 4");
    at = r->pos;
    for (uint32_t i = 0; i < t.n_dims; i++) {
        uint64_t ne;
        if (!take_u64(r, &ne, "dimensions")) return false;
        if (ne > INT64_MAX) return fail_number(r, r->pos - 8, "dimension", ne, "0 .. 2^63 - 1");
        t.ne[i] = (int64_t)ne;
    }
    if (!take_u32(r, &place.stored_type, "type")) return false;
    if (!ggl_tensor_layout(&t, place.stored_type, &bytes, &fault))
        return fail(r, at, fault.field, fault.found, fault.expected);
    if (!take_u64(r, &place.offset, "offset")) return false;
    ggl_gguf_append_tensor(r->g, &t, &place);
    r->name = NULL;
    return true;
}

/* Offsets were relative to the data section; make them absolute and prove that all bytes are in the file. */
static bool place_tensors(struct reader *r)
{
    struct ggl_gguf *g = r->g;
    uint64_t start, alignment = ggl_gguf_alignment(g);
    if (!ggl_align_u64(r->pos, alignment, &start)) return fail(r, r->pos, "data section", "out of range", NULL);
    r->item = "tensor";
    for (r->index = 0; r->index < g->n_tensors; r->index++) {
        struct ggl_gguf_place *place = &g->places[r->index];
        uint64_t at, end, bytes = ggl_gguf_tensor_bytes(&g->tensors[r->index]);
        r->name = g->tensors[r->index].name;
        if (place->offset & (alignment - 1)) {
            char expected[48];
            snprintf(expected, sizeof(expected), "a multiple of %llu", (unsigned long long)alignment);
            return fail_number(r, GGL_NO_OFFSET, "offset", place->offset, expected);
        }
        if (!ggl_add_u64(start, place->offset, &at) || !ggl_add_u64(at, bytes, &end))
            return fail_number(r, GGL_NO_OFFSET, "offset", place->offset, "data within the file");
        /* A file without any data may end before the data section begins. */
        if (end > r->size && (bytes || place->offset)) {
            char expected[64];
            snprintf(expected, sizeof(expected), "at most %llu, the file's size (truncated?)",
                     (unsigned long long)r->size);
            return fail_number(r, GGL_NO_OFFSET, "end of data", end, expected);
        }
        place->offset = at;
        g->tensors[r->index].data = end <= r->size ? r->data + at : r->data;
    }
    r->item = NULL;
    return true;
}

struct extent {
    uint64_t begin, end;
    uint64_t index;
};

static int by_begin(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static bool check_overlaps(struct reader *r)
{
    const struct ggl_gguf *g = r->g;
    uint64_t n = 0;
    bool sorted = true;
    struct extent *e = g->n_tensors ? malloc((size_t)g->n_tensors * sizeof(*e)) : NULL;
    if (!e) return !g->n_tensors || fail_nomem(r);
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        uint64_t begin = g->places[i].offset, bytes = ggl_gguf_tensor_bytes(&g->tensors[i]);
        if (!bytes) continue;
        if (n && begin < e[n - 1].begin) sorted = false;
        e[n++] = (struct extent){begin, begin + bytes, i};
    }
    if (!sorted) qsort(e, (size_t)n, sizeof(*e), by_begin);
    bool ok = true;
    for (uint64_t i = 1; ok && i < n; i++) {
        if (e[i].begin >= e[i - 1].end) continue;
        char found[128];
        snprintf(found, sizeof(found), "inside that of '%s'", g->tensors[e[i - 1].index].name);
        r->item = "tensor";
        r->index = e[i].index;
        r->name = g->tensors[e[i].index].name;
        ok = fail(r, e[i].begin, "data", found, "no overlap");
    }
    free(e);
    return ok;
}

/* ---- the file */

static bool read_head(struct reader *r, uint64_t *n_tensors, uint64_t *n_kv)
{
    if (!need(r, 4, "magic")) return false;
    if (memcmp(r->data, "GGUF", 4)) return fail(r, 0, "magic", "something else", "\"GGUF\"");
    r->pos = 4;
    if (!take_u32(r, &r->g->version, "version")) return false;
    if (r->g->version && !(r->g->version & 0xffff)) return fail(r, 4, "byte order", "big-endian", "little-endian");
    if (r->g->version != 2 && r->g->version != 3) return fail_number(r, 4, "version", r->g->version, "2 or 3");
    if (!take_u64(r, n_tensors, "number of tensors") || !take_u64(r, n_kv, "number of keys")) return false;
    if (*n_tensors > left(r) / MIN_TENSOR_INFO || *n_tensors > GGL_GGUF_MAX_COUNT)
        return fail_number(r, 8, "number of tensors", *n_tensors, "as many as fit in the file (truncated?)");
    if (*n_kv > left(r) / MIN_KV_BYTES || *n_kv > GGL_GGUF_MAX_COUNT)
        return fail_number(r, 16, "number of keys", *n_kv, "as many as fit in the file (truncated?)");
    return true;
}

static bool read_file(struct reader *r)
{
    uint64_t n_tensors = 0, n_kv = 0;
    if (!read_head(r, &n_tensors, &n_kv)) return false;
    if (!ggl_gguf_reserve_kv(r->g, n_kv)) return fail_nomem(r);
    r->item = "key";
    for (r->index = 0; r->index < n_kv; r->index++)
        if (!read_kv(r)) return false;
    if (!ggl_gguf_reserve_tensors(r->g, n_tensors)) return fail_nomem(r);
    r->item = "tensor";
    for (r->index = 0; r->index < n_tensors; r->index++)
        if (!read_tensor_info(r)) return false;
    r->item = NULL;
    return place_tensors(r) && check_overlaps(r);
}

enum ggl_status ggl_gguf_read_part(const char *path, struct ggl_gguf **out, struct ggl_error *err)
{
    struct ggl_map map;
    enum ggl_status s = ggl_map_open(path, &map, err);
    if (s) return s;
    struct ggl_gguf *g = ggl_gguf_new();
    if (g && (g->maps = malloc(sizeof(*g->maps)))) {
        g->maps[0] = map;
        g->n_parts = 1;
        g->file_bytes = map.size;
        g->path = malloc(strlen(path) + 1);
    } else {
        ggl_map_close(&map);
    }
    if (!g || !g->path) {
        ggl_gguf_free(g);
        return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "out of memory");
    }
    memcpy(g->path, path, strlen(path) + 1);

    struct reader r = {.g = g, .data = map.data, .size = map.size, .err = err};
    if (read_file(&r)) {
        *out = g;
        return GGL_OK;
    }
    ggl_gguf_free(g);
    return r.status;
}
