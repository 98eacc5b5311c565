/*
 * Opens a file, or all files of a split one, as one.
 *
 * A split file is NAME-00001-of-00004.gguf and its siblings.  Each is complete
 * in itself, with its own alignment and data section; the first holds all the
 * metadata, the others only `split.no` (counting from 0), `split.count` and
 * `split.tensors.count`.  The siblings' names follow from the first one's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/gguf_internal.h"

#define SUFFIX_BYTES  20 /* "-00001-of-00004.gguf" */
#define SUFFIX_BUFFER 40

static void suffix(char buf[SUFFIX_BUFFER], uint32_t part, uint32_t n_parts)
{
    snprintf(buf, SUFFIX_BUFFER, "-%05u-of-%05u.gguf", part + 1, n_parts);
}

/* The name of part `part`, given the first one's; the caller frees it. */
static enum ggl_status sibling_path(const char *first, uint32_t part, uint32_t n_parts, char **out,
                                    struct ggl_error *err)
{
    char end[SUFFIX_BUFFER];
    size_t n = strlen(first);
    suffix(end, 0, n_parts);
    if (n < SUFFIX_BYTES || strcmp(first + n - SUFFIX_BYTES, end)) {
        char expected[64];
        snprintf(expected, sizeof(expected), "one that ends in %s", end);
        return ggl_fail(err, GGL_ERR_FORMAT, first, GGL_NO_OFFSET, "another", expected,
                        "the name of a split file's first part");
    }
    if (!(*out = malloc(n + 1)))
        return ggl_fail(err, GGL_ERR_NOMEM, first, GGL_NO_OFFSET, NULL, NULL, "path of a part: out of memory");
    suffix(end, part, n_parts);
    memcpy(*out, first, n - SUFFIX_BYTES);
    memcpy(*out + n - SUFFIX_BYTES, end, SUFFIX_BYTES + 1);
    return GGL_OK;
}

static enum ggl_status expect_u32(const struct ggl_gguf *g, const char *key, uint32_t want, const char *why,
                                  struct ggl_error *err)
{
    uint32_t v;
    enum ggl_status s = ggl_gguf_get_u32(g, key, 0, INT32_MAX, &v, err);
    if (s == GGL_ERR_NOT_FOUND)
        return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, "absent", "a key of every part of a split file",
                        "%s", key);
    if (s || v == want) return s;
    char found[32], expected[64];
    snprintf(found, sizeof(found), "%u", v);
    snprintf(expected, sizeof(expected), "%u%s", want, why);
    return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, found, expected, "%s", key);
}

/* Move part's tensors and mapping to g. */
static enum ggl_status take_over(struct ggl_gguf *g, struct ggl_gguf *part, struct ggl_error *err)
{
    uint64_t n = g->n_tensors + part->n_tensors;
    if (n > g->tensor_capacity && !ggl_gguf_reserve_tensors(g, n + g->n_tensors))
        return ggl_fail(err, GGL_ERR_NOMEM, g->path, GGL_NO_OFFSET, NULL, NULL, "tensor table: out of memory");
    for (uint64_t i = 0; i < part->n_tensors; i++) {
        const struct ggl_tensor *t = &part->tensors[i];
        uint32_t other;
        if (ggl_gguf_tensor_index(g, t->name, &other)) {
            char found[64];
            snprintf(found, sizeof(found), "also in part %u", g->places[other].part + 1);
            return ggl_fail(err, GGL_ERR_FORMAT, part->path, GGL_NO_OFFSET, found, "each tensor once",
                            "duplicate: tensor '%s'", t->name);
        }
        part->places[i].part = g->n_parts;
        ggl_gguf_append_tensor(g, t, &part->places[i]);
    }
    g->maps[g->n_parts++] = part->maps[0];
    part->maps[0] = (struct ggl_map){0};
    g->file_bytes += part->file_bytes;
    return GGL_OK;
}

static enum ggl_status add_sibling(struct ggl_gguf *g, uint32_t n_parts, uint32_t n_tensors, struct ggl_error *err)
{
    static const char as_first[] = ", as in the first part";
    char *path;
    struct ggl_gguf *part = NULL;
    enum ggl_status s = sibling_path(g->path, g->n_parts, n_parts, &path, err);
    if (s) return s;
    s = ggl_gguf_read_part(path, &part, err);
    if (s == GGL_ERR_NOT_FOUND)
        s = ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "missing", NULL, "part %u of %u", g->n_parts + 1, n_parts);
    if (!s) s = expect_u32(part, GGL_KEY_SPLIT_NO, g->n_parts, "", err);
    if (!s) s = expect_u32(part, GGL_KEY_SPLIT_COUNT, n_parts, as_first, err);
    if (!s) s = expect_u32(part, GGL_KEY_SPLIT_TENSORS, n_tensors, as_first, err);
    if (!s) s = take_over(g, part, err);
    ggl_gguf_free(part);
    free(path);
    return s;
}

