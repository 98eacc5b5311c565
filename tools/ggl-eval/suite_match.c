/*
 * --suite: is an answer the expected one?
 */
#include <string.h>

#include "ggl-eval/suite.h"

static bool same_bytes(struct ggl_chat_span a, struct ggl_chat_span b)
{
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

/* Not isalnum: no locale decides what is right. */
static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool suite_contains(struct ggl_chat_span content, struct ggl_chat_span expected)
{
    for (size_t i = 0; expected.size && i + expected.size <= content.size; i++) {
        size_t end = i + expected.size;
        if (memcmp(content.data + i, expected.data, expected.size)) continue;
        if ((!i || !is_word(content.data[i - 1])) && (end == content.size || !is_word(content.data[end]))) return true;
    }
    return false;
}

/* ---- JSON values */

static const struct ggl_pyjson *member(const struct ggl_pyjson *object, struct ggl_chat_span key)
{
    const struct ggl_pyjson *v = object->child;
    while (v && !same_bytes(v->key, key)) v = v->next;
    return v;
}

static double number(const struct ggl_pyjson *v)
{
    return v->kind == GGL_PYJSON_INT ? ggl_chat_decimal_read(v->text.data, v->text.size) : v->real;
}

static bool is_number(const struct ggl_pyjson *v)
{
    return v->kind == GGL_PYJSON_INT || v->kind == GGL_PYJSON_REAL;
}

/* Keys are unique within an object, so as many members and each of them found is enough. */
static bool same_children(const struct ggl_pyjson *a, const struct ggl_pyjson *b)
{
    if (a->n != b->n) return false;
    const struct ggl_pyjson *y = b->child;
    for (const struct ggl_pyjson *x = a->child; x; x = x->next) {
        const struct ggl_pyjson *other = a->kind == GGL_PYJSON_OBJECT ? member(b, x->key) : y;
        if (!other || !suite_json_equal(x, other)) return false;
        y = y->next;
    }
    return true;
}

/* Integers may be larger than a double holds exactly, so two of them are compared by their digits. */
bool suite_json_equal(const struct ggl_pyjson *a, const struct ggl_pyjson *b)
{
    if (a->kind != b->kind) return is_number(a) && is_number(b) && number(a) == number(b);
    switch (a->kind) {
    case GGL_PYJSON_INT:
    case GGL_PYJSON_STRING: return same_bytes(a->text, b->text);
    case GGL_PYJSON_REAL: return a->real == b->real; /* NaN is never expected */
    case GGL_PYJSON_ARRAY:
    case GGL_PYJSON_OBJECT: return same_children(a, b);
    default: return true;
    }
}

/* ---- tool calls */

/* A model may write arguments that are no JSON: then they are not the expected ones. */
static bool same_call(struct ggl_chat_arena *arena, const struct ggl_pyjson *call, const struct ggl_pyjson *expected)
{
    const struct ggl_pyjson *function = ggl_pyjson_get(call, "function"), *name = ggl_pyjson_get(function, "name");
    const struct ggl_pyjson *text = ggl_pyjson_get(function, "arguments");
    struct ggl_pyjson *arguments;
    if (!name || !text || !suite_json_equal(name, ggl_pyjson_get(expected, "name"))) return false;
    if (ggl_pyjson_read(arena, text->text, "arguments", &arguments, NULL)) return false;
    return suite_json_equal(arguments, ggl_pyjson_get(expected, "arguments"));
}

bool suite_calls_equal(struct ggl_chat_arena *arena, const struct ggl_pyjson *calls, const struct ggl_pyjson *expected)
{
    if (!calls || calls->n != expected->n) return false;
    const struct ggl_pyjson *e = expected->child;
    for (const struct ggl_pyjson *c = calls->child; c; c = c->next, e = e->next)
        if (!same_call(arena, c, e)) return false;
    return true;
}
