/*
 * The scans of the pre-tokenizer against the regular expressions that they stand for, run by a matcher that
 * is slow and plain: every repetition is greedy and gives back one character at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "model/src/pretokenizer.h"
#include "model/src/unicode.h"

enum { MAX_CHARS = 256 };

/* ---- the slow matcher */

typedef bool set_fn(uint32_t c);

static bool set_n(uint32_t c)
{
    return ggl_char_class(c) & GGL_CHAR_N;
}
static bool set_lm(uint32_t c)
{
    return ggl_char_class(c) & (GGL_CHAR_L | GGL_CHAR_M);
}
static bool set_ps(uint32_t c)
{
    return ggl_char_class(c) & (GGL_CHAR_P | GGL_CHAR_S);
}
static bool set_space(uint32_t c)
{
    return ggl_char_class(c) & GGL_CHAR_SPACE;
}
static bool set_crlf(uint32_t c)
{
    return c == '\r' || c == '\n';
}
static bool set_blank(uint32_t c)
{
    return c == ' ';
}
static bool set_ascii_letter(uint32_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
static bool set_ascii_punct(uint32_t c)
{
    return c && c < 128 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (int)c);
}
static bool set_lead(uint32_t c)
{
    return c != '\r' && c != '\n' && !(ggl_char_class(c) & (GGL_CHAR_L | GGL_CHAR_P | GGL_CHAR_S));
}
static bool set_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x309F) || (c >= 0x30A0 && c <= 0x30FF);
}

struct atom {
    set_fn *set; /* NULL: (?!\S) */
    int min, max;
};

#define MANY MAX_CHARS
static const struct atom pass1[][4] = {{{set_n, 1, 3}, {0}}};
static const struct atom pass2[][4] = {{{set_cjk, 1, MANY}, {0}}};
static const struct atom pass3[][4] = {
    {{set_ascii_punct, 1, 1}, {set_ascii_letter, 1, MANY}, {0}},
    {{set_lead, 0, 1}, {set_lm, 1, MANY}, {0}},
    {{set_blank, 0, 1}, {set_ps, 1, MANY}, {set_crlf, 0, MANY}, {0}},
    {{set_space, 0, MANY}, {set_crlf, 1, MANY}, {0}},
    {{set_space, 1, MANY}, {NULL, 1, 1}, {0}},
    {{set_space, 1, MANY}, {0}},
};

/* The end of the match of atoms at c[i], or -1. */
static int match(const struct atom *a, const uint32_t *c, int i, int end)
{
    if (!a->max) return i;
    if (!a->set) return i == end || set_space(c[i]) ? match(a + 1, c, i, end) : -1;
    int n = 0;
    while (n < a->max && i + n < end && a->set(c[i + n]))
        n++;
    for (; n >= a->min; n--) {
        int m = match(a + 1, c, i + n, end);
        if (m >= 0) return m;
    }
    return -1;
}

/* Split every piece: matches and the gaps between them, as cut[] = 1 where a piece starts. */
static void split(const struct atom (*alternatives)[4], int n, const uint32_t *c, int n_chars, char *cut)
{
    for (int start = 0, end; start < n_chars; start = end) {
        for (end = start + 1; end < n_chars && !cut[end]; end++) {
        }
        for (int i = start; i < end;) {
            int m = -1;
            for (int k = 0; k < n && m < 0; k++)
                m = match(alternatives[k], c, i, end);
            if (m < 0) {
                i++;
                continue;
            }
            cut[i] = 1;
            if (m < end) cut[m] = 1;
            i = m;
        }
    }
}

static void compare(const uint8_t *text, size_t size)
{
    uint32_t c[MAX_CHARS] = {0};
    size_t at[MAX_CHARS + 1];
    char cut[MAX_CHARS + 1] = {1};
    int n = 0;
    for (size_t p = 0; p < size;) {
        struct ggl_char next = ggl_utf8_decode(text + p, text + size);
        at[n] = p;
        c[n++] = next.code;
        p += next.size;
    }
    at[n] = size;
    split(pass1, 1, c, n, cut);
    split(pass2, 1, c, n, cut);
    split(pass3, 6, c, n, cut);

    struct ggl_words words;
    const uint8_t *word;
    size_t word_size;
    ggl_words_begin(&words, text, size);
    for (int start = 0, end; start < n; start = end) {
        for (end = start + 1; end < n && !cut[end]; end++) {
        }
        bool more = ggl_words_next(&words, &word, &word_size);
        if (!more || word != text + at[start] || word_size != at[end] - at[start]) {
            for (size_t i = 0; i < size; i++)
                print_error("\\x%02x", text[i]);
            fail_msg("\nword at byte %zu: %zu bytes, expected %zu", at[start], word_size,
                     at[end] - at[start]);
        }
    }
    assert_false(ggl_words_next(&words, &word, &word_size));
}

