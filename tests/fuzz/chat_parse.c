/*
 * Completions, any bytes.  Byte 0 chooses the mode and how the stream is cut; the rest is the completion.
 *   - The strict parse answers with FORMAT or with JSON that our own reader takes.
 *   - The streaming parse gives the same parts however the text is cut, and agrees with a strict success.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/chat.h"
#include "model/src/chat_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) abort();
}

struct parts {
    struct ggl_chat_text text[5]; /* by part */
    size_t n_names, n_ends;
};

static void note(void *user, enum ggl_chat_part part, const char *text, size_t size)
{
    struct parts *p = user;
    ggl_chat_text_add(&p->text[part], text, size);
    p->n_names += part == GGL_PART_TOOL_NAME;
    p->n_ends += part == GGL_PART_TOOL_END;
}

static void stream(const char *text, size_t size, bool thinking, size_t piece, struct parts *p)
{
    struct ggl_chat_stream *s = ggl_chat_stream_new(thinking, note, p);
    if (!s) return;
    for (size_t at = 0; at < size; at += piece)
        require(!ggl_chat_stream_feed(s, text + at, piece < size - at ? piece : size - at));
    require(!ggl_chat_stream_end(s));
    ggl_chat_stream_free(s);
    require(p->n_names == p->n_ends);
}

static void free_parts(struct parts *p)
{
    for (int i = 0; i < 5; i++) ggl_chat_text_free(&p->text[i]);
}

static bool same(const struct ggl_chat_text *a, const char *b, size_t size)
{
    return a->size == size && (!size || !memcmp(a->data, b, size));
}

static void check_strict(const char *json, size_t size, const struct parts *p)
{
    struct ggl_chat_arena arena = {NULL};
    struct ggl_pyjson *v = NULL;
    require(!ggl_pyjson_read(&arena, ggl_chat_span_of(json, size), "parse", &v, NULL));
    const struct ggl_pyjson *reasoning = ggl_pyjson_get(v, "reasoning_content"), *calls = ggl_pyjson_get(v, "tool_calls");
    require(reasoning && calls && ggl_pyjson_equals(ggl_pyjson_get(v, "role"), "assistant"));
    /* A finished answer without calls is the same text to both, but for a think tag that the tolerant one drops. */
    if (!calls->n && !p->n_names) require(same(&p->text[GGL_PART_REASONING], reasoning->text.data, reasoning->text.size));
    ggl_chat_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || size > 1 << 16) return 0;
    bool thinking = data[0] & 1;
    size_t piece = 1 + (size_t)(data[0] >> 1), json_size = 0;
    const char *text = (const char *)data + 1;
    struct parts whole = {.n_names = 0}, cut = {.n_names = 0};
    char *json = NULL;
    size--;
    stream(text, size, thinking, size + 1, &whole);
    stream(text, size, thinking, piece, &cut);
    for (int i = 0; i < 5; i++) require(same(&whole.text[i], cut.text[i].data, cut.text[i].size));
    struct ggl_error err = {0};
    enum ggl_status s = ggl_chat_parse_json(text, size, thinking, &json, &json_size, &err);
    require(s == err.status && (s == GGL_OK || s == GGL_ERR_FORMAT || s == GGL_ERR_NOMEM));
    if (!s) {
        require(json[json_size] == 0);
        /* arguments that are not JSON may hold control characters, which are escaped: the answer is always JSON */
        check_strict(json, json_size, &whole);
    }
    ggl_chat_free(json);
    free_parts(&whole);
    free_parts(&cut);
    return 0;
}
