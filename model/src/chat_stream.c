/*
 * The tolerant parse of a completion that is still being written: reasoning, content, tool calls.
 *
 * Only what could be the beginning of a tag is held back (a few hundred bytes at most), so a front end can show
 * text at once.  Every byte of text comes out again: what turns out not to be a tag is text of the part it stands
 * in.  What is accepted beyond the official format, because models write it:
 *   - spaces, doubled or ASCII bars around DSML, spaces inside tags;
 *   - calls without the empty line before them, without the enclosing block, or inside unfinished reasoning;
 *   - a missing string="..." (taken as true), missing ends of call and block, an unterminated call at the end.
 * A block's opening tag counts only when a call's tag with a name follows, so text that mentions it stays text.
 *
 * Arguments come out as the text of one JSON object, as the strict parser builds it.  Text that stands between
 * the tags of a call, where nothing belongs, comes out as content; spaces and newlines alone do not.
 */
#include "model/chat.h"

#include <stdlib.h>
#include <string.h>

#include "model/src/chat_json.h"

/* A tag, the empty line before it and a block's opening before a call fit; what is longer is text. */
#define HELD 1024

enum state {
    AT_START,  /* nothing but newlines so far: a repeated "<think>" is dropped */
    IN_TEXT,   /* reasoning or content */
    IN_BLOCK,  /* between calls */
    IN_CALL,   /* between parameters */
    IN_STRING, /* a parameter's value that is a string */
    IN_JSON,   /* a parameter's value that is JSON */
};

enum tag_kind {
    TAG_NONE,    /* no tag begins here */
    TAG_PARTIAL, /* one may, more bytes will tell */
    TAG_BLOCK,
    TAG_BLOCK_END,
    TAG_CALL,
    TAG_CALL_END,
    TAG_PARAMETER,
    TAG_PARAMETER_END,
    TAG_THINK,
    TAG_THINK_END,
    TAG_EOS,
};

struct tag {
    size_t size;
    struct ggl_chat_span name; /* of a call or parameter */
    bool json;                 /* string="false" */
};

struct ggl_chat_stream {
    ggl_chat_part_fn *fn;
    void *user;
    enum state state;
    enum ggl_chat_part text; /* what text is: reasoning or content */
    bool has_parameters;     /* of the call that is open */
    bool in_stray;           /* in text between the tags of a call */
    bool ending;             /* no more bytes will come: nothing is partial any more */
    size_t n_held;
    char held[HELD];
    struct ggl_chat_text scratch;
};

/* ---- reading tags */

struct cursor {
    const char *p, *end;
    bool partial; /* the bytes ended inside something that fits so far */
};

static void skip_spaces(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t')) c->p++;
}

static bool literal(struct cursor *c, const char *text)
{
    size_t n = strlen(text), have = (size_t)(c->end - c->p), k = n < have ? n : have;
    if (memcmp(c->p, text, k)) return false;
    if (k < n) {
        c->partial = true;
        return false;
    }
    c->p += n;
    return true;
}

/* One or more bars, full-width or ASCII, and spaces around them. */
static bool bars(struct cursor *c)
{
    size_t n = 0;
    for (;; n++) {
        skip_spaces(c);
        if (c->p == c->end) break;
        if (literal(c, "｜") || literal(c, "|")) continue;
        break;
    }
    if (c->p == c->end) c->partial = true;
    return n > 0 && !c->partial;
}

/* attribute="value"; the value may be empty and ends at the next quote. */
static bool attribute(struct cursor *c, const char *name, struct ggl_chat_span *value)
{
    skip_spaces(c);
    if (!literal(c, name)) return false;
    skip_spaces(c);
    if (!literal(c, "=")) return false;
    skip_spaces(c);
    if (!literal(c, "\"")) return false;
    const char *quote = memchr(c->p, '"', (size_t)(c->end - c->p));
    if (!quote) {
        c->partial = true;
        return false;
    }
    *value = ggl_chat_span_of(c->p, (size_t)(quote - c->p));
    c->p = quote + 1;
    return true;
}

