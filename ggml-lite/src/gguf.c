/*
 * The GGUF struct in memory: its tables of keys and tensors, and the rules for
 * a tensor's shape.  Values of keys are in gguf_kv.c, files in gguf_read.c,
 * gguf_split.c, gguf_storage.c and gguf_write.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/checked.h"
#include "ggml-lite/src/gguf_internal.h"

/* ---- memory */

struct ggl_arena_chunk {
    struct ggl_arena_chunk *next;
    uint64_t used, size;
    uint64_t bytes[]; /* for its alignment */
};
#define CHUNK_BYTES (64u << 10)

void *ggl_arena_alloc(struct ggl_arena *a, uint64_t n)
{
    if (n > SIZE_MAX / 2) return NULL;
    n = (n + 7) & ~(uint64_t)7;
    struct ggl_arena_chunk *c = a->chunks;
    if (!c || n > c->size - c->used) {
        /* A large value has its own chunk, behind the open one, which keeps its room. */
        uint64_t size = n > CHUNK_BYTES / 4 ? n : CHUNK_BYTES;
        struct ggl_arena_chunk *fresh = malloc(sizeof(*fresh) + (size_t)size);
        if (!fresh) return NULL;
        fresh->used = 0;
        fresh->size = size;
        if (c && size != CHUNK_BYTES) {
            fresh->next = c->next;
            c->next = fresh;
        } else {
            fresh->next = c;
            a->chunks = fresh;
        }
        c = fresh;
    }
    void *p = (uint8_t *)c->bytes + c->used;
    c->used += n;
    return p;
}

