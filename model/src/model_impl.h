/* Inside of a model and a session. */
#ifndef GGL_MODEL_IMPL_H
#define GGL_MODEL_IMPL_H

#include <stdatomic.h>
#include "deepseek_v4/graph.h"
#include "model/model.h"
#include "source.h"

struct ggl_model {
    struct ggl_source src;
    struct v4_hparams hp;
    struct v4_weights w;
    struct ggl_tokenizer *tokenizer;
    struct ggl_team *team;
    enum ggl_prompt_format prompt_format;
    uint64_t weight_bytes, n_params;
    uint64_t fingerprint; /* of metadata and weights: binds session files to a model */
};

struct ggl_session {
    struct ggl_model *model;
    struct ggl_session_params params;
    struct v4_cache cache;
    struct v4_graph trunk, head, mtp;
    int64_t n_past;
    int32_t *tokens; /* [n_past], room for more */
    int64_t tokens_cap;
    float *h_last;   /* streams after the last token, for the next MTP row: [n_embd * n_hc] */
    float *h_mtp;    /* the MTP block's input rows of a chunk */
    float *logits;   /* [n_vocab] of the last token */
    float *next_logits; /* [n_vocab] where a run puts its own, until it has gone well */
    bool has_logits;
    atomic_bool cancel;
    ggl_progress_fn *progress;
    void *progress_user;
    ggl_logits_fn *logits_fn;
    void *logits_user;
    struct ggl_dump *dumps; /* a list */
    ggl_calibrate_fn *calibrate;
    void *calibrate_user;
};

#endif
