/*
 * tokenizer.json: 3,000 texts with known ids on the full V4 vocabulary and on a small one, from the file and
 * through GGUF keys; time and stack on long runs; and everything in a file that must be refused by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifndef GGL_HAVE_JANSSON
int main(void)
{
    puts("skipped: this build has no jansson");
    return 0;
}
#else
#include <jansson.h>
#include <pthread.h>
#include <time.h>
#include "ggml-lite/gguf.h"
#include "model/src/tokenizer_vocab.h"
#include "model/tokenizer.h"

#define FOLDER GGL_TEST_VECTORS "/tokenizer/"

#if defined(__SANITIZE_ADDRESS__)
#define SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW_BUILD 1
#endif
#endif

/* ---- files */

static char *read_all(FILE *f, size_t *size)
{
    size_t cap = 1 << 24;
    char *text = malloc(cap);
    assert_non_null(f);
    assert_non_null(text);
    *size = fread(text, 1, cap, f);
    assert_true(*size > 0 && *size < cap);
    return text;
}

static char *read_small(size_t *size)
{
    FILE *f = fopen(FOLDER "tokenizer.small.json", "rb");
    char *text = read_all(f, size);
    fclose(f);
    return text;
}

static char *read_full(size_t *size)
{
    FILE *f = popen("xz -dc '" FOLDER "tokenizer.full.json.xz'", "r");
    char *text = read_all(f, size);
    if (pclose(f) != 0) fail_msg("xz failed; is xz-utils installed?");
    return text;
}

static struct ggl_tokenizer *load(const char *text, size_t size)
{
    struct ggl_tokenizer *t = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    if (ggl_tokenizer_from_json("tokenizer.json", text, size, &t, &err))
        fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    return t;
}

static json_t *load_json(const char *text, size_t size)
{
    json_error_t e;
    json_t *j = json_loadb(text, size, JSON_ALLOW_NUL, &e);
    if (!j) fail_msg("line %d: %s", e.line, e.text);
    return j;
}

/* What gguf-convert writes for a tokenizer.json. */
static struct ggl_gguf *to_gguf(const json_t *root)
{
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab"), *j;
    const json_t *added = json_object_get(root, "added_tokens");
    const json_t *list = json_object_get(json_object_get(root, "model"), "merges");
    size_t n = json_object_size(vocab) + json_array_size(added), n_merges = json_array_size(list);
    struct ggl_str *texts = calloc(n, sizeof(*texts)), *merges = calloc(n_merges, sizeof(*merges));
    int32_t *types = calloc(n, sizeof(*types));
    const char *text;
    assert_true(texts && merges && types);
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct ggl_str){"[PAD]", 5}, types[i] = 5;
    json_object_foreach(vocab, text, j)
    {
        json_int_t id = json_integer_value(j);
        texts[id] = (struct ggl_str){text, strlen(text)}, types[id] = 1;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *a = json_array_get(added, i);
        json_int_t id = json_integer_value(json_object_get(a, "id"));
        text = json_string_value(json_object_get(a, "content"));
        texts[id] = (struct ggl_str){text, strlen(text)};
        types[id] = json_is_true(json_object_get(a, "special")) ? 3 : 4;
    }
    for (size_t i = 0; i < n_merges; i++) {
        text = json_string_value(json_array_get(list, i));
        merges[i] = (struct ggl_str){text, strlen(text)};
    }
    struct ggl_gguf *g = ggl_gguf_new();
    assert_non_null(g);
    assert_int_equal(ggl_gguf_set_str(g, "tokenizer.ggml.model", "gpt2"), GGL_OK);
    assert_int_equal(ggl_gguf_set_str(g, "tokenizer.ggml.pre", "deepseek-v3"), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr_str(g, "tokenizer.ggml.tokens", texts, n), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr(g, "tokenizer.ggml.token_type", GGL_KV_I32, types, n), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr_str(g, "tokenizer.ggml.merges", merges, n_merges), GGL_OK);
    assert_int_equal(ggl_gguf_set_u32(g, "tokenizer.ggml.bos_token_id", 0), GGL_OK);
    assert_int_equal(ggl_gguf_set_u32(g, "tokenizer.ggml.eos_token_id", 1), GGL_OK);
    free(texts), free(types), free(merges);
    return g;
}

/* ---- known answers */

