/*
 * Keys and values: typed getters that refuse what does not fit, and setters
 * that copy.  Values live in the arena of their owner; a replaced value's
 * memory comes back when the owner is freed.
 */
#include <stdio.h>
#include <string.h>
#include "ggml-lite/src/gguf_internal.h"

static const struct {
    const char *name;
    uint32_t bytes;
} kv_types[] = {
    [GGL_KV_U8] = {"u8", 1},    [GGL_KV_I8] = {"i8", 1},   [GGL_KV_U16] = {"u16", 2}, [GGL_KV_I16] = {"i16", 2},
    [GGL_KV_U32] = {"u32", 4},  [GGL_KV_I32] = {"i32", 4}, [GGL_KV_F32] = {"f32", 4}, [GGL_KV_BOOL] = {"bool", 1},
    [GGL_KV_STR] = {"str", 0},  [GGL_KV_ARR] = {"arr", 0}, [GGL_KV_U64] = {"u64", 8}, [GGL_KV_I64] = {"i64", 8},
    [GGL_KV_F64] = {"f64", 8},
};
#define N_KV_TYPES (sizeof(kv_types) / sizeof(kv_types[0]))

uint32_t ggl_kv_type_bytes(uint32_t type)
{
    return type < N_KV_TYPES ? kv_types[type].bytes : 0;
}

const char *ggl_kv_type_name(uint32_t type)
{
    return type < N_KV_TYPES ? kv_types[type].name : "unknown";
}

/* ---- getters */

static bool signed_integer(int64_t v, bool *negative, uint64_t *magnitude)
{
    *negative = v < 0;
    *magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    return true;
}

static bool unsigned_integer(uint64_t v, bool *negative, uint64_t *magnitude)
{
    *negative = false;
    *magnitude = v;
    return true;
}

bool ggl_kv_integer(const struct ggl_kv *kv, bool *negative, uint64_t *magnitude)
{
    switch (kv->type) {
    case GGL_KV_U8: return unsigned_integer(*(const uint8_t *)kv->data, negative, magnitude);
    case GGL_KV_U16: return unsigned_integer(*(const uint16_t *)kv->data, negative, magnitude);
    case GGL_KV_U32: return unsigned_integer(*(const uint32_t *)kv->data, negative, magnitude);
    case GGL_KV_U64: return unsigned_integer(*(const uint64_t *)kv->data, negative, magnitude);
    case GGL_KV_I8: return signed_integer(*(const int8_t *)kv->data, negative, magnitude);
    case GGL_KV_I16: return signed_integer(*(const int16_t *)kv->data, negative, magnitude);
    case GGL_KV_I32: return signed_integer(*(const int32_t *)kv->data, negative, magnitude);
    case GGL_KV_I64: return signed_integer(*(const int64_t *)kv->data, negative, magnitude);
    default: return false;
    }
}

static enum ggl_status find(const struct ggl_gguf *g, const char *key, const struct ggl_kv **kv, struct ggl_error *err)
{
    *kv = ggl_gguf_find_kv(g, key);
    if (*kv) return GGL_OK;
    return ggl_fail(err, GGL_ERR_NOT_FOUND, ggl_gguf_path(g), GGL_NO_OFFSET, "the key is absent", NULL, "%s", key);
}

static enum ggl_status wrong_type(const struct ggl_gguf *g, const struct ggl_kv *kv, const char *expected,
                                  struct ggl_error *err)
{
    char found[64];
    snprintf(found, sizeof(found), "of type %s", ggl_kv_type_name(kv->type));
    return ggl_fail(err, GGL_ERR_FORMAT, ggl_gguf_path(g), GGL_NO_OFFSET, found, expected, "%s", kv->key);
}

enum ggl_status ggl_gguf_get_u32(const struct ggl_gguf *g, const char *key, uint32_t lo, uint32_t hi, uint32_t *out,
                                 struct ggl_error *err)
{
    const struct ggl_kv *kv;
    bool negative;
    uint64_t v;
    enum ggl_status s = find(g, key, &kv, err);
    if (s) return s;
    if (!ggl_kv_integer(kv, &negative, &v)) return wrong_type(g, kv, "an integer", err);
    if (!negative && v >= lo && v <= hi) {
        *out = (uint32_t)v;
        return GGL_OK;
    }
    char found[40], expected[40];
    snprintf(found, sizeof(found), "%s%llu", negative ? "-" : "", (unsigned long long)v);
    snprintf(expected, sizeof(expected), "%u .. %u", lo, hi);
    return ggl_fail(err, GGL_ERR_FORMAT, ggl_gguf_path(g), GGL_NO_OFFSET, found, expected, "%s", key);
}

