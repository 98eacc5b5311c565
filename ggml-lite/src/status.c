/*
 * Status names, exit codes and the error struct: how a failure becomes one
 * line of text.  Nothing here allocates, so running out of memory can be told.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "ggml-lite/status.h"

static const struct {
    const char *name;
    int exit_code;
} statuses[] = {
    [GGL_OK] = {"ok", 0},
    [GGL_ERR_NOMEM] = {"out of memory", 70},
    [GGL_ERR_IO] = {"input/output error", 74},
    [GGL_ERR_FORMAT] = {"bad format", 65},
    [GGL_ERR_UNSUPPORTED] = {"not supported", 65},
    [GGL_ERR_ARGUMENT] = {"bad argument", 2},
    [GGL_ERR_STATE] = {"wrong state", 70},
    [GGL_ERR_CANCELLED] = {"cancelled", 130},
    [GGL_ERR_DEVICE] = {"device error", 70},
    [GGL_ERR_LIMIT] = {"limit exceeded", 75},
    [GGL_ERR_NOT_FOUND] = {"not found", 66},
    [GGL_ERR_CREATE] = {"cannot create", 73},
};
#define N_STATUSES (sizeof(statuses) / sizeof(statuses[0]))

const char *ggl_status_name(enum ggl_status status)
{
    return (unsigned)status < N_STATUSES ? statuses[status].name : "unknown status";
}

int ggl_status_exit_code(enum ggl_status status)
{
    return (unsigned)status < N_STATUSES ? statuses[status].exit_code : 70;
}

static void copy_text(char *to, size_t n, const char *from)
{
    size_t len = from ? strlen(from) : 0;
    if (len >= n) len = n - 1;
    if (len) memcpy(to, from, len);
    to[len] = '\0';
}

/* A path is told apart from its neighbours by its end. */
static void copy_path(char *to, size_t n, const char *path)
{
    size_t len = path ? strlen(path) : 0;
    copy_text(to, n, len >= n ? path + (len - (n - 1)) : path);
}

enum ggl_status ggl_fail(struct ggl_error *err, enum ggl_status status, const char *path, uint64_t offset,
                         const char *found, const char *expected, const char *what, ...)
{
    if (!err) return status;
    va_list args;
    struct ggl_error e = {.status = status, .offset = offset};
    copy_path(e.path, sizeof(e.path), path);
    copy_text(e.found, sizeof(e.found), found);
    copy_text(e.expected, sizeof(e.expected), expected);
    va_start(args, what);
    if (vsnprintf(e.what, sizeof(e.what), what, args) < 0) e.what[0] = '\0';
    va_end(args);
    *err = e; /* last: the arguments may point into *err */
    return status;
}

/* Append `text` with control characters replaced: names and values from files reach terminals this way. */
static void append(char *buf, size_t n, size_t *used, const char *text)
{
    for (; *text && *used + 1 < n; text++) {
        unsigned char c = (unsigned char)*text;
        buf[(*used)++] = (c < 0x20 || c == 0x7f) ? '?' : (char)c;
    }
    buf[*used] = '\0';
}

const char *ggl_error_line(const struct ggl_error *err, char *buf, size_t n)
{
    if (!n) return buf;
    size_t used = 0;
    buf[0] = '\0';
    if (err->path[0]) {
        append(buf, n, &used, err->path);
        append(buf, n, &used, ": ");
    }
    append(buf, n, &used, err->what[0] ? err->what : ggl_status_name(err->status));
    if (err->found[0]) {
        /* What the system says is a sentence of its own. */
        bool reason = err->status == GGL_ERR_IO || err->status == GGL_ERR_NOT_FOUND || err->status == GGL_ERR_CREATE;
        append(buf, n, &used, reason ? ": " : " is ");
        append(buf, n, &used, err->found);
    }
    if (err->expected[0]) {
        append(buf, n, &used, ", expected ");
        append(buf, n, &used, err->expected);
    }
    if (err->offset != GGL_NO_OFFSET) {
        char at[40];
        snprintf(at, sizeof(at), " (at byte %llu)", (unsigned long long)err->offset);
        append(buf, n, &used, at);
    }
    return buf;
}
