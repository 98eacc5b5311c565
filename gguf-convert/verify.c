/*
 * Compares a finished file with its source: keys, shapes, and every byte.  What was converted on the way out is
 * converted back here, by the inverse function, so a fault of the writer does not hide itself.  What was rounded must
 * be what rounding the source gives (INT4: the nearest of its levels), and how much it lost is printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/cpu.h"
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

#define PIECE_BYTES  (256u << 10)
#define BUFFER_BYTES (16u << 10)

/* What rounding has lost. */
struct loss {
    double error, power; /* sums of squares */
    double worst;        /* relative error of the worst block, and where it is */
    int64_t worst_row, worst_input;
};

struct verifier {
    const struct ggl_gguf *file;
    struct ggl_error *err;
    struct cli_progress progress;
    uint64_t done;
    uint8_t *buffer; /* BUFFER_BYTES */
    struct ggl_team *team;
    const struct step *step; /* being compared with rows of: */
    const struct ggl_tensor *tensor;
    FILE *report; /* or NULL */
    const struct imatrix *imatrix;
    const float *weights; /* of its inputs, or NULL */
    float *ones;
    bool exact;      /* its type holds every value */
    float *rows;     /* two a thread */
    uint8_t *blocks; /* a row's a thread */
    struct loss *losses; /* one a row of the step */
    bool *wrong;
};

static enum ggl_status differs(const struct verifier *v, const char *name, const char *what, const char *found,
                               const char *expected)
{
    return ggl_fail(v->err, GGL_ERR_FORMAT, ggl_gguf_path(v->file), GGL_NO_OFFSET, found, expected, "%s: %s", name, what);
}

/* at: a byte of the tensor. */
static enum ggl_status differs_at(const struct verifier *v, const struct ggl_tensor *t, uint64_t at)
{
    char what[96];
    const uint64_t slice = t->slice_bytes ? t->slice_bytes : 1;
    snprintf(what, sizeof(what), "slice %" PRIu64 ", near byte %" PRIu64, at / slice, at % slice);
    return differs(v, t->name, what, "another value", "the source's");
}

static enum ggl_status tick(struct verifier *v, uint64_t n)
{
    v->done += n;
    cli_progress_update(&v->progress, v->done);
    if (!convert_stop) return GGL_OK;
    return ggl_fail(v->err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "interrupted");
}

/* ---- keys */

/* The writer's own: they say how a file is stored, not what is in it. */
static bool is_storage_key(const char *key)
{
    return strncmp(key, "split.", 6) == 0 || strcmp(key, "ggl.tensor.xxh3") == 0;
}

static bool same_value(const struct ggl_kv *a, const struct ggl_kv *b)
{
    static const uint8_t bytes[] = {[GGL_KV_U8] = 1, [GGL_KV_I8] = 1, [GGL_KV_U16] = 2, [GGL_KV_I16] = 2,
                                    [GGL_KV_U32] = 4, [GGL_KV_I32] = 4, [GGL_KV_F32] = 4, [GGL_KV_BOOL] = 1,
                                    [GGL_KV_U64] = 8, [GGL_KV_I64] = 8, [GGL_KV_F64] = 8};
    if (a->type != b->type || a->n != b->n || (a->type == GGL_KV_ARR && a->elem != b->elem)) return false;
    enum ggl_kv_type elem = a->type == GGL_KV_ARR ? a->elem : a->type;
    for (uint64_t i = 0; elem == GGL_KV_STR && i < a->n; i++) {
        if (a->str[i].size != b->str[i].size || memcmp(a->str[i].data, b->str[i].data, (size_t)a->str[i].size) != 0) {
            return false;
        }
    }
    return elem == GGL_KV_STR || !a->n || memcmp(a->data, b->data, (size_t)a->n * bytes[elem]) == 0;
}

