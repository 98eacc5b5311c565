/*
 * The tokenizer.ggml.* keys of a GGUF file -> struct ggl_vocab.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/gguf.h"
#include "model/src/tokenizer_vocab.h"
#include "model/tokenizer.h"

#define PREFIX "tokenizer.ggml."

/* An array with n elements (0: any number from 1) of the given type; NULL with err filled otherwise. */
static const struct ggl_kv *get_array(const struct ggl_gguf *g, const char *key, enum ggl_kv_type elem,
                                      const char *elem_name, uint64_t n, struct ggl_error *err)
{
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, key);
    const char *path = ggl_gguf_path(g);
    char found[64], expected[64];
    if (!kv) {
        ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "no such key", "an array", "%s", key);
        return NULL;
    }
    if (kv->type != GGL_KV_ARR || kv->elem != elem) {
        snprintf(expected, sizeof(expected), "an array of %s", elem_name);
        ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "another type", expected, "%s", key);
        return NULL;
    }
    if ((n && kv->n != n) || !kv->n || kv->n > INT32_MAX) {
        snprintf(found, sizeof(found), "%" PRIu64, kv->n);
        snprintf(expected, sizeof(expected), n ? "%" PRIu64 : "1 .. 2147483647", n);
        ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, found, expected, "%s: number of elements", key);
        return NULL;
    }
    return kv;
}

/* A string key that must have one of the values. */
static enum ggl_status check_value(const struct ggl_gguf *g, const char *key, const char *const *values,
                                   const char *expected, struct ggl_error *err)
{
    const char *path = ggl_gguf_path(g), *found = ggl_gguf_get_str(g, key);
    if (!found)
        return ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "no such string", expected, "%s", key);
    for (; *values; values++)
        if (!strcmp(found, *values)) return GGL_OK;
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, path, GGL_NO_OFFSET, found, expected, "%s", key);
}

/* Token types of the format: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
static enum ggl_status read_tokens(const struct ggl_gguf *g, struct ggl_vocab *v, struct ggl_vocab_token **out,
                                   struct ggl_error *err)
{
    static const enum ggl_token_kind kinds[] = {[1] = GGL_TOKEN_NORMAL, [3] = GGL_TOKEN_CONTROL,
                                                [4] = GGL_TOKEN_USER, [5] = GGL_TOKEN_HOLE};
    const struct ggl_kv *texts = get_array(g, PREFIX "tokens", GGL_KV_STR, "strings", 0, err);
    if (!texts) return GGL_ERR_FORMAT;
    const struct ggl_kv *types = get_array(g, PREFIX "token_type", GGL_KV_I32, "i32", texts->n, err);
    if (!types) return GGL_ERR_FORMAT;

    struct ggl_vocab_token *tokens = calloc((size_t)texts->n, sizeof(*tokens));
    if (!tokens) return ggl_fail(err, GGL_ERR_NOMEM, v->path, GGL_NO_OFFSET, NULL, NULL, PREFIX "tokens");
    *out = tokens;
    for (uint64_t i = 0; i < texts->n; i++) {
        int32_t type = ((const int32_t *)types->data)[i];
        if (type < 1 || type > 5 || type == 2) {
            char found[32];
            snprintf(found, sizeof(found), "%" PRId32, type);
            return ggl_fail(err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, found, "1, 3, 4 or 5",
                            PREFIX "token_type[%" PRIu64 "]", i);
        }
        tokens[i] = (struct ggl_vocab_token){texts->str[i].data, texts->str[i].size, kinds[type]};
    }
    v->tokens = tokens;
    v->n_tokens = (uint32_t)texts->n;
    return GGL_OK;
}

static enum ggl_status read_merges(const struct ggl_gguf *g, struct ggl_vocab *v, struct ggl_vocab_merge **out,
                                   struct ggl_error *err)
{
    const struct ggl_kv *texts = get_array(g, PREFIX "merges", GGL_KV_STR, "strings", 0, err);
    if (!texts) return GGL_ERR_FORMAT;
    struct ggl_vocab_merge *merges = calloc((size_t)texts->n, sizeof(*merges));
    if (!merges) return ggl_fail(err, GGL_ERR_NOMEM, v->path, GGL_NO_OFFSET, NULL, NULL, PREFIX "merges");
    *out = merges;
    for (uint64_t i = 0; i < texts->n; i++) {
        const struct ggl_str *s = &texts->str[i];
        if (!ggl_vocab_split_merge(s->data, s->size, &merges[i])) {
            char found[64];
            snprintf(found, sizeof(found), "'%.*s'", (int)(s->size < 48 ? s->size : 48), s->data);
            return ggl_fail(err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, found, "two texts with one space between",
                            PREFIX "merges[%" PRIu64 "]", i);
        }
    }
    v->merges = merges;
    v->n_merges = (uint32_t)texts->n;
    return GGL_OK;
}

/* Leaves *id alone when the key is absent: the token is then found by its text. */
static enum ggl_status read_id(const struct ggl_gguf *g, const char *key, uint32_t n_tokens, int64_t *id,
                               struct ggl_error *err)
{
    uint32_t value;
    if (!ggl_gguf_find_kv(g, key)) return GGL_OK;
    enum ggl_status s = ggl_gguf_get_u32(g, key, 0, n_tokens - 1, &value, err);
    if (!s) *id = value;
    return s;
}

static enum ggl_status refuse_flag(const struct ggl_gguf *g, const char *key, struct ggl_error *err)
{
    bool value;
    if (!ggl_gguf_find_kv(g, key)) return GGL_OK;
    enum ggl_status s = ggl_gguf_get_bool(g, key, &value, err);
    if (s || !value) return s;
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, ggl_gguf_path(g), GGL_NO_OFFSET, "true", "false", "%s", key);
}

enum ggl_status ggl_tokenizer_from_gguf(const struct ggl_gguf *g, struct ggl_tokenizer **out, struct ggl_error *err)
{
    static const char *const models[] = {"gpt2", NULL}, *const pres[] = {"joyai-llm", "deepseek-v3", NULL};
    struct ggl_vocab v = {.path = ggl_gguf_path(g), .tokens_name = PREFIX "tokens", .merges_name = PREFIX "merges",
                          .bos = -1, .eos = -1};
    struct ggl_vocab_token *tokens = NULL;
    struct ggl_vocab_merge *merges = NULL;
    enum ggl_status s;
    if (!ggl_gguf_find_kv(g, PREFIX "model"))
        return ggl_fail(err, GGL_ERR_STATE, v.path, GGL_NO_OFFSET, NULL, NULL, "the file has no tokenizer");
    if ((s = check_value(g, PREFIX "model", models, "gpt2", err))) goto end;
    if ((s = check_value(g, PREFIX "pre", pres, "joyai-llm or deepseek-v3", err))) goto end;
    if ((s = refuse_flag(g, PREFIX "add_space_prefix", err))) goto end;
    if ((s = read_tokens(g, &v, &tokens, err))) goto end;
    if ((s = read_merges(g, &v, &merges, err))) goto end;
    if ((s = read_id(g, PREFIX "bos_token_id", v.n_tokens, &v.bos, err))) goto end;
    if ((s = read_id(g, PREFIX "eos_token_id", v.n_tokens, &v.eos, err))) goto end;
    s = ggl_tokenizer_new(&v, out, err);
end:
    free(tokens);
    free(merges);
    return s;
}
