/* The strict parse against the official parser's answers, and its corners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/chat.h"
#include "support/chat_vectors.h"

#define EOS "<｜end▁of▁sentence｜>"
#define START "\n\n<｜DSML｜tool_calls"
#define INVOKE "<｜DSML｜invoke"
#define INVOKE_END "</｜DSML｜invoke"
#define PARAM "<｜DSML｜parameter"
#define PARAM_END "/｜DSML｜parameter"
#define END "</｜DSML｜tool_calls>"

static void all_completions(void **state)
{
    (void)state;
    struct ggl_chat_arena arena = {NULL};
    size_t i = 0, good = 0;
    for (const struct ggl_pyjson *c = chat_vector_json(&arena, "parse.json")->child; c; c = c->next, i++) {
        struct ggl_chat_span completion = ggl_pyjson_get(c, "completion")->text;
        bool thinking = ggl_pyjson_equals(ggl_pyjson_get(c, "thinking_mode"), "thinking");
        bool ok = ggl_pyjson_truth(ggl_pyjson_get(c, "ok")), same;
        char *out = NULL;
        size_t size = 0;
        enum ggl_status s = ggl_chat_parse_json(completion.data, completion.size, thinking, &out, &size, NULL);
        if (ok) same = !s && chat_json_same(chat_json(&arena, out, size), ggl_pyjson_get(c, "parsed"));
        else same = s == GGL_ERR_FORMAT && !out;
        if (!same) print_error("parse.json[%zu]: expected %s, found %s\n", i, ok ? "ok" : "an error", s ? "an error" : out);
        good += same;
        ggl_chat_free(out);
    }
    ggl_chat_arena_free(&arena);
    assert_int_equal(i, 300);
    assert_int_equal(good, 300);
}

static void parses(const char *text, const char *tool_calls)
{
    char *out = NULL, expected[1024];
    size_t size = 0;
    snprintf(expected, sizeof(expected),
             "{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"\", \"tool_calls\": [%s]}", tool_calls);
    assert_int_equal(ggl_chat_parse_json(text, strlen(text), false, &out, &size, NULL), GGL_OK);
    assert_string_equal(out, expected);
    assert_int_equal(size, strlen(expected));
    ggl_chat_free(out);
}

#define F(arguments) "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": \"" arguments "\"}}"

/* What follows from the official parser's regular expressions and loops. */
static void accepted_corners(void **state)
{
    (void)state;
    parses(EOS, "");
    parses(START, ""); /* the text may end behind the start mark, */
    parses(START ">\n" INVOKE " name=\"f\">\n", F("{}")); /* behind a name, */
    parses(START ">\n" INVOKE " name=\"f\">\n\n" INVOKE_END, F("{}")); /* or behind a call */
    parses(START ">\n" INVOKE " \t\u3000\xc2\x85name=\"f\">\n" INVOKE_END ">\n" END, F("{}"));
    parses(START ">\n" INVOKE " name=\"f\">\n" PARAM " name=\"a\" string=\"true\">\"x\"\n<y><" PARAM_END ">\n" INVOKE_END ">\n" END EOS,
           F("{\\\"a\\\": \\\"\\\\\\\"x\\\\\\\"\\\\n<y>\\\"}"));
    parses(START ">\n" INVOKE " name=\"f\">\n\n" PARAM " name=\"a\" string=\"false\">1<\n" PARAM_END ">\n" INVOKE_END ">\n" END,
           F("{\\\"a\\\": 1}"));
}

static void refused(const char *text, bool thinking, const char *what)
{
    char *out = NULL;
    size_t size;
    struct ggl_error err = {0};
    assert_int_equal(ggl_chat_parse_json(text, strlen(text), thinking, &out, &size, &err), GGL_ERR_FORMAT);
    assert_null(out);
    if (!strstr(err.what, what)) fail_msg("'%s' does not say '%s'", err.what, what);
}

static void refused_corners(void **state)
{
    (void)state;
    refused("", false, "content");
    refused("x", false, "content");
    refused("x" EOS, true, "reasoning");
    refused("x" START ">\n</think>" EOS, true, "reasoning");
    refused("a" EOS "b", false, "behind");
    refused("<think>" EOS, false, "content or reasoning");
    refused("<｜begin▁of▁sentence｜></think>" EOS, true, "content or reasoning");
    refused(START ">", false, "tag of the tool calls");
    refused(START ">\n", false, "tool calls");
    refused(START ">\n\n" END, false, "tag of the tool calls");
    refused(START ">\n" END "x", false, "behind the tool calls");
    refused(START ">\n" INVOKE " name=\"f\">\n\n\n" INVOKE_END ">\n" END, false, "name");
    refused(START ">\n" INVOKE " name=\"f\">\n" PARAM " name=\"a\" string=\"maybe\">1<" PARAM_END ">\n" INVOKE_END ">\n" END, false,
            "parameter");
    refused(START ">\n" INVOKE " name=\"f\">\n" PARAM " name=\"a\" string=\"true\">1<" PARAM_END ">\n" PARAM
            " name=\"a\" string=\"true\">1<" PARAM_END ">\n" INVOKE_END ">\n" END, false, "tool call");
    refused("\xff" EOS, false, "text");
}

/* Many small calls: the parse is linear, so this takes no time. */
static void many_calls(void **state)
{
    (void)state;
    struct ggl_chat_text text = {0};
    char *out = NULL;
    size_t size;
    ggl_chat_text_str(&text, START ">\n");
    for (int i = 0; i < 40000; i++) ggl_chat_text_str(&text, INVOKE " name=\"f\">\n\n" INVOKE_END ">\n");
    ggl_chat_text_str(&text, END EOS);
    assert_int_equal(ggl_chat_parse_json(text.data, text.size, false, &out, &size, NULL), GGL_OK);
    ggl_chat_free(out);
    ggl_chat_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_completions), cmocka_unit_test(accepted_corners),
                                       cmocka_unit_test(refused_corners), cmocka_unit_test(many_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
