/* Opening a checkpoint directory: config.json, the weight files, tokenizer.json, and what they are as GGUF. */
#include "gguf-convert/src/checkpoint_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool ggl_checkpoint_is_directory(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void ggl_checkpoint_free(struct ggl_checkpoint *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_owned; i++) free(c->owned[i]);
    free(c->owned);
    free(c->tensors);
    free(c->dir);
    ggl_names_free(&c->names);
    ggl_shards_close(&c->shards);
    ggl_gguf_free(c->meta);
    free(c);
}

void ggl_checkpoint_warn(struct ggl_checkpoint *c, const char *format, ...)
{
    if (c->n_warnings == GGL_MAX_WARNINGS) {
        snprintf(c->warnings[GGL_MAX_WARNINGS - 1], sizeof(c->warnings[0]), "... and more");
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(c->warnings[c->n_warnings++], sizeof(c->warnings[0]), format, args);
    va_end(args);
}

#ifdef GGL_HAVE_JANSSON

static enum ggl_status no_memory(const struct ggl_checkpoint *c, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, c->dir, GGL_NO_OFFSET, NULL, NULL, "checkpoint");
}

/* ggl.source.*: enough to tell two checkpoints apart without reading their weights. */
static enum ggl_status set_source(struct ggl_checkpoint *c, struct ggl_error *err)
{
    enum ggl_status s = ggl_gguf_set_str(c->meta, "ggl.source.format", "safetensors");
    if (!s) s = ggl_gguf_set_u64(c->meta, "ggl.source.tensors", c->shards.n_tensors);
    if (!s) s = ggl_gguf_set_u64(c->meta, "ggl.source.bytes", c->shards.tensor_bytes);
    if (s) return no_memory(c, err);

    char *hashes = malloc((size_t)c->shards.n_files * 32 + 1), hex[33];
    if (!hashes) return no_memory(c, err);
    bool ok = true;
    for (uint32_t i = 0; i < c->shards.n_files && ok; i++) {
        const struct ggl_st_file *f = &c->shards.files[i];
        ok = ggl_hash_hex(f->head, (size_t)(8 + f->header_bytes), hex);
        if (ok) memcpy(hashes + (size_t)i * 32, hex, 32);
    }
    ok = ok && ggl_hash_hex(hashes, (size_t)c->shards.n_files * 32, hex);
    free(hashes);
    if (ok && ggl_gguf_set_str(c->meta, "ggl.source.headers.xxh3", hex)) return no_memory(c, err);
    return GGL_OK;
}

static enum ggl_status read_vocab(struct ggl_checkpoint *c, struct ggl_error *err)
{
    char *path = ggl_join_path(c->dir, "tokenizer.json");
    if (!path) return no_memory(c, err);
    enum ggl_status s = ggl_vocab_load(path, &c->config, c->meta, err);
    free(path);
    if (s != GGL_ERR_NOT_FOUND) return s;
    if (err) memset(err, 0, sizeof(*err));
    ggl_checkpoint_warn(c, "there is no tokenizer.json");
    return GGL_OK;
}

static enum ggl_status open_parts(struct ggl_checkpoint *c, struct ggl_error *err)
{
    char *path = ggl_join_path(c->dir, "config.json");
    if (!path) return no_memory(c, err);
    enum ggl_status s = ggl_config_load(path, &c->config, err);
    free(path);
    if (s) return s;
    if ((s = ggl_shards_open(c->dir, &c->shards, err))) return s;
    if (c->shards.index_path && c->shards.index_total_size >= 0 &&
        (uint64_t)c->shards.index_total_size != c->shards.tensor_bytes) {
        ggl_checkpoint_warn(c, "the index says %" PRId64 " bytes of tensors, the files hold %" PRIu64,
                            c->shards.index_total_size, c->shards.tensor_bytes);
    }
    if ((s = ggl_bind_tensors(c, err))) return s;
    c->meta = ggl_gguf_new();
    if (!c->meta || ggl_config_to_gguf(&c->config, c->n_mtp, c->dspark, c->meta)) return no_memory(c, err);
    if ((s = read_vocab(c, err))) return s;
    return set_source(c, err);
}

static enum ggl_status open_directory(const char *dir, uintptr_t first_place, struct ggl_checkpoint **out,
                                      struct ggl_error *err)
{
    struct ggl_checkpoint *c = calloc(1, sizeof(*c));
    if (!c || !(c->dir = strdup(dir))) {
        free(c);
        return ggl_fail(err, GGL_ERR_NOMEM, dir, GGL_NO_OFFSET, NULL, NULL, "checkpoint");
    }
    c->shards.next_place = first_place;
    enum ggl_status s = open_parts(c, err);
    if (s) {
        ggl_checkpoint_free(c);
        return s;
    }
    *out = c;
    return GGL_OK;
}

enum ggl_status ggl_checkpoint_open(const char *dir, struct ggl_checkpoint **out, struct ggl_error *err)
{
    return open_directory(dir, 0, out, err);
}

enum ggl_status ggl_checkpoint_open_unmapped(const char *dir, struct ggl_checkpoint **out, struct ggl_error *err)
{
    return open_directory(dir, GGL_FIRST_PLACE, out, err);
}

#else

enum ggl_status ggl_checkpoint_open_unmapped(const char *dir, struct ggl_checkpoint **out, struct ggl_error *err)
{
    return ggl_checkpoint_open(dir, out, err);
}

enum ggl_status ggl_checkpoint_open(const char *dir, struct ggl_checkpoint **out, struct ggl_error *err)
{
    (void)out;
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, dir, GGL_NO_OFFSET, NULL, NULL,
                    "checkpoint directories need a build with jansson");
}

#endif

enum ggl_status ggl_checkpoint_read(const struct ggl_checkpoint *c, const uint8_t *place, void *to, uint64_t n,
                                    struct ggl_error *err)
{
    return ggl_shards_read(&c->shards, place, to, n, err);
}

const char *ggl_checkpoint_place(const struct ggl_checkpoint *c, const uint8_t *place, int *fd, uint64_t *offset)
{
    return ggl_shards_place(&c->shards, place, fd, offset);
}

uint32_t ggl_checkpoint_n_expert(const struct ggl_checkpoint *c)
{
    return c->config.n_expert;
}

const struct ggl_gguf *ggl_checkpoint_meta(const struct ggl_checkpoint *c)
{
    return c->meta;
}

uint64_t ggl_checkpoint_n_tensors(const struct ggl_checkpoint *c)
{
    return c->n_tensors;
}

const struct ggl_tensor *ggl_checkpoint_tensor(const struct ggl_checkpoint *c, uint64_t i)
{
    return i < c->n_tensors ? &c->tensors[i] : NULL;
}

static const char *tensor_name(const void *checkpoint, uint32_t i)
{
    return ((const struct ggl_checkpoint *)checkpoint)->tensors[i].name;
}

const struct ggl_tensor *ggl_checkpoint_find(const struct ggl_checkpoint *c, const char *name)
{
    uint32_t i;
    return ggl_names_find(&c->names, name, tensor_name, c, &i) ? &c->tensors[i] : NULL;
}

uint32_t ggl_checkpoint_n_warnings(const struct ggl_checkpoint *c)
{
    return c->n_warnings;
}

const char *ggl_checkpoint_warning(const struct ggl_checkpoint *c, uint32_t i)
{
    return c->warnings[i];
}

uint32_t ggl_checkpoint_n_files(const struct ggl_checkpoint *c)
{
    return c->shards.n_files;
}

const char *ggl_checkpoint_file(const struct ggl_checkpoint *c, uint32_t i)
{
    return c->shards.files[i].path;
}
