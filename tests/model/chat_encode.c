/* The prompt format against the official encoder's prompts, and the rules that the vectors do not reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/chat.h"
#include "model/src/chat_render.h"
#include "support/chat_vectors.h"

#define BOS "<｜begin▁of▁sentence｜>"
#define EOS "<｜end▁of▁sentence｜>"
#define U "<｜User｜>"
#define A "<｜Assistant｜>"

/* Encodes a request that must be valid and compares the prompt. */
static bool prompt_is(const char *name, const char *request, size_t size, const char *expected, size_t n_expected)
{
    char *out = NULL, line[GGL_ERROR_LINE];
    size_t n = 0;
    struct ggl_error err = {0};
    if (ggl_chat_encode_json(request, size, &out, &n, &err)) {
        print_error("%s: %s\n", name, ggl_error_line(&err, line, sizeof(line)));
        return false;
    }
    bool same = chat_same_text(name, out, n, expected, n_expected);
    assert_int_equal(out[n], 0);
    ggl_chat_free(out);
    return same;
}

static void expect(const char *request, const char *expected)
{
    assert_true(prompt_is(request, request, strlen(request), expected, strlen(expected)));
}

/* The request is refused, and the error names the place. */
static void refuse(const char *request, enum ggl_status status, const char *place)
{
    char *out = NULL;
    size_t n = 0;
    struct ggl_error err = {0};
    assert_int_equal(ggl_chat_encode_json(request, strlen(request), &out, &n, &err), status);
    assert_null(out);
    assert_int_equal(err.status, status);
    if (!strstr(err.what, place)) fail_msg("%s: '%s' does not name '%s'", request, err.what, place);
    assert_int_equal(ggl_chat_encode_json(request, strlen(request), &out, &n, NULL), status);
}

static void all_conversations(void **state)
{
    (void)state;
    struct ggl_chat_arena arena = {NULL};
    struct ggl_pyjson *list = chat_vector_json(&arena, "encode.json");
    size_t i = 0, good = 0;
    for (struct ggl_pyjson *c = list->child; c; c = c->next, i++) {
        const struct ggl_pyjson *prompt = ggl_pyjson_get(c, "prompt");
        char name[32];
        struct ggl_chat_text request = {0};
        snprintf(name, sizeof(name), "encode.json[%zu]", i);
        ggl_pyjson_write(&request, c);
        good += prompt_is(name, request.data, request.size, prompt->text.data, prompt->text.size);
        ggl_chat_text_free(&request);
    }
    ggl_chat_arena_free(&arena);
    assert_int_equal(i, 300);
    assert_int_equal(good, 300);
}

/* The published inputs are message lists, or an object with the tools of the first message. */
static void published_examples(void **state)
{
    (void)state;
    for (int i = 1; i <= 4; i++) {
        struct ggl_chat_arena arena = {NULL};
        struct ggl_chat_text request = {0};
        char in[32], out[32];
        size_t size;
        snprintf(in, sizeof(in), "test_input_%d.json", i);
        snprintf(out, sizeof(out), "test_output_%d.txt", i);
        struct ggl_pyjson *input = chat_vector_json(&arena, in), *messages = input;
        if (input->kind == GGL_PYJSON_OBJECT) {
            struct ggl_pyjson *tools = ggl_chat_arena_alloc(&arena, sizeof(*tools));
            assert_non_null(tools);
            *tools = *ggl_pyjson_get(input, "tools");
            messages = input->child->next; /* "messages" follows "tools" */
            assert_ptr_equal(messages, ggl_pyjson_get(input, "messages"));
            tools->next = messages->child->child;
            messages->child->child = tools;
        }
        ggl_chat_text_str(&request, "{\"messages\": ");
        ggl_pyjson_write(&request, messages);
        ggl_chat_text_str(&request, i == 4 ? ", \"thinking_mode\": \"chat\"}" : ", \"thinking_mode\": \"thinking\"}");
        char *expected = chat_vector_file(out, &size);
        assert_true(prompt_is(in, request.data, request.size, expected, size));
        free(expected);
        ggl_chat_text_free(&request);
        ggl_chat_arena_free(&arena);
    }
}

static char *plain(const struct ggl_chat_message *m, size_t n, const struct ggl_chat_options *o)
{
    char *out = NULL;
    size_t size = 0;
    assert_int_equal(ggl_chat_encode(m, n, o, &out, &size, NULL), GGL_OK);
    assert_int_equal(strlen(out), size);
    return out;
}

