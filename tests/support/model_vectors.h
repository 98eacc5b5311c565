/*
 * Models of tests/vectors and what they make of their tokens, for tests of the
 * model layer.  Every function fails the running cmocka test by itself.
 */
#ifndef TESTS_MODEL_VECTORS_H
#define TESTS_MODEL_VECTORS_H

#include "model/model.h"

/* Sanitizers make evaluation ten times slower: tests take shorter runs there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MV_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MV_SLOW 1
#endif
#endif
#ifndef MV_SLOW
#define MV_SLOW 0
#endif

#ifdef GGL_HAVE_JANSSON
#define MV_HAS_DIRECTORIES 1 /* a checkpoint directory needs a JSON reader */
#else
#define MV_HAS_DIRECTORIES 0
#endif

/* Paths are relative to tests/vectors.  The caller frees what is returned. */
int32_t *mv_tokens(const char *path, int64_t *n);
float *mv_floats(const char *path, int64_t *n); /* NULL: no such file */

extern enum ggl_precision mv_precision; /* of the models that are loaded next */
struct ggl_model *mv_load(const char *path, int32_t n_threads);
/* A path outside the vectors. */
struct ggl_model *mv_load_file(const char *path, int32_t n_threads);
struct ggl_session *mv_session(struct ggl_model *m, int32_t n_chunk, bool mtp);

/* All rows that a session gives while it collects: main row i at logits + i * n_vocab, the same for draft rows. */
struct mv_rows {
    float *logits, *draft;
    int64_t n_vocab, n, n_draft, cap;
};
void mv_collect(struct mv_rows *rows, struct ggl_session *s, int64_t cap);
void mv_free_rows(struct mv_rows *rows);

/* A fresh session, all tokens in one call. */
struct mv_rows mv_eval(struct ggl_model *m, const struct ggl_session_params *p, const int32_t *ids, int64_t n);
void mv_eval_ids(struct ggl_session *s, const int32_t *ids, int64_t n);

/* Bit for bit, main and draft rows. */
void mv_same_rows(const struct mv_rows *a, const struct mv_rows *b, const char *what);
void mv_same_logits(const float *a, const float *b, int64_t n, const char *what);

#endif
