/*
 * Types that GGUF does not have, carried as plain byte tensors:
 *
 *   ggl.storage.version  u32 1
 *   ggl.storage.names    arr str: tensors X.weight, stored as I8
 *   ggl.storage.kinds    arr str, one a name:
 *       fp8_e4m3.ue8m0.t128x128   X.scale is I8  (UE8M0 bytes)
 *       fp8_e4m3.f32.t128x128     X.scale is F32
 *       i4t.g32.s8                X.scale is I8 (E4M3 bytes), X.rscale F32
 *
 * FP8: X.weight {in, out [, slices]} becomes one GGL_TYPE_FP8 tensor whose scale
 * plane is X.scale {ceil(in / 128), ceil(out / 128) [, slices]}.
 * INT4: X.weight {in / 2, out [, slices]} becomes one GGL_TYPE_INT4 tensor {in,
 * out [, slices]} with X.scale {in / 32, out [, slices]} and a float a row,
 * X.rscale {out [, slices]}.
 * The other planes stay in the list of tensors as well.
 */
#include <stdio.h>
#include <string.h>
#include "ggml-lite/src/gguf_internal.h"

#define KEY_VERSION "ggl.storage.version"
#define KEY_NAMES   "ggl.storage.names"
#define KEY_KINDS   "ggl.storage.kinds"
#define TILE        128
#define GROUP       32

struct kind;
typedef enum ggl_status bind_fn(struct ggl_gguf *g, uint32_t w, const struct kind *kind, struct ggl_error *err);
static bind_fn bind_fp8, bind_int4;

static const struct kind {
    const char *name;
    bind_fn *bind;
    enum ggl_type stored_scale;
    enum ggl_scale_type scale_type;
} kinds[] = {
    {"fp8_e4m3.ue8m0.t128x128", bind_fp8, GGL_TYPE_I8, GGL_SCALE_E8M0},
    {"fp8_e4m3.f32.t128x128", bind_fp8, GGL_TYPE_F32, GGL_SCALE_F32},
    {"i4t.g32.s8", bind_int4, GGL_TYPE_I8, GGL_SCALE_E4M3},
};

static enum ggl_status fail(const struct ggl_gguf *g, const char *what, const char *found, const char *expected,
                            struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, found, expected, "%s", what);
}

static enum ggl_status fail_shape(const struct ggl_gguf *g, const struct ggl_tensor *t, const int64_t want[3],
                                  struct ggl_error *err)
{
    char found[96], expected[96];
    snprintf(found, sizeof(found), "{%lld, %lld, %lld}", (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2]);
    snprintf(expected, sizeof(expected), "{%lld, %lld, %lld}", (long long)want[0], (long long)want[1], (long long)want[2]);
    return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, found, expected, "%s: shape", t->name);
}

static const char *stored_name(const struct ggl_gguf *g, uint32_t i)
{
    const struct ggl_type_info *info = ggl_type_info(g->places[i].stored_type);
    return info ? info->name : "unknown";
}

/* A string of the file equals a C string: embedded zeros do not fool it. */
static bool str_is(const struct ggl_str *s, const char *text)
{
    return s->size == strlen(text) && !memcmp(s->data, text, (size_t)s->size);
}

/* X.weight -> index of X.scale or another plane. */
static enum ggl_status find_plane(const struct ggl_gguf *g, const char *weight, const char *to, uint32_t *index,
                                  struct ggl_error *err)
{
    static const char from[] = ".weight";
    char name[GGL_MAX_NAME + 16], found[48];
    size_t n = strlen(weight);
    if (n < sizeof(from) - 1 || strcmp(weight + n - (sizeof(from) - 1), from))
        return fail(g, weight, "in " KEY_NAMES, "a name that ends in .weight", err);
    n -= sizeof(from) - 1;
    memcpy(name, weight, n);
    memcpy(name + n, to, strlen(to) + 1);
    if (ggl_gguf_tensor_index(g, name, index)) return GGL_OK;
    snprintf(found, sizeof(found), "without its %s tensor", to);
    return fail(g, weight, found, "all planes", err);
}

static enum ggl_status check_codes(const struct ggl_gguf *g, uint32_t w, struct ggl_error *err)
{
    const struct ggl_tensor *weight = &g->tensors[w];
    if (weight->scale_type != GGL_SCALE_NONE)
        return fail(g, weight->name, "a duplicate in " KEY_NAMES, "each name once", err);
    if (weight->type != GGL_TYPE_I8) return fail(g, weight->name, stored_name(g, w), "I8, as its storage kind says", err);
    if (weight->ne[0] < 1 || weight->ne[1] < 1 || weight->ne[2] < 1 || weight->ne[3] != 1)
        return fail(g, weight->name, "empty or of four dimensions", "a matrix, or slices of one", err);
    return GGL_OK;
}

static enum ggl_status check_plane(const struct ggl_gguf *g, uint32_t i, enum ggl_type type, const int64_t want[3],
                                   struct ggl_error *err)
{
    const struct ggl_tensor *t = &g->tensors[i];
    if (t->type != type) return fail(g, t->name, stored_name(g, i), type == GGL_TYPE_I8 ? "I8" : "F32", err);
    if (memcmp(t->ne, want, 3 * sizeof(*want)) || t->ne[3] != 1) return fail_shape(g, t, want, err);
    return GGL_OK;
}

