/* The safetensors container: length, header, then tensors that cover the rest of the file exactly. */
#include "gguf-convert/src/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ggml-lite/src/checked.h"
#include "gguf-convert/src/json.h"

static const struct dtype_info {
    const char *name;
    unsigned bits;
} dtypes[] = {
    [GGL_ST_BOOL] = {"BOOL", 8},       [GGL_ST_U8] = {"U8", 8},           [GGL_ST_I8] = {"I8", 8},
    [GGL_ST_U16] = {"U16", 16},        [GGL_ST_I16] = {"I16", 16},        [GGL_ST_F16] = {"F16", 16},
    [GGL_ST_BF16] = {"BF16", 16},      [GGL_ST_U32] = {"U32", 32},        [GGL_ST_I32] = {"I32", 32},
    [GGL_ST_F32] = {"F32", 32},        [GGL_ST_U64] = {"U64", 64},        [GGL_ST_I64] = {"I64", 64},
    [GGL_ST_F64] = {"F64", 64},        [GGL_ST_C64] = {"C64", 64},        [GGL_ST_F8_E5M2] = {"F8_E5M2", 8},
    [GGL_ST_F8_E4M3] = {"F8_E4M3", 8}, [GGL_ST_F8_E8M0] = {"F8_E8M0", 8}, [GGL_ST_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [GGL_ST_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8}, [GGL_ST_F4] = {"F4", 4},   [GGL_ST_F6_E2M3] = {"F6_E2M3", 6},
    [GGL_ST_F6_E3M2] = {"F6_E3M2", 6},
};

const char *ggl_st_dtype_name(enum ggl_st_dtype dtype)
{
    return dtypes[dtype].name;
}

void ggl_st_close(struct ggl_st_file *f)
{
    ggl_map_close(&f->map);
    if (f->place) close(f->fd);
    free(f->head_buffer);
    free(f->path);
    free(f->names);
    free(f->tensors);
    memset(f, 0, sizeof(*f));
}

#ifdef GGL_HAVE_JANSSON

static enum ggl_status bad(const struct ggl_st_file *f, struct ggl_error *err, const char *tensor, const char *field,
                           const char *found, const char *expected)
{
    return ggl_fail(err, GGL_ERR_FORMAT, f->path, GGL_NO_OFFSET, found, expected, "%.180s: %s", tensor, field);
}

static enum ggl_status bad_u64(const struct ggl_st_file *f, struct ggl_error *err, const char *tensor,
                               const char *field, uint64_t found, uint64_t expected)
{
    char a[24], b[24];
    snprintf(a, sizeof(a), "%" PRIu64, found);
    snprintf(b, sizeof(b), "%" PRIu64, expected);
    return bad(f, err, tensor, field, a, b);
}

/* A number of the header: a JSON integer (no fraction, no exponent), not negative. */
static bool get_u64(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static enum ggl_status read_dtype(const struct ggl_st_file *f, struct ggl_st_tensor *t, const json_t *entry,
                                  struct ggl_error *err)
{
    char found[64];
    const json_t *value = json_object_get(entry, "dtype");
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            t->dtype = (enum ggl_st_dtype)i;
            return GGL_OK;
        }
    }
    return bad(f, err, t->name, "dtype", ggl_json_describe(value, found), "a safetensors dtype");
}

/* Shape, and the bytes that it and the dtype ask for. */
static enum ggl_status read_shape(const struct ggl_st_file *f, struct ggl_st_tensor *t, const json_t *entry,
                                  struct ggl_error *err)
{
    char found[64];
    const json_t *value = json_object_get(entry, "shape");
    if (!json_is_array(value) || json_array_size(value) > GGL_ST_MAX_RANK) {
        return bad(f, err, t->name, "shape", ggl_json_describe(value, found), "an array of at most 8 integers");
    }
    uint64_t bits = dtypes[t->dtype].bits, n = 1;
    bool fits = true;
    t->rank = (uint32_t)json_array_size(value);
    for (uint32_t i = 0; i < t->rank; i++) {
        const json_t *dim = json_array_get(value, i);
        if (!get_u64(dim, &t->shape[i])) {
            return bad(f, err, t->name, "shape", ggl_json_describe(dim, found), "an integer >= 0");
        }
        /* Not stopped by a zero: [2^63, 2^63, 0] is nonsense too. */
        uint64_t factor = t->shape[i] ? t->shape[i] : 1;
        fits = fits && ggl_mul_u64(n, factor, &n);
    }
    fits = fits && ggl_mul_u64(n, bits, &bits);
    if (!fits) return bad(f, err, t->name, "shape", "a product beyond 64 bits", NULL);
    for (uint32_t i = 0; i < t->rank; i++) {
        if (!t->shape[i]) bits = 0;
    }
    if (bits % 8) return bad(f, err, t->name, "shape", "a broken last byte", "whole bytes");
    t->bytes = bits / 8;
    return GGL_OK;
}

