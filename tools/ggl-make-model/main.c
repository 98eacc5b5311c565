/*
 * ggl-make-model: a random DeepSeek V4 checkpoint in the official layout.
 *
 * Files appear under their names when they are complete, and config.json, without which nothing opens a
 * checkpoint, comes last: a run that was stopped leaves nothing that looks finished.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#if GGL_HAVE_OPENMP
#include <omp.h>
#endif
#include "common/cli.h"
#include "ggl-make-model/plan.h"
#include "ggml-lite/src/file.h"

#define UNSET INT64_MIN

static struct {
    const char *preset;
    int64_t layers, experts, seed, shards, threads;
    bool force, quiet;
} args = {.preset = "tiny", .layers = UNSET, .experts = UNSET, .seed = 1, .shards = 2, .threads = UNSET};

static const struct cli_option options[] = {
    {'p', "preset", "NAME", "micro, tiny, tiny-pro, flash-slice or pro-slice (default: tiny)", CLI_STR, &args.preset},
    {0, "layers", "N", "layers (default: the preset's)", CLI_INT, &args.layers},
    {0, "experts", "N", "routed experts a layer (default: the preset's)", CLI_INT, &args.experts},
    {'s', "seed", "N", "the same seed gives the same bytes on every machine (default: 1)", CLI_INT, &args.seed},
    {0, "shards", "N", "safetensors files (default: 2)", CLI_INT, &args.shards},
    {'f', "force", NULL, "replace a checkpoint that is there already", CLI_FLAG, &args.force},
    {'t', "threads", "N", "worker threads (default: all processors)", CLI_INT, &args.threads},
    {'q', "quiet", NULL, "no progress", CLI_FLAG, &args.quiet},
    {0}};

static const struct cli cli = {
    "ggl-make-model", "OUT_DIR [--preset NAME] [--layers N] [--experts N] [--seed N]",
    "Write a random DeepSeek V4 checkpoint in the official layout. The weights are noise, but well scaled noise:\n"
    "the router chooses, the sparse index drops rows, the clamps are hit. Use it to try the tools, for tests and,\n"
    "with the slices, for benchmarks.",
    "PRESETS\n"
    "    micro        3 layers whose rows are all a multiple of 256\n"
    "    tiny         5 layers with every mechanism of Flash\n"
    "    tiny-pro     4 layers in the order of Pro\n"
    "    flash-slice  real layer shapes of Flash, 4 layers, 64 experts, 129280 words; 6 GB\n"
    "    pro-slice    real layer shapes of Pro, 4 layers, 32 experts, 129280 words; 10 GB\n"
    "\n"
    "EXAMPLES\n"
    "    ggl-make-model demo\n"
    "    ggl-make-model slice --preset flash-slice --layers 6 --experts 32 --seed 7\n",
    options, 1, 1};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* ---- files */

static void path_join(char path[4096], const char *dir, const char *name)
{
    if (snprintf(path, 4096, "%s/%s", dir, name) >= 4096) cli_die(&cli, 73, "%.100s...: the path is too long", dir);
}

/* mkdir -p */
static void make_directory(const char *dir)
{
    char path[4096];
    size_t n = strlen(dir);
    if (!n || n >= sizeof(path)) cli_die(&cli, 73, "OUT_DIR is %s", n ? "too long" : "empty");
    for (size_t i = 1; i <= n; i++) {
        if (dir[i] && dir[i] != '/') continue;
        memcpy(path, dir, i);
        path[i] = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) cli_die(&cli, 73, "%s: %s", path, strerror(errno));
    }
    struct stat st;
    if (stat(dir, &st) != 0) cli_die(&cli, 73, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode)) cli_die(&cli, 73, "%s: is not a directory", dir);
}

static void check_space(const char *dir, uint64_t bytes)
{
    struct statvfs v;
    char need[32], have[32];
    if (statvfs(dir, &v) != 0 || v.f_frsize == 0) return; /* then the write itself will tell */
    uint64_t blocks = bytes / v.f_frsize + 1;
    if (blocks > v.f_bavail)
        cli_die(&cli, 74, "%s: the checkpoint needs %s, but only %s are free", dir, cli_bytes(bytes, need),
                cli_bytes((uint64_t)v.f_bavail * v.f_frsize, have));
}

static struct ggl_output *open_output(const char *dir, const char *name)
{
    char path[4096];
    struct ggl_output *o;
    struct ggl_error err = {0};
    path_join(path, dir, name);
    if (ggl_output_open(path, true, &o, &err)) cli_die_error(&cli, &err);
    return o;
}

static void put(struct ggl_output *o, const void *data, size_t n)
{
    struct ggl_error err = {0};
    bool failed = ggl_output_write(o, data, n, &err) != GGL_OK;
    if (!failed && !interrupted) return;
    ggl_output_abort(o);
    if (!failed) cli_die(&cli, 130, "interrupted");
    cli_die_error(&cli, &err);
}

static void finish(struct ggl_output *o)
{
    struct ggl_error err = {0};
    if (ggl_output_finish(o, &err)) cli_die_error(&cli, &err);
}

/* A text that is put together in memory. */
struct text {
    FILE *f;
    char *data;
    size_t n;
};

static void text_begin(struct text *t)
{
    *t = (struct text){0};
    t->f = open_memstream(&t->data, &t->n);
    if (!t->f) cli_die(&cli, 70, "out of memory");
}

static void text_end(struct text *t)
{
    bool failed = ferror(t->f) != 0;
    if (fclose(t->f) != 0 || failed) cli_die(&cli, 70, "out of memory");
}

static void text_to_file(struct text *t, const char *dir, const char *name)
{
    text_end(t);
    struct ggl_output *o = open_output(dir, name);
    put(o, t->data, t->n);
    finish(o);
    free(t->data);
}

