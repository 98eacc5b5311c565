/*
 * A JSON request -> turns -> prompt: the official encoder's preprocessing.  Tool results and consecutive user
 * messages become one turn, results are put in the order of their calls, tool schemas and arguments are rendered.
 *
 * Where the official encoder would stop on a message, so does this, with the message's place in the error.
 */
#include "model/chat.h"

#include <stdlib.h>
#include <string.h>

#include "model/src/chat_json.h"
#include "model/src/chat_render.h"

struct request {
    struct ggl_chat_arena arena;
    struct ggl_chat_turns turns;
    struct text_node *owned; /* every text that a turn borrows */
    enum ggl_prompt_format format;
    enum ggl_reasoning_effort effort;
    bool thinking, drop;
    struct ggl_error *err;
};

/* A text that lives as long as the request. */
struct text_node {
    struct ggl_chat_text text;
    struct text_node *next;
};

/* Where in the request we are, for errors: "messages[3].tool_calls[0].function.name". */
struct place {
    const char *list;
    size_t i;
};

static enum ggl_status no_memory(struct request *r)
{
    return ggl_fail(r->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "chat request");
}

static enum ggl_status wrong(struct request *r, struct place p, const char *field, const struct ggl_pyjson *found,
                             const char *expected)
{
    char buf[GGL_PYJSON_DESCRIBE];
    return ggl_fail(r->err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, ggl_pyjson_describe(found, buf), expected, "%s[%zu]%s", p.list,
                    p.i, field);
}

static enum ggl_status bad_option(struct request *r, const char *name, const struct ggl_pyjson *v, const char *expected)
{
    char buf[GGL_PYJSON_DESCRIBE];
    return ggl_fail(r->err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, ggl_pyjson_describe(v, buf), expected, "%s", name);
}

/* A string or, when `optional`, nothing or null. */
static enum ggl_status take_string(struct request *r, struct place p, const char *field, const struct ggl_pyjson *v,
                                   bool optional, struct ggl_chat_span *out)
{
    if (v && v->kind == GGL_PYJSON_STRING) *out = v->text;
    else if (!optional || !ggl_pyjson_missing(v)) return wrong(r, p, field, v, "a string");
    return GGL_OK;
}

static struct ggl_chat_text *own_text(struct request *r)
{
    struct text_node *node = ggl_chat_arena_alloc(&r->arena, sizeof(*node));
    if (!node) return NULL;
    node->next = r->owned;
    r->owned = node;
    return &node->text;
}

/* ---- tools and calls */

static enum ggl_status take_tools(struct request *r, struct place p, const struct ggl_pyjson *tools,
                                  struct ggl_chat_turn *t)
{
    if (!ggl_pyjson_truth(tools)) return GGL_OK;
    if (tools->kind != GGL_PYJSON_ARRAY) return wrong(r, p, ".tools", tools, "an array");
    struct ggl_chat_text *text = own_text(r);
    if (!text) return no_memory(r);
    for (const struct ggl_pyjson *tool = tools->child; tool; tool = tool->next) {
        const struct ggl_pyjson *function = ggl_pyjson_get(tool, "function");
        if (!function) return wrong(r, p, ".tools[].function", function, "an object");
        if (tool != tools->child) ggl_chat_text_str(text, "\n");
        ggl_pyjson_write(text, function);
    }
    if (text->failed) return no_memory(r);
    t->has_tools = true;
    t->tools = ggl_chat_span_of(text->data, text->size);
    return GGL_OK;
}

static void write_parameter(struct ggl_chat_text *out, struct ggl_chat_span key, const struct ggl_pyjson *v)
{
    bool string = v->kind == GGL_PYJSON_STRING;
    ggl_chat_text_template(out, "<｜DSML｜parameter name=\"");
    ggl_chat_text_span(out, key);
    ggl_chat_text_str(out, string ? "\" string=\"true\">" : "\" string=\"false\">");
    if (string) ggl_chat_text_span(out, v->text);
    else ggl_pyjson_write(out, v);
    ggl_chat_text_template(out, "</｜DSML｜parameter>");
}

