/* JSON as Python reads and writes it: expected texts are json.dumps(json.loads(x), ensure_ascii=False). */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/src/chat_json.h"

static enum ggl_status read_text(struct ggl_chat_arena *arena, const char *text, size_t size, struct ggl_pyjson **v)
{
    char *copy = malloc(size + !size); /* exactly sized, so that a sanitizer sees reads beyond */
    assert_non_null(copy);
    memcpy(copy, text, size);
    char *keep = ggl_chat_arena_alloc(arena, size + 1);
    assert_non_null(keep);
    enum ggl_status s = ggl_pyjson_read(arena, ggl_chat_span_of(copy, size), "test", v, NULL);
    memcpy(keep, text, size);
    if (!s) s = ggl_pyjson_read(arena, ggl_chat_span_of(keep, size), "test", v, NULL); /* spans into what lives on */
    free(copy);
    return s;
}

static void dumps(const char *text, const char *expected)
{
    struct ggl_chat_arena arena = {NULL};
    struct ggl_chat_text out = {0};
    struct ggl_pyjson *v;
    size_t size;
    if (read_text(&arena, text, strlen(text), &v)) fail_msg("refused: %s", text);
    ggl_pyjson_write(&out, v);
    char *found = ggl_chat_text_take(&out, &size);
    assert_string_equal(found, expected);
    free(found);
    ggl_chat_arena_free(&arena);
}

static void values(void **state)
{
    (void)state;
    dumps(" { } ", "{}");
    dumps("[\r\n\t]", "[]");
    dumps("{\"b\":[1,  {\"a\" :null}],\"a\": [true,false]}", "{\"b\": [1, {\"a\": null}], \"a\": [true, false]}");
    dumps("[NaN,Infinity,-Infinity]", "[NaN, Infinity, -Infinity]");
    dumps("\"\\u00e9\\u4e2d\\ud83d\\ude42\\/\\b\\f\\n\\r\\t\\\"\\\\\\u0000\\u001f\\u007f\\u2028\"",
          "\"é中🙂/\\b\\f\\n\\r\\t\\\"\\\\\\u0000\\u001f\x7f\xe2\x80\xa8\"");
}

/* The value is the last one's, the place the first one's. */
static void repeated_keys(void **state)
{
    (void)state;
    dumps("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\": 3, \"b\": 2}");
    dumps("{\"b\":0,\"a\":1,\"a\":2,\"c\":3,\"b\":{\"x\":1,\"x\":2},\"a\":[4]}", "{\"b\": {\"x\": 2}, \"a\": [4], \"c\": 3}");
    dumps("{\"\":1,\"\":2}", "{\"\": 2}");
    dumps("{\"a\":1,\"a\\u0000\":2,\"a\":3}", "{\"a\": 3, \"a\\u0000\": 2}");
}

static const struct {
    const char *text, *repr;
} numbers[] = {
    {"0", "0"}, {"-0", "0"}, {"-0.0", "-0.0"}, {"123456789012345678901234567890", "123456789012345678901234567890"},
    {"1e5", "100000.0"}, {"1E+5", "100000.0"}, {"1.50", "1.5"}, {"1e15", "1000000000000000.0"}, {"1e16", "1e+16"},
    {"123456789012345678.0", "1.2345678901234568e+17"}, {"0.0001", "0.0001"}, {"0.00001", "1e-05"},
    {"1.5e-7", "1.5e-07"}, {"12.5e-3", "0.0125"}, {"1e22", "1e+22"}, {"1e23", "1e+23"}, {"9007199254740993.0", "9007199254740992.0"},
    {"9007199254740993.00000000000000000000000001", "9007199254740994.0"}, {"0.1", "0.1"}, {"0.30000000000000004", "0.30000000000000004"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"}, {"1.7976931348623159e308", "Infinity"}, {"-1e400", "-Infinity"},
    {"1e999999999999999999999", "Infinity"}, {"1e-999999999999999999999", "0.0"}, {"0e999", "0.0"},
    {"5e-324", "5e-324"}, {"2.4e-324", "0.0"}, {"2.5e-324", "5e-324"}, {"2.2250738585072014e-308", "2.2250738585072014e-308"},
    {"2.2250738585072011e-308", "2.225073858507201e-308"}, /* the one that hung PHP */
    {"5.684341886080802e-14", "5.684341886080802e-14"}, /* 2^-44: the nearest decimal of 16 digits would not read back */
    {"6.0221407e+23", "6.0221407e+23"}, {"4.35", "4.35"}, {"100000000000000000000000.0", "1e+23"},
};

static void check_numbers(void)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) dumps(numbers[i].text, numbers[i].repr);
}

