/*
 * Writes GGUF files: the header of each part when its first byte is due, then
 * the tensors as they come, hashed on the way; or, where an earlier run was
 * stopped, read back and hashed until something is left to write.  All parts stay under temporary
 * names until the last byte is on disk; the first part is renamed last, so
 * that whoever finds it finds a complete set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "ggml-lite/src/checked.h"
#include "ggml-lite/src/gguf_internal.h"
#include "ggml-lite/src/hash.h"

struct ggl_gguf_writer {
    struct ggl_gguf_layout layout;
    char *prefix; /* path without .gguf when split, else the path */
    struct ggl_output **outputs;
    enum ggl_gguf_write_mode mode;
    bool overwrite, sealed;
    uint32_t part;
    uint64_t tensor, remaining; /* in the current tensor */
    uint64_t hash_offset;
    char *hashes; /* GGL_GGUF_HASH_BYTES each, as in the header */
#ifdef GGL_HAVE_XXHASH
    XXH3_state_t *hash;
#endif
};

static enum ggl_status fail_nomem(const struct ggl_gguf_writer *w, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, w ? w->prefix : NULL, GGL_NO_OFFSET, NULL, NULL, "GGUF writer: out of memory");
}

/* ---- hashes; none in a build without xxHash */

static bool hash_init(struct ggl_gguf_writer *w)
{
    if (!w->layout.hashes) return true;
#ifdef GGL_HAVE_XXHASH
    w->hash = XXH3_createState();
    w->hashes = malloc((size_t)w->layout.g->n_tensors * GGL_GGUF_HASH_BYTES);
    return w->hash && w->hashes;
#else
    return false;
#endif
}

static void hash_begin(struct ggl_gguf_writer *w)
{
#ifdef GGL_HAVE_XXHASH
    XXH3_128bits_reset(w->hash);
#else
    (void)w;
#endif
}

static void hash_update(struct ggl_gguf_writer *w, const void *data, size_t n)
{
#ifdef GGL_HAVE_XXHASH
    XXH3_128bits_update(w->hash, data, n);
#else
    (void)w, (void)data, (void)n;
#endif
}

static void hash_end(struct ggl_gguf_writer *w)
{
#ifdef GGL_HAVE_XXHASH
    char hex[33];
    uint64_t length = sizeof(hex) - 1;
    char *to = w->hashes + w->tensor * GGL_GGUF_HASH_BYTES;
    ggl_hash_text(XXH3_128bits_digest(w->hash), hex);
    memcpy(to, &length, sizeof(length));
    memcpy(to + sizeof(length), hex, sizeof(hex) - 1);
#else
    (void)w;
#endif
}

/* ---- parts */

static char *part_path(const struct ggl_gguf_writer *w, uint32_t part)
{
    size_t n = strlen(w->prefix) + 40;
    char *path = malloc(n);
    if (path && w->layout.split)
        snprintf(path, n, "%s-%05u-of-%05u.gguf", w->prefix, part + 1, w->layout.n_parts);
    else if (path)
        memcpy(path, w->prefix, strlen(w->prefix) + 1);
    return path;
}

/* What is there stays, and what earlier runs have written needs no room any more. */
static enum ggl_status check_paths(const struct ggl_gguf_writer *w, struct ggl_error *err)
{
    enum ggl_status s = GGL_OK;
    uint64_t there = 0;
    bool resumes = w->mode == GGL_GGUF_WRITE_RESUME || w->mode == GGL_GGUF_WRITE_RENAMING;
    for (uint32_t i = w->layout.n_parts; !s && i-- > 0;) {
        struct stat st;
        char *path = part_path(w, i);
        if (!path) return fail_nomem(w, err);
        if (resumes) there += ggl_output_part_bytes(path);
        else if (!w->overwrite && !lstat(path, &st))
            s = ggl_fail(err, GGL_ERR_ARGUMENT, path, GGL_NO_OFFSET, NULL, NULL, "the output exists already");
        if (!s && !i && w->mode != GGL_GGUF_WRITE_RENAMING && there < w->layout.bytes)
            s = ggl_output_room(path, w->layout.bytes - there, err);
        free(path);
    }
    return s;
}

static enum ggl_status open_part(struct ggl_gguf_writer *w, struct ggl_error *err)
{
    static const enum ggl_output_part parts[] = {[GGL_GGUF_WRITE_KEPT] = GGL_OUTPUT_NEW,
                                                 [GGL_GGUF_WRITE_RESUME] = GGL_OUTPUT_RESUME,
                                                 [GGL_GGUF_WRITE_RENAMING] = GGL_OUTPUT_RENAMING};
    struct ggl_output **o = &w->outputs[w->part];
    char *path = part_path(w, w->part);
    if (!path) return fail_nomem(w, err);
    enum ggl_status s = w->mode == GGL_GGUF_WRITE_ONCE
                            ? ggl_output_open(path, w->overwrite || w->part, o, err) /* check_paths() has looked */
                            : ggl_output_open_part(path, w->overwrite, parts[w->mode], o, err);
    free(path);
    if (s) return s;
    return ggl_gguf_layout_header(&w->layout, w->part, w->outputs[w->part], &w->hash_offset, err);
}

