/*
 * A vocabulary as a file states it -> a tokenizer.  Everything that the tokenizer relies on is checked here:
 * every byte has a token, a merge joins two known tokens into a third, no two tokens are the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/checked.h"
#include "model/src/tokenizer_vocab.h"
#include "model/src/unicode.h"
#include "model/tokenizer.h"

enum { MAX_TOKEN_BYTES = 65536, MAX_ADDED_BYTES = 1024 };

static enum ggl_status bad_token(const struct ggl_vocab *v, uint32_t id, const char *expected, const char *problem,
                                 struct ggl_error *err)
{
    char found[96];
    int size = v->tokens[id].size < 64 ? (int)v->tokens[id].size : 64;
    snprintf(found, sizeof(found), "'%.*s'", size, v->tokens[id].text);
    return ggl_fail(err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, found, expected, "%s[%" PRIu32 "]: %s",
                    v->tokens_name, id, problem);
}

/* The file is sound, but its vocabulary is not one that text can be cut into: a model can still evaluate tokens. */
static enum ggl_status not_byte_level(struct ggl_error *err)
{
    if (err) err->status = GGL_ERR_UNSUPPORTED;
    return GGL_ERR_UNSUPPORTED;
}

static enum ggl_status no_memory(const struct ggl_vocab *v, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, v->path, GGL_NO_OFFSET, NULL, NULL, "tokenizer");
}

/* ---- the byte alphabet: bytes that are printable characters in Latin-1 stand for themselves, the other 68 are
 * U+0100, U+0101, ... in order */

static int byte_of_char(uint32_t code)
{
    if ((code >= 33 && code <= 126) || (code >= 161 && code <= 255 && code != 173)) return (int)code;
    if (code < 256 || code >= 256 + 68) return -1;
    code -= 256;
    return code < 33 ? (int)code : code < 67 ? (int)code - 33 + 127 : 173;
}

/* Text in the byte alphabet -> bytes.  Returns their number, or SIZE_MAX for a character outside the alphabet.
 * `out` has room for `size` bytes. */
static size_t unmap(const char *text, size_t size, char *out)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + size;
    size_t n = 0;
    while (p < end) {
        struct ggl_char c = ggl_utf8_decode(p, end);
        int byte = byte_of_char(c.code);
        if (byte < 0) return SIZE_MAX;
        out[n++] = (char)byte;
        p += c.size;
    }
    return n;
}

/* ---- tokens */

static enum ggl_status add_token(struct ggl_tokenizer *t, const struct ggl_vocab *v, uint32_t id, char **next,
                                 struct ggl_error *err)
{
    const struct ggl_vocab_token *from = &v->tokens[id];
    struct ggl_token *to = &t->tokens[id];
    if (from->kind == GGL_TOKEN_HOLE) return GGL_OK;
    if (!from->size || from->size > MAX_TOKEN_BYTES)
        return bad_token(v, id, "1 .. 65536 bytes of text", from->size ? "too long" : "empty", err);

    size_t size = (size_t)from->size;
    if (from->kind == GGL_TOKEN_NORMAL) {
        size = unmap(from->text, size, *next);
        if (size == SIZE_MAX) {
            bad_token(v, id, "the 256 characters that stand for bytes", "text", err);
            return not_byte_level(err);
        }
    } else {
        if (size > MAX_ADDED_BYTES) return bad_token(v, id, "at most 1024 bytes", "added token", err);
        const uint8_t *p = (const uint8_t *)from->text, *end = p + size;
        while (p < end) {
            struct ggl_char c = ggl_utf8_decode(p, end);
            if (c.code == GGL_INVALID_BYTE) return bad_token(v, id, "valid UTF-8", "added token", err);
            p += c.size;
        }
        memcpy(*next, from->text, size);
        t->n_added++;
    }
    *to = (struct ggl_token){*next, (uint32_t)size, from->kind};
    (*next)[size] = 0;
    *next += size + 1;
    return GGL_OK;
}

static enum ggl_status add_tokens(struct ggl_tokenizer *t, const struct ggl_vocab *v, struct ggl_error *err)
{
    uint64_t total = 1;
    uint32_t n = v->n_tokens;
    while (n > 0 && v->tokens[n - 1].kind == GGL_TOKEN_HOLE) n--;
    for (uint32_t id = 0; id < n; id++)
        if (v->tokens[id].kind != GGL_TOKEN_HOLE &&
            (!ggl_add_u64(total, v->tokens[id].size, &total) || !ggl_add_u64(total, 1, &total)))
            return no_memory(v, err);
    if (total > SIZE_MAX) return no_memory(v, err);
    t->tokens = calloc((size_t)n + 1, sizeof(*t->tokens));
    t->bytes = malloc((size_t)total);
    if (!t->tokens || !t->bytes) return no_memory(v, err);
    t->n_tokens = n;
    char *next = t->bytes;
    enum ggl_status s = GGL_OK;
    for (uint32_t id = 0; id < n && !s; id++) s = add_token(t, v, id, &next, err);
    return s;
}