static bool close_tag(struct cursor *c)
{
    skip_spaces(c);
    return literal(c, ">");
}

/* Behind `<` `/`? bars DSML bars: which tag, with its attributes. */
static enum tag_kind dsml_tag(struct cursor *c, bool end, struct tag *tag)
{
    struct ggl_chat_span string = {NULL, 0};
    if (literal(c, "tool_calls") || (!c->partial && literal(c, "function_calls")))
        return close_tag(c) ? end ? TAG_BLOCK_END : TAG_BLOCK : TAG_NONE;
    if (literal(c, "invoke")) {
        if (!end && !attribute(c, "name", &tag->name)) return TAG_NONE;
        return close_tag(c) ? end ? TAG_CALL_END : TAG_CALL : TAG_NONE;
    }
    if (!literal(c, "parameter")) return TAG_NONE;
    if (end) return close_tag(c) ? TAG_PARAMETER_END : TAG_NONE;
    if (!attribute(c, "name", &tag->name)) return TAG_NONE;
    if (close_tag(c)) return TAG_PARAMETER;
    if (!attribute(c, "string", &string)) return TAG_NONE;
    tag->json = string.size == 5 && !memcmp(string.data, "false", 5);
    return close_tag(c) ? TAG_PARAMETER : TAG_NONE;
}

/* What begins at s. */
static enum tag_kind read_tag(const char *s, size_t n, struct tag *tag)
{
    static const struct {
        const char *text;
        enum tag_kind kind;
    } fixed[] = {{GGL_CHAT_THINK, TAG_THINK}, {GGL_CHAT_THINK_END, TAG_THINK_END}, {GGL_CHAT_EOS, TAG_EOS}};
    bool partial = false;
    memset(tag, 0, sizeof(*tag));
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        struct cursor c = {s, s + n, false};
        if (literal(&c, fixed[i].text)) return tag->size = (size_t)(c.p - s), fixed[i].kind;
        partial |= c.partial;
    }
    struct cursor c = {s, s + n, false};
    enum tag_kind kind = TAG_NONE;
    if (literal(&c, "<")) {
        skip_spaces(&c);
        bool end = literal(&c, "/");
        if (!c.partial && bars(&c) && literal(&c, "DSML") && bars(&c)) kind = dsml_tag(&c, end, tag);
    }
    if (kind != TAG_NONE) return tag->size = (size_t)(c.p - s), kind;
    return partial || c.partial ? TAG_PARTIAL : TAG_NONE;
}

/* ---- what comes out */

static void emit(struct ggl_chat_stream *s, enum ggl_chat_part part, const char *text, size_t size)
{
    if (size) s->fn(s->user, part, text, size);
}

static void emit_text(struct ggl_chat_stream *s, const char *text, size_t size)
{
    emit(s, s->text, text, size);
}

static void emit_escaped(struct ggl_chat_stream *s, struct ggl_chat_span text, const char *before, const char *after)
{
    s->scratch.size = 0;
    ggl_chat_text_str(&s->scratch, before);
    ggl_pyjson_escape(&s->scratch, text);
    ggl_chat_text_str(&s->scratch, after);
    emit(s, GGL_PART_TOOL_ARGUMENTS, s->scratch.data, s->scratch.failed ? 0 : s->scratch.size);
}

static void emit_value(struct ggl_chat_stream *s, const char *text, size_t size)
{
    if (s->state == IN_JSON) emit(s, GGL_PART_TOOL_ARGUMENTS, text, size);
    else emit_escaped(s, ggl_chat_span_of(text, size), "", "");
}

static void open_call(struct ggl_chat_stream *s, const struct tag *tag)
{
    s->fn(s->user, GGL_PART_TOOL_NAME, tag->name.data, tag->name.size);
    emit(s, GGL_PART_TOOL_ARGUMENTS, "{", 1);
    s->has_parameters = false;
    s->state = IN_CALL;
}