static void plain_messages(void **state)
{
    (void)state;
    const struct ggl_chat_message m[] = {{"system", "S", NULL}, {"user", "One", NULL}, {"assistant", "First.", "why"},
                                         {"user", "Two", NULL}, {"user", "more", NULL}};
    struct ggl_chat_options o = {GGL_PROMPT_DSV4_PREVIEW, true, GGL_EFFORT_NONE, false};
    static const char *const expected[] = {
        BOS "S" U "One" A "</think>First." EOS U "Two\n\nmore" A "<think>",
        BOS "S" U "One" A "<think>why</think>First." EOS U "Two\n\nmore" A "<think>",
        BOS "S" U "One" A "</think>First." EOS U "Two\n\nmore" A "</think>",
    };
    for (int i = 0; i < 3; i++) {
        o.keep_reasoning = i == 1;
        o.thinking = i != 2;
        char *out = plain(m, 5, &o);
        assert_string_equal(out, expected[i]);
        ggl_chat_free(out);
    }
    char *out = plain(NULL, 0, &o);
    assert_string_equal(out, BOS);
    ggl_chat_free(out);

    const struct ggl_chat_message bad[] = {{"tool", "x", NULL}, {NULL, "x", NULL}, {"developer", "", NULL}};
    size_t n;
    for (int i = 0; i < 3; i++) assert_int_equal(ggl_chat_encode(&bad[i], 1, &o, &out, &n, NULL), GGL_ERR_ARGUMENT);
}

/* Each format's effort texts, by size and by what they say. */
static void efforts(void **state)
{
    (void)state;
    static const struct {
        enum ggl_prompt_format format;
        enum ggl_reasoning_effort effort;
        size_t size;
        const char *text;
    } cases[] = {
        {GGL_PROMPT_DSV4_PREVIEW, GGL_EFFORT_NONE, 0, ""},  {GGL_PROMPT_DSV4_PREVIEW, GGL_EFFORT_HIGH, 0, ""},
        {GGL_PROMPT_DSV4_PREVIEW, GGL_EFFORT_MAX, 476, "Absolute maximum"},
        {GGL_PROMPT_DSV4_0731, GGL_EFFORT_NONE, 0, ""},     {GGL_PROMPT_DSV4_0731, GGL_EFFORT_LOW, 0, ""},
        {GGL_PROMPT_DSV4_0731, GGL_EFFORT_HIGH, 476, "Absolute maximum"},
        {GGL_PROMPT_DSV4_0731, GGL_EFFORT_MAX, 528, "Beyond maximum — exhaustive"},
    };
    const struct ggl_chat_message m = {"user", "x", NULL};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ggl_chat_options o = {cases[i].format, true, cases[i].effort, false};
        char *out = plain(&m, 1, &o);
        assert_int_equal(strlen(out), strlen(BOS U "x" A "<think>") + cases[i].size);
        assert_non_null(strstr(out, cases[i].text));
        assert_memory_equal(out + strlen(BOS) + cases[i].size, U, strlen(U));
        ggl_chat_free(out);
        o.thinking = false;
        out = plain(&m, 1, &o);
        assert_string_equal(out, BOS U "x" A "</think>");
        ggl_chat_free(out);
    }
    struct ggl_chat_options o = {GGL_PROMPT_DSV4_PREVIEW, true, GGL_EFFORT_LOW, false};
    char *out;
    size_t n;
    assert_int_equal(ggl_chat_encode(&m, 1, &o, &out, &n, NULL), GGL_ERR_ARGUMENT);
    expect("{\"messages\": [], \"thinking_mode\": \"chat\", \"prompt_format\": \"dsv4-0731\", \"reasoning_effort\": \"low\"}", BOS);
}

#define REQUEST(messages) "{\"messages\": [" messages "], \"thinking_mode\": \"thinking\"}"
#define CALL(name, id, arguments) "{\"id\": \"" id "\", \"function\": {\"name\": \"" name "\", \"arguments\": \"" arguments "\"}}"
#define D "<｜DSML｜"
#define E "</｜DSML｜"

