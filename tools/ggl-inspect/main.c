/*
 * ggl-inspect: what is in a model file or checkpoint directory, without loading it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ggl-inspect/inspect.h"

static struct {
    int64_t ctx, threads;
    bool json, verify, tensors, no_tensors, quiet;
} args;

static const struct cli_option options[] = {
    {'c', "ctx", "N", "estimate memory for N tokens (default: what the model was trained for)", CLI_INT, &args.ctx},
    {'T', "tensors", NULL, "print the table of all tensors, too (default where the output is no terminal)", CLI_FLAG, &args.tensors},
    {0, "no-tensors", NULL, "no table of all tensors", CLI_FLAG, &args.no_tensors},
    {0, "json", NULL, "print one JSON object", CLI_FLAG, &args.json},
    {0, "verify", NULL, "compare every tensor with its hash first", CLI_FLAG, &args.verify},
    {'t', "threads", "N", "threads of --verify (default: physical cores)", CLI_INT, &args.threads},
    {'q', "quiet", NULL, "no progress", CLI_FLAG, &args.quiet},
    {0},
};

static const struct cli cli = {
    .name = "ggl-inspect",
    .synopsis = "[options] MODEL",
    .summary = "Shows the metadata, tensors, types and memory needs of a GGUF file or checkpoint directory.",
    .details = "MODEL is a GGUF file (the first part of a split one) or a checkpoint directory.\n"
               "Tensors are summed up by layer and role: what every token reads, and what is routed.\n"
               "Everything in the file's header is checked, --verify or not; long arrays are abbreviated.\n"
               "\n"
               "exit codes: 0 ok; 2 usage; 65 the file is broken or a hash does not match; 66 it cannot be opened;\n"
               "70 out of memory; 74 reading or writing failed",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};

const char *inspect_type_name(uint32_t type)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    return info ? info->name : "unknown";
}

const struct ggl_tensor *inspect_tensor(const struct inspect *in, uint64_t i)
{
    return in->gguf ? ggl_gguf_tensor(in->gguf, i) : ggl_checkpoint_tensor(in->checkpoint, i);
}

uint64_t inspect_tensor_bytes(const struct inspect *in, uint64_t i)
{
    const struct ggl_tensor *t = inspect_tensor(in, i);
    uint64_t bytes = ggl_gguf_tensor_bytes(t);
    if (in->checkpoint) bytes += t->scale_slice_bytes * (uint64_t)t->ne[2] * (uint64_t)t->ne[3];
    return bytes;
}

static void count_type(struct inspect *in, const char *name, uint64_t bytes)
{
    int k = 0;
    while (k < in->n_types && strcmp(in->types[k].name, name)) k++;
    if (k == MAX_TYPES) return; /* there are fewer types */
    if (k == in->n_types) in->types[in->n_types++].name = name;
    in->types[k].tensors++;
    in->types[k].bytes += bytes;
}

static void find_hashes(struct inspect *in)
{
    const struct ggl_kv *kv = ggl_gguf_find_kv(in->meta, "ggl.tensor.xxh3");
    if (!in->gguf || !kv || kv->type != GGL_KV_ARR || kv->elem != GGL_KV_STR || kv->n != in->n_tensors) return;
    for (uint64_t i = 0; i < kv->n; i++)
        if (kv->str[i].size != 32 || strspn(kv->str[i].data, "0123456789abcdef") != 32) return;
    in->hashes = kv->str;
}

/* Bytes that no tensor accounts for at the end of a file of one part. */
static void find_trailing(struct inspect *in)
{
    uint64_t end = 0, alignment = ggl_gguf_alignment(in->meta);
    if (!in->gguf || ggl_gguf_n_parts(in->gguf) != 1 || !in->n_tensors) return;
    for (uint64_t i = 0; i < in->n_tensors; i++) {
        uint32_t part;
        uint64_t offset;
        ggl_gguf_tensor_location(in->gguf, i, &part, &offset);
        offset += ggl_gguf_tensor_bytes(ggl_gguf_tensor(in->gguf, i));
        if (offset > end) end = offset;
    }
    end = (end + alignment - 1) & ~(alignment - 1);
    if (ggl_gguf_file_bytes(in->gguf) > end) in->trailing_bytes = ggl_gguf_file_bytes(in->gguf) - end;
}

static void open_model(struct inspect *in, bool with_data)
{
    struct ggl_error err = {.offset = GGL_NO_OFFSET};
    struct ggl_gguf_options header_only = {.header_only = !with_data};
    if (ggl_checkpoint_is_directory(in->path)) {
        if (ggl_checkpoint_open(in->path, &in->checkpoint, &err)) cli_die_error(&cli, &err);
        in->meta = ggl_checkpoint_meta(in->checkpoint);
        in->n_tensors = ggl_checkpoint_n_tensors(in->checkpoint);
    } else {
        if (ggl_gguf_open(in->path, &header_only, &in->gguf, &err)) cli_die_error(&cli, &err);
        in->meta = in->gguf;
        in->n_tensors = ggl_gguf_n_tensors(in->gguf);
    }
    find_hashes(in);
    find_trailing(in);
    for (uint64_t i = 0; i < in->n_tensors; i++) {
        uint64_t bytes = inspect_tensor_bytes(in, i);
        in->data_bytes += bytes;
        count_type(in, inspect_type_name(inspect_tensor(in, i)->type), bytes);
    }
}

static void verify(struct inspect *in)
{
    char hex[33];
    if (!ggl_hash_hex("", 0, hex)) cli_die(&cli, 65, "--verify: this build has no xxHash library");
    if (!in->hashes)
        cli_die(&cli, 65, "%s: --verify: there are no hashes of its tensors (ggl.tensor.xxh3)", in->path);
    uint64_t bad = inspect_verify(in, (int)args.threads, args.quiet);
    if (bad == in->n_tensors) return;
    const struct ggl_tensor *t = ggl_gguf_tensor(in->gguf, bad);
    struct ggl_error err;
    uint32_t part;
    uint64_t offset;
    ggl_gguf_tensor_location(in->gguf, bad, &part, &offset);
    ggl_hash_hex(t->data, (size_t)ggl_gguf_tensor_bytes(t), hex);
    ggl_fail(&err, GGL_ERR_FORMAT, in->path, offset, hex, in->hashes[bad].data, "tensor %s: hash", t->name);
    cli_die_error(&cli, &err);
}

int main(int argc, char **argv)
{
    struct inspect in = {0};
    cli_parse(&cli, argc, argv);
    if (args.ctx < 0 || args.ctx > INT64_C(1) << 40) cli_die(&cli, 2, "--ctx is out of range, expected 0 .. 2^40");
    if (args.threads < 0 || args.threads > 4096) cli_die(&cli, 2, "--threads is out of range, expected 0 .. 4096");
    in.path = argv[1];
    open_model(&in, args.verify);
    if (args.verify) verify(&in);
    inspect_memory(&in, (uint64_t)args.ctx);
    inspect_layers(&in);
    in.list_tensors = !args.no_tensors && (args.tensors || !in.layers || !isatty(STDOUT_FILENO));
    if (args.json)
        inspect_print_json(&in, stdout);
    else
        inspect_print_text(&in, stdout);
    if (fflush(stdout) || ferror(stdout)) cli_die(&cli, 74, "standard output: write error");
    free(in.layers);
    ggl_checkpoint_free(in.checkpoint);
    ggl_gguf_free(in.gguf);
    return 0;
}
