/*
 * --tokens: runs given tokens through the model and writes what comes out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ggl-eval/eval.h"

struct output {
    FILE *f;
    const char *path;
};

struct run {
    const struct token_options *o;
    struct output logits, draft;
    int64_t n_vocab;
    const int32_t *ids;
    int64_t n;
    double nll;
    int64_t scored;
    struct comparison *comparison;
    struct cli_progress progress;
};

static void write_row(struct output *o, const float *row, int64_t n)
{
    if (o->f && fwrite(row, 4, (size_t)n, o->f) != (size_t)n) cli_die(&eval_cli, 74, "%s: cannot be written", o->path);
}

static void on_logits(void *user, int64_t pos, const float *logits, bool draft)
{
    struct run *r = user;
    int32_t next = pos + 1 < r->n ? r->ids[pos + 1] : -1;
    write_row(draft ? &r->draft : &r->logits, logits, r->n_vocab);
    if (draft) return;
    if (r->o->perplexity && next >= 0) {
        r->nll += eval_surprise(logits, r->n_vocab, next);
        r->scored++;
    }
    if (r->comparison) comparison_add(r->comparison, logits, next);
}

static void on_dump(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    (void)name, (void)pos;
    write_row(user, row, n);
}

static bool on_progress(void *user, int64_t done, int64_t n)
{
    struct run *r = user;
    (void)n;
    cli_progress_update(&r->progress, (uint64_t)done);
    return true;
}

static struct output open_output(const char *path)
{
    struct output o = {NULL, path};
    if (path && !(o.f = fopen(path, "wb"))) cli_die(&eval_cli, 73, "%s: cannot be created", path);
    return o;
}

static void close_output(struct output *o)
{
    if (o->f && fclose(o->f)) cli_die(&eval_cli, 74, "%s: cannot be written", o->path);
}

/* Decimal ids between white space; anything else is an error that names its place. */
static int32_t *read_tokens(const char *path, int64_t *count)
{
    size_t size;
    char *text = cli_read_file(&eval_cli, path, &size);
    int32_t *ids = malloc((size / 2 + 1) * sizeof(*ids));
    if (!ids) cli_die(&eval_cli, 70, "out of memory");
    *count = 0;
    for (size_t i = 0; i < size;) {
        if (strchr(" \t\r\n", text[i]) && text[i]) {
            i++;
            continue;
        }
        int64_t v = 0;
        size_t start = i;
        for (; i < size && text[i] >= '0' && text[i] <= '9' && v <= INT32_MAX; i++) v = 10 * v + (text[i] - '0');
        bool ends = i == size || (text[i] && strchr(" \t\r\n", text[i]));
        if (i == start || !ends || v > INT32_MAX)
            cli_die(&eval_cli, 65, "%s: byte %zu: not a token id (expected decimal numbers between white space)", path, start);
        ids[(*count)++] = (int32_t)v;
    }
    free(text);
    if (!*count) cli_die(&eval_cli, 65, "%s: holds no tokens", path);
    return ids;
}

/* Before an output file is touched. */
static void check_tokens(const struct token_options *o, const struct ggl_model *m, const int32_t *ids, int64_t n)
{
    int32_t n_vocab = ggl_model_n_vocab(m), n_ctx = ggl_model_n_ctx_train(m);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= n_vocab)
            cli_die(&eval_cli, 65, "%s: token %lld (from 0) is %d, expected 0..%d", o->path, (long long)i, ids[i], n_vocab - 1);
    if (n > n_ctx)
        cli_die(&eval_cli, 75, "%s: %lld tokens, the model's context is %d", o->path, (long long)n, n_ctx);
    if ((o->perplexity || o->base) && n < 2)
        cli_die(&eval_cli, 65, "%s: %s needs two tokens or more", o->path, o->base ? "--kl-base" : "--perplexity");
}

static void add_dumps(const struct token_options *o, struct ggl_session *s, struct output *outputs)
{
    struct ggl_error err;
    for (int i = 0; i < o->dumps.n; i++) {
        const char *item = o->dumps.items[i], *eq = strchr(item, '=');
        char name[64];
        if (!eq || !eq[1] || (size_t)(eq - item) >= sizeof(name)) cli_die(&eval_cli, 2, "--dump %s: expected NAME=FILE", item);
        snprintf(name, sizeof(name), "%.*s", (int)(eq - item), item);
        if (ggl_session_dump(s, name, on_dump, &outputs[i], &err)) cli_die_error(&eval_cli, &err);
    }
    for (int i = 0; i < o->dumps.n; i++) outputs[i] = open_output(strchr(o->dumps.items[i], '=') + 1);
}

void tokens_run(const struct token_options *o, struct ggl_model *m)
{
    struct ggl_error err;
    struct run r = {.o = o, .n_vocab = ggl_model_n_vocab(m)};
    int32_t *ids = read_tokens(o->path, &r.n);
    r.ids = ids;
    check_tokens(o, m, ids, r.n);
    struct ggl_session *s = eval_session(m, r.n, o->draft || ((o->dumps.n || o->imatrix) && ggl_model_has_mtp(m)));

    struct output dumps[EVAL_MAX_DUMPS] = {{0}};
    add_dumps(o, s, dumps);
    if (o->base) r.comparison = comparison_new(o->base, r.n, r.n_vocab);
    struct calibration *calibration = o->imatrix ? calibration_new(o->imatrix, s) : NULL;
    r.logits = open_output(o->logits);
    r.draft = open_output(o->draft);
    if (o->logits || o->draft || o->perplexity || o->base) ggl_session_set_logits_fn(s, on_logits, &r);
    ggl_session_set_progress(s, on_progress, &r);
    eval_print_warnings();
    cli_progress_begin(&r.progress, "evaluating", "tokens", (uint64_t)r.n, o->quiet);
    if (ggl_session_eval(s, ids, r.n, &err)) cli_die_error(&eval_cli, &err);
    cli_progress_end(&r.progress, (uint64_t)r.n);

    for (int i = 0; i < o->dumps.n; i++) close_output(&dumps[i]);
    close_output(&r.logits);
    close_output(&r.draft);
    if (o->perplexity && r.scored) printf("perplexity %.6f over %lld tokens\n", exp(r.nll / (double)r.scored), (long long)r.scored);
    if (r.comparison) {
        comparison_print(r.comparison, stdout);
        comparison_free(r.comparison);
    }
    if (calibration) calibration_finish(calibration, o->path, r.n);
    free(ids);
}
