/* JSON files: limits first, then jansson. */
#include "gguf-convert/src/json.h"

#ifdef GGL_HAVE_JANSSON
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ggml-lite/src/file.h"

/* ---- one look at the text before jansson sees it */

struct scan {
    size_t too_deep;   /* where the nesting passes the limit; SIZE_MAX: nowhere */
    uint64_t n_string; /* bytes in all strings and keys, decoded */
};

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) v = v << 4 | (unsigned)(p[i] <= '9' ? p[i] & 15 : (p[i] & 15) + 9);
    return v;
}

/* From behind a string's first quote to behind its last one; adds its decoded bytes. */
static size_t scan_string(const char *text, size_t n, size_t i, uint64_t *bytes)
{
    for (; i < n && text[i] != '"'; i++) {
        if (text[i] != '\\') {
            ++*bytes;
        } else if (++i < n && text[i] == 'u' && n - i > 4) {
            unsigned c = hex4(text + i + 1);
            bool pair = c >= 0xd800 && c < 0xe000; /* two escapes, four bytes in all */
            *bytes += pair ? 2 : c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
            i += 4;
        } else {
            ++*bytes;
        }
    }
    return i + 1;
}

/* Jansson's own limit on nesting is thousands of stack frames.  Up to the first syntax error, where jansson stops,
 * this scan and jansson agree on what a string is. */
static struct scan scan_text(const char *text, size_t n, unsigned max_depth)
{
    struct scan scan = {SIZE_MAX, 0};
    unsigned depth = 0;
    for (size_t i = 0; i < n;) {
        char c = text[i++];
        if (c == '"') {
            i = scan_string(text, n, i, &scan.n_string);
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth) {
                scan.too_deep = i - 1;
                return scan;
            }
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return scan;
}

/* Bytes of all strings and keys; recursion is as deep as the text, which was checked. */
static uint64_t string_bytes(json_t *value)
{
    const char *key;
    json_t *child;
    size_t i;
    uint64_t n = 0;
    if (json_is_string(value)) return json_string_length(value);
    json_object_foreach(value, key, child) n += strlen(key) + string_bytes(child);
    json_array_foreach(value, i, child) n += string_bytes(child);
    return n;
}

/* Jansson drops a character of a string, or reports a syntax error, when memory runs out for a moment: so the
 * strings are counted, and only what fails twice is believed. */
static json_t *parse_text(const void *text, size_t n, uint64_t n_string, json_error_t *e)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, e);
        if (root && string_bytes(root) == n_string) return root;
        if (root) e->line = -1;
        json_decref(root);
    }
    return NULL;
}

enum ggl_status ggl_json_parse(const char *path, uint64_t offset, const void *text, size_t n, unsigned max_depth,
                               json_t **out, struct ggl_error *err)
{
    if (!n || *(const char *)text != '{') {
        return ggl_fail(err, GGL_ERR_FORMAT, path, offset, n ? "another first byte" : "no bytes", "'{'",
                        "JSON text: first byte");
    }
    struct scan scan = scan_text(text, n, max_depth);
    if (scan.too_deep != SIZE_MAX) {
        char found[32], expected[32];
        snprintf(found, sizeof(found), "more than %u levels", max_depth);
        snprintf(expected, sizeof(expected), "at most %u", max_depth);
        return ggl_fail(err, GGL_ERR_FORMAT, path, offset + scan.too_deep, found, expected, "JSON text: nesting");
    }
    json_error_t e;
    json_t *root = parse_text(text, n, scan.n_string, &e);
    if (!root) {
        if (e.line < 0 || json_error_code(&e) == json_error_out_of_memory) {
            return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "JSON text");
        }
        uint64_t at = e.position > 0 ? offset + (uint64_t)e.position : offset;
        return ggl_fail(err, GGL_ERR_FORMAT, path, at, e.text, NULL, "JSON text: line %d", e.line);
    }
    *out = root;
    return GGL_OK;
}

enum ggl_status ggl_json_load(const char *path, uint64_t max_bytes, unsigned max_depth, json_t **out,
                              struct ggl_error *err)
{
    struct ggl_map map = {0};
    enum ggl_status s = ggl_map_open(path, &map, err);
    if (s) return s;
    if (map.size > max_bytes) {
        char found[48], expected[48];
        snprintf(found, sizeof(found), "%" PRIu64 " bytes", map.size);
        snprintf(expected, sizeof(expected), "at most %" PRIu64, max_bytes);
        s = ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, found, expected, "file size");
    } else {
        s = ggl_json_parse(path, 0, map.data, (size_t)map.size, max_depth, out, err);
    }
    ggl_map_close(&map);
    return s;
}

const char *ggl_json_describe(const json_t *value, char buf[64])
{
    if (!value) {
        snprintf(buf, 64, "missing");
        return buf;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT: snprintf(buf, 64, "an object"); break;
    case JSON_ARRAY: snprintf(buf, 64, "an array of %zu", json_array_size(value)); break;
    case JSON_STRING: snprintf(buf, 64, "\"%.50s\"", json_string_value(value)); break;
    case JSON_INTEGER: snprintf(buf, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: snprintf(buf, 64, "%g", json_real_value(value)); break;
    case JSON_TRUE: snprintf(buf, 64, "true"); break;
    case JSON_FALSE: snprintf(buf, 64, "false"); break;
    case JSON_NULL: snprintf(buf, 64, "null"); break;
    }
    return buf;
}
#endif
