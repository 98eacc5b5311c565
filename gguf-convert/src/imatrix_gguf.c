/*
 * Importance matrices as GGUF files: general.type is "imatrix", and every
 * tensor has its sums of squares in NAME.in_sum2 [n, slices] and the rows that
 * they sum in NAME.counts [1, slices], both F32.
 */
#include "imatrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-lite/gguf.h"

#define SUMS   ".in_sum2"
#define COUNTS ".counts"

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* ---- reading */

static enum ggl_status refuse(const char *path, const char *tensor, const char *found, const char *expected, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, found, expected, "imatrix: %s", tensor);
}

static enum ggl_status check_floats(const char *path, const struct ggl_tensor *t, struct ggl_error *err)
{
    char found[48];
    const struct ggl_type_info *info = ggl_type_info(t->type);
    if (t->type != GGL_TYPE_F32) return refuse(path, t->name, info ? info->name : "another type", "F32", err);
    if (t->ne[0] < 1 || t->ne[1] < 1 || t->ne[2] != 1 || t->ne[3] != 1)
        return refuse(path, t->name, "of another shape", "one row a slice", err);
    for (int64_t i = 0; i < t->ne[0] * t->ne[1]; i++) {
        float v;
        memcpy(&v, t->data + 4 * i, 4);
        if (imatrix_is_square(v)) continue;
        snprintf(found, sizeof(found), "%g at %lld", (double)v, (long long)i);
        return refuse(path, t->name, found, "numbers >= 0", err);
    }
    return GGL_OK;
}

/* How many rows were summed; below one the mean of a large sum would be no number. */
static enum ggl_status check_counts(const char *path, const struct ggl_tensor *t, int64_t n_slices, struct ggl_error *err)
{
    char found[48];
    enum ggl_status s = check_floats(path, t, err);
    if (s) return s;
    if (t->ne[0] != 1 || t->ne[1] != n_slices) return refuse(path, t->name, "of another shape", "one number a slice", err);
    for (int64_t i = 0; i < n_slices; i++) {
        float v;
        memcpy(&v, t->data + 4 * i, 4);
        if (v == 0 || v >= 1) continue;
        snprintf(found, sizeof(found), "%g at %lld", (double)v, (long long)i);
        return refuse(path, t->name, found, "0, or 1 and more", err);
    }
    return GGL_OK;
}

static const struct ggl_tensor *partner(const struct ggl_gguf *g, const struct ggl_tensor *t, const char *end, const char *other)
{
    char name[2 * GGL_MAX_NAME];
    snprintf(name, sizeof(name), "%.*s%s", (int)(strlen(t->name) - strlen(end)), t->name, other);
    return ggl_gguf_find_tensor(g, name);
}

/* One mean for all slices: of a matrix whose parts see parts of the input, and which is one matrix in the model. */
static void fold(struct imatrix_entry *e, const float *sums, const float *counts, int64_t n_slices)
{
    double count = 0;
    for (int64_t s = 0; s < n_slices; s++) count += (double)counts[s];
    for (int64_t i = 0; i < e->n && count > 0; i++) {
        double sum = 0;
        for (int64_t s = 0; s < n_slices; s++) sum += counts[s] > 0 ? (double)sums[s * e->n + i] : 0;
        e->means[i] = (float)(sum / count);
    }
}

static void divide(struct imatrix_entry *e, const float *sums, const float *counts, int64_t n_slices)
{
    for (int64_t s = 0; s < n_slices; s++)
        for (int64_t i = s * e->n; i < (s + 1) * e->n && counts[s] > 0; i++) e->means[i] = sums[i] / counts[s];
}

static enum ggl_status read_tensor(struct imatrix *m, const char *path, const struct ggl_gguf *g, const struct ggl_tensor *sums,
                                   struct ggl_error *err)
{
    char name[GGL_MAX_NAME];
    const struct ggl_tensor *counts = partner(g, sums, SUMS, COUNTS);
    struct imatrix_entry *e;
    enum ggl_status s;
    if (!counts) return refuse(path, sums->name, "without its " COUNTS, "both", err);
    int64_t n = sums->ne[0], n_slices = sums->ne[1];
    if ((s = check_floats(path, sums, err)) || (s = check_counts(path, counts, n_slices, err))) return s;
    snprintf(name, sizeof(name), "%.*s", (int)(strlen(sums->name) - strlen(SUMS)), sums->name);
    bool parts = n_slices > 1 && ends_with(name, "attn_output_a.weight");
    if ((s = imatrix_add(m, path, name, n, parts ? n : n * n_slices, &e, err))) return s;
    /* Alignment is at least 8: data can be read as floats. */
    (parts ? fold : divide)(e, (const float *)(const void *)sums->data, (const float *)(const void *)counts->data, n_slices);
    return GGL_OK;
}