/* ---- weights */

/* Rows of one tensor in pieces of a few MB, each made by all threads and then written. */
static void put_tensor(struct ggl_output *o, const struct tensor *t, uint8_t *buffer, size_t cap,
                       struct cli_progress *progress, uint64_t *done)
{
    uint64_t per_piece = cap / t->row_bytes;
    for (uint64_t row = 0; row < t->rows; row += per_piece) {
        uint64_t n = t->rows - row < per_piece ? t->rows - row : per_piece;
#if GGL_HAVE_OPENMP
        int threads = n * t->row_bytes < 65536 ? 1 : (int)args.threads; /* a team costs more than a small piece */
#pragma omp parallel for schedule(static) num_threads(threads)
#endif
        for (int64_t i = 0; i < (int64_t)n; i++)
            tensor_rows(t, row + (uint64_t)i, 1, buffer + (uint64_t)i * t->row_bytes);
        put(o, buffer, n * t->row_bytes);
        *done += n * t->row_bytes;
        cli_progress_update(progress, *done);
    }
}

static void put_shard(const char *dir, const struct plan *plan, uint32_t shard, struct cli_progress *progress,
                      uint64_t *done)
{
    enum { BUFFER = 4 << 20 };
    size_t first = shard_start(plan, shard, (uint32_t)args.shards);
    size_t last = shard_start(plan, shard + 1, (uint32_t)args.shards);
    char name[48];
    uint8_t length[8], *buffer = malloc(BUFFER);
    struct text header;
    if (!buffer) cli_die(&cli, 70, "out of memory");
    text_begin(&header);
    write_safetensors_header(header.f, plan, first, last);
    text_end(&header);
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)header.n >> (8 * i));

    shard_name(name, shard, (uint32_t)args.shards);
    struct ggl_output *o = open_output(dir, name);
    put(o, length, sizeof(length));
    put(o, header.data, header.n);
    for (size_t i = first; i < last; i++) put_tensor(o, &plan->tensors[i], buffer, BUFFER, progress, done);
    finish(o);
    free(header.data);
    free(buffer);
}

static void put_checkpoint(const char *dir, const struct plan *plan)
{
    struct cli_progress progress;
    struct text t;
    uint64_t done = 0;
    cli_progress_begin(&progress, dir, "B", plan->bytes, args.quiet);
    for (uint32_t i = 0; i < args.shards; i++) put_shard(dir, plan, i, &progress, &done);
    cli_progress_end(&progress, done);

    struct ggl_output *o = open_output(dir, "tokenizer.json");
    put(o, embedded_tokenizer, embedded_tokenizer_size);
    finish(o);
    text_begin(&t);
    write_tokenizer_config(t.f);
    text_to_file(&t, dir, "tokenizer_config.json");
    text_begin(&t);
    write_generation_config(t.f);
    text_to_file(&t, dir, "generation_config.json");
    text_begin(&t);
    write_index(t.f, plan, (uint32_t)args.shards);
    text_to_file(&t, dir, "model.safetensors.index.json");
    text_begin(&t);
    write_config(t.f, plan);
    text_to_file(&t, dir, "config.json");
}

/* ---- */

/* A number from the command line, or the preset's where none was given. */
static uint32_t choose(const char *option, int64_t given, uint32_t preset, uint32_t low, uint32_t high)
{
    if (given == UNSET) return preset;
    if (given < low || given > high)
        cli_die(&cli, 2, "--%s is %lld, expected %u..%u", option, (long long)given, (unsigned)low, (unsigned)high);
    return (uint32_t)given;
}

static const struct preset *choose_preset(void)
{
    const struct preset *p = preset_find(args.preset);
    if (!p)
        cli_die(&cli, 2, "--preset is \"%.100s\", expected micro, tiny, tiny-pro, flash-slice or pro-slice", args.preset);
    return p;
}

static void choose_threads(void)
{
    int64_t processors = 1;
#if GGL_HAVE_OPENMP
    processors = omp_get_num_procs() < 64 ? omp_get_num_procs() : 64;
#endif
    args.threads = choose("threads", args.threads, (uint32_t)processors, 1, 1024);
}

int main(int argc, char **argv)
{
    struct plan plan;
    char path[4096];
    cli_parse(&cli, argc, argv);
    const char *dir = argv[1];
    const struct preset *preset = choose_preset();
    uint32_t layers = choose("layers", args.layers, preset->layers, 1, MAX_LAYERS);
    uint32_t experts = choose("experts", args.experts, preset->experts, preset->experts_per_token, MAX_EXPERTS);
    choose("shards", args.shards, 1, 1, 1000);
    choose_threads();
    if (args.seed < 0) cli_die(&cli, 2, "--seed is %lld, expected 0 or more", (long long)args.seed);
    if (!plan_build(&plan, preset, layers, experts, (uint64_t)args.seed)) cli_die(&cli, 70, "out of memory");
    if ((size_t)args.shards > plan.n_tensors)
        cli_die(&cli, 2, "--shards is %lld, but there are only %zu tensors", (long long)args.shards, plan.n_tensors);

    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    make_directory(dir);
    path_join(path, dir, "config.json");
    if (access(path, F_OK) == 0) {
        if (!args.force) cli_die(&cli, 73, "%s exists; use --force to replace this checkpoint", path);
        if (unlink(path) != 0) cli_die(&cli, 73, "%s: %s", path, strerror(errno));
    }
    check_space(dir, plan.bytes);
    put_checkpoint(dir, &plan);
    printf("%s: %zu tensors, %.1f MB in %lld files\n", dir, plan.n_tensors, (double)plan.bytes / 1e6,
           (long long)args.shards);
    plan_free(&plan);
    return 0;
}
