#include "gguf-convert/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TITLE     "ggml-lite conversion journal 1"
#define RENAMING  "renaming"
#define SUM_CHARS 18 /* " #" and 16 digits */
#define MAX_BYTES (256u << 20)

struct journal {
    char *path;
    int fd;
    uint64_t chain; /* checksum of the last line */
    uint64_t end;   /* of the last line */
    struct mark *marks;
    uint64_t *ends; /* of each mark's line, */
    uint64_t *chains; /* and its checksum */
    uint64_t n_marks, identity_end, identity_chain;
    bool found, renaming;

    pthread_t thread; /* brings data to disk, and then the mark */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_thread, busy, stop;
    int busy_fd;
    struct mark busy_mark;
    enum ggl_status status; /* the first failure in the background */
    struct ggl_error error;
};

static enum ggl_status fail(const struct journal *j, enum ggl_status s, int error, const char *what, struct ggl_error *err)
{
    char reason[128];
    snprintf(reason, sizeof(reason), "%s", strerror(error)); /* the one other thread waits for us, or we for it */
    return ggl_fail(err, s, j->path, GGL_NO_OFFSET, reason, NULL, "%s", what);
}

/* ---- lines */

/* FNV-1a, continued. */
static uint64_t sum_line(uint64_t chain, const char *line, size_t n)
{
    uint64_t h = chain ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)line[i]) * 0x100000001b3u;
    return h;
}

static enum ggl_status append(struct journal *j, const char *line, size_t n, struct ggl_error *err)
{
    char *text = malloc(n + SUM_CHARS + 2);
    if (!text) return ggl_fail(err, GGL_ERR_NOMEM, j->path, GGL_NO_OFFSET, NULL, NULL, "journal");
    uint64_t chain = sum_line(j->chain, line, n);
    memcpy(text, line, n);
    snprintf(text + n, SUM_CHARS + 2, " #%016" PRIx64 "\n", chain);
    size_t bytes = n + SUM_CHARS + 1;
    ssize_t done;
    do done = pwrite(j->fd, text, bytes, (off_t)j->end);
    while (done < 0 && errno == EINTR);
    free(text);
    if (done != (ssize_t)bytes) return fail(j, GGL_ERR_IO, done < 0 ? errno : ENOSPC, "cannot write", err);
    j->end += bytes;
    j->chain = chain;
    return GGL_OK;
}

static enum ggl_status flush(const struct journal *j, struct ggl_error *err)
{
    return fdatasync(j->fd) ? fail(j, GGL_ERR_IO, errno, "cannot flush to disk", err) : GGL_OK;
}

/* The next sound line of text[*at, n): its start and length without the checksum; NULL: there is none. */
static const char *next_line(const char *text, size_t n, size_t *at, uint64_t *chain, size_t *length)
{
    const char *line = text + *at, *end = memchr(line, '\n', n - *at);
    char sum[SUM_CHARS + 1];
    if (!end || end - line < SUM_CHARS) return NULL;
    *length = (size_t)(end - line) - SUM_CHARS;
    uint64_t next = sum_line(*chain, line, *length);
    snprintf(sum, sizeof(sum), " #%016" PRIx64, next);
    if (memcmp(line + *length, sum, SUM_CHARS) != 0) return NULL;
    *chain = next;
    *at += *length + SUM_CHARS + 1;
    return line;
}

/* ---- reading */

static char *read_text(int fd, size_t *n)
{
    struct stat st;
    if (fstat(fd, &st) || st.st_size > MAX_BYTES) return NULL;
    char *text = malloc((size_t)st.st_size + 1);
    *n = 0;
    for (ssize_t got = 1; text && got > 0 && *n < (size_t)st.st_size; *n += (size_t)(got > 0 ? got : 0)) {
        got = pread(fd, text + *n, (size_t)st.st_size - *n, (off_t)*n);
    }
    if (text) text[*n] = '\0';
    return text;
}

