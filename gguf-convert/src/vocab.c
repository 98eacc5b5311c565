/*
 * tokenizer.json as tokenizer.ggml.* keys: token texts in id order (byte-level text for the vocabulary, plain text
 * for added tokens), padded to vocab_size, and the merges in rank order.
 */
#include "gguf-convert/src/checkpoint_impl.h"

#ifdef GGL_HAVE_JANSSON
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gguf-convert/src/json.h"

#define MAX_TOKENIZER_BYTES (64u << 20)
#define MAX_TOKENIZER_DEPTH 16
#define MAX_PAD             24 /* "[PAD16777215]" with room */

enum token_type { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_UNUSED = 5 };

struct vocab {
    const char *path;
    struct ggl_error *err;
    uint32_t n; /* vocab_size */
    uint32_t used; /* highest id + 1 */
    struct ggl_str *tokens; /* into the JSON text, or into pads */
    int32_t *types;
    struct ggl_names added; /* texts of the added tokens -> id */
    char *pads;
    struct ggl_str *merges;
    char **joined; /* merges that were written as pairs */
    size_t n_merges;
};

static void vocab_free(struct vocab *v)
{
    for (size_t i = 0; v->joined && i < v->n_merges; i++) free(v->joined[i]);
    free(v->joined);
    free(v->merges);
    ggl_names_free(&v->added);
    free(v->tokens);
    free(v->types);
    free(v->pads);
}

static enum ggl_status fail(const struct vocab *v, const char *what, const json_t *value, const char *expected)
{
    char found[64];
    return ggl_fail(v->err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, ggl_json_describe(value, found), expected, "%s",
                    what);
}

static enum ggl_status no_memory(const struct vocab *v)
{
    return ggl_fail(v->err, GGL_ERR_NOMEM, v->path, GGL_NO_OFFSET, NULL, NULL, "tokenizer");
}

static enum ggl_status place(struct vocab *v, const char *text, size_t size, const json_t *id, int32_t type)
{
    char what[96], expected[48];
    snprintf(what, sizeof(what), "token \"%.60s\": id", text);
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= (json_int_t)v->n) {
        snprintf(expected, sizeof(expected), "0 to %" PRIu32 " (vocab_size)", v->n - 1);
        return fail(v, what, id, expected);
    }
    uint32_t i = (uint32_t)json_integer_value(id);
    const struct ggl_str *old = &v->tokens[i];
    if (old->data && (old->size != size || memcmp(old->data, text, size) != 0)) {
        return ggl_fail(v->err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, old->data, "one token an id",
                        "token \"%.60s\": its id %" PRIu32 " belongs to", text, i);
    }
    v->tokens[i] = (struct ggl_str){text, size};
    v->types[i] = type;
    if (i >= v->used) v->used = i + 1;
    return GGL_OK;
}

static enum ggl_status read_tokens(struct vocab *v, json_t *model)
{
    json_t *map = json_object_get(model, "vocab"), *id;
    const char *text;
    if (!json_is_object(map) || !json_object_size(map)) return fail(v, "model.vocab", map, "an object of tokens");
    json_object_foreach(map, text, id) {
        enum ggl_status s = place(v, text, strlen(text), id, TOKEN_NORMAL);
        if (s) return s;
    }
    return GGL_OK;
}

static const char *token_text(const void *vocab, uint32_t id)
{
    return ((const struct vocab *)vocab)->tokens[id].data;
}

/* One added token.  The same text under two ids would make "text -> id" ambiguous. */
static enum ggl_status read_added_token(struct vocab *v, const json_t *entry, const json_t *map)
{
    const json_t *content = json_object_get(entry, "content"), *id = json_object_get(entry, "id");
    const json_t *special = json_object_get(entry, "special");
    if (!json_is_string(content) || !json_string_length(content)) {
        return fail(v, "added_tokens: content", content, "a text");
    }
    if (special && !json_is_boolean(special)) return fail(v, "added_tokens: special", special, "true or false");
    const char *text = json_string_value(content);
    enum ggl_status s =
        place(v, text, json_string_length(content), id, json_is_true(special) ? TOKEN_CONTROL : TOKEN_USER);
    if (s) return s;
    const json_t *other = json_object_get(map, text);
    uint32_t i = (uint32_t)json_integer_value(id), index;
    if ((other && json_integer_value(other) != json_integer_value(id)) ||
        ggl_names_find(&v->added, text, token_text, v, &index)) {
        return fail(v, "added_tokens: content", content, "a text that no other token has");
    }
    ggl_names_add(&v->added, text, i);
    return GGL_OK;
}

static enum ggl_status read_added(struct vocab *v, json_t *root, const json_t *map)
{
    json_t *list = json_object_get(root, "added_tokens"), *entry;
    size_t i;
    if (!list) return GGL_OK;
    if (!json_is_array(list)) return fail(v, "added_tokens", list, "an array");
    if (!ggl_names_reserve(&v->added, json_array_size(list))) return no_memory(v);
    json_array_foreach(list, i, entry) {
        enum ggl_status s = read_added_token(v, entry, map);
        if (s) return s;
    }
    return GGL_OK;
}

/* Every id below the highest one has a token; above it, and up to vocab_size, the rows of the embedding are padding. */
static enum ggl_status pad_tokens(struct vocab *v)
{
    for (uint32_t i = 0; i < v->used; i++) {
        if (v->tokens[i].data) continue;
        return ggl_fail(v->err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, "no token", "no holes", "token id %" PRIu32, i);
    }
    v->pads = malloc((size_t)(v->n - v->used) * MAX_PAD + 1);
    if (!v->pads) return no_memory(v);
    char *p = v->pads;
    for (uint32_t i = v->used; i < v->n; i++, p += MAX_PAD) {
        int size = snprintf(p, MAX_PAD, "[PAD%" PRIu32 "]", i);
        v->tokens[i] = (struct ggl_str){p, (uint64_t)size};
        v->types[i] = TOKEN_UNUSED;
    }
    return GGL_OK;
}

