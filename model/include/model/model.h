/*
 * The embedding API: load a DeepSeek V4 model, run tokens, read logits.
 *
 *     struct ggl_model_params mp = ggl_model_defaults();
 *     struct ggl_model *m;
 *     if (ggl_model_load("model.gguf", &mp, &m, &err)) ...
 *     struct ggl_session_params sp = ggl_session_defaults();
 *     struct ggl_session *s;
 *     ggl_session_new(m, &sp, &s, &err);
 *     ggl_session_eval(s, ids, n, &err);               // prefill
 *     const float *logits = ggl_session_logits(s);     // of the last token
 *
 * A model is a GGUF file (the first part of a split one) or a checkpoint directory.
 *
 * Thread-safety: a model is constant after load and may be shared by sessions on different threads; it runs
 * one evaluation at a time (others wait).  A session is used by one thread at a time, except
 * ggl_session_cancel, which any thread or a signal handler may call.
 * A process that forks after load cannot evaluate in the child: calls return STATE there.
 * Owner: sessions must be freed before their model.
 */
#ifndef GGL_MODEL_H
#define GGL_MODEL_H

#include "ggml-lite/status.h"
#include "model/chat.h"
#include "model/sampler.h"
#include "model/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_gguf;
struct ggl_model;
struct ggl_session;

GGL_API const char *ggl_version(void); /* "0.1.0" */

enum ggl_log_level { GGL_LOG_INFO, GGL_LOG_WARN };
typedef void ggl_log_fn(void *user, enum ggl_log_level level, const char *line);

enum ggl_precision {
    GGL_PRECISION_F32 = 0, /* float activations everywhere: the reference */
    GGL_PRECISION_FAST,    /* int8 or BF16 activations where the weight's type has a kernel for them */
};

struct ggl_model_params {
    uint32_t struct_size;
    int32_t n_threads; /* 0: one a physical core that this process may use */
    enum ggl_precision precision;
    ggl_log_fn *log;         /* warnings about the file; NULL: silent */
    void *log_user;
    bool no_pin; /* threads are not put on cores and NUMA nodes; for programs that place them, or several busy models */
};
GGL_API struct ggl_model_params ggl_model_defaults(void);

GGL_API enum ggl_status ggl_model_load(const char *path, const struct ggl_model_params *params, struct ggl_model **out,
                                       struct ggl_error *err);
GGL_API void ggl_model_free(struct ggl_model *m); /* accepts NULL */

GGL_API const struct ggl_gguf *ggl_model_meta(const struct ggl_model *m);
GGL_API const struct ggl_tokenizer *ggl_model_tokenizer(const struct ggl_model *m); /* NULL: the model has none */
GGL_API enum ggl_prompt_format ggl_model_prompt_format(const struct ggl_model *m);
GGL_API int32_t ggl_model_n_vocab(const struct ggl_model *m);
GGL_API int32_t ggl_model_n_embd(const struct ggl_model *m);
GGL_API int32_t ggl_model_n_layer(const struct ggl_model *m);
GGL_API int32_t ggl_model_n_ctx_train(const struct ggl_model *m);
GGL_API int32_t ggl_model_n_threads(const struct ggl_model *m);
GGL_API bool ggl_model_has_mtp(const struct ggl_model *m);
GGL_API uint64_t ggl_model_weight_bytes(const struct ggl_model *m);

struct ggl_session_params {
    uint32_t struct_size;
    int32_t n_ctx;   /* most tokens; 0: what the model was trained for.  Memory grows with use, not with n_ctx. */
    int32_t n_chunk; /* most tokens in one pass of a prefill; 0: 256 .. 4096, so that activations stay below
                      * 1.25 GiB.  Never changes a result. */
    bool mtp;        /* also run the multi-token-prediction block; its logits go to the logits callback */
    bool cache_rounding_off; /* DIAGNOSTIC: the cache keeps float rows, to compare with a reference that does not round */
};
GGL_API struct ggl_session_params ggl_session_defaults(void);

struct ggl_memory {
    uint64_t weights;     /* mapped, shared with other processes */
    uint64_t cache;       /* KV rows, compressor state and tokens at n_ctx tokens */
    uint64_t activations; /* the arenas, logits */
};
/* Answers before anything is allocated. */
GGL_API enum ggl_status ggl_memory_estimate(const struct ggl_model *m, const struct ggl_session_params *p,
                                            struct ggl_memory *out, struct ggl_error *err);

GGL_API enum ggl_status ggl_session_new(struct ggl_model *m, const struct ggl_session_params *p, struct ggl_session **out,
                                        struct ggl_error *err);
GGL_API void ggl_session_free(struct ggl_session *s);

/* Append tokens.  On any error, CANCELLED included, the session is as before the call or after one of its
 * whole chunks: ggl_session_n_past tells.  LIMIT: n_ctx would be exceeded (nothing is evaluated). */