/* The word before the first blank names the thing; the rest is its value. */
static void split_line(const char *line, size_t n, char name[40], char value[128])
{
    const char *blank = memchr(line, ' ', n);
    size_t word = blank ? (size_t)(blank - line) : n;
    snprintf(name, 40, "%.*s", (int)(word < 39 ? word : 39), line);
    if (blank) blank++, word++;
    n -= word;
    if (n > 120) blank += n - 120, n = 120; /* the end of a path says more */
    snprintf(value, 128, "%.*s", (int)n, blank ? blank : "");
}

static enum ggl_status differs(const struct journal *j, const char *now, size_t n_now, const char *was, size_t n_was,
                               struct ggl_error *err)
{
    char name[40], found[128], other[40], expected[128];
    split_line(now, n_now, name, found);
    split_line(was, n_was, other, expected);
    return ggl_fail(err, GGL_ERR_ARGUMENT, j->path, GGL_NO_OFFSET, found, expected,
                    "cannot resume, that was another conversion (--force starts anew): %s", n_now ? name : other);
}

/* Its lines are the ones that we would write; *ok: all of them are there. */
static enum ggl_status read_identity(struct journal *j, const char *text, size_t n, const char *identity, size_t *at,
                                     bool *ok, struct ggl_error *err)
{
    *ok = false;
    while (*identity) {
        size_t length, own = strcspn(identity, "\n");
        const char *line = next_line(text, n, at, &j->chain, &length);
        if (!line) return GGL_OK; /* stopped before it was complete: nothing follows it */
        if (length != own || memcmp(line, identity, own) != 0) return differs(j, identity, own, line, length, err);
        identity += own + 1;
    }
    *ok = true;
    return GGL_OK;
}

static bool remember(struct journal *j, const struct mark *mark, uint64_t end)
{
    if ((j->n_marks & (j->n_marks + 1)) == 0) { /* room for 1, 3, 7, ... */
        size_t n = (size_t)(2 * j->n_marks + 1);
        struct mark *marks = realloc(j->marks, n * sizeof(*marks));
        if (marks) j->marks = marks;
        uint64_t *ends = realloc(j->ends, n * sizeof(*ends));
        if (ends) j->ends = ends;
        uint64_t *chains = realloc(j->chains, n * sizeof(*chains));
        if (chains) j->chains = chains;
        if (!marks || !ends || !chains) return false;
    }
    j->ends[j->n_marks] = end;
    j->chains[j->n_marks] = j->chain;
    j->marks[j->n_marks++] = *mark;
    return true;
}

static enum ggl_status read_marks(struct journal *j, const char *text, size_t n, size_t at, struct ggl_error *err)
{
    const char *line;
    size_t length;
    j->identity_end = j->end = at;
    j->identity_chain = j->chain;
    while (!j->renaming && (line = next_line(text, n, &at, &j->chain, &length))) {
        struct mark m;
        char copy[128];
        snprintf(copy, sizeof(copy), "%.*s", (int)(length < 127 ? length : 127), line);
        if (strcmp(copy, RENAMING) == 0) {
            j->renaming = true;
        } else if (sscanf(copy, "mark %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64, &m.item, &m.step, &m.bytes, &m.hash) != 4) {
            break; /* not ours */
        } else if (!remember(j, &m, at)) {
            return ggl_fail(err, GGL_ERR_NOMEM, j->path, GGL_NO_OFFSET, NULL, NULL, "journal");
        }
        j->end = at;
    }
    j->chain = j->renaming || !j->n_marks ? j->chain : j->chains[j->n_marks - 1];
    if (!j->renaming && !j->n_marks) j->chain = j->identity_chain;
    return GGL_OK;
}

static enum ggl_status read_journal(struct journal *j, const char *identity, struct ggl_error *err)
{
    size_t n, at = 0, length;
    char *text = read_text(j->fd, &n);
    if (!text) return fail(j, GGL_ERR_IO, errno ? errno : EFBIG, "cannot read", err);
    const char *title = next_line(text, n, &at, &j->chain, &length);
    enum ggl_status s = GGL_OK;
    if (title && (length != sizeof(TITLE) - 1 || memcmp(title, TITLE, length) != 0)) {
        s = differs(j, TITLE, sizeof(TITLE) - 1, title, length, err);
    } else if (title) {
        s = read_identity(j, text, n, identity, &at, &j->found, err);
    }
    if (!s && j->found) s = read_marks(j, text, n, at, err);
    free(text);
    return s;
}

uint64_t journal_peek(const char *path, const char *name)
{
    size_t n, at = 0, length, m = strlen(name);
    uint64_t chain = 0, value = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return 0;
    char *text = read_text(fd, &n);
    const char *line;
    while (text && !value && (line = next_line(text, n, &at, &chain, &length))) {
        if (length > m && memcmp(line, name, m) == 0 && line[m] == ' ') value = strtoull(line + m, NULL, 10);
    }
    free(text);
    close(fd);
    return value;
}

/* ---- opening */

static void sync_folder(const char *path)
{
    char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash) slash[slash == copy] = '\0';
    int fd = copy ? open(slash ? copy : ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* where that is not possible, a crash of the system may lose the journal: we start anew then */
        close(fd);
    }
    free(copy);
}

