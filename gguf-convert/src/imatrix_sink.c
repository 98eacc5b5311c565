/*
 * Collecting an importance matrix: sums of squares by tensor and slice.
 * Sums are float, as the file has them: 2^20 rows of like size cost 1e-4 of a sum at the very worst.
 */
#include "imatrix.h"

#include <stdlib.h>
#include <string.h>

struct sink_entry {
    char *tensor;
    int64_t n, n_slices;
    float *sums, *counts;
};

struct imatrix_sink {
    struct sink_entry *entries;
    uint64_t n_entries, capacity;
    struct ggl_names names;
    bool failed;
};

static const char *name_of(const void *owner, uint32_t index)
{
    return ((const struct imatrix_sink *)owner)->entries[index].tensor;
}

struct imatrix_sink *imatrix_sink_new(void)
{
    return calloc(1, sizeof(struct imatrix_sink));
}

static void free_entry(struct sink_entry *e)
{
    free(e->tensor);
    free(e->sums);
    free(e->counts);
}

void imatrix_sink_free(struct imatrix_sink *c)
{
    if (!c) return;
    for (uint64_t i = 0; i < c->n_entries; i++) free_entry(&c->entries[i]);
    free(c->entries);
    ggl_names_free(&c->names);
    free(c);
}

static bool reserve(struct imatrix_sink *c)
{
    if (c->n_entries < c->capacity) return true;
    uint64_t capacity = c->capacity ? 2 * c->capacity : 64;
    struct sink_entry *entries = realloc(c->entries, (size_t)capacity * sizeof(*entries));
    if (!entries) return false;
    c->entries = entries;
    if (!ggl_names_reserve(&c->names, capacity)) return false;
    c->capacity = capacity;
    return true;
}

static struct sink_entry *add_entry(struct imatrix_sink *c, const char *tensor, int64_t n, int64_t n_slices)
{
    size_t length = strlen(tensor) + 1;
    if (!reserve(c)) return NULL;
    struct sink_entry e = {malloc(length), n, n_slices, calloc((size_t)(n * n_slices), sizeof(float)),
                           calloc((size_t)n_slices, sizeof(float))};
    if (!e.tensor || !e.sums || !e.counts) {
        free_entry(&e);
        return NULL;
    }
    memcpy(e.tensor, tensor, length);
    ggl_names_add(&c->names, tensor, (uint32_t)c->n_entries);
    c->entries[c->n_entries] = e;
    return &c->entries[c->n_entries++];
}

void imatrix_sink_add(struct imatrix_sink *c, const char *tensor, int64_t slice, int64_t n_slices, const float *x, int64_t n,
                      float scale)
{
    uint32_t index;
    bool known = ggl_names_find(&c->names, tensor, name_of, c, &index);
    struct sink_entry *e = known ? &c->entries[index] : add_entry(c, tensor, n, n_slices);
    if (!e) {
        c->failed = true;
        return;
    }
    if (e->n != n || slice < 0 || slice >= e->n_slices) return;
    float *sums = e->sums + slice * n;
    for (int64_t i = 0; i < n; i++) sums[i] += scale * x[i] * (scale * x[i]);
    e->counts[slice]++;
}

enum ggl_status imatrix_sink_write(const struct imatrix_sink *c, const char *path, const struct imatrix_text *text,
                                   struct ggl_error *err)
{
    struct imatrix_sums *sums = c->failed ? NULL : malloc((size_t)(c->n_entries + 1) * sizeof(*sums));
    if (!sums) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "imatrix: out of memory");
    for (uint64_t i = 0; i < c->n_entries; i++) {
        const struct sink_entry *e = &c->entries[i];
        sums[i] = (struct imatrix_sums){e->tensor, e->n, e->n_slices, e->sums, e->counts};
    }
    enum ggl_status s = imatrix_write(path, sums, c->n_entries, text, err);
    free(sums);
    return s;
}
