/*
 * ggl-quant: blocks on stdin -> float32 on stdout, or the reverse.  This file owns the options and the types
 * whose blocks stand alone; planes.c has FP8, FP4 and INT4.
 */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ggl-quant/ggl-quant.h"
#include "ggml-lite/cpu.h"

static struct {
    const char *imatrix;
    int64_t row, threads;
    bool quiet;
} args;

static const struct cli_option options[] = {
    {'r', "row", "N", "elements of a row; needed by encode, FP8, FP4 and INT4", CLI_INT, &args.row},
    {0, "imatrix", "FILE", "importance of the N inputs, float32: encode weighs errors with it", CLI_STR, &args.imatrix},
    {'t', "threads", "N", "accepted as in every tool; one thread is used", CLI_INT, &args.threads},
    {'q', "quiet", NULL, "accepted as in every tool; there is no progress to show", CLI_FLAG, &args.quiet},
    {0}};

const struct cli cli = {
    .name = "ggl-quant",
    .synopsis = "decode TYPE [--row N] < BLOCKS > FLOATS | encode TYPE --row N < FLOATS > BLOCKS",
    .summary = "Number formats to float32 and back, little endian.  With encode, stdin is float32 rows of N.",
    .details = "TYPE is a ggml name such as Q4_K or BF16 in either case, or FP8, FP4 or INT4.\n\n"
               "Decoded:  F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ1_S IQ1_M\n"
               "          IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 Q1_0 Q2_0 MXFP4 NVFP4 FP8 FP4\n"
               "          INT4\n"
               "Encoded:  F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4 FP8 FP4 INT4,\n"
               "          and IQ2_XXS with --imatrix\n\n"
               "--imatrix FILE holds N float32, the importance of each input of a row (a mean square, say): encode then\n"
               "minimises the weighted error.  For Q4_0 to Q5_1, Q2_K to Q6_K, IQ2_XXS, IQ4_NL, IQ4_XS and INT4.\n\n"
               "FP8 and FP4 are two planes, as in the published checkpoints: first the codes of all rows, then the\n"
               "UE8M0 scales of all rows.  INT4 has three: codes, E4M3 scales, and a float32 a row.  For all of them --row\n"
               "is needed in both directions, and the number of rows follows from the size of the input.\n"
               "  FP8  a byte an element; a scale for each tile of 128 x 128: ceil(rows/128) rows of ceil(N/128).\n"
               "       encode takes all of stdin as one matrix.\n"
               "  FP4  two codes a byte, the even element low; a scale for 32 elements; N is a multiple of 32.\n"
               "  INT4 two codes a byte, elements j and j + 16 of each 32; a scale for 32 elements; N is a multiple of 32.\n\n"
               "Examples:\n"
               "  ggl-quant encode Q8_0 --row 4096 < w.f32 > w.q8_0\n"
               "  ggl-quant encode IQ2_XXS --row 4096 --imatrix inputs.f32 < w.f32 > w.iq2_xxs\n"
               "  ggl-quant decode fp8 --row 512 < w.fp8 > w.f32\n\n"
               "Input that is not whole blocks or rows is bad data (65).",
    .options = options,
    .min_args = 2,
    .max_args = 2,
};

size_t quant_read(void *data, size_t n)
{
    errno = 0;
    size_t got = fread(data, 1, n, stdin);
    if (ferror(stdin)) cli_die(&cli, EXIT_IO, "standard input: %s", errno ? strerror(errno) : "read error");
    return got;
}

void quant_write(const void *data, size_t n)
{
    errno = 0;
    if (n && fwrite(data, 1, n, stdout) != n)
        cli_die(&cli, EXIT_IO, "standard output: %s", errno ? strerror(errno) : "write error");
}

/* Kept here, so that buffers are in reach wherever the tool stops. */
enum { MAX_BUFFERS = 4 };
static void *buffers[MAX_BUFFERS];
static int n_buffers;

void *quant_alloc(uint64_t n, uint64_t size)
{
    uint64_t bytes;
    void *data = ggl_mul_u64(n, size, &bytes) && bytes <= SIZE_MAX ? malloc(bytes ? (size_t)bytes : 1) : NULL;
    if (!data) cli_die(&cli, EXIT_INTERNAL, "out of memory: %" PRIu64 " times %" PRIu64 " bytes", n, size);
    if (n_buffers < MAX_BUFFERS) buffers[n_buffers++] = data;
    return data;
}

const float *quant_read_importance(const char *path, uint64_t n)
{
    size_t size;
    float *w = quant_alloc(n, sizeof(*w));
    char *bytes = cli_read_file(&cli, path, &size);
    bool fits = size % sizeof(*w) == 0 && size / sizeof(*w) == n;
    if (fits) memcpy(w, bytes, size);
    free(bytes);
    if (!fits) cli_die(&cli, EXIT_DATA, "%s: %zu bytes, expected %" PRIu64 " float32, one an element of a row", path, size, n);
    for (uint64_t i = 0; i < n; i++)
        if (!(w[i] >= 0 && w[i] <= FLT_MAX))
            cli_die(&cli, EXIT_DATA, "%s: number %" PRIu64 " is %g, expected an importance, 0 or more", path, i, (double)w[i]);
    return w;
}

