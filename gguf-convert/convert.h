/*
 * gguf-convert in three steps: a plan (every output tensor, where its bytes come from, the exact size of the file),
 * writing it, and comparing the result with the source.  Nothing is written before the plan is complete.
 */
#ifndef GGUF_CONVERT_CONVERT_H
#define GGUF_CONVERT_CONVERT_H

#include <signal.h>
#include "common/cli.h"
#include "ggml-lite/gguf.h"
#include "gguf-convert/checkpoint.h"
#include "gguf-convert/imatrix.h"

/* How the bytes of an output tensor come from its source. */
enum item_kind {
    ITEM_COPY,  /* the code plane (or the only one) as it is */
    ITEM_SCALE, /* the scale plane as it is */
    ITEM_MXFP4, /* FP4 codes and scales, nibbles permuted into blocks */
    ITEM_IDS,   /* I64 to I32 */
    ITEM_ENCODE, /* row by row to float, and that to the output's type */
    ITEM_INT4,  /* quantised: the codes, then in items of their own: */
    ITEM_INT4_SCALE, /* the scales of the groups */
    ITEM_INT4_ROWS,  /* the scales of the rows */
};

struct recipe;

struct item {
    enum item_kind kind;
    const struct ggl_tensor *source;
    uint64_t bytes; /* of the output tensor */
    bool exact;     /* ENCODE: to a type that holds every value */
};

/* A file that is read, as it was when the plan was made. */
struct input_file {
    char *path;
    uint64_t size, device, inode;
    int64_t seconds, nanoseconds;
};

struct plan {
    struct ggl_checkpoint *checkpoint; /* the source: one of the two */
    struct ggl_gguf *gguf;
    struct ggl_gguf *out; /* keys and tensors of the output */
    struct item *items;   /* one a tensor of out, in its order */
    struct imatrix *imatrix; /* or NULL */
    struct ggl_tensor *renamed; /* sources under the names that they get */
    uint64_t n_items, tensor_bytes, n_int4, n_encoded;
    struct input_file *inputs;
    uint32_t n_inputs;
};

struct convert_options {
    const char *input, *output;
    const char *type, *imatrix, *report;
    uint64_t split_max_bytes;
    bool int4;                   /* the profile native-int4 */
    const struct recipe *recipe; /* or one of llama.cpp's */
    struct cli_list tensor_types;
    struct overrides *overrides; /* made of them */
    bool dry_run, verify, force, resume, quiet, mtp;
    int64_t threads;
};

/* Set by SIGINT and SIGTERM: the signal.  Long loops look at it. */
extern volatile sig_atomic_t convert_stop;

/* plan.c */
enum ggl_status plan_make(const struct convert_options *o, struct plan *p, struct ggl_error *err);
void plan_free(struct plan *p);

/* dry_run.c */
void plan_print(const struct plan *p, const struct convert_options *o, uint64_t file_bytes, FILE *f);

/* inputs.c */
enum ggl_status inputs_record(struct plan *p, const char *input, const char *imatrix, struct ggl_error *err);
void inputs_free(struct plan *p);
/* The input that `path` is, under whatever name; NULL: none. */
const char *inputs_same_file(const struct plan *p, const char *path);
/* IO: a file is not what it was when the plan was made. */
enum ggl_status inputs_unchanged(const struct plan *p, struct ggl_error *err);

/* steps.c: a tensor's rows in pieces that are handled one after the other. */
struct step {
    struct ggl_tensor view;  /* rows of one slice of the source, which it says nothing more about than these */
    int64_t slice, row;      /* of its first row in the source, */
    int64_t n_rows;          /* which has so many a slice */
};
uint64_t steps_count(const struct item *item);
uint64_t steps_bytes(const struct item *item, uint64_t step); /* of the output before it */
void step_view(const struct item *item, uint64_t step, struct step *s);

/* source.c: the rows of a step as memory, until the next step.  NULL: out of memory. */
struct source *source_new(const struct plan *p);
void source_free(struct source *src); /* accepts NULL */
enum ggl_status source_step(struct source *src, uint64_t item, uint64_t step, struct step *s, struct ggl_error *err);
void source_done(const struct source *src, const struct step *s);
void source_let_go(const uint8_t *data, uint64_t n); /* mapped bytes that are not needed soon */

