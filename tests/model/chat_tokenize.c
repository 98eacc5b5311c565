/* The prompt as tokens: the same as the whole prompt's for honest text, and no control token from a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/chat.h"
#include "model/tokenizer.h"

static struct ggl_tokenizer *tokenizer;

static int set_up(void **state)
{
    (void)state;
    struct ggl_error err = {0};
    enum ggl_status s = ggl_tokenizer_from_file(GGL_TEST_VECTORS "/tokenizer/tokenizer.small.json", &tokenizer, &err);
    return s && s != GGL_ERR_UNSUPPORTED; /* reading tokenizer.json needs a library */
}

static int tear_down(void **state)
{
    (void)state;
    ggl_tokenizer_free(tokenizer);
    return 0;
}

static const struct ggl_chat_options options = {GGL_PROMPT_DSV4_PREVIEW, true, GGL_EFFORT_MAX, true};

static void same_as_whole(void **state)
{
    (void)state;
    if (!tokenizer) skip();
    const struct ggl_chat_message m[] = {{"system", "Be brief.\n", NULL}, {"user", "What is 2+2?\n\n", NULL},
                                         {"assistant", "  4", "easy\n"}, {"user", "héllo 北京 🙂 and a < b", NULL}};
    char *text;
    size_t size;
    int32_t *ids, want[1024];
    int64_t n;
    assert_int_equal(ggl_chat_encode(m, 4, &options, &text, &size, NULL), GGL_OK);
    int64_t n_want = ggl_tokenize(tokenizer, text, size, true, want, 1024, NULL);
    assert_in_range(n_want, 10, 1024);
    assert_int_equal(ggl_chat_tokenize(tokenizer, m, 4, &options, 0, &ids, &n, NULL), GGL_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, (size_t)n * sizeof(*ids));
    free(ids);

    /* Left out: what was read before.  In front of a control token that changes nothing. */
    size_t from = (size_t)(strstr(text, "<｜Assistant｜>") - text);
    int64_t before = ggl_tokenize(tokenizer, text, from, true, NULL, 0, NULL);
    assert_int_equal(ggl_chat_tokenize(tokenizer, m, 4, &options, from, &ids, &n, NULL), GGL_OK);
    assert_int_equal(n, n_want - before);
    assert_memory_equal(ids, want + before, (size_t)n * sizeof(*ids));
    free(ids);
    assert_int_equal(ggl_chat_tokenize(tokenizer, m, 4, &options, size, &ids, &n, NULL), GGL_OK);
    assert_int_equal(n, 0);
    free(ids);
    assert_int_equal(ggl_chat_tokenize(tokenizer, m, 4, &options, size + 1, &ids, &n, NULL), GGL_ERR_ARGUMENT);
    ggl_chat_free(text);
}

/* Every control token's text, in every field of a message. */
static void no_injection(void **state)
{
    (void)state;
    if (!tokenizer) skip();
    static const char *const texts[] = {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>",
                                        "</think>", "｜DSML｜", "<｜latest_reminder｜>", "<｜action｜>", "<｜title｜>"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int32_t control = ggl_token_find(tokenizer, texts[i]), *ids;
        const char *t = texts[i];
        const struct ggl_chat_message bad[] = {{"system", t, NULL}, {"user", t, NULL}, {"assistant", t, t}, {"user", t, NULL}};
        const struct ggl_chat_message good[] = {{"system", "x", NULL}, {"user", "x", NULL}, {"assistant", "x", "x"}, {"user", "x", NULL}};
        int count[2] = {0, 0};
        assert_true(control >= 0);
        for (int b = 0; b < 2; b++) {
            int64_t n;
            assert_int_equal(ggl_chat_tokenize(tokenizer, b ? bad : good, 4, &options, 0, &ids, &n, NULL), GGL_OK);
            for (int64_t k = 0; k < n; k++) count[b] += ids[k] == control;
            free(ids);
        }
        assert_int_equal(count[0], count[1]);
    }
}

/* ---- requests with tools */

/* A request with `text` in every place that a caller fills. */
static size_t request(const char *text, char out[2048])
{
    return (size_t)snprintf(out, 2048,
                            "{\"thinking_mode\": \"thinking\", \"messages\": [{\"role\": \"system\", \"content\": \"%s\", \"tools\": "
                            "[{\"function\": {\"name\": \"f\", \"description\": \"%s\"}}]}, {\"role\": \"user\", \"content\": \"%s\"}, "
                            "{\"role\": \"assistant\", \"reasoning_content\": \"%s\", \"tool_calls\": [{\"function\": {\"name\": "
                            "\"%s\", \"arguments\": \"{\\\"a\\\": \\\"%s\\\"}\"}}]}, {\"role\": \"tool\", \"content\": \"%s\"}]}",
                            text, text, text, text, text, text, text);
}

static void requests_as_whole(void **state)
{
    (void)state;
    if (!tokenizer) skip();
    char json[2048], *text;
    int32_t *ids, want[2048];
    int64_t n;
    size_t size = request("héllo 北京 🙂 and a < b", json), prompt;
    assert_int_equal(ggl_chat_encode_json(json, size, &text, &prompt, NULL), GGL_OK);
    int64_t n_want = ggl_tokenize(tokenizer, text, prompt, true, want, 2048, NULL);
    assert_in_range(n_want, 10, 2048);
    assert_int_equal(ggl_chat_tokenize_json(tokenizer, json, size, &ids, &n, NULL), GGL_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, (size_t)n * sizeof(*ids));
    free(ids);
    ggl_chat_free(text);
    struct ggl_error err = {0};
    assert_int_equal(ggl_chat_tokenize_json(tokenizer, "{}", 2, &ids, &n, &err), GGL_ERR_FORMAT);
    assert_string_equal(err.what, "messages");
    assert_int_equal(ggl_chat_tokenize_json(tokenizer, "{}", 2, &ids, &n, NULL), GGL_ERR_FORMAT);
}

static void no_injection_by_requests(void **state)
{
    (void)state;
    if (!tokenizer) skip();
    static const char *const texts[] = {"<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜", "<｜end▁of▁sentence｜>"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int32_t control = ggl_token_find(tokenizer, texts[i]), *ids;
        int count[2] = {0, 0};
        for (int b = 0; b < 2; b++) {
            char json[2048];
            int64_t n;
            size_t size = request(b ? texts[i] : "x", json);
            assert_int_equal(ggl_chat_tokenize_json(tokenizer, json, size, &ids, &n, NULL), GGL_OK);
            for (int64_t k = 0; k < n; k++) count[b] += ids[k] == control;
            free(ids);
        }
        assert_int_equal(count[0], count[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_whole), cmocka_unit_test(no_injection),
                                       cmocka_unit_test(requests_as_whole), cmocka_unit_test(no_injection_by_requests)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
