/* Streaming decode: U+FFFD for each maximal subpart, the same result however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "model/tokenizer.h"

#define R "\xEF\xBF\xBD"

static size_t decode(const char *in, size_t n, size_t step, char *out)
{
    struct ggl_detokenizer d = {{0}, 0};
    size_t size = 0;
    for (size_t i = 0; i < n; i += step) {
        size_t part = n - i < step ? n - i : step;
        size_t wrote = ggl_detokenizer_feed(&d, in + i, part, out + size);
        assert_true(wrote <= 3 * (part + 4));
        size += wrote;
    }
    return size + ggl_detokenizer_flush(&d, out + size);
}

/* Unicode 15.0, section 3.9, tables 3-8 to 3-11, and what they leave out. */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\u00e9\u4f60\U0001F600", "\u00e9\u4f60\U0001F600"},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"},
        {"\xF0\x9F\x98", R},
        {"\xF0\x9F\x98x", R "x"},
        {"\xF0\x9F\x98\xC3\xA9", R "\u00e9"},
        {"\xC3\xC3\xA9", R "\u00e9"},
        {"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\xE0\xA0\x80\xED\x9F\xBF", "\U00010000\U0010FFFF\u0800\uD7FF"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char out[256];
        size_t n = strlen(cases[i].in);
        for (size_t step = 1; step <= n + 1; step++) {
            out[decode(cases[i].in, n, step, out)] = 0;
            assert_string_equal(out, cases[i].out);
        }
    }
}

static void zeros_pass(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(decode("a\0b\xE4\0", 5, 1, out), 7);
    assert_memory_equal(out, "a\0b" R "\0", 7);
}

/* Nothing is shown before it is complete, and only once. */
static void holds_back(void **state)
{
    (void)state;
    struct ggl_detokenizer d = {{0}, 0};
    char out[64];
    assert_int_equal(ggl_detokenizer_feed(&d, "\xF0", 1, out), 0);
    assert_int_equal(ggl_detokenizer_feed(&d, "\x9F\x98", 2, out), 0);
    assert_int_equal(ggl_detokenizer_feed(&d, "", 0, out), 0);
    assert_int_equal(ggl_detokenizer_feed(&d, "\x80", 1, out), 4);
    assert_memory_equal(out, "\U0001F600", 4);
    assert_int_equal(ggl_detokenizer_flush(&d, out), 0);
    ggl_detokenizer_feed(&d, "\xE4\xBD", 2, out);
    assert_int_equal(ggl_detokenizer_flush(&d, out), 3);
    assert_int_equal(ggl_detokenizer_flush(&d, out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(zeros_pass),
        cmocka_unit_test(holds_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
