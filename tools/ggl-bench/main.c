/*
 * ggl-bench: how fast a model runs here, and how close that is to what the machine can do.
 */
#include <stdlib.h>
#include <string.h>
#include "ggl-bench/bench.h"

enum { MAX_VALUES = 16, MAX_TOKENS = 1 << 24, MAX_REPETITIONS = 1000 };

static struct {
    const char *model, *prefill, *decode, *depth, *precision;
    int64_t repetitions, threads, chunk;
    bool json, synthetic, profile, no_pin, quiet;
} args = {.prefill = "512", .decode = "64", .depth = "0", .precision = "fast", .repetitions = 5};

static const struct cli_option options[] = {
    {'m', "model", "MODEL", "GGUF file (the first part of a split one) or checkpoint directory", CLI_STR, &args.model},
    {0, "precision", "f32|fast", "activations: integers where the weights allow (default), or float everywhere", CLI_STR, &args.precision},
    CLI_GROUP("What is measured"),
    {'p', "prefill", "N,...", "tokens of a prompt (default 512; 0: none)", CLI_STR, &args.prefill},
    {'n', "decode", "N,...", "tokens one by one (default 64; 0: none)", CLI_STR, &args.decode},
    {'d', "depth", "N,...", "tokens that are in the context before (default 0)", CLI_STR, &args.depth},
    {0, "synthetic-depth", NULL, "fill the context with made-up rows instead of evaluating it", CLI_FLAG, &args.synthetic},
    {'r', "repetitions", "N", "of every measurement, after one that warms up (default 5)", CLI_INT, &args.repetitions},
    {0, "chunk", "N", "tokens in one pass of a prefill (default: the library's)", CLI_INT, &args.chunk},
    {'t', "threads", "N", "worker threads (default: physical cores)", CLI_INT, &args.threads},
    {0, "no-pin", NULL, "let the system move worker threads between cores", CLI_FLAG, &args.no_pin},
    CLI_GROUP("Output"),
    {0, "json", NULL, "an array of rows on stdout", CLI_FLAG, &args.json},
    {0, "profile", NULL, "also where the time goes, by operation (with --json on stderr)", CLI_FLAG, &args.profile},
    {'q', "quiet", NULL, "no progress", CLI_FLAG, &args.quiet},
    {0}};

static const struct cli cli = {
    "ggl-bench", "-m MODEL [options]",
    "Time prefill and decode, and compare with what the machine can do. Bandwidth and 8-bit multiply-adds are measured "
    "in the same run: reading before, during and after each repetition, multiplying before and after everything.",
    "EXAMPLES\n"
    "  ggl-bench -m model.gguf\n"
    "  ggl-bench -m model.gguf -p 0 -n 32 -d 0,16384,131072 --synthetic-depth --profile\n"
    "  ggl-bench -m checkpoint/ -p 512 -n 64 -r 3 --json > rows.json\n\n"
    "COLUMNS\n"
    "  MB/token   weights and cache rows that a token makes the processor read; in a prefill shared by a chunk\n"
    "  of read    of the bandwidth that all threads reach by reading alone\n"
    "  GMAC/s     multiply-adds with weights of any type; of int8: of what 8-bit integers would reach in registers\n",
    options, 0, 0};

/* "0,16384" */
static int read_list(const char *name, const char *list, int64_t least, int64_t out[MAX_VALUES])
{
    int n = 0;
    for (const char *at = list;; at++) {
        char item[24];
        size_t length = strcspn(at, ",");
        if (n == MAX_VALUES) cli_die(&cli, 2, "--%s %s: more than %d values", name, list, MAX_VALUES);
        snprintf(item, sizeof(item), "%.*s", length < sizeof(item) ? (int)length : 0, at);
        if (!cli_number_int(item, &out[n]) || out[n] < least || out[n] > MAX_TOKENS)
            cli_die(&cli, 2, "--%s %.100s: expected numbers from %lld to %d between commas", name, list, (long long)least, MAX_TOKENS);
        n++;
        at += length;
        if (!*at) return n;
    }
}