static enum ggl_status verify_keys(const struct verifier *v, const struct ggl_gguf *want)
{
    for (uint64_t i = 0; i < ggl_gguf_n_kv(want); i++) {
        const struct ggl_kv *kv = ggl_gguf_kv(want, i);
        const struct ggl_kv *is = ggl_gguf_find_kv(v->file, kv->key);
        if (is_storage_key(kv->key)) continue;
        if (!is) return differs(v, kv->key, "key", "missing", NULL);
        if (!same_value(kv, is)) return differs(v, kv->key, "key", "another value", "the source's");
    }
    for (uint64_t i = 0; i < ggl_gguf_n_kv(v->file); i++) {
        const char *key = ggl_gguf_kv(v->file, i)->key;
        if (is_storage_key(key) || ggl_gguf_find_kv(want, key)) continue;
        return differs(v, key, "key", "a key that the source does not give", NULL);
    }
    return GGL_OK;
}

/* ---- what is stored as it was */

static enum ggl_status verify_plane(struct verifier *v, const struct ggl_tensor *t, const uint8_t *is, const uint8_t *want,
                                    uint64_t bytes)
{
    for (uint64_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        if (memcmp(is + at, want + at, (size_t)n) != 0) {
            while (is[at] == want[at]) at++;
            return differs_at(v, t, (uint64_t)(is - t->data) + at);
        }
        enum ggl_status s = tick(v, n);
        if (s) return s;
    }
    return GGL_OK;
}

