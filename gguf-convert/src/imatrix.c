/*
 * Importance matrices in memory: opening either format, finding weights.
 */
#include "imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const void *owner, uint32_t index)
{
    return ((const struct imatrix *)owner)->entries[index].tensor;
}

static enum ggl_status out_of_memory(struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "imatrix: out of memory");
}

bool imatrix_is_square(float v)
{
    return isfinite(v) && v >= 0;
}

static bool reserve(struct imatrix *m)
{
    if (m->n_entries < m->capacity) return true;
    uint64_t capacity = m->capacity ? 2 * m->capacity : 64;
    struct imatrix_entry *entries = realloc(m->entries, (size_t)capacity * sizeof(*entries));
    if (!entries) return false;
    m->entries = entries;
    if (!ggl_names_reserve(&m->names, capacity)) return false;
    m->capacity = capacity;
    return true;
}

enum ggl_status imatrix_add(struct imatrix *m, const char *path, const char *tensor, int64_t n, int64_t n_values,
                            struct imatrix_entry **out, struct ggl_error *err)
{
    uint32_t other;
    if (ggl_names_find(&m->names, tensor, name_of, m, &other))
        return ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "there twice", "one entry a tensor", "%s", tensor);
    if (m->n_entries == UINT32_MAX - 1 || !reserve(m)) return out_of_memory(err);
    struct imatrix_entry e = {.tensor = malloc(strlen(tensor) + 1), .n = n, .n_values = n_values,
                              .means = calloc((size_t)(n_values ? n_values : 1), sizeof(float))};
    if (!e.tensor || !e.means) {
        free(e.tensor);
        free(e.means);
        return out_of_memory(err);
    }
    strcpy(e.tensor, tensor);
    ggl_names_add(&m->names, tensor, (uint32_t)m->n_entries);
    m->entries[m->n_entries] = e;
    *out = &m->entries[m->n_entries++];
    return GGL_OK;
}

enum ggl_status imatrix_set_dataset(struct imatrix *m, const char *text, uint64_t n, struct ggl_error *err)
{
    m->dataset = malloc((size_t)n + 1);
    if (!m->dataset) return out_of_memory(err);
    memcpy(m->dataset, text, (size_t)n);
    m->dataset[n] = '\0';
    return GGL_OK;
}

static enum ggl_status read_any(struct imatrix *m, const char *path, struct ggl_error *err)
{
    struct ggl_map map = {0};
    enum ggl_status s = ggl_map_open(path, &map, err);
    if (s) return s;
    if (map.size >= 4 && !memcmp(map.data, "GGUF", 4)) s = imatrix_read_gguf(m, path, err);
    else s = imatrix_read_dat(m, path, &map, err);
    ggl_map_close(&map);
    return s;
}

enum ggl_status imatrix_open(const char *path, struct imatrix **out, struct ggl_error *err)
{
    struct imatrix *m = calloc(1, sizeof(*m));
    if (!m) return out_of_memory(err);
    enum ggl_status s = read_any(m, path, err);
    if (s) imatrix_free(m);
    else *out = m;
    return s;
}

void imatrix_free(struct imatrix *m)
{
    if (!m) return;
    for (uint64_t i = 0; i < m->n_entries; i++) {
        free(m->entries[i].tensor);
        free(m->entries[i].means);
    }
    free(m->entries);
    ggl_names_free(&m->names);
    free(m->dataset);
    free(m);
}

const float *imatrix_find(const struct imatrix *m, const char *tensor, int64_t slice, int64_t n)
{
    uint32_t index;
    if (n < 1 || slice < 0 || !ggl_names_find(&m->names, tensor, name_of, m, &index)) return NULL;
    const struct imatrix_entry *e = &m->entries[index];
    if ((e->n && e->n != n) || e->n_values % n || slice >= e->n_values / n) return NULL;
    const float *means = e->means + slice * n;
    for (int64_t i = 0; i < n; i++)
        if (means[i] > 0) return means;
    return NULL;
}

uint64_t imatrix_n_entries(const struct imatrix *m)
{
    return m->n_entries;
}

int64_t imatrix_n_chunks(const struct imatrix *m)
{
    return m->n_chunks;
}

const char *imatrix_dataset(const struct imatrix *m)
{
    return m->dataset ? m->dataset : "";
}
