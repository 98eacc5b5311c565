/*
 * Files of POSIX systems: shared read-only mappings, and outputs that appear
 * under their name only when they are complete and on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "ggml-lite/src/checked.h"
#include "ggml-lite/src/file.h"
#include "ggml-lite/src/huge.h"

#define BUFFER_BYTES (1u << 20)
#define MAX_CHUNK    (1u << 30) /* Linux moves at most 2^31 - 4096 bytes a call */

static const char *reason(int error, char buf[128])
{
    /* strerror_r has two incompatible signatures; strerror is not thread-safe everywhere. */
    buf[0] = '\0';
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    return strerror_r(error, buf, 128);
#else
    if (strerror_r(error, buf, 128)) snprintf(buf, 128, "error %d", error);
    return buf;
#endif
}

static enum ggl_status fail_errno(struct ggl_error *err, enum ggl_status status, const char *path, int error,
                                  const char *what)
{
    char text[128];
    if (error == ENOMEM) status = GGL_ERR_NOMEM;
    return ggl_fail(err, status, path, GGL_NO_OFFSET, reason(error, text), NULL, "%s", what);
}

/* ---- reading */

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
static enum ggl_status open_regular(const char *path, int *fd, struct stat *st, struct ggl_error *err)
{
    do *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0) return fail_errno(err, GGL_ERR_NOT_FOUND, path, errno, "cannot open");
    if (fstat(*fd, st)) {
        int error = errno;
        close(*fd);
        return fail_errno(err, GGL_ERR_IO, path, error, "cannot stat");
    }
    if (S_ISREG(st->st_mode)) return GGL_OK;
    close(*fd);
    return ggl_fail(err, GGL_ERR_NOT_FOUND, path, GGL_NO_OFFSET,
                    S_ISDIR(st->st_mode) ? "it is a directory" : "it is not a regular file", NULL, "cannot open");
}

enum ggl_status ggl_file_open(const char *path, int *fd, uint64_t *size, struct ggl_error *err)
{
    struct stat st;
    enum ggl_status s = open_regular(path, fd, &st, err);
    if (!s) *size = (uint64_t)st.st_size;
    return s;
}

enum ggl_status ggl_map_open(const char *path, struct ggl_map *map, struct ggl_error *err)
{
    int fd;
    struct stat st;
    *map = (struct ggl_map){0};
    if (!path || !*path)
        return ggl_fail(err, GGL_ERR_NOT_FOUND, path, GGL_NO_OFFSET, "the path is empty", NULL, "cannot open");
    enum ggl_status s = open_regular(path, &fd, &st, err);
    if (s) return s;
    if (st.st_size > 0) {
        uint64_t size = (uint64_t)st.st_size;
        void *data = MAP_FAILED;
        errno = ENOMEM;
        if (size <= SIZE_MAX) data = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            s = fail_errno(err, GGL_ERR_IO, path, errno, "cannot map");
        else
            *map = (struct ggl_map){.data = data, .size = size, .handle = data};
        /* Where the file system can (Linux 6 and XFS, ext4 or btrfs), what is read from now on lies in large pages. */
        if (map->data && size >= GGL_HUGE_PAGE) ggl_ask_for_huge_pages(data, size);
    }
    close(fd);
    return s;
}

void ggl_map_close(struct ggl_map *map)
{
    if (map->handle) munmap(map->handle, (size_t)map->size);
    *map = (struct ggl_map){0};
}

/* ---- writing */

struct ggl_output {
    char *path;      /* final name */
    char *temporary; /* the same with .tmp.<pid>, or .part */
    int fd;          /* -1: sealed */
    bool overwrite;
    bool keep;     /* the temporary file outlives a failure: somebody will go on with it */
    bool in_place; /* it has its final name already and is only read */
    bool no_room;  /* a write failed because disk, quota or limit are exhausted */
    uint64_t written; /* the position, buffer included */
    size_t n_buffered;
    uint8_t *buffer; /* freed by sealing */
};