/* MXFP4 blocks back to codes and scales. */
static enum ggl_status verify_mxfp4(struct verifier *v, const struct ggl_tensor *t, const uint8_t *blocks,
                                    const struct ggl_tensor *from)
{
    const uint64_t groups = (uint64_t)(from->ne[0] / 32) * (uint64_t)from->ne[1], most = BUFFER_BYTES / 17;
    for (uint64_t g = 0, n; g < groups; g += n) {
        n = groups - g < most ? groups - g : most;
        uint8_t *back_scales = v->buffer + n * 16;
        ggl_mxfp4_to_fp4(blocks + g * 17, v->buffer, back_scales, (int64_t)n * 32);
        if (memcmp(v->buffer, from->data + g * 16, (size_t)n * 16) != 0 ||
            memcmp(back_scales, from->scale + g, (size_t)n) != 0) {
            return differs_at(v, t, (uint64_t)(blocks - t->data) + g * 17);
        }
        enum ggl_status s = tick(v, n * 17);
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status verify_ids(struct verifier *v, const struct ggl_tensor *t, const uint8_t *ids,
                                  const struct ggl_tensor *from)
{
    uint64_t n = (uint64_t)from->ne[0] * (uint64_t)from->ne[1];
    for (uint64_t i = 0; i < n; i++) {
        int64_t want;
        int32_t is;
        memcpy(&want, from->data + 8 * i, 8);
        memcpy(&is, ids + 4 * i, 4);
        if (is != want) return differs_at(v, t, (uint64_t)(ids - t->data) + 4 * i);
    }
    return tick(v, 4 * n);
}

/* ---- what was rounded: each thread takes rows, and their losses are added in order */

static void add_loss(struct loss *sum, const struct loss *row)
{
    sum->error += row->error;
    sum->power += row->power;
    if (row->worst > sum->worst) {
        sum->worst = row->worst;
        sum->worst_row = row->worst_row;
        sum->worst_input = row->worst_input;
    }
}

/* The error of one row, and of its blocks. */
static bool row_loss(const float *x, const float *y, int64_t n, int64_t block, int64_t row, struct loss *loss)
{
    *loss = (struct loss){0};
    for (int64_t at = 0; at < n; at += block) {
        double error = 0, power = 0;
        for (int64_t i = at; i < at + block && i < n; i++) {
            double e = (double)x[i] - (double)y[i];
            error += e * e;
            power += (double)x[i] * (double)x[i];
        }
        double relative = power > 0 ? sqrt(error / power) : 0;
        const struct loss part = {error, power, relative, row, at};
        add_loss(loss, &part);
    }
    return isfinite(loss->error);
}

/* One row of the file: it is what rounding the source gives.  INT4: the nearest of the levels. */
static bool same_row(const struct verifier *v, int64_t i, float *x, uint8_t *blocks)
{
    const struct ggl_tensor *from = &v->step->view, *t = v->tensor;
    const int64_t n = from->ne[0], row = v->step->slice * v->step->n_rows + v->step->row + i;
    float *y = x + n;
    if (!ggl_tensor_decode_row(from, 0, i, x)) return false;
    if (t->type == GGL_TYPE_INT4) {
        struct int4_stats stats = {0};
        bool good = int4_compare_row(t, row, x, &stats);
        v->losses[i] = (struct loss){stats.error, stats.power, stats.worst, stats.worst_row, stats.worst_input};
        return good;
    }
    const uint8_t *is = t->data + (uint64_t)row * t->row_bytes;
    return ggl_tensor_decode_row(t, v->step->slice, v->step->row + i, y) &&
           ggl_encode_row_at(ggl_cpu_isa(), t->type, x, v->weights, blocks, n) &&
           memcmp(blocks, is, (size_t)t->row_bytes) == 0 &&
           row_loss(x, y, n, ggl_type_info((uint32_t)t->type)->block_elems, row, &v->losses[i]) &&
           (!v->exact || !(v->losses[i].error > 0));
}

static void compare_share(void *arg, int ith, int nth)
{
    struct verifier *v = arg;
    const int64_t n = v->step->view.ne[0], rows = v->step->view.ne[1];
    float *x = v->rows + 2 * n * ith;
    uint8_t *blocks = v->blocks + (uint64_t)ith * v->tensor->row_bytes;
    for (int64_t i = rows * ith / nth; i < rows * (ith + 1) / nth; i++) v->wrong[i] = !same_row(v, i, x, blocks);
}

static enum ggl_status verify_rounded(struct verifier *v, const struct ggl_tensor *t, const struct step *step,
                                      struct loss *loss)
{
    const int64_t n = step->view.ne[0], rows = step->view.ne[1], base = step->slice * step->n_rows + step->row;
    const size_t threads = (size_t)ggl_team_size(v->team);
    v->rows = malloc(threads * 2 * (size_t)n * sizeof(*v->rows));
    v->blocks = malloc(threads * (size_t)t->row_bytes);
    v->losses = calloc((size_t)rows, sizeof(*v->losses));
    v->wrong = calloc((size_t)rows, sizeof(*v->wrong));
    v->ones = malloc((size_t)n * sizeof(*v->ones));
    v->step = step;
    v->tensor = t;
    enum ggl_status s = GGL_OK;
    for (int64_t i = 0; v->ones && i < n; i++) v->ones[i] = 1;
    v->weights = rows_weights(v->imatrix, &step->view, step->slice, t->type, v->ones);
    if (!v->ones || !v->rows || !v->blocks || !v->losses || !v->wrong) {
        s = ggl_fail(v->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: rows", t->name);
    }
    if (!s) s = ggl_team_run(v->team, compare_share, v, v->err);
    for (int64_t i = 0; i < rows && !s; i++) {
        if (v->wrong[i]) s = differs_at(v, t, (uint64_t)(base + i) * t->row_bytes);
        else add_loss(loss, &v->losses[i]);
    }
    free(v->ones);
    free(v->rows);
    free(v->blocks);
    free(v->losses);
    free(v->wrong);
    return s ? s : tick(v, (uint64_t)rows * t->row_bytes);
}

/* What rounding has lost, unless that must be nothing. */
static void print_loss(const struct ggl_tensor *t, const struct loss *loss)
{
    const int64_t block = ggl_type_info((uint32_t)t->type)->block_elems;
    const int64_t end = loss->worst_input + (t->type == GGL_TYPE_INT4 ? 32 : block) - 1;
    printf("%s: %s, relative RMS error %.3f %%", t->name, ggl_type_info((uint32_t)t->type)->name,
           loss->power > 0 ? 100 * sqrt(loss->error / loss->power) : 0.0);
    if (t->type == GGL_TYPE_INT4) {
        printf(", worst group %.2f %% (row %" PRId64 ", inputs %" PRId64 " to %" PRId64 ")", 100 * loss->worst, loss->worst_row,
               loss->worst_input, end);
    }
    putchar('\n');
}

/* A line of --report: tab-separated, one for every tensor that was rounded. */
static void report_loss(FILE *f, const struct item *item, const struct ggl_tensor *t, const struct loss *loss)
{
    const struct ggl_type_info *from = ggl_type_info((uint32_t)item->source->type);
    fprintf(f, "%s\t%s\t%s\t%.6g\t%.6g\t%" PRId64 "\t%" PRId64 "\n", t->name, ggl_type_info((uint32_t)t->type)->name,
            from ? from->name : "?", loss->power > 0 ? sqrt(loss->error / loss->power) : 0.0, loss->worst, loss->worst_row,
            loss->worst_input);
}

/* ---- all of it */

static enum ggl_status verify_hash(const struct verifier *v, const struct ggl_kv *hashes, uint64_t i,
                                   const struct ggl_tensor *t, uint64_t bytes)
{
    char hex[33];
    if (!hashes || !ggl_hash_hex(bytes ? t->data : NULL, (size_t)bytes, hex)) return GGL_OK;
    if (hashes->str && i < hashes->n && hashes->str[i].size == 32 && memcmp(hashes->str[i].data, hex, 32) == 0) {
        return GGL_OK;
    }
    return differs(v, t->name, "ggl.tensor.xxh3", "another hash", hex);
}

static enum ggl_status verify_shape(const struct verifier *v, const struct ggl_tensor *is, uint32_t stored,
                                    const struct ggl_tensor *want)
{
    if (strcmp(is->name, want->name) != 0) return differs(v, is->name, "name", is->name, want->name);
    if (stored != (uint32_t)want->type) return differs(v, is->name, "type", "another type", "the plan's");
    int64_t ne[GGL_MAX_DIMS]; /* as stored */
    memcpy(ne, is->ne, sizeof(ne));
    if (is->type == GGL_TYPE_INT4) ne[0] /= 2;
    if (memcmp(ne, want->ne, sizeof(ne)) != 0) { /* not n_dims: writers drop trailing ones */
        return differs(v, is->name, "shape", "another shape", "the source's");
    }
    return GGL_OK;
}

static enum ggl_status verify_step(struct verifier *v, const struct item *item, const struct ggl_tensor *t, uint64_t n,
                                   const struct step *step, struct loss *loss)
{
    const struct ggl_tensor *from = &step->view;
    const uint8_t *is = t->data + steps_bytes(item, n);
    switch (item->kind) {
    case ITEM_COPY: return verify_plane(v, t, is, from->data, from->slice_bytes);
    case ITEM_SCALE: return verify_plane(v, t, is, from->scale, from->scale_slice_bytes);
    case ITEM_MXFP4: return verify_mxfp4(v, t, is, from);
    case ITEM_IDS: return verify_ids(v, t, is, from);
    case ITEM_ENCODE:
        v->exact = item->exact || t->type == GGL_TYPE_F32;
        return verify_rounded(v, t, step, loss);
    case ITEM_INT4:
        if (t->type != GGL_TYPE_INT4) return differs(v, t->name, "type", "another type", "INT4");
        return verify_rounded(v, t, step, loss);
    default: return tick(v, item->bytes); /* compared with the codes */
    }
}

static enum ggl_status verify_tensor(struct verifier *v, const struct plan *p, struct source *source, uint64_t i)
{
    const struct item *item = &p->items[i];
    const struct ggl_tensor *t = ggl_gguf_tensor(v->file, i);
    struct loss loss = {0};
    struct step step;
    enum ggl_status s = verify_shape(v, t, ggl_gguf_stored_type(v->file, i), ggl_gguf_tensor(p->out, i));
    for (uint64_t n = 0; n < steps_count(item) && !s; n++) {
        s = source_step(source, i, n, &step, v->err);
        if (!s) s = verify_step(v, item, t, n, &step, &loss);
        source_done(source, &step);
        source_let_go(t->data + steps_bytes(item, n), steps_bytes(item, n + 1) - steps_bytes(item, n));
    }
    bool rounded = item->kind == ITEM_INT4 || (item->kind == ITEM_ENCODE && t->type != GGL_TYPE_F32 && !item->exact);
    if (!s && rounded && item->bytes && v->report) report_loss(v->report, item, t, &loss);
    else if (!s && rounded && item->bytes) print_loss(t, &loss);
    return s;
}

static enum ggl_status verify_all(struct verifier *v, const struct plan *p, struct source *source)
{
    const struct ggl_kv *hashes = ggl_gguf_find_kv(v->file, "ggl.tensor.xxh3");
    enum ggl_status s = verify_keys(v, p->out);
    if (s) return s;
    if (ggl_gguf_n_tensors(v->file) != p->n_items) {
        char found[32], expected[32];
        snprintf(found, sizeof(found), "%" PRIu64, ggl_gguf_n_tensors(v->file));
        snprintf(expected, sizeof(expected), "%" PRIu64, p->n_items);
        return differs(v, "file", "number of tensors", found, expected);
    }
    for (uint64_t i = 0; i < p->n_items && !s; i++) {
        s = verify_tensor(v, p, source, i);
        const struct ggl_tensor *t = ggl_gguf_tensor(v->file, i);
        if (!s) s = verify_hash(v, hashes, i, t, p->items[i].bytes);
        source_let_go(t->data, p->items[i].bytes);
    }
    return s;
}

/* The report is there before the long work starts, or that does not start. */
static enum ggl_status open_report(const struct convert_options *o, FILE **report, struct ggl_error *err)
{
    if (!o->report) return GGL_OK;
    *report = strcmp(o->report, "-") == 0 ? stdout : fopen(o->report, "w");
    if (!*report) return ggl_fail(err, GGL_ERR_CREATE, o->report, GGL_NO_OFFSET, strerror(errno), NULL, "cannot create");
    fprintf(*report, "tensor\ttype\tsource\trelative RMS error\tworst block\trow\tfirst input\n");
    return GGL_OK;
}

static enum ggl_status close_report(const struct convert_options *o, FILE *report, enum ggl_status s, struct ggl_error *err)
{
    if (!report || report == stdout) return s; /* whoever parsed the options looks after stdout */
    bool bad = ferror(report) != 0;
    bad = fclose(report) != 0 || bad;
    if (s || !bad) return s;
    return ggl_fail(err, GGL_ERR_IO, o->report, GGL_NO_OFFSET, strerror(errno), NULL, "cannot write");
}

enum ggl_status verify_output(const struct plan *p, const char *path, const struct convert_options *o, struct ggl_error *err)
{
    struct verifier v = {.err = err, .imatrix = p->imatrix, .buffer = malloc(BUFFER_BYTES)};
    struct source *source = source_new(p);
    struct ggl_gguf *file = NULL;
    enum ggl_status s = ggl_gguf_open(path, NULL, &file, err);
    v.file = file;
    if (!s && (!v.buffer || !source)) s = ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "buffer");
    if (!s) s = ggl_team_new((int)o->threads, &v.team, err);
    if (!s) s = open_report(o, &v.report, err);
    if (!s) {
        cli_progress_begin(&v.progress, "verifying", "B", p->tensor_bytes, o->quiet);
        s = verify_all(&v, p, source);
        cli_progress_end(&v.progress, v.done);
    }
    s = close_report(o, v.report, s, err);
    ggl_team_free(v.team);
    source_free(source);
    free(v.buffer);
    ggl_gguf_free(file);
    return s;
}
