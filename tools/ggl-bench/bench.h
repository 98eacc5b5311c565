/*
 * Inside of ggl-bench: what was asked for, what was measured, and who prints it.
 */
#ifndef GGL_BENCH_H
#define GGL_BENCH_H

#include <time.h>
#include "common/cli.h"
#include "ggml-lite/graph.h"
#include "ggml-lite/peak.h"
#include "model/model.h"

/* One line of the result: prefill or decode of n tokens at a depth. */
struct bench_row {
    bool decode;
    int64_t n, depth;
    int32_t n_chunk;
    double *seconds, *tps; /* of each repetition */
    double *read;          /* bytes/s that the machine read before, during and after it, the mean */
    struct ggl_cost cost;  /* of one repetition */
    uint64_t rss;          /* the most while the row was measured */
    time_t started;
    struct ggl_profile profile;
};

struct bench {
    const struct cli *cli;
    const char *path, *precision;
    int64_t threads, repetitions, chunk;
    bool synthetic, profile, no_pin, quiet;
    struct ggl_model *model;
    struct bench_row *rows;
    int n_rows;
    struct ggl_peak peak;     /* the better of before and after */
    struct ggl_team *team;    /* of the reader */
    struct ggl_reader *reader;
    struct ggl_memory memory; /* of the row that needs most */
};

/* What the numbers of a row come to. */
struct bench_result {
    char test[32]; /* "pp512", "tg64" */
    double tps, tps_sd;
    double bytes, macs;                /* a token */
    double bandwidth, read, bandwidth_share; /* bytes/s; the machine's at the same time */
    double rate, rate_share;           /* multiply-adds a second */
};
struct bench_result bench_evaluate(const struct bench *b, const struct bench_row *row);
double bench_mean(const double *v, int64_t n);
double bench_deviation(const double *v, int64_t n); /* of a sample; 0 for one value */

/* machine.c */
void bench_reset_peak_rss(void);
uint64_t bench_peak_rss(void);                        /* since the reset, where the system can do that */
void bench_cpu_name(char *name, size_t size);         /* "" where the system does not tell */
void bench_isa_names(uint64_t isa, char *names, size_t size); /* "avx2,avx512" or "c" */
void bench_model_type(const struct ggl_model *m, char *text, size_t size); /* "deepseek4 13.2M MXFP4" */

/* run.c: peaks, all rows, peaks again; ends the process on failure. */
void bench_run(struct bench *b);

/* text.c, json.c */
void bench_print_text(const struct bench *b, FILE *f);
void bench_print_profiles(const struct bench *b, FILE *f);
void bench_print_json(const struct bench *b, FILE *f);

#endif