/* Free o; unless the file got its final name, remove it. */
static void output_free(struct ggl_output *o, bool keep)
{
    if (!o) return;
    if (o->fd >= 0) close(o->fd);
    if (!keep && o->temporary && !o->in_place) unlink(o->temporary);
    free(o->buffer);
    free(o->path);
    free(o->temporary);
    free(o);
}

void ggl_output_abort(struct ggl_output *o)
{
    output_free(o, false);
}

static bool path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static enum ggl_status refuse_existing(const char *path, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_ARGUMENT, path, GGL_NO_OFFSET, NULL, NULL, "the output exists already");
}

/* A file of that name is what a dead process with our id left behind. */
static int create_temporary(const char *path)
{
    int fd, flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY;
    do fd = open(path, flags, 0666);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EEXIST && !unlink(path)) fd = open(path, flags, 0666);
    return fd;
}

static enum ggl_status check_final(const char *path, bool overwrite, struct ggl_error *err)
{
    struct stat st;
    if (!overwrite && path_exists(path)) return refuse_existing(path, err);
    if (stat(path, &st) || S_ISREG(st.st_mode)) return GGL_OK;
    return ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, "it is not a regular file", NULL, "cannot replace");
}

/* No file yet; `end` makes the temporary name. */
static struct ggl_output *output_new(const char *path, const char *end, bool overwrite, struct ggl_error *err)
{
    size_t n = strlen(path), m = strlen(end);
    struct ggl_output *o = calloc(1, sizeof(*o));
    if (o) {
        o->fd = -1;
        o->overwrite = overwrite;
        o->path = malloc(n + 1);
        o->temporary = malloc(n + m + 1);
        o->buffer = malloc(BUFFER_BYTES);
    }
    if (!o || !o->path || !o->temporary || !o->buffer) {
        output_free(o, true);
        ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "output: out of memory");
        return NULL;
    }
    memcpy(o->path, path, n + 1);
    memcpy(o->temporary, path, n);
    memcpy(o->temporary + n, end, m + 1);
    return o;
}

/* Hands o over, or says why its file could not be opened. */
static enum ggl_status output_opened(struct ggl_output *o, struct ggl_output **out, struct ggl_error *err)
{
    if (o->fd >= 0) {
        *out = o;
        return GGL_OK;
    }
    enum ggl_status s = fail_errno(err, GGL_ERR_CREATE, o->temporary, errno, "cannot create");
    output_free(o, true);
    return s;
}

enum ggl_status ggl_output_open(const char *path, bool overwrite, struct ggl_output **out, struct ggl_error *err)
{
    char end[32];
    *out = NULL;
    if (!path || !*path)
        return ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, "the path is empty", NULL, "cannot create");
    enum ggl_status s = check_final(path, overwrite, err);
    if (s) return s;
    snprintf(end, sizeof(end), ".tmp.%ld", (long)getpid());
    struct ggl_output *o = output_new(path, end, overwrite, err);
    if (!o) return GGL_ERR_NOMEM;
    o->fd = create_temporary(o->temporary);
    return output_opened(o, out, err);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !lstat(a, &x) && !lstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

