/*
 * Text -> tokens -> text.
 *
 *     example-01_tokenize MODEL.gguf|tokenizer.json TEXT
 *
 * Shows: the error struct, asking for the number of tokens first, the bytes of a token, streaming text that is
 * always whole characters.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/gguf.h"
#include "model/tokenizer.h"

static int report(const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    fprintf(stderr, "tokenize: %s\n", ggl_error_line(err, line, sizeof(line)));
    return ggl_status_exit_code(err->status);
}

static enum ggl_status open_tokenizer(const char *path, struct ggl_tokenizer **t, struct ggl_error *err)
{
    size_t n = strlen(path);
    if (n > 5 && !strcmp(path + n - 5, ".json")) return ggl_tokenizer_from_file(path, t, err);

    struct ggl_gguf_options header_only = {.header_only = true}; /* no need for the weights */
    struct ggl_gguf *gguf;
    enum ggl_status s = ggl_gguf_open(path, &header_only, &gguf, err);
    if (s) return s;
    s = ggl_tokenizer_from_gguf(gguf, t, err);
    ggl_gguf_free(gguf); /* the tokenizer borrows nothing */
    return s;
}

int main(int argc, char **argv)
{
    struct ggl_error err = {0};
    struct ggl_tokenizer *t;
    if (argc != 3) return fprintf(stderr, "usage: %s MODEL.gguf|tokenizer.json TEXT\n", argv[0]), 2;
    if (open_tokenizer(argv[1], &t, &err)) return report(&err);

    /* With `special` true, "<think>" in the text is one token.  Never do that with text from a stranger. */
    const char *text = argv[2];
    int64_t n = ggl_tokenize(t, text, strlen(text), true, NULL, 0, &err); /* only counts */
    int32_t *ids = n < 0 ? NULL : malloc(((size_t)n + 1) * sizeof(*ids));
    if (ids) n = ggl_tokenize(t, text, strlen(text), true, ids, n, &err);
    if (n < 0) return report(&err);
    if (!ids) return 70;

    /* A token may be part of a character, so its bytes alone are not always text. */
    for (int64_t i = 0; i < n; i++) {
        size_t size;
        const char *bytes = ggl_token_bytes(t, ids[i], &size);
        printf("%7" PRId32 "  %-8s ", ids[i], ggl_token_is_special(t, ids[i]) ? "control" : "");
        for (size_t k = 0; k < size; k++)
            printf(bytes[k] > ' ' && bytes[k] < 127 ? "%c" : "\\x%02x", (unsigned char)bytes[k]);
        putchar('\n');
    }

    /* The detokenizer holds an incomplete character back: this is how a chat shows text while it is written. */
    struct ggl_detokenizer stream = {0};
    for (int64_t i = 0; i < n; i++) {
        size_t size;
        const char *bytes = ggl_token_bytes(t, ids[i], &size);
        char *out = malloc(3 * (size + 4));
        if (out) fwrite(out, 1, ggl_detokenizer_feed(&stream, bytes, size, out), stdout);
        free(out);
    }
    char rest[12];
    fwrite(rest, 1, ggl_detokenizer_flush(&stream, rest), stdout);
    putchar('\n');
    free(ids);
    ggl_tokenizer_free(t);
    return 0;
}