static enum ggl_status next_part(struct ggl_gguf_writer *w, struct ggl_error *err)
{
    enum ggl_status s = w->part ? ggl_output_seal(w->outputs[w->part], err) : GGL_OK;
    if (s) return s;
    w->part++;
    return open_part(w, err);
}

/* ---- tensors */

static uint64_t current_bytes(const struct ggl_gguf_writer *w)
{
    return ggl_gguf_tensor_bytes(&w->layout.g->tensors[w->tensor]);
}

static enum ggl_status pad(struct ggl_gguf_writer *w, struct ggl_error *err)
{
    static const uint8_t zeros[4096];
    uint64_t end = current_bytes(w);
    uint64_t n = (w->layout.alignment - (end & (w->layout.alignment - 1))) & (w->layout.alignment - 1);
    enum ggl_status s = GGL_OK;
    for (uint64_t chunk; !s && n; n -= chunk) {
        chunk = n < sizeof(zeros) ? n : sizeof(zeros);
        s = ggl_output_write(w->outputs[w->part], zeros, (size_t)chunk, err);
    }
    return s;
}

/* Start the current tensor, or, as long as it is complete, the next one that has bytes. */
static enum ggl_status advance(struct ggl_gguf_writer *w, bool start, struct ggl_error *err)
{
    enum ggl_status s = GGL_OK;
    while (!s && w->tensor < w->layout.g->n_tensors) {
        if (start) {
            const struct ggl_gguf_part *p = &w->layout.parts[w->part];
            if (w->tensor == p->first + p->n && (s = next_part(w, err))) break;
            w->remaining = current_bytes(w);
            hash_begin(w);
        }
        if (w->remaining) break;
        s = pad(w, err);
        hash_end(w);
        w->tensor++;
        start = true;
    }
    return s;
}

/* ---- stopping */

static void free_writer(struct ggl_gguf_writer *w, bool keep)
{
    if (!w) return;
    for (uint32_t i = 0; w->outputs && i < w->layout.n_parts; i++) {
        if (keep) ggl_output_suspend(w->outputs[i]);
        else ggl_output_abort(w->outputs[i]);
    }
#ifdef GGL_HAVE_XXHASH
    if (w->hash) XXH3_freeState(w->hash);
#endif
    free(w->hashes);
    free(w->outputs);
    free(w->prefix);
    ggl_gguf_layout_deinit(&w->layout);
    free(w);
}

/* Of a full disk people want to know how much room they have to make. */
static enum ggl_status explain(const struct ggl_gguf_writer *w, enum ggl_status s, struct ggl_error *err)
{
    bool no_room = false;
    for (uint32_t i = 0; s && w->outputs && i < w->layout.n_parts; i++) no_room = no_room || ggl_output_no_room(w->outputs[i]);
    if (!no_room || !err) return s;
    const struct ggl_error was = *err;
    return ggl_fail(err, s, was.path, GGL_NO_OFFSET, was.found, NULL, "cannot write: %llu bytes are needed in all",
                    (unsigned long long)w->layout.bytes);
}

/* ---- what an earlier run wrote */

struct taken_over {
    struct ggl_gguf_writer *w;
    ggl_gguf_look *look;
    void *user;
};

static enum ggl_status look_over(void *user, const void *data, size_t n, struct ggl_error *err)
{
    struct taken_over *t = user;
    hash_update(t->w, data, n);
    return t->look ? t->look(t->user, data, n, err) : GGL_OK;
}

/* ---- the interface */

enum ggl_status ggl_gguf_write_size(const struct ggl_gguf *g, const struct ggl_gguf_write_options *o, uint64_t *bytes,
                                    struct ggl_error *err)
{
    struct ggl_gguf_layout l;
    enum ggl_status s = ggl_gguf_layout_init(&l, g, o, err);
    if (s) return s;
    *bytes = l.bytes;
    ggl_gguf_layout_deinit(&l);
    return GGL_OK;
}

static enum ggl_status set_prefix(struct ggl_gguf_writer *w, const char *path, struct ggl_error *err)
{
    static const char end[] = ".gguf";
    size_t n = strlen(path);
    if (!(w->prefix = malloc(n + 1))) return fail_nomem(w, err);
    memcpy(w->prefix, path, n + 1);
    if (w->layout.split && n >= sizeof(end) && !strcmp(path + n - (sizeof(end) - 1), end))
        w->prefix[n - (sizeof(end) - 1)] = '\0';
    return GGL_OK;
}

