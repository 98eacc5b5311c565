/*
 * Where the output goes, and writing it: keys and shapes first, then every tensor's bytes, step by step.  Everything
 * has temporary names and a journal (journal.h) until it is complete, so that the next run can go on where this one
 * was stopped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ggml-lite/src/gguf_internal.h"
#include "gguf-convert/convert.h"
#include "gguf-convert/journal.h"

/* Part `part` of n_parts; n_parts = 0: a file that is not split. */
static char *part_path(const char *output, uint32_t part, uint32_t n_parts)
{
    size_t n = strlen(output), stem = n > 5 && strcmp(output + n - 5, ".gguf") == 0 ? n - 5 : n;
    char *path = malloc(n + 64);
    if (!path) return NULL;
    if (!n_parts) snprintf(path, n + 64, "%s", output);
    else snprintf(path, n + 64, "%.*s-%05" PRIu32 "-of-%05" PRIu32 ".gguf", (int)stem, output, part + 1, n_parts);
    return path;
}

static enum ggl_status count_parts(const struct plan *p, const struct convert_options *o, uint32_t *n_parts,
                                   struct ggl_error *err)
{
    struct ggl_gguf_layout layout;
    const struct ggl_gguf_write_options options = {.split_max_bytes = o->split_max_bytes};
    *n_parts = 0;
    if (!o->split_max_bytes) return GGL_OK;
    enum ggl_status s = ggl_gguf_layout_init(&layout, p->out, &options, err);
    if (s) return s;
    *n_parts = layout.n_parts;
    ggl_gguf_layout_deinit(&layout);
    return GGL_OK;
}

enum ggl_status write_first_path(const struct plan *p, const struct convert_options *o, char **path,
                                 struct ggl_error *err)
{
    uint32_t n_parts;
    enum ggl_status s = count_parts(p, o, &n_parts, err);
    if (s) return s;
    *path = part_path(o->output, 0, n_parts);
    if (*path) return GGL_OK;
    return ggl_fail(err, GGL_ERR_NOMEM, o->output, GGL_NO_OFFSET, NULL, NULL, "output path");
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static enum ggl_status no_memory(const char *path, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "output path");
}

/* PATH.part or PATH.journal, to be freed. */
static char *with_end(const char *path, const char *end)
{
    size_t n = strlen(path) + strlen(end) + 1;
    char *text = malloc(n);
    if (text) snprintf(text, n, "%s%s", path, end);
    return text;
}

bool write_is_open(const struct convert_options *o)
{
    char *path = with_end(o->output, ".journal");
    bool there = path && exists(path);
    free(path);
    return there;
}

/* An output that a stopped run has finished already is no obstacle to going on with it. */
static bool is_ours(const char *path, const char *part, bool renaming)
{
    struct stat st, other;
    if (lstat(part, &other) != 0) return renaming;
    return lstat(path, &st) == 0 && st.st_dev == other.st_dev && st.st_ino == other.st_ino;
}

static enum ggl_status check_path(const struct plan *p, const struct convert_options *o, const char *path,
                                  const struct journal *j, struct ggl_error *err)
{
    struct stat st;
    const char *input = inputs_same_file(p, path);
    if (input) {
        return ggl_fail(err, GGL_ERR_ARGUMENT, path, GGL_NO_OFFSET, NULL, NULL, "the output is the input %.160s", input);
    }
    char *part = with_end(path, ".part");
    if (!part) return no_memory(path, err);
    enum ggl_status s = GGL_OK;
    if (!j && !o->force && !o->resume && exists(part)) {
        s = ggl_fail(err, GGL_ERR_CREATE, part, GGL_NO_OFFSET, NULL, NULL,
                     "left by an interrupted conversion: --resume goes on with it, --force starts anew");
    } else if (j && !journal_found(j) && !o->force && exists(part)) {
        s = ggl_fail(err, GGL_ERR_CREATE, part, GGL_NO_OFFSET, NULL, NULL,
                     "left by an interrupted conversion whose journal is lost: --force starts anew");
    } else if (lstat(path, &st) != 0) {
        s = GGL_OK;
    } else if (!o->force && !o->resume && !j) {
        s = ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, NULL, NULL, "it exists already (--force replaces it)");
    } else if (j && !o->force && !is_ours(path, part, journal_renaming(j))) {
        s = ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, NULL, NULL, "it exists already (--force replaces it)");
    } else if (S_ISDIR(st.st_mode)) {
        s = ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, NULL, NULL, "it is a folder");
    }
    free(part);
    return s;
}

