/*
 * Files: read-only mappings, and output that appears under its name only when
 * it is complete.  Regular files only: a FIFO, device or directory is refused
 * without blocking.  Paths are UTF-8.
 */
#ifndef GGL_FILE_H
#define GGL_FILE_H

#include <stddef.h>
#include "ggml-lite/status.h"

struct ggl_map {
    const uint8_t *data; /* NULL for an empty file */
    uint64_t size;
    void *handle;        /* private */
};

/* A regular file for reading with pread; its size is what it had then. */
GGL_API enum ggl_status ggl_file_open(const char *path, int *fd, uint64_t *size, struct ggl_error *err);
/* Map a whole regular file read-only and shared.  NOT_FOUND: cannot be opened; IO; NOMEM. */
GGL_API enum ggl_status ggl_map_open(const char *path, struct ggl_map *map, struct ggl_error *err);
GGL_API void ggl_map_close(struct ggl_map *map); /* accepts a zeroed struct */

/* A file being written: PATH.tmp.<pid>, renamed by finish.  ARGUMENT: exists, and not to be overwritten; CREATE;
 * IO with the system's reason (disk full, ...); NOMEM. */
struct ggl_output;
GGL_API enum ggl_status ggl_output_open(const char *path, bool overwrite, struct ggl_output **out, struct ggl_error *err);
GGL_API enum ggl_status ggl_output_write(struct ggl_output *o, const void *data, size_t n, struct ggl_error *err);
/* Overwrite bytes written earlier. */
GGL_API enum ggl_status ggl_output_patch(struct ggl_output *o, uint64_t offset, const void *data, size_t n,
                                         struct ggl_error *err);
/* flush, fsync and close, but keep the temporary name: for outputs of several files that appear together. */
GGL_API enum ggl_status ggl_output_seal(struct ggl_output *o, struct ggl_error *err);
/* flush, fsync, rename, fsync the directory; frees o, also on error (the temporary file is then removed). */
GGL_API enum ggl_status ggl_output_finish(struct ggl_output *o, struct ggl_error *err);
GGL_API void ggl_output_abort(struct ggl_output *o); /* removes the temporary file; accepts NULL */

/* The same under the name PATH.part, which whoever was stopped leaves behind: */
enum ggl_output_part {
    GGL_OUTPUT_NEW,      /* CREATE: there is one already */
    GGL_OUTPUT_RESUME,   /* it may be there; what _skip does not take over is written again */
    GGL_OUTPUT_RENAMING, /* it was sealed: it is there, or has its final name already and is then only read */
};
/* A file that _finish fails to rename stays. */
GGL_API enum ggl_status ggl_output_open_part(const char *path, bool overwrite, enum ggl_output_part part,
                                             struct ggl_output **out, struct ggl_error *err);
GGL_API uint64_t ggl_output_part_bytes(const char *path); /* on disk, of PATH.part; 0: there is none */
/* The next n bytes are in the file: they are read, in pieces, for `look`.  FORMAT: they are not. */
typedef enum ggl_status ggl_output_look(void *user, const void *data, size_t n, struct ggl_error *err);
GGL_API enum ggl_status ggl_output_skip(struct ggl_output *o, uint64_t n, ggl_output_look *look, void *user,
                                        struct ggl_error *err);
/* Hand everything to the system.  *fd: the caller's, to fdatasync and close; -1: the output is sealed. */
GGL_API enum ggl_status ggl_output_flush(struct ggl_output *o, int *fd, struct ggl_error *err);
/* The last failure was a full disk, quota or file size limit; accepts NULL. */
GGL_API bool ggl_output_no_room(const struct ggl_output *o);
GGL_API void ggl_output_suspend(struct ggl_output *o); /* like _abort, but the file stays */
/* IO, with both numbers, when the disk that path would lie on has less than `bytes` free; CREATE: no such folder. */
GGL_API enum ggl_status ggl_output_room(const char *path, uint64_t bytes, struct ggl_error *err);

#endif
