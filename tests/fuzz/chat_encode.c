/*
 * Requests, any bytes: a refusal with a status of the contract, or a prompt.  What the JSON reader takes is
 * written and read again and must not change: json.dumps of json.loads is its own fixed point.
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

static void check_json(struct ggl_chat_span text)
{
    struct ggl_chat_arena arena = {NULL};
    struct ggl_chat_text once = {0}, twice = {0};
    struct ggl_pyjson *v = NULL;
    if (!ggl_pyjson_read(&arena, text, "input", &v, NULL)) {
        ggl_pyjson_write(&once, v);
        enum ggl_status s = ggl_pyjson_read(&arena, ggl_chat_span_of(once.data, once.size), "output", &v, NULL);
        require(s == GGL_OK);
        ggl_pyjson_write(&twice, v);
        require(once.size == twice.size && !memcmp(once.data, twice.data, once.size));
    }
    ggl_chat_text_free(&once);
    ggl_chat_text_free(&twice);
    ggl_chat_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *out = NULL;
    size_t n = 0;
    struct ggl_error err = {0};
    if (size > 1 << 16) return 0;
    check_json(ggl_chat_span_of((const char *)data, size));
    enum ggl_status s = ggl_chat_encode_json((const char *)data, size, &out, &n, &err);
    require(s == err.status);
    require(s == GGL_OK || s == GGL_ERR_FORMAT || s == GGL_ERR_UNSUPPORTED || s == GGL_ERR_NOMEM);
    if (!s) require(out && out[n] == 0);
    ggl_chat_free(out);
    return 0;
}
