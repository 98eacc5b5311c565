/*
 * The older format of importance matrices.
 *
 *   i32 n_entries
 *   each: i32 n, n bytes of the tensor's name, i32 n_calls, i32 n_values, f32 values[n_values]
 *         (means of squares times n_calls; experts follow each other)
 *   perhaps: i32 n_chunks, i32 n, n bytes of the text's name
 */
#include "imatrix.h"

#include <stdio.h>
#include <string.h>

#define MAX_NAME   4096
#define MAX_VALUES (INT32_MAX / 4)

struct dat {
    const char *path;
    const uint8_t *data;
    uint64_t size, at;
    struct ggl_error *err;
};

static enum ggl_status refuse(const struct dat *d, const char *entry, const char *field, const char *found, const char *expected)
{
    return ggl_fail(d->err, GGL_ERR_FORMAT, d->path, d->at, found, expected, "imatrix: %s: %s", entry, field);
}

/* The next n bytes, or NULL at the end of the file. */
static const uint8_t *take(struct dat *d, uint64_t n)
{
    if (n > d->size - d->at) return NULL;
    d->at += n;
    return d->data + d->at - n;
}

static enum ggl_status read_int(struct dat *d, const char *entry, const char *field, int32_t lo, int32_t hi, int32_t *out)
{
    char found[32], expected[48];
    const uint8_t *p = take(d, 4);
    if (!p) return refuse(d, entry, field, "cut off", "4 bytes");
    memcpy(out, p, 4);
    if (*out >= lo && *out <= hi) return GGL_OK;
    d->at -= 4;
    snprintf(found, sizeof(found), "%d", *out);
    snprintf(expected, sizeof(expected), "%d..%d", lo, hi);
    return refuse(d, entry, field, found, expected);
}

static enum ggl_status read_values(struct dat *d, struct imatrix_entry *e, int32_t n_calls)
{
    const uint8_t *values = take(d, (uint64_t)e->n_values * 4);
    for (int64_t i = 0; i < e->n_values; i++) {
        char found[48];
        float v;
        memcpy(&v, values + 4 * i, 4);
        if (!imatrix_is_square(v)) {
            d->at -= (uint64_t)(e->n_values - i) * 4;
            snprintf(found, sizeof(found), "%g", (double)v);
            return refuse(d, e->tensor, "a mean of squares", found, "a number >= 0");
        }
        e->means[i] = n_calls > 0 ? v / (float)n_calls : v;
    }
    return GGL_OK;
}

static enum ggl_status read_name(struct dat *d, const char *entry, char name[MAX_NAME + 1])
{
    int32_t n;
    enum ggl_status s = read_int(d, entry, "length of its name", 1, MAX_NAME, &n);
    if (s) return s;
    const uint8_t *p = take(d, (uint64_t)n);
    if (!p) return refuse(d, entry, "its name", "cut off", "as many bytes as it says");
    const char *fault = ggl_name_fault((const char *)p, (uint64_t)n, MAX_NAME);
    if (fault) return refuse(d, entry, "its name", fault, "UTF-8");
    memcpy(name, p, (size_t)n);
    name[n] = '\0';
    return GGL_OK;
}

static enum ggl_status read_entry(struct dat *d, struct imatrix *m, int32_t index)
{
    char entry[32], name[MAX_NAME + 1];
    int32_t n_calls, n_values;
    struct imatrix_entry *e;
    enum ggl_status s;
    snprintf(entry, sizeof(entry), "entry %d", index);
    if ((s = read_name(d, entry, name))) return s;
    if ((s = read_int(d, name, "number of calls", 0, INT32_MAX, &n_calls))) return s;
    if ((s = read_int(d, name, "number of values", 0, MAX_VALUES, &n_values))) return s;
    if ((uint64_t)n_values * 4 > d->size - d->at) return refuse(d, name, "its values", "cut off", "as many as it says");
    if ((s = imatrix_add(m, d->path, name, 0, n_values, &e, d->err))) return s;
    return read_values(d, e, n_calls);
}

static enum ggl_status read_trailer(struct dat *d, struct imatrix *m)
{
    int32_t n_chunks, n;
    enum ggl_status s;
    if ((s = read_int(d, "the end", "number of chunks", 0, INT32_MAX, &n_chunks))) return s;
    if ((s = read_int(d, "the end", "length of the text's name", 0, INT32_MAX, &n))) return s;
    const uint8_t *p = take(d, (uint64_t)n);
    if (!p) return refuse(d, "the end", "the text's name", "cut off", "as many bytes as it says");
    if (d->at != d->size) return refuse(d, "the end", "more bytes", "there", "the end of the file");
    m->n_chunks = n_chunks;
    return imatrix_set_dataset(m, (const char *)p, (uint64_t)n, d->err);
}

enum ggl_status imatrix_read_dat(struct imatrix *m, const char *path, const struct ggl_map *map, struct ggl_error *err)
{
    struct dat d = {path, map->data, map->size, 0, err};
    int32_t n;
    enum ggl_status s = read_int(&d, "the file", "number of entries (neither a GGUF file nor a .dat)", 1, 1 << 20, &n);
    for (int32_t i = 0; i < n && !s; i++) s = read_entry(&d, m, i);
    return s || d.at == d.size ? s : read_trailer(&d, m);
}
