/*
 * ggl-tokenize: JSON strings on stdin -> JSON arrays of token ids on stdout, a line each, or the reverse.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "common/cli.h"
#include "ggml-lite/gguf.h"
#include "model/tokenizer.h"

static struct {
    const char *tokenizer, *model;
    bool decode, plain, quiet;
    int64_t threads;
} args;

static const struct cli_option options[] = {
    {0, "tokenizer", "FILE", "a tokenizer.json", CLI_STR, &args.tokenizer},
    {'m', "model", "MODEL", "a GGUF file, or a folder with a tokenizer.json", CLI_STR, &args.model},
    {'d', "decode", NULL, "arrays of ids -> strings", CLI_FLAG, &args.decode},
    {0, "plain", NULL, "added tokens such as <think> are ordinary text", CLI_FLAG, &args.plain},
    {'t', "threads", "N", "accepted as in every tool; one thread is used", CLI_INT, &args.threads},
    {'q', "quiet", NULL, "accepted as in every tool; there is no progress to show", CLI_FLAG, &args.quiet},
    {0}};

static const struct cli cli = {
    .name = "ggl-tokenize",
    .synopsis = "--tokenizer FILE | -m MODEL [--plain] [--decode] < LINES",
    .summary = "Text to token ids and back.  Every line of stdin is a JSON string; every line of stdout is the\n"
               "JSON array of its ids.  With --decode it is the other way round.",
    .details = "Bytes that are not UTF-8 after --decode become U+FFFD.\n\n"
               "Example:\n"
               "  echo '\"Hello!\"' | ggl-tokenize -m model.gguf",
    .options = options,
};

enum { EXIT_USAGE = 2, EXIT_DATA = 65, EXIT_INTERNAL = 70 };

#ifndef GGL_HAVE_JANSSON

int main(int argc, char **argv)
{
    cli_parse(&cli, argc, argv);
    cli_die(&cli, EXIT_DATA, "this build cannot read JSON: it was made without jansson");
}

#else

#include <jansson.h>

static struct ggl_tokenizer *open_gguf(const char *path, struct ggl_error *err)
{
    struct ggl_gguf_options header = {.header_only = true};
    struct ggl_tokenizer *t = NULL;
    struct ggl_gguf *g;
    if (ggl_gguf_open(path, &header, &g, err)) return NULL;
    if (ggl_tokenizer_from_gguf(g, &t, err) == GGL_ERR_STATE) err->status = GGL_ERR_FORMAT;
    ggl_gguf_free(g);
    return t;
}

static struct ggl_tokenizer *open_json(const char *path, struct ggl_error *err)
{
    struct ggl_tokenizer *t = NULL;
    return ggl_tokenizer_from_file(path, &t, err) ? NULL : t;
}

static struct ggl_tokenizer *open_tokenizer(void)
{
    struct ggl_error err = {0};
    struct ggl_tokenizer *t;
    struct stat st;
    if (args.tokenizer) {
        t = open_json(args.tokenizer, &err);
    } else if (stat(args.model, &st) == 0 && S_ISDIR(st.st_mode)) {
        size_t n = strlen(args.model) + sizeof("/tokenizer.json");
        char *path = malloc(n);
        if (!path) cli_die(&cli, EXIT_INTERNAL, "out of memory");
        snprintf(path, n, "%s/tokenizer.json", args.model);
        t = open_json(path, &err);
        free(path);
    } else {
        t = open_gguf(args.model, &err);
    }
    if (!t) cli_die_error(&cli, &err);
    return t;
}

/* A growing array. */
static void *grow(void *data, size_t *cap, size_t need, size_t item)
{
    if (need <= *cap) return data;
    *cap = need + need / 2;
    void *p = *cap <= SIZE_MAX / item ? realloc(data, *cap * item) : NULL;
    if (!p) cli_die(&cli, EXIT_INTERNAL, "out of memory");
    return p;
}

static void encode_line(const struct ggl_tokenizer *t, const json_t *line, uint64_t number)
{
    static int32_t *ids;
    static size_t cap;
    struct ggl_error err = {0};
    if (!json_is_string(line)) cli_die(&cli, EXIT_DATA, "line %" PRIu64 ": not a JSON string", number);
    size_t size = json_string_length(line);
    ids = grow(ids, &cap, size + 1, sizeof(*ids)); /* no more ids than bytes */
    int64_t n = ggl_tokenize(t, json_string_value(line), size, !args.plain, ids, (int64_t)size, &err);
    if (n < 0) cli_die_error(&cli, &err);
    putchar('[');
    for (int64_t i = 0; i < n; i++) printf(i ? ", %" PRId32 : "%" PRId32, ids[i]);
    puts("]");
}

static void decode_line(const struct ggl_tokenizer *t, const json_t *line, uint64_t number)
{
    static char *text;
    static size_t cap;
    struct ggl_detokenizer d = {0};
    size_t n = 0;
    if (!json_is_array(line)) cli_die(&cli, EXIT_DATA, "line %" PRIu64 ": not a JSON array", number);
    for (size_t i = 0; i < json_array_size(line); i++) {
        const json_t *item = json_array_get(line, i);
        json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
        size_t size;
        const char *bytes = id > INT32_MAX ? NULL : ggl_token_bytes(t, id < 0 ? -1 : (int32_t)id, &size);
        if (!bytes) cli_die(&cli, EXIT_DATA, "line %" PRIu64 ": item %zu is not the id of a token", number, i);
        text = grow(text, &cap, n + 3 * (size + 4), 1);
        n += ggl_detokenizer_feed(&d, bytes, size, text + n);
    }
    text = grow(text, &cap, n + 12, 1);
    n += ggl_detokenizer_flush(&d, text + n);
    json_t *string = json_stringn(text, n);
    if (!string || json_dumpf(string, stdout, JSON_ENCODE_ANY))
        cli_die(&cli, EXIT_INTERNAL, "line %" PRIu64 ": cannot write the string", number);
    putchar('\n');
    json_decref(string);
}

int main(int argc, char **argv)
{
    cli_parse(&cli, argc, argv);
    if (!args.tokenizer == !args.model) cli_die(&cli, EXIT_USAGE, "give either --tokenizer or --model (see --help)");
    struct ggl_tokenizer *t = open_tokenizer();
    char *line = NULL;
    size_t cap = 0, size;
    for (uint64_t number = 1; cli_read_line(stdin, &line, &cap, &size); number++) {
        json_error_t e;
        json_t *j = json_loadb(line, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
        if (!j) cli_die(&cli, EXIT_DATA, "line %" PRIu64 ": %s", number, e.text);
        (args.decode ? decode_line : encode_line)(t, j, number);
        json_decref(j);
    }
    free(line);
    ggl_tokenizer_free(t);
    return 0;
}

#endif
