/*
 * The prompt format's core: turns that are already merged and whose JSON parts are already text -> prompt.
 * chat_encode.c makes turns of plain messages, chat_request.c of a JSON request.
 */
#ifndef GGL_CHAT_RENDER_H
#define GGL_CHAT_RENDER_H

#include "model/chat.h"
#include "model/src/chat_text.h"

struct ggl_pyjson;

enum ggl_chat_role {
    GGL_ROLE_SYSTEM,
    GGL_ROLE_USER, /* tool results are user turns, too */
    GGL_ROLE_DEVELOPER,
    GGL_ROLE_REMINDER,
    GGL_ROLE_ASSISTANT,
};

enum ggl_chat_task { GGL_TASK_NONE, GGL_TASK_ACTION, GGL_TASK_QUERY, GGL_TASK_AUTHORITY, GGL_TASK_DOMAIN,
                     GGL_TASK_TITLE, GGL_TASK_READ_URL };

/* A piece of a user turn; the pieces are joined by an empty line. */
struct ggl_chat_block {
    bool tool_result;
    struct ggl_chat_span text;
    struct ggl_chat_span id; /* of the call that a tool result answers; "" when unknown */
    struct ggl_chat_block *next;
};

struct ggl_chat_turn {
    enum ggl_chat_role role;
    enum ggl_chat_task task;
    struct ggl_chat_span content;       /* of all roles but user */
    struct ggl_chat_span reasoning;     /* assistant */
    struct ggl_chat_block *blocks, *last_block; /* user */
    struct ggl_chat_span tools;         /* system, developer: the schemas, one a line */
    bool has_tools;                /* any role */
    struct ggl_chat_span format;        /* system, developer: the response format's JSON; "" for none */
    const struct ggl_chat_text *calls;  /* assistant: the block of tool calls, or NULL */
    const struct ggl_pyjson *source; /* the calls in the request, for their ids */
    bool open;                     /* assistant: no end of sentence after it, the model goes on */
};

struct ggl_chat_plan {
    bool thinking;
    bool drop;          /* drop the reasoning of turns before the last question */
    const char *effort; /* text before everything, "" for none */
};

bool ggl_chat_role_from_name(struct ggl_chat_span name, enum ggl_chat_role *role);

/* The text of an effort; NULL: the format does not know it. */
const char *ggl_chat_effort_text(enum ggl_prompt_format format, enum ggl_reasoning_effort effort);

/* The last turn that asks something, or n when there is none. */
size_t ggl_chat_last_question(const struct ggl_chat_turn *turns, size_t n);

/* What remains of turns when reasoning is dropped: developer turns before the last question go (in place);
 * returns how many are left.  (Rendering leaves the reasoning out.) */
size_t ggl_chat_drop(struct ggl_chat_turn *turns, size_t n);
size_t ggl_chat_count_kept(const struct ggl_chat_turn *turns, size_t n); /* the same count, nothing moved */

/* Turns first..n-1, the ones before it being in the model's context already. */
void ggl_chat_render(struct ggl_chat_text *out, const struct ggl_chat_turn *turns, size_t n, size_t first,
                     const struct ggl_chat_plan *plan);

/* chat_encode.c: plain messages, rendered with the controls recorded; BOS included. */
enum ggl_status ggl_chat_render_messages(const struct ggl_chat_message *messages, size_t n,
                                         const struct ggl_chat_options *options, struct ggl_chat_text *out,
                                         struct ggl_error *err);

/* chat_request.c: a JSON request, the same way. */
enum ggl_status ggl_chat_render_request(const char *request, size_t size, struct ggl_chat_text *out, struct ggl_error *err);

/* ---- a list of turns that merges on the way in, as the official encoder does */
struct ggl_chat_turns {
    struct ggl_chat_arena *arena;
    struct ggl_chat_turn *items;
    size_t n, cap;
    size_t floor; /* turns below it are closed: nothing merges into them */
};
/* A new, empty turn; NULL: out of memory. */
struct ggl_chat_turn *ggl_chat_turn_new(struct ggl_chat_turns *list, enum ggl_chat_role role);
/* A user's text or a tool result: joins the user turn before it, or starts one. */
bool ggl_chat_turn_block(struct ggl_chat_turns *list, const struct ggl_chat_block *block, enum ggl_chat_task task);
void ggl_chat_turns_free(struct ggl_chat_turns *list);

#endif
