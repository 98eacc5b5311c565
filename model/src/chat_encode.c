/* Plain messages -> prompt. */
#include "model/chat.h"

#include <stdlib.h>
#include <string.h>

#include "model/src/chat_render.h"

static enum ggl_status no_memory(struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "chat prompt");
}

static struct ggl_chat_span span_of(const char *s)
{
    return ggl_chat_span_of(s, s ? strlen(s) : 0);
}

static enum ggl_status add_message(struct ggl_chat_turns *list, const struct ggl_chat_message *m, size_t i,
                                   struct ggl_error *err)
{
    enum ggl_chat_role role;
    if (!m->role || !ggl_chat_role_from_name(span_of(m->role), &role))
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, m->role ? m->role : "NULL",
                        "system, user, developer, latest_reminder or assistant", "messages[%zu].role", i);
    if (role == GGL_ROLE_DEVELOPER && (!m->content || !*m->content))
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, "empty", "text", "messages[%zu].content", i);
    if (role == GGL_ROLE_USER) {
        struct ggl_chat_block block = {.text = span_of(m->content)};
        return ggl_chat_turn_block(list, &block, GGL_TASK_NONE) ? GGL_OK : no_memory(err);
    }
    struct ggl_chat_turn *t = ggl_chat_turn_new(list, role);
    if (!t) return no_memory(err);
    t->content = span_of(m->content);
    t->reasoning = span_of(m->reasoning);
    return GGL_OK;
}

enum ggl_status ggl_chat_render_messages(const struct ggl_chat_message *messages, size_t n,
                                         const struct ggl_chat_options *options, struct ggl_chat_text *out,
                                         struct ggl_error *err)
{
    struct ggl_chat_arena arena = {NULL};
    struct ggl_chat_turns list = {.arena = &arena};
    struct ggl_chat_plan plan = {.thinking = options->thinking, .drop = !options->keep_reasoning};
    enum ggl_status s = GGL_OK;
    plan.effort = ggl_chat_effort_text(options->format, options->effort);
    if (!plan.effort)
        s = ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL,
                     "reasoning effort %d is not one of prompt format %d", (int)options->effort, (int)options->format);
    for (size_t i = 0; i < n && !s; i++) s = add_message(&list, &messages[i], i, err);
    if (!s) {
        size_t kept = plan.thinking && plan.drop ? ggl_chat_drop(list.items, list.n) : list.n;
        ggl_chat_text_control(out, GGL_CHAT_BOS);
        ggl_chat_render(out, list.items, kept, 0, &plan);
        if (out->failed) s = no_memory(err);
    }
    ggl_chat_turns_free(&list);
    ggl_chat_arena_free(&arena);
    return s;
}

enum ggl_status ggl_chat_encode(const struct ggl_chat_message *messages, size_t n,
                                const struct ggl_chat_options *options, char **out, size_t *out_size,
                                struct ggl_error *err)
{
    struct ggl_chat_text text = {0};
    enum ggl_status s = ggl_chat_render_messages(messages, n, options, &text, err);
    if (s) {
        ggl_chat_text_free(&text);
        return s;
    }
    char *p = ggl_chat_text_take(&text, out_size);
    if (!p) return no_memory(err);
    *out = p;
    return GGL_OK;
}

void ggl_chat_free(char *text)
{
    free(text);
}
