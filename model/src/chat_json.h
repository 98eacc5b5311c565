/*
 * JSON as Python's json module reads and writes it, because the official encoder puts json.dumps' text into the
 * prompt.  Reading: json.loads with its extensions (NaN, Infinity, integers of any size, later duplicate keys
 * replace the value of the first).  Writing: json.dumps(ensure_ascii=False).  A general JSON library changes
 * numbers and refuses some of these texts, so this one is our own; nothing depends on the locale.
 *
 * A tree lives in its arena; strings are UTF-8, may hold zero bytes and are not terminated.
 */
#ifndef GGL_CHAT_JSON_H
#define GGL_CHAT_JSON_H

#include "ggml-lite/status.h"
#include "model/src/chat_text.h"

enum ggl_pyjson_kind {
    GGL_PYJSON_NULL,
    GGL_PYJSON_FALSE,
    GGL_PYJSON_TRUE,
    GGL_PYJSON_INT,  /* text: the digits */
    GGL_PYJSON_REAL, /* real */
    GGL_PYJSON_STRING,
    GGL_PYJSON_ARRAY,
    GGL_PYJSON_OBJECT,
};

struct ggl_pyjson {
    enum ggl_pyjson_kind kind;
    struct ggl_chat_span text;
    double real;
    size_t n;                    /* children of an array or object */
    struct ggl_pyjson *child;      /* the first */
    struct ggl_pyjson *next;       /* the next sibling */
    struct ggl_chat_span key;         /* of an object's member */
};

#define GGL_PYJSON_DEPTH 512 /* most levels of arrays and objects */

/* The whole text is one value.  `name` says in errors what it is.  FORMAT: not JSON; UNSUPPORTED: JSON that we
 * cannot hold (a lone surrogate, deeper than GGL_PYJSON_DEPTH); NOMEM. */
enum ggl_status ggl_pyjson_read(struct ggl_chat_arena *arena, struct ggl_chat_span text, const char *name,
                              struct ggl_pyjson **out, struct ggl_error *err);

/* A member of an object, or NULL (also when v is NULL or no object). */
const struct ggl_pyjson *ggl_pyjson_get(const struct ggl_pyjson *v, const char *key);
/* Python's truth: false for NULL, null, false, zero and everything empty. */
bool ggl_pyjson_truth(const struct ggl_pyjson *v);
/* NULL, or null: absent for most purposes. */
bool ggl_pyjson_missing(const struct ggl_pyjson *v);
bool ggl_pyjson_equals(const struct ggl_pyjson *v, const char *text); /* v is that string */

/* What v is, in a few words for messages: "a number", a string itself; NULL is "nothing".  May return buf. */
#define GGL_PYJSON_DESCRIBE 96
const char *ggl_pyjson_describe(const struct ggl_pyjson *v, char buf[GGL_PYJSON_DESCRIBE]);

void ggl_pyjson_write(struct ggl_chat_text *out, const struct ggl_pyjson *v);
void ggl_pyjson_write_string(struct ggl_chat_text *out, struct ggl_chat_span s); /* with quotes */
void ggl_pyjson_escape(struct ggl_chat_text *out, struct ggl_chat_span s);       /* without */

/* chat_number.c: decimal text [-]digits[.digits][e[+-]digits] <-> double, correctly rounded. */
double ggl_chat_decimal_read(const char *s, size_t n); /* infinite when too large */
size_t ggl_chat_double_repr(double x, char out[32]);   /* Python's repr: the shortest text that reads back as x */

#endif
