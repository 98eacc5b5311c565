/*
 * Measuring: a session a row, brought to its depth before each repetition.  The first repetition is a warm-up that
 * does not count: it reads weights from the disk and lets the processor's clock settle.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ggl-bench/bench.h"

static struct ggl_session *volatile running; /* for the signal handler */
static struct {
    char folder[64], file[80];
    int64_t depth; /* of the saved session; 0: none */
} snapshot;

/* ---- interruption */

static void on_signal(int number)
{
    struct ggl_session *s = running;
    (void)number;
    if (!s) _exit(130);
    ggl_session_cancel(s);
}

static void remove_snapshot(void)
{
    if (!snapshot.folder[0]) return;
    unlink(snapshot.file);
    rmdir(snapshot.folder);
    memset(&snapshot, 0, sizeof(snapshot));
}

/* ---- progress: tokens over all evals of a row */

struct watch {
    struct cli_progress bar;
    uint64_t before, last; /* tokens of finished evals, of the running one */
};

static bool on_progress(void *user, int64_t done, int64_t n)
{
    struct watch *w = user;
    (void)n;
    if ((uint64_t)done <= w->last) w->before += w->last; /* another eval */
    w->last = (uint64_t)done;
    cli_progress_update(&w->bar, w->before + w->last);
    return true;
}

static void begin_watch(struct watch *w, struct ggl_session *s, const char *label, int64_t total, bool quiet)
{
    w->before = w->last = 0;
    cli_progress_begin(&w->bar, label, "tokens", (uint64_t)total, quiet);
    ggl_session_set_progress(s, on_progress, w);
}

/* ---- peaks */

static struct ggl_team *new_team(const struct bench *b)
{
    struct ggl_team *team;
    struct ggl_error err;
    if ((b->no_pin ? ggl_team_new : ggl_team_new_pinned)((int)b->threads, &team, &err)) cli_die_error(b->cli, &err);
    return team;
}

static void measure_peaks(struct bench *b)
{
    struct ggl_team *team = new_team(b);
    struct ggl_peak now;
    struct ggl_error err;
    if (ggl_peak_measure(team, &now, &err)) cli_die_error(b->cli, &err);
    ggl_team_free(team);
    if (now.read_bytes_per_s > b->peak.read_bytes_per_s) b->peak.read_bytes_per_s = now.read_bytes_per_s;
    if (now.int8_macs_per_s > b->peak.int8_macs_per_s) b->peak.int8_macs_per_s = now.int8_macs_per_s;
    if (now.bf16_macs_per_s > b->peak.bf16_macs_per_s) b->peak.bf16_macs_per_s = now.bf16_macs_per_s;
    if (now.tile_macs_per_s > b->peak.tile_macs_per_s) b->peak.tile_macs_per_s = now.tile_macs_per_s;
    b->peak.isa = now.isa;
}

/* On a shared machine the memory's speed changes by half within seconds.  So it is asked for again and again, also
 * between tokens, and a repetition is held against the mean: both then saw the same times. */
static const double sample_seconds = 0.1; /* a sample takes some milliseconds */

struct samples {
    double sum, last; /* bytes/s; when the last was taken */
    int n;
};

static void open_reader(struct bench *b)
{
    struct ggl_error err;
    b->team = new_team(b);
    if (ggl_reader_new(b->team, &b->reader, &err)) cli_die_error(b->cli, &err);
}

static void sample(struct bench *b, struct samples *s)
{
    struct ggl_error err;
    double rate;
    if (ggl_reader_sample(b->reader, &rate, &err)) cli_die_error(b->cli, &err);
    if (rate > b->peak.read_bytes_per_s) b->peak.read_bytes_per_s = rate;
    s->sum += rate;
    s->n++;
    s->last = cli_now();
}

/* ---- depth */

/* Evaluated once and saved. */
static void make_snapshot(struct bench *b, struct ggl_session *s, const int32_t *ids, int64_t depth)
{
    struct watch watch;
    struct ggl_error err;
    char label[48];
    remove_snapshot();
    snprintf(label, sizeof(label), "to d%lld", (long long)depth);
    begin_watch(&watch, s, label, depth, b->quiet);
    if (ggl_session_eval(s, ids, depth, &err)) cli_die_error(b->cli, &err);
    cli_progress_end(&watch.bar, (uint64_t)depth);
    snprintf(snapshot.folder, sizeof(snapshot.folder), "/tmp/ggl-bench-%lld.XXXXXX", (long long)getpid());
    if (!mkdtemp(snapshot.folder)) {
        snapshot.folder[0] = '\0';
        cli_die(b->cli, 73, "/tmp: a folder for the session cannot be created");
    }
    snprintf(snapshot.file, sizeof(snapshot.file), "%s/session", snapshot.folder);
    if (ggl_session_save(s, snapshot.file, &err)) cli_die_error(b->cli, &err);
    snapshot.depth = depth;
}

/* Tokens before the row's own that ids has. */
static int64_t evaluated_depth(const struct bench *b, const struct bench_row *row)
{
    return b->synthetic ? 0 : row->depth;
}