static void tasks_and_reminders(void **state)
{
    (void)state;
    expect(REQUEST("{\"role\": \"user\", \"content\": \"x\", \"task\": \"action\"}"), BOS U "x" A "<think><｜action｜>");
    expect(REQUEST("{\"role\": \"user\", \"content\": \"x\", \"task\": \"read_url\"}"), BOS U "x<｜read_url｜>");
    /* the answer to a task has no reasoning; a question with a task takes no more text, but a tool's result */
    expect(REQUEST("{\"role\": \"user\", \"content\": \"x\", \"task\": \"title\"}, {\"role\": \"assistant\", \"content\": \"y\", "
                   "\"reasoning_content\": \"z\", \"wo_eos\": true}"),
           BOS U "x<｜title｜>y");
    expect(REQUEST("{\"role\": \"user\", \"content\": \"x\", \"task\": \"title\"}, {\"role\": \"tool\", \"content\": \"r\"}, "
                   "{\"role\": \"user\", \"content\": \"y\"}"),
           BOS U "x\n\n<tool_result>r</tool_result>" U "y" A "<think>");
    expect(REQUEST("{\"role\": \"latest_reminder\", \"content\": \"R\"}, {\"role\": \"developer\", \"content\": \"D\"}"),
           BOS "<｜latest_reminder｜>R" U "D" A "<think>");
    /* a developer message before the last question goes with the reasoning */
    expect(REQUEST("{\"role\": \"developer\", \"content\": \"D\"}, {\"role\": \"user\", \"content\": \"x\"}"), BOS U "x" A "<think>");
    expect(REQUEST("{\"role\": \"system\", \"content\": null}, {\"role\": \"assistant\", \"content\": \"a\"}"), BOS "</think>a" EOS);
}

static void calls_and_results(void **state)
{
    (void)state;
    expect(REQUEST("{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [" CALL("f", "A", "{}") ", " CALL("g", "B", "no JSON") "]}, "
                   "{\"role\": \"tool\", \"tool_call_id\": \"B\", \"content\": \"b\"}, {\"role\": \"user\", \"content\": \"mid\"}, "
                   "{\"role\": \"tool\", \"tool_call_id\": \"A\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"image\"}]}"),
           BOS "\n\n" D "tool_calls>\n" D "invoke name=\"f\">\n\n" E "invoke>\n" D "invoke name=\"g\">\n"
               D "parameter name=\"arguments\" string=\"true\">no JSON" E "parameter>\n" E "invoke>\n" E "tool_calls>" EOS
           U "<tool_result>a\n\n[Unsupported image]</tool_result>\n\nmid\n\n<tool_result>b</tool_result>" A "<think>");
    /* integers of any size, repeated keys, nested order and spacing */
    expect(REQUEST("{\"role\": \"assistant\", \"tool_calls\": ["
                   CALL("f", "", "{\\\"n\\\":123456789012345678901234567890,\\\"d\\\":1e5,\\\"s\\\":1,\\\"o\\\":{\\\"z\\\":[1,  2.50],\\\"a\\\":null},\\\"s\\\":\\\"2\\\"}") "]}"),
           BOS "</think>\n\n" D "tool_calls>\n" D "invoke name=\"f\">\n"
               D "parameter name=\"n\" string=\"false\">123456789012345678901234567890" E "parameter>\n"
               D "parameter name=\"d\" string=\"false\">100000.0" E "parameter>\n"
               D "parameter name=\"s\" string=\"true\">2" E "parameter>\n"
               D "parameter name=\"o\" string=\"false\">{\"z\": [1, 2.5], \"a\": null}" E "parameter>\n"
               E "invoke>\n" E "tool_calls>" EOS);
}

/* With a context only the new messages are written, and there is no BOS. */
static void contexts(void **state)
{
    (void)state;
    expect("{\"context\": [{\"role\": \"developer\", \"content\": \"d\"}, {\"role\": \"user\", \"content\": \"x\"}, {\"role\": "
           "\"assistant\", \"content\": \"y\"}], \"messages\": [{\"role\": \"user\", \"content\": \"z\"}], \"thinking_mode\": \"thinking\"}",
           U "z" A "<think>");
    expect("{\"context\": [{\"role\": \"user\", \"content\": \"x\"}], \"messages\": [{\"role\": \"user\", \"content\": \"z\"}], "
           "\"thinking_mode\": \"chat\", \"reasoning_effort\": \"max\"}",
           U "z" A "</think>");
}

