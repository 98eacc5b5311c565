/*
 * JSON files read through jansson, with what jansson leaves to its caller: a limit on size and nesting, and one
 * kind of error message.  Only compiled when the build has jansson.
 */
#ifndef GGL_CONVERT_JSON_H
#define GGL_CONVERT_JSON_H

#ifdef GGL_HAVE_JANSSON
#include <jansson.h>
#include <stddef.h>
#include "ggml-lite/status.h"

/* Parse text[0..n), an object.  Duplicate keys, invalid UTF-8, NUL in a string and more than max_depth levels are
 * errors.  `offset` is where the text starts in `path`. */
enum ggl_status ggl_json_parse(const char *path, uint64_t offset, const void *text, size_t n, unsigned max_depth,
                               json_t **out, struct ggl_error *err);

/* The same for a whole file of at most max_bytes. */
enum ggl_status ggl_json_load(const char *path, uint64_t max_bytes, unsigned max_depth, json_t **out,
                              struct ggl_error *err);

/* A few words for what a value is: "3", "\"text\"", "an array", "missing" (NULL).  Returns buf. */
const char *ggl_json_describe(const json_t *value, char buf[64]);

#endif
#endif
