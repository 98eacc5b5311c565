/*
 * DeepSeek V4's prompt format, byte for byte: turns -> prompt.
 *
 * The opening "<｜Assistant｜><think>" belongs to the question before it, not to the answer; so an assistant turn
 * begins with its reasoning's text.  Control texts are recorded as such, user text never is.
 */
#include "model/src/chat_render.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char effort_thorough[] =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, "
    "rigorously stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, considered "
    "alternative, and rejected hypothesis to ensure absolutely no assumption is left unchecked.\n\n";

static const char effort_beyond[] =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively decompose "
    "the problem into its most fundamental components, trace every causal chain to its root, and resolve the "
    "underlying cause rather than any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles and are certain "
    "that no assumption remains unchecked and no error remains undiscovered.\n\n";

static const char tools_before[] =
    "\n\n## Tools\n\n"
    "You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "
    "\"<｜DSML｜tool_calls>\" block like the following:\n\n"
    "<｜DSML｜tool_calls>\n"
    "<｜DSML｜invoke name=\"$TOOL_NAME\">\n"
    "<｜DSML｜parameter name=\"$PARAMETER_NAME\" string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>\n"
    "...\n"
    "</｜DSML｜invoke>\n"
    "<｜DSML｜invoke name=\"$TOOL_NAME2\">\n"
    "...\n"
    "</｜DSML｜invoke>\n"
    "</｜DSML｜tool_calls>\n\n"
    "String parameters should be specified as is and set `string=\"true\"`. For all other types (numbers, booleans, "
    "arrays, objects), pass the value in JSON format and set `string=\"false\"`.\n\n"
    "If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside "
    "<think>...</think> BEFORE any tool calls or final response.\n\n"
    "Otherwise, output directly after </think> with tool calls or final response.\n\n"
    "### Available Tool Schemas\n\n";

static const char tools_after[] =
    "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n";

static const char format_before[] =
    "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

bool ggl_chat_role_from_name(struct ggl_chat_span name, enum ggl_chat_role *role)
{
    static const char *const names[] = {"system", "user", "developer", "latest_reminder", "assistant"};
    for (int i = 0; i < 5; i++) {
        if (strlen(names[i]) != name.size || memcmp(names[i], name.data, name.size)) continue;
        *role = (enum ggl_chat_role)i;
        return true;
    }
    return false;
}

bool ggl_prompt_format_from_name(const char *name, enum ggl_prompt_format *format)
{
    if (!strcmp(name, "dsv4-preview")) *format = GGL_PROMPT_DSV4_PREVIEW;
    else if (!strcmp(name, "dsv4-0731")) *format = GGL_PROMPT_DSV4_0731;
    else return false;
    return true;
}

const char *ggl_chat_effort_text(enum ggl_prompt_format format, enum ggl_reasoning_effort effort)
{
    bool preview = format == GGL_PROMPT_DSV4_PREVIEW;
    switch (effort) {
    case GGL_EFFORT_NONE: return "";
    case GGL_EFFORT_LOW: return preview ? NULL : "";
    case GGL_EFFORT_HIGH: return preview ? "" : effort_thorough;
    case GGL_EFFORT_MAX: return preview ? effort_thorough : effort_beyond;
    }
    return NULL;
}

static bool asks(const struct ggl_chat_turn *t)
{
    return t->role == GGL_ROLE_USER || t->role == GGL_ROLE_DEVELOPER;
}

size_t ggl_chat_last_question(const struct ggl_chat_turn *turns, size_t n)
{
    for (size_t i = n; i-- > 0;)
        if (asks(&turns[i])) return i;
    return n;
}

/* Dropped with the reasoning: developer turns before the last question. */
static bool keeps(const struct ggl_chat_turn *turns, size_t i, size_t last, size_t n)
{
    return last == n || i >= last || turns[i].role != GGL_ROLE_DEVELOPER;
}

size_t ggl_chat_count_kept(const struct ggl_chat_turn *turns, size_t n)
{
    size_t last = ggl_chat_last_question(turns, n), kept = 0;
    for (size_t i = 0; i < n; i++) kept += keeps(turns, i, last, n);
    return kept;
}

size_t ggl_chat_drop(struct ggl_chat_turn *turns, size_t n)
{
    size_t last = ggl_chat_last_question(turns, n), kept = 0;
    for (size_t i = 0; i < n; i++)
        if (keeps(turns, i, last, n)) turns[kept++] = turns[i];
    return kept;
}

/* ---- one turn */

static void render_suffixes(struct ggl_chat_text *out, const struct ggl_chat_turn *t)
{
    if (t->has_tools) {
        ggl_chat_text_template(out, tools_before);
        ggl_chat_text_span(out, t->tools);
        ggl_chat_text_str(out, tools_after);
    }
    if (t->format.size) {
        ggl_chat_text_str(out, format_before);
        ggl_chat_text_span(out, t->format);
    }
}

static void render_user(struct ggl_chat_text *out, const struct ggl_chat_turn *t)
{
    ggl_chat_text_control(out, GGL_CHAT_USER);
    for (const struct ggl_chat_block *b = t->blocks; b; b = b->next) {
        if (b != t->blocks) ggl_chat_text_str(out, "\n\n");
        if (b->tool_result) ggl_chat_text_str(out, "<tool_result>");
        ggl_chat_text_span(out, b->text);
        if (b->tool_result) ggl_chat_text_str(out, "</tool_result>");
    }
}

