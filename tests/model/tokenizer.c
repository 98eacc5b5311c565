/*
 * Merging against a plain search on random vocabularies, added tokens, room for ids, round trips, and every
 * way in which the tokenizer keys of a GGUF file can be wrong.  All on small vocabularies that are made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ggml-lite/gguf.h"
#include "model/src/tokenizer_vocab.h"
#include "model/tokenizer.h"

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* ---- vocabularies: ids 0 .. 255 are the bytes, then whatever a test adds */

enum { MAX_TOKENS = 512, MAX_TEXT = 64 };

struct vocab {
    char text[MAX_TOKENS][MAX_TEXT]; /* in the byte alphabet */
    int32_t type[MAX_TOKENS];
    struct ggl_str texts[MAX_TOKENS];
    char merge_text[MAX_TOKENS][2 * MAX_TEXT];
    struct ggl_str merges[MAX_TOKENS];
    int32_t left[MAX_TOKENS], right[MAX_TOKENS], result[MAX_TOKENS];
    uint32_t n, n_merges;
};

static void byte_text(int byte, char *out)
{
    int code = byte;
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    if (!printable) { /* the n-th byte that is not */
        code = 256;
        for (int b = 0; b < byte; b++)
            code += !((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE);
    }
    if (code < 128)
        snprintf(out, MAX_TEXT, "%c", code);
    else
        snprintf(out, MAX_TEXT, "%c%c", (char)(0xC0 | code >> 6), (char)(0x80 | (code & 63)));
}

static int32_t add(struct vocab *v, const char *text, int32_t type)
{
    assert_true(v->n < MAX_TOKENS && strlen(text) < MAX_TEXT);
    memcpy(v->text[v->n], text, strlen(text) + 1);
    v->type[v->n] = type;
    v->texts[v->n] = (struct ggl_str){v->text[v->n], strlen(text)};
    return (int32_t)v->n++;
}

static void add_merge(struct vocab *v, int32_t left, int32_t right, int32_t result)
{
    uint32_t i = v->n_merges++;
    assert_true(i < MAX_TOKENS);
    v->left[i] = left, v->right[i] = right, v->result[i] = result;
    char *text = v->merge_text[i];
    size_t n_left = strlen(v->text[left]);
    memcpy(text, v->text[left], n_left);
    text[n_left] = ' ';
    memcpy(text + n_left + 1, v->text[right], strlen(v->text[right]) + 1);
    v->merges[i] = (struct ggl_str){text, strlen(text)};
}

/* A new token made of two; returns its id. */
static int32_t join(struct vocab *v, int32_t left, int32_t right)
{
    char text[2 * MAX_TEXT];
    snprintf(text, sizeof(text), "%s%s", v->text[left], v->text[right]);
    int32_t id = -1;
    for (uint32_t i = 0; i < v->n && id < 0; i++)
        if (!strcmp(v->text[i], text)) id = (int32_t)i;
    if (id < 0) id = add(v, text, 1);
    add_merge(v, left, right, id);
    return id;
}

static void begin(struct vocab *v)
{
    v->n = v->n_merges = 0;
    for (int b = 0; b < 256; b++) {
        char text[MAX_TEXT];
        byte_text(b, text);
        add(v, text, 1);
    }
}

static struct ggl_gguf *to_gguf(const struct vocab *v)
{
    struct ggl_gguf *g = ggl_gguf_new();
    assert_non_null(g);
    assert_int_equal(ggl_gguf_set_str(g, "tokenizer.ggml.model", "gpt2"), GGL_OK);
    assert_int_equal(ggl_gguf_set_str(g, "tokenizer.ggml.pre", "joyai-llm"), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr_str(g, "tokenizer.ggml.tokens", v->texts, v->n), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr(g, "tokenizer.ggml.token_type", GGL_KV_I32, v->type, v->n), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr_str(g, "tokenizer.ggml.merges", v->merges, v->n_merges), GGL_OK);
    return g;
}

static struct ggl_tokenizer *to_tokenizer(const struct vocab *v)
{
    struct ggl_gguf *g = to_gguf(v);
    struct ggl_tokenizer *t = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    if (ggl_tokenizer_from_gguf(g, &t, &err)) fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    ggl_gguf_free(g);
    return t;
}

/* "ab", "abc", " t", and four added tokens. */
enum { AB = 256, ABC, SPACE_A, EOS, THINK, END_THINK, BAR, USER };

static void small_vocab(struct vocab *v)
{
    begin(v);
    join(v, join(v, 'a', 'b'), 'c');
    join(v, ' ', 'a');
    add(v, "<｜end▁of▁sentence｜>", 3);
    add(v, "<think>", 4);
    add(v, "</think>", 4);
    add(v, "<think>|", 4);
    add(v, "<｜User｜>", 3);
}

static void expect_ids(const struct ggl_tokenizer *t, const char *text, bool special, const int32_t *ids,
                       int64_t n)
{
    int32_t got[256];
    int64_t m = ggl_tokenize(t, text, strlen(text), special, got, 256, NULL);
    assert_int_equal(m, n);
    assert_memory_equal(got, ids, (size_t)n * sizeof(*ids));
}
#define EXPECT(t, text, special, ...)                            \
    expect_ids(t, text, special, (const int32_t[]){__VA_ARGS__}, \
               sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* ---- merging */

static int64_t merge_plainly(const struct vocab *v, const uint8_t *text, size_t n, int32_t *ids)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = text[i];
    for (;;) {
        uint32_t best = v->n_merges;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (uint32_t r = 0; r < best; r++)
                if (v->left[r] == ids[i] && v->right[r] == ids[i + 1]) best = r, at = i;
        if (best == v->n_merges) return (int64_t)n;
        ids[at] = v->result[best];
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof(*ids));
        n--;
    }
}