static enum ggl_status start(struct journal *j, const char *identity, struct ggl_error *err)
{
    j->chain = j->end = 0;
    enum ggl_status s = ftruncate(j->fd, 0) ? fail(j, GGL_ERR_IO, errno, "cannot write", err) : GGL_OK;
    if (!s) s = append(j, TITLE, sizeof(TITLE) - 1, err);
    while (*identity && !s) {
        size_t n = strcspn(identity, "\n");
        s = append(j, identity, n, err);
        identity += n + 1;
    }
    j->identity_end = j->end;
    j->identity_chain = j->chain;
    if (!s) s = flush(j, err);
    if (!s) sync_folder(j->path);
    return s;
}

/* A process that was killed ends when its last flush does: it gets some seconds. */
static bool lock_file(int fd)
{
    const struct timespec pause = {0, 50000000};
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK; i++) { /* others: this file system has no locks */
        if (i == 100) return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static enum ggl_status open_file(struct journal *j, enum journal_mode mode, bool *is_new, struct ggl_error *err)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    struct stat st = {0};
    do {
        if (j->fd >= 0) close(j->fd); /* while we waited, its owner has finished and removed it */
        j->fd = open(j->path, flags | O_CREAT | O_EXCL, 0666);
        *is_new = j->fd >= 0;
        if (j->fd < 0 && errno == EEXIST) j->fd = open(j->path, flags);
        if (j->fd < 0) return fail(j, GGL_ERR_CREATE, errno, "cannot create", err);
        if (!lock_file(j->fd)) {
            *is_new = false;
            return ggl_fail(err, GGL_ERR_CREATE, j->path, GGL_NO_OFFSET, NULL, NULL,
                            "another gguf-convert is writing this output");
        }
    } while (!fstat(j->fd, &st) && !st.st_nlink);
    if (*is_new || mode != JOURNAL_NEW) return GGL_OK;
    return ggl_fail(err, GGL_ERR_CREATE, j->path, GGL_NO_OFFSET, NULL, NULL,
                    "left by an interrupted conversion: --resume goes on with it, --force starts anew");
}

enum ggl_status journal_open(const char *path, enum journal_mode mode, const char *identity, struct journal **out,
                             struct ggl_error *err)
{
    struct journal *j = calloc(1, sizeof(*j));
    bool is_new = false;
    *out = NULL;
    if (!j || !(j->path = strdup(path))) {
        free(j);
        return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "journal");
    }
    j->fd = -1;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    enum ggl_status s = open_file(j, mode, &is_new, err);
    if (!s && mode == JOURNAL_RESUME) s = read_journal(j, identity, err);
    if (!s && !j->found) s = start(j, identity, err);
    if (!s) *out = j;
    else journal_close(j, is_new);
    return s;
}

