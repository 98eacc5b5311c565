/*
 * Byte-level BPE with DeepSeek V4's three pre-tokenizer passes.
 *
 *     struct ggl_tokenizer *t;
 *     ggl_tokenizer_from_gguf(gguf, &t, &err);
 *     int32_t ids[64];
 *     int64_t n = ggl_tokenize(t, text, size, true, ids, 64, &err);
 *
 * Text is bytes: invalid UTF-8 is tokenised byte by byte, so decode(encode(x)) == x for every x.
 * Work and memory are linear in the text (n log n inside one very long word); nothing recurses.
 *
 * Thread-safety: a tokenizer is constant after creation; a ggl_detokenizer belongs to one stream.
 */
#ifndef GGL_TOKENIZER_H
#define GGL_TOKENIZER_H

#include <stddef.h>
#include "ggml-lite/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_gguf;
struct ggl_tokenizer;

/* From the tokenizer.ggml.* keys of a GGUF file.  STATE: the file has none.  UNSUPPORTED: the vocabulary is sound but not
 * byte-level (stand-in vocabularies of test files); models with one still evaluate tokens. */
GGL_API enum ggl_status ggl_tokenizer_from_gguf(const struct ggl_gguf *g, struct ggl_tokenizer **out, struct ggl_error *err);
/* From a tokenizer.json (needs a build with jansson, else UNSUPPORTED). */
GGL_API enum ggl_status ggl_tokenizer_from_file(const char *path, struct ggl_tokenizer **out, struct ggl_error *err);
GGL_API void ggl_tokenizer_free(struct ggl_tokenizer *t);

/*
 * Tokenise text[0..size).  With `special`, added tokens written in the text become their id (longest match
 * first); without it every byte is plain text.  Writes at most cap ids and returns how many there are in all
 * (so cap = 0 counts); -1 on failure, err filled (NOMEM; LIMIT above 2^31 bytes).
 */
GGL_API int64_t ggl_tokenize(const struct ggl_tokenizer *t, const char *text, size_t size, bool special,
                             int32_t *ids, int64_t cap, struct ggl_error *err);

/* The bytes of one token, not terminated (added tokens: their text).  NULL for an id out of range or a hole. */
GGL_API const char *ggl_token_bytes(const struct ggl_tokenizer *t, int32_t id, size_t *size);
GGL_API bool ggl_token_is_special(const struct ggl_tokenizer *t, int32_t id); /* control tokens: not shown to people */
GGL_API int32_t ggl_token_find(const struct ggl_tokenizer *t, const char *text); /* exact text -> id, or -1 */
GGL_API int32_t ggl_tokenizer_n_vocab(const struct ggl_tokenizer *t);            /* highest id + 1 */
GGL_API int32_t ggl_tokenizer_bos(const struct ggl_tokenizer *t);                /* -1: none */
GGL_API int32_t ggl_tokenizer_eos(const struct ggl_tokenizer *t);

/* Streaming decode: holds back the bytes of an incomplete character until it is complete or can never be. */
struct ggl_detokenizer {
    unsigned char held[4];
    int n_held;
};
/* Feed bytes; writes complete UTF-8 (invalid bytes become U+FFFD) to out, which needs 3 * (size + 4) bytes.
 * Returns the number of bytes written. */
GGL_API size_t ggl_detokenizer_feed(struct ggl_detokenizer *d, const char *bytes, size_t size, char *out);
/* The end of the stream: U+FFFD for what is still held.  out needs 12 bytes. */
GGL_API size_t ggl_detokenizer_flush(struct ggl_detokenizer *d, char *out);

#ifdef __cplusplus
}
#endif
#endif
