/* gguf-convert: a checkpoint directory, or a GGUF file, to a GGUF file. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include "gguf-convert/convert.h"
#include "gguf-convert/overrides.h"
#include "gguf-convert/recipe.h"

static struct convert_options args = {.type = "native"};
static bool with_mtp, without_mtp;

static const struct cli_option options[] = {
    {0, "type", "PROFILE", "what to write: native (default), native-int4, compat, or a recipe of llama.cpp (below)", CLI_STR,
     &args.type},
    {0, "tensor-type", "REGEX=TYPE", "the type of tensors whose name matches; repeatable, the first match counts", CLI_LIST,
     &args.tensor_types},
    {0, "split-max-size", "SIZE", "write parts OUTPUT-00001-of-0000N.gguf of at most SIZE (4G, 500M)", CLI_SIZE,
     &args.split_max_bytes},
    {0, "with-mtp", NULL, "keep the multi-token-prediction blocks (default, but not of recipes)", CLI_FLAG, &with_mtp},
    {0, "no-mtp", NULL, "leave them out", CLI_FLAG, &without_mtp},
    {0, "imatrix", "FILE", "importance matrix (GGUF or .dat): what rounding costs is weighed with it", CLI_STR, &args.imatrix},
    {'n', "dry-run", NULL, "print every tensor, the exact output size, the most memory and an estimate of time; write nothing", CLI_FLAG, &args.dry_run},
    {0, "verify", NULL, "compare OUTPUT with INPUT, bit for bit where nothing is rounded: after writing, or instead of it when it exists",
     CLI_FLAG, &args.verify},
    {0, "report", "FILE", "like --verify, and write a table of what rounding lost to FILE (- for stdout): each tensor's relative "
     "RMS error and its worst block", CLI_STR, &args.report},
    {'r', "resume", NULL, "go on where an interrupted conversion stopped, if one did", CLI_FLAG, &args.resume},
    {'f', "force", NULL, "replace OUTPUT, and forget an interrupted conversion unless --resume can go on with it", CLI_FLAG,
     &args.force},
    {'q', "quiet", NULL, "no progress, no warnings", CLI_FLAG, &args.quiet},
    {'t', "threads", "N", "threads that quantise (default: physical cores); never changes a result", CLI_INT, &args.threads},
    {0}};

static const struct cli cli = {
    "gguf-convert",
    "INPUT OUTPUT.gguf [options]",
    "Converts a DeepSeek V4 checkpoint directory (config.json, *.safetensors, tokenizer.json) to one GGUF file, or\n"
    "copies a GGUF file to re-split it, merge its parts or drop its multi-token-prediction blocks.",
    "The native profile changes no number: FP8 matrices keep their codes and scales, FP4 experts become MXFP4 by a\n"
    "permutation, BF16 and F32 stay.  native-int4 rounds the dense matrices (attention, shared experts, projections of\n"
    "the prediction block) and the head to 4.25 bits a weight, with the scale of least squared error for every 32; INPUT\n"
    "may be a native file too.  --verify then prints what each matrix lost.\n"
    "compat and the recipes are what llama.cpp and its relatives read: names, keys, types and order are theirs.  compat\n"
    "loses nothing: experts are MXFP4, FP8 matrices become BF16, which holds each of their values.  A recipe rounds\n"
    "every matrix as llama.cpp does under that name: MXFP4_MOE (experts stay, the rest Q8_0), Q8_0, Q6_K, Q5_K_M, Q4_K_M,\n"
    "Q4_0, IQ4_XS, IQ4_NL, Q3_K_M, Q2_K, IQ2_XXS (needs --imatrix); vectors, norms and the router become F32.  INPUT may be\n"
    "a native file.  Nothing is rounded twice.\n"
    "OUTPUT appears under its name only when it is complete.  Until then the data is in OUTPUT.part (one for each part\n"
    "of a split output), and OUTPUT.journal says how much of it is safely on disk.  Ctrl-C, a full disk, a crash or a\n"
    "kill leave both: the same command with --resume checks what is there and goes on, and the result is the same, bit\n"
    "for bit.  To give up, remove them, or start anew with --force.\n\n"
    "MEMORY\n"
    "    A checkpoint directory is read in pieces of 16 MiB and never mapped: less than 512 MiB of memory (Pro: 768 MiB),\n"
    "    address space included (ulimit -v), whatever the size of the model.  A GGUF file as INPUT, and OUTPUT while --verify\n"
    "    reads it, are mapped; what is resident of them is let go again.\n\n"
    "EXAMPLES\n"
    "    gguf-convert DeepSeek-V4-Flash flash.gguf --verify\n"
    "    gguf-convert flash.gguf flash-int4.gguf --type native-int4\n"
    "    gguf-convert flash.gguf flash-MXFP4_MOE.gguf --type MXFP4_MOE --verify\n"
    "    gguf-convert flash.gguf flash-Q4_K_M.gguf --type Q4_K_M --imatrix imatrix.gguf --tensor-type 'attn_.*=Q8_0'\n"
    "    gguf-convert DeepSeek-V4-Pro pro.gguf --split-max-size 40G --no-mtp\n"
    "    gguf-convert pro-00001-of-00021.gguf pro.gguf\n\n"
    "EXIT STATUS\n"
    "    0 done; 2 wrong usage; 65 bad input, or --verify found a difference; 66 input cannot be opened;\n"
    "    73 output exists or cannot be created; 74 reading or writing failed; 130 interrupted\n",
    options, 2, 2};

static void on_signal(int signal_number)
{
    convert_stop = signal_number;
}

static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is a failed write like a full disk */
}

