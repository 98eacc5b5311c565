/*
 * The strict parse of a finished completion: accepts exactly what the official parser accepts, including what
 * follows from its regular expressions ('$' also matches before a final newline) and from its loops ending
 * with the text, so that a completion cut behind a finished call still parses.
 */
#include "model/chat.h"

#include <stdlib.h>
#include <string.h>

#include "model/src/chat_json.h"

#define CALLS_START "\n\n<｜DSML｜tool_calls"
#define CALLS_END "</｜DSML｜tool_calls>"
#define INVOKE_START "<｜DSML｜invoke"
#define INVOKE_END "</｜DSML｜invoke"
#define PARAMETER_START "<｜DSML｜parameter"
#define PARAMETER_END "/｜DSML｜parameter"

struct parser {
    const char *text;
    size_t size, at;
    struct ggl_chat_text calls; /* the JSON of the calls so far */
    struct ggl_error *err;
};

struct argument {
    struct ggl_chat_span name;
    struct argument *next;
};

struct call {
    struct ggl_chat_arena arena;
    struct ggl_chat_text json; /* the arguments so far */
    struct argument *last;
    size_t n;
};

static enum ggl_status bad(const struct parser *p, const char *found, const char *expected, const char *what)
{
    return ggl_fail(p->err, GGL_ERR_FORMAT, NULL, p->at, found, expected, "completion: %s", what);
}

static bool starts_with(struct ggl_chat_span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.size >= n && !memcmp(s.data, prefix, n);
}

static bool equals(struct ggl_chat_span s, const char *text)
{
    return s.size == strlen(text) && starts_with(s, text);
}

static const char *find(struct ggl_chat_span in, const char *what)
{
    while (in.size) {
        const char *p = memchr(in.data, what[0], in.size);
        if (!p) return NULL;
        in = ggl_chat_span_of(p, in.size - (size_t)(p - in.data));
        if (starts_with(in, what)) return p;
        in = ggl_chat_span_of(in.data + 1, in.size - 1);
    }
    return NULL;
}

/* The text up to whichever of two marks (b may be NULL) comes first, and behind it; the mark found, or NULL at
 * the end.  One pass for both, so that a parse stays linear. */
static const char *read_until(struct parser *p, const char *a, const char *b, struct ggl_chat_span *content)
{
    const char *mark = NULL;
    size_t start = p->at;
    while (p->at < p->size) {
        struct ggl_chat_span rest = ggl_chat_span_of(p->text + p->at, p->size - p->at);
        if (starts_with(rest, a)) mark = a;
        else if (b && starts_with(rest, b)) mark = b;
        if (mark) break;
        p->at++;
    }
    *content = ggl_chat_span_of(p->text + start, p->at - start);
    if (mark) p->at += strlen(mark);
    return mark;
}

/* The length of what Python's \s matches at s, or 0. */
static size_t space_length(struct ggl_chat_span s)
{
    static const char *const wide[] = {"\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
                                       "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
                                       "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
    if (!s.size) return 0;
    unsigned char c = (unsigned char)s.data[0];
    if (c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f)) return 1;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        if (starts_with(s, wide[i])) return strlen(wide[i]);
    return 0;
}

static struct ggl_chat_span skip(struct ggl_chat_span s, size_t n)
{
    return ggl_chat_span_of(s.data + n, s.size - n);
}

/* Drops `ending` from the end, also when one newline follows it. */
static bool cut_end(struct ggl_chat_span *s, const char *ending)
{
    size_t n = strlen(ending);
    for (size_t newline = 0; newline < 2 && s->size >= n + newline; newline++) {
        if (newline && s->data[s->size - 1] != '\n') break;
        if (memcmp(s->data + s->size - newline - n, ending, n)) continue;
        s->size -= n + newline;
        return true;
    }
    return false;
}

/* ` name="NAME">` and a newline. */
static bool match_name(struct ggl_chat_span s, struct ggl_chat_span *name)
{
    for (size_t n; (n = space_length(s));) s = skip(s, n);
    if (!starts_with(s, "name=\"")) return false;
    s = skip(s, 6);
    if (!cut_end(&s, "\">\n")) return false;
    *name = s;
    return true;
}

/* ` name="NAME" string="true|false">VALUE<`. */
static bool match_parameter(struct ggl_chat_span s, struct ggl_chat_span *name, bool *string, struct ggl_chat_span *value)
{
    if (!starts_with(s, " name=\"")) return false;
    s = skip(s, 7);
    const char *yes = find(s, "\" string=\"true\">"), *no = find(s, "\" string=\"false\">");
    *string = yes && (!no || yes < no);
    const char *at = *string ? yes : no;
    if (!at) return false;
    *name = ggl_chat_span_of(s.data, (size_t)(at - s.data));
    s = skip(s, name->size + strlen(*string ? "\" string=\"true\">" : "\" string=\"false\">"));
    if (!cut_end(&s, "<")) return false;
    *value = s;
    return true;
}

static enum ggl_status no_memory(const struct parser *p)
{
    return ggl_fail(p->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "completion");
}

/* One parameter behind its start mark, and what separates it from the next; *mark: what comes next. */
static enum ggl_status parse_parameter(struct parser *p, struct call *call, const char **mark)
{
    struct ggl_chat_span content, value;
    bool string;
    struct argument *a = ggl_chat_arena_alloc(&call->arena, sizeof(*a));
    if (!a) return no_memory(p);
    read_until(p, PARAMETER_END, NULL, &content);
    if (!match_parameter(content, &a->name, &string, &value))
        return bad(p, NULL, "name=\"NAME\" string=\"true|false\">VALUE</｜DSML｜parameter", "a tool call's parameter");
    if (call->n++) ggl_chat_text_str(&call->json, ", ");
    a->next = call->last;
    call->last = a;
    ggl_pyjson_write_string(&call->json, a->name);
    ggl_chat_text_str(&call->json, ": ");
    if (string) ggl_pyjson_write_string(&call->json, value);
    else ggl_chat_text_span(&call->json, value);
    *mark = read_until(p, PARAMETER_START, INVOKE_END, &content);
    if (!equals(content, ">\n")) return bad(p, NULL, "'>' and a newline", "the end of a tool call's parameter");
    return GGL_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct ggl_chat_span *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return memcmp(x->data, y->data, x->size);
}