GGL_API enum ggl_status ggl_session_eval(struct ggl_session *s, const int32_t *ids, int64_t n, struct ggl_error *err);
GGL_API int64_t ggl_session_n_past(const struct ggl_session *s);
GGL_API int32_t ggl_session_n_chunk(const struct ggl_session *s); /* what n_chunk came to be */
/* [n_vocab] of the last token; NULL before the first.  The session's, until it is evaluated again: then they may lie elsewhere. */
GGL_API const float *ggl_session_logits(const struct ggl_session *s);
GGL_API void ggl_session_clear(struct ggl_session *s);                /* back to an empty context */
GGL_API void ggl_session_cancel(struct ggl_session *s);               /* any thread; the running or next eval returns CANCELLED */

/* After each chunk of an eval: tokens done of n.  Return false to stop (CANCELLED). */
typedef bool ggl_progress_fn(void *user, int64_t done, int64_t n);
GGL_API void ggl_session_set_progress(struct ggl_session *s, ggl_progress_fn *fn, void *user);

/* Every row of logits, as it is computed: logits [n_vocab] after token `pos`.  With it, eval computes all rows;
 * without, only the last.  draft: rows of the MTP block (row i needs token i + 1, so it comes with that token). */
typedef void ggl_logits_fn(void *user, int64_t pos, const float *logits, bool draft);
GGL_API void ggl_session_set_logits_fn(struct ggl_session *s, ggl_logits_fn *fn, void *user);

/* A named intermediate, row by row, as float.  Names are v4ref's: "L0.attn.in", "L2.ffn.experts", ...
 * ARGUMENT: no such name (expected lists some). */
typedef void ggl_dump_fn(void *user, const char *name, int64_t pos, const float *row, int64_t n);
GGL_API enum ggl_status ggl_session_dump(struct ggl_session *s, const char *name, ggl_dump_fn *fn, void *user,
                                         struct ggl_error *err);

/* FOR CALIBRATION: every vector that a matrix of the model is multiplied with, as scale * x[i]: `tensor` is the matrix's
 * name in the file, `slice` its expert of n_slices.  Each down matrix of an expert sees the expert's gain, too.  All
 * rows of logits are computed then.  A fused projection of the draft block is left out.  ARGUMENT: the model was
 * loaded for fast evaluation, which rounds these vectors. */
typedef void ggl_calibrate_fn(void *user, const char *tensor, int64_t slice, int64_t n_slices, const float *x, int64_t n,
                              float scale);
GGL_API enum ggl_status ggl_session_set_calibrate_fn(struct ggl_session *s, ggl_calibrate_fn *fn, void *user,
                                                     struct ggl_error *err);

/* Save and restore the whole state (bit-identical logits afterwards).  The file is checksummed and bound to the
 * model; a file that does not fit leaves the session unchanged.  Written to a temporary name, mode 0600. */
GGL_API enum ggl_status ggl_session_save(const struct ggl_session *s, const char *path, struct ggl_error *err);
GGL_API enum ggl_status ggl_session_load(struct ggl_session *s, const char *path, struct ggl_error *err);
/* The tokens of the session so far (owned by it). */
GGL_API const int32_t *ggl_session_tokens(const struct ggl_session *s);

/* ---- for benchmarks */

/* FOR BENCHMARKS ONLY: the session is as if n tokens had been evaluated, but nothing is: the cache is filled with
 * valid made-up rows, always the same ones, so that evaluation at that depth can be timed.  What the model says
 * after it means nothing, and there are no logits before the next eval.  LIMIT: more than n_ctx. */
GGL_API enum ggl_status ggl_session_set_synthetic_depth(struct ggl_session *s, int64_t n, struct ggl_error *err);

/* Where the time goes (ggml-lite/graph.h): later evals add to *profile until it is taken away with NULL. */
struct ggl_profile;
GGL_API void ggl_session_set_profile(struct ggl_session *s, struct ggl_profile *profile);

/* What one pass over n tokens at position pos reads and multiplies, from shapes and types alone. */
struct ggl_cost {
    uint64_t weight_bytes; /* every weight once, as it is held in memory: the n embedding rows, all of attention, shared
                            * experts, routers, the head, and the routed experts that n tokens choose: n_expert_used
                            * for one token, the expected number with even routing for more */
    uint64_t cache_bytes;  /* window rows, entries and index keys that the tokens see, each once */
    uint64_t weight_macs;  /* multiply-adds with matrices; the head's for the last token only */
    uint64_t cache_macs;   /* multiply-adds of attention and of index scores */
};
/* pos >= 0, n >= 1.  The draft block is left out. */
GGL_API void ggl_model_cost(const struct ggl_model *m, int64_t pos, int64_t n, struct ggl_cost *out);
GGL_API uint64_t ggl_model_active_bytes(const struct ggl_model *m);    /* weight_bytes of one token */
GGL_API uint64_t ggl_model_n_params(const struct ggl_model *m);        /* elements of all tensors */

#ifdef __cplusplus
}
#endif
#endif
