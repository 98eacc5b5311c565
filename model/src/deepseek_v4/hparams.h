/*
 * DeepSeek V4's hyper-parameters, read from the metadata and checked once.
 */
#ifndef GGL_V4_HPARAMS_H
#define GGL_V4_HPARAMS_H

#include "../source.h"

#define V4_MAX_LAYERS 512

struct v4_hparams {
    int32_t n_layer; /* main layers */
    int32_t n_mtp;   /* multi-token-prediction blocks after them that this runtime evaluates: 0 or 1 */
    int32_t n_block; /* blocks in the file's numbering */
    int32_t n_ctx_train, n_vocab, n_embd, n_head, n_dim, n_rope;
    int32_t q_rank, o_groups, o_rank, window;
    int32_t index_heads, index_dim, index_top_k;
    int32_t n_hc, hc_iters, n_hash_layers;
    int32_t n_expert, n_expert_used;
    float norm_eps, hc_eps, expert_scale;
    float rope_base, compress_rope_base;
    float yarn_factor, yarn_beta_fast, yarn_beta_slow; /* factor 1: no YaRN */
    int32_t yarn_context;
    bool fast;                    /* not from the file: integer activations where the weights allow */
    int32_t ratio[V4_MAX_LAYERS]; /* 0, 4 or 128 */
    int32_t n_ff[V4_MAX_LAYERS];
    float clamp_expert[V4_MAX_LAYERS], clamp_shared[V4_MAX_LAYERS];
};

/* From the metadata; three keys that ik_llama.cpp's files may lack follow from tensors or from another key.  n_vocab is 0
 * when no key has it. */
enum ggl_status v4_hparams_read(const struct ggl_source *src, struct v4_hparams *hp, struct ggl_error *err);

/* freqs [n_rope / 2]: plain layers use rope_base, compressed ones compress_rope_base with YaRN. */
void v4_rope_freqs(const struct v4_hparams *hp, bool compressed, float *freqs);

#endif