static void open_parameter(struct ggl_chat_stream *s, const struct tag *tag)
{
    emit_escaped(s, tag->name, s->has_parameters ? ", \"" : "\"", tag->json ? "\": " : "\": \"");
    s->has_parameters = true;
    s->state = tag->json ? IN_JSON : IN_STRING;
}

static void close_parameter(struct ggl_chat_stream *s)
{
    if (s->state == IN_STRING) emit(s, GGL_PART_TOOL_ARGUMENTS, "\"", 1);
    s->state = IN_CALL;
}

static void close_call(struct ggl_chat_stream *s, enum state next)
{
    emit(s, GGL_PART_TOOL_ARGUMENTS, "}", 1);
    s->fn(s->user, GGL_PART_TOOL_END, "", 0);
    s->state = next;
}

/* ---- steps: each looks at what is held, acts, and says how many bytes it used; 0: more must come first */

static size_t run_length(const char *s, size_t n, const char *stops)
{
    size_t i = 0;
    while (i < n && s[i] != stops[0] && s[i] != stops[1]) i++;
    return i;
}

/* A block's opening counts when the next tag is a call's.  Returns the size of both, 0 for not (yet). */
static size_t read_block(const struct ggl_chat_stream *s, size_t at, struct tag *tag, bool *wait)
{
    while (at < s->n_held && strchr(" \t\r\n", s->held[at]) && s->held[at]) at++;
    enum tag_kind kind = at < s->n_held ? read_tag(s->held + at, s->n_held - at, tag) : TAG_PARTIAL;
    *wait = kind == TAG_PARTIAL;
    return kind == TAG_CALL ? at + tag->size : 0;
}

/* Text with `skip` newlines and a '<' held. */
static size_t step_tag_in_text(struct ggl_chat_stream *s, size_t skip)
{
    struct tag tag;
    bool start = s->state == AT_START, wait = false;
    enum tag_kind kind = read_tag(s->held + skip, s->n_held - skip, &tag);
    size_t used = skip + tag.size;
    if (kind == TAG_BLOCK) {
        size_t n = read_block(s, used, &tag, &wait);
        if (n) kind = TAG_CALL, used = n;
        else if (wait) kind = TAG_PARTIAL;
    }
    if (kind == TAG_PARTIAL && !s->ending && s->n_held < HELD) return 0;
    if (kind == TAG_CALL) { /* the newlines before belong to it */
        open_call(s, &tag);
        return used;
    }
    if (kind == TAG_THINK && start) {
        s->text = GGL_PART_REASONING;
        s->state = IN_TEXT;
        return used;
    }
    s->state = IN_TEXT;
    emit_text(s, s->held, skip);
    if (kind == TAG_EOS) return used;
    if (kind == TAG_THINK_END && s->text == GGL_PART_REASONING) {
        s->text = GGL_PART_CONTENT;
        return used;
    }
    emit_text(s, "<", 1);
    return skip + 1;
}

/* Two newlines are held back, as they may belong to a block. */
static size_t step_text(struct ggl_chat_stream *s)
{
    size_t newlines = 0, n = run_length(s->held, s->n_held, "<\n");
    while (n == 0 && newlines < s->n_held && s->held[newlines] == '\n') newlines++;
    if (newlines > 2) n = newlines - 2;
    else if (newlines == s->n_held && !s->ending) return 0;
    else if (newlines < s->n_held && s->held[newlines] == '<') return step_tag_in_text(s, newlines);
    else if (newlines) n = newlines;
    emit_text(s, s->held, n);
    if (!newlines) s->state = IN_TEXT;
    return n;
}