/* `arguments` is JSON in a string; what is not valid JSON is passed on whole, under its own name. */
static enum ggl_status write_arguments(struct request *r, struct place p, struct ggl_chat_text *out,
                                       const struct ggl_pyjson *arguments)
{
    struct ggl_pyjson *parsed = NULL;
    struct ggl_error inner = {0};
    enum ggl_status s = GGL_ERR_FORMAT;
    if (arguments->kind == GGL_PYJSON_STRING)
        s = ggl_pyjson_read(&r->arena, arguments->text, "arguments", &parsed, &inner);
    if (s == GGL_ERR_FORMAT) {
        write_parameter(out, ggl_chat_span_of("arguments", 9), arguments);
        return GGL_OK;
    }
    if (s) {
        if (r->err) *r->err = inner;
        return s;
    }
    if (parsed->kind != GGL_PYJSON_OBJECT)
        return wrong(r, p, ".tool_calls[].function.arguments", parsed, "the JSON text of an object");
    for (const struct ggl_pyjson *v = parsed->child; v; v = v->next) {
        if (v != parsed->child) ggl_chat_text_str(out, "\n");
        write_parameter(out, v->key, v);
    }
    return GGL_OK;
}

static enum ggl_status take_calls(struct request *r, struct place p, const struct ggl_pyjson *calls,
                                  struct ggl_chat_turn *t)
{
    if (!ggl_pyjson_truth(calls)) return GGL_OK;
    if (calls->kind != GGL_PYJSON_ARRAY) return wrong(r, p, ".tool_calls", calls, "an array");
    struct ggl_chat_text *text = own_text(r);
    if (!text) return no_memory(r);
    ggl_chat_text_template(text, "<｜DSML｜tool_calls>\n");
    for (const struct ggl_pyjson *call = calls->child; call; call = call->next) {
        const struct ggl_pyjson *function = ggl_pyjson_get(call, "function");
        const struct ggl_pyjson *arguments = ggl_pyjson_get(function, "arguments");
        struct ggl_chat_span name;
        enum ggl_status s = take_string(r, p, ".tool_calls[].function.name", ggl_pyjson_get(function, "name"), false, &name);
        if (s) return s;
        if (!arguments) return wrong(r, p, ".tool_calls[].function.arguments", arguments, "a string");
        ggl_chat_text_template(text, "<｜DSML｜invoke name=\"");
        ggl_chat_text_span(text, name);
        ggl_chat_text_str(text, "\">\n");
        if ((s = write_arguments(r, p, text, arguments))) return s;
        ggl_chat_text_template(text, "\n</｜DSML｜invoke>\n");
    }
    ggl_chat_text_template(text, "</｜DSML｜tool_calls>");
    if (text->failed) return no_memory(r);
    t->calls = text;
    t->source = calls;
    return GGL_OK;
}

/* ---- tool results */

/* A result is text, or a list of parts of which the text ones are kept. */
static enum ggl_status take_result(struct request *r, struct place p, const struct ggl_pyjson *content,
                                   struct ggl_chat_span *out)
{
    if (!content || content->kind != GGL_PYJSON_ARRAY) {
        if (!content) return GGL_OK; /* an empty result */
        return take_string(r, p, ".content", content, false, out);
    }
    struct ggl_chat_text *text = own_text(r);
    if (!text) return no_memory(r);
    for (const struct ggl_pyjson *part = content->child; part; part = part->next) {
        const struct ggl_pyjson *type = ggl_pyjson_get(part, "type");
        struct ggl_chat_span s = ggl_chat_span_of("None", 4); /* what the official encoder prints for no type */
        if (part->kind != GGL_PYJSON_OBJECT) return wrong(r, p, ".content[]", part, "an object");
        bool is_text = ggl_pyjson_equals(type, "text");
        const struct ggl_pyjson *value = is_text ? ggl_pyjson_get(part, "text") : type;
        if (is_text && !value) s.size = 0;
        else if (!ggl_pyjson_missing(value) || is_text) {
            enum ggl_status status = take_string(r, p, is_text ? ".content[].text" : ".content[].type", value, false, &s);
            if (status) return status;
        }
        if (part != content->child) ggl_chat_text_str(text, "\n\n");
        if (!is_text) ggl_chat_text_str(text, "[Unsupported ");
        ggl_chat_text_span(text, s);
        if (!is_text) ggl_chat_text_str(text, "]");
    }
    if (text->failed) return no_memory(r);
    *out = ggl_chat_span_of(text->data, text->size);
    return GGL_OK;
}

/* The ids of one assistant turn's calls, in order. */
struct call_order {
    const struct ggl_pyjson *calls;
    size_t known;
};