/* ---- random strings */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Characters of every class that some alternative looks at, edges of ranges, and bytes that are no character.
 */
static const char *const pool[] = {
    "a",          "Z",          "z",
    "A",          "\u00e9",     "\u4f60",
    "\u9fa5",     "\u9fa6",     "\u4dff",
    "\u3042",     "\u30ab",     "\u3040",
    "\u30a0",     "\u30fb",     "\u3099",
    "\u309b",     "\u3100",     "\u303f",
    "\u0301",     "\U000E0100", "1",
    "0",          "\u2167",     "\u00bd",
    "\u3007",     "!",          "-",
    "_",          "\\",         "]",
    "\u3002",     "~",          "$",
    "`",          "|",          "\u20ac",
    "\U0001F600", " ",          " ",
    " ",          "\t",         "\n",
    "\n",         "\r",         "\u00a0",
    "\u3000",     "\u2028",     "\xc2\x85",
    "\x0b",       "\x01",       "\x7f",
    "\u200b",     "\u0378",     "\xff",
    "\x80",       "\xe4\xbd",   "\xed\xa0\x80",
    "\xf0\x9f",
};
enum { N_POOL = sizeof(pool) / sizeof(*pool) };

static size_t random_string(uint8_t *out)
{
    size_t n = 0;
    uint32_t n_parts = random_below(14), few = 2 + random_below(N_POOL - 1), shift = random_below(N_POOL);
    for (uint32_t i = 0; i < n_parts; i++) {
        const char *s = pool[(random_below(few) + shift) % N_POOL];
        uint32_t repeat = random_below(3) ? 1 : 1 + random_below(4);
        for (; repeat > 0; repeat--) {
            memcpy(out + n, s, strlen(s));
            n += strlen(s);
        }
    }
    return n;
}

static void random_strings(void **state)
{
    (void)state;
    uint8_t text[MAX_CHARS];
    for (int i = 0; i < 300000; i++)
        compare(text, random_string(text));
}

static void random_bytes_and_code_points(void **state)
{
    (void)state;
    uint8_t text[MAX_CHARS];
    for (int i = 0; i < 50000; i++) {
        size_t n = random_below(40);
        for (size_t k = 0; k < n; k++)
            text[k] = (uint8_t)random_below(i & 1 ? 256 : 128);
        compare(text, n);
    }
}

/* Every string of up to four characters over the pool's classes. */
static void short_strings(void **state)
{
    (void)state;
    static const char *const s[] = {"a", "\u00e9", "\u4f60", "\u30fb", "\u0301", "1",    "!",
                                    "~", "\u3002", " ",      "\t",     "\n",     "\x01", "\xff"};
    enum { N = sizeof(s) / sizeof(*s) };
    for (int i = 0; i < N * N * N * N; i++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "%s%s%s%s", s[i % N], s[i / N % N], s[i / N / N % N],
                         s[i / N / N / N]);
        compare((const uint8_t *)text, (size_t)n);
    }
}

static void known_splits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words; /* words joined by | */
    } cases[] = {
        {"", ""},
        {"Hello world", "Hello| world"},
        {"12345 6", "123|45| |6"},
        {"a  b", "a| | b"},
        {"a   ", "a|   "},
        {"a \n\n  b", "a| \n\n| | b"},
        {"x.y()!\n\n z", "x|.y|()!\n\n| z"},
        {" ~", " ~"},
        {"\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8abc", "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8|abc"},
        {"don't", "don|'t"},
        {"\x01\x02"
         "a\x03",
         "\x01|\x02"
         "a|\x03"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char got[128];
        size_t n = 0, size;
        const uint8_t *word;
        struct ggl_words words;
        ggl_words_begin(&words, cases[i].text, strlen(cases[i].text));
        while (ggl_words_next(&words, &word, &size)) {
            if (n) got[n++] = '|';
            memcpy(got + n, word, size);
            n += size;
        }
        got[n] = 0;
        assert_string_equal(got, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_splits),
        cmocka_unit_test(short_strings),
        cmocka_unit_test(random_strings),
        cmocka_unit_test(random_bytes_and_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