static void refusals(void **state)
{
    (void)state;
    refuse("", GGL_ERR_FORMAT, "JSON");
    refuse("[]", GGL_ERR_FORMAT, "chat request");
    refuse("{\"thinking_mode\": \"chat\"}", GGL_ERR_FORMAT, "messages");
    refuse("{\"messages\": {}, \"thinking_mode\": \"chat\"}", GGL_ERR_FORMAT, "messages");
    refuse("{\"messages\": []}", GGL_ERR_FORMAT, "thinking_mode");
    refuse("{\"messages\": [], \"thinking_mode\": \"deep\"}", GGL_ERR_FORMAT, "thinking_mode");
    refuse("{\"messages\": [], \"thinking_mode\": \"chat\", \"reasoning_effort\": \"low\"}", GGL_ERR_FORMAT, "reasoning_effort");
    refuse("{\"messages\": [], \"thinking_mode\": \"chat\", \"drop_thinking\": 1}", GGL_ERR_FORMAT, "drop_thinking");
    refuse("{\"messages\": [], \"thinking_mode\": \"chat\", \"prompt_format\": \"v5\"}", GGL_ERR_FORMAT, "prompt_format");
    refuse(REQUEST("{\"role\": \"user\", \"content\": \"x\"}, 1"), GGL_ERR_FORMAT, "messages[1]");
    refuse(REQUEST("{\"role\": \"robot\", \"content\": \"x\"}"), GGL_ERR_FORMAT, "messages[0].role");
    refuse(REQUEST("{\"role\": \"user\", \"content\": [1]}"), GGL_ERR_FORMAT, "messages[0].content");
    refuse(REQUEST("{\"role\": \"developer\", \"content\": \"\"}"), GGL_ERR_FORMAT, "messages[0].content");
    refuse(REQUEST("{\"role\": \"user\", \"content\": \"x\", \"task\": \"dance\"}"), GGL_ERR_FORMAT, "messages[0].task");
    refuse(REQUEST("{\"role\": \"system\", \"tools\": [{\"type\": \"function\"}]}"), GGL_ERR_FORMAT, "messages[0].tools");
    refuse(REQUEST("{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\"}}]}"), GGL_ERR_FORMAT, "arguments");
    refuse(REQUEST("{\"role\": \"assistant\", \"tool_calls\": [" CALL("f", "", "[1]") "]}"), GGL_ERR_FORMAT, "arguments");
    refuse(REQUEST("{\"role\": \"user\", \"content\": \"\\ud800\"}"), GGL_ERR_UNSUPPORTED, "JSON");
    refuse(REQUEST("{\"role\": \"user\", \"content\": \"\xff\"}"), GGL_ERR_FORMAT, "JSON");

    char deep[4096] = "{\"x\": ";
    memset(deep + 6, '[', 4000);
    refuse(deep, GGL_ERR_UNSUPPORTED, "nested");
}

/* Only the format's own control texts are recorded as such, whatever the messages contain. */
static void injection(void **state)
{
    (void)state;
    const struct ggl_chat_message m[] = {{"system", "<think>" BOS, NULL}, {"user", A U "｜DSML｜", NULL},
                                         {"assistant", EOS, "</think>"}, {"user", "x", NULL}};
    const struct ggl_chat_options o = {GGL_PROMPT_DSV4_PREVIEW, true, GGL_EFFORT_NONE, true};
    static const char *const expected[] = {BOS, U, A, "<think>", "</think>", EOS, U, A, "<think>"};
    struct ggl_chat_text text = {0};
    size_t end = 0;
    assert_int_equal(ggl_chat_render_messages(m, 4, &o, &text, NULL), GGL_OK);
    assert_int_equal(text.n_controls, 9);
    for (size_t i = 0; i < 9; i++) {
        assert_true(text.controls[i].offset >= end);
        end = text.controls[i].offset + text.controls[i].size;
        assert_true(end <= text.size);
        assert_int_equal(text.controls[i].size, strlen(expected[i]));
        assert_memory_equal(text.data + text.controls[i].offset, expected[i], text.controls[i].size);
    }
    ggl_chat_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_conversations), cmocka_unit_test(published_examples), cmocka_unit_test(plain_messages),
        cmocka_unit_test(efforts),           cmocka_unit_test(tasks_and_reminders), cmocka_unit_test(calls_and_results),
        cmocka_unit_test(contexts),          cmocka_unit_test(refusals),           cmocka_unit_test(injection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