static const struct ggl_pyjson *call_id(const struct ggl_pyjson *call)
{
    const struct ggl_pyjson *id = ggl_pyjson_get(call, "id");
    if (!ggl_pyjson_truth(id)) id = ggl_pyjson_get(ggl_pyjson_get(call, "function"), "id");
    return ggl_pyjson_truth(id) && id->kind == GGL_PYJSON_STRING ? id : NULL;
}

static void note_calls(struct call_order *order, const struct ggl_pyjson *calls)
{
    order->calls = calls;
    order->known = 0;
    for (const struct ggl_pyjson *c = calls->child; c; c = c->next) order->known += call_id(c) != NULL;
}

struct ranked {
    struct ggl_chat_block block;
    size_t rank, order;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* id -> index of its call; the last call with an id counts, an unknown id is 0. */
struct id_rank {
    struct ggl_chat_span id;
    size_t rank;
};

static int compare_ids(const struct ggl_chat_span *a, const struct ggl_chat_span *b)
{
    size_t n = a->size < b->size ? a->size : b->size;
    int c = n ? memcmp(a->data, b->data, n) : 0;
    return c ? c : (a->size > b->size) - (a->size < b->size);
}

static int by_id(const void *a, const void *b)
{
    const struct id_rank *x = a, *y = b;
    int c = compare_ids(&x->id, &y->id);
    return c ? c : (x->rank > y->rank) - (x->rank < y->rank);
}

static size_t rank_of(const struct id_rank *ids, size_t n, struct ggl_chat_span id)
{
    size_t lo = 0, hi = n; /* the first entry above id */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_ids(&ids[mid].id, &id) <= 0) lo = mid + 1;
        else hi = mid;
    }
    return lo && !compare_ids(&ids[lo - 1].id, &id) ? ids[lo - 1].rank : 0;
}

/* Results of one user turn in the order of their calls; texts between them stay where they are. */
static enum ggl_status sort_results(struct request *r, struct ggl_chat_turn *t, const struct call_order *order)
{
    size_t n = 0, k = 0, rank = 0;
    for (struct ggl_chat_block *b = t->blocks; b; b = b->next) n += b->tool_result;
    if (n < 2 || !order->known) return GGL_OK;
    struct ranked *list = malloc(n * sizeof(*list));
    struct id_rank *ids = malloc(order->known * sizeof(*ids));
    if (!list || !ids) {
        free(list);
        free(ids);
        return no_memory(r);
    }
    for (const struct ggl_pyjson *c = order->calls->child; c; c = c->next, rank++) {
        const struct ggl_pyjson *id = call_id(c);
        if (!id) continue;
        ids[k].id = id->text;
        ids[k++].rank = rank;
    }
    qsort(ids, k, sizeof(*ids), by_id);
    n = 0;
    for (struct ggl_chat_block *b = t->blocks; b; b = b->next) {
        if (!b->tool_result) continue;
        list[n].block = *b;
        list[n].rank = rank_of(ids, k, b->id);
        list[n].order = n;
        n++;
    }
    qsort(list, n, sizeof(*list), by_rank);
    n = 0;
    for (struct ggl_chat_block *b = t->blocks; b; b = b->next) {
        if (!b->tool_result) continue;
        struct ggl_chat_block *next = b->next;
        *b = list[n++].block;
        b->next = next;
    }
    free(list);
    free(ids);
    return GGL_OK;
}

/* ---- messages */

static enum ggl_status take_task(struct request *r, struct place p, const struct ggl_pyjson *v, enum ggl_chat_task *out)
{
    static const char *const names[] = {"", "action", "query", "authority", "domain", "title", "read_url"};
    *out = GGL_TASK_NONE;
    if (ggl_pyjson_missing(v)) return GGL_OK;
    for (int i = 1; i < 7; i++)
        if (ggl_pyjson_equals(v, names[i])) return *out = (enum ggl_chat_task)i, GGL_OK;
    return wrong(r, p, ".task", v, "action, query, authority, domain, title or read_url");
}

static enum ggl_status add_user(struct request *r, struct place p, const struct ggl_pyjson *m, bool tool)
{
    struct ggl_chat_block block = {.tool_result = tool};
    const struct ggl_pyjson *content = ggl_pyjson_get(m, "content");
    enum ggl_chat_task task = GGL_TASK_NONE;
    enum ggl_status s;
    if (tool) {
        const struct ggl_pyjson *id = ggl_pyjson_get(m, "tool_call_id");
        if ((s = take_result(r, p, content, &block.text))) return s;
        if ((s = take_string(r, p, ".tool_call_id", id, true, &block.id))) return s;
    } else {
        if (content && (s = take_string(r, p, ".content", content, false, &block.text))) return s;
        if ((s = take_task(r, p, ggl_pyjson_get(m, "task"), &task))) return s;
    }
    return ggl_chat_turn_block(&r->turns, &block, task) ? GGL_OK : no_memory(r);
}