/* Merges in any order, several of one result: ranks fall as often as they rise along a chain of merges. */
static void random_vocab(struct vocab *v)
{
    begin(v);
    uint32_t n = 2 + random_below(60), letters = 1 + random_below(3);
    int32_t pool[80] = {'a', 'b', 'c'};
    uint32_t n_pool = letters;
    for (uint32_t i = 0; i < n; i++) {
        int32_t left = pool[random_below(n_pool)], right = pool[random_below(n_pool)];
        bool known = strlen(v->text[left]) + strlen(v->text[right]) > 24;
        for (uint32_t r = 0; r < v->n_merges; r++)
            known |= v->left[r] == left && v->right[r] == right;
        if (!known) pool[n_pool++] = join(v, left, right);
    }
    if (random_below(4)) /* else in the order of training */
        for (uint32_t i = v->n_merges; i > 1; i--) {
            uint32_t j = random_below(i);
            int32_t l = v->left[i - 1], r = v->right[i - 1], m = v->result[i - 1];
            struct ggl_str s = v->merges[i - 1];
            v->left[i - 1] = v->left[j], v->right[i - 1] = v->right[j], v->result[i - 1] = v->result[j];
            v->merges[i - 1] = v->merges[j];
            v->left[j] = l, v->right[j] = r, v->result[j] = m;
            v->merges[j] = s;
        }
}

static void random_merges(void **state)
{
    (void)state;
    static struct vocab v;
    enum { MAX = 400 };
    uint8_t text[MAX];
    int32_t want[MAX], got[MAX];
    for (int i = 0; i < 400; i++) {
        random_vocab(&v);
        struct ggl_tokenizer *t = to_tokenizer(&v);
        for (int k = 0; k < 40; k++) {
            size_t n = 1 + random_below(k & 1 ? 70 : MAX);
            uint32_t letters = 1 + random_below(4), run = 1 + random_below(9);
            for (size_t p = 0; p < n; p++)
                text[p] = p && random_below(run) ? text[p - 1] : (uint8_t)('a' + random_below(letters));
            int64_t n_want = merge_plainly(&v, text, n, want);
            int64_t n_got = ggl_tokenize(t, (const char *)text, n, true, got, MAX, NULL);
            if (n_got != n_want || memcmp(got, want, (size_t)n_want * sizeof(*got)))
                fail_msg("vocabulary %d, text %.*s", i, (int)n, (const char *)text);
        }
        ggl_tokenizer_free(t);
    }
}