static enum ggl_status read_offsets(const struct ggl_st_file *f, struct ggl_st_tensor *t, const json_t *entry,
                                    uint64_t data_bytes, struct ggl_error *err)
{
    char found[64];
    uint64_t begin, end;
    const json_t *value = json_object_get(entry, "data_offsets");
    if (!json_is_array(value) || json_array_size(value) != 2) {
        return bad(f, err, t->name, "data_offsets", ggl_json_describe(value, found), "[begin, end]");
    }
    const json_t *b = json_array_get(value, 0), *e = json_array_get(value, 1);
    if (!get_u64(b, &begin)) return bad(f, err, t->name, "data_offsets", ggl_json_describe(b, found), "an integer >= 0");
    if (!get_u64(e, &end)) return bad(f, err, t->name, "data_offsets", ggl_json_describe(e, found), "an integer >= 0");
    if (end < begin) return bad(f, err, t->name, "data_offsets", "end before begin", NULL);
    if (end > data_bytes) return bad_u64(f, err, t->name, "data_offsets: end beyond the data", end, data_bytes);
    if (end - begin != t->bytes) {
        return bad_u64(f, err, t->name, "data_offsets: bytes that dtype and shape do not ask for", end - begin,
                       t->bytes);
    }
    t->offset = begin; /* made absolute when all are checked */
    return GGL_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct ggl_st_tensor *x = *(const struct ggl_st_tensor *const *)a;
    const struct ggl_st_tensor *y = *(const struct ggl_st_tensor *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return 0;
}

/* No hole, no overlap, nothing behind the last tensor. */
static enum ggl_status check_coverage(const struct ggl_st_file *f, uint64_t data_bytes, struct ggl_error *err)
{
    struct ggl_st_tensor **sorted = malloc((f->n_tensors + (size_t)1) * sizeof(*sorted));
    if (!sorted) return ggl_fail(err, GGL_ERR_NOMEM, f->path, GGL_NO_OFFSET, NULL, NULL, "tensor list");
    for (uint32_t i = 0; i < f->n_tensors; i++) sorted[i] = &f->tensors[i];
    qsort(sorted, f->n_tensors, sizeof(*sorted), by_offset);

    enum ggl_status s = GGL_OK;
    uint64_t end = 0;
    for (uint32_t i = 0; i < f->n_tensors && !s; i++) {
        if (sorted[i]->offset != end) {
            const char *field = sorted[i]->offset > end ? "data_offsets: a hole before it" : "data_offsets: an overlap";
            s = bad_u64(f, err, sorted[i]->name, field, sorted[i]->offset, end);
        }
        end = sorted[i]->offset + sorted[i]->bytes; /* <= data_bytes: checked when it was read */
    }
    free(sorted);
    if (!s && end != data_bytes) s = bad_u64(f, err, "data", "end of the last tensor", end, data_bytes);
    return s;
}

static enum ggl_status check_metadata(const struct ggl_st_file *f, const json_t *metadata, struct ggl_error *err)
{
    const char *key;
    json_t *value;
    char found[64];
    if (!json_is_object(metadata)) {
        return bad(f, err, "__metadata__", "type", ggl_json_describe(metadata, found), "an object");
    }
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value)) return bad(f, err, "__metadata__", key, ggl_json_describe(value, found), "a string");
    }
    return GGL_OK;
}

/* Names first: tensors point into one block. */
static enum ggl_status copy_names(struct ggl_st_file *f, json_t *root, struct ggl_error *err)
{
    const char *key;
    json_t *value;
    size_t bytes = 1, n = 0;
    json_object_foreach(root, key, value) {
        size_t len = strlen(key);
        if (strcmp(key, "__metadata__") == 0) continue;
        if (!len || len > GGL_ST_MAX_NAME) return bad_u64(f, err, key, "length of the name", len, GGL_ST_MAX_NAME);
        bytes += len + 1;
        n++;
    }
    if (n >= UINT32_MAX) return bad_u64(f, err, "header", "tensors", n, UINT32_MAX - 1);
    f->names = malloc(bytes);
    f->tensors = calloc(n + 1, sizeof(*f->tensors));
    if (!f->names || !f->tensors) return ggl_fail(err, GGL_ERR_NOMEM, f->path, GGL_NO_OFFSET, NULL, NULL, "tensor list");
    char *p = f->names;
    json_object_foreach(root, key, value) {
        if (strcmp(key, "__metadata__") == 0) continue;
        size_t len = strlen(key) + 1;
        memcpy(p, key, len);
        f->tensors[f->n_tensors++].name = p;
        p += len;
    }
    return GGL_OK;
}

static enum ggl_status read_tensors(struct ggl_st_file *f, json_t *root, const uint8_t *data, uint64_t data_bytes,
                                    struct ggl_error *err)
{
    const char *key;
    json_t *entry;
    enum ggl_status s;
    struct ggl_st_tensor *t = f->tensors;
    json_object_foreach(root, key, entry) {
        if (strcmp(key, "__metadata__") == 0) {
            if ((s = check_metadata(f, entry, err))) return s;
            continue;
        }
        char found[64];
        if (!json_is_object(entry)) return bad(f, err, key, "type", ggl_json_describe(entry, found), "an object");
        if ((s = read_dtype(f, t, entry, err))) return s;
        if ((s = read_shape(f, t, entry, err))) return s;
        if ((s = read_offsets(f, t, entry, data_bytes, err))) return s;
        t++;
    }
    if ((s = check_coverage(f, data_bytes, err))) return s;
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        f->tensors[i].path = f->path;
        f->tensors[i].data = data + f->tensors[i].offset;
        f->tensors[i].offset += 8 + f->header_bytes;
    }
    return GGL_OK;
}

