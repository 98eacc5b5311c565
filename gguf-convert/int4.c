/*
 * Matrices to INT4, and back for comparison.  Rows are independent of each other, so the result does not depend on the
 * number of threads; only the codes of some rows and the scales of one matrix are in memory at a time.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

#define PIECE_BYTES (32u << 10) /* of codes: about two milliseconds of work */
#define GROUP 32

struct int4_encoder {
    struct ggl_team *team;
    const struct imatrix *imatrix; /* or NULL */
    const struct ggl_tensor *source; /* whose scales these are: */
    const struct step *step;         /* its rows that are in memory */
    uint8_t *scales;
    float *row_scales;
    int64_t n_rows;  /* of a piece; the last one may have fewer */
    uint8_t *codes;  /* of the pieces that are in memory */
    float *rows;     /* one a thread */
    bool *spoilt;    /* one a slot: a number is not finite */
    struct pieces pieces; /* of the step */
    emit_sink *sink;
    void *user;
};

enum ggl_status int4_new(int64_t threads, const struct imatrix *imatrix, struct int4_encoder **out, struct ggl_error *err)
{
    struct int4_encoder *e = calloc(1, sizeof(*e));
    *out = e;
    if (!e) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "INT4 encoder");
    e->imatrix = imatrix;
    return ggl_team_new((int)threads, &e->team, err);
}

static void free_buffers(struct int4_encoder *e)
{
    free(e->scales);
    free(e->row_scales);
    free(e->codes);
    free(e->rows);
    free(e->spoilt);
    e->scales = e->codes = NULL;
    e->row_scales = e->rows = NULL;
    e->spoilt = NULL;
}

void int4_free(struct int4_encoder *e)
{
    if (!e) return;
    free_buffers(e);
    ggl_team_free(e->team);
    free(e);
}

/* ---- encoding */

static enum ggl_status prepare(struct int4_encoder *e, const struct ggl_tensor *t, struct ggl_error *err)
{
    const size_t n = (size_t)t->ne[0], rows = (size_t)t->ne[1], threads = (size_t)ggl_team_size(e->team);
    const size_t slots = PIECES_A_THREAD * threads, piece = n / 2 < PIECE_BYTES ? PIECE_BYTES / (n / 2) : 1;
    free_buffers(e);
    e->source = t;
    e->n_rows = (int64_t)(piece < rows ? piece : rows);
    e->scales = malloc(rows * (n / GROUP));
    e->row_scales = malloc(rows * sizeof(float));
    e->codes = malloc(slots * (size_t)e->n_rows * (n / 2));
    e->rows = calloc(threads, n * sizeof(float));
    e->spoilt = calloc(slots, sizeof(*e->spoilt));
    if (e->scales && e->row_scales && e->codes && e->rows && e->spoilt) return GGL_OK;
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: INT4 scales and buffers", t->name);
}

static int64_t end_of(const struct int4_encoder *e, int64_t piece)
{
    int64_t end = (piece + 1) * e->n_rows;
    return end < e->step->view.ne[1] ? end : e->step->view.ne[1];
}

static uint8_t *codes_of(const struct int4_encoder *e, int64_t piece)
{
    return e->codes + piece % e->pieces.n_slots * e->n_rows * (e->source->ne[0] / 2);
}

static void encode_piece(void *user, int64_t piece, int ith)
{
    struct int4_encoder *e = user;
    const int64_t n = e->source->ne[0];
    float *x = e->rows + ith * n;
    uint8_t *codes = codes_of(e, piece);
    const float *weights = e->imatrix ? imatrix_find(e->imatrix, e->source->name, 0, n) : NULL;
    bool good = true;
    for (int64_t i = piece * e->n_rows; i < end_of(e, piece) && good; i++, codes += n / 2) {
        const int64_t row = e->step->row + i;
        good = ggl_tensor_decode_row(&e->step->view, 0, i, x) && rows_first_not_finite(x, n) == n;
        if (good) ggl_int4_encode_row(x, weights, codes, e->scales + row * (n / GROUP), &e->row_scales[row], n);
    }
    e->spoilt[piece % e->pieces.n_slots] = !good;
}