/* "left right", whichever of its two spellings the file uses. */
static enum ggl_status read_merge(struct vocab *v, size_t i, const json_t *entry)
{
    char what[48];
    snprintf(what, sizeof(what), "model.merges[%zu]", i);
    if (json_is_array(entry) && json_array_size(entry) == 2) {
        const json_t *left = json_array_get(entry, 0), *right = json_array_get(entry, 1);
        if (!json_is_string(left) || !json_is_string(right)) return fail(v, what, entry, "two texts");
        size_t n = json_string_length(left), m = json_string_length(right);
        v->joined[i] = malloc(n + m + 2);
        if (!v->joined[i]) return no_memory(v);
        memcpy(v->joined[i], json_string_value(left), n);
        v->joined[i][n] = ' ';
        memcpy(v->joined[i] + n + 1, json_string_value(right), m + 1);
        v->merges[i] = (struct ggl_str){v->joined[i], n + m + 1};
    } else if (json_is_string(entry)) {
        v->merges[i] = (struct ggl_str){json_string_value(entry), json_string_length(entry)};
    } else {
        return fail(v, what, entry, "\"left right\" or [left, right]");
    }
    const char *text = v->merges[i].data, *space = strchr(text, ' ');
    if (!space || space == text || !space[1] || strchr(space + 1, ' ')) {
        return ggl_fail(v->err, GGL_ERR_FORMAT, v->path, GGL_NO_OFFSET, text, "two texts and one space", "%s", what);
    }
    return GGL_OK;
}

static enum ggl_status read_merges(struct vocab *v, json_t *model)
{
    json_t *list = json_object_get(model, "merges"), *entry;
    size_t i;
    if (!json_is_array(list)) return fail(v, "model.merges", list, "an array");
    v->n_merges = json_array_size(list);
    v->merges = calloc(v->n_merges + 1, sizeof(*v->merges));
    v->joined = calloc(v->n_merges + 1, sizeof(*v->joined));
    if (!v->merges || !v->joined) return no_memory(v);
    json_array_foreach(list, i, entry) {
        enum ggl_status s = read_merge(v, i, entry);
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status set_keys(const struct vocab *v, const struct ggl_config *c, struct ggl_gguf *g)
{
    static const char pad[] = "<\xef\xbd\x9c\xe2\x96\x81pad\xe2\x96\x81\xef\xbd\x9c>";
    enum ggl_status s = ggl_gguf_set_str(g, "tokenizer.ggml.model", "gpt2");
    if (!s) s = ggl_gguf_set_str(g, "tokenizer.ggml.pre", "joyai-llm");
    if (!s) s = ggl_gguf_set_arr_str(g, "tokenizer.ggml.tokens", v->tokens, v->n);
    if (!s) s = ggl_gguf_set_arr(g, "tokenizer.ggml.token_type", GGL_KV_I32, v->types, v->n);
    if (!s) s = ggl_gguf_set_arr_str(g, "tokenizer.ggml.merges", v->merges, v->n_merges);
    if (!s) s = ggl_gguf_set_u32(g, "tokenizer.ggml.bos_token_id", c->bos);
    if (!s) s = ggl_gguf_set_u32(g, "tokenizer.ggml.eos_token_id", c->eos);
    for (uint32_t i = 0; i < v->used && !s; i++) {
        if (strcmp(v->tokens[i].data, pad) == 0) s = ggl_gguf_set_u32(g, "tokenizer.ggml.padding_token_id", i);
    }
    if (!s) s = ggl_gguf_set_bool(g, "tokenizer.ggml.add_bos_token", false);
    if (!s) s = ggl_gguf_set_bool(g, "tokenizer.ggml.add_eos_token", false);
    return s ? no_memory(v) : GGL_OK;
}

static enum ggl_status read_vocab(struct vocab *v, json_t *root)
{
    json_t *model = json_object_get(root, "model");
    const json_t *type = json_object_get(model, "type");
    if (!json_is_object(model)) return fail(v, "model", model, "an object");
    if (type && (!json_is_string(type) || strcmp(json_string_value(type), "BPE") != 0)) {
        char found[64];
        return ggl_fail(v->err, GGL_ERR_UNSUPPORTED, v->path, GGL_NO_OFFSET, ggl_json_describe(type, found), "\"BPE\"",
                        "model.type");
    }
    v->tokens = calloc(v->n, sizeof(*v->tokens));
    v->types = calloc(v->n, sizeof(*v->types));
    if (!v->tokens || !v->types) return no_memory(v);
    enum ggl_status s;
    if ((s = read_tokens(v, model))) return s;
    if ((s = read_added(v, root, json_object_get(model, "vocab")))) return s;
    if ((s = pad_tokens(v))) return s;
    return read_merges(v, model);
}

enum ggl_status ggl_vocab_load(const char *path, const struct ggl_config *c, struct ggl_gguf *g,
                               struct ggl_error *err)
{
    json_t *root = NULL;
    struct vocab v = {.path = path, .err = err, .n = c->n_vocab};
    enum ggl_status s = ggl_json_load(path, MAX_TOKENIZER_BYTES, MAX_TOKENIZER_DEPTH, &root, err);
    if (!s) s = read_vocab(&v, root);
    if (!s) s = set_keys(&v, c, g);
    vocab_free(&v);
    json_decref(root);
    return s;
}
#endif