static void check_vectors(const struct ggl_tokenizer *t, const json_t *vectors)
{
    size_t n_cases = json_array_size(vectors), cap = 1 << 16;
    int32_t *ids = malloc(cap * sizeof(*ids));
    char *back = malloc(1 << 20);
    assert_int_equal(n_cases, 1500);
    assert_true(ids && back);
    for (size_t i = 0; i < n_cases; i++) {
        const json_t *c = json_array_get(vectors, i), *want = json_object_get(c, "ids");
        const json_t *text = json_object_get(c, "text");
        size_t size = json_string_length(text), m = 0, bytes_size;
        int64_t n = ggl_tokenize(t, json_string_value(text), size, true, ids, (int64_t)cap, NULL);
        bool same = n == (int64_t)json_array_size(want);
        for (int64_t k = 0; same && k < n; k++)
            same = ids[k] == json_integer_value(json_array_get(want, (size_t)k));
        if (!same) fail_msg("text %zu: %s", i, json_string_value(text));
        for (int64_t k = 0; k < n; k++) {
            const char *bytes = ggl_token_bytes(t, ids[k], &bytes_size);
            assert_non_null(bytes);
            memcpy(back + m, bytes, bytes_size);
            m += bytes_size;
        }
        if (m != size || memcmp(back, json_string_value(text), m)) fail_msg("text %zu does not come back", i);
    }
    free(ids), free(back);
}

/* The same tokenizer from the file and from GGUF keys, token by token and text by text. */
static void check_vocabulary(char *text, size_t size, const char *vectors_path, int32_t n_vocab)
{
    json_error_t e;
    json_t *root = load_json(text, size), *vectors = json_load_file(vectors_path, JSON_ALLOW_NUL, &e);
    struct ggl_tokenizer *from_json = load(text, size), *from_gguf = NULL;
    struct ggl_gguf *g = to_gguf(root);
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    if (ggl_tokenizer_from_gguf(g, &from_gguf, &err))
        fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    ggl_gguf_free(g); /* nothing is borrowed from it */
    json_decref(root);
    free(text);

    check_vectors(from_json, vectors);
    check_vectors(from_gguf, vectors);
    assert_int_equal(ggl_tokenizer_n_vocab(from_json), n_vocab);
    assert_int_equal(ggl_tokenizer_n_vocab(from_gguf), n_vocab);
    assert_int_equal(ggl_tokenizer_bos(from_json), 0);
    assert_int_equal(ggl_tokenizer_eos(from_json), 1);
    assert_int_equal(ggl_tokenizer_bos(from_gguf), 0);
    assert_int_equal(ggl_tokenizer_eos(from_gguf), 1);
    for (int32_t id = 0; id < n_vocab; id++) {
        size_t na, nb;
        const char *a = ggl_token_bytes(from_json, id, &na), *b = ggl_token_bytes(from_gguf, id, &nb);
        assert_true(a && b && na == nb && !memcmp(a, b, na));
        assert_int_equal(ggl_token_is_special(from_json, id), ggl_token_is_special(from_gguf, id));
    }
    json_decref(vectors);
    ggl_tokenizer_free(from_json);
    ggl_tokenizer_free(from_gguf);
}

static void small_vocabulary(void **state)
{
    (void)state;
    size_t size;
    char *text = read_small(&size);
    check_vocabulary(text, size, FOLDER "small.json", 4017);
}

static void full_vocabulary(void **state)
{
    (void)state;
    size_t size;
    char *text = read_full(&size);
    check_vocabulary(text, size, FOLDER "full.json", 129280);
}

static void paths(void **state)
{
    (void)state;
    struct ggl_tokenizer *t = NULL;
    struct ggl_error err = {0};
    assert_int_equal(ggl_tokenizer_from_file(FOLDER "tokenizer.small.json", &t, &err), GGL_OK);
    ggl_tokenizer_free(t);
    assert_int_equal(ggl_tokenizer_from_file(FOLDER "no such file", &t, &err), GGL_ERR_NOT_FOUND);
    assert_int_equal(ggl_tokenizer_from_file(FOLDER "full.json", &t, &err), GGL_ERR_FORMAT);
    assert_non_null(strstr(err.path, "full.json"));
}

/* ---- long runs, in a thread of little stack.  10 MB take 0.1 to 0.5 s in a Release build; anything
 * quadratic would take hours, so the bound is generous to busy machines. */