static void equal_ranks_go_left_to_right(void **state)
{
    (void)state;
    static struct vocab v;
    begin(&v);
    int32_t aa = join(&v, 'a', 'a');
    struct ggl_tokenizer *t = to_tokenizer(&v);
    EXPECT(t, "aaaaa", true, aa, aa, 'a');
    ggl_tokenizer_free(t);
}

/* ---- added tokens */

static void added_tokens(void **state)
{
    (void)state;
    static struct vocab v;
    small_vocab(&v);
    struct ggl_tokenizer *t = to_tokenizer(&v);
    EXPECT(t, "abc", true, ABC);
    EXPECT(t, "<think>abc</think>", true, THINK, ABC, END_THINK);
    EXPECT(t, "ab<think>|ab", true, AB, BAR, AB); /* the longest */
    EXPECT(t, "<<think><think", true, '<', THINK, '<', 't', 'h', 'i', 'n', 'k');
    EXPECT(t, "<think>", false, '<', 't', 'h', 'i', 'n', 'k', '>');
    EXPECT(t, "a<｜User｜>b", true, 'a', USER, 'b');
    EXPECT(t, "<｜User>", true, '<', 0xEF, 0xBD, 0x9C, 'U', 's', 'e', 'r', '>');
    EXPECT(t, "a<think>b<think>c", true, 'a', THINK, 'b', THINK, 'c'); /* "ab" is not seen across one */
    /* The piece ends at an added token: both spaces are one word, and without it they are two. */
    EXPECT(t, "x  <think>a", true, 'x', ' ', ' ', THINK, 'a');
    EXPECT(t, "x  a", true, 'x', ' ', SPACE_A);

    int64_t n = ggl_tokenize(t, "<｜User｜><think>", strlen("<｜User｜><think>"), false, NULL, 0, NULL);
    assert_int_equal(n, strlen("<｜User｜><think>"));
    assert_int_equal(ggl_tokenize(t, "", 0, true, NULL, 0, NULL), 0);
    assert_int_equal(ggl_tokenize(t, NULL, 0, true, NULL, 0, NULL), 0);
    ggl_tokenizer_free(t);
}

static void about_tokens(void **state)
{
    (void)state;
    static struct vocab v;
    small_vocab(&v);
    add(&v, "[PAD264]", 5);
    int32_t last = add(&v, "ac", 1);
    add(&v, "[PAD266]", 5);
    struct ggl_tokenizer *t = to_tokenizer(&v);
    size_t size;
    assert_int_equal(ggl_tokenizer_n_vocab(t), last + 1); /* holes at the end are no ids */
    assert_int_equal(ggl_tokenizer_eos(t), EOS);
    assert_int_equal(ggl_tokenizer_bos(t), -1);
    assert_memory_equal(ggl_token_bytes(t, SPACE_A, &size), " a", 2);
    assert_int_equal(size, 2);
    assert_memory_equal(ggl_token_bytes(t, 0, &size), "\0", 1);
    assert_int_equal(size, 1);
    assert_string_equal(ggl_token_bytes(t, USER, &size), "<｜User｜>");
    assert_null(ggl_token_bytes(t, USER + 1, &size)); /* a hole */
    assert_null(ggl_token_bytes(t, -1, &size));
    assert_null(ggl_token_bytes(t, INT32_MIN, &size));
    assert_null(ggl_token_bytes(t, last + 1, &size));
    assert_null(ggl_token_bytes(t, INT32_MAX, &size));
    assert_true(ggl_token_is_special(t, USER));
    assert_false(ggl_token_is_special(t, THINK));
    assert_false(ggl_token_is_special(t, 'a'));
    assert_false(ggl_token_is_special(t, -1));
    assert_int_equal(ggl_token_find(t, "abc"), ABC);
    assert_int_equal(ggl_token_find(t, " a"), SPACE_A);
    assert_int_equal(ggl_token_find(t, "<think>"), THINK);
    assert_int_equal(ggl_token_find(t, "<think>|"), BAR);
    assert_int_equal(ggl_token_find(t, "<think"), -1);
    assert_int_equal(ggl_token_find(t, "<think>||"), -1);
    assert_int_equal(ggl_token_find(t, "[PAD264]"), -1);
    assert_int_equal(ggl_token_find(t, ""), -1);
    ggl_tokenizer_free(t);
    ggl_tokenizer_free(NULL);
}