/* Every part's path; j: the journal, when it is open. */
static enum ggl_status check_paths(const struct plan *p, const struct convert_options *o, const struct journal *j,
                                   struct ggl_error *err)
{
    uint32_t n_parts;
    enum ggl_status s = count_parts(p, o, &n_parts, err);
    for (uint32_t i = 0; i < (n_parts ? n_parts : 1) && !s; i++) {
        char *path = part_path(o->output, i, n_parts);
        if (!path) return no_memory(o->output, err);
        s = check_path(p, o, path, j, err);
        free(path);
    }
    return s;
}

enum ggl_status write_check_output(const struct plan *p, const struct convert_options *o, struct ggl_error *err)
{
    return check_paths(p, o, NULL, err);
}

/* ---- writing */

#define MARK_BYTES   (32u << 20) /* what a kill may cost, */
#define MARK_SECONDS 5           /* or so much work */

struct sink {
    const struct plan *plan;
    const struct convert_options *options;
    struct ggl_gguf_writer *writer;
    struct journal *journal;
    struct cli_progress progress;
    uint64_t done;
    struct data_hash hash; /* of what came since the last mark */
    struct mark last;      /* the last place between steps: hash is this, */
    uint64_t marked;       /* and the last mark was here */
    double marked_at;
};

static enum ggl_status write_piece(void *user, const void *data, size_t n, struct ggl_error *err)
{
    struct sink *k = user;
    enum ggl_status s = ggl_gguf_write_data(k->writer, data, n, err);
    data_hash_add(&k->hash, data, n);
    k->done += n;
    cli_progress_update(&k->progress, k->done);
    return s;
}

static enum ggl_status put_mark(struct sink *k, struct ggl_error *err)
{
    int fd;
    enum ggl_status s = ggl_gguf_write_flush(k->writer, &fd, err);
    if (!s) s = journal_mark(k->journal, fd, &k->last, err);
    data_hash_begin(&k->hash);
    k->marked = k->last.bytes;
    k->marked_at = cli_now();
    return s;
}

/* The planes of an INT4 matrix come from one computation: nobody can begin in the middle. */
static bool is_within(const struct item *item, uint64_t step)
{
    return item->kind > ITEM_INT4 || (step && item->kind == ITEM_INT4);
}

/* Between two steps. */
static enum ggl_status end_step(struct sink *k, uint64_t item, uint64_t step, struct ggl_error *err)
{
    const struct plan *p = k->plan;
    if (step == steps_count(&p->items[item])) item++, step = 0;
    if (journal_renaming(k->journal) || (item < p->n_items && is_within(&p->items[item], step))) return GGL_OK;
    k->last = (struct mark){item, step, k->done, data_hash_end(&k->hash)};
    if (k->done - k->marked < MARK_BYTES && cli_now() - k->marked_at < MARK_SECONDS) return GGL_OK;
    return put_mark(k, err);
}

static enum ggl_status write_from(struct sink *k, struct mark at, const struct encoders *e, struct ggl_error *err)
{
    const struct plan *p = k->plan;
    struct step step;
    struct source *source = source_new(p);
    enum ggl_status s = source ? GGL_OK : no_memory(k->options->output, err);
    for (uint64_t i = at.item; i < p->n_items && !s; i++) {
        for (uint64_t n = i == at.item ? at.step : 0; n < steps_count(&p->items[i]) && !s; n++) {
            s = source_step(source, i, n, &step, err);
            if (!s) s = emit_step(p, i, &step, e, write_piece, k, err);
            if (!s) s = end_step(k, i, n + 1, err);
            source_done(source, &step);
        }
    }
    source_free(source);
    return s;
}

/* ---- going on */

static enum ggl_status look(void *user, const void *data, size_t n, struct ggl_error *err)
{
    struct sink *k = user;
    data_hash_add(&k->hash, data, n);
    k->done += n;
    cli_progress_update(&k->progress, k->done);
    return emit_stopped(err);
}