static enum ggl_status read_text(struct imatrix *m, const struct ggl_gguf *g, struct ggl_error *err)
{
    uint32_t n_chunks = 0;
    enum ggl_status s = ggl_gguf_get_u32(g, "imatrix.chunk_count", 0, UINT32_MAX, &n_chunks, err);
    const struct ggl_kv *sets = ggl_gguf_find_kv(g, "imatrix.datasets");
    if (s && s != GGL_ERR_NOT_FOUND) return s;
    m->n_chunks = n_chunks;
    return sets && sets->str && sets->n ? imatrix_set_dataset(m, sets->str[0].data, sets->str[0].size, err) : GGL_OK;
}

static enum ggl_status read_file(struct imatrix *m, const char *path, const struct ggl_gguf *g, struct ggl_error *err)
{
    const char *type = ggl_gguf_get_str(g, "general.type");
    if (!type || strcmp(type, "imatrix") != 0)
        return ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, type ? type : "missing", "imatrix", "general.type");
    enum ggl_status s = read_text(m, g, err);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(g) && !s; i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, i);
        if (ends_with(t->name, SUMS)) s = read_tensor(m, path, g, t, err);
        else if (!ends_with(t->name, COUNTS)) s = refuse(path, t->name, "there", "names that end in " SUMS " or " COUNTS, err);
        else if (!partner(g, t, COUNTS, SUMS)) s = refuse(path, t->name, "without its " SUMS, "both", err);
    }
    if (!s && !m->n_entries) s = refuse(path, "the file", "without entries", "one a matrix", err);
    return s;
}

enum ggl_status imatrix_read_gguf(struct imatrix *m, const char *path, struct ggl_error *err)
{
    struct ggl_gguf *g;
    enum ggl_status s = ggl_gguf_open(path, NULL, &g, err);
    if (s) return s;
    s = read_file(m, path, g, err);
    ggl_gguf_free(g);
    return s;
}

/* ---- writing */

/* A model that computes NaN must not make a file that nobody reads. */
static enum ggl_status check_sums(const char *path, const struct imatrix_sums *e, struct ggl_error *err)
{
    for (int64_t i = 0; i < e->n * e->n_slices; i++)
        if (!imatrix_is_square(e->sums[i])) return refuse(path, e->tensor, "NaN or infinite", "finite sums of squares", err);
    return GGL_OK;
}

static enum ggl_status describe(struct ggl_gguf *g, const struct imatrix_sums *e, struct ggl_error *err)
{
    char name[2 * GGL_MAX_NAME];
    enum ggl_status s;
    if (strlen(e->tensor) + strlen(SUMS) >= GGL_MAX_NAME)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "imatrix: %s: the name is too long", e->tensor);
    snprintf(name, sizeof(name), "%s" SUMS, e->tensor);
    if ((s = ggl_gguf_add_tensor(g, name, GGL_TYPE_F32, 2, (int64_t[]){e->n, e->n_slices}, err))) return s;
    snprintf(name, sizeof(name), "%s" COUNTS, e->tensor);
    return ggl_gguf_add_tensor(g, name, GGL_TYPE_F32, 2, (int64_t[]){1, e->n_slices}, err);
}

static enum ggl_status fill_header(struct ggl_gguf *g, const struct imatrix_sums *entries, uint64_t n, const struct imatrix_text *text,
                                   struct ggl_error *err)
{
    struct ggl_str dataset = {text->dataset, strlen(text->dataset)};
    if (ggl_gguf_set_str(g, "general.type", "imatrix") || ggl_gguf_set_arr_str(g, "imatrix.datasets", &dataset, 1) ||
        ggl_gguf_set_u32(g, "imatrix.chunk_count", text->n_chunks) || ggl_gguf_set_u32(g, "imatrix.chunk_size", text->chunk_size))
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "imatrix: out of memory");
    enum ggl_status s = GGL_OK;
    for (uint64_t i = 0; i < n && !s; i++) s = describe(g, &entries[i], err);
    return s;
}

static enum ggl_status write_file(const struct ggl_gguf *g, const char *path, const struct imatrix_sums *entries, uint64_t n,
                                  struct ggl_error *err)
{
    struct ggl_gguf_write_options options = {.overwrite = true};
    struct ggl_gguf_writer *w;
    enum ggl_status s = ggl_gguf_write_begin(g, path, &options, &w, err);
    if (s) return s;
    for (uint64_t i = 0; i < n && !s; i++) {
        const struct imatrix_sums *e = &entries[i];
        s = ggl_gguf_write_data(w, e->sums, (size_t)(e->n * e->n_slices) * 4, err);
        if (!s) s = ggl_gguf_write_data(w, e->counts, (size_t)e->n_slices * 4, err);
    }
    if (!s) return ggl_gguf_write_finish(w, err);
    ggl_gguf_write_abort(w);
    return s;
}

enum ggl_status imatrix_write(const char *path, const struct imatrix_sums *entries, uint64_t n_entries,
                              const struct imatrix_text *text, struct ggl_error *err)
{
    struct ggl_gguf *g = ggl_gguf_new();
    if (!g) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "imatrix: out of memory");
    enum ggl_status s = fill_header(g, entries, n_entries, text, err);
    for (uint64_t i = 0; i < n_entries && !s; i++) s = check_sums(path, &entries[i], err);
    if (!s) s = write_file(g, path, entries, n_entries, err);
    ggl_gguf_free(g);
    return s;
}