static void check_options(void)
{
    args.int4 = strcasecmp(args.type, "native-int4") == 0;
    args.recipe = recipe_find(args.type);
    if (!args.int4 && !args.recipe && strcasecmp(args.type, "native") != 0) {
        cli_die(&cli, 2, "--type %s: this version writes only native, native-int4, %s", args.type, recipe_list());
    }
    if (with_mtp && without_mtp) cli_die(&cli, 2, "--with-mtp and --no-mtp contradict each other");
    args.mtp = with_mtp || (!without_mtp && !args.recipe);
    if (args.report) args.verify = true;
    struct ggl_error err;
    if (args.tensor_types.n && overrides_new(&args.tensor_types, &args.overrides, &err)) cli_die_error(&cli, &err);
    if (args.threads < 0 || args.threads > 1024) {
        cli_die(&cli, 2, "--threads is %" PRId64 ", expected 0..1024", args.threads);
    }
    if (args.split_max_bytes && args.split_max_bytes < 4096) {
        cli_die(&cli, 2, "--split-max-size is %" PRIu64 ", expected at least 4096", args.split_max_bytes);
    }
    if (!args.output[0]) cli_die(&cli, 2, "OUTPUT is empty");
}

static void warn(const struct plan *p)
{
    if (args.quiet || !p->checkpoint) return;
    for (uint32_t i = 0; i < ggl_checkpoint_n_warnings(p->checkpoint); i++) {
        fprintf(stderr, "gguf-convert: warning: %s: %s\n", args.input, ggl_checkpoint_warning(p->checkpoint, i));
    }
}

/* A file to compare with is there, and nobody asked to replace it. */
static bool only_verify(const char *first)
{
    if (!args.verify || args.force || (args.resume && write_is_open(&args))) return false;
    FILE *f = fopen(first, "rb");
    if (f) fclose(f);
    return f != NULL;
}

static enum ggl_status run(struct plan *p, struct ggl_error *err)
{
    const struct ggl_gguf_write_options o = {.split_max_bytes = args.split_max_bytes};
    uint64_t bytes;
    char *first = NULL;
    enum ggl_status s = plan_make(&args, p, err);
    if (s) return s;
    warn(p);
    if ((s = ggl_gguf_write_size(p->out, &o, &bytes, err))) return s;
    if (args.dry_run) {
        plan_print(p, &args, bytes, stdout);
        return GGL_OK;
    }
    if ((s = write_first_path(p, &args, &first, err))) return s;
    if (!only_verify(first)) {
        s = write_check_output(p, &args, err);
        if (!s) s = write_output(p, &args, err);
    }
    if (!s && args.verify) s = verify_output(p, first, &args, err);
    free(first);
    return s;
}

/* A pool of memory for each thread reserves 128 MiB of address space for a moment, and under `ulimit -v` the buffers
 * of the conversion would have to do without. */
static void bound_address_space(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
#endif
}

int main(int argc, char **argv)
{
    struct plan plan = {0};
    struct ggl_error err = {0};
    bound_address_space();
    cli_parse(&cli, argc, argv);
    args.input = argv[1];
    args.output = argv[2];
    check_options();
    catch_signals();
    enum ggl_status s = run(&plan, &err);
    plan_free(&plan);
    overrides_free(args.overrides);
    if (s == GGL_ERR_CANCELLED) cli_die(&cli, 128 + (int)convert_stop, "%s", err.what);
    if (s) cli_die_error(&cli, &err);
    return 0;
}
