/* ggl-eval --suite: which answers are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The tool's own source: it belongs to no library. */
#include "tools/ggl-eval/suite_match.c"

static struct ggl_chat_span span(const char *text)
{
    return ggl_chat_span_of(text, strlen(text));
}

static void contains(void **state)
{
    (void)state;
    static const struct {
        const char *content, *expected;
        bool right;
    } cases[] = {
        {"Paris", "Paris", true},
        {"The capital is Paris.", "Paris", true},
        {"Paris", "paris", false},
        {"Parish", "Paris", false},
        {"xParis", "Paris", false},
        {"Parish, not Paris", "Paris", true}, /* the second place counts, too */
        {"142", "42", false},
        {"420", "42", false},
        {"4242", "42", false},
        {"= 42.", "42", true},
        {"(42)", "42", true},
        {"4_42_1", "42", true},
        {"42\xc3\xa9", "42", true}, /* bytes: only ASCII letters and digits stand beside it */
        {"ana", "anana", false},
        {"banana ana", "ana", true},
        {"a, b and c", "a, b", true},
        {"-5", "5", true},
        {"", "5", false},
        {"5", "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (suite_contains(span(cases[i].content), span(cases[i].expected)) != cases[i].right)
            fail_msg("\"%s\" in \"%s\"", cases[i].expected, cases[i].content);
    assert_false(suite_contains(ggl_chat_span_of(NULL, 0), span("x")));
    assert_true(suite_contains(ggl_chat_span_of("\0" "42\0", 4), span("42")));
}

static struct ggl_pyjson *json(struct ggl_chat_arena *arena, const char *text)
{
    struct ggl_pyjson *v;
    assert_int_equal(ggl_pyjson_read(arena, span(text), "test", &v, NULL), GGL_OK);
    return v;
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"1", "1", true},
        {"1", "1.0", true},
        {"1e2", "100", true},
        {"1", "2", false},
        {"1.5", "1.5", true},
        {"1.5", "1.25", false},
        {"0", "-0", true},
        {"0.0", "-0.0", true},
        {"9007199254740993", "9007199254740992", false}, /* one double */
        {"NaN", "NaN", false},
        {"NaN", "1", false},
        {"1", "true", false},
        {"0", "false", false},
        {"0", "null", false},
        {"null", "null", true},
        {"true", "false", false},
        {"\"1\"", "1", false},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"a\"", "\"A\"", false},
        {"\"\"", "\"\"", true},
        {"[1, 2]", "[1,2]", true},
        {"[1, 2]", "[2, 1]", false},
        {"[1, 2]", "[1]", false},
        {"[]", "{}", false},
        {"{\"a\": 1, \"b\": [2]}", "{\"b\": [2], \"a\": 1}", true},
        {"{\"a\": 1}", "{\"a\": 1, \"b\": 2}", false},
        {"{\"a\": 1}", "{\"b\": 1}", false},
        {"{\"a\": {\"b\": null}}", "{\"a\": {\"b\": null}}", true},
        {"{\"a\": {\"b\": null}}", "{\"a\": {}}", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ggl_chat_arena arena = {NULL};
        const struct ggl_pyjson *a = json(&arena, cases[i].a), *b = json(&arena, cases[i].b);
        if (suite_json_equal(a, b) != cases[i].same || suite_json_equal(b, a) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        ggl_chat_arena_free(&arena);
    }
}

/* Answers as a model writes them, through the parser that the suite uses. */
#define CALL(name, parameters) "<｜DSML｜invoke name=\"" name "\">\n" parameters "</｜DSML｜invoke>\n"
#define TEXT(name, value) "<｜DSML｜parameter name=\"" name "\" string=\"true\">" value "</｜DSML｜parameter>\n"
#define VALUE(name, value) "<｜DSML｜parameter name=\"" name "\" string=\"false\">" value "</｜DSML｜parameter>\n"
#define ANSWER(calls) "\n\n<｜DSML｜tool_calls>\n" calls "</｜DSML｜tool_calls><｜end▁of▁sentence｜>"

static bool right(const char *answer, const char *expected)
{
    struct ggl_chat_arena arena = {NULL};
    char *text;
    size_t size;
    struct ggl_error err = {0};
    if (ggl_chat_parse_json(answer, strlen(answer), false, &text, &size, &err)) fail_msg("%s: %s", answer, err.what);
    struct ggl_pyjson *message;
    assert_int_equal(ggl_pyjson_read(&arena, ggl_chat_span_of(text, size), "message", &message, NULL), GGL_OK);
    bool same = suite_calls_equal(&arena, ggl_pyjson_get(message, "tool_calls"), json(&arena, expected));
    ggl_chat_arena_free(&arena);
    ggl_chat_free(text);
    return same;
}

static void calls(void **state)
{
    (void)state;
    const char *time = ANSWER(CALL("get_time", TEXT("city", "Oslo")));
    const char *product = ANSWER(CALL("multiply", VALUE("a", "32") VALUE("b", "99")));
    const char *two = ANSWER(CALL("f", "") CALL("g", VALUE("x", "[1, {\"y\": 2.0}]")));
    assert_true(right(time, "[{\"name\": \"get_time\", \"arguments\": {\"city\": \"Oslo\"}}]"));
    assert_false(right(time, "[{\"name\": \"get_time\", \"arguments\": {\"city\": \"Rome\"}}]"));
    assert_false(right(time, "[{\"name\": \"get_date\", \"arguments\": {\"city\": \"Oslo\"}}]"));
    assert_false(right(time, "[{\"name\": \"get_time\", \"arguments\": {}}]"));
    assert_false(right(time, "[]"));
    assert_true(right(product, "[{\"name\": \"multiply\", \"arguments\": {\"b\": 99, \"a\": 32}}]"));
    assert_false(right(product, "[{\"name\": \"multiply\", \"arguments\": {\"b\": 32, \"a\": 99}}]"));
    assert_false(right(product, "[{\"name\": \"multiply\", \"arguments\": {\"b\": \"99\", \"a\": 32}}]"));
    assert_true(right(two, "[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {\"x\": [1, {\"y\": 2}]}}]"));
    assert_false(right(two, "[{\"name\": \"g\", \"arguments\": {\"x\": [1, {\"y\": 2}]}}, {\"name\": \"f\", \"arguments\": {}}]"));
    assert_false(right(two, "[{\"name\": \"f\", \"arguments\": {}}]"));
    assert_true(right("Hello<｜end▁of▁sentence｜>", "[]"));
    assert_false(right("Hello<｜end▁of▁sentence｜>", "[{\"name\": \"f\", \"arguments\": {}}]"));
    /* Arguments that are no JSON. */
    assert_false(right(ANSWER(CALL("f", VALUE("x", "one"))), "[{\"name\": \"f\", \"arguments\": {\"x\": \"one\"}}]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(contains), cmocka_unit_test(values), cmocka_unit_test(calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