/* A place of this plan, behind the one before. */
static bool is_place(const struct plan *p, const struct mark *m, uint64_t before)
{
    uint64_t bytes = 0;
    if (m->item > p->n_items || m->bytes < before) return false;
    for (uint64_t i = 0; i < m->item; i++) bytes += p->items[i].bytes;
    if (m->item == p->n_items) return !m->step && bytes == m->bytes;
    if ((m->step && m->step >= steps_count(&p->items[m->item])) || is_within(&p->items[m->item], m->step)) return false;
    return bytes + steps_bytes(&p->items[m->item], m->step) == m->bytes;
}

/* Take over what the journal's first n marks vouch for; *good: as many as are true.  FORMAT when that is fewer. */
static enum ggl_status take_over(struct sink *k, uint64_t n, uint64_t *good, struct ggl_error *err)
{
    const struct mark *marks = journal_marks(k->journal);
    for (*good = 0; *good < n; ++*good) {
        const struct mark *m = &marks[*good];
        bool place = is_place(k->plan, m, k->done);
        data_hash_begin(&k->hash);
        enum ggl_status s = place ? ggl_gguf_write_skip(k->writer, m->bytes - k->done, look, k, err) : GGL_ERR_FORMAT;
        if (!s && data_hash_end(&k->hash) != m->hash) s = GGL_ERR_FORMAT;
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status begin(struct sink *k, struct ggl_error *err)
{
    const struct journal *j = k->journal;
    const struct ggl_gguf_write_options options = {
        .split_max_bytes = k->options->split_max_bytes, .overwrite = k->options->force,
        .mode = journal_renaming(j) ? GGL_GGUF_WRITE_RENAMING
                : journal_found(j)  ? GGL_GGUF_WRITE_RESUME
                                    : GGL_GGUF_WRITE_KEPT};
    k->done = 0;
    return ggl_gguf_write_begin(k->plan->out, k->options->output, &options, &k->writer, err);
}

/* Where the data is not what was written (the machine lost power, the disk is bad), the last good mark counts. */
static enum ggl_status resume(struct sink *k, struct mark *at, struct ggl_error *err)
{
    uint64_t n = journal_n_marks(k->journal), good = 0;
    enum ggl_status s = begin(k, err);
    if (s) return s;
    bool quiet = k->options->quiet || !n;
    cli_progress_begin(&k->progress, "checking", "B", n ? journal_marks(k->journal)[n - 1].bytes : 0, quiet);
    s = take_over(k, n, &good, err);
    while (s == GGL_ERR_FORMAT) {
        ggl_gguf_write_suspend(k->writer);
        k->writer = NULL;
        if (!k->options->quiet) {
            fprintf(stderr, "gguf-convert: warning: %s: damaged after %" PRIu64 " bytes of data; that is written again\n",
                    k->options->output, good ? journal_marks(k->journal)[good - 1].bytes : 0);
        }
        s = journal_cut(k->journal, good, err);
        if (!s) s = begin(k, err);
        if (!s) s = take_over(k, good, &good, err);
    }
    cli_progress_end(&k->progress, k->done);
    if (!s && !journal_renaming(k->journal)) s = journal_cut(k->journal, good, err); /* and a torn line behind it */
    if (!s && good) *at = journal_marks(k->journal)[good - 1];
    return s;
}

/* ---- before and after */

/* Parts that another conversion left: their number is in its journal. */
static void remove_parts(const char *output, uint32_t n_parts)
{
    for (uint32_t i = 0; i < (n_parts ? n_parts : 1); i++) {
        char *path = part_path(output, i, n_parts), *part = path ? with_end(path, ".part") : NULL;
        if (part) unlink(part);
        free(part);
        free(path);
    }
}

static enum ggl_status open_journal(struct sink *k, uint32_t n_parts, const char *path, struct ggl_error *err)
{
    const struct convert_options *o = k->options;
    uint64_t old_parts = journal_peek(path, "parts");
    char *identity = identity_text(k->plan, o, n_parts);
    if (!identity) return no_memory(path, err);
    enum journal_mode mode = o->resume ? JOURNAL_RESUME : o->force ? JOURNAL_ANEW : JOURNAL_NEW;
    enum ggl_status s = journal_open(path, mode, identity, &k->journal, err);
    if (s == GGL_ERR_ARGUMENT && o->force) {
        s = journal_open(path, JOURNAL_ANEW, identity, &k->journal, err);
    }
    free(identity);
    if (!s) s = check_paths(k->plan, o, k->journal, err);
    if (!s && o->force && !journal_found(k->journal)) {
        if (old_parts <= 65535) remove_parts(o->output, (uint32_t)old_parts);
        remove_parts(o->output, n_parts);
    }
    return s;
}

enum stage {
    STAGE_OPENING, /* nothing was changed yet that was there before */
    STAGE_WRITING,
    STAGE_CHECKING, /* whether the inputs are still what they were */
    STAGE_RENAMING,
};

/* Whether what is written is worth keeping; a broken input stays broken. */
static bool is_kept(const struct sink *k, enum stage stage, enum ggl_status s)
{
    if (stage == STAGE_OPENING) return journal_found(k->journal);
    if (stage == STAGE_CHECKING) return false;
    if (journal_renaming(k->journal)) return true;
    return journal_n_marks(k->journal) && (s == GGL_ERR_CANCELLED || s == GGL_ERR_NOMEM || s == GGL_ERR_IO);
}

/* Close everything after a failure, keep what going on can use, and say how. */
static void stop(struct sink *k, enum stage stage, enum ggl_status s, struct ggl_error *err)
{
    struct ggl_error ignored;
    if (stage == STAGE_WRITING && s == GGL_ERR_CANCELLED && k->last.bytes > k->marked) (void)put_mark(k, &ignored);
    (void)journal_wait(k->journal, NULL);
    bool keep = is_kept(k, stage, s);
    if (keep) ggl_gguf_write_suspend(k->writer);
    else ggl_gguf_write_abort(k->writer);
    if (!err || stage == STAGE_OPENING) return;
    const struct ggl_error was = *err;
    if (!keep) {
        if (s == GGL_ERR_CANCELLED) ggl_fail(err, s, was.path, was.offset, NULL, NULL, "%.150s; nothing is kept", was.what);
        return;
    }
    uint64_t total = k->plan->tensor_bytes ? k->plan->tensor_bytes : 1;
    ggl_fail(err, s, was.path, was.offset, was.found, was.expected, "%.150s; the same command with --resume goes on from %d %%",
             was.what, (int)(100 * (double)k->marked / (double)total));
}

static enum ggl_status write_all(struct sink *k, struct mark at, struct ggl_error *err)
{
    const struct plan *p = k->plan;
    struct encoders e = {NULL, NULL};
    enum ggl_status s = GGL_OK;
    data_hash_begin(&k->hash);
    k->last = at;
    k->marked = at.bytes;
    k->marked_at = cli_now();
    if (p->n_int4) s = int4_new(k->options->threads, p->imatrix, &e.int4, err);
    if (p->n_encoded && !s) s = rows_new(k->options->threads, p->imatrix, &e.rows, err);
    cli_progress_begin(&k->progress, "writing", "B", p->tensor_bytes, k->options->quiet);
    if (!s) s = write_from(k, at, &e, err);
    if (!s) s = journal_wait(k->journal, err);
    cli_progress_end(&k->progress, k->done);
    int4_free(e.int4);
    rows_free(e.rows);
    return s;
}

enum ggl_status write_output(const struct plan *p, const struct convert_options *o, struct ggl_error *err)
{
    struct sink k = {.plan = p, .options = o};
    struct mark at = {0};
    enum stage stage = STAGE_OPENING;
    uint32_t n_parts;
    enum ggl_status s = count_parts(p, o, &n_parts, err);
    if (s) return s;
    char *path = with_end(o->output, ".journal");
    if (!path) return no_memory(o->output, err);
    s = open_journal(&k, n_parts, path, err);
    free(path);
    if (!s) s = resume(&k, &at, err);
    if (!s) {
        stage = STAGE_WRITING;
        s = write_all(&k, at, err);
    }
    if (!s) {
        /* Whatever was read from a file that has changed may be half of each version: the output must not appear. */
        stage = STAGE_CHECKING;
        s = inputs_unchanged(p, err);
    }
    if (!s) {
        stage = STAGE_RENAMING;
        s = ggl_gguf_write_seal(k.writer, err);
        if (!s) s = journal_seal(k.journal, err);
    }
    if (!k.journal) return s;
    if (!s) {
        s = ggl_gguf_write_finish(k.writer, err);
        journal_close(k.journal, !s);
        return s;
    }
    stop(&k, stage, s, err);
    journal_close(k.journal, !is_kept(&k, stage, s));
    return s;
}
