/* The tolerant streaming parse: agrees with the strict one, does not depend on how the text is cut, loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/chat.h"
#include "support/chat_vectors.h"

#define EOS "<｜end▁of▁sentence｜>"

/* What came out, readable: R(...), C(...), N(...), A(...), E; neighbours of one kind are joined. */
struct seen {
    struct ggl_chat_text text;
    int last;
};

static void note(void *user, enum ggl_chat_part part, const char *text, size_t size)
{
    struct seen *s = user;
    if (s->last != (int)part || part == GGL_PART_TOOL_NAME || part == GGL_PART_TOOL_END) {
        if (s->last >= 0) ggl_chat_text_str(&s->text, ")");
        ggl_chat_text_add(&s->text, &"RCNAE"[part], 1);
        ggl_chat_text_str(&s->text, "(");
    }
    s->last = (int)part;
    ggl_chat_text_add(&s->text, text, size);
}

/* The parts of `text`, fed in pieces of at most `piece` bytes, the first of `first`. */
static char *parts_of(const char *text, size_t size, bool thinking, size_t first, size_t piece)
{
    struct seen seen = {.last = -1};
    struct ggl_chat_stream *s = ggl_chat_stream_new(thinking, note, &seen);
    assert_non_null(s);
    for (size_t at = 0, n = first; at < size; at += n, n = piece) {
        if (n > size - at) n = size - at;
        char *copy = malloc(n + !n); /* exactly sized, so that a sanitizer sees reads beyond */
        assert_non_null(copy);
        memcpy(copy, text + at, n);
        assert_int_equal(ggl_chat_stream_feed(s, copy, n), GGL_OK);
        free(copy);
    }
    assert_int_equal(ggl_chat_stream_end(s), GGL_OK);
    assert_int_equal(ggl_chat_stream_feed(s, "x", 1), GGL_ERR_STATE);
    assert_int_equal(ggl_chat_stream_end(s), GGL_ERR_STATE);
    ggl_chat_stream_free(s);
    ggl_chat_text_str(&seen.text, seen.last >= 0 ? ")" : "");
    return ggl_chat_text_take(&seen.text, NULL);
}

/* One piece, byte by byte, and every cut in two give the same. */
static char *same_at_every_cut(const char *text, size_t size, bool thinking)
{
    char *whole = parts_of(text, size, thinking, size, size + 1);
    char *bytes = parts_of(text, size, thinking, 1, 1);
    assert_string_equal(bytes, whole);
    free(bytes);
    for (size_t cut = 1; cut < size; cut++) {
        char *two = parts_of(text, size, thinking, cut, size);
        if (strcmp(two, whole)) fail_msg("cut at %zu: %s\n  not: %s", cut, two, whole);
        free(two);
    }
    return whole;
}

static void parts(const char *text, bool thinking, const char *expected)
{
    char *found = same_at_every_cut(text, strlen(text), thinking);
    assert_string_equal(found, expected);
    free(found);
}

/* The strict parser's answer as parts. */
static char *strict_parts(const struct ggl_pyjson *parsed)
{
    struct seen s = {.last = -1};
    struct ggl_chat_span reasoning = ggl_pyjson_get(parsed, "reasoning_content")->text;
    struct ggl_chat_span content = ggl_pyjson_get(parsed, "content")->text;
    if (reasoning.size) note(&s, GGL_PART_REASONING, reasoning.data, reasoning.size);
    if (content.size) note(&s, GGL_PART_CONTENT, content.data, content.size);
    for (const struct ggl_pyjson *c = ggl_pyjson_get(parsed, "tool_calls")->child; c; c = c->next) {
        const struct ggl_pyjson *f = ggl_pyjson_get(c, "function");
        struct ggl_chat_span name = ggl_pyjson_get(f, "name")->text, arguments = ggl_pyjson_get(f, "arguments")->text;
        note(&s, GGL_PART_TOOL_NAME, name.data, name.size);
        note(&s, GGL_PART_TOOL_ARGUMENTS, arguments.data, arguments.size);
        note(&s, GGL_PART_TOOL_END, "", 0);
    }
    ggl_chat_text_str(&s.text, s.last >= 0 ? ")" : "");
    return ggl_chat_text_take(&s.text, NULL);
}

