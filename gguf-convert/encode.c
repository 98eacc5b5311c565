/*
 * Rows of one type to blocks of another, through float.  Rows are independent of each other, so the result does not
 * depend on the number of threads; only some rows of the output are in memory at a time.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include "ggml-lite/cpu.h"
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

struct row_encoder {
    struct ggl_team *team;
    const struct imatrix *imatrix; /* or NULL */
    const float *weights;          /* of the step's inputs, or NULL */
    float *ones;
    const struct ggl_tensor *source;
    enum ggl_type type;
    uint64_t isa; /* of this processor; never changes a result */
    uint64_t row_bytes;
    int64_t base;         /* the step's first row in the source */
    int64_t n_rows;       /* of a piece; the last one may have fewer */
    uint8_t *blocks;      /* of the pieces that are in memory */
    float *rows;          /* one a thread */
    bool *spoilt;         /* one a slot: a number is not finite */
    struct pieces pieces; /* of the step */
    emit_sink *sink;
    void *user;
};

enum ggl_status rows_new(int64_t threads, const struct imatrix *imatrix, struct row_encoder **out, struct ggl_error *err)
{
    struct row_encoder *e = calloc(1, sizeof(*e));
    *out = e;
    if (!e) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "encoder");
    e->imatrix = imatrix;
    e->isa = ggl_cpu_isa();
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
    unsigned any = 0; /* most rows have none: no need to stop at each */
    for (int64_t k = 0; k < n; k++) any |= (unsigned)!(fabsf(x[k]) <= FLT_MAX);
    if (!any) return n;
    while (isfinite(x[i])) i++;
    return i;
}

enum ggl_status rows_blame(const struct ggl_tensor *t, int64_t base, int64_t begin, int64_t end, struct ggl_error *err)
{
    const int64_t n = t->ne[0];
    float *x = malloc((size_t)n * sizeof(*x)); /* the threads' are in use */
    if (!x) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: a row", t->name);
    enum ggl_status s = GGL_OK;
    for (int64_t row = begin; row < end && !s; row++) {
        int64_t i = ggl_tensor_decode_row(t, 0, row, x) ? rows_first_not_finite(x, n) : n;
        if (i == n) continue;
        s = ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, isnan(x[i]) ? "not a number" : "infinity", "a finite number",
                     "%s: row %" PRId64 ", element %" PRId64, t->name, base + row, i);
    }
    free(x);
    return s ? s : ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: no decoder or encoder", t->name);
}

static enum ggl_status prepare(struct row_encoder *e, const struct ggl_tensor *t, struct ggl_error *err)
{
    const size_t threads = (size_t)ggl_team_size(e->team), slots = (size_t)e->pieces.n_slots;
    free_buffers(e);
    e->blocks = malloc(slots * (size_t)e->n_rows * (size_t)e->row_bytes);
    e->rows = calloc(threads, (size_t)t->ne[0] * sizeof(float));
    e->spoilt = calloc(slots, sizeof(*e->spoilt));
    e->ones = malloc((size_t)t->ne[0] * sizeof(float));
    for (int64_t i = 0; e->ones && i < t->ne[0]; i++) e->ones[i] = 1;
    if (e->blocks && e->rows && e->spoilt && e->ones) return GGL_OK;
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: buffers", t->name);
}

static int64_t end_of(const struct row_encoder *e, int64_t piece)
{
    int64_t end = (piece + 1) * e->n_rows;
    return end < e->source->ne[1] ? end : e->source->ne[1];
}

static uint8_t *blocks_of(const struct row_encoder *e, int64_t piece)
{
    return e->blocks + (uint64_t)(piece % e->pieces.n_slots * e->n_rows) * e->row_bytes;
}

static void encode_piece(void *user, int64_t piece, int ith)
{
    struct row_encoder *e = user;
    const int64_t n = e->source->ne[0];
    float *x = e->rows + ith * n;
    uint8_t *blocks = blocks_of(e, piece);
    bool good = true;
    for (int64_t row = piece * e->n_rows; row < end_of(e, piece) && good; row++, blocks += e->row_bytes) {
        good = ggl_tensor_decode_row(e->source, 0, row, x) && rows_first_not_finite(x, n) == n;
        good = good && ggl_encode_row_at(e->isa, e->type, x, e->weights, blocks, n);
    }
    e->spoilt[piece % e->pieces.n_slots] = !good;
}

static enum ggl_status hand_on(void *user, int64_t piece, struct ggl_error *err)
{
    struct row_encoder *e = user;
    enum ggl_status s = emit_stopped(err);
    if (s) return s;
    if (e->spoilt[piece % e->pieces.n_slots]) return rows_blame(e->source, e->base, piece * e->n_rows, end_of(e, piece), err);
    return e->sink(e->user, blocks_of(e, piece), (size_t)(end_of(e, piece) - piece * e->n_rows) * (size_t)e->row_bytes, err);
}

enum ggl_status rows_emit(struct row_encoder *e, const struct step *step, enum ggl_type type, emit_sink *sink, void *user,
                          struct ggl_error *err)
{
    const struct ggl_tensor *t = &step->view;
    if (!ggl_row_bytes(type, t->ne[0], &e->row_bytes)) {
        return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: broken blocks", t->name);
    }
    e->source = t;
    e->type = type;
    e->base = step->slice * step->n_rows + step->row;
    e->n_rows = e->row_bytes < ENCODE_PIECE_BYTES ? (int64_t)(ENCODE_PIECE_BYTES / e->row_bytes) : 1;
    if (e->n_rows > t->ne[1]) e->n_rows = t->ne[1];
    e->pieces = (struct pieces){.n = (t->ne[1] + e->n_rows - 1) / e->n_rows, .n_slots = PIECES_A_THREAD * ggl_team_size(e->team),
                                .make = encode_piece, .hand_on = hand_on, .user = e};
    e->sink = sink;
    e->user = user;
    enum ggl_status s = prepare(e, t, err);
    e->weights = s ? NULL : rows_weights(e->imatrix, t, step->slice, type, e->ones);
    return s ? s : pieces_run(e->team, &e->pieces, err);
}