enum ggl_status ggl_output_open_part(const char *path, bool overwrite, enum ggl_output_part part,
                                     struct ggl_output **out, struct ggl_error *err)
{
    *out = NULL;
    struct ggl_output *o = output_new(path, ".part", overwrite, err);
    if (!o) return GGL_ERR_NOMEM;
    bool there = path_exists(o->temporary), twice = there && same_file(path, o->temporary); /* stopped in move_into_place */
    o->keep = true;
    o->in_place = part == GGL_OUTPUT_RENAMING && !there && path_exists(path);
    enum ggl_status s = twice || o->in_place ? GGL_OK : check_final(path, overwrite, err);
    if (s) {
        output_free(o, true);
        return s;
    }
    int flags = o->in_place ? O_RDONLY : O_RDWR | O_CREAT | O_NOFOLLOW | (part == GGL_OUTPUT_NEW ? O_EXCL : 0);
    do o->fd = open(o->in_place ? path : o->temporary, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    while (o->fd < 0 && errno == EINTR);
    return output_opened(o, out, err);
}

uint64_t ggl_output_part_bytes(const char *path)
{
    struct stat st;
    size_t n = strlen(path);
    char *part = malloc(n + sizeof(".part"));
    if (!part) return 0;
    memcpy(part, path, n);
    memcpy(part + n, ".part", sizeof(".part"));
    bool there = !lstat(part, &st) && S_ISREG(st.st_mode);
    free(part);
    return there ? (uint64_t)st.st_blocks * 512 : 0; /* POSIX counts in 512 where it counts */
}

static bool means_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static enum ggl_status write_at(struct ggl_output *o, const uint8_t *data, size_t n, uint64_t offset, struct ggl_error *err)
{
    while (n && !o->in_place) {
        size_t chunk = n < MAX_CHUNK ? n : MAX_CHUNK;
        ssize_t done = pwrite(o->fd, data, chunk, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            int error = done ? errno : ENOSPC;
            o->no_room = means_no_room(error);
            return fail_errno(err, GGL_ERR_IO, o->temporary, error, "cannot write");
        }
        data += done;
        n -= (size_t)done;
        offset += (uint64_t)done;
    }
    return GGL_OK;
}

static enum ggl_status flush_buffer(struct ggl_output *o, struct ggl_error *err)
{
    size_t n = o->n_buffered;
    o->n_buffered = 0;
    return write_at(o, o->buffer, n, o->written - n, err);
}

enum ggl_status ggl_output_write(struct ggl_output *o, const void *data, size_t n, struct ggl_error *err)
{
    if (o->fd < 0) return ggl_fail(err, GGL_ERR_STATE, o->path, GGL_NO_OFFSET, NULL, NULL, "the output is sealed");
    if (n > BUFFER_BYTES - o->n_buffered) {
        enum ggl_status s = flush_buffer(o, err);
        if (s) return s;
    }
    o->written += n;
    if (n >= BUFFER_BYTES) return write_at(o, data, n, o->written - n, err);
    if (n) memcpy(o->buffer + o->n_buffered, data, n);
    o->n_buffered += n;
    return GGL_OK;
}

enum ggl_status ggl_output_patch(struct ggl_output *o, uint64_t offset, const void *data, size_t n,
                                 struct ggl_error *err)
{
    if (o->fd < 0) return ggl_fail(err, GGL_ERR_STATE, o->path, GGL_NO_OFFSET, NULL, NULL, "the output is sealed");
    if (offset > o->written || n > o->written - offset)
        return ggl_fail(err, GGL_ERR_ARGUMENT, o->path, offset, NULL, NULL, "patch beyond the end");
    enum ggl_status s = flush_buffer(o, err);
    return s ? s : write_at(o, data, n, offset, err);
}

enum ggl_status ggl_output_skip(struct ggl_output *o, uint64_t n, ggl_output_look *look, void *user,
                                struct ggl_error *err)
{
    if (o->fd < 0) return ggl_fail(err, GGL_ERR_STATE, o->path, GGL_NO_OFFSET, NULL, NULL, "the output is sealed");
    enum ggl_status s = flush_buffer(o, err);
    while (n && !s) {
        ssize_t got = pread(o->fd, o->buffer, n < BUFFER_BYTES ? (size_t)n : BUFFER_BYTES, (off_t)o->written);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(err, GGL_ERR_IO, o->temporary, errno, "cannot read");
        if (!got) return ggl_fail(err, GGL_ERR_FORMAT, o->temporary, o->written, "the end of the file", "more data", "part");
        o->written += (uint64_t)got;
        n -= (uint64_t)got;
        s = look(user, o->buffer, (size_t)got, err);
    }
    return s;
}

enum ggl_status ggl_output_flush(struct ggl_output *o, int *fd, struct ggl_error *err)
{
    *fd = -1;
    if (o->fd < 0) return GGL_OK;
    enum ggl_status s = flush_buffer(o, err);
    if (!s && (*fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3)) < 0)
        s = fail_errno(err, GGL_ERR_IO, o->temporary, errno, "cannot write");
    return s;
}

bool ggl_output_no_room(const struct ggl_output *o)
{
    return o && o->no_room;
}

