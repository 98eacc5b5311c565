/*
 * tokenizer.json -> struct ggl_vocab.
 *
 * The file describes a pipeline; only DeepSeek's is known here.  Whatever would change a token and is not what
 * we do is refused by name, so that no file is ever tokenised almost right.
 */
#include "ggml-lite/src/file.h"
#include "model/src/tokenizer_vocab.h"
#include "model/tokenizer.h"

#ifndef GGL_HAVE_JANSSON

enum ggl_status ggl_tokenizer_from_json(const char *path, const char *text, size_t size, struct ggl_tokenizer **out,
                                        struct ggl_error *err)
{
    (void)text, (void)size;
    return ggl_tokenizer_from_file(path, out, err);
}

enum ggl_status ggl_tokenizer_from_file(const char *path, struct ggl_tokenizer **out, struct ggl_error *err)
{
    (void)out;
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, path, GGL_NO_OFFSET, NULL, NULL,
                    "reading tokenizer.json needs a build with jansson");
}

#else

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ID ((1 << 22) - 1) /* ids index an array, so a small file must not name a huge one */

struct reader {
    const char *path;
    struct ggl_error *err;
    enum ggl_status status;
    struct ggl_vocab_token *tokens;
    struct ggl_vocab_merge *merges;
    uint32_t n_tokens, n_merges;
};

/* Remember the first failure; returns false. */
static bool fail(struct reader *r, enum ggl_status status, const char *what, const char *found, const char *expected)
{
    if (!r->status) r->status = ggl_fail(r->err, status, r->path, GGL_NO_OFFSET, found, expected, "%s", what);
    return false;
}

/* What a value looks like in a message. */
static const char *describe(const json_t *j, char buf[100])
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer", "a real number",
                                        "true", "false", "null"};
    if (!j) return "nothing";
    if (json_is_string(j)) snprintf(buf, 100, "\"%.90s\"", json_string_value(j));
    else if (json_is_integer(j)) snprintf(buf, 100, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
    else snprintf(buf, 100, "%s", names[json_typeof(j)]);
    return buf;
}

static bool wrong(struct reader *r, enum ggl_status status, const char *what, const json_t *found,
                  const char *expected)
{
    char buf[100];
    return fail(r, status, what, describe(found, buf), expected);
}

/* ---- the pipeline */

static bool is_false(const json_t *j) /* or left out, or null */
{
    return !j || json_is_null(j) || json_is_false(j);
}

static bool is_empty(const json_t *j) /* null, or "" */
{
    return !j || json_is_null(j) || (json_is_string(j) && !*json_string_value(j));
}

static bool has_type(const json_t *j, const char *type)
{
    const char *s = json_string_value(json_object_get(j, "type"));
    return s && !strcmp(s, type);
}

/* `what`.type in a message that says what is not supported. */
static bool unknown_type(struct reader *r, const char *what, const json_t *j, const char *expected)
{
    const json_t *type = json_object_get(j, "type");
    return wrong(r, GGL_ERR_UNSUPPORTED, what, type ? type : j, expected);
}

/* Compare two regular expressions; a line break may be written as itself or as an escape. */
static bool same_regex(const char *a, const char *b)
{
    while (*a && *b) {
        char c = *a++, d = *b++;
        if (c == '\\' && (*a == 'r' || *a == 'n')) c = *a++ == 'r' ? '\r' : '\n';
        else if (c == '\\' && *a) {
            if (d != '\\' || *a != *b) return false;
            a++, b++;
            continue;
        }
        if (c != d) return false;
    }
    return *a == *b;
}