static void agrees_with_strict(void **state)
{
    (void)state;
    struct ggl_chat_arena arena = {NULL};
    int n = 0, i = 0;
    for (const struct ggl_pyjson *c = chat_vector_json(&arena, "parse.json")->child; c; c = c->next, i++) {
        struct ggl_chat_span completion = ggl_pyjson_get(c, "completion")->text;
        bool thinking = ggl_pyjson_equals(ggl_pyjson_get(c, "thinking_mode"), "thinking");
        bool every = i % 16 == 0; /* every cut of some, a few cuts of all */
        char *found = every ? same_at_every_cut(completion.data, completion.size, thinking)
                            : parts_of(completion.data, completion.size, thinking, 7, 13);
        char *whole = parts_of(completion.data, completion.size, thinking, completion.size, 1);
        assert_string_equal(found, whole);
        if (ggl_pyjson_truth(ggl_pyjson_get(c, "ok"))) {
            char *expected = strict_parts(ggl_pyjson_get(c, "parsed"));
            if (strcmp(found, expected)) fail_msg("parse.json[%d]\n  found    %s\n  expected %s", i, found, expected);
            free(expected);
            n++;
        }
        free(whole);
        free(found);
    }
    ggl_chat_arena_free(&arena);
    assert_int_equal(n, 249);
}

#define D "<｜DSML｜"
#define E "</｜DSML｜"
#define CALL D "invoke name=\"f\">\n" D "parameter name=\"a\" string=\"true\">x" E "parameter>\n" E "invoke>"
#define SEEN "N(f)A({\"a\": \"x\"})E()"

static void what_models_write(void **state)
{
    (void)state;
    parts("hi\n\n" D "tool_calls>\n" CALL "\n" E "tool_calls>" EOS, false, "C(hi)" SEEN);
    /* no empty line, one newline, three newlines */
    parts("hi" D "tool_calls>\n" CALL "\n" E "tool_calls>", false, "C(hi)" SEEN);
    parts("hi\n" D "tool_calls>" CALL E "tool_calls>", false, "C(hi)" SEEN);
    parts("hi\n\n\n" D "tool_calls>" CALL E "tool_calls>", false, "C(hi\n)" SEEN);
    /* a call inside unfinished reasoning; the reasoning may go on */
    parts("why\n\n" D "tool_calls>\n" CALL "\n" E "tool_calls>", true, "R(why)" SEEN);
    parts("why" D "tool_calls>\n" CALL "\n" E "tool_calls></think>so", true, "R(why)" SEEN "C(so)");
    /* spaces, doubled bars, ASCII bars */
    parts("< ｜ DSML ｜ tool_calls >\n<｜｜DSML｜｜invoke name = \"f\" ><|DSML|parameter name=\"a\"  string=\"true\" >x</ ｜DSML｜ parameter>"
          "</||DSML||invoke></｜ ｜DSML｜tool_calls>", false, SEEN);
    /* missing: the block, the attribute, the ends */
    parts(CALL, false, SEEN);
    parts(D "tool_calls>\n" D "invoke name=\"f\">\n" D "parameter name=\"a\">x" E "parameter>\n" E "tool_calls>done", false, SEEN "C(done)");
    parts(CALL "\n" CALL, false, SEEN SEEN);
    parts(D "tool_calls>" D "invoke name=\"g\">" CALL, false, "N(g)A({})E()" SEEN);
    parts(CALL "\nso", false, SEEN "C(so)");
    /* cut at the end: in a value, a tag, a call */
    parts(D "invoke name=\"f\">\n" D "parameter name=\"a\" string=\"true\">x</｜DSM", false, "N(f)A({\"a\": \"x</｜DSM\"})E()");
    parts(D "invoke name=\"f\">\n" D "parameter name=\"a\" string=\"false\">[1", false, "N(f)A({\"a\": [1})E()");
    parts(D "invoke name=\"f\">\n", false, "N(f)A({})E()");
    /* two parameters, JSON, escapes */
    parts(D "tool_calls>\n" D "invoke name=\"\">\n" D "parameter name=\"q\\\" string=\"true\">\"<\n\t>" E "parameter>\n" D
          "parameter name=\"b\" string=\"false\">{\"c\": 1}" E "parameter>\n" E "invoke>\n" E "tool_calls>",
          false, "N()A({\"q\\\\\": \"\\\"<\\n\\t>\", \"b\": {\"c\": 1}})E()");
    /* a value may hold any other tag */
    parts(D "invoke name=\"f\">" D "parameter name=\"a\" string=\"true\"></think>" E "invoke>" EOS E "parameter>" E "invoke>", false,
          "N(f)A({\"a\": \"</think></｜DSML｜invoke>" EOS "\"})E()");
    /* junk inside a call is content */
    parts(D "invoke name=\"f\">\njunk <b>" E "invoke>", false, "N(f)A({)C(junk <b>)A(})E()");
}

