/*
 * Models of full size: memory that does not grow with them, and the complete list of what a file of llama.cpp's must
 * hold, with Flash's 1328 and Pro's 1894 tensors.  The checkpoints are sparse files with true headers.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "gguf-convert/convert.h"
#include "gguf-convert/recipe.h"
#include "support/sparse_ckpt.h"

#ifdef GGL_HAVE_JANSSON

static char tool[1024], scratch[256], flash_dir[300], pro_dir[300];
static char said[65536];

static int make_checkpoints(void **state)
{
    (void)state;
    struct sparse_model *m = calloc(1, sizeof(*m));
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof(scratch), "%s/ggl-full.XXXXXX", tmp ? tmp : "/tmp");
    if (!m || !mkdtemp(scratch)) return -1;
    snprintf(flash_dir, sizeof(flash_dir), "%s/flash", scratch);
    snprintf(pro_dir, sizeof(pro_dir), "%s/pro", scratch);
    if (mkdir(flash_dir, 0700) || mkdir(pro_dir, 0700)) return -1;
    sparse_model(m, false);
    sparse_write(m, flash_dir);
    sparse_model(m, true);
    sparse_write(m, pro_dir);
    free(m);
    return 0;
}

static int remove_checkpoints(void **state)
{
    (void)state;
    char command[400];
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

/* ---- memory */

#define MIB 1048576u

/* The exit status of a child; its peak of resident memory in *rss. */
static int wait_for(pid_t pid, uint64_t *rss)
{
    int status;
    struct rusage usage;
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    *rss = (uint64_t)usage.ru_maxrss * 1024;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool limit_memory(uint64_t bytes)
{
    const struct rlimit space = {bytes, bytes};
    return setrlimit(RLIMIT_AS, &space) == 0;
}

/* The tool with so much address space; what it says in `said`. */
static int run_limited(uint64_t limit, uint64_t *rss, const char *const *args)
{
    char out[300];
    snprintf(out, sizeof(out), "%s/said", scratch);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || !limit_memory(limit)) _exit(99);
        execv(tool, (char *const *)(uintptr_t)args);
        _exit(98);
    }
    int status = wait_for(pid, rss);
    FILE *f = fopen(out, "rb");
    assert_non_null(f);
    fseek(f, -(long)sizeof(said) / 2, SEEK_END); /* the end of long output */
    said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
    fclose(f);
    return status;
}

static enum ggl_status nowhere(void *user, const void *data, size_t n, struct ggl_error *e)
{
    (void)data, (void)e;
    *(uint64_t *)user += n;
    return GGL_OK;
}

/* What stands for the rest: every tensor outside the blocks, and of the blocks the first with its id table and one
 * tensor of experts. */
static bool is_sample(const char *name)
{
    if (strncmp(name, "blk.", 4) != 0) return true;
    return strncmp(name, "blk.0.", 6) == 0 && (!strstr(name, "_exps.") || strstr(name, "ffn_down_exps."));
}

static enum ggl_status emit_samples(const struct plan *p, const struct encoders *e, struct ggl_error *err)
{
    struct source *source = source_new(p);
    enum ggl_status s = source ? GGL_OK : GGL_ERR_NOMEM;
    for (uint64_t i = 0; i < p->n_items && !s; i++) {
        uint64_t bytes = 0;
        bool sample = is_sample(ggl_gguf_tensor(p->out, i)->name);
        if (p->items[i].kind > ITEM_INT4) continue;
        uint64_t steps = sample ? steps_count(&p->items[i]) : 0;
        if (steps > 12) steps = 12; /* they are all alike */
        for (uint64_t n = 0; n < steps && !s; n++) {
            struct step step;
            s = source_step(source, i, n, &step, err);
            if (!s) s = emit_step(p, i, &step, e, nowhere, &bytes, err);
            source_done(source, &step);
        }
        if (!s && bytes != (sample ? steps_bytes(&p->items[i], steps) : 0)) s = GGL_ERR_STATE;
    }
    source_free(source);
    return s;
}