static void number_texts(void **state)
{
    (void)state;
    check_numbers();
    /* a halfway case that only its 1000th digit decides, and many digits before the point */
    char text[1200] = "9007199254740993.";
    memset(text + 17, '0', 1000);
    dumps(text, "9007199254740992.0");
    text[1000] = '1';
    dumps(text, "9007199254740994.0");
    memset(text, '9', 1100);
    memcpy(text + 1100, ".0e-1099", 9);
    dumps(text, "10.0");
}

/* A comma as decimal point must not show. */
static void foreign_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR"};
    size_t i = 0;
    while (i < 4 && !setlocale(LC_ALL, names[i])) i++;
    if (i == 4) skip();
    check_numbers();
    setlocale(LC_ALL, "C");
}

/* Doubles with random bits: the text reads back as the same bits, and one digit less never does. */
static void round_trips(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 5000; i++) {
        double d;
        char text[32];
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t bits = i % 4 ? x : x >> (12 + i % 50); /* also subnormal */
        memcpy(&d, &bits, sizeof(d));
        if (d != d || isinf(d)) continue;
        size_t n = ggl_chat_double_repr(d, text);
        assert_true(n < sizeof(text));
        double back = ggl_chat_decimal_read(text, n);
        if (memcmp(&back, &d, sizeof(d))) fail_msg("%.*s is not %a", (int)n, text, d);
        assert_true(back == strtod((text[n] = 0, text), NULL));
        int digits = 0;
        for (const char *p = text; *p && *p != 'e'; p++) digits += *p >= '0' && *p <= '9' && (digits || *p != '0');
        if (digits < 17 && digits > 1 && strchr(text, 'e')) {
            char shorter[40];
            snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, d);
            assert_true(strtod(shorter, NULL) != d);
        }
    }
}

static void refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "nul", "nan", "+1", "01", "-", "--1", ".5", "1.", "1.e5", "1e", "1e+", "0x1", "-Inf", "tru", "\"", "\"\\\"", "\"\\x\"",
        "\"\\u12g4\"", "\"\\u123\"", "\"\n\"", "\"\x01\"", "'a'", "[", "[1", "[1,", "[1,]", "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:1}", "{} {}", "1 1", "\xef\xbb\xbf{}", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"", "\"\xe4\xb8\"", "[\x0c]", "\"\\ud83d\\u12\"",
    };
    struct ggl_chat_arena arena = {NULL};
    struct ggl_pyjson *v;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (read_text(&arena, bad[i], strlen(bad[i]), &v) != GGL_ERR_FORMAT) fail_msg("accepted: %s", bad[i]);
    assert_int_equal(read_text(&arena, "1\0", 2, &v), GGL_ERR_FORMAT);
    assert_int_equal(read_text(&arena, "\"\\ud800\"", 8, &v), GGL_ERR_UNSUPPORTED);
    assert_int_equal(read_text(&arena, "\"\\udc00\\ud800\"", 14, &v), GGL_ERR_UNSUPPORTED);
    char deep[2 * GGL_PYJSON_DEPTH + 2];
    memset(deep, '[', sizeof(deep) / 2);
    memset(deep + sizeof(deep) / 2, ']', sizeof(deep) / 2);
    assert_int_equal(read_text(&arena, deep, sizeof(deep), &v), GGL_ERR_UNSUPPORTED);
    assert_int_equal(read_text(&arena, deep + 1, sizeof(deep) - 2, &v), GGL_OK);
    ggl_chat_arena_free(&arena);

    struct ggl_error err = {0};
    assert_int_equal(ggl_pyjson_read(&arena, ggl_chat_span_of("[1, x]", 6), "the test", &v, &err), GGL_ERR_FORMAT);
    assert_int_equal(err.offset, 4);
    assert_non_null(strstr(err.what, "the test"));
    ggl_chat_arena_free(&arena);
}

static void truth(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "1", "-1", "0.5", "\"0\"", "[0]", "{\"\":0}", "NaN"};
    static const char *const no[] = {"null", "false", "0", "-0", "0.0", "-0.0", "\"\"", "[]", "{}"};
    struct ggl_chat_arena arena = {NULL};
    struct ggl_pyjson *v;
    for (size_t i = 0; i < 17; i++) {
        const char *text = i < 8 ? yes[i] : no[i - 8];
        assert_int_equal(read_text(&arena, text, strlen(text), &v), GGL_OK);
        assert_int_equal(ggl_pyjson_truth(v), i < 8);
    }
    assert_false(ggl_pyjson_truth(NULL));
    ggl_chat_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),         cmocka_unit_test(repeated_keys), cmocka_unit_test(number_texts),
        cmocka_unit_test(foreign_locale), cmocka_unit_test(round_trips),   cmocka_unit_test(refusals),
        cmocka_unit_test(truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