/* emit.c: the bytes of a step in pieces; items and their steps in order. */
typedef enum ggl_status emit_sink(void *user, const void *data, size_t n, struct ggl_error *err);
struct encoders {
    struct int4_encoder *int4; /* for plans with INT4 items, else NULL */
    struct row_encoder *rows;  /* for plans with ENCODE items, else NULL */
};
enum ggl_status emit_step(const struct plan *p, uint64_t i, const struct step *step, const struct encoders *e,
                          emit_sink *sink, void *user, struct ggl_error *err);
enum ggl_status emit_stopped(struct ggl_error *err); /* CANCELLED when a signal came */

/* pieces.c: pieces 0 .. n - 1, made by the threads of a team, piece i in slot i % n_slots; and handed on in order, one at a
 * time, each by the thread that comes to it.  Of as many pieces as there are slots, none is made again before it was
 * handed on. */
struct ggl_team;
struct pieces {
    int64_t n;
    int n_slots;
    void (*make)(void *user, int64_t piece, int ith);
    enum ggl_status (*hand_on)(void *user, int64_t piece, struct ggl_error *err); /* an error ends it all */
    void *user;
};
#define PIECES_A_THREAD 3 /* slots, so that none waits for the slowest */
enum ggl_status pieces_run(struct ggl_team *team, const struct pieces *p, struct ggl_error *err);

/* int4.c: quantising with `threads` threads (0: one a physical core). */
enum ggl_status int4_new(int64_t threads, const struct imatrix *imatrix, struct int4_encoder **out, struct ggl_error *err); /* also on error to be freed */
void int4_free(struct int4_encoder *e);
enum ggl_status int4_emit(struct int4_encoder *e, const struct item *item, const struct step *step, emit_sink *sink,
                          void *user, struct ggl_error *err);
/* What rows of an INT4 tensor lost.  False: the row is not what x rounds to, whatever the scales. */
struct int4_stats {
    double error, power; /* sums of squares */
    double worst;        /* relative error of the worst group, and where it is */
    int64_t worst_row, worst_input;
};
bool int4_compare_row(const struct ggl_tensor *t, int64_t row, const float *x, struct int4_stats *stats);

/* encode.c: rows of any type to blocks of another, with `threads` threads. */
#define ENCODE_PIECE_BYTES (128u << 10) /* of blocks */
enum ggl_status rows_new(int64_t threads, const struct imatrix *imatrix, struct row_encoder **out, struct ggl_error *err); /* also on error to be freed */
void rows_free(struct row_encoder *e);
enum ggl_status rows_emit(struct row_encoder *e, const struct step *step, enum ggl_type type, emit_sink *sink, void *user,
                          struct ggl_error *err);
/* The importances of a slice's inputs; NULL: all alike.  `ones` serves types that must have some. */
const float *rows_weights(const struct imatrix *imatrix, const struct ggl_tensor *t, int64_t slice, enum ggl_type type,
                          const float *ones);
int64_t rows_first_not_finite(const float *x, int64_t n); /* n: none */
/* FORMAT: which element of t's rows [begin, end) is no number; of all slices' rows t's first is `base`. */
enum ggl_status rows_blame(const struct ggl_tensor *t, int64_t base, int64_t begin, int64_t end, struct ggl_error *err);

/* identity.c: lines for the journal that change when the output would; to be freed, NULL: out of memory. */
char *identity_text(const struct plan *p, const struct convert_options *o, uint32_t n_parts);

/* write.c */
enum ggl_status write_output(const struct plan *p, const struct convert_options *o, struct ggl_error *err);
/* The file under which the output is opened (its first part), to be freed. */
enum ggl_status write_first_path(const struct plan *p, const struct convert_options *o, char **path,
                                 struct ggl_error *err);
bool write_is_open(const struct convert_options *o); /* a journal is there */
/* IO errors of a missing folder and the like come before the plan's work is lost. */
enum ggl_status write_check_output(const struct plan *p, const struct convert_options *o, struct ggl_error *err);

/* estimate.c: the most memory (resident) that a conversion takes, and how long it takes to read and convert, from
 * samples; < 0: unknown. */
uint64_t estimate_memory(const struct plan *p, int64_t threads);
double estimate_seconds(const struct plan *p, int64_t threads);

/* verify.c: `path` holds exactly what the plan says, compared with the source; what rounding lost goes to stdout or the report. */
enum ggl_status verify_output(const struct plan *p, const char *path, const struct convert_options *o, struct ggl_error *err);

#endif