static bool check_split(struct reader *r, const json_t *j, int i)
{
    static const char *const regex[3] = {
        "\\p{N}{1,3}",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
         "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"),
    };
    char what[64];
    snprintf(what, sizeof(what), "pre_tokenizer.pretokenizers[%d]", i);
    if (!has_type(j, "Split")) return unknown_type(r, what, j, "Split");
    const json_t *behavior = json_object_get(j, "behavior");
    if (!json_is_string(behavior) || strcmp(json_string_value(behavior), "Isolated"))
        return wrong(r, GGL_ERR_UNSUPPORTED, "pre_tokenizer: behavior", behavior, "Isolated");
    if (!is_false(json_object_get(j, "invert")))
        return wrong(r, GGL_ERR_UNSUPPORTED, "pre_tokenizer: invert", json_object_get(j, "invert"), "false");
    const json_t *found = json_object_get(json_object_get(j, "pattern"), "Regex");
    if (json_is_string(found) && same_regex(json_string_value(found), regex[i])) return true;
    snprintf(what, sizeof(what), "pre_tokenizer.pretokenizers[%d].pattern.Regex", i);
    return wrong(r, GGL_ERR_UNSUPPORTED, what, found, regex[i]);
}

static bool check_pre_tokenizer(struct reader *r, const json_t *j)
{
    if (!has_type(j, "Sequence")) return unknown_type(r, "pre_tokenizer", j, "Sequence");
    const json_t *list = json_object_get(j, "pretokenizers");
    if (json_array_size(list) != 4)
        return wrong(r, GGL_ERR_UNSUPPORTED, "pre_tokenizer.pretokenizers", list, "three Split and a ByteLevel");
    for (int i = 0; i < 3; i++)
        if (!check_split(r, json_array_get(list, (size_t)i), i)) return false;
    const json_t *bytes = json_array_get(list, 3);
    if (!has_type(bytes, "ByteLevel"))
        return unknown_type(r, "pre_tokenizer.pretokenizers[3]", bytes, "ByteLevel");
    /* Both are true when left out. */
    if (!json_is_false(json_object_get(bytes, "add_prefix_space")))
        return fail(r, GGL_ERR_UNSUPPORTED, "pre_tokenizer.pretokenizers[3].add_prefix_space", "true", "false");
    if (!json_is_false(json_object_get(bytes, "use_regex")))
        return fail(r, GGL_ERR_UNSUPPORTED, "pre_tokenizer.pretokenizers[3].use_regex", "true", "false");
    return true;
}

static bool check_normalizer(struct reader *r, const json_t *j)
{
    if (!j || json_is_null(j)) return true;
    const json_t *list = json_object_get(j, "normalizers");
    if (has_type(j, "Sequence") && json_is_array(list)) {
        if (json_array_size(list) == 0) return true;
        j = json_array_get(list, 0);
    }
    return unknown_type(r, "normalizer", j, "none");
}

static bool check_byte_level(struct reader *r, const json_t *root, const char *what)
{
    const json_t *j = json_object_get(root, what);
    if (!j || json_is_null(j) || has_type(j, "ByteLevel")) return true;
    return unknown_type(r, what, j, "ByteLevel");
}

static bool check_model(struct reader *r, const json_t *model)
{
    if (!json_is_object(model)) return wrong(r, GGL_ERR_FORMAT, "model", model, "an object");
    if (!has_type(model, "BPE")) return unknown_type(r, "model", model, "BPE");
    static const char *const empty[] = {"unk_token", "continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 3; i++) {
        const json_t *j = json_object_get(model, empty[i]);
        char what[64];
        snprintf(what, sizeof(what), "model.%s", empty[i]);
        if (!is_empty(j)) return wrong(r, GGL_ERR_UNSUPPORTED, what, j, "null");
    }
    const json_t *dropout = json_object_get(model, "dropout");
    if (!is_false(dropout) && !(json_is_number(dropout) && json_number_value(dropout) == 0))
        return wrong(r, GGL_ERR_UNSUPPORTED, "model.dropout", dropout, "null");
    if (!is_false(json_object_get(model, "byte_fallback")))
        return fail(r, GGL_ERR_UNSUPPORTED, "model.byte_fallback", "true", "false");
    if (!is_false(json_object_get(model, "ignore_merges")))
        return fail(r, GGL_ERR_UNSUPPORTED, "model.ignore_merges", "true", "false");
    return true;
}