bool journal_found(const struct journal *j)
{
    return j->found;
}

bool journal_renaming(const struct journal *j)
{
    return j->renaming;
}

uint64_t journal_n_marks(const struct journal *j)
{
    return j->n_marks;
}

const struct mark *journal_marks(const struct journal *j)
{
    return j->marks;
}

enum ggl_status journal_cut(struct journal *j, uint64_t n, struct ggl_error *err)
{
    j->renaming = false;
    j->n_marks = n;
    j->end = n ? j->ends[n - 1] : j->identity_end;
    j->chain = n ? j->chains[n - 1] : j->identity_chain;
    if (ftruncate(j->fd, (off_t)j->end)) return fail(j, GGL_ERR_IO, errno, "cannot write", err);
    return flush(j, err);
}

/* ---- marks, in the background */

static enum ggl_status record(struct journal *j, int fd, const struct mark *m, struct ggl_error *err)
{
    char line[128];
    int error = 0;
    if (fd >= 0) {
        error = fdatasync(fd) ? errno : 0;
        close(fd);
    }
    if (error) return fail(j, GGL_ERR_IO, error, "cannot flush the output to disk", err);
    int n = snprintf(line, sizeof(line), "mark %" PRIu64 " %" PRIu64 " %" PRIu64 " %016" PRIx64, m->item, m->step, m->bytes,
                     m->hash);
    enum ggl_status s = append(j, line, (size_t)n, err);
    return s ? s : flush(j, err);
}

static void *work(void *user)
{
    struct journal *j = user;
    pthread_mutex_lock(&j->lock);
    while (!j->stop) {
        if (!j->busy) {
            pthread_cond_wait(&j->changed, &j->lock);
            continue;
        }
        pthread_mutex_unlock(&j->lock);
        struct ggl_error error = {0};
        enum ggl_status s = record(j, j->busy_fd, &j->busy_mark, &error);
        pthread_mutex_lock(&j->lock);
        if (s && !j->status) j->status = s, j->error = error;
        j->busy = false;
        pthread_cond_broadcast(&j->changed);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

enum ggl_status journal_wait(struct journal *j, struct ggl_error *err)
{
    pthread_mutex_lock(&j->lock);
    while (j->busy) pthread_cond_wait(&j->changed, &j->lock);
    enum ggl_status s = j->status;
    if (s && err) *err = j->error;
    pthread_mutex_unlock(&j->lock);
    return s;
}

enum ggl_status journal_mark(struct journal *j, int fd, const struct mark *mark, struct ggl_error *err)
{
    enum ggl_status s = journal_wait(j, err);
    if (s) {
        if (fd >= 0) close(fd);
        return s;
    }
    if (!j->has_thread) j->has_thread = pthread_create(&j->thread, NULL, work, j) == 0;
    j->n_marks++; /* how many there are; what they say is in the file */
    if (!j->has_thread) return record(j, fd, mark, err);
    pthread_mutex_lock(&j->lock);
    j->busy_fd = fd;
    j->busy_mark = *mark;
    j->busy = true;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    return GGL_OK;
}

enum ggl_status journal_seal(struct journal *j, struct ggl_error *err)
{
    enum ggl_status s = journal_wait(j, err);
    if (!s && !j->renaming) s = append(j, RENAMING, sizeof(RENAMING) - 1, err);
    if (!s) s = flush(j, err);
    j->renaming = !s;
    return s;
}

void journal_close(struct journal *j, bool remove)
{
    if (!j) return;
    if (j->has_thread) {
        (void)journal_wait(j, NULL);
        pthread_mutex_lock(&j->lock);
        j->stop = true;
        pthread_cond_broadcast(&j->changed);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
    }
    if (remove && j->path) unlink(j->path);
    if (j->fd >= 0) close(j->fd); /* and with it goes the lock */
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j->marks);
    free(j->ends);
    free(j->chains);
    free(j->path);
    free(j);
}
