/* Python's json.loads and json.dumps(ensure_ascii=False): see chat_json.h. */
#include "model/src/chat_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct ggl_chat_arena *arena;
    const char *text;
    size_t size, at;
    const char *name;
    size_t lone; /* the end of a lone surrogate's escape, or 0 */
    struct ggl_error *err;
};

static enum ggl_status bad(struct reader *r, const char *found, const char *expected)
{
    return ggl_fail(r->err, GGL_ERR_FORMAT, NULL, r->at, found, expected, "%s: JSON", r->name);
}

static enum ggl_status no_memory(struct reader *r)
{
    return ggl_fail(r->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: JSON", r->name);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->size && strchr(" \t\n\r", r->text[r->at]) && r->text[r->at]) r->at++;
}

static bool next_is(const struct reader *r, char c)
{
    return r->at < r->size && r->text[r->at] == c;
}

static bool next_is_digit(const struct reader *r)
{
    return r->at < r->size && r->text[r->at] >= '0' && r->text[r->at] <= '9';
}

/* ---- strings */

/* Four hexadecimal digits after a \u. */
static bool read_hex4(struct reader *r, unsigned *out)
{
    unsigned v = 0;
    if (r->size - r->at < 4) return false;
    for (int i = 0; i < 4; i++) {
        char c = r->text[r->at + (size_t)i];
        int digit = c >= '0' && c <= '9' ? c - '0' : -1;
        if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
        if (digit < 0) return false;
        v = v * 16 + (unsigned)digit;
    }
    r->at += 4;
    *out = v;
    return true;
}

static size_t put_utf8(char *out, unsigned c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (char)c;
        return 1;
    }
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00u >> n) | c);
    return n;
}

/* After "\u": one code point, or the two escapes of a surrogate pair. */
static enum ggl_status read_unicode(struct reader *r, char *out, size_t *n)
{
    unsigned c, low;
    if (!read_hex4(r, &c)) return bad(r, NULL, "four hexadecimal digits after \\u");
    if (c >= 0xd800 && c < 0xdc00 && r->size - r->at >= 6 && r->text[r->at] == '\\' && r->text[r->at + 1] == 'u') {
        size_t before = r->at;
        r->at += 2;
        if (!read_hex4(r, &low)) return bad(r, NULL, "four hexadecimal digits after \\u");
        if (low >= 0xdc00 && low < 0xe000) c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else r->at = before;
    }
    if (c >= 0xd800 && c < 0xe000) { /* JSON, but no text: reported when all of it is known to be JSON */
        r->lone = r->at;
        c = 0xfffd;
    }
    *n += put_utf8(out + *n, c);
    return GGL_OK;
}

/* A string, its opening quote being next.  Escapes never make it longer, so the source's length is enough room. */
static enum ggl_status read_string(struct reader *r, struct ggl_chat_span *out)
{
    size_t end = ++r->at, n = 0;
    while (end < r->size && r->text[end] != '"') end += r->text[end] == '\\' && end + 1 < r->size ? 2 : 1;
    if (end >= r->size) return r->at = r->size, bad(r, "the end of the text", "a closing quote");
    char *s = ggl_chat_arena_alloc(r->arena, end - r->at);
    if (!s) return no_memory(r);
    while (r->at < end) {
        const char *p = r->text + r->at;
        if (*p == '\\') {
            static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
            const char *name = p[1] ? strchr(names, p[1]) : NULL;
            r->at += 2;
            if (name) {
                s[n++] = values[name - names];
            } else if (p[1] == 'u') {
                enum ggl_status status = read_unicode(r, s, &n);
                if (status) return status;
            } else {
                return bad(r, NULL, "an escape");
            }
            continue;
        }
        int len = ggl_chat_utf8_length(p, end - r->at);
        if (!len) return bad(r, NULL, "UTF-8");
        if ((unsigned char)*p < 0x20) return bad(r, "a control character in a string", "an escape");
        memcpy(s + n, p, (size_t)len);
        n += (size_t)len;
        r->at += (size_t)len;
    }
    r->at = end + 1;
    *out = ggl_chat_span_of(s, n);
    return GGL_OK;
}

