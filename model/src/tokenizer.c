/*
 * Text -> ids, and what a caller asks about single tokens.
 *
 * Added tokens are cut out first, the rest is split into words (pretokenizer.c) and the bytes of each word are
 * merged (tokenizer_bpe.c).  Where a tokenizer comes from: tokenizer_vocab.c.
 */
#include <stdlib.h>
#include <string.h>
#include "model/src/pretokenizer.h"
#include "model/src/tokenizer_vocab.h"
#include "model/tokenizer.h"

#define MAX_TEXT ((uint64_t)1 << 31) /* positions in a word are 32-bit numbers */

void ggl_tokenizer_free(struct ggl_tokenizer *t)
{
    if (!t) return;
    ggl_bpe_deinit(&t->bpe);
    free(t->added);
    free(t->by_bytes);
    free(t->bytes);
    free(t->tokens);
    free(t);
}

/*
 * The added tokens are sorted, so those with a given prefix are neighbours, and the prefix itself comes first.
 * The range shrinks with each byte of text; the last token that was a prefix of the text is the longest.
 */
int32_t ggl_tokenizer_match_added(const struct ggl_tokenizer *t, const uint8_t *text, const uint8_t *end)
{
    int32_t longest = -1;
    uint32_t lo = t->first[*text], hi = t->first[*text + 1];
    for (size_t n = 1; lo < hi; n++) {
        if (t->tokens[t->added[lo]].size == n) longest = t->added[lo++];
        if (text + n == end) break;
        /* Keep the tokens whose byte n is text[n]. */
        for (uint32_t a = lo, b = hi; a < b;) {
            uint32_t mid = a + (b - a) / 2;
            if ((uint8_t)t->tokens[t->added[mid]].bytes[n] < text[n]) lo = a = mid + 1;
            else b = mid;
        }
        for (uint32_t a = lo, b = hi; a < b;) {
            uint32_t mid = a + (b - a) / 2;
            if ((uint8_t)t->tokens[t->added[mid]].bytes[n] <= text[n]) a = mid + 1;
            else hi = b = mid;
        }
    }
    return longest;
}

static bool tokenize_plain(const struct ggl_tokenizer *t, struct ggl_bpe_scratch *scratch, const uint8_t *text,
                           const uint8_t *end, struct ggl_id_sink *sink)
{
    struct ggl_words words;
    const uint8_t *word;
    size_t size;
    ggl_words_begin(&words, text, (size_t)(end - text));
    while (ggl_words_next(&words, &word, &size))
        if (!ggl_bpe_word(&t->bpe, scratch, word, size, sink)) return false;
    return true;
}

static bool tokenize_all(const struct ggl_tokenizer *t, struct ggl_bpe_scratch *scratch, const uint8_t *text,
                         const uint8_t *end, bool special, struct ggl_id_sink *sink)
{
    const uint8_t *plain = text;
    if (special && t->n_added) {
        for (const uint8_t *p = text; p < end;) {
            int32_t id = ggl_tokenizer_match_added(t, p, end);
            if (id < 0) {
                p++;
                continue;
            }
            if (!tokenize_plain(t, scratch, plain, p, sink)) return false;
            ggl_id_sink_put(sink, id);
            plain = p += t->tokens[id].size;
        }
    }
    return tokenize_plain(t, scratch, plain, end, sink);
}

int64_t ggl_tokenize(const struct ggl_tokenizer *t, const char *text, size_t size, bool special, int32_t *ids,
                     int64_t cap, struct ggl_error *err)
{
    if (cap < 0 || (cap > 0 && !ids) || (size && !text)) {
        ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "ggl_tokenize: no text, or no room for ids");
        return -1;
    }
    if (size > MAX_TEXT) {
        ggl_fail(err, GGL_ERR_LIMIT, NULL, GGL_NO_OFFSET, "more", "at most 2147483648", "text: bytes");
        return -1;
    }
    if (!size) return 0;
    struct ggl_id_sink sink = {ids, cap, 0};
    struct ggl_bpe_scratch scratch = {0};
    const uint8_t *bytes = (const uint8_t *)text;
    bool ok = tokenize_all(t, &scratch, bytes, bytes + size, special, &sink);
    ggl_bpe_scratch_deinit(&scratch);
    if (ok) return sink.n;
    ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "tokenizing %zu bytes", size);
    return -1;
}

/* ---- single tokens */

static const struct ggl_token *get(const struct ggl_tokenizer *t, int32_t id)
{
    if (id < 0 || (uint32_t)id >= t->n_tokens || t->tokens[id].kind == GGL_TOKEN_HOLE) return NULL;
    return &t->tokens[id];
}

const char *ggl_token_bytes(const struct ggl_tokenizer *t, int32_t id, size_t *size)
{
    const struct ggl_token *token = get(t, id);
    *size = token ? token->size : 0;
    return token ? token->bytes : NULL;
}

bool ggl_token_is_special(const struct ggl_tokenizer *t, int32_t id)
{
    const struct ggl_token *token = get(t, id);
    return token && token->kind == GGL_TOKEN_CONTROL;
}

int32_t ggl_token_find(const struct ggl_tokenizer *t, const char *text)
{
    size_t size = strlen(text);
    if (!size) return -1;
    const uint8_t *bytes = (const uint8_t *)text;
    int32_t added = ggl_tokenizer_match_added(t, bytes, bytes + size);
    if (added >= 0 && t->tokens[added].size == size) return added;
    return ggl_tokenizer_find_bytes(t, text, size, "", 0);
}

int32_t ggl_tokenizer_n_vocab(const struct ggl_tokenizer *t)
{
    return (int32_t)t->n_tokens;
}

int32_t ggl_tokenizer_bos(const struct ggl_tokenizer *t)
{
    return t->bos;
}

int32_t ggl_tokenizer_eos(const struct ggl_tokenizer *t)
{
    return t->eos;
}