/* ---- tokens by their bytes */

static uint64_t hash_bytes(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++) h = (h ^ p[i]) * 0x100000001B3u;
    return h;
}

/* The slot of the token a + b, or the free one where it belongs. */
static int32_t *find_slot(const struct ggl_tokenizer *t, const void *a, size_t a_size, const void *b, size_t b_size)
{
    uint64_t h = hash_bytes(hash_bytes(0xCBF29CE484222325u, a, a_size), b, b_size);
    h ^= h >> 32;
    for (uint64_t i = h & t->mask;; i = (i + 1) & t->mask) {
        int32_t id = t->by_bytes[i];
        if (id < 0) return &t->by_bytes[i];
        const struct ggl_token *token = &t->tokens[id];
        if (token->size == a_size + b_size && !memcmp(token->bytes, a, a_size) &&
            !memcmp(token->bytes + a_size, b, b_size))
            return &t->by_bytes[i];
    }
}

int32_t ggl_tokenizer_find_bytes(const struct ggl_tokenizer *t, const void *a, size_t a_size, const void *b,
                                 size_t b_size)
{
    return *find_slot(t, a, a_size, b, b_size);
}

/* An added token takes part in merges when its text is the same in the byte alphabet. */
static bool can_be_merged(const struct ggl_token *token)
{
    if (token->kind == GGL_TOKEN_NORMAL) return true;
    for (uint32_t i = 0; i < token->size; i++)
        if (token->bytes[i] < 33 || token->bytes[i] > 126) return false;
    return token->kind != GGL_TOKEN_HOLE;
}

static enum ggl_status index_tokens(struct ggl_tokenizer *t, const struct ggl_vocab *v, struct ggl_error *err)
{
    uint64_t slots = 512;
    while (slots < 2 * (uint64_t)t->n_tokens) slots *= 2;
    t->by_bytes = malloc((size_t)slots * sizeof(*t->by_bytes));
    if (!t->by_bytes) return no_memory(v, err);
    memset(t->by_bytes, -1, (size_t)slots * sizeof(*t->by_bytes));
    t->mask = slots - 1;
    for (uint32_t id = 0; id < t->n_tokens; id++) {
        const struct ggl_token *token = &t->tokens[id];
        if (!can_be_merged(token)) continue;
        int32_t *slot = find_slot(t, token->bytes, token->size, "", 0);
        if (*slot >= 0) return bad_token(v, id, "each text once", "another token has the same text", err);
        *slot = (int32_t)id;
    }
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        int32_t id = ggl_tokenizer_find_bytes(t, &byte, 1, "", 0);
        if (id < 0)
            return ggl_fail(err, GGL_ERR_UNSUPPORTED, v->path, GGL_NO_OFFSET, "none", "a token for each of the 256 bytes",
                            "%s: token of byte 0x%02x", v->tokens_name, i);
        t->bpe.byte_id[i] = id;
    }
    return GGL_OK;
}

/* ---- added tokens, in the order of their bytes */

static int compare_bytes(const struct ggl_token *a, const struct ggl_token *b)
{
    uint32_t n = a->size < b->size ? a->size : b->size;
    int c = memcmp(a->bytes, b->bytes, n);
    return c ? c : (a->size > b->size) - (a->size < b->size);
}

static int compare_added(const void *a, const void *b)
{
    return compare_bytes(*(const struct ggl_token *const *)a, *(const struct ggl_token *const *)b);
}

static enum ggl_status sort_added(struct ggl_tokenizer *t, const struct ggl_vocab *v, struct ggl_error *err)
{
    const struct ggl_token **sorted = malloc(((size_t)t->n_added + 1) * sizeof(*sorted));
    t->added = malloc(((size_t)t->n_added + 1) * sizeof(*t->added));
    if (!sorted || !t->added) {
        free(sorted);
        return no_memory(v, err);
    }
    uint32_t n = 0;
    for (uint32_t id = 0; id < t->n_tokens; id++)
        if (t->tokens[id].kind >= GGL_TOKEN_USER) sorted[n++] = &t->tokens[id];
    qsort(sorted, n, sizeof(*sorted), compare_added);

    enum ggl_status s = GGL_OK;
    for (uint32_t i = 0; i < n && !s; i++) {
        t->added[i] = (int32_t)(sorted[i] - t->tokens);
        t->first[(uint8_t)sorted[i]->bytes[0] + 1] = i + 1;
        if (i > 0 && !compare_bytes(sorted[i - 1], sorted[i]))
            s = bad_token(v, (uint32_t)t->added[i], "each text once", "another added token has the same text", err);
    }
    for (int b = 1; b < 257; b++)
        if (t->first[b] < t->first[b - 1]) t->first[b] = t->first[b - 1];
    free(sorted);
    return s;
}

