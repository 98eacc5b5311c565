/* Inside of an importance matrix: entries in the order of the file, found by name. */
#ifndef GGL_CONVERT_IMATRIX_H
#define GGL_CONVERT_IMATRIX_H

#include "ggml-lite/src/file.h"
#include "ggml-lite/src/names.h"
#include "gguf-convert/imatrix.h"

struct imatrix_entry {
    char *tensor;
    int64_t n;       /* inputs; 0: the format does not say how values are cut into slices */
    int64_t n_values;
    float *means;    /* [n_values]; a slice of zeros was never active */
};

struct imatrix {
    struct imatrix_entry *entries;
    uint64_t n_entries, capacity;
    struct ggl_names names;
    int64_t n_chunks;
    char *dataset; /* NULL: not known */
};

/* A new entry whose values are still zero; `path` is for the error.  FORMAT: the tensor has one already; NOMEM. */
enum ggl_status imatrix_add(struct imatrix *m, const char *path, const char *tensor, int64_t n, int64_t n_values,
                            struct imatrix_entry **out, struct ggl_error *err);
enum ggl_status imatrix_set_dataset(struct imatrix *m, const char *text, uint64_t n, struct ggl_error *err);
/* Sums and means of squares are numbers >= 0. */
bool imatrix_is_square(float v);

/* imatrix_dat.c */
enum ggl_status imatrix_read_dat(struct imatrix *m, const char *path, const struct ggl_map *map, struct ggl_error *err);
/* imatrix_gguf.c */
enum ggl_status imatrix_read_gguf(struct imatrix *m, const char *path, struct ggl_error *err);

#endif
