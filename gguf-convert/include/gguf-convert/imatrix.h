/*
 * Importance matrices: for every input of a matrix the mean of its squares over
 * some text.  Quantisers weigh errors with them.
 *
 *     struct imatrix *m;
 *     if (imatrix_open("imatrix.gguf", &m, &err)) ...
 *     const float *w = imatrix_find(m, "blk.3.ffn_down_exps.weight", expert, n_ff);
 *     imatrix_free(m);
 *
 * Two formats are read, told apart by their first bytes: GGUF files as llama.cpp writes them (docs/file-formats.md)
 * and the older .dat files.  Only the first is written.
 *
 * Owner: what imatrix_find and imatrix_dataset return belongs to m.
 * Thread-safety: constant after imatrix_open.
 * Errors: NOT_FOUND, IO, NOMEM; FORMAT names the file, the entry, what was found and what was expected.
 */
#ifndef GGL_IMATRIX_H
#define GGL_IMATRIX_H

#include "ggml-lite/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct imatrix;

enum ggl_status imatrix_open(const char *path, struct imatrix **out, struct ggl_error *err);
void imatrix_free(struct imatrix *m); /* accepts NULL */

/* The weights of the n inputs of a tensor's slice (its expert; 0 where it has one).  NULL: the file says nothing about
 * the tensor, knows it with another number of inputs, or never saw that expert active. */
const float *imatrix_find(const struct imatrix *m, const char *tensor, int64_t slice, int64_t n);

uint64_t imatrix_n_entries(const struct imatrix *m); /* tensors that it knows */
int64_t imatrix_n_chunks(const struct imatrix *m);   /* of the text that was seen; 0: the file does not say */
const char *imatrix_dataset(const struct imatrix *m); /* name of the text; "": the file does not say */

/* ---- writing */

struct imatrix_sums {
    const char *tensor;
    int64_t n, n_slices;
    const float *sums;   /* [n_slices][n] sums of squares */
    const float *counts; /* [n_slices] how many rows each of them sums */
};

struct imatrix_text {
    const char *dataset;
    uint32_t n_chunks, chunk_size; /* chunk_size: tokens of one */
};

/* The file appears under its name when it is complete, and replaces an older one.  FORMAT: a sum is no square. */
enum ggl_status imatrix_write(const char *path, const struct imatrix_sums *entries, uint64_t n_entries,
                              const struct imatrix_text *text, struct ggl_error *err);

/* ---- collecting: one thread at a time */

struct imatrix_sink;

struct imatrix_sink *imatrix_sink_new(void); /* NULL: out of memory */
void imatrix_sink_free(struct imatrix_sink *c); /* accepts NULL */
/* Add the squares of scale * x[0..n) to a tensor's slice.  A tensor keeps its first n and n_slices.  Running out of
 * memory is remembered. */
void imatrix_sink_add(struct imatrix_sink *c, const char *tensor, int64_t slice, int64_t n_slices, const float *x, int64_t n,
                      float scale);
/* NOMEM also where an earlier call ran out of memory. */
enum ggl_status imatrix_sink_write(const struct imatrix_sink *c, const char *path, const struct imatrix_text *text,
                                   struct ggl_error *err);

#ifdef __cplusplus
}
#endif
#endif