static enum ggl_status refuse_duplicates(const struct parser *p, const struct call *call)
{
    if (call->n < 2) return GGL_OK;
    size_t n = 0, i = 1;
    struct ggl_chat_span *names = malloc(call->n * sizeof(*names));
    if (!names) return no_memory(p);
    for (struct argument *a = call->last; a; a = a->next) names[n++] = a->name;
    qsort(names, n, sizeof(*names), by_name);
    while (i < n && by_name(&names[i - 1], &names[i])) i++;
    free(names);
    return i == n ? GGL_OK : bad(p, "a second parameter of one name", NULL, "a tool call");
}

/* One call behind "<｜DSML｜invoke". */
static enum ggl_status parse_call(struct parser *p)
{
    struct ggl_chat_span content, name;
    struct call call = {.n = 0};
    const char *mark = read_until(p, PARAMETER_START, INVOKE_END, &content);
    if (!match_name(content, &name)) return bad(p, NULL, "name=\"NAME\"> and a newline", "a tool call's name");
    enum ggl_status s = GGL_OK;
    while (!s && mark && !strcmp(mark, PARAMETER_START)) s = parse_parameter(p, &call, &mark);
    if (!s) s = refuse_duplicates(p, &call);
    if (!s) {
        ggl_chat_text_str(&p->calls, p->calls.size ? ", " : "");
        ggl_chat_text_str(&p->calls, "{\"type\": \"function\", \"function\": {\"name\": ");
        ggl_pyjson_write_string(&p->calls, name);
        ggl_chat_text_str(&p->calls, ", \"arguments\": \"{");
        ggl_pyjson_escape(&p->calls, ggl_chat_span_of(call.json.data, call.json.size));
        ggl_chat_text_str(&p->calls, "}\"}}");
        p->calls.failed |= call.json.failed;
    }
    ggl_chat_text_free(&call.json);
    ggl_chat_arena_free(&call.arena);
    return s;
}

static enum ggl_status parse_calls(struct parser *p)
{
    while (p->at < p->size) {
        struct ggl_chat_span content;
        const char *mark = read_until(p, INVOKE_START, CALLS_END, &content);
        if (!equals(content, ">\n")) return bad(p, NULL, "'>' and a newline", "a tag of the tool calls");
        if (!mark) return bad(p, "the end of the text", "a tool call", "the tool calls");
        if (!strcmp(mark, CALLS_END)) break;
        enum ggl_status s = parse_call(p);
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status parse(struct parser *p, bool thinking, struct ggl_chat_span *reasoning, struct ggl_chat_span *content)
{
    static const char *const specials[] = {GGL_CHAT_BOS, GGL_CHAT_EOS, GGL_CHAT_THINK, GGL_CHAT_THINK_END, GGL_CHAT_DSML};
    const char *mark;
    if (thinking) {
        mark = read_until(p, GGL_CHAT_THINK_END, CALLS_START, reasoning);
        if (!mark || strcmp(mark, GGL_CHAT_THINK_END)) return bad(p, NULL, "</think>", "the reasoning");
    }
    mark = read_until(p, GGL_CHAT_EOS, CALLS_START, content);
    if (!mark) return bad(p, "the end of the text", "the end of sentence token", "the content");
    if (!strcmp(mark, CALLS_START)) {
        struct ggl_chat_span tail;
        enum ggl_status s = parse_calls(p);
        if (s) return s;
        read_until(p, GGL_CHAT_EOS, NULL, &tail);
        if (tail.size) return bad(p, "text", "the end of sentence token", "behind the tool calls");
    }
    if (p->at != p->size) return bad(p, "text", "the end", "behind the end of sentence token");
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
        if (find(*content, specials[i]) || find(*reasoning, specials[i]))
            return bad(p, specials[i], "no control text", "the content or reasoning");
    return GGL_OK;
}

enum ggl_status ggl_chat_parse_json(const char *completion, size_t size, bool thinking, char **out, size_t *out_size,
                                    struct ggl_error *err)
{
    struct parser p = {.text = completion, .size = size, .err = err};
    struct ggl_chat_span reasoning = {"", 0}, content = {"", 0};
    struct ggl_chat_text text = {0};
    for (int n; p.at < size; p.at += (size_t)n)
        if (!(n = ggl_chat_utf8_length(completion + p.at, size - p.at))) return bad(&p, NULL, "UTF-8", "the text");
    p.at = 0;
    enum ggl_status s = parse(&p, thinking, &reasoning, &content);
    if (!s) {
        ggl_chat_text_str(&text, "{\"role\": \"assistant\", \"content\": ");
        ggl_pyjson_write_string(&text, content);
        ggl_chat_text_str(&text, ", \"reasoning_content\": ");
        ggl_pyjson_write_string(&text, reasoning);
        ggl_chat_text_str(&text, ", \"tool_calls\": [");
        ggl_chat_text_span(&text, ggl_chat_span_of(p.calls.data, p.calls.size));
        ggl_chat_text_str(&text, "]}");
        text.failed |= p.calls.failed;
        char *json = ggl_chat_text_take(&text, out_size);
        if (json) *out = json;
        else s = no_memory(&p);
    }
    ggl_chat_text_free(&p.calls);
    return s;
}