static struct ggl_tokenizer *shared;
static char failure[200];

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#ifdef SLOW_BUILD
enum { RUN_BYTES = 500000, STACK_BYTES = 1 << 20 };
#else
enum { RUN_BYTES = 10000000, STACK_BYTES = 128 << 10 };
#endif

static void *tokenize_runs(void *unused)
{
    static const char *const units[] = {"Z",       "!",      " ",          "\n",   "1",        "\u0301",
                                        "\u4f60",  "\u3042", "\u3000",     "\x01", "\xff",     "\xe4\xbd",
                                        "aA1 \n",  "ab",     " \n",        "\t ",  "a\u0301!", "<",
                                        "<\uff5c", "qxzj",   "\U0001F600", "Z\xff"};
    (void)unused;
    char *text = malloc(RUN_BYTES + 16);
    int32_t *ids = malloc(RUN_BYTES * sizeof(*ids));
    for (size_t i = 0; text && ids && i < sizeof(units) / sizeof(*units) && !*failure; i++) {
        size_t unit = strlen(units[i]), size = RUN_BYTES / unit * unit, bytes_size, sum = 0;
        for (size_t p = 0; p < size; p += unit)
            memcpy(text + p, units[i], unit);
        double start = seconds();
        int64_t n = ggl_tokenize(shared, text, size, true, ids, RUN_BYTES, NULL);
        double took = seconds() - start;
        if (n <= 0 || took > 20)
            snprintf(failure, sizeof(failure), "unit %zu: %lld ids, %.1f s", i, (long long)n, took);
        for (int64_t k = 0; k < n; k++) {
            const char *bytes = ggl_token_bytes(shared, ids[k], &bytes_size);
            if (sum + bytes_size > size || memcmp(bytes, text + sum, bytes_size)) break;
            sum += bytes_size;
        }
        if (sum != size) snprintf(failure, sizeof(failure), "unit %zu does not come back", i);
    }
    if (!text || !ids) snprintf(failure, sizeof(failure), "out of memory");
    free(text), free(ids);
    return NULL;
}

static void long_runs(void **state)
{
    (void)state;
    size_t size;
    char *text = read_full(&size);
    shared = load(text, size);
    free(text);
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attr, tokenize_runs, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    if (*failure) fail_msg("%s", failure);

    /* One word of random letters: 0.15 s in a Release build. */
    size_t n = RUN_BYTES / 10;
    char *word = malloc(n);
    assert_non_null(word);
    uint64_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        word[i] = (char)('a' + (x >> 33) % 26);
    }
    double start = seconds();
    assert_true(ggl_tokenize(shared, word, n, true, NULL, 0, NULL) > 0);
    assert_true(seconds() - start < 5);
    free(word);
    ggl_tokenizer_free(shared);
}

/* ---- files that are wrong: a good one with one value changed */

static json_t *set_path(json_t *root, const char *path, const char *value)
{
    json_t *at = root;
    char part[64];
    for (;;) {
        size_t n = strcspn(path, "/");
        assert_true(n < sizeof(part));
        memcpy(part, path, n);
        part[n] = 0;
        path += n;
        if (!*path++) break;
        at = json_is_array(at) ? json_array_get(at, (size_t)(*part - '0')) : json_object_get(at, part);
        assert_non_null(at);
    }
    json_t *j = *value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!*value || j);
    if (json_is_array(at))
        j ? json_array_set_new(at, (size_t)(*part - '0'), j) : json_array_remove(at, (size_t)(*part - '0'));
    else
        j ? json_object_set_new(at, part, j) : json_object_del(at, part);
    return root;
}

static enum ggl_status load_changed(const char *path, const char *value, char line[GGL_ERROR_LINE])
{
    size_t size;
    char *text = read_small(&size);
    json_t *root = set_path(load_json(text, size), path, value);
    free(text);
    text = json_dumps(root, 0);
    json_decref(root);
    struct ggl_tokenizer *t = NULL;
    struct ggl_error err = {0};
    enum ggl_status s = ggl_tokenizer_from_json("t.json", text, strlen(text), &t, &err);
    ggl_error_line(&err, line, GGL_ERROR_LINE);
    ggl_tokenizer_free(t);
    free(text);
    return s;
}

