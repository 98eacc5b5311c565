/*
 * What both file formats are read into, and the tokenizer that is made of it.
 *
 * Texts are borrowed from the file's representation and only used during ggl_tokenizer_new.  Those of normal
 * tokens and of merges are in the byte alphabet (every byte is a printable character, space is U+0120); those of
 * added tokens are what they are.
 */
#ifndef GGL_TOKENIZER_VOCAB_H
#define GGL_TOKENIZER_VOCAB_H

#include "ggml-lite/status.h"
#include "model/src/tokenizer_bpe.h"

enum ggl_token_kind {
    GGL_TOKEN_HOLE = 0, /* an id that no token has */
    GGL_TOKEN_NORMAL,   /* made by merging */
    GGL_TOKEN_USER,     /* added: matched as a whole before anything else */
    GGL_TOKEN_CONTROL,  /* added, and not shown to people */
};

struct ggl_vocab_token {
    const char *text;
    uint64_t size;
    enum ggl_token_kind kind;
};

struct ggl_vocab_merge {
    const char *left, *right;
    uint64_t left_size, right_size;
};

struct ggl_vocab {
    const char *path;                     /* for error messages, with the names of the two lists there */
    const char *tokens_name, *merges_name;
    uint32_t n_tokens, n_merges;
    const struct ggl_vocab_token *tokens; /* by id */
    const struct ggl_vocab_merge *merges; /* by rank */
    int64_t bos, eos;                     /* ids; -1: found by their usual text */
};

struct ggl_tokenizer;
enum ggl_status ggl_tokenizer_new(const struct ggl_vocab *v, struct ggl_tokenizer **out, struct ggl_error *err);

/* Cut "left right"; false unless there is exactly one space, with text on both sides. */
bool ggl_vocab_split_merge(const char *text, uint64_t size, struct ggl_vocab_merge *m);

/* A tokenizer.json in memory; `path` is for messages.  UNSUPPORTED in a build without jansson. */
enum ggl_status ggl_tokenizer_from_json(const char *path, const char *text, size_t size, struct ggl_tokenizer **out,
                                        struct ggl_error *err);

/* ---- the tokenizer, shared by tokenizer_vocab.c (makes it) and tokenizer.c (uses it) */

struct ggl_token {
    char *bytes; /* into ggl_tokenizer.bytes */
    uint32_t size;
    enum ggl_token_kind kind;
};

struct ggl_tokenizer {
    struct ggl_token *tokens; /* [n_tokens] */
    uint32_t n_tokens;
    char *bytes;

    int32_t *by_bytes; /* hash of the tokens that merging can make; -1: free slot */
    uint64_t mask;

    int32_t *added; /* added tokens in the order of their bytes */
    uint32_t n_added;
    uint32_t first[257]; /* added tokens that start with byte b are [first[b], first[b + 1]) */

    struct ggl_bpe bpe;
    int32_t bos, eos;
};

/* The token that merging can make with the bytes a then b, or -1. */
int32_t ggl_tokenizer_find_bytes(const struct ggl_tokenizer *t, const void *a, size_t a_size, const void *b,
                                 size_t b_size);

/* The longest added token that text starts with, or -1. */
int32_t ggl_tokenizer_match_added(const struct ggl_tokenizer *t, const uint8_t *text, const uint8_t *end);

#endif