static bool check_pipeline(struct reader *r, const json_t *root)
{
    if (!json_is_object(root)) return wrong(r, GGL_ERR_FORMAT, "the file", root, "an object");
    if (!is_false(json_object_get(root, "truncation")))
        return fail(r, GGL_ERR_UNSUPPORTED, "truncation", "an object", "null");
    if (!is_false(json_object_get(root, "padding")))
        return fail(r, GGL_ERR_UNSUPPORTED, "padding", "an object", "null");
    return check_normalizer(r, json_object_get(root, "normalizer")) &&
           check_pre_tokenizer(r, json_object_get(root, "pre_tokenizer")) &&
           check_byte_level(r, root, "post_processor") && check_byte_level(r, root, "decoder") &&
           check_model(r, json_object_get(root, "model"));
}

/* ---- tokens and merges */

/* An id, or -1 with the failure noted. */
static int64_t get_id(struct reader *r, const char *what, const json_t *j)
{
    if (json_is_integer(j) && json_integer_value(j) >= 0 && json_integer_value(j) <= MAX_ID)
        return json_integer_value(j);
    wrong(r, GGL_ERR_FORMAT, what, j, "an id from 0 to 4194303");
    return -1;
}

static bool reserve_tokens(struct reader *r, json_t *vocab, const json_t *added)
{
    int64_t highest = -1;
    const char *text;
    json_t *j;
    json_object_foreach(vocab, text, j) {
        int64_t id = get_id(r, "model.vocab", j);
        if (id < 0) return false;
        if (id > highest) highest = id;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        int64_t id = get_id(r, "added_tokens", json_object_get(json_array_get(added, i), "id"));
        if (id < 0) return false;
        if (id > highest) highest = id;
    }
    r->n_tokens = (uint32_t)(highest + 1);
    r->tokens = calloc((size_t)r->n_tokens + 1, sizeof(*r->tokens));
    return r->tokens || fail(r, GGL_ERR_NOMEM, "tokens", NULL, NULL);
}

static bool read_vocab(struct reader *r, json_t *vocab)
{
    const char *text;
    json_t *j;
    json_object_foreach(vocab, text, j) {
        struct ggl_vocab_token *t = &r->tokens[json_integer_value(j)];
        if (t->kind != GGL_TOKEN_HOLE) return wrong(r, GGL_ERR_FORMAT, "model.vocab", j, "each id once");
        *t = (struct ggl_vocab_token){text, strlen(text), GGL_TOKEN_NORMAL};
    }
    return true;
}

/* An added token may also be in the vocabulary, under the same id and text. */
static bool read_added_token(struct reader *r, json_t *vocab, const json_t *j, size_t i)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    char what[64];
    const json_t *content = json_object_get(j, "content"), *special = json_object_get(j, "special");
    snprintf(what, sizeof(what), "added_tokens[%zu].content", i);
    if (!json_is_string(content)) return wrong(r, GGL_ERR_FORMAT, what, content, "a string");
    const char *text = json_string_value(content);
    for (int f = 0; f < 4; f++) {
        const json_t *flag = json_object_get(j, flags[f]);
        snprintf(what, sizeof(what), "added_tokens[%zu].%s", i, flags[f]);
        if (!is_false(flag)) return wrong(r, GGL_ERR_UNSUPPORTED, what, flag, "false");
    }
    snprintf(what, sizeof(what), "added_tokens[%zu].id", i);
    const json_t *id = json_object_get(j, "id"), *same = json_object_get(vocab, text);
    struct ggl_vocab_token *t = &r->tokens[json_integer_value(id)];
    if (same && json_integer_value(same) != json_integer_value(id))
        return wrong(r, GGL_ERR_FORMAT, what, id, "the id that the text has in model.vocab");
    if (t->kind != GGL_TOKEN_HOLE && !(same && t->kind == GGL_TOKEN_NORMAL))
        return wrong(r, GGL_ERR_FORMAT, what, id, "an id of its own");
    enum ggl_token_kind kind = json_is_true(special) ? GGL_TOKEN_CONTROL : GGL_TOKEN_USER;
    *t = (struct ggl_vocab_token){text, json_string_length(content), kind};
    return true;
}

