/* JSON files: limits first, then jansson. */
#include "gguf-convert/src/json.h"

#ifdef GGL_HAVE_JANSSON
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ggml-lite/src/file.h"

/* Nesting is checked before jansson sees the text: its own limit is thousands of stack frames.  Up to the first
 * syntax error, where jansson stops, this scan and jansson agree on what a string is. */
static bool depth_fits(const char *text, size_t n, unsigned max_depth, size_t *where)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth) {
                *where = i;
                return false;
            }
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return true;
}

enum ggl_status ggl_json_parse(const char *path, uint64_t offset, const void *text, size_t n, unsigned max_depth,
                               json_t **out, struct ggl_error *err)
{
    size_t where = 0;
    if (!n || *(const char *)text != '{') {
        return ggl_fail(err, GGL_ERR_FORMAT, path, offset, n ? "another first byte" : "no bytes", "'{'",
                        "JSON text: first byte");
    }
    if (!depth_fits(text, n, max_depth, &where)) {
        char found[32], expected[32];
        snprintf(found, sizeof(found), "more than %u levels", max_depth);
        snprintf(expected, sizeof(expected), "at most %u", max_depth);
        return ggl_fail(err, GGL_ERR_FORMAT, path, offset + where, found, expected, "JSON text: nesting");
    }
    json_error_t e;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    if (!root) {
        if (json_error_code(&e) == json_error_out_of_memory) {
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
