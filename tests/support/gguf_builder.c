#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "support/gguf_builder.h"

static void must(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    exit(99);
}

void gb_reset(struct gguf_builder *b)
{
    b->n = 0;
}

void gb_free(struct gguf_builder *b)
{
    free(b->data);
    *b = (struct gguf_builder){0};
}

void gb_zeros(struct gguf_builder *b, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n) + 256;
        b->data = realloc(b->data, b->capacity);
        must(b->data, "gguf_builder");
    }
    if (n) memset(b->data + b->n, 0, n);
    b->n += n;
}

void gb_bytes(struct gguf_builder *b, const void *data, size_t n)
{
    gb_zeros(b, n);
    if (n) memcpy(b->data + b->n - n, data, n);
}

void gb_pad(struct gguf_builder *b, size_t alignment)
{
    gb_zeros(b, (alignment - b->n % alignment) % alignment);
}

void gb_u8(struct gguf_builder *b, uint8_t v)
{
    gb_bytes(b, &v, sizeof(v));
}

void gb_u16(struct gguf_builder *b, uint16_t v)
{
    gb_bytes(b, &v, sizeof(v));
}

void gb_u32(struct gguf_builder *b, uint32_t v)
{
    gb_bytes(b, &v, sizeof(v));
}

void gb_u64(struct gguf_builder *b, uint64_t v)
{
    gb_bytes(b, &v, sizeof(v));
}

void gb_strn(struct gguf_builder *b, const char *s, uint64_t n)
{
    gb_u64(b, n);
    gb_bytes(b, s, (size_t)n);
}

void gb_str(struct gguf_builder *b, const char *s)
{
    gb_strn(b, s, strlen(s));
}

void gb_head(struct gguf_builder *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
    gb_reset(b);
    gb_bytes(b, "GGUF", 4);
    gb_u32(b, version);
    gb_u64(b, n_tensors);
    gb_u64(b, n_kv);
}

void gb_key(struct gguf_builder *b, const char *key, uint32_t type)
{
    gb_str(b, key);
    gb_u32(b, type);
}

void gb_kv_u32(struct gguf_builder *b, const char *key, uint32_t v)
{
    gb_key(b, key, GGL_KV_U32);
    gb_u32(b, v);
}

void gb_kv_str(struct gguf_builder *b, const char *key, const char *v)
{
    gb_key(b, key, GGL_KV_STR);
    gb_str(b, v);
}

void gb_arr(struct gguf_builder *b, const char *key, uint32_t elem, uint64_t n)
{
    gb_key(b, key, GGL_KV_ARR);
    gb_u32(b, elem);
    gb_u64(b, n);
}

void gb_tensor(struct gguf_builder *b, const char *name, uint32_t n_dims, const int64_t *ne, uint32_t type,
               uint64_t offset)
{
    gb_str(b, name);
    gb_u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) gb_u64(b, (uint64_t)ne[i]);
    gb_u32(b, type);
    gb_u64(b, offset);
}

/* ---- files */

static char folder[64];

const char *gb_temp(const char *name)
{
    static char paths[4][512];
    static int next;
    if (!folder[0]) {
        strcpy(folder, "/tmp/ggl-test-XXXXXX");
        must(mkdtemp(folder), "mkdtemp");
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

void gb_remove_temp(void)
{
    DIR *d = folder[0] ? opendir(folder) : NULL;
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) unlink(gb_temp(e->d_name));
    closedir(d);
    rmdir(folder);
    folder[0] = '\0';
}

void gb_save(const struct gguf_builder *b, const char *path)
{
    unlink(path); /* some file systems wait for the disk when a file is cut and written again */
    FILE *f = fopen(path, "wb");
    must(f && (!b->n || fwrite(b->data, 1, b->n, f) == b->n), path);
    must(!fclose(f), path);
}

enum ggl_status gb_open(const struct gguf_builder *b, const char *name, bool header_only, struct ggl_gguf **g,
                        char line[GGL_ERROR_LINE])
{
    struct ggl_gguf_options options = {.header_only = header_only};
    struct ggl_error err = {.offset = GGL_NO_OFFSET};
    const char *path = gb_temp(name);
    gb_save(b, path);
    enum ggl_status s = ggl_gguf_open(path, &options, g, &err);
    ggl_error_line(&err, line, GGL_ERROR_LINE);
    return s;
}