static void go_to_depth(struct bench *b, struct ggl_session *s, int64_t depth)
{
    struct ggl_error err = {0};
    ggl_session_clear(s);
    if (!depth) return;
    if (b->synthetic ? ggl_session_set_synthetic_depth(s, depth, &err) : ggl_session_load(s, snapshot.file, &err))
        cli_die_error(b->cli, &err);
}

/* ---- rows */

/* Seconds of the evaluations alone. */
static double run_once(struct bench *b, struct ggl_session *s, const struct bench_row *row, const int32_t *ids,
                       struct samples *reading)
{
    int64_t step = row->decode ? 1 : row->n;
    struct ggl_error err;
    double seconds = 0;
    sample(b, reading);
    for (int64_t i = 0; i < row->n; i += step) {
        double start = cli_now();
        if (ggl_session_eval(s, ids + i, step, &err)) cli_die_error(b->cli, &err);
        double end = cli_now();
        seconds += end - start;
        if (end - reading->last > sample_seconds) sample(b, reading);
    }
    sample(b, reading);
    return seconds;
}

/* Each pass costs its own: dense weights once a chunk, or once a decoded token. */
static struct ggl_cost cost_of(const struct ggl_model *m, const struct bench_row *row)
{
    struct ggl_cost sum = {0}, pass;
    for (int64_t i = 0, n; i < row->n; i += n) {
        n = row->decode ? 1 : row->n - i < row->n_chunk ? row->n - i : row->n_chunk;
        ggl_model_cost(m, row->depth + i, n, &pass);
        sum.weight_bytes += pass.weight_bytes;
        sum.cache_bytes += pass.cache_bytes;
        sum.weight_macs += pass.weight_macs;
        sum.cache_macs += pass.cache_macs;
    }
    return sum;
}

static struct ggl_session *open_session(struct bench *b, struct bench_row *row)
{
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s;
    struct ggl_memory memory;
    struct ggl_error err;
    p.n_ctx = (int32_t)(row->depth + row->n);
    p.n_chunk = (int32_t)b->chunk;
    if (ggl_memory_estimate(b->model, &p, &memory, &err)) cli_die_error(b->cli, &err);
    if (memory.cache + memory.activations > b->memory.cache + b->memory.activations) b->memory = memory;
    if (ggl_session_new(b->model, &p, &s, &err)) cli_die_error(b->cli, &err);
    row->n_chunk = ggl_session_n_chunk(s);
    running = s;
    return s;
}

static void measure_row(struct bench *b, struct bench_row *row, const int32_t *ids)
{
    char label[64];
    struct watch watch;
    struct ggl_session *s = open_session(b, row);
    if (row->depth && !b->synthetic && snapshot.depth != row->depth) make_snapshot(b, s, ids, row->depth);
    row->started = time(NULL);
    row->cost = cost_of(b->model, row);
    snprintf(label, sizeof(label), "%s%lld @ d%lld", row->decode ? "tg" : "pp", (long long)row->n, (long long)row->depth);
    begin_watch(&watch, s, label, row->n * (b->repetitions + 1), b->quiet);
    for (int64_t i = 0; i <= b->repetitions; i++) {
        bench_reset_peak_rss();
        go_to_depth(b, s, row->depth);
        if (b->profile && i) ggl_session_set_profile(s, &row->profile);
        struct samples reading = {0};
        double seconds = run_once(b, s, row, ids + evaluated_depth(b, row), &reading);
        uint64_t rss = bench_peak_rss(), own = ggl_reader_bytes(b->reader);
        if (rss > own && rss - own > row->rss) row->rss = rss - own;
        if (!i) continue;
        row->read[i - 1] = reading.sum / reading.n;
        row->seconds[i - 1] = seconds;
        row->tps[i - 1] = (double)row->n / seconds;
    }
    cli_progress_end(&watch.bar, (uint64_t)(row->n * (b->repetitions + 1)));
    running = NULL;
    ggl_session_free(s);
}

/* The same tokens for everybody, spread over the vocabulary. */
static int32_t *make_tokens(struct bench *b)
{
    int64_t n = 0, n_vocab = ggl_model_n_vocab(b->model);
    for (int i = 0; i < b->n_rows; i++)
        if (evaluated_depth(b, &b->rows[i]) + b->rows[i].n > n) n = evaluated_depth(b, &b->rows[i]) + b->rows[i].n;
    int32_t *ids = malloc((size_t)n * sizeof(*ids));
    if (!ids) cli_die(b->cli, 70, "out of memory");
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        ids[i] = (int32_t)((uint64_t)(state >> 8) * (uint64_t)n_vocab >> 24);
    }
    return ids;
}

void bench_run(struct bench *b)
{
    int32_t *ids = make_tokens(b);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (atexit(remove_snapshot) != 0) cli_die(b->cli, 70, "atexit failed");
    measure_peaks(b);
    open_reader(b);
    for (int i = 0; i < b->n_rows; i++) measure_row(b, &b->rows[i], ids);
    free(ids);
    remove_snapshot();
    ggl_reader_free(b->reader);
    ggl_team_free(b->team);
    measure_peaks(b);
}
