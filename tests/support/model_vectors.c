#include "support/model_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void full_path(const char *path, char out[1024])
{
    snprintf(out, 1024, "%s/%s", GGL_TEST_VECTORS, path);
}

int32_t *mv_tokens(const char *path, int64_t *n)
{
    char full[1024];
    full_path(path, full);
    FILE *f = fopen(full, "r");
    if (!f) fail_msg("%s: cannot be opened", full);
    int32_t *ids = malloc(4096 * sizeof(*ids));
    assert_non_null(ids);
    for (*n = 0; *n < 4096 && fscanf(f, "%d", &ids[*n]) == 1;) ++*n;
    fclose(f);
    assert_true(*n > 0 && *n < 4096);
    return ids;
}

float *mv_floats(const char *path, int64_t *n)
{
    char full[1024];
    full_path(path, full);
    FILE *f = fopen(full, "rb");
    if (!f) return NULL;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    assert_true(size > 0 && size % 4 == 0);
    float *x = malloc((size_t)size);
    assert_non_null(x);
    rewind(f);
    assert_int_equal(fread(x, 1, (size_t)size, f), size);
    fclose(f);
    *n = size / 4;
    return x;
}

static void check(enum ggl_status s, const struct ggl_error *err, const char *what)
{
    char line[GGL_ERROR_LINE];
    if (s) fail_msg("%s: %s", what, ggl_error_line(err, line, sizeof(line)));
}

enum ggl_precision mv_precision = GGL_PRECISION_F32;

struct ggl_model *mv_load_file(const char *path, int32_t n_threads)
{
    struct ggl_model_params p = ggl_model_defaults();
    struct ggl_model *m = NULL;
    struct ggl_error err = {0};
    p.n_threads = n_threads;
    p.precision = mv_precision;
    check(ggl_model_load(path, &p, &m, &err), &err, "load");
    return m;
}

struct ggl_model *mv_load(const char *path, int32_t n_threads)
{
    char full[1024];
    full_path(path, full);
    return mv_load_file(full, n_threads);
}

struct ggl_session *mv_session(struct ggl_model *m, int32_t n_chunk, bool mtp)
{
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s = NULL;
    struct ggl_error err = {0};
    p.n_chunk = n_chunk;
    p.mtp = mtp;
    check(ggl_session_new(m, &p, &s, &err), &err, "session");
    return s;
}

static void collect(void *user, int64_t pos, const float *logits, bool draft)
{
    struct mv_rows *r = user;
    int64_t *n = draft ? &r->n_draft : &r->n;
    assert_true(pos >= 0 && pos < r->cap);
    memcpy((draft ? r->draft : r->logits) + pos * r->n_vocab, logits, (size_t)r->n_vocab * 4);
    *n = pos + 1 > *n ? pos + 1 : *n;
}

void mv_collect(struct mv_rows *rows, struct ggl_session *s, int64_t cap)
{
    if (!rows->logits) {
        rows->cap = cap;
        rows->logits = calloc((size_t)(cap * rows->n_vocab), 4);
        rows->draft = calloc((size_t)(cap * rows->n_vocab), 4);
        assert_true(rows->logits && rows->draft);
    }
    ggl_session_set_logits_fn(s, collect, rows);
}

void mv_free_rows(struct mv_rows *rows)
{
    free(rows->logits);
    free(rows->draft);
    memset(rows, 0, sizeof(*rows));
}

void mv_eval_ids(struct ggl_session *s, const int32_t *ids, int64_t n)
{
    struct ggl_error err = {0};
    check(ggl_session_eval(s, ids, n, &err), &err, "eval");
}

struct mv_rows mv_eval(struct ggl_model *m, const struct ggl_session_params *p, const int32_t *ids, int64_t n)
{
    struct mv_rows rows = {.n_vocab = ggl_model_n_vocab(m)};
    struct ggl_session *s = NULL;
    struct ggl_error err = {0};
    check(ggl_session_new(m, p, &s, &err), &err, "session");
    mv_collect(&rows, s, n);
    mv_eval_ids(s, ids, n);
    mv_same_logits(ggl_session_logits(s), rows.logits + (n - 1) * rows.n_vocab, rows.n_vocab, "the session's logits");
    ggl_session_free(s);
    return rows;
}

void mv_same_logits(const float *a, const float *b, int64_t n, const char *what)
{
    assert_true(a && b);
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], 4) != 0)
            fail_msg("%s: element %lld is %a and %a", what, (long long)i, (double)a[i], (double)b[i]);
}

void mv_same_rows(const struct mv_rows *a, const struct mv_rows *b, const char *what)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_draft, b->n_draft);
    mv_same_logits(a->logits, b->logits, a->n * a->n_vocab, what);
    mv_same_logits(a->draft, b->draft, a->n_draft * a->n_vocab, what);
}
