/*
 * Status codes and the error struct that every fallible call fills in.
 *
 *     struct ggl_error err = {0};
 *     if (ggl_model_load(path, &params, &model, &err)) {
 *         char line[GGL_ERROR_LINE];
 *         fprintf(stderr, "app: %s\n", ggl_error_line(&err, line, sizeof(line)));
 *     }
 *
 * The library never prints, exits or aborts; `err` may always be NULL.
 * Thread-safety: an error struct belongs to its caller; there is no global state.
 */
#ifndef GGL_STATUS_H
#define GGL_STATUS_H

#include <stdint.h>
#include "quant/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ggl_status {
    GGL_OK = 0,
    GGL_ERR_NOMEM,       /* an allocation failed */
    GGL_ERR_IO,          /* reading or writing failed; the system's reason is in `found` */
    GGL_ERR_FORMAT,      /* a file, checkpoint, prompt or token breaks the rules of its format */
    GGL_ERR_UNSUPPORTED, /* valid, but not something that this build can do */
    GGL_ERR_ARGUMENT,    /* a value the caller passed is out of range */
    GGL_ERR_STATE,       /* the call does not fit the object's state (busy, forked, no tokenizer) */
    GGL_ERR_CANCELLED,   /* the cancel flag was set, or a callback said stop */
    GGL_ERR_DEVICE,      /* an accelerator failed */
    GGL_ERR_LIMIT,       /* a configured limit (context, memory) would be exceeded */
    GGL_ERR_NOT_FOUND,   /* a file or directory cannot be opened; a key or tensor is absent */
    GGL_ERR_CREATE,      /* an output file cannot be created */
};

#define GGL_NO_OFFSET  UINT64_MAX
#define GGL_ERROR_LINE 1024

struct ggl_error {
    enum ggl_status status;
    char path[384];    /* file, or "" */
    char what[256];    /* "blk.3.attn_q_a.weight: dim 1" */
    char found[128];   /* "1536", or "" */
    char expected[160]; /* "1024", or "" */
    uint64_t offset;   /* byte offset in path, or GGL_NO_OFFSET */
};

/* "bad format", "out of memory", ...: a few words for a status. */
GGL_API const char *ggl_status_name(enum ggl_status status);

/* The exit code of a tool that stops with this status: OK 0; ARGUMENT 2; FORMAT and UNSUPPORTED 65; NOT_FOUND 66;
 * NOMEM, STATE, DEVICE and unknown values 70; CREATE 73; IO 74; LIMIT 75; CANCELLED 130. */
GGL_API int ggl_status_exit_code(enum ggl_status status);

/* One line without a newline: "path: what is found, expected expected (at byte n)"; for IO, NOT_FOUND and CREATE
 * "path: what: found ...", where found is the system's reason.  Control characters are replaced.  Returns buf. */
GGL_API const char *ggl_error_line(const struct ggl_error *err, char *buf, size_t n);

/* Fill err (may be NULL) and return status.  path, found and expected may be NULL; `what` is a format.
 * Over-long texts are cut. */
GGL_API enum ggl_status ggl_fail(struct ggl_error *err, enum ggl_status status, const char *path, uint64_t offset,
                                 const char *found, const char *expected, const char *what, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 7, 8)))
#endif
    ;

#ifdef __cplusplus
}
#endif
#endif