enum ggl_status ggl_gguf_write_begin(const struct ggl_gguf *g, const char *path, const struct ggl_gguf_write_options *o,
                                     struct ggl_gguf_writer **out, struct ggl_error *err)
{
    *out = NULL;
    struct ggl_gguf_writer *w = calloc(1, sizeof(*w));
    if (!w) return fail_nomem(w, err);
    w->mode = o ? o->mode : GGL_GGUF_WRITE_ONCE;
    w->overwrite = o && o->overwrite;
    enum ggl_status s = ggl_gguf_layout_init(&w->layout, g, o, err);
    if (!s) s = set_prefix(w, path, err);
    if (!s && (!hash_init(w) || !(w->outputs = calloc(w->layout.n_parts, sizeof(*w->outputs)))))
        s = fail_nomem(w, err);
    if (!s) s = check_paths(w, err);
    if (!s) s = open_part(w, err);
    if (!s) s = advance(w, true, err);
    if (!s) {
        *out = w;
        return GGL_OK;
    }
    s = explain(w, s, err);
    free_writer(w, w->mode == GGL_GGUF_WRITE_RESUME || w->mode == GGL_GGUF_WRITE_RENAMING);
    return s;
}

/* Either writes data or, where `data` is NULL, passes over what is there. */
static enum ggl_status put(struct ggl_gguf_writer *w, const uint8_t *data, uint64_t n, struct taken_over *t,
                           struct ggl_error *err)
{
    while (n) {
        if (w->tensor == w->layout.g->n_tensors)
            return ggl_fail(err, GGL_ERR_ARGUMENT, w->prefix, GGL_NO_OFFSET, NULL, NULL,
                            "more data than the tensors hold");
        uint64_t chunk = n < w->remaining ? n : w->remaining;
        enum ggl_status s;
        if (data) {
            s = ggl_output_write(w->outputs[w->part], data, (size_t)chunk, err);
            if (!s) hash_update(w, data, (size_t)chunk);
            data += chunk;
        } else {
            s = ggl_output_skip(w->outputs[w->part], chunk, look_over, t, err);
        }
        if (s) return s;
        n -= chunk;
        w->remaining -= chunk;
        if ((s = advance(w, false, err))) return s;
    }
    return GGL_OK;
}

enum ggl_status ggl_gguf_write_data(struct ggl_gguf_writer *w, const void *data, size_t n, struct ggl_error *err)
{
    return explain(w, put(w, data, n, NULL, err), err);
}

enum ggl_status ggl_gguf_write_skip(struct ggl_gguf_writer *w, uint64_t n, ggl_gguf_look *look, void *user,
                                    struct ggl_error *err)
{
    struct taken_over t = {w, look, user};
    return explain(w, put(w, NULL, n, &t, err), err);
}

enum ggl_status ggl_gguf_write_flush(struct ggl_gguf_writer *w, int *fd, struct ggl_error *err)
{
    return explain(w, ggl_output_flush(w->outputs[w->part], fd, err), err);
}

static enum ggl_status check_complete(const struct ggl_gguf_writer *w, struct ggl_error *err)
{
    if (w->tensor == w->layout.g->n_tensors) return GGL_OK;
    char found[64];
    snprintf(found, sizeof(found), "%llu bytes short", (unsigned long long)w->remaining);
    return ggl_fail(err, GGL_ERR_STATE, w->prefix, GGL_NO_OFFSET, found, "all data before the end", "tensor '%s'",
                    w->layout.g->tensors[w->tensor].name);
}

enum ggl_status ggl_gguf_write_seal(struct ggl_gguf_writer *w, struct ggl_error *err)
{
    if (w->sealed) return GGL_OK;
    enum ggl_status s = check_complete(w, err);
    if (!s && w->layout.hashes)
        s = ggl_output_patch(w->outputs[0], w->hash_offset, w->hashes,
                             (size_t)w->layout.g->n_tensors * GGL_GGUF_HASH_BYTES, err);
    for (uint32_t i = 0; !s && i < w->layout.n_parts; i++) s = ggl_output_seal(w->outputs[i], err);
    w->sealed = !s;
    return explain(w, s, err);
}

enum ggl_status ggl_gguf_write_finish(struct ggl_gguf_writer *w, struct ggl_error *err)
{
    enum ggl_status s = ggl_gguf_write_seal(w, err);
    for (uint32_t i = w->layout.n_parts; !s && i-- > 0;) {
        s = ggl_output_finish(w->outputs[i], err);
        w->outputs[i] = NULL;
    }
    free_writer(w, w->mode != GGL_GGUF_WRITE_ONCE);
    return s;
}

void ggl_gguf_write_abort(struct ggl_gguf_writer *w)
{
    free_writer(w, false);
}

void ggl_gguf_write_suspend(struct ggl_gguf_writer *w)
{
    free_writer(w, true);
}