/* ---- room for ids, arguments */

static void room_for_ids(void **state)
{
    (void)state;
    static struct vocab v;
    small_vocab(&v);
    struct ggl_tokenizer *t = to_tokenizer(&v);
    const char *text = "abcab<think>c";
    const int32_t want[] = {ABC, AB, THINK, 'c'};
    for (int64_t cap = 0; cap <= 6; cap++) {
        int32_t ids[6] = {-7, -7, -7, -7, -7, -7};
        assert_int_equal(ggl_tokenize(t, text, strlen(text), true, ids, cap, NULL), 4);
        for (int i = 0; i < 6; i++)
            assert_int_equal(ids[i], i < cap && i < 4 ? want[i] : -7);
    }
    assert_int_equal(ggl_tokenize(t, text, strlen(text), true, NULL, 0, NULL), 4);

    struct ggl_error err = {0};
    int32_t id;
    assert_int_equal(ggl_tokenize(t, text, 1, true, &id, -1, &err), -1);
    assert_int_equal(err.status, GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_tokenize(t, text, 1, true, NULL, 1, &err), -1);
    assert_int_equal(ggl_tokenize(t, NULL, 1, true, &id, 1, &err), -1);
    assert_int_equal(ggl_tokenize(t, text, ((size_t)1 << 31) + 1, true, &id, 1, &err), -1);
    assert_int_equal(err.status, GGL_ERR_LIMIT);
    ggl_tokenizer_free(t);
}

/* ---- any bytes come back */

static void round_trips(void **state)
{
    (void)state;
    static struct vocab v;
    small_vocab(&v);
    struct ggl_tokenizer *t = to_tokenizer(&v);
    for (int i = 0; i < 20000; i++) {
        char text[200], back[200];
        int32_t ids[200];
        size_t n = random_below(200), m = 0;
        for (size_t k = 0; k < n; k++) {
            uint32_t kind = random_below(4);
            if (kind == 0)
                text[k] = (char)random_below(256);
            else
                text[k] = kind == 1 ? "<think>|/"[random_below(9)] : "abc"[random_below(3)];
        }
        int64_t n_ids = ggl_tokenize(t, text, n, i & 1, ids, 200, NULL);
        assert_in_range(n_ids, 0, n);
        for (int64_t k = 0; k < n_ids; k++) {
            size_t size;
            const char *bytes = ggl_token_bytes(t, ids[k], &size);
            assert_non_null(bytes);
            memcpy(back + m, bytes, size);
            m += size;
        }
        assert_int_equal(m, n);
        assert_memory_equal(back, text, n);
    }
    ggl_tokenizer_free(t);
}

/* ---- files that are wrong */

static void refuses(struct ggl_gguf *g, enum ggl_status status, const char *what)
{
    struct ggl_tokenizer *t = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    enum ggl_status got = ggl_tokenizer_from_gguf(g, &t, &err);
    ggl_gguf_free(g);
    ggl_tokenizer_free(t);
    ggl_error_line(&err, line, sizeof(line));
    if (got != status || err.status != status || !strstr(line, what))
        fail_msg("status %d, expected %d naming '%s'; '%s'", got, status, what, line);
}

