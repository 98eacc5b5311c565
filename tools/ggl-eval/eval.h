/* The parts of ggl-eval: what is made of the logits of a run, and of the inputs of its matrices. */
#ifndef GGL_EVAL_H
#define GGL_EVAL_H

#include "common/cli.h"
#include "model/model.h"

extern const struct cli eval_cli;

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

#endif