/* Between calls, or between a call's parameters. */
static size_t step_between(struct ggl_chat_stream *s)
{
    struct tag tag;
    bool call = s->state == IN_CALL;
    size_t spaces = 0;
    while (spaces < s->n_held && strchr(" \t\r\n", s->held[spaces]) && s->held[spaces]) spaces++;
    if (spaces && !s->in_stray) return spaces;
    enum tag_kind kind = read_tag(s->held, s->n_held, &tag);
    if (kind == TAG_PARTIAL && !s->ending && s->n_held < HELD) return 0;
    s->in_stray = false;
    switch (kind) {
    case TAG_PARAMETER:
        if (!call) break;
        open_parameter(s, &tag);
        return tag.size;
    case TAG_CALL:
        if (call) close_call(s, IN_BLOCK);
        open_call(s, &tag);
        return tag.size;
    case TAG_CALL_END:
        if (!call) break;
        close_call(s, IN_BLOCK);
        return tag.size;
    case TAG_BLOCK:
        if (call) break;
        return tag.size;
    case TAG_BLOCK_END:
    case TAG_EOS:
        if (call) close_call(s, IN_TEXT);
        s->state = IN_TEXT;
        return tag.size;
    default:
        break;
    }
    if (!call) { /* the block ended without its tag */
        s->state = IN_TEXT;
        return step_text(s);
    }
    size_t n = s->held[0] == '<' ? 1 : run_length(s->held, s->n_held, "<<");
    s->in_stray = true;
    emit(s, GGL_PART_CONTENT, s->held, n);
    return n;
}

static size_t step_value(struct ggl_chat_stream *s)
{
    struct tag tag;
    size_t n = run_length(s->held, s->n_held, "<<");
    if (!n) {
        enum tag_kind kind = read_tag(s->held, s->n_held, &tag);
        if (kind == TAG_PARTIAL && !s->ending && s->n_held < HELD) return 0;
        if (kind == TAG_PARAMETER_END) {
            close_parameter(s);
            return tag.size;
        }
        n = 1;
    }
    emit_value(s, s->held, n);
    return n;
}

static void advance(struct ggl_chat_stream *s)
{
    while (s->n_held) {
        size_t n;
        if (s->state == IN_STRING || s->state == IN_JSON) n = step_value(s);
        else if (s->state == IN_BLOCK || s->state == IN_CALL) n = step_between(s);
        else n = step_text(s);
        if (!n) break;
        s->n_held -= n;
        memmove(s->held, s->held + n, s->n_held);
    }
}

/* ---- the stream */

struct ggl_chat_stream *ggl_chat_stream_new(bool thinking, ggl_chat_part_fn *fn, void *user)
{
    struct ggl_chat_stream *s = calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->fn = fn;
    s->user = user;
    s->text = thinking ? GGL_PART_REASONING : GGL_PART_CONTENT;
    return s;
}

/* Bytes go through `held` one at a time, so where the input is cut changes nothing; runs that cannot be part of a
 * tag go past it. */
enum ggl_status ggl_chat_stream_feed(struct ggl_chat_stream *s, const char *text, size_t size)
{
    if (s->ending) return GGL_ERR_STATE;
    while (size) {
        bool value = s->state == IN_STRING || s->state == IN_JSON, plain = value || s->state == IN_TEXT;
        size_t n = s->n_held || !plain ? 0 : run_length(text, size, value ? "<<" : "<\n");
        if (n && value) emit_value(s, text, n);
        else if (n) emit_text(s, text, n);
        if (!n) {
            s->held[s->n_held++] = *text;
            advance(s);
            n = 1;
        }
        text += n;
        size -= n;
    }
    return s->scratch.failed ? GGL_ERR_NOMEM : GGL_OK;
}

enum ggl_status ggl_chat_stream_end(struct ggl_chat_stream *s)
{
    if (s->ending) return GGL_ERR_STATE;
    s->ending = true;
    advance(s);
    if (s->state == IN_STRING || s->state == IN_JSON) close_parameter(s);
    if (s->state == IN_CALL) close_call(s, IN_TEXT);
    return s->scratch.failed ? GGL_ERR_NOMEM : GGL_OK;
}

void ggl_chat_stream_free(struct ggl_chat_stream *s)
{
    if (!s) return;
    ggl_chat_text_free(&s->scratch);
    free(s);
}