/* ---- numbers and names */

static enum ggl_status read_number(struct reader *r, struct ggl_pyjson *v)
{
    size_t start = r->at;
    v->kind = GGL_PYJSON_INT;
    if (next_is(r, '-')) r->at++;
    if (!next_is_digit(r)) return bad(r, NULL, "a value");
    if (next_is(r, '0')) r->at++;
    else
        while (next_is_digit(r)) r->at++;
    size_t end = r->at;
    if (next_is(r, '.')) {
        r->at++;
        if (next_is_digit(r)) {
            while (next_is_digit(r)) r->at++;
            end = r->at;
            v->kind = GGL_PYJSON_REAL;
        }
        r->at = end;
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        r->at++;
        if (next_is(r, '+') || next_is(r, '-')) r->at++;
        if (next_is_digit(r)) {
            while (next_is_digit(r)) r->at++;
            end = r->at;
            v->kind = GGL_PYJSON_REAL;
        }
        r->at = end; /* "1e" is 1 and then an error for whoever reads on */
    }
    v->text = ggl_chat_span_of(r->text + start, end - start);
    if (v->kind == GGL_PYJSON_REAL) v->real = ggl_chat_decimal_read(v->text.data, v->text.size);
    else if (v->text.size == 2 && !memcmp(v->text.data, "-0", 2))
        v->text = ggl_chat_span_of("0", 1); /* an integer has one zero */
    return GGL_OK;
}

static bool read_word(struct reader *r, struct ggl_pyjson *v)
{
    static const struct {
        const char *word;
        enum ggl_pyjson_kind kind;
        double real;
    } words[] = {
        {"null", GGL_PYJSON_NULL, 0}, {"true", GGL_PYJSON_TRUE, 0},          {"false", GGL_PYJSON_FALSE, 0},
        {"NaN", GGL_PYJSON_REAL, NAN}, {"Infinity", GGL_PYJSON_REAL, HUGE_VAL}, {"-Infinity", GGL_PYJSON_REAL, -HUGE_VAL},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i].word);
        if (r->size - r->at < n || memcmp(r->text + r->at, words[i].word, n)) continue;
        v->kind = words[i].kind;
        v->real = words[i].real;
        r->at += n;
        return true;
    }
    return false;
}

/* ---- duplicate keys */

struct member {
    struct ggl_pyjson *node;
    size_t order;
};

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    struct ggl_chat_span k = x->node->key, l = y->node->key;
    size_t n = k.size < l.size ? k.size : l.size;
    int c = n ? memcmp(k.data, l.data, n) : 0;
    if (!c) c = (k.size > l.size) - (k.size < l.size);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static bool same_key(const struct ggl_pyjson *a, const struct ggl_pyjson *b)
{
    return a->key.size == b->key.size && (!a->key.size || !memcmp(a->key.data, b->key.data, a->key.size));
}

/* Of members with the same key the first keeps its place and takes the last one's value. */
static enum ggl_status drop_duplicates(struct reader *r, struct ggl_pyjson *object)
{
    size_t n = object->n, k = 0;
    if (n < 2) return GGL_OK;
    struct member *m = malloc(n * sizeof(*m));
    if (!m) return no_memory(r);
    for (struct ggl_pyjson *c = object->child; c; c = c->next, k++) {
        m[k].node = c;
        m[k].order = k;
    }
    qsort(m, n, sizeof(*m), by_key);
    bool found = false;
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && same_key(m[i].node, m[j].node); j++) found = true;
        if (j - i < 2) continue;
        struct ggl_pyjson *first = m[i].node, last = *m[j - 1].node;
        last.next = first->next;
        *first = last;
        for (size_t d = i + 1; d < j; d++) m[d].node->key.data = NULL; /* to be unlinked below */
    }
    if (found) {
        object->n = 1; /* the first member is never a repetition */
        for (struct ggl_pyjson *c = object->child; c->next;) {
            if (!c->next->key.data) c->next = c->next->next;
            else c = c->next, object->n++;
        }
    }
    free(m);
    return GGL_OK;
}