static enum ggl_status hand_on(void *user, int64_t piece, struct ggl_error *err)
{
    struct int4_encoder *e = user;
    enum ggl_status s = emit_stopped(err);
    if (s) return s;
    if (e->spoilt[piece % e->pieces.n_slots])
        return rows_blame(&e->step->view, e->step->row, piece * e->n_rows, end_of(e, piece), err);
    size_t bytes = (size_t)(end_of(e, piece) - piece * e->n_rows) * (size_t)(e->source->ne[0] / 2);
    return e->sink(e->user, codes_of(e, piece), bytes, err);
}

static enum ggl_status emit_codes(struct int4_encoder *e, const struct ggl_tensor *t, const struct step *step,
                                  emit_sink *sink, void *user, struct ggl_error *err)
{
    enum ggl_status s = step->row ? GGL_OK : prepare(e, t, err);
    if (s) return s;
    e->step = step;
    e->sink = sink;
    e->user = user;
    e->pieces = (struct pieces){.n = (step->view.ne[1] + e->n_rows - 1) / e->n_rows,
                                .n_slots = PIECES_A_THREAD * ggl_team_size(e->team),
                                .make = encode_piece, .hand_on = hand_on, .user = e};
    return pieces_run(e->team, &e->pieces, err);
}

enum ggl_status int4_emit(struct int4_encoder *e, const struct item *item, const struct step *step, emit_sink *sink,
                          void *user, struct ggl_error *err)
{
    const struct ggl_tensor *t = item->source;
    if (item->kind == ITEM_INT4 && (!step->row || e->source == t)) return emit_codes(e, t, step, sink, user, err);
    if (e->source != t) /* the plan puts the three planes next to each other */
        return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: scales before codes", t->name);
    const void *plane = item->kind == ITEM_INT4_SCALE ? (const void *)e->scales : e->row_scales;
    return sink(user, plane, (size_t)item->bytes, err);
}

/* ---- comparing */

/* Whether another code than this one would be nearer to x; ties, and the rounding of what decided, are let pass. */
static bool has_nearer(double x, double d, int code)
{
    static const double levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    double error = fabs(x - d * levels[code]) * 0.9999;
    return (code > 0 && fabs(x - d * levels[code - 1]) < error) || (code < 15 && fabs(x - d * levels[code + 1]) < error);
}

/* One group; its squared error and power, or false. */
static bool compare_group(const float *x, const uint8_t *codes, double d, double *error, double *power)
{
    float y[GROUP];
    uint8_t one = 0x38; /* scale 1 */
    ggl_int4_decode_row(codes, &one, 1, y, GROUP);
    *error = *power = 0;
    for (int i = 0; i < GROUP; i++) {
        double e = (double)x[i] - d * (double)y[i];
        int code = i < GROUP / 2 ? codes[i] & 15 : codes[i - GROUP / 2] >> 4;
        if (!isfinite(e) || has_nearer(x[i], d, code)) return false;
        *error += e * e;
        *power += (double)x[i] * (double)x[i];
    }
    return true;
}

bool int4_compare_row(const struct ggl_tensor *t, int64_t row, const float *x, struct int4_stats *stats)
{
    const uint8_t *codes = ggl_tensor_slice(t, 0) + (uint64_t)row * t->row_bytes;
    const uint8_t *scales = ggl_tensor_scale_slice(t, 0) + (uint64_t)row * t->scale_row_bytes;
    const double row_scale = (double)ggl_tensor_row_scales(t, 0)[row];
    for (int64_t g = 0; g < t->ne[0] / GROUP; g++) {
        double error, power, d = row_scale * (double)ggl_e4m3_to_f32(scales[g]);
        if (!compare_group(x + g * GROUP, codes + g * GROUP / 2, d, &error, &power)) return false;
        stats->error += error;
        stats->power += power;
        double relative = power > 0 ? sqrt(error / power) : 0;
        if (relative > stats->worst) stats->worst = relative, stats->worst_row = row, stats->worst_input = g * GROUP;
    }
    return true;
}
