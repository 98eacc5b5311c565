/*
 * config.json of a DeepSeek V4 checkpoint: every value that shapes the model, type- and range-checked.
 */
#ifndef GGL_CONVERT_CONFIG_H
#define GGL_CONVERT_CONFIG_H

#include <stdbool.h>
#include "ggml-lite/gguf.h"
#include "ggml-lite/status.h"

#define GGL_MAX_LAYERS  512 /* blocks, the multi-token-prediction ones included */
#define GGL_MAX_TARGETS 8   /* layers that DSpark looks at */

struct ggl_config {
    uint32_t n_layer; /* without multi-token prediction */
    uint32_t n_embd, n_ctx, n_vocab;
    uint32_t n_head, head_dim, n_rope, q_rank;
    uint32_t o_groups, o_rank, window;
    uint32_t index_heads, index_dim, index_topk;
    uint32_t n_expert, n_expert_used, n_ff, n_hash;
    uint32_t hc_mult, hc_iterations;
    uint32_t bos, eos;
    float rope_base, compress_rope_base, rms_eps, hc_eps, expert_scale, swiglu_limit;
    bool yarn;
    uint32_t yarn_ctx;
    float yarn_factor, yarn_beta_fast, yarn_beta_slow;
    uint32_t n_ratio; /* entries of config.json; the others are 0 */
    int32_t ratio[GGL_MAX_LAYERS];
    uint32_t dspark_block, dspark_noise, dspark_rank; /* 0: config.json does not say */
    uint32_t n_target;
    int32_t target[GGL_MAX_TARGETS];
};

/* FORMAT: broken or out of range; UNSUPPORTED: another architecture, the message says which. */
enum ggl_status ggl_config_load(const char *path, struct ggl_config *c, struct ggl_error *err);
enum ggl_status ggl_config_parse(const char *path, const void *text, size_t n, struct ggl_config *c,
                                 struct ggl_error *err);

/* The keys of a GGUF file with n_mtp blocks after the main layers, tokenizer and ggl.* excluded. */
enum ggl_status ggl_config_to_gguf(const struct ggl_config *c, uint32_t n_mtp, bool dspark, struct ggl_gguf *g);

#endif