/* Another part than the first: say which file is the first, where its name follows from this one's. */
static enum ggl_status refuse_part(const struct ggl_gguf *g, uint32_t n_parts, struct ggl_error *err)
{
    char end[SUFFIX_BUFFER], expected[160] = "0: open a split file by its first part";
    uint32_t no;
    size_t n = strlen(g->path);
    enum ggl_status s = ggl_gguf_get_u32(g, GGL_KEY_SPLIT_NO, 0, 65534, &no, err);
    if (s) return s == GGL_ERR_NOT_FOUND ? expect_u32(g, GGL_KEY_SPLIT_NO, 0, "", err) : s;
    suffix(end, no, n_parts);
    if (n >= SUFFIX_BYTES && !strcmp(g->path + n - SUFFIX_BYTES, end)) {
        const char *name = strrchr(g->path, '/') ? strrchr(g->path, '/') + 1 : g->path;
        suffix(end, 0, n_parts);
        snprintf(expected, sizeof(expected), "0: open %.*s%s", (int)(strlen(name) - SUFFIX_BYTES), name, end);
    }
    char found[32];
    snprintf(found, sizeof(found), "%u", no);
    return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, found, expected, GGL_KEY_SPLIT_NO);
}

/* Files that were merged again say split.count = 0. */
static enum ggl_status open_siblings(struct ggl_gguf *g, struct ggl_error *err)
{
    uint32_t n_parts = 0, n_tensors, no;
    enum ggl_status s = ggl_gguf_get_u32(g, GGL_KEY_SPLIT_COUNT, 0, 65535, &n_parts, err);
    if (s && s != GGL_ERR_NOT_FOUND) return s;
    if (n_parts <= 1) return GGL_OK;
    if (ggl_gguf_get_u32(g, GGL_KEY_SPLIT_NO, 0, 0, &no, NULL)) return refuse_part(g, n_parts, err);
    s = ggl_gguf_get_u32(g, GGL_KEY_SPLIT_TENSORS, 0, INT32_MAX, &n_tensors, err);
    if (s == GGL_ERR_NOT_FOUND) return expect_u32(g, GGL_KEY_SPLIT_TENSORS, 0, "", err);
    if (s) return s;

    struct ggl_map *maps = realloc(g->maps, n_parts * sizeof(*maps));
    if (!maps) return ggl_fail(err, GGL_ERR_NOMEM, g->path, GGL_NO_OFFSET, NULL, NULL, "parts: out of memory");
    g->maps = maps;
    while (g->n_parts < n_parts)
        if ((s = add_sibling(g, n_parts, n_tensors, err))) return s;
    if (g->n_tensors == n_tensors) return GGL_OK;
    char found[32], expected[64];
    snprintf(found, sizeof(found), "%u", n_tensors);
    snprintf(expected, sizeof(expected), "%llu, what all parts hold", (unsigned long long)g->n_tensors);
    return ggl_fail(err, GGL_ERR_FORMAT, g->path, GGL_NO_OFFSET, found, expected, GGL_KEY_SPLIT_TENSORS);
}

static void drop_data(struct ggl_gguf *g)
{
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        g->tensors[i].data = g->tensors[i].scale = NULL;
        g->tensors[i].row_scale = NULL;
    }
    for (uint32_t i = 0; i < g->n_parts; i++) ggl_map_close(&g->maps[i]);
}

enum ggl_status ggl_gguf_open(const char *path, const struct ggl_gguf_options *options, struct ggl_gguf **out,
                              struct ggl_error *err)
{
    struct ggl_gguf *g;
    *out = NULL;
    enum ggl_status s = ggl_gguf_read_part(path, &g, err);
    if (s) return s;
    s = open_siblings(g, err);
    if (!s) s = ggl_gguf_bind_storage(g, err);
    if (!s) s = ggl_gguf_check_forks(g, err);
    if (s) {
        ggl_gguf_free(g);
        return s;
    }
    if (options && options->header_only) drop_data(g);
    *out = g;
    return GGL_OK;
}
