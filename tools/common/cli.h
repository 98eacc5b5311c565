/*
 * What every tool shares: an option table that drives parsing and --help, one-line errors with the documented
 * exit codes, and progress with rate and ETA.
 *
 *     static const struct cli_option options[] = {
 *         {'m', "model", "MODEL", "GGUF file or checkpoint directory", CLI_STR, &args.model},
 *         {'t', "threads", "N", "worker threads (default: physical cores)", CLI_INT, &args.threads},
 *         {0}};
 *     int n_rest = cli_parse(&cli, argc, argv);   // exits 0 on --help/--version, 2 on a usage error
 */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "ggml-lite/status.h"

enum cli_kind {
    CLI_FLAG,  /* bool */
    CLI_NOT,   /* bool, set to false */
    CLI_STR,   /* const char * */
    CLI_INT,   /* int64_t; whole-string decimal, a range is checked by the tool */
    CLI_SIZE,  /* uint64_t bytes: 4096, 64K, 4M, 4G */
    CLI_FLOAT, /* double */
    CLI_LIST,  /* struct cli_list *: repeatable string */
};

struct cli_list {
    const char **items;
    int n;
};

/* A heading in --help: the options below it, up to the next heading, are one group. */
#define CLI_GROUP(title) {0, "", NULL, title, CLI_FLAG, NULL}

struct cli_option {
    char shortname;       /* 0: none */
    const char *longname; /* NULL ends the table */
    const char *arg;      /* "N", "FILE"; NULL for flags */
    const char *help;     /* one line; default included */
    enum cli_kind kind;
    void *value;
};

struct cli {
    const char *name;     /* "ggl-eval" */
    const char *synopsis; /* "-m MODEL --tokens FILE [options]" */
    const char *summary;  /* one or two lines: what the tool does */
    const char *details;  /* free text after the options: examples, exit codes; may be NULL */
    const struct cli_option *options;
    int min_args, max_args; /* positional arguments */
};

/* Whole-string numbers: no sign but '-', no blanks, no locale.  False: not a number, or out of range. */
bool cli_number_int(const char *s, int64_t *out);
bool cli_number_size(const char *s, uint64_t *out);  /* 4096, 64K, 4M, 4G, 1T; powers of 1024 */
bool cli_number_float(const char *s, double *out);   /* 0.5, -1e-3; finite */

/* The --help page on `f`. */
void cli_help(const struct cli *cli, FILE *f);

/* Parse; positional arguments are moved to argv[1..n]; returns n.  "--" ends the options.
 * Also prepares the process: descriptors 0..2 are open afterwards, a broken pipe is a write error instead of a
 * signal, and an error on stdin or stdout that nobody reported turns a successful exit into 74. */
int cli_parse(const struct cli *cli, int argc, char **argv);

/* "tool: message" on stderr, exit(code). */
_Noreturn void cli_die(const struct cli *cli, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "tool: " + the error's line, exit(its code). */
_Noreturn void cli_die_error(const struct cli *cli, const struct ggl_error *err);

/* Progress on stderr: a bar with rate and ETA on a terminal, a line every 10 s otherwise, nothing when quiet. */
struct cli_progress {
    const char *label, *unit; /* unit "B" prints MB/s, else "unit/s" */
    bool quiet, tty;
    double start, last;
    uint64_t total;
};
void cli_progress_begin(struct cli_progress *p, const char *label, const char *unit, uint64_t total, bool quiet);
void cli_progress_update(struct cli_progress *p, uint64_t done);
void cli_progress_end(struct cli_progress *p, uint64_t done);

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void cli_json_text(FILE *f, const char *s, uint64_t n);

double cli_now(void);                                   /* monotonic seconds */
const char *cli_bytes(uint64_t n, char buf[32]);        /* "145.6 GiB" */
uint64_t cli_peak_rss(void);                            /* bytes */
/* A whole file or stdin ("-") in memory, zero-terminated; exits on failure. */
char *cli_read_file(const struct cli *cli, const char *path, size_t *size);
/* The next line of stdin without its newline (growing buffer, freed by the caller at the end); false at the end. */
bool cli_read_line(FILE *f, char **line, size_t *cap, size_t *n);

#endif
