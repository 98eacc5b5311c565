/*
 * The journal of a conversion, OUTPUT.journal: what is being made of what, and how much of it is on disk.
 *
 * Lines of text, each with a checksum that continues the one of the line before, so that a torn or foreign tail is
 * seen: first the identity of the conversion (versions, options, inputs, the plan's hash), then marks, each written
 * when the data before it is on disk, at last "renaming" when every part is complete and sealed.  It is locked while
 * somebody writes it.
 *
 *     struct journal *j;
 *     if (journal_open(path, JOURNAL_RESUME, identity, &j, &err)) ...
 *     journal_mark(j, fd, &mark, &err);       // fd: to be flushed first, in the background
 *     journal_close(j, true);                 // removes it
 */
#ifndef GGUF_CONVERT_JOURNAL_H
#define GGUF_CONVERT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include "ggml-lite/status.h"

/* A sum of the data that catches accidents (not forgery), whatever libraries the build has. */
struct data_hash {
    uint64_t lane[4], total;
    uint8_t rest[32];
};
void data_hash_begin(struct data_hash *h);
void data_hash_add(struct data_hash *h, const void *data, size_t n);
uint64_t data_hash_end(const struct data_hash *h);

/* A place between two steps of the plan. */
struct mark {
    uint64_t item, step; /* the next one */
    uint64_t bytes;      /* of data before it */
    uint64_t hash;       /* of the data since the mark before */
};

enum journal_mode {
    JOURNAL_NEW,    /* CREATE: there is one */
    JOURNAL_ANEW,   /* there may be one, which is forgotten */
    JOURNAL_RESUME, /* there may be one, which must have the same identity: ARGUMENT says what differs */
};

struct journal;
/* identity: lines "name value\n".  CREATE: another process holds it, or it cannot be made. */
enum ggl_status journal_open(const char *path, enum journal_mode mode, const char *identity, struct journal **out,
                             struct ggl_error *err);
bool journal_found(const struct journal *j); /* one was there, and it is continued */
bool journal_renaming(const struct journal *j);
uint64_t journal_n_marks(const struct journal *j);
const struct mark *journal_marks(const struct journal *j);
/* The number in a line "name 123" of the identity that a file has; 0: none. */
uint64_t journal_peek(const char *path, const char *name);

/* Forget marks n and later, and "renaming". */
enum ggl_status journal_cut(struct journal *j, uint64_t n, struct ggl_error *err);
/* fdatasync(fd), close it, then append the mark; in the background, where the failure of an earlier one is returned.
 * fd -1: nothing to flush. */
enum ggl_status journal_mark(struct journal *j, int fd, const struct mark *mark, struct ggl_error *err);
enum ggl_status journal_wait(struct journal *j, struct ggl_error *err); /* until every mark is on disk */
enum ggl_status journal_seal(struct journal *j, struct ggl_error *err); /* append "renaming" */
void journal_close(struct journal *j, bool remove);                     /* accepts NULL */

#endif
