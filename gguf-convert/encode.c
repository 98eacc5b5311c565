/*
 * Rows of one type to blocks of another, through float.  Rows are independent of each other, so the result does not
 * depend on the number of threads; only some rows of the output are in memory at a time.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

struct row_encoder {
    struct ggl_team *team;
    const struct imatrix *imatrix; /* or NULL */
    const float *weights;          /* of the step's inputs, or NULL */
    float *ones;
    const struct ggl_tensor *source;
    enum ggl_type type;
    uint64_t row_bytes;
    uint8_t *blocks; /* of rows first .. first + n - 1 of the step */
    float *rows;     /* one a thread */
    bool *spoilt;    /* one a thread: it has met a number that is not finite */
    int64_t first, n;
};

enum ggl_status rows_new(int64_t threads, const struct imatrix *imatrix, struct row_encoder **out, struct ggl_error *err)
{
    struct row_encoder *e = calloc(1, sizeof(*e));
    *out = e;
    if (!e) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "encoder");
    e->imatrix = imatrix;
    return ggl_team_new((int)threads, &e->team, err);
}

static void free_buffers(struct row_encoder *e)
{
    free(e->blocks);
    free(e->rows);
    free(e->spoilt);
    free(e->ones);
    e->ones = NULL;
    e->blocks = NULL;
    e->rows = NULL;
    e->spoilt = NULL;
}

void rows_free(struct row_encoder *e)
{
    if (!e) return;
    free_buffers(e);
    ggl_team_free(e->team);
    free(e);
}

const float *rows_weights(const struct imatrix *imatrix, const struct ggl_tensor *t, int64_t slice, enum ggl_type type,
                          const float *ones)
{
    const float *w = imatrix ? imatrix_find(imatrix, t->name, slice, t->ne[0]) : NULL;
    return w || !ggl_encode_needs_weights(type) ? w : ones; /* an expert that the text never woke */
}

int64_t rows_first_not_finite(const float *x, int64_t n)
{
    int64_t i = 0;
    while (i < n && isfinite(x[i])) i++;
    return i;
}

enum ggl_status rows_not_finite(const struct ggl_tensor *t, int64_t row, const float *x, int64_t i, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, isnan(x[i]) ? "not a number" : "infinity",
                    "a finite number", "%s: row %" PRId64 ", element %" PRId64, t->name, row, i);
}

static enum ggl_status prepare(struct row_encoder *e, const struct ggl_tensor *t, enum ggl_type type, int64_t most,
                               struct ggl_error *err)
{
    size_t threads = (size_t)ggl_team_size(e->team);
    free_buffers(e);
    e->source = t;
    e->type = type;
    e->blocks = malloc((size_t)most * (size_t)e->row_bytes);
    e->rows = calloc(threads, (size_t)t->ne[0] * sizeof(float));
    e->spoilt = calloc(threads, sizeof(*e->spoilt));
    e->ones = malloc((size_t)t->ne[0] * sizeof(float));
    for (int64_t i = 0; e->ones && i < t->ne[0]; i++) e->ones[i] = 1;
    if (e->blocks && e->rows && e->spoilt && e->ones) return GGL_OK;
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: buffers", t->name);
}

static bool decode(const struct row_encoder *e, int64_t row, float *x)
{
    return ggl_tensor_decode_row(e->source, 0, row, x);
}

static void encode_share(void *arg, int ith, int nth)
{
    struct row_encoder *e = arg;
    const int64_t n = e->source->ne[0];
    float *x = e->rows + ith * n;
    for (int64_t i = e->n * ith / nth; i < e->n * (ith + 1) / nth; i++) {
        bool good = decode(e, e->first + i, x) && rows_first_not_finite(x, n) == n;
        good = good && ggl_encode_row(e->type, x, e->weights, e->blocks + (uint64_t)i * e->row_bytes, n);
        e->spoilt[ith] = e->spoilt[ith] || !good;
    }
}

static enum ggl_status check_finite(const struct row_encoder *e, int64_t base, struct ggl_error *err)
{
    const int64_t n = e->source->ne[0];
    bool any = false;
    for (int i = 0; i < ggl_team_size(e->team); i++) any = any || e->spoilt[i];
    if (!any) return GGL_OK;
    for (int64_t row = e->first; row < e->first + e->n; row++) {
        int64_t i = decode(e, row, e->rows) ? rows_first_not_finite(e->rows, n) : n;
        if (i < n) return rows_not_finite(e->source, base + row, e->rows, i, err);
    }
    return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: no encoder", e->source->name);
}

enum ggl_status rows_emit(struct row_encoder *e, const struct step *step, enum ggl_type type, emit_sink *sink, void *user,
                          struct ggl_error *err)
{
    const struct ggl_tensor *t = &step->view;
    const int64_t rows = t->ne[1], base = step->slice * step->n_rows + step->row;
    if (!ggl_row_bytes(type, t->ne[0], &e->row_bytes)) {
        return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: broken blocks", t->name);
    }
    int64_t most = ggl_team_size(e->team) * (e->row_bytes < ENCODE_SHARE_BYTES ? (int64_t)(ENCODE_SHARE_BYTES / e->row_bytes) : 1);
    enum ggl_status s = prepare(e, t, type, most < rows ? most : rows, err);
    e->weights = s ? NULL : rows_weights(e->imatrix, t, step->slice, type, e->ones);
    for (e->first = 0; e->first < rows && !s; e->first += e->n) {
        e->n = rows - e->first < most ? rows - e->first : most;
        if ((s = emit_stopped(err))) break;
        s = ggl_team_run(e->team, encode_share, e, err);
        if (!s) s = check_finite(e, base, err);
        if (!s) s = sink(user, e->blocks, (size_t)e->n * (size_t)e->row_bytes, err);
    }
    return s;
}