/* ---- merges */

bool ggl_vocab_split_merge(const char *text, uint64_t size, struct ggl_vocab_merge *m)
{
    const char *space = size ? memchr(text, ' ', (size_t)size) : NULL;
    if (!space) return false;
    uint64_t left = (uint64_t)(space - text), right = size - left - 1;
    if (!left || !right || memchr(space + 1, ' ', (size_t)right)) return false;
    *m = (struct ggl_vocab_merge){text, space + 1, left, right};
    return true;
}

/* One side of a merge: text in the byte alphabet -> token, or -1. */
static int32_t find_mapped(const struct ggl_tokenizer *t, const char *text, uint64_t size, char *buf)
{
    if (!size || size > MAX_TOKEN_BYTES) return -1;
    size_t n = unmap(text, (size_t)size, buf);
    return n == SIZE_MAX ? -1 : ggl_tokenizer_find_bytes(t, buf, n, "", 0);
}

/* A vocabulary that was cut short may keep merges whose result was cut off: they make nothing and are left out. */
static enum ggl_status add_merge(struct ggl_tokenizer *t, const struct ggl_vocab *v, uint32_t rank, char *buf,
                                 struct ggl_error *err)
{
    const struct ggl_vocab_merge *m = &v->merges[rank];
    const char *problem = NULL;
    int32_t left = find_mapped(t, m->left, m->left_size, buf), right, result;
    if (left < 0) problem = "a left side that is a token";
    else if ((right = find_mapped(t, m->right, m->right_size, buf)) < 0) problem = "a right side that is a token";
    else {
        const struct ggl_token *a = &t->tokens[left], *b = &t->tokens[right];
        result = ggl_tokenizer_find_bytes(t, a->bytes, a->size, b->bytes, b->size);
        if (result >= 0 && !ggl_bpe_add(&t->bpe, left, right, result)) problem = "each pair once";
    }
    if (!problem) return GGL_OK;
    char found[120];
    snprintf(found, sizeof(found), "'%.*s %.*s'", (int)(m->left_size < 48 ? m->left_size : 48), m->left,
             (int)(m->right_size < 48 ? m->right_size : 48), m->right);
    return ggl_fail(err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, found, problem, "%s[%" PRIu32 "]", v->merges_name,
                    rank);
}

static enum ggl_status add_merges(struct ggl_tokenizer *t, const struct ggl_vocab *v, struct ggl_error *err)
{
    char *buf = malloc(MAX_TOKEN_BYTES);
    enum ggl_status s = buf && ggl_bpe_init(&t->bpe, t->n_tokens, v->n_merges) ? GGL_OK : no_memory(v, err);
    for (uint32_t id = 0; id < t->n_tokens && !s; id++) t->bpe.length[id] = t->tokens[id].size;
    for (uint32_t i = 0; i < v->n_merges && !s; i++) s = add_merge(t, v, i, buf, err);
    free(buf);
    return s;
}

/* ---- */

static enum ggl_status find_special(const struct ggl_tokenizer *t, const struct ggl_vocab *v, const char *name,
                                    int64_t id, const char *usual_text, int32_t *out, struct ggl_error *err)
{
    if (id < 0) {
        *out = ggl_token_find(t, usual_text);
        return GGL_OK;
    }
    if (id < t->n_tokens && t->tokens[id].kind != GGL_TOKEN_HOLE) {
        *out = (int32_t)id;
        return GGL_OK;
    }
    char found[32];
    snprintf(found, sizeof(found), "%" PRId64, id);
    return ggl_fail(err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, found, "the id of a token", "%s", name);
}

enum ggl_status ggl_tokenizer_new(const struct ggl_vocab *v, struct ggl_tokenizer **out, struct ggl_error *err)
{
    struct ggl_tokenizer *t = calloc(1, sizeof(*t));
    if (!t) return no_memory(v, err);
    enum ggl_status s;
    if ((s = add_tokens(t, v, err))) goto fail;
    if ((s = index_tokens(t, v, err))) goto fail;
    if ((s = sort_added(t, v, err))) goto fail;
    if ((s = add_merges(t, v, err))) goto fail;
    if ((s = find_special(t, v, "bos token", v->bos, "<｜begin▁of▁sentence｜>", &t->bos, err))) goto fail;
    if ((s = find_special(t, v, "eos token", v->eos, "<｜end▁of▁sentence｜>", &t->eos, err))) goto fail;
    *out = t;
    return GGL_OK;
fail:
    ggl_tokenizer_free(t);
    return s;
}
