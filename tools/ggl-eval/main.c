/*
 * ggl-eval: run given tokens through a model and write what comes out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ggl-eval/eval.h"

enum { MAX_DUMPS = 64, MAX_WARNINGS = 4 };

static struct {
    const char *model, *tokens, *logits, *draft, *precision, *rounding, *imatrix, *base;
    struct cli_list dumps;
    int64_t threads, chunk;
    bool perplexity, no_pin, quiet;
} args = {.precision = "f32", .rounding = "on"};

static const struct cli_option options[] = {
    {'m', "model", "MODEL", "GGUF file (the first part of a split one) or checkpoint directory", CLI_STR, &args.model},
    {0, "tokens", "FILE", "whitespace-separated token ids; - reads stdin", CLI_STR, &args.tokens},
    {0, "logits", "OUT.f32", "write [n_tokens, n_vocab] float32: row i are the logits after token i", CLI_STR, &args.logits},
    {0, "draft-logits", "OUT.f32", "the same of the multi-token-prediction block: [n_tokens - 1, n_vocab], row i from "
                                   "position i given token i + 1", CLI_STR, &args.draft},
    {0, "perplexity", NULL, "print the perplexity of the tokens", CLI_FLAG, &args.perplexity},
    {0, "kl-base", "BASE.f32", "compare with another model's --logits of the same tokens, as llama-perplexity --kl-divergence does", CLI_STR, &args.base},
    {0, "imatrix", "OUT.gguf", "write an importance matrix: sums of squares of the inputs of every matrix, as llama.cpp's", CLI_STR, &args.imatrix},
    {0, "precision", "f32|fast", "f32: float activations everywhere (default); fast: integers where the weights allow", CLI_STR, &args.precision},
    {0, "chunk", "N", "tokens in one pass (default 256; 1: token by token); never changes a result", CLI_INT, &args.chunk},
    {0, "cache-rounding", "on|off", "off: diagnostic, the cache keeps float rows (default on)", CLI_STR, &args.rounding},
    {0, "dump", "NAME=FILE", "write an intermediate as float32 rows, e.g. L0.attn.in=x.f32; repeatable", CLI_LIST, &args.dumps},
    {'t', "threads", "N", "worker threads (default: physical cores)", CLI_INT, &args.threads},
    {0, "no-pin", NULL, "let the system move worker threads between cores", CLI_FLAG, &args.no_pin},
    {'q', "quiet", NULL, "no progress, no warnings", CLI_FLAG, &args.quiet},
    {0}};

const struct cli eval_cli = {
    "ggl-eval", "-m MODEL --tokens FILE [options]",
    "Evaluate a file of tokens: logits, draft logits, perplexity, divergence from another model, intermediates,\n"
    "importance matrices.",
    "EXAMPLES\n"
    "  ggl-eval -m model.gguf --tokens tokens.txt --logits logits.f32\n"
    "  ggl-eval -m checkpoint/ --tokens tokens.txt --chunk 1 --dump L2.attn.q=q.f32\n"
    "  ggl-eval -m big.gguf --tokens tokens.txt --logits base.f32\n"
    "  ggl-eval -m small.gguf --tokens tokens.txt --kl-base base.f32\n"
    "  ggl-eval -m big.gguf --tokens calibration.txt --imatrix imatrix.gguf\n\n"
    "INTERMEDIATES\n"
    "  L<i>.attn.in, .attn.q, .attn.kv, .attn.compressed, .attn.index_keys, .attn.selected, .attn.out,\n"
    "  L<i>.ffn.in, .ffn.experts, .ffn.gains, .ffn.out, L<i>.h; M0.* for the multi-token-prediction block\n",
    options, 0, 0};

struct output {
    FILE *f;
    const char *path;
};

struct warnings {
    char lines[MAX_WARNINGS][GGL_ERROR_LINE];
    int n;
};

struct run {
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
    if (args.perplexity && next >= 0) {
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

/* Warnings wait until nothing is left to be checked: a failure says one line. */
static void on_log(void *user, enum ggl_log_level level, const char *line)
{
    struct warnings *w = user;
    if (level == GGL_LOG_WARN && w->n < MAX_WARNINGS) snprintf(w->lines[w->n++], GGL_ERROR_LINE, "%s", line);
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
static void check_tokens(const struct ggl_model *m, const int32_t *ids, int64_t n)
{
    int32_t n_vocab = ggl_model_n_vocab(m), n_ctx = ggl_model_n_ctx_train(m);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= n_vocab)
            cli_die(&eval_cli, 65, "%s: token %lld (from 0) is %d, expected 0..%d", args.tokens, (long long)i, ids[i], n_vocab - 1);
    if (n > n_ctx)
        cli_die(&eval_cli, 75, "%s: %lld tokens, the model's context is %d", args.tokens, (long long)n, n_ctx);
    if ((args.perplexity || args.base) && n < 2)
        cli_die(&eval_cli, 65, "%s: %s needs two tokens or more", args.tokens, args.base ? "--kl-base" : "--perplexity");
}