/* A falsy content is empty text for system and assistant; a reminder needs a string, a developer a non-empty one. */
static enum ggl_status take_content(struct request *r, struct place p, const struct ggl_pyjson *content,
                                    struct ggl_chat_turn *t)
{
    bool falsy = !ggl_pyjson_truth(content);
    if (falsy && t->role == GGL_ROLE_DEVELOPER) return wrong(r, p, ".content", content, "a string that is not empty");
    if (falsy && t->role != GGL_ROLE_REMINDER) return GGL_OK;
    return take_string(r, p, ".content", content, false, &t->content);
}

static enum ggl_status add_message(struct request *r, struct place p, const struct ggl_pyjson *m)
{
    const struct ggl_pyjson *role_name = ggl_pyjson_get(m, "role"), *reasoning = ggl_pyjson_get(m, "reasoning_content");
    const struct ggl_pyjson *format = ggl_pyjson_get(m, "response_format");
    enum ggl_chat_role role;
    enum ggl_status s;
    if (m->kind != GGL_PYJSON_OBJECT) return wrong(r, p, "", m, "an object");
    if (ggl_pyjson_equals(role_name, "tool")) return add_user(r, p, m, true);
    if (!role_name || role_name->kind != GGL_PYJSON_STRING || !ggl_chat_role_from_name(role_name->text, &role))
        return wrong(r, p, ".role", role_name, "system, user, assistant, tool, developer or latest_reminder");
    if (role == GGL_ROLE_USER) return add_user(r, p, m, false);
    struct ggl_chat_turn *t = ggl_chat_turn_new(&r->turns, role);
    if (!t) return no_memory(r);
    if ((s = take_task(r, p, ggl_pyjson_get(m, "task"), &t->task))) return s;
    if ((s = take_content(r, p, ggl_pyjson_get(m, "content"), t))) return s;
    if ((s = take_tools(r, p, ggl_pyjson_get(m, "tools"), t))) return s;
    if (ggl_pyjson_truth(format)) {
        struct ggl_chat_text *text = own_text(r);
        if (!text) return no_memory(r);
        ggl_pyjson_write(text, format);
        if (text->failed) return no_memory(r);
        t->format = ggl_chat_span_of(text->data, text->size);
    }
    if (role != GGL_ROLE_ASSISTANT) return GGL_OK;
    if (ggl_pyjson_truth(reasoning) && (s = take_string(r, p, ".reasoning_content", reasoning, false, &t->reasoning)))
        return s;
    t->open = ggl_pyjson_truth(ggl_pyjson_get(m, "wo_eos"));
    return take_calls(r, p, ggl_pyjson_get(m, "tool_calls"), t);
}

/* One list of messages; none of them merges into a turn of the list before. */
static enum ggl_status add_messages(struct request *r, const char *name, const struct ggl_pyjson *list)
{
    struct place p = {name, 0};
    enum ggl_status s = GGL_OK;
    if (list->kind != GGL_PYJSON_ARRAY) return bad_option(r, name, list, "an array");
    r->turns.floor = r->turns.n;
    for (const struct ggl_pyjson *m = list->child; m && !s; m = m->next, p.i++) s = add_message(r, p, m);
    return s;
}

/* Sorts the results of every user turn by the calls of the last assistant before it that made some. */
static enum ggl_status sort_all(struct request *r)
{
    struct call_order order = {NULL, 0};
    for (size_t i = 0; i < r->turns.n; i++) {
        struct ggl_chat_turn *t = &r->turns.items[i];
        if (t->source) note_calls(&order, t->source);
        enum ggl_status s = t->role == GGL_ROLE_USER ? sort_results(r, t, &order) : GGL_OK;
        if (s) return s;
    }
    return GGL_OK;
}

/* ---- the request */