static void thinking_tags(void **state)
{
    (void)state;
    parts("", true, "");
    parts("why</think>so", true, "R(why)C(so)");
    parts("</think>so", true, "C(so)");
    parts("\n<think>why</think>\n\nso", true, "R(why)C(\n\nso)");
    parts("<think>why</think>so", false, "R(why)C(so)");
    parts("a<think>b</think>c", false, "C(a<think>b</think>c)");
    parts("unfinished", true, "R(unfinished)");
    parts("\n\n\n\n", true, "R(\n\n\n\n)");
    parts("so" EOS, false, "C(so)");
}

/* What looks like a tag and is none. */
static void plain_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a < b && c > d\n\n<", "<<<\n\n\n<<", "<think", "</thin", "<｜end▁of▁sentence｜", "\n", "\n\n", "\n\n\n<\n\n",
        "Write " D "tool_calls> to call a tool", "\n\n" D "tool_calls>\n\n text", D "tool_calls>", D "invoke>", D "invoke name=f>",
        D "invoke name=\"f\"", E "invoke>", E "parameter>" E "tool_calls>", "<｜DSML", "<｜", "<|>", "<DSML|invoke name=\"f\">",
        D "invoked name=\"f\">", "\xff<\xf0\x9f", "tab\tand \"quotes\" \\",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "C(%s)", texts[i]);
        parts(texts[i], false, expected);
    }
}

/* A tag that never ends is text, at any length, and takes linear time. */
static void endless_tags(void **state)
{
    (void)state;
    static const char *const starts[] = {"<", "<｜DSML｜invoke name=\"", D "tool_calls>", "<｜"};
    static const char *const fillers[] = {" ", "x", "\n", "｜", "<", "<｜DSML｜invoke name=\""};
    enum { N = 100000 };
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 6; j++) {
            struct ggl_chat_text t = {0};
            ggl_chat_text_str(&t, starts[i]);
            while (t.size < N) ggl_chat_text_str(&t, fillers[j]);
            char *bytes = parts_of(t.data, t.size, false, 1, 1);
            assert_int_equal(strlen(bytes), t.size + 3);
            assert_memory_equal(bytes + 2, t.data, t.size);
            free(bytes);
            ggl_chat_text_free(&t);
        }
    }
}

/* Text is shown at once: what is fed comes out unless it may begin a tag. */
static void nothing_is_late(void **state)
{
    (void)state;
    struct seen seen = {.last = -1};
    struct ggl_chat_stream *s = ggl_chat_stream_new(false, note, &seen);
    assert_int_equal(ggl_chat_stream_feed(s, "one two\nthree", 13), GGL_OK);
    assert_int_equal(seen.text.size, 2 + 13);
    assert_int_equal(ggl_chat_stream_feed(s, "\n\n<", 3), GGL_OK);
    assert_int_equal(seen.text.size, 2 + 13);
    assert_int_equal(ggl_chat_stream_feed(s, "b", 1), GGL_OK);
    assert_int_equal(seen.text.size, 2 + 17);
    ggl_chat_stream_free(s);
    ggl_chat_stream_free(NULL);
    ggl_chat_text_free(&seen.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_strict), cmocka_unit_test(what_models_write), cmocka_unit_test(thinking_tags),
        cmocka_unit_test(plain_text),         cmocka_unit_test(endless_tags),      cmocka_unit_test(nothing_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