void ggl_output_suspend(struct ggl_output *o)
{
    struct ggl_error ignored; /* what the buffer holds is not promised to anybody */
    if (o && o->fd >= 0) (void)flush_buffer(o, &ignored);
    output_free(o, true);
}

enum ggl_status ggl_output_seal(struct ggl_output *o, struct ggl_error *err)
{
    if (o->fd < 0) return GGL_OK;
    enum ggl_status s = flush_buffer(o, err);
    struct stat st; /* a part that somebody has lengthened */
    if (!s && !o->in_place && !fstat(o->fd, &st) && (uint64_t)st.st_size > o->written && ftruncate(o->fd, (off_t)o->written))
        s = fail_errno(err, GGL_ERR_IO, o->temporary, errno, "cannot shorten");
    if (!s && fsync(o->fd)) {
        o->no_room = means_no_room(errno);
        s = fail_errno(err, GGL_ERR_IO, o->temporary, errno, "cannot flush to disk");
    }
    int rc = close(o->fd);
    o->fd = -1;
    free(o->buffer);
    o->buffer = NULL;
    if (!s && rc && errno != EINTR) s = fail_errno(err, GGL_ERR_IO, o->temporary, errno, "cannot close");
    return s;
}

/* The folder of path, "." when it names none; path has room to be cut. */
static const char *cut_to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash) return ".";
    if (slash == path) slash++; /* "/file" lies in "/" */
    *slash = '\0';
    return path;
}

/* A rename is on disk when its folder is; file systems that cannot sync a folder say EINVAL. */
static enum ggl_status sync_folder(char *path, struct ggl_error *err)
{
    const char *folder = cut_to_folder(path);
    int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) return GGL_OK; /* a folder that we may write to but not read */
    int rc = fsync(fd), error = errno;
    close(fd);
    if (rc && error != EINVAL && error != ENOTSUP) return fail_errno(err, GGL_ERR_IO, folder, error, "cannot flush to disk");
    return GGL_OK;
}

/* link() refuses to replace a file that appeared meanwhile; where there are no hard links, look and rename. */
static enum ggl_status move_into_place(struct ggl_output *o, struct ggl_error *err)
{
    if (o->in_place) return GGL_OK;
    if (!o->overwrite) {
        if (same_file(o->temporary, o->path)) { /* linked, and then stopped */
            unlink(o->temporary);
            return GGL_OK;
        }
        if (!link(o->temporary, o->path)) {
            unlink(o->temporary);
            return GGL_OK;
        }
        if (errno == EEXIST || path_exists(o->path)) return refuse_existing(o->path, err);
    }
    if (!rename(o->temporary, o->path)) return GGL_OK;
    return fail_errno(err, GGL_ERR_IO, o->path, errno, "cannot rename");
}

enum ggl_status ggl_output_finish(struct ggl_output *o, struct ggl_error *err)
{
    enum ggl_status s = ggl_output_seal(o, err);
    if (!s) s = move_into_place(o, err);
    bool moved = !s || o->keep;
    if (!s) s = sync_folder(o->path, err);
    output_free(o, moved);
    return s;
}

enum ggl_status ggl_output_room(const char *path, uint64_t bytes, struct ggl_error *err)
{
    struct statvfs fs;
    size_t n = strlen(path) + 1;
    char *copy = malloc(n);
    if (!copy) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "output path: out of memory");
    memcpy(copy, path, n);
    int rc = statvfs(cut_to_folder(copy), &fs);
    free(copy);
    if (rc) return fail_errno(err, GGL_ERR_CREATE, path, errno, "cannot create");
    uint64_t room;
    if (!ggl_mul_u64(fs.f_bavail, fs.f_frsize, &room) || room >= bytes) return GGL_OK;
    char found[128];
    snprintf(found, sizeof(found), "%llu bytes needed, %llu available", (unsigned long long)bytes,
             (unsigned long long)room);
    return ggl_fail(err, GGL_ERR_IO, path, GGL_NO_OFFSET, found, NULL, "not enough room on the disk");
}