static enum ggl_status take_options(struct request *r, const struct ggl_pyjson *root)
{
    static const char *const efforts[] = {NULL, "low", "high", "max"};
    const struct ggl_pyjson *mode = ggl_pyjson_get(root, "thinking_mode"), *drop = ggl_pyjson_get(root, "drop_thinking");
    const struct ggl_pyjson *effort = ggl_pyjson_get(root, "reasoning_effort"), *format = ggl_pyjson_get(root, "prompt_format");
    r->thinking = ggl_pyjson_equals(mode, "thinking");
    if (!r->thinking && !ggl_pyjson_equals(mode, "chat")) return bad_option(r, "thinking_mode", mode, "\"chat\" or \"thinking\"");
    r->drop = true;
    if (!ggl_pyjson_missing(drop)) {
        r->drop = drop->kind == GGL_PYJSON_TRUE;
        if (!r->drop && drop->kind != GGL_PYJSON_FALSE) return bad_option(r, "drop_thinking", drop, "true or false");
    }
    r->format = GGL_PROMPT_DSV4_PREVIEW;
    if (ggl_pyjson_equals(format, "dsv4-0731")) r->format = GGL_PROMPT_DSV4_0731;
    else if (!ggl_pyjson_missing(format) && !ggl_pyjson_equals(format, "dsv4-preview"))
        return bad_option(r, "prompt_format", format, "\"dsv4-preview\" or \"dsv4-0731\"");
    if (!ggl_pyjson_missing(effort)) {
        int i = 1;
        while (i < 4 && !ggl_pyjson_equals(effort, efforts[i])) i++;
        r->effort = i < 4 ? (enum ggl_reasoning_effort)i : GGL_EFFORT_NONE;
        if (i == 4 || !ggl_chat_effort_text(r->format, r->effort))
            return bad_option(r, "reasoning_effort", effort,
                              r->format == GGL_PROMPT_DSV4_PREVIEW ? "null, \"high\" or \"max\""
                                                                   : "null, \"low\", \"high\" or \"max\"");
    }
    return GGL_OK;
}

static enum ggl_status read_request(struct request *r, struct ggl_chat_span source, struct ggl_chat_text *out)
{
    struct ggl_pyjson *root;
    enum ggl_status s = ggl_pyjson_read(&r->arena, source, "chat request", &root, r->err);
    if (s) return s;
    if (root->kind != GGL_PYJSON_OBJECT) return bad_option(r, "chat request", root, "an object");
    const struct ggl_pyjson *messages = ggl_pyjson_get(root, "messages"), *context = ggl_pyjson_get(root, "context");
    if (!messages) return bad_option(r, "messages", messages, "an array");
    if ((s = take_options(r, root))) return s;
    if (!ggl_pyjson_truth(context)) context = NULL;
    if (context && (s = add_messages(r, "context", context))) return s;
    size_t first = r->turns.n;
    if ((s = add_messages(r, "messages", messages))) return s;
    if ((s = sort_all(r))) return s;

    struct ggl_chat_plan plan = {r->thinking, r->drop, ggl_chat_effort_text(r->format, r->effort)};
    size_t n = r->turns.n;
    for (size_t i = 0; i < n; i++)
        if (r->turns.items[i].has_tools) plan.drop = false;
    if (plan.thinking && plan.drop) {
        first = ggl_chat_count_kept(r->turns.items, first); /* what dropping leaves of the context by itself */
        n = ggl_chat_drop(r->turns.items, n);
    }
    if (!context) ggl_chat_text_control(out, GGL_CHAT_BOS);
    ggl_chat_render(out, r->turns.items, n, first, &plan);
    return out->failed ? no_memory(r) : GGL_OK;
}

enum ggl_status ggl_chat_render_request(const char *request, size_t size, struct ggl_chat_text *out, struct ggl_error *err)
{
    struct request r = {.err = err};
    r.turns.arena = &r.arena;
    enum ggl_status s = read_request(&r, ggl_chat_span_of(request, size), out);
    for (struct text_node *t = r.owned; t; t = t->next) ggl_chat_text_free(&t->text);
    ggl_chat_turns_free(&r.turns);
    ggl_chat_arena_free(&r.arena);
    return s;
}

enum ggl_status ggl_chat_encode_json(const char *request, size_t size, char **out, size_t *out_size,
                                     struct ggl_error *err)
{
    struct ggl_chat_text text = {0};
    enum ggl_status s = ggl_chat_render_request(request, size, &text, err);
    if (s) {
        ggl_chat_text_free(&text);
        return s;
    }
    char *p = ggl_chat_text_take(&text, out_size);
    if (!p) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "chat request");
    *out = p;
    return GGL_OK;
}
