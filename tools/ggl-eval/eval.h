/* The parts of ggl-eval. */
#ifndef GGL_EVAL_H
#define GGL_EVAL_H

#include "common/cli.h"
#include "model/model.h"

extern const struct cli eval_cli;

/* ---- main.c: options */

/* A session as the options say, which main frees; more than the model's context is its context. */
struct ggl_session *eval_session(struct ggl_model *m, int64_t n_ctx, bool mtp);
/* The model's, when nothing is left to be checked. */
void eval_print_warnings(void);

/* ---- tokens.c: what comes out of given tokens */

enum { EVAL_MAX_DUMPS = 64 };

struct token_options {
    const char *path, *logits, *draft, *imatrix, *base; /* all but the first may be NULL */
    struct cli_list dumps;
    bool perplexity, quiet;
};

void tokens_run(const struct token_options *o, struct ggl_model *m);

/* ---- compare.c: this model's predictions against another's, as llama-perplexity --kl-divergence reports them */

struct comparison;

/* `path` holds the other model's logits, [n_tokens, n_vocab] float32; exits when it does not. */
struct comparison *comparison_new(const char *path, int64_t n_tokens, int64_t n_vocab);
/* The next position's logits and the token that follows it; -1: none does, the row is passed over. */
void comparison_add(struct comparison *c, const float *logits, int32_t next);
void comparison_print(struct comparison *c, FILE *f);
void comparison_free(struct comparison *c);

/* -log p(next), in double. */
double eval_surprise(const float *logits, int64_t n, int32_t next);

/* ---- calibrate.c */

struct calibration;

/* Sums for an importance matrix at `path`, which must be a place where a file can be created; or exits. */
struct calibration *calibration_new(const char *path, struct ggl_session *s);
/* Write and free. */
void calibration_finish(struct calibration *c, const char *tokens, int64_t n_tokens);

/* ---- suite.c: prompts with expected answers */

struct suite_options {
    const char *path, *skills, *answers; /* the last two may be NULL */
    int64_t limit, max_tokens;           /* 0: none */
    bool quiet;
};

/* m has a tokenizer. */
void suite_run(const struct suite_options *o, struct ggl_model *m);

#endif