/* head: at least the length and what of the header the file has; data: where its byte 0 is, or its place. */
static enum ggl_status parse(struct ggl_st_file *f, const uint8_t *head, const uint8_t *data, uint64_t size,
                             struct ggl_error *err)
{
    const uint64_t n = f->header_bytes;
    json_t *root = NULL;
    f->head = head;
    f->size = size;
    enum ggl_status s = ggl_json_parse(f->path, 8, head + 8, (size_t)n, 3, &root, err);
    if (!s) s = copy_names(f, root, err);
    if (!s) s = read_tensors(f, root, data + 8 + n, size - 8 - n, err);
    json_decref(root);
    return s;
}

static enum ggl_status read_length(struct ggl_st_file *f, const uint8_t *head, uint64_t size, struct ggl_error *err)
{
    uint64_t n = 0;
    if (size < 8) return bad_u64(f, err, "file", "bytes, at least", size, 8);
    for (int i = 0; i < 8; i++) n |= (uint64_t)head[i] << (8 * i);
    if (n > size - 8) return bad_u64(f, err, "header", "length beyond the end of the file", n, size - 8);
    if (n > GGL_ST_MAX_HEADER) return bad_u64(f, err, "header", "length, at most", n, GGL_ST_MAX_HEADER);
    f->header_bytes = n;
    return GGL_OK;
}

enum ggl_status ggl_st_parse(struct ggl_st_file *f, const uint8_t *data, uint64_t size, struct ggl_error *err)
{
    enum ggl_status s = read_length(f, data, size, err);
    return s ? s : parse(f, data, data, size, err);
}

static enum ggl_status parse_unmapped(struct ggl_st_file *f, struct ggl_error *err)
{
    uint8_t length[8] = {0};
    enum ggl_status s = f->size >= 8 ? ggl_st_read(f, 0, length, 8, err) : GGL_OK;
    if (!s) s = read_length(f, length, f->size, err);
    if (s) return s;
    f->head_buffer = malloc((size_t)f->header_bytes + 8);
    if (!f->head_buffer) return ggl_fail(err, GGL_ERR_NOMEM, f->path, GGL_NO_OFFSET, NULL, NULL, "header");
    s = ggl_st_read(f, 0, f->head_buffer, f->header_bytes + 8, err);
    return s ? s : parse(f, f->head_buffer, f->place, f->size, err);
}

#else

enum ggl_status ggl_st_parse(struct ggl_st_file *f, const uint8_t *data, uint64_t size, struct ggl_error *err)
{
    (void)data;
    (void)size;
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, f->path, GGL_NO_OFFSET, NULL, NULL,
                    "safetensors files need a build with jansson");
}

static enum ggl_status parse_unmapped(struct ggl_st_file *f, struct ggl_error *err)
{
    return ggl_st_parse(f, NULL, 0, err);
}

#endif

enum ggl_status ggl_st_read(const struct ggl_st_file *f, uint64_t offset, void *to, uint64_t n, struct ggl_error *err)
{
    uint8_t *p = to;
    while (n) {
        ssize_t got = pread(f->fd, p, n < (1u << 30) ? (size_t)n : 1u << 30, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            char reason[128];
            snprintf(reason, sizeof(reason), "%s", got ? strerror(errno) : "it has become shorter");
            return ggl_fail(err, GGL_ERR_IO, f->path, offset, reason, NULL, "cannot read");
        }
        p += got;
        n -= (uint64_t)got;
        offset += (uint64_t)got;
    }
    return GGL_OK;
}

enum ggl_status ggl_st_open_unmapped(const char *path, struct ggl_st_file *f, uintptr_t *next, struct ggl_error *err)
{
    const uint64_t page = 65536;
    f->path = strdup(path);
    if (!f->path) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "path");
    enum ggl_status s = ggl_file_open(path, &f->fd, &f->size, err);
    if (s) return s;
    if (f->size > UINTPTR_MAX / 2 - *next - page) {
        close(f->fd);
        return ggl_fail(err, GGL_ERR_LIMIT, path, GGL_NO_OFFSET, NULL, NULL, "the files are too large for this machine");
    }
    f->place = (const uint8_t *)*next;
    *next += (uintptr_t)((f->size + 2 * page - 1) / page * page);
    return parse_unmapped(f, err);
}

enum ggl_status ggl_st_open(const char *path, struct ggl_st_file *f, struct ggl_error *err)
{
    f->path = strdup(path);
    if (!f->path) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "path");
    enum ggl_status s = ggl_map_open(path, &f->map, err);
    if (s) return s;
    return ggl_st_parse(f, f->map.data, f->map.size, err);
}