static void bind_scale(struct ggl_tensor *weight, const struct ggl_tensor *scale, enum ggl_type type,
                       enum ggl_scale_type scale_type)
{
    weight->type = type;
    weight->scale_type = scale_type;
    weight->scale = scale->data;
    weight->scale_row_bytes = scale->row_bytes;
    weight->scale_slice_bytes = scale->slice_bytes;
}

static enum ggl_status bind_fp8(struct ggl_gguf *g, uint32_t w, const struct kind *kind, struct ggl_error *err)
{
    struct ggl_tensor *weight = &g->tensors[w];
    uint32_t s;
    enum ggl_status status = find_plane(g, weight->name, ".scale", &s, err);
    if (status || (status = check_codes(g, w, err))) return status;
    const int64_t want[3] = {(weight->ne[0] - 1) / TILE + 1, (weight->ne[1] - 1) / TILE + 1, weight->ne[2]};
    if ((status = check_plane(g, s, kind->stored_scale, want, err))) return status;
    bind_scale(weight, &g->tensors[s], GGL_TYPE_FP8, kind->scale_type);
    return GGL_OK;
}

/* Two elements a byte: the tensor that is bound is twice as wide as the one that is stored. */
static enum ggl_status bind_int4(struct ggl_gguf *g, uint32_t w, const struct kind *kind, struct ggl_error *err)
{
    struct ggl_tensor *weight = &g->tensors[w];
    uint32_t s, r;
    enum ggl_status status = find_plane(g, weight->name, ".scale", &s, err);
    if (!status) status = find_plane(g, weight->name, ".rscale", &r, err);
    if (status || (status = check_codes(g, w, err))) return status;
    uint64_t elements = (uint64_t)weight->slice_bytes * (uint64_t)weight->ne[2]; /* fits: they are in the file */
    if (weight->ne[0] % (GROUP / 2) || elements > INT64_MAX / 2) {
        char found[32];
        snprintf(found, sizeof(found), "%lld", (long long)weight->ne[0]);
        return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, found, "a multiple of 16, bytes of whole groups of 32",
                        "%s: dim 0", weight->name);
    }
    const int64_t want[3] = {weight->ne[0] / (GROUP / 2), weight->ne[1], weight->ne[2]};
    const int64_t want_rows[3] = {weight->ne[1], weight->ne[2], 1};
    if ((status = check_plane(g, s, kind->stored_scale, want, err))) return status;
    if ((status = check_plane(g, r, GGL_TYPE_F32, want_rows, err))) return status;
    bind_scale(weight, &g->tensors[s], GGL_TYPE_INT4, kind->scale_type);
    weight->ne[0] *= 2;
    weight->row_scale = (const float *)(const void *)g->tensors[r].data; /* offsets are multiples of 8 */
    return GGL_OK;
}

static enum ggl_status bind_one(struct ggl_gguf *g, const struct ggl_str *name, const struct ggl_str *kind,
                                struct ggl_error *err)
{
    char text[128];
    uint32_t w;
    snprintf(text, sizeof(text), "'%.100s'", name->data);
    if (strlen(name->data) != name->size || !ggl_gguf_tensor_index(g, name->data, &w))
        return fail(g, KEY_NAMES, text, "the name of a tensor in the file", err);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (str_is(kind, kinds[i].name)) return kinds[i].bind(g, w, &kinds[i], err);
    snprintf(text, sizeof(text), "'%.100s'", kind->data);
    return fail(g, KEY_KINDS, text, "a storage kind that this version knows", err);
}

static bool is_string_array(const struct ggl_kv *kv)
{
    return kv && kv->type == GGL_KV_ARR && kv->elem == GGL_KV_STR;
}

enum ggl_status ggl_gguf_bind_storage(struct ggl_gguf *g, struct ggl_error *err)
{
    const struct ggl_kv *names = ggl_gguf_find_kv(g, KEY_NAMES), *kind = ggl_gguf_find_kv(g, KEY_KINDS);
    uint32_t version;
    if (!names && !kind && !ggl_gguf_find_kv(g, KEY_VERSION)) return GGL_OK;
    enum ggl_status s = ggl_gguf_get_u32(g, KEY_VERSION, 1, 1, &version, err);
    if (s == GGL_ERR_NOT_FOUND) return fail(g, KEY_VERSION, "absent", "1", err);
    if (s) return s;
    if (!is_string_array(names)) return fail(g, KEY_NAMES, "not an array of strings", NULL, err);
    if (!is_string_array(kind)) return fail(g, KEY_KINDS, "not an array of strings", NULL, err);
    if (names->n != kind->n) {
        char found[32], expected[64];
        snprintf(found, sizeof(found), "%llu", (unsigned long long)kind->n);
        snprintf(expected, sizeof(expected), "%llu, one a name", (unsigned long long)names->n);
        return fail(g, KEY_KINDS ": length", found, expected, err);
    }
    for (uint64_t i = 0; i < names->n; i++)
        if ((s = bind_one(g, &names->str[i], &kind->str[i], err))) return s;
    return GGL_OK;
}