static void changed_values(void **state)
{
    (void)state;
    enum { OK = GGL_OK, UNSUP = GGL_ERR_UNSUPPORTED, BAD = GGL_ERR_FORMAT };
#define PRE "pre_tokenizer/pretokenizers"
    static const struct {
        const char *path, *value;
        int status;
        const char *what;
    } cases[] = {
        {"normalizer", "null", OK, ""},
        {"normalizer", "", OK, ""},
        {"normalizer", "{\"type\":\"NFC\"}", UNSUP, "normalizer is \"NFC\""},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}", UNSUP,
         "Lowercase"},
        {"truncation", "{}", UNSUP, "truncation"},
        {"padding", "{}", UNSUP, "padding"},
        {"pre_tokenizer", "null", UNSUP, "pre_tokenizer is null"},
        {"pre_tokenizer", "{\"type\":\"Whitespace\"}", UNSUP, "Whitespace"},
        {PRE, "[]", UNSUP, "pretokenizers"},
        {PRE "/0", "", UNSUP, "pretokenizers"},
        {PRE "/1/type", "\"Digits\"", UNSUP, "Digits"},
        {PRE "/1/behavior", "\"Removed\"", UNSUP, "Removed"},
        {PRE "/1/behavior", "", UNSUP, "behavior"},
        {PRE "/2/invert", "true", UNSUP, "invert"},
        {PRE "/0/pattern/Regex", "\"\\\\p{N}{1,2}\"", UNSUP, "pretokenizers[0].pattern.Regex"},
        {PRE "/0/pattern/Regex", "\"\\\\p{N}{1,3}+\"", UNSUP, "pretokenizers[0].pattern.Regex"},
        {PRE "/0/pattern/Regex", "\"\\\\P{N}{1,3}\"", UNSUP, "pretokenizers[0].pattern.Regex"},
        {PRE "/0/pattern/Regex", "\"\"", UNSUP, "pretokenizers[0].pattern.Regex"},
        {PRE "/0/pattern/Regex", "\"\\\\\"", UNSUP, "pretokenizers[0].pattern.Regex"},
        {PRE "/0/pattern", "{\"String\":\"x\"}", UNSUP, "pretokenizers[0].pattern.Regex"},
        {PRE "/1/pattern/Regex", "\"[\\u4e00-\\u9fa5\\u3040-\\u309f\\u30a0-\\u30ff]\"", UNSUP,
         "pretokenizers[1]"},
        {PRE "/2/pattern/Regex",
         "\"[!\\\"#$%&'()*+,\\\\-./"
         ":;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+|[^\\\\r\\\\n\\\\p{L}\\\\p{P}\\\\p{S}]?[\\\\p{L}"
         "\\\\p{M}]+| ?[\\\\p{P}\\\\p{S}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"",
         OK, ""},
        {PRE "/2/pattern/Regex",
         "\"[!\\\"#$%&'()*+,\\\\-./"
         ":;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+|[^\\\\n\\\\r\\\\p{L}\\\\p{P}\\\\p{S}]?[\\\\p{L}"
         "\\\\p{M}]+| ?[\\\\p{P}\\\\p{S}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"",
         UNSUP, "[2]"},
        {PRE "/3/type", "\"Split\"", UNSUP, "pretokenizers[3]"},
        {PRE "/3/add_prefix_space", "true", UNSUP, "add_prefix_space"},
        {PRE "/3/add_prefix_space", "", UNSUP, "add_prefix_space"},
        {PRE "/3/use_regex", "true", UNSUP, "use_regex"},
        {PRE "/3/use_regex", "", UNSUP, "use_regex"},
        {"post_processor", "null", OK, ""},
        {"post_processor/type", "\"TemplateProcessing\"", UNSUP, "TemplateProcessing"},
        {"decoder", "{\"type\":\"Metaspace\"}", UNSUP, "Metaspace"},
        {"model", "[]", BAD, "model"},
        {"model", "", BAD, "model"},
        {"model/type", "\"Unigram\"", UNSUP, "Unigram"},
        {"model/type", "", UNSUP, "model"},
        {"model/unk_token", "\"<unk>\"", UNSUP, "model.unk_token"},
        {"model/continuing_subword_prefix", "\"##\"", UNSUP, "continuing_subword_prefix"},
        {"model/continuing_subword_prefix", "\"\"", OK, ""},
        {"model/end_of_word_suffix", "\"</w>\"", UNSUP, "end_of_word_suffix"},
        {"model/dropout", "0.1", UNSUP, "dropout"},
        {"model/dropout", "0.0", OK, ""},
        {"model/byte_fallback", "true", UNSUP, "byte_fallback"},
        {"model/ignore_merges", "true", UNSUP, "ignore_merges"},
        {"model/ignore_merges", "false", OK, ""},
        {"model/vocab", "null", BAD, "model.vocab"},
        {"model/vocab", "{}", UNSUP, "byte 0x"},
        {"model/vocab/the", "-1", BAD, "model.vocab is -1"},
        {"model/vocab/the", "5", BAD, "model.vocab is 5"},
        {"model/vocab/the", "\"5\"", BAD, "model.vocab"},
        {"model/vocab/the", "5.0", BAD, "model.vocab"},
        {"model/vocab/the", "4194304", BAD, "model.vocab is 4194304"},
        {"model/vocab/the", "9223372036854775807", BAD, "model.vocab"},
        {"model/vocab/\u0120t", "", BAD, "model.merges"},
        {"model/vocab/!", "", UNSUP, "byte 0x21"},
        {"model/vocab/a b", "5000", UNSUP, "token[5000]"},
        {"model/vocab/\u4f60", "5000", UNSUP, "token[5000]"},
        {"model/vocab/", "5000", BAD, "token[5000]: empty"},
        {"model/merges", "", BAD, "model.merges"},
        {"model/merges", "{}", BAD, "model.merges"},
        {"model/merges", "[]", OK, ""},
        {"model/merges/0", "\"a\"", BAD, "model.merges[0]"},
        {"model/merges/0", "\"a b c\"", BAD, "model.merges[0]"},
        {"model/merges/0", "[\"\u0120\", \"t\"]", OK, ""},
        {"model/merges/0", "[\"\u0120\"]", BAD, "model.merges[0]"},
        {"model/merges/0", "[\"\u0120\", 1]", BAD, "model.merges[0]"},
        {"model/merges/0", "[\"\", \"t\"]", BAD, "model.merges[0]"},
        {"model/merges/0", "1", BAD, "model.merges[0]"},
        {"model/merges/0", "\"\u0120 a\"", BAD, "model.merges[1]"}, /* then twice */
        {"added_tokens", "{}", BAD, "added_tokens"},
        {"added_tokens/3", "null", BAD, "added_tokens"},
        {"added_tokens/3/id", "", BAD, "added_tokens"},
        {"added_tokens/3/id", "4194304", BAD, "added_tokens"},
        {"added_tokens/3/id", "4001", BAD, "added_tokens[4].id"},
        {"added_tokens/3/id", "17", BAD, "added_tokens[3].id"},
        {"added_tokens/0/id", "17", BAD, "added_tokens[0].id"},
        {"added_tokens/3/content", "", BAD, "added_tokens[3].content"},
        {"added_tokens/3/content", "\"\"", BAD, "token[4000]: empty"},
        {"added_tokens/3/content", "\"<think>\"", BAD, "another token has the same text"},
        {"added_tokens/3/lstrip", "true", UNSUP, "added_tokens[3].lstrip"},
        {"added_tokens/3/rstrip", "true", UNSUP, "added_tokens[3].rstrip"},
        {"added_tokens/3/single_word", "true", UNSUP, "added_tokens[3].single_word"},
        {"added_tokens/3/normalized", "true", UNSUP, "added_tokens[3].normalized"},
        {"added_tokens/3/special", "", OK, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char line[GGL_ERROR_LINE];
        int s = (int)load_changed(cases[i].path, cases[i].value, line);
        if (s != cases[i].status || (s && !strstr(line, cases[i].what)))
            fail_msg("case %zu, %s = %s: status %d, '%s'", i, cases[i].path, cases[i].value, s, line);
    }
}

static void not_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "[]", "1", "{", "{}", "nul", "{\"a\":1,\"a\":2}", "{\"model\":{}}\xff"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct ggl_tokenizer *t = NULL;
        struct ggl_error err = {0};
        enum ggl_status s = ggl_tokenizer_from_json("t.json", texts[i], strlen(texts[i]), &t, &err);
        if (s != GGL_ERR_FORMAT && s != GGL_ERR_UNSUPPORTED) fail_msg("'%s'", texts[i]);
        assert_string_equal(err.path, "t.json");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_vocabulary), cmocka_unit_test(full_vocabulary), cmocka_unit_test(paths),
        cmocka_unit_test(changed_values),   cmocka_unit_test(not_json),        cmocka_unit_test(long_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