/* ---- values */

static enum ggl_status read_value(struct reader *r, struct ggl_pyjson *v, int depth);

/* One member's key and colon, or nothing for an array; then the value. */
static enum ggl_status read_element(struct reader *r, struct ggl_pyjson *parent, struct ggl_pyjson *v, int depth)
{
    enum ggl_status s;
    if (parent->kind == GGL_PYJSON_OBJECT) {
        if (!next_is(r, '"')) return bad(r, NULL, "a member's name in double quotes");
        if ((s = read_string(r, &v->key))) return s;
        skip_space(r);
        if (!next_is(r, ':')) return bad(r, NULL, "':'");
        r->at++;
        skip_space(r);
    }
    return read_value(r, v, depth);
}

static enum ggl_status read_container(struct reader *r, struct ggl_pyjson *v, int depth)
{
    bool object = r->text[r->at++] == '{';
    char close = object ? '}' : ']';
    struct ggl_pyjson **link = &v->child;
    v->kind = object ? GGL_PYJSON_OBJECT : GGL_PYJSON_ARRAY;
    if (depth >= GGL_PYJSON_DEPTH)
        return ggl_fail(r->err, GGL_ERR_UNSUPPORTED, NULL, r->at, NULL, NULL, "%s: JSON nested deeper than %d levels",
                        r->name, GGL_PYJSON_DEPTH);
    skip_space(r);
    if (next_is(r, close)) return r->at++, GGL_OK;
    for (;;) {
        struct ggl_pyjson *c = ggl_chat_arena_alloc(r->arena, sizeof(*c));
        if (!c) return no_memory(r);
        enum ggl_status s = read_element(r, v, c, depth + 1);
        if (s) return s;
        *link = c;
        link = &c->next;
        v->n++;
        skip_space(r);
        if (next_is(r, close)) break;
        if (!next_is(r, ',')) return bad(r, NULL, object ? "',' or '}'" : "',' or ']'");
        r->at++;
        skip_space(r);
    }
    r->at++;
    return object ? drop_duplicates(r, v) : GGL_OK;
}

static enum ggl_status read_value(struct reader *r, struct ggl_pyjson *v, int depth)
{
    if (next_is(r, '{') || next_is(r, '[')) return read_container(r, v, depth);
    if (next_is(r, '"')) {
        v->kind = GGL_PYJSON_STRING;
        return read_string(r, &v->text);
    }
    if (read_word(r, v)) return GGL_OK;
    return read_number(r, v);
}

enum ggl_status ggl_pyjson_read(struct ggl_chat_arena *arena, struct ggl_chat_span text, const char *name,
                              struct ggl_pyjson **out, struct ggl_error *err)
{
    struct reader r = {.arena = arena, .text = text.data, .size = text.size, .name = name, .err = err};
    struct ggl_pyjson *v = ggl_chat_arena_alloc(arena, sizeof(*v));
    if (!v) return no_memory(&r);
    skip_space(&r);
    enum ggl_status s = read_value(&r, v, 0);
    if (s) return s;
    skip_space(&r);
    if (r.at < r.size) return bad(&r, "more text after the value", "the end");
    if (r.lone)
        return ggl_fail(err, GGL_ERR_UNSUPPORTED, NULL, r.lone, "a lone surrogate", "Unicode text", "%s: JSON string", name);
    *out = v;
    return GGL_OK;
}

const struct ggl_pyjson *ggl_pyjson_get(const struct ggl_pyjson *v, const char *key)
{
    if (!v || v->kind != GGL_PYJSON_OBJECT) return NULL;
    size_t n = strlen(key);
    for (const struct ggl_pyjson *c = v->child; c; c = c->next)
        if (c->key.size == n && !memcmp(c->key.data, key, n)) return c;
    return NULL;
}