static bool read_merge(const json_t *j, struct ggl_vocab_merge *m)
{
    if (json_is_string(j)) return ggl_vocab_split_merge(json_string_value(j), json_string_length(j), m);
    const json_t *left = json_array_get(j, 0), *right = json_array_get(j, 1);
    if (json_array_size(j) != 2 || !json_is_string(left) || !json_is_string(right)) return false;
    *m = (struct ggl_vocab_merge){json_string_value(left), json_string_value(right), json_string_length(left),
                                  json_string_length(right)};
    return true;
}

static bool read_merges(struct reader *r, const json_t *merges)
{
    if (!json_is_array(merges)) return wrong(r, GGL_ERR_FORMAT, "model.merges", merges, "an array");
    size_t n = json_array_size(merges);
    if (n > INT32_MAX) return fail(r, GGL_ERR_FORMAT, "model.merges", "too many", "fewer than 2147483648");
    r->n_merges = (uint32_t)n;
    r->merges = calloc(n + 1, sizeof(*r->merges));
    if (!r->merges) return fail(r, GGL_ERR_NOMEM, "merges", NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_array_get(merges, i);
        char what[64];
        snprintf(what, sizeof(what), "model.merges[%zu]", i);
        if (!read_merge(j, &r->merges[i])) return wrong(r, GGL_ERR_FORMAT, what, j, "\"left right\" or [left, right]");
    }
    return true;
}

static bool read_root(struct reader *r, const json_t *root)
{
    if (!check_pipeline(r, root)) return false;
    const json_t *model = json_object_get(root, "model"), *added = json_object_get(root, "added_tokens");
    json_t *vocab = json_object_get(model, "vocab");
    if (!json_is_object(vocab)) return wrong(r, GGL_ERR_FORMAT, "model.vocab", vocab, "an object");
    if (added && !json_is_array(added)) return wrong(r, GGL_ERR_FORMAT, "added_tokens", added, "an array");
    if (!reserve_tokens(r, vocab, added) || !read_vocab(r, vocab)) return false;
    for (size_t i = 0; i < json_array_size(added); i++)
        if (!read_added_token(r, vocab, json_array_get(added, i), i)) return false;
    return read_merges(r, json_object_get(model, "merges"));
}

enum ggl_status ggl_tokenizer_from_json(const char *path, const char *text, size_t size, struct ggl_tokenizer **out,
                                        struct ggl_error *err)
{
    struct reader r = {.path = path, .err = err};
    json_error_t je;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    if (!root) {
        /* jansson says nothing at all when the first allocations fail. */
        bool no_memory = je.line < 0 || json_error_code(&je) == json_error_out_of_memory;
        return ggl_fail(err, no_memory ? GGL_ERR_NOMEM : GGL_ERR_FORMAT, path, (uint64_t)je.position, je.text,
                        "JSON", "line %d", je.line);
    }
    if (read_root(&r, root)) {
        struct ggl_vocab v = {path, "token", "model.merges", r.n_tokens, r.n_merges, r.tokens, r.merges, -1, -1};
        r.status = ggl_tokenizer_new(&v, out, err);
    }
    free(r.tokens);
    free(r.merges);
    json_decref(root);
    return r.status;
}

enum ggl_status ggl_tokenizer_from_file(const char *path, struct ggl_tokenizer **out, struct ggl_error *err)
{
    struct ggl_map map = {0};
    enum ggl_status s = ggl_map_open(path, &map, err);
    if (s) return s;
    s = ggl_tokenizer_from_json(path, map.data ? (const char *)map.data : "", (size_t)map.size, out, err);
    ggl_map_close(&map);
    return s;
}

#endif