/* Types whose blocks stand alone go through in pieces of this many blocks, and rows where they have importances. */
enum { PIECE = 2048 };

static void stream(enum ggl_type type, bool decode)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    const float *importance = args.imatrix ? quant_read_importance(args.imatrix, (uint64_t)args.row) : NULL;
    uint64_t in_bytes = decode ? info->block_bytes : info->block_elems * sizeof(float), total = 0;
    uint64_t most = importance ? (uint64_t)args.row / info->block_elems : PIECE;
    uint8_t *blocks = quant_alloc(most, info->block_bytes);
    float *values = quant_alloc(most * info->block_elems, sizeof(float));
    size_t got;
    do {
        got = quant_read(decode ? (void *)blocks : values, (size_t)(most * in_bytes));
        size_t n = got / in_bytes;
        total += got;
        if (importance && n < most) break; /* no whole row: said below, unless it is the end */
        if (decode) {
            info->decode(blocks, values, (int64_t)(n * info->block_elems));
            quant_write(values, n * info->block_elems * sizeof(float));
        } else {
            ggl_encode_row_at(ggl_cpu_isa(), type, values, importance, blocks, (int64_t)(n * info->block_elems));
            quant_write(blocks, n * info->block_bytes);
        }
    } while (got == most * in_bytes);

    /* A row may be longer than memory, so this can only be known at the end. */
    uint64_t row_bytes = args.row ? (uint64_t)args.row / info->block_elems * in_bytes : in_bytes;
    if (total % row_bytes)
        cli_die(&cli, EXIT_DATA, "standard input: %" PRIu64 " bytes are not a whole number of %" PRIu64 "-byte %s",
                total, row_bytes, args.row ? "rows" : "blocks");
}

/* Types whose rows are spread over planes. */
static bool has_planes(enum ggl_type type)
{
    return type == GGL_TYPE_FP8 || type == GGL_TYPE_FP4 || type == GGL_TYPE_INT4;
}

static enum ggl_type parse_type(const char *name, bool decode)
{
    enum ggl_type type;
    if (!ggl_type_from_name(name, &type))
        cli_die(&cli, EXIT_USAGE, "\"%.64s\" is not a type that this version knows (see --help)", name);
    const struct ggl_type_info *info = ggl_type_info(type);
    if (!has_planes(type) && !(decode ? info->decode != NULL : info->encode || ggl_encode_uses_weights(type)))
        cli_die(&cli, EXIT_USAGE, "%s cannot be %s by this version (see --help)", info->name,
                decode ? "decoded" : "encoded");
    return type;
}

static void check_row(enum ggl_type type, bool decode)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    int64_t multiple = type == GGL_TYPE_FP4 ? 32 : info->block_elems;
    if (!args.row && (!decode || has_planes(type)))
        cli_die(&cli, EXIT_USAGE, "%s %s needs --row N", decode ? "decode" : "encode", info->name);
    if (args.row > INT64_MAX / 8) cli_die(&cli, EXIT_USAGE, "--row: %" PRId64 " is too long for any row", args.row);
    if (args.row < 0 || args.row % multiple)
        cli_die(&cli, EXIT_USAGE, "--row: %" PRId64 " is not a positive multiple of %" PRId64 ", as %s needs", args.row,
                multiple, info->name);
}

int main(int argc, char **argv)
{
    args.row = INT64_MIN; /* not given */
    cli_parse(&cli, argc, argv);
    bool decode = strcmp(argv[1], "decode") == 0;
    if (!decode && strcmp(argv[1], "encode") != 0)
        cli_die(&cli, EXIT_USAGE, "\"%.64s\" is neither decode nor encode", argv[1]);
    if (args.imatrix && decode) cli_die(&cli, EXIT_USAGE, "--imatrix: decoding uses no importance matrix");
    enum ggl_type type = parse_type(argv[2], decode);
    if (args.imatrix && type != GGL_TYPE_INT4 && !ggl_encode_uses_weights(type))
        cli_die(&cli, EXIT_USAGE, "--imatrix: the encoder of %s uses no importance matrix", ggl_type_info(type)->name);
    if (!decode && !args.imatrix && ggl_encode_needs_weights(type))
        cli_die(&cli, EXIT_USAGE, "%s needs an importance matrix: give one with --imatrix FILE", ggl_type_info(type)->name);
    if (args.row == 0) cli_die(&cli, EXIT_USAGE, "--row: a row has at least one element");
    if (args.row == INT64_MIN) args.row = 0;
    check_row(type, decode);

    switch (type) {
    case GGL_TYPE_FP8: (decode ? fp8_decode : fp8_encode)((uint64_t)args.row); break;
    case GGL_TYPE_FP4: (decode ? fp4_decode : fp4_encode)((uint64_t)args.row); break;
    case GGL_TYPE_INT4:
        if (decode) int4_decode((uint64_t)args.row);
        else int4_encode((uint64_t)args.row, args.imatrix);
        break;
    default: stream(type, decode); break;
    }
    while (n_buffers) free(buffers[--n_buffers]);
    return 0;
}
