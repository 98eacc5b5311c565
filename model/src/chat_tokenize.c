/* The prompt as tokens, in pieces, so that no text of a message can become a control token. */
#include "model/chat.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/src/chat_render.h"

struct ids {
    const struct ggl_tokenizer *t;
    int32_t *list;
    int64_t n, cap;
};

static bool add(struct ids *ids, const char *text, size_t size, bool control, struct ggl_error *err)
{
    int64_t n = size ? ggl_tokenize(ids->t, text, size, control, ids->list + ids->n, ids->cap - ids->n, err) : 0;
    if (n < 0) return false;
    ids->n += n;
    return true;
}

/* Control texts as tokens of their own, everything between as plain text. */
static bool tokenize_pieces(struct ids *ids, const struct ggl_chat_text *text, size_t from, struct ggl_error *err)
{
    size_t at = from;
    for (size_t i = 0; i < text->n_controls; i++) {
        size_t start = text->controls[i].offset, size = text->controls[i].size;
        if (start < from) continue; /* one that is cut is plain text */
        if (!add(ids, text->data + at, start - at, false, err)) return false;
        if (!add(ids, text->data + start, size, true, err)) return false;
        at = start + size;
    }
    return add(ids, text->data + at, text->size - at, false, err);
}

/* The text behind its first `from` bytes.  A token is at least a byte, so there are no more tokens
 * than bytes. */
static enum ggl_status tokenize_text(const struct ggl_tokenizer *t, struct ggl_chat_text *text, size_t from, int32_t **ids,
                                     int64_t *n_ids, struct ggl_error *err)
{
    struct ids list = {.t = t, .cap = (int64_t)(text->size - from)};
    enum ggl_status s = GGL_OK;
    list.list = malloc(((size_t)list.cap + 1) * sizeof(*list.list));
    if (!list.list) s = ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "chat prompt");
    else if (!tokenize_pieces(&list, text, from, err)) s = err->status;
    if (s) {
        free(list.list);
        return s;
    }
    *ids = list.list;
    *n_ids = list.n;
    return GGL_OK;
}

enum ggl_status ggl_chat_tokenize(const struct ggl_tokenizer *t, const struct ggl_chat_message *messages, size_t n,
                                  const struct ggl_chat_options *options, size_t from, int32_t **ids, int64_t *n_ids,
                                  struct ggl_error *err)
{
    struct ggl_chat_text text = {0};
    struct ggl_error inner = {0};
    enum ggl_status s = ggl_chat_render_messages(messages, n, options, &text, &inner);
    if (!s && from > text.size) {
        char found[32];
        snprintf(found, sizeof(found), "%zu", from);
        s = ggl_fail(&inner, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, found, "at most the prompt's size", "chat prompt: from");
    }
    if (!s) s = tokenize_text(t, &text, from, ids, n_ids, &inner);
    ggl_chat_text_free(&text);
    if (s && err) *err = inner;
    return s;
}

enum ggl_status ggl_chat_tokenize_json(const struct ggl_tokenizer *t, const char *request, size_t size, int32_t **ids,
                                       int64_t *n_ids, struct ggl_error *err)
{
    struct ggl_chat_text text = {0};
    struct ggl_error inner = {0};
    enum ggl_status s = ggl_chat_render_request(request, size, &text, &inner);
    if (!s) s = tokenize_text(t, &text, 0, ids, n_ids, &inner);
    ggl_chat_text_free(&text);
    if (s && err) *err = inner;
    return s;
}