static void missing_and_mistyped_keys(void **state)
{
    (void)state;
    static struct vocab v;
    static const char *const keys[] = {"model", "pre", "tokens", "token_type", "merges"};
    small_vocab(&v);
    for (int k = 0; k < 5; k++) {
        char key[64];
        snprintf(key, sizeof(key), "tokenizer.ggml.%s", keys[k]);
        struct ggl_gguf *g = ggl_gguf_new(), *from = to_gguf(&v);
        assert_int_equal(ggl_gguf_copy_kv(g, from, key), GGL_OK);
        refuses(g, k == 0 ? GGL_ERR_STATE : GGL_ERR_FORMAT, k == 0 ? "tokenizer" : key);
        ggl_gguf_free(from);

        g = to_gguf(&v);
        ggl_gguf_set_u32(g, key, 7);
        refuses(g, GGL_ERR_FORMAT, key);
        g = to_gguf(&v);
        ggl_gguf_set_arr(g, key, GGL_KV_F32, (float[]){0}, 1);
        refuses(g, GGL_ERR_FORMAT, key);
        g = to_gguf(&v);
        ggl_gguf_set_arr(g, key, GGL_KV_U32, v.type, v.n);
        refuses(g, GGL_ERR_FORMAT, key);
        if (k >= 2) {
            g = to_gguf(&v);
            ggl_gguf_set_arr(g, key, k == 3 ? GGL_KV_I32 : GGL_KV_STR, NULL, 0);
            if (k != 3) ggl_gguf_set_arr_str(g, key, NULL, 0);
            refuses(g, GGL_ERR_FORMAT, "tokenizer.ggml.");
        }
    }
}

static void wrong_values(void **state)
{
    (void)state;
    static struct vocab v;
    small_vocab(&v);
    struct ggl_gguf *g = to_gguf(&v);
    ggl_gguf_set_str(g, "tokenizer.ggml.model", "llama");
    refuses(g, GGL_ERR_UNSUPPORTED, "llama");
    g = to_gguf(&v);
    ggl_gguf_set_str(g, "tokenizer.ggml.pre", "qwen2");
    refuses(g, GGL_ERR_UNSUPPORTED, "qwen2");
    g = to_gguf(&v);
    ggl_gguf_set_bool(g, "tokenizer.ggml.add_space_prefix", true);
    refuses(g, GGL_ERR_UNSUPPORTED, "add_space_prefix");
    for (int off = -1; off <= 1; off += 2) {
        g = to_gguf(&v);
        ggl_gguf_set_arr(g, "tokenizer.ggml.token_type", GGL_KV_I32, v.type, v.n + (uint64_t)off);
        refuses(g, GGL_ERR_FORMAT, "token_type: number of elements");
    }
    static const int32_t types[] = {0, 2, 6, 7, -1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        small_vocab(&v);
        v.type[THINK] = types[i];
        refuses(to_gguf(&v), GGL_ERR_FORMAT, "token_type[260]");
    }
    small_vocab(&v);
    static const char *const ids[] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"};
    for (int k = 0; k < 2; k++) {
        g = to_gguf(&v);
        ggl_gguf_set_u32(g, ids[k], v.n);
        refuses(g, GGL_ERR_FORMAT, ids[k]);
        g = to_gguf(&v);
        ggl_gguf_set_u32(g, ids[k], UINT32_MAX);
        refuses(g, GGL_ERR_FORMAT, ids[k]);
        g = to_gguf(&v);
        ggl_gguf_set_i32(g, ids[k], -1);
        refuses(g, GGL_ERR_FORMAT, ids[k]);
        g = to_gguf(&v);
        ggl_gguf_set_str(g, ids[k], "0");
        refuses(g, GGL_ERR_FORMAT, ids[k]);
    }
    add(&v, "[PAD264]", 5);
    g = to_gguf(&v);
    ggl_gguf_set_u32(g, ids[1], USER + 1);
    refuses(g, GGL_ERR_FORMAT, "eos token");
}