/* `last`: the last question's index.  Reasoning is written for answers to it, and for all when nothing is dropped. */
static void render_assistant(struct ggl_chat_text *out, const struct ggl_chat_turn *turns, size_t i, size_t last, size_t n,
                             const struct ggl_chat_plan *plan)
{
    const struct ggl_chat_turn *t = &turns[i];
    bool answers_task = i > 0 && turns[i - 1].task != GGL_TASK_NONE;
    if (plan->thinking && !answers_task && (!plan->drop || last == n || i > last)) {
        ggl_chat_text_span(out, t->reasoning);
        ggl_chat_text_control(out, GGL_CHAT_THINK_END);
    }
    ggl_chat_text_span(out, t->content);
    if (t->calls) {
        ggl_chat_text_str(out, "\n\n");
        ggl_chat_text_append(out, t->calls);
    }
    if (!t->open) ggl_chat_text_control(out, GGL_CHAT_EOS);
}

static void render_body(struct ggl_chat_text *out, const struct ggl_chat_turn *turns, size_t i, size_t last, size_t n,
                        const struct ggl_chat_plan *plan)
{
    const struct ggl_chat_turn *t = &turns[i];
    switch (t->role) {
    case GGL_ROLE_SYSTEM:
        ggl_chat_text_span(out, t->content);
        render_suffixes(out, t);
        break;
    case GGL_ROLE_DEVELOPER:
        ggl_chat_text_control(out, GGL_CHAT_USER);
        ggl_chat_text_span(out, t->content);
        render_suffixes(out, t);
        break;
    case GGL_ROLE_USER:
        render_user(out, t);
        break;
    case GGL_ROLE_REMINDER:
        ggl_chat_text_control(out, GGL_CHAT_REMINDER);
        ggl_chat_text_span(out, t->content);
        break;
    case GGL_ROLE_ASSISTANT:
        render_assistant(out, turns, i, last, n, plan);
        break;
    }
}

/* What asks the model to write: a task's token, or the assistant's opening. */
static void render_transition(struct ggl_chat_text *out, const struct ggl_chat_turn *turns, size_t i, size_t last, size_t n,
                              const struct ggl_chat_plan *plan)
{
    static const char *const tasks[] = {"", "<｜action｜>", "<｜query｜>", "<｜authority｜>", "<｜domain｜>", "<｜title｜>",
                                        "<｜read_url｜>"};
    const struct ggl_chat_turn *t = &turns[i];
    if (i + 1 < n && turns[i + 1].role != GGL_ROLE_ASSISTANT && turns[i + 1].role != GGL_ROLE_REMINDER) return;
    if (t->task != GGL_TASK_NONE) {
        if (t->task == GGL_TASK_ACTION) {
            ggl_chat_text_control(out, GGL_CHAT_ASSISTANT);
            ggl_chat_text_control(out, plan->thinking ? GGL_CHAT_THINK : GGL_CHAT_THINK_END);
        }
        ggl_chat_text_control(out, tasks[t->task]);
    } else if (asks(t)) {
        bool think = plan->thinking && (!plan->drop || i >= last);
        ggl_chat_text_control(out, GGL_CHAT_ASSISTANT);
        ggl_chat_text_control(out, think ? GGL_CHAT_THINK : GGL_CHAT_THINK_END);
    }
}

void ggl_chat_render(struct ggl_chat_text *out, const struct ggl_chat_turn *turns, size_t n, size_t first,
                     const struct ggl_chat_plan *plan)
{
    size_t last = ggl_chat_last_question(turns, n);
    for (size_t i = first; i < n; i++) {
        if (i == 0 && plan->thinking) ggl_chat_text_str(out, plan->effort);
        render_body(out, turns, i, last, n, plan);
        render_transition(out, turns, i, last, n, plan);
    }
}

/* ---- the list */

struct ggl_chat_turn *ggl_chat_turn_new(struct ggl_chat_turns *list, enum ggl_chat_role role)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        if (cap > SIZE_MAX / sizeof(*list->items)) return NULL;
        void *p = realloc(list->items, cap * sizeof(*list->items));
        if (!p) return NULL;
        list->items = p;
        list->cap = cap;
    }
    struct ggl_chat_turn *t = &list->items[list->n++];
    memset(t, 0, sizeof(*t));
    t->role = role;
    return t;
}

bool ggl_chat_turn_block(struct ggl_chat_turns *list, const struct ggl_chat_block *block, enum ggl_chat_task task)
{
    struct ggl_chat_block *copy = ggl_chat_arena_alloc(list->arena, sizeof(*copy));
    if (!copy) return false;
    *copy = *block;
    copy->next = NULL;
    struct ggl_chat_turn *t = list->n > list->floor ? &list->items[list->n - 1] : NULL;
    /* A question with a task stays alone, but the results of tools join it. */
    if (!t || t->role != GGL_ROLE_USER || (t->task != GGL_TASK_NONE && !block->tool_result)) {
        t = ggl_chat_turn_new(list, GGL_ROLE_USER);
        if (!t) return false;
        t->task = task;
        t->blocks = copy;
        t->last_block = copy;
        return true;
    }
    t->last_block->next = copy;
    t->last_block = copy;
    return true;
}

void ggl_chat_turns_free(struct ggl_chat_turns *list)
{
    free(list->items);
    list->items = NULL;
    list->n = list->cap = 0;
}
