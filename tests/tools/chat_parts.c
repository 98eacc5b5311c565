/* ggl-chat's parts that need no model: what the screen filters, widths, and messages found again in tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The tool's own sources: they belong to no library. */
#include "tools/ggl-chat/screen.c"
#include "tools/ggl-chat/history.c"
#include "tools/ggl-chat/interrupt.c"
#include "tools/ggl-chat/width.c"

const struct cli cli = {.name = "ggl-chat"};

#define BAD "\xef\xbf\xbd"

static void filters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""}, {"plain\n\ttext", "plain\n\ttext"}, {"h\xc3\xa9 \xe5\x8c\x97 \xf0\x9f\x99\x82", "h\xc3\xa9 \xe5\x8c\x97 \xf0\x9f\x99\x82"},
        {"\033[2J", BAD "[2J"}, {"\033]52;c;eA==\a", BAD "]52;c;eA==" BAD}, {"a\rb\bc\x7f", "a" BAD "b" BAD "c" BAD},
        {"\xc2\x9b" "2J\xc2\x85", BAD "2J" BAD}, {"\xc2\xa0", "\xc2\xa0"}, {"\xe2\x80\xae" "abc\xe2\x81\xa6", BAD "abc" BAD},
        {"\xe2\x80\xa6\xe2\x81\xaf", "\xe2\x80\xa6\xe2\x81\xaf"}, {"\xe2\x80", "\xe2\x80"},
    };
    struct bytes out = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_clear(&out);
        screen_filter(&out, cases[i].text, strlen(cases[i].text));
        assert_string_equal(out.data, cases[i].shown);
    }
    bytes_free(&out);
}

static void widths(void **state)
{
    (void)state;
    static const struct {
        uint32_t c;
        int width;
    } cases[] = {{'a', 1}, {0xe9, 1}, {0x301, 0}, {0x5317, 2}, {0xac00, 2}, {0x1f642, 2}, {0x200d, 0}, {0xfe0f, 0}, {0xff21, 2},
                 {0xff61, 1}, {0x2026, 1}, {0x20000, 2}, {0x3fffe, 1}, {0x10ffff, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) assert_int_equal(character_width(cases[i].c), cases[i].width);
}

static void same_history(const struct history *a, const struct history *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->items[i].role, b->items[i].role);
        assert_string_equal(a->items[i].content, b->items[i].content);
        assert_string_equal(a->items[i].reasoning ? a->items[i].reasoning : "", b->items[i].reasoning ? b->items[i].reasoning : "");
    }
}

/* Every conversation is found again in its prompt's tokens, also when its texts look like control tokens. */
static void messages_from_tokens(void **state)
{
    (void)state;
    struct ggl_tokenizer *t;
    enum ggl_status s = ggl_tokenizer_from_file(GGL_TEST_VECTORS "/tokenizer/tokenizer.small.json", &t, NULL);
    if (s == GGL_ERR_UNSUPPORTED) skip();
    assert_int_equal(s, GGL_OK);
    for (int way = 0; way < 16; way++) {
        bool thinking = way & 1, system = way & 2, answered = way & 4;
        struct ggl_chat_options o = {GGL_PROMPT_DSV4_PREVIEW, thinking, way & 8 ? GGL_EFFORT_MAX : GGL_EFFORT_HIGH, true};
        struct history h = {0}, found = {0};
        int32_t *ids;
        int64_t n;
        if (system) history_set_system(&h, "<｜User｜>\nBe brief.", 22);
        history_add(&h, "user", "a</think>b", 10, NULL, 0);
        history_add(&h, "assistant", "c<think>", 8, "why</think>", thinking ? 11 : 0);
        history_add(&h, "user", "d\0e", 3, NULL, 0);
        assert_string_equal(h.items[h.n - 1].content, "d" BAD "e");
        if (answered) history_add(&h, "assistant", "f", 1, "g", thinking);
        assert_int_equal(ggl_chat_tokenize(t, h.items, h.n, &o, 0, &ids, &n, NULL), GGL_OK);
        history_add(&found, "user", "old", 3, NULL, 0);
        history_read_tokens(&found, t, ids, n, &o);
        same_history(&found, &h);
        /* cut in the answer: no end of sentence */
        if (answered) {
            history_read_tokens(&found, t, ids, n - 1, &o);
            same_history(&found, &h);
        }
        history_read_tokens(&found, t, ids, 0, &o);
        assert_int_equal(found.n, 0);
        free(ids);
        history_clear(&h);
        history_clear(&found);
    }
    ggl_tokenizer_free(t);
}

static void histories(void **state)
{
    (void)state;
    struct history h = {0};
    assert_null(history_system(&h));
    for (int i = 0; i < 40; i++) history_add(&h, i % 2 ? "assistant" : "user", "x", 1, NULL, 0);
    history_set_system(&h, "S", 1);
    history_set_system(&h, "SS", 2);
    assert_int_equal(h.n, 41);
    assert_string_equal(history_system(&h), "SS");
    assert_string_equal(h.items[1].role, "user");
    history_drop_last(&h);
    assert_int_equal(h.n, 40);
    history_clear(&h);
    history_drop_last(&h);
    assert_int_equal(h.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(filters), cmocka_unit_test(widths),
                                       cmocka_unit_test(messages_from_tokens), cmocka_unit_test(histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