bool ggl_pyjson_missing(const struct ggl_pyjson *v)
{
    return !v || v->kind == GGL_PYJSON_NULL;
}

bool ggl_pyjson_truth(const struct ggl_pyjson *v)
{
    if (ggl_pyjson_missing(v)) return false;
    switch (v->kind) {
    case GGL_PYJSON_TRUE: return true;
    case GGL_PYJSON_INT: return !(v->text.size == 1 && v->text.data[0] == '0');
    case GGL_PYJSON_REAL: return v->real != 0;
    case GGL_PYJSON_STRING: return v->text.size > 0;
    case GGL_PYJSON_ARRAY:
    case GGL_PYJSON_OBJECT: return v->n > 0;
    default: return false;
    }
}

bool ggl_pyjson_equals(const struct ggl_pyjson *v, const char *text)
{
    size_t n = strlen(text);
    return v && v->kind == GGL_PYJSON_STRING && v->text.size == n && (!n || !memcmp(v->text.data, text, n));
}

const char *ggl_pyjson_describe(const struct ggl_pyjson *v, char buf[GGL_PYJSON_DESCRIBE])
{
    static const char *const names[] = {"null", "false", "true", "a number", "a number", "a string", "an array", "an object"};
    if (!v || v->kind != GGL_PYJSON_STRING) return v ? names[v->kind] : "nothing";
    size_t n = 0;
    while (n < 60 && n < v->text.size) n += (size_t)ggl_chat_utf8_length(v->text.data + n, v->text.size - n);
    snprintf(buf, GGL_PYJSON_DESCRIBE, "\"%.*s\"", (int)n, v->text.data);
    return buf;
}

/* ---- writing */

void ggl_pyjson_escape(struct ggl_chat_text *out, struct ggl_chat_span s)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf", hex[] = "0123456789abcdef";
    size_t plain = 0;
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char *p = c ? strchr(from, c) : NULL;
        if (p) escape[1] = to[p - from];
        ggl_chat_text_add(out, s.data + plain, i - plain);
        ggl_chat_text_add(out, escape, p ? 2 : 6);
        plain = i + 1;
    }
    if (s.size > plain) ggl_chat_text_add(out, s.data + plain, s.size - plain);
}

void ggl_pyjson_write_string(struct ggl_chat_text *out, struct ggl_chat_span s)
{
    ggl_chat_text_add(out, "\"", 1);
    ggl_pyjson_escape(out, s);
    ggl_chat_text_add(out, "\"", 1);
}

static void write_container(struct ggl_chat_text *out, const struct ggl_pyjson *v)
{
    bool object = v->kind == GGL_PYJSON_OBJECT;
    ggl_chat_text_str(out, object ? "{" : "[");
    for (const struct ggl_pyjson *c = v->child; c; c = c->next) {
        if (c != v->child) ggl_chat_text_str(out, ", ");
        if (object) {
            ggl_pyjson_write_string(out, c->key);
            ggl_chat_text_str(out, ": ");
        }
        ggl_pyjson_write(out, c);
    }
    ggl_chat_text_str(out, object ? "}" : "]");
}

void ggl_pyjson_write(struct ggl_chat_text *out, const struct ggl_pyjson *v)
{
    char number[32];
    switch (v->kind) {
    case GGL_PYJSON_NULL: ggl_chat_text_str(out, "null"); break;
    case GGL_PYJSON_FALSE: ggl_chat_text_str(out, "false"); break;
    case GGL_PYJSON_TRUE: ggl_chat_text_str(out, "true"); break;
    case GGL_PYJSON_INT: ggl_chat_text_span(out, v->text); break;
    case GGL_PYJSON_REAL: ggl_chat_text_add(out, number, ggl_chat_double_repr(v->real, number)); break;
    case GGL_PYJSON_STRING: ggl_pyjson_write_string(out, v->text); break;
    case GGL_PYJSON_ARRAY:
    case GGL_PYJSON_OBJECT: write_container(out, v); break;
    }
}