void ggl_arena_free(struct ggl_arena *a)
{
    for (struct ggl_arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    a->chunks = NULL;
}

static bool grow(void **array, uint64_t *capacity, uint64_t n, size_t item_bytes)
{
    if (n <= *capacity) return true;
    if (n > GGL_GGUF_MAX_COUNT || n > SIZE_MAX / 2 / item_bytes) return false;
    void *p = realloc(*array, (size_t)n * item_bytes);
    if (!p) return false;
    *array = p;
    *capacity = n;
    return true;
}

/* ---- the tables */

struct ggl_gguf *ggl_gguf_new(void)
{
    struct ggl_gguf *g = calloc(1, sizeof(*g));
    if (g) g->version = 3;
    return g;
}

void ggl_gguf_free(struct ggl_gguf *g)
{
    if (!g) return;
    for (uint32_t i = 0; g->maps && i < g->n_parts; i++) ggl_map_close(&g->maps[i]);
    free(g->maps);
    free(g->path);
    free(g->kv);
    free(g->tensors);
    free(g->places);
    ggl_names_free(&g->kv_names);
    ggl_names_free(&g->tensor_names);
    ggl_arena_free(&g->arena);
    free(g);
}

static const char *kv_name(const void *g, uint32_t i)
{
    return ((const struct ggl_gguf *)g)->kv[i].key;
}

static const char *tensor_name(const void *g, uint32_t i)
{
    return ((const struct ggl_gguf *)g)->tensors[i].name;
}

bool ggl_gguf_reserve_kv(struct ggl_gguf *g, uint64_t n)
{
    void *p = g->kv;
    bool ok = grow(&p, &g->kv_capacity, n, sizeof(*g->kv));
    g->kv = p;
    return ok && ggl_names_reserve(&g->kv_names, n);
}

bool ggl_gguf_reserve_tensors(struct ggl_gguf *g, uint64_t n)
{
    uint64_t capacity = g->tensor_capacity;
    void *p = g->places;
    bool ok = grow(&p, &capacity, n, sizeof(*g->places));
    g->places = p;
    p = g->tensors;
    ok = ok && grow(&p, &g->tensor_capacity, n, sizeof(*g->tensors));
    g->tensors = p;
    return ok && ggl_names_reserve(&g->tensor_names, n);
}

void ggl_gguf_append_kv(struct ggl_gguf *g, const struct ggl_kv *kv)
{
    g->kv[g->n_kv] = *kv;
    ggl_names_add(&g->kv_names, kv->key, (uint32_t)g->n_kv++);
}

void ggl_gguf_append_tensor(struct ggl_gguf *g, const struct ggl_tensor *t, const struct ggl_gguf_place *place)
{
    g->tensors[g->n_tensors] = *t;
    g->places[g->n_tensors] = *place;
    ggl_names_add(&g->tensor_names, t->name, (uint32_t)g->n_tensors++);
}

const struct ggl_kv *ggl_gguf_find_kv(const struct ggl_gguf *g, const char *key)
{
    uint32_t i;
    return ggl_names_find(&g->kv_names, key, kv_name, g, &i) ? &g->kv[i] : NULL;
}

bool ggl_gguf_tensor_index(const struct ggl_gguf *g, const char *name, uint32_t *index)
{
    return ggl_names_find(&g->tensor_names, name, tensor_name, g, index);
}

const struct ggl_tensor *ggl_gguf_find_tensor(const struct ggl_gguf *g, const char *name)
{
    uint32_t i;
    return ggl_gguf_tensor_index(g, name, &i) ? &g->tensors[i] : NULL;
}

const char *ggl_gguf_path(const struct ggl_gguf *g)
{
    return g->path ? g->path : "";
}

uint32_t ggl_gguf_version(const struct ggl_gguf *g)
{
    return g->version;
}

uint32_t ggl_gguf_n_parts(const struct ggl_gguf *g)
{
    return g->n_parts;
}

uint64_t ggl_gguf_file_bytes(const struct ggl_gguf *g)
{
    return g->file_bytes;
}

uint64_t ggl_gguf_n_kv(const struct ggl_gguf *g)
{
    return g->n_kv;
}

const struct ggl_kv *ggl_gguf_kv(const struct ggl_gguf *g, uint64_t i)
{
    return i < g->n_kv ? &g->kv[i] : NULL;
}

uint64_t ggl_gguf_n_tensors(const struct ggl_gguf *g)
{
    return g->n_tensors;
}

const struct ggl_tensor *ggl_gguf_tensor(const struct ggl_gguf *g, uint64_t i)
{
    return i < g->n_tensors ? &g->tensors[i] : NULL;
}

uint64_t ggl_gguf_tensor_bytes(const struct ggl_tensor *t)
{
    return t->slice_bytes * (uint64_t)t->ne[2] * (uint64_t)t->ne[3];
}

uint32_t ggl_gguf_stored_type(const struct ggl_gguf *g, uint64_t i)
{
    return g->places[i].stored_type;
}

void ggl_gguf_tensor_location(const struct ggl_gguf *g, uint64_t i, uint32_t *part, uint64_t *offset)
{
    *part = g->places[i].part;
    *offset = g->places[i].offset;
}

/* ---- shapes */

static bool fault_is(struct ggl_shape_fault *fault, const char *field, const char *expected, int64_t found)
{
    fault->field = field;
    fault->expected = expected;
    snprintf(fault->found, sizeof(fault->found), "%lld", (long long)found);
    return false;
}

bool ggl_tensor_layout(struct ggl_tensor *t, uint32_t type, uint64_t *bytes, struct ggl_shape_fault *fault)
{
    static const char *const dims[] = {"dim 0", "dim 1", "dim 2", "dim 3"};
    /* Ids were read as u32: an enum must not hold one before it is known to exist. */
    const struct ggl_type_info *info = type < GGL_TYPE_GGUF_END ? ggl_type_info(type) : NULL;
    if (!info) {
        fault->field = "type", fault->expected = "a type id that exists in GGUF";
        ggl_foreign_type(type, fault->found, sizeof(fault->found));
        return false;
    }
    t->type = (enum ggl_type)type;

    /* An empty tensor must not hide an overflow from those who walk its other dimensions. */
    uint64_t elements = 1;
    for (int i = 0; i < GGL_MAX_DIMS; i++) {
        if (t->ne[i] < 0) return fault_is(fault, dims[i], "0 .. 2^63 - 1", t->ne[i]);
        if (!ggl_mul_u64(elements, t->ne[i] ? (uint64_t)t->ne[i] : 1, &elements) || elements > INT64_MAX)
            return fault_is(fault, dims[i], "fewer than 2^63 elements", t->ne[i]);
    }
    if (t->ne[0] % info->block_elems) return fault_is(fault, "dim 0", "whole blocks of the type", t->ne[0]);
    uint64_t all;
    if (!ggl_row_bytes(type, t->ne[0], &t->row_bytes) ||
        !ggl_mul_u64(t->row_bytes, (uint64_t)t->ne[1], &t->slice_bytes) ||
        !ggl_mul_u64(t->slice_bytes, (uint64_t)t->ne[2], &all) || !ggl_mul_u64(all, (uint64_t)t->ne[3], &all) ||
        all > INT64_MAX)
        return fault_is(fault, "number of rows", "fewer than 2^63 bytes in all", t->ne[1]);
    *bytes = all;
    return true;
}

enum ggl_status ggl_gguf_add_tensor(struct ggl_gguf *g, const char *name, enum ggl_type type, uint32_t n_dims,
                                    const int64_t *ne, struct ggl_error *err)
{
    const char *fault = ggl_name_fault(name, strlen(name), GGL_MAX_NAME - 1);
    if (fault)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, fault, "1 .. 63 bytes of UTF-8", "tensor name '%.80s'", name);
    if (n_dims > GGL_MAX_DIMS)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, "at most 4", "%s: number of dimensions", name);
    if (ggl_gguf_find_tensor(g, name))
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "tensor %s was added already", name);

    struct ggl_tensor t = {.n_dims = n_dims, .ne = {1, 1, 1, 1}};
    struct ggl_gguf_place place = {.stored_type = (uint32_t)type};
    struct ggl_shape_fault shape;
    uint64_t bytes;
    memcpy(t.name, name, strlen(name) + 1);
    for (uint32_t i = 0; i < n_dims; i++) t.ne[i] = ne[i];
    if (!ggl_tensor_layout(&t, (uint32_t)type, &bytes, &shape))
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, shape.found, shape.expected, "%s: %s", name,
                        shape.field);
    uint64_t n = g->n_tensors < 16 ? 16 : g->n_tensors;
    if (g->n_tensors == g->tensor_capacity && !ggl_gguf_reserve_tensors(g, 2 * n))
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "tensor table: out of memory");
    ggl_gguf_append_tensor(g, &t, &place);
    return GGL_OK;
}