enum ggl_status ggl_gguf_get_f32(const struct ggl_gguf *g, const char *key, float lo, float hi, float *out,
                                 struct ggl_error *err)
{
    const struct ggl_kv *kv;
    enum ggl_status s = find(g, key, &kv, err);
    if (s) return s;
    if (kv->type != GGL_KV_F32 && kv->type != GGL_KV_F64) return wrong_type(g, kv, "a float", err);
    double v = kv->type == GGL_KV_F32 ? (double)*(const float *)kv->data : *(const double *)kv->data;
    if (v >= (double)lo && v <= (double)hi) {
        *out = (float)v;
        return GGL_OK;
    }
    char found[40], expected[80];
    snprintf(found, sizeof(found), "%g", v);
    snprintf(expected, sizeof(expected), "%g .. %g", (double)lo, (double)hi);
    return ggl_fail(err, GGL_ERR_FORMAT, ggl_gguf_path(g), GGL_NO_OFFSET, found, expected, "%s", key);
}

enum ggl_status ggl_gguf_get_bool(const struct ggl_gguf *g, const char *key, bool *out, struct ggl_error *err)
{
    const struct ggl_kv *kv;
    enum ggl_status s = find(g, key, &kv, err);
    if (s) return s;
    if (kv->type != GGL_KV_BOOL) return wrong_type(g, kv, "a bool", err);
    *out = *(const uint8_t *)kv->data != 0;
    return GGL_OK;
}

const char *ggl_gguf_get_str(const struct ggl_gguf *g, const char *key)
{
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, key);
    return kv && kv->type == GGL_KV_STR ? kv->str->data : NULL;
}

uint64_t ggl_gguf_alignment(const struct ggl_gguf *g)
{
    uint32_t v = GGL_GGUF_DEFAULT_ALIGNMENT;
    (void)ggl_gguf_get_u32(g, GGL_KEY_ALIGNMENT, GGL_GGUF_MIN_ALIGNMENT, GGL_GGUF_MAX_ALIGNMENT, &v, NULL);
    return v;
}

/* ---- setters */

/* Store kv, whose key is the caller's and whose value is already in the arena. */
static enum ggl_status set(struct ggl_gguf *g, struct ggl_kv kv)
{
    struct ggl_kv *old = (struct ggl_kv *)(uintptr_t)ggl_gguf_find_kv(g, kv.key);
    if (old) {
        kv.key = old->key;
        *old = kv;
        return GGL_OK;
    }
    size_t n = strlen(kv.key) + 1;
    char *key = ggl_arena_alloc(&g->arena, n);
    if (!key) return GGL_ERR_NOMEM;
    memcpy(key, kv.key, n);
    kv.key = key;
    uint64_t capacity = g->n_kv < 16 ? 16 : g->n_kv;
    if (g->n_kv == g->kv_capacity && !ggl_gguf_reserve_kv(g, 2 * capacity)) return GGL_ERR_NOMEM;
    ggl_gguf_append_kv(g, &kv);
    return GGL_OK;
}

static bool key_is_legal(const char *key)
{
    return key && !ggl_name_fault(key, strlen(key), GGL_GGUF_MAX_KEY);
}

static enum ggl_status set_numbers(struct ggl_gguf *g, const char *key, enum ggl_kv_type type, enum ggl_kv_type elem,
                                   const void *data, uint64_t n)
{
    uint64_t bytes = ggl_kv_type_bytes(elem);
    if (!key_is_legal(key) || !bytes || n > UINT32_MAX / 2 || (n && !data)) return GGL_ERR_ARGUMENT;
    if (elem == GGL_KV_BOOL)
        for (uint64_t i = 0; i < n; i++)
            if (((const uint8_t *)data)[i] > 1) return GGL_ERR_ARGUMENT;
    void *copy = ggl_arena_alloc(&g->arena, n * bytes);
    if (!copy) return GGL_ERR_NOMEM;
    if (n) memcpy(copy, data, (size_t)(n * bytes));
    return set(g, (struct ggl_kv){.key = key, .type = type, .elem = elem, .n = n, .data = copy});
}