static void wrong_tokens(void **state)
{
    (void)state;
    static struct vocab v;
    static const struct {
        const char *text;
        int32_t type;
        enum ggl_status status; /* UNSUPPORTED: not byte-level, which does not make the model unusable */
        const char *what;
    } cases[] = {
        {"", 1, GGL_ERR_FORMAT, "tokens[264]: empty"},     {"", 4, GGL_ERR_FORMAT, "tokens[264]: empty"},
        {"x y", 1, GGL_ERR_UNSUPPORTED, "tokens[264]"},    /* a space is written Ġ */
        {"\u4f60", 1, GGL_ERR_UNSUPPORTED, "tokens[264]"}, /* not in the byte alphabet */
        {"\u0144", 1, GGL_ERR_UNSUPPORTED, "tokens[264]"}, /* one past it */
        {"\u00ad", 1, GGL_ERR_UNSUPPORTED, "tokens[264]"}, {"a\xff", 1, GGL_ERR_UNSUPPORTED, "tokens[264]"},
        {"a\xff", 4, GGL_ERR_FORMAT, "tokens[264]"}, /* not UTF-8 */
        {"abc", 1, GGL_ERR_FORMAT, "tokens[264]"},   /* twice */
        {"abc", 4, GGL_ERR_FORMAT, "tokens[264]"},         {"<think>", 4, GGL_ERR_FORMAT, "tokens[264]"},
        {"<think>", 3, GGL_ERR_FORMAT, "tokens[264]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        small_vocab(&v);
        add(&v, cases[i].text, cases[i].type);
        refuses(to_gguf(&v), cases[i].status, cases[i].what);
    }
    for (int b = 0; b < 256; b += 51) { /* a byte without a token */
        small_vocab(&v);
        v.type[b] = 5;
        char what[64];
        snprintf(what, sizeof(what), "token of byte 0x%02x", b);
        refuses(to_gguf(&v), GGL_ERR_UNSUPPORTED, what);
    }
    small_vocab(&v); /* an added token may look like one that merging makes, if its bytes differ in a file */
    add(&v, " a", 4);
    ggl_tokenizer_free(to_tokenizer(&v));
}

static void wrong_merges(void **state)
{
    (void)state;
    static struct vocab v;
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"", "one space"},          {" ", "one space"},         {"ab", "one space"},
        {" b", "one space"},        {"a ", "one space"},        {"a  b", "one space"},
        {"a b ", "one space"},      {" a b", "one space"},      {"a b c", "one space"},
        {"a\tb", "one space"},      {"x zz", "right side"},     {"zz x", "left side"},
        {"a b\xff", "right side"},  {"a \u4f60", "right side"}, {"a <｜User｜>", "right side"},
        {"ab c", "each pair once"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        small_vocab(&v);
        v.merges[v.n_merges++] = (struct ggl_str){cases[i].text, strlen(cases[i].text)};
        refuses(to_gguf(&v), GGL_ERR_FORMAT, "tokenizer.ggml.merges[3]");
        refuses(to_gguf(&v), GGL_ERR_FORMAT, cases[i].what);
    }
    small_vocab(&v); /* a merge that makes no token is left out */
    v.merges[v.n_merges++] = (struct ggl_str){"c c", 3};
    struct ggl_tokenizer *t = to_tokenizer(&v);
    EXPECT(t, "cc", true, 'c', 'c');
    ggl_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_merges),
        cmocka_unit_test(equal_ranks_go_left_to_right),
        cmocka_unit_test(added_tokens),
        cmocka_unit_test(about_tokens),
        cmocka_unit_test(room_for_ids),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(missing_and_mistyped_keys),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(wrong_tokens),
        cmocka_unit_test(wrong_merges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