static void check_args(void)
{
    if (!args.model) cli_die(&cli, 2, "-m MODEL is missing");
    if (strcmp(args.precision, "f32") != 0 && strcmp(args.precision, "fast") != 0)
        cli_die(&cli, 2, "--precision %s: expected f32 or fast", args.precision);
    if (args.repetitions < 1 || args.repetitions > MAX_REPETITIONS) cli_die(&cli, 2, "--repetitions: expected 1..%d", MAX_REPETITIONS);
    if (args.threads < 0 || args.threads > 1024) cli_die(&cli, 2, "--threads: expected 0..1024");
    if (args.chunk < 0 || args.chunk > 1 << 20) cli_die(&cli, 2, "--chunk: expected 1..%d", 1 << 20);
}

static void add_row(struct bench *b, bool decode, int64_t n, int64_t depth)
{
    if (!n) return;
    struct bench_row *row = &b->rows[b->n_rows++];
    *row = (struct bench_row){.decode = decode, .n = n, .depth = depth};
    row->seconds = calloc((size_t)b->repetitions, sizeof(double));
    row->tps = calloc((size_t)b->repetitions, sizeof(double));
    row->read = calloc((size_t)b->repetitions, sizeof(double));
    if (!row->seconds || !row->tps || !row->read) cli_die(&cli, 70, "out of memory");
}

/* For every depth all prefills, then all decodes. */
static void make_rows(struct bench *b)
{
    int64_t prefill[MAX_VALUES], decode[MAX_VALUES], depth[MAX_VALUES];
    int n_prefill = read_list("prefill", args.prefill, 0, prefill), n_decode = read_list("decode", args.decode, 0, decode);
    int n_depth = read_list("depth", args.depth, 0, depth);
    b->rows = calloc((size_t)(n_depth * (n_prefill + n_decode)), sizeof(*b->rows));
    if (!b->rows) cli_die(&cli, 70, "out of memory");
    for (int d = 0; d < n_depth; d++) {
        for (int i = 0; i < n_prefill; i++) add_row(b, false, prefill[i], depth[d]);
        for (int i = 0; i < n_decode; i++) add_row(b, true, decode[i], depth[d]);
    }
    if (!b->n_rows) cli_die(&cli, 2, "nothing to measure: -p and -n are 0");
}

static void load(struct bench *b)
{
    struct ggl_model_params p = ggl_model_defaults();
    struct ggl_error err;
    p.n_threads = (int32_t)b->threads;
    p.no_pin = b->no_pin;
    p.precision = strcmp(args.precision, "fast") == 0 ? GGL_PRECISION_FAST : GGL_PRECISION_F32;
    if (ggl_model_load(args.model, &p, &b->model, &err)) cli_die_error(&cli, &err);
    for (int i = 0; i < b->n_rows; i++)
        if (b->rows[i].depth + b->rows[i].n > ggl_model_n_ctx_train(b->model))
            cli_die(&cli, 2, "%lld tokens at depth %lld: the model was made for %d", (long long)b->rows[i].n,
                    (long long)b->rows[i].depth, ggl_model_n_ctx_train(b->model));
}

int main(int argc, char **argv)
{
    cli_parse(&cli, argc, argv);
    check_args();
    struct bench b = {.cli = &cli, .path = args.model, .precision = args.precision, .threads = args.threads,
                      .repetitions = args.repetitions, .chunk = args.chunk, .synthetic = args.synthetic,
                      .profile = args.profile, .no_pin = args.no_pin, .quiet = args.quiet};
    make_rows(&b);
    load(&b);
    bench_run(&b);
    if (args.json) bench_print_json(&b, stdout);
    else bench_print_text(&b, stdout);
    if (args.profile) bench_print_profiles(&b, args.json ? stderr : stdout);
    for (int i = 0; i < b.n_rows; i++) {
        free(b.rows[i].seconds);
        free(b.rows[i].read);
        free(b.rows[i].tps);
    }
    free(b.rows);
    ggl_model_free(b.model);
    return 0;
}