static enum ggl_status set_strings(struct ggl_gguf *g, const char *key, enum ggl_kv_type type,
                                   const struct ggl_str *v, uint64_t n)
{
    if (!key_is_legal(key) || n > UINT32_MAX / 2 || (n && !v)) return GGL_ERR_ARGUMENT;
    struct ggl_str *copy = ggl_arena_alloc(&g->arena, n * sizeof(*copy));
    if (!copy) return GGL_ERR_NOMEM;
    for (uint64_t i = 0; i < n; i++) {
        if (v[i].size && !v[i].data) return GGL_ERR_ARGUMENT;
        char *text = v[i].size < SIZE_MAX / 2 ? ggl_arena_alloc(&g->arena, v[i].size + 1) : NULL;
        if (!text) return GGL_ERR_NOMEM;
        if (v[i].size) memcpy(text, v[i].data, (size_t)v[i].size);
        text[v[i].size] = '\0';
        copy[i] = (struct ggl_str){text, v[i].size};
    }
    return set(g, (struct ggl_kv){.key = key, .type = type, .elem = GGL_KV_STR, .n = n, .str = copy});
}

enum ggl_status ggl_gguf_set_u32(struct ggl_gguf *g, const char *key, uint32_t v)
{
    return set_numbers(g, key, GGL_KV_U32, GGL_KV_U32, &v, 1);
}

enum ggl_status ggl_gguf_set_i32(struct ggl_gguf *g, const char *key, int32_t v)
{
    return set_numbers(g, key, GGL_KV_I32, GGL_KV_I32, &v, 1);
}

enum ggl_status ggl_gguf_set_u16(struct ggl_gguf *g, const char *key, uint16_t v)
{
    return set_numbers(g, key, GGL_KV_U16, GGL_KV_U16, &v, 1);
}

enum ggl_status ggl_gguf_set_u64(struct ggl_gguf *g, const char *key, uint64_t v)
{
    return set_numbers(g, key, GGL_KV_U64, GGL_KV_U64, &v, 1);
}

enum ggl_status ggl_gguf_set_f32(struct ggl_gguf *g, const char *key, float v)
{
    return set_numbers(g, key, GGL_KV_F32, GGL_KV_F32, &v, 1);
}

enum ggl_status ggl_gguf_set_bool(struct ggl_gguf *g, const char *key, bool v)
{
    uint8_t byte = v;
    return set_numbers(g, key, GGL_KV_BOOL, GGL_KV_BOOL, &byte, 1);
}

enum ggl_status ggl_gguf_set_str(struct ggl_gguf *g, const char *key, const char *v)
{
    if (!v) return GGL_ERR_ARGUMENT;
    struct ggl_str s = {v, strlen(v)};
    return set_strings(g, key, GGL_KV_STR, &s, 1);
}

enum ggl_status ggl_gguf_set_arr(struct ggl_gguf *g, const char *key, enum ggl_kv_type elem, const void *data,
                                 uint64_t n)
{
    return set_numbers(g, key, GGL_KV_ARR, elem, data, n);
}

enum ggl_status ggl_gguf_set_arr_str(struct ggl_gguf *g, const char *key, const struct ggl_str *v, uint64_t n)
{
    return set_strings(g, key, GGL_KV_ARR, v, n);
}

enum ggl_status ggl_gguf_set_kv(struct ggl_gguf *g, const char *key, const struct ggl_kv *kv)
{
    return kv->str ? set_strings(g, key, kv->type, kv->str, kv->n)
                   : set_numbers(g, key, kv->type, kv->elem, kv->data, kv->n);
}

enum ggl_status ggl_gguf_copy_kv(struct ggl_gguf *to, const struct ggl_gguf *from, const char *skip_prefix)
{
    size_t skip = skip_prefix ? strlen(skip_prefix) : 0;
    for (uint64_t i = 0; i < from->n_kv; i++) {
        const struct ggl_kv *kv = &from->kv[i];
        if (skip && !strncmp(kv->key, skip_prefix, skip)) continue;
        enum ggl_status s = ggl_gguf_set_kv(to, kv->key, kv);
        if (s) return s;
    }
    return GGL_OK;
}