static void check_args(void)
{
    if (!args.model) cli_die(&eval_cli, 2, "-m MODEL is missing");
    if (!args.tokens) cli_die(&eval_cli, 2, "--tokens FILE is missing");
    if (strcmp(args.precision, "f32") != 0 && strcmp(args.precision, "fast") != 0)
        cli_die(&eval_cli, 2, "--precision %s: expected f32 or fast", args.precision);
    if (strcmp(args.rounding, "on") != 0 && strcmp(args.rounding, "off") != 0)
        cli_die(&eval_cli, 2, "--cache-rounding %s: expected on or off", args.rounding);
    if (args.imatrix && strcmp(args.precision, "f32") != 0) cli_die(&eval_cli, 2, "--imatrix: expected --precision f32");
    if (args.threads < 0 || args.threads > 1024) cli_die(&eval_cli, 2, "--threads: expected 0..1024");
    if (args.chunk < 0 || args.chunk > 1 << 20) cli_die(&eval_cli, 2, "--chunk: expected 1..%d", 1 << 20);
    if (args.dumps.n > MAX_DUMPS) cli_die(&eval_cli, 2, "--dump: at most %d", MAX_DUMPS);
}

static void add_dumps(struct ggl_session *s, struct output *outputs)
{
    struct ggl_error err;
    for (int i = 0; i < args.dumps.n; i++) {
        const char *item = args.dumps.items[i], *eq = strchr(item, '=');
        char name[64];
        if (!eq || !eq[1] || (size_t)(eq - item) >= sizeof(name)) cli_die(&eval_cli, 2, "--dump %s: expected NAME=FILE", item);
        snprintf(name, sizeof(name), "%.*s", (int)(eq - item), item);
        if (ggl_session_dump(s, name, on_dump, &outputs[i], &err)) cli_die_error(&eval_cli, &err);
    }
    for (int i = 0; i < args.dumps.n; i++) outputs[i] = open_output(strchr(args.dumps.items[i], '=') + 1);
}

int main(int argc, char **argv)
{
    cli_parse(&eval_cli, argc, argv);
    check_args();
    struct ggl_error err;
    struct ggl_model *m;
    struct ggl_session *s;
    struct ggl_model_params mp = ggl_model_defaults();
    struct warnings warnings = {.n = 0};
    mp.n_threads = (int32_t)args.threads;
    mp.no_pin = args.no_pin;
    mp.precision = strcmp(args.precision, "fast") == 0 ? GGL_PRECISION_FAST : GGL_PRECISION_F32;
    mp.log = args.quiet ? NULL : on_log;
    mp.log_user = &warnings;
    if (ggl_model_load(args.model, &mp, &m, &err)) cli_die_error(&eval_cli, &err);

    struct run r = {.n_vocab = ggl_model_n_vocab(m)};
    int32_t *ids = read_tokens(args.tokens, &r.n);
    r.ids = ids;
    check_tokens(m, ids, r.n);
    struct ggl_session_params sp = ggl_session_defaults();
    sp.n_chunk = (int32_t)args.chunk;
    sp.mtp = args.draft || ((args.dumps.n || args.imatrix) && ggl_model_has_mtp(m));
    sp.cache_rounding_off = strcmp(args.rounding, "off") == 0;
    sp.n_ctx = r.n < ggl_model_n_ctx_train(m) ? (int32_t)r.n : ggl_model_n_ctx_train(m);
    if (ggl_session_new(m, &sp, &s, &err)) cli_die_error(&eval_cli, &err);

    struct output dumps[MAX_DUMPS] = {{0}};
    add_dumps(s, dumps);
    if (args.base) r.comparison = comparison_new(args.base, r.n, r.n_vocab);
    struct calibration *calibration = args.imatrix ? calibration_new(args.imatrix, s) : NULL;
    r.logits = open_output(args.logits);
    r.draft = open_output(args.draft);
    if (args.logits || args.draft || args.perplexity || args.base) ggl_session_set_logits_fn(s, on_logits, &r);
    ggl_session_set_progress(s, on_progress, &r);
    for (int i = 0; i < warnings.n; i++) fprintf(stderr, "ggl-eval: warning: %s\n", warnings.lines[i]);
    cli_progress_begin(&r.progress, "evaluating", "tokens", (uint64_t)r.n, args.quiet);
    if (ggl_session_eval(s, ids, r.n, &err)) cli_die_error(&eval_cli, &err);
    cli_progress_end(&r.progress, (uint64_t)r.n);

    for (int i = 0; i < args.dumps.n; i++) close_output(&dumps[i]);
    close_output(&r.logits);
    close_output(&r.draft);
    if (args.perplexity && r.scored) printf("perplexity %.6f over %lld tokens\n", exp(r.nll / (double)r.scored), (long long)r.scored);
    if (r.comparison) {
        comparison_print(r.comparison, stdout);
        comparison_free(r.comparison);
    }
    if (calibration) calibration_finish(calibration, args.tokens, r.n);
    ggl_session_free(s);
    ggl_model_free(m);
    free(ids);
    return 0;
}