/* In a process of its own: plan, and emit samples. */
static int convert_limited(const struct convert_options *o, uint64_t limit)
{
    struct plan p;
    struct ggl_error e = {0};
    struct encoders encoders = {NULL, NULL};
    if (!limit_memory(limit)) return 99;
    enum ggl_status s = plan_make(o, &p, &e);
    if (!s && p.n_int4) s = int4_new(2, &encoders.int4, &e);
    if (!s && p.n_encoded) s = rows_new(2, &encoders.rows, &e);
    if (!s) s = emit_samples(&p, &encoders, &e);
    char line[GGL_ERROR_LINE];
    if (s) fprintf(stderr, "%s\n", ggl_error_line(&e, line, sizeof(line)));
    return s ? 1 : 0;
}

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAS_ASAN 1 /* it maps terabytes */
#else
#define HAS_ASAN 0
#endif

/* As --help says. */
static void stays_small(const char *dir, const char *type, uint64_t limit)
{
    uint64_t rss, plan_rss;
    const struct convert_options o = {.input = dir, .output = "x.gguf", .type = type, .int4 = strcmp(type, "native-int4") == 0,
                                      .recipe = recipe_find(type), .threads = 2};
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) _exit(convert_limited(&o, limit));
    assert_int_equal(wait_for(pid, &rss), 0);
    assert_true(rss < limit);
    const char *const args[] = {tool, dir, "x.gguf", "--dry-run", "-q", "--threads", "2", "--type", type, NULL};
    if (run_limited(limit, &plan_rss, args)) fail_msg("%s: --dry-run: %s", type, said);
    const char *bound = strstr(said, "memory: at most ");
    assert_non_null(bound);
    assert_non_null(strstr(said, "time: about "));
    double mib = strtod(bound + strlen("memory: at most "), NULL);
    print_message("%s, %s: %u MiB, said %.1f\n", dir + strlen(scratch) + 1, type, (unsigned)(rss / MIB), mib);
    assert_true(mib >= (double)rss / MIB);
    assert_true(mib <= (double)limit / MIB);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    if (HAS_ASAN) skip();
    stays_small(flash_dir, "native", 512 * (uint64_t)MIB);
    stays_small(flash_dir, "native-int4", 512 * (uint64_t)MIB);
    stays_small(flash_dir, "MXFP4_MOE", 512 * (uint64_t)MIB);
    stays_small(pro_dir, "native", 768 * (uint64_t)MIB);
}

/* Nobody waits for hours to hear that the disk is too small. */
static void wants_room_first(void **state)
{
    (void)state;
    char out[300];
    uint64_t rss;
    struct statvfs fs;
    if (HAS_ASAN || statvfs(scratch, &fs) || (uint64_t)fs.f_bavail * fs.f_frsize > 850000000000u) skip();
    snprintf(out, sizeof(out), "%s/x.gguf", scratch);
    const char *const args[] = {tool, pro_dir, out, "-q", NULL};
    assert_int_equal(run_limited(768 * (uint64_t)MIB, &rss, args), 74);
    assert_non_null(strstr(said, "not enough room on the disk: 85"));
    assert_non_null(strstr(said, " bytes needed, "));
    assert_int_equal(access(out, F_OK), -1);
    strcat(out, ".journal");
    assert_int_equal(access(out, F_OK), -1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(wants_room_first),
    };
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    int n = slash ? (int)(slash - argv[0]) : 0;
    snprintf(tool, sizeof(tool), "%.*s/../bin/gguf-convert", n ? n : 1, n ? argv[0] : ".");
    if (access(tool, X_OK) != 0) {
        print_message("%s is not built: nothing to test\n", tool);
        return 0;
    }
    return cmocka_run_group_tests_name("gguf-convert/full_size", tests, make_checkpoints, remove_checkpoints);
}

#else

int main(void)
{
    return 0; /* checkpoints are only read by builds with jansson */
}

#endif
