/*
 * Two builds of the library in one process, in turn: which is faster, where the machine itself changes by a fifth from one second
 * to the next.  See run.sh, which builds both and this.
 *
 *     compare-builds A.so B.so MODEL ROUNDS TOKENS [--prompt]
 *
 * A round is a pass of the reading loop, TOKENS tokens one by one (or a prompt of them) by A, another pass and the same tokens by
 * B; every second round begins with B.  Printed is the mean of log(B's time / A's) over the rounds as a ratio, with its standard error, the
 * median, and each one's share of what the passes of reading gave.  Both builds must have the interface of this program's headers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-lite/peak.h"
#include "model/model.h"

enum { CONTEXT = 65536, MOST_ROUNDS = 100000 };

struct build {
    const char *path;
    void *library;
    struct ggl_model *model;
    struct ggl_session *session;
    double seconds, read_s_per_byte; /* sums over the rounds */
};

struct plan {
    int rounds, tokens;
    bool prompt;
    int32_t n_vocab, n_ctx;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "compare-builds: %s: %s\n", what, why);
    exit(1);
}

static void *symbol(const struct build *b, const char *name)
{
    void *p = dlsym(b->library, name);
    if (!p) die(b->path, name);
    return p;
}

/* The function of that build; a pointer to an object becomes one to a function the way that POSIX allows. */
#define CALL(b, f) (*(__typeof__(f) **)(void *[]){symbol(b, #f)})

static void check(const struct build *b, enum ggl_status status, const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    if (status) die(b->path, CALL(b, ggl_error_line)(err, line, sizeof(line)));
}

static int32_t context(const struct build *b)
{
    int32_t trained = CALL(b, ggl_model_n_ctx_train)(b->model);
    return trained < CONTEXT ? trained : CONTEXT;
}

static void open_build(struct build *b, const char *model)
{
    struct ggl_error err = {0};
    b->library = dlopen(b->path, RTLD_NOW | RTLD_LOCAL);
    if (!b->library) die(b->path, dlerror());
    struct ggl_model_params mp = CALL(b, ggl_model_defaults)();
    mp.precision = GGL_PRECISION_FAST;
    check(b, CALL(b, ggl_model_load)(model, &mp, &b->model, &err), &err);
    struct ggl_session_params sp = CALL(b, ggl_session_defaults)();
    sp.n_ctx = context(b);
    check(b, CALL(b, ggl_session_new)(b->model, &sp, &b->session, &err), &err);
}

static void close_build(struct build *b)
{
    CALL(b, ggl_session_free)(b->session);
    CALL(b, ggl_model_free)(b->model);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds for the round's tokens, which are the same for both. */
static double time_round(struct build *b, const struct plan *p, int round)
{
    struct ggl_error err = {0};
    uint32_t rng = (uint32_t)round * 977 + 1;
    int32_t *ids = malloc(sizeof(*ids) * (size_t)p->tokens);
    if (!ids) die(b->path, "out of memory");
    for (int i = 0; i < p->tokens; i++) {
        rng = rng * 1664525 + 1013904223;
        ids[i] = (int32_t)((uint64_t)rng * (uint32_t)p->n_vocab >> 32);
    }
    if (p->prompt || CALL(b, ggl_session_n_past)(b->session) + p->tokens > p->n_ctx) CALL(b, ggl_session_clear)(b->session);
    int64_t at_once = p->prompt ? p->tokens : 1;
    double start = now();
    for (int i = 0; i < p->tokens; i += (int)at_once)
        check(b, CALL(b, ggl_session_eval)(b->session, ids + i, at_once, &err), &err);
    double seconds = now() - start;
    free(ids);
    return seconds;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double share(const struct build *b, const struct plan *p, double bytes)
{
    return 100 * bytes * p->tokens / b->seconds * b->read_s_per_byte;
}

static void report(const struct build builds[2], const struct plan *p, double *logs, double bytes)
{
    double sum = 0, squares = 0, per_token = 1e3 / ((double)p->rounds * p->tokens);
    for (int i = 0; i < p->rounds; i++) sum += logs[i], squares += logs[i] * logs[i];
    double mean = sum / p->rounds, error = sqrt(fmax(0, squares / p->rounds - mean * mean) / p->rounds);
    qsort(logs, (size_t)p->rounds, sizeof(*logs), by_size);
    printf("B/A time %.4f +- %.4f, median %.4f; A %.2f, B %.2f ms a token", exp(mean), error, exp(logs[p->rounds / 2]),
           builds[0].seconds * per_token, builds[1].seconds * per_token);
    if (!p->prompt)
        printf("; A %.1f, B %.1f %% of reading, %.1f GB/s", share(&builds[0], p, bytes), share(&builds[1], p, bytes),
               2e-9 * p->rounds / (builds[0].read_s_per_byte + builds[1].read_s_per_byte));
    printf("\n");
}

static void run(struct build builds[2], const struct plan *p)
{
    struct ggl_error err = {0};
    struct ggl_team *team = NULL;
    struct ggl_reader *reader = NULL;
    double *logs = malloc(sizeof(*logs) * (size_t)p->rounds), bytes = (double)CALL(&builds[0], ggl_model_active_bytes)(builds[0].model);
    if (!logs) die("rounds", "out of memory");
    check(&builds[0], CALL(&builds[0], ggl_team_new_pinned)(0, &team, &err), &err);
    check(&builds[0], CALL(&builds[0], ggl_reader_new)(team, &reader, &err), &err);
    for (int i = 0; i < 2; i++) time_round(&builds[i], p, 0); /* warms up */
    for (int round = 0; round < p->rounds; round++) {
        double seconds[2], rate;
        for (int i = 0; i < 2; i++) {
            struct build *b = &builds[(i + round) % 2];
            check(&builds[0], CALL(&builds[0], ggl_reader_sample)(reader, &rate, &err), &err);
            b->read_s_per_byte += 1 / rate;
            b->seconds += seconds[(i + round) % 2] = time_round(b, p, round);
        }
        logs[round] = log(seconds[1] / seconds[0]);
    }
    report(builds, p, logs, bytes);
    free(logs);
    CALL(&builds[0], ggl_reader_free)(reader);
    CALL(&builds[0], ggl_team_free)(team);
}

static int number(const char *text, int most)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || *end || end == text || v < 1 || v > most) die(text, "expected a number");
    return (int)v;
}

int main(int argc, char **argv)
{
    struct build builds[2] = {{0}};
    if (argc < 6 || argc > 7 || (argc == 7 && strcmp(argv[6], "--prompt") != 0))
        die("usage", "compare-builds A.so B.so MODEL ROUNDS TOKENS [--prompt]");
    struct plan p = {number(argv[4], MOST_ROUNDS), number(argv[5], CONTEXT), argc == 7, 0, 0};
    for (int i = 0; i < 2; i++) {
        builds[i].path = argv[1 + i];
        open_build(&builds[i], argv[3]);
    }
    p.n_vocab = CALL(&builds[0], ggl_model_n_vocab)(builds[0].model);
    p.n_ctx = context(&builds[0]);
    if (p.tokens > p.n_ctx) die(argv[5], "more tokens than the context has");
    run(builds, &p);
    for (int i = 0; i < 2; i++) close_build(&builds[i]);
    return 0;
}
