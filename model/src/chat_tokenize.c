/* The prompt as tokens, in pieces, so that no text of a message can become a control token. */
#include "model/chat.h"
#include "model/tokenizer.h"

#include <stdlib.h>

#include "model/src/chat_render.h"

/* Tokenise in pieces: control texts as tokens of their own, everything between as plain text. */
static int64_t tokenize_pieces(const struct ggl_tokenizer *t, const struct ggl_chat_text *text, int32_t *ids, int64_t cap,
                               struct ggl_error *err)
{
    int64_t n = 0;
    size_t at = 0;
    for (size_t i = 0; i <= text->n_controls; i++) {
        bool end = i == text->n_controls;
        size_t stop = end ? text->size : text->controls[i].offset;
        for (int control = 0; control < 2 - end; control++) {
            size_t size = control ? text->controls[i].size : stop - at;
            int64_t room = ids ? cap - n : 0, k = 0;
            if (size) k = ggl_tokenize(t, text->data + at, size, control, ids ? ids + n : NULL, room, err);
            if (k < 0) return -1;
            n += k;
            at += size;
        }
    }
    return n;
}

enum ggl_status ggl_chat_tokenize(const struct ggl_tokenizer *t, const struct ggl_chat_message *messages, size_t n,
                                  const struct ggl_chat_options *options, int32_t **ids, int64_t *n_ids,
                                  struct ggl_error *err)
{
    struct ggl_chat_text text = {0};
    int32_t *list = NULL;
    enum ggl_status s = ggl_chat_render_messages(messages, n, options, &text, err);
    if (!s) { /* a token is at least a byte, so there are no more tokens than bytes */
        list = malloc((text.size + 1) * sizeof(*list));
        if (!list) s = ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "chat prompt");
    }
    if (!s) {
        struct ggl_error inner = {0};
        int64_t k = tokenize_pieces(t, &text, list, (int64_t)text.size, &inner);
        if (k < 0 && err) *err = inner;
        if (k < 0) s = inner.status ? inner.status : GGL_ERR_NOMEM;
        else *n_ids = k;
    }
    ggl_chat_text_free(&text);
    if (s) free(list);
    else *ids = list;
    return s;
}
