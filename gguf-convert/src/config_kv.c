/* config.json as GGUF keys: the names and types that readers of DeepSeek V4 files know, under our own architecture
 * name, because a reader that does not know our tensors must not try. */
#include "gguf-convert/src/config.h"

#include <stdio.h>

#define ARCH "deepseek4-native"

/* The first failure sticks; there is only one kind (out of memory), so nothing is lost. */
struct setter {
    struct ggl_gguf *g;
    enum ggl_status status;
};

static void set_u32(struct setter *s, const char *key, uint32_t v)
{
    if (!s->status) s->status = ggl_gguf_set_u32(s->g, key, v);
}

static void set_f32(struct setter *s, const char *key, float v)
{
    if (!s->status) s->status = ggl_gguf_set_f32(s->g, key, v);
}

static void set_str(struct setter *s, const char *key, const char *v)
{
    if (!s->status) s->status = ggl_gguf_set_str(s->g, key, v);
}

static void set_bool(struct setter *s, const char *key, bool v)
{
    if (!s->status) s->status = ggl_gguf_set_bool(s->g, key, v);
}

static void set_arr(struct setter *s, const char *key, enum ggl_kv_type type, const void *data, uint32_t n)
{
    if (!s->status) s->status = ggl_gguf_set_arr(s->g, key, type, data, n);
}

static void set_attention(struct setter *s, const struct ggl_config *c, uint32_t n_block)
{
    set_u32(s, ARCH ".attention.head_count", c->n_head);
    set_u32(s, ARCH ".attention.head_count_kv", 1);
    set_u32(s, ARCH ".attention.key_length", c->head_dim);
    set_u32(s, ARCH ".attention.value_length", c->head_dim);
    set_f32(s, ARCH ".attention.layer_norm_rms_epsilon", c->rms_eps);
    set_u32(s, ARCH ".attention.q_lora_rank", c->q_rank);
    set_u32(s, ARCH ".attention.sliding_window", c->window);
    set_u32(s, ARCH ".attention.indexer.head_count", c->index_heads);
    set_u32(s, ARCH ".attention.indexer.key_length", c->index_dim);
    set_u32(s, ARCH ".attention.indexer.top_k", c->index_topk);
    set_u32(s, ARCH ".attention.output_group_count", c->o_groups);
    set_u32(s, ARCH ".attention.output_lora_rank", c->o_rank);
    set_arr(s, ARCH ".attention.compress_ratios", GGL_KV_I32, c->ratio, n_block);
    set_f32(s, ARCH ".attention.compress_rope_freq_base", c->compress_rope_base);
}

static void set_rope(struct setter *s, const struct ggl_config *c)
{
    set_u32(s, ARCH ".rope.dimension_count", c->n_rope);
    set_f32(s, ARCH ".rope.freq_base", c->rope_base);
    set_str(s, ARCH ".rope.scaling.type", c->yarn ? "yarn" : "none");
    if (!c->yarn) return;
    set_f32(s, ARCH ".rope.scaling.factor", c->yarn_factor);
    set_u32(s, ARCH ".rope.scaling.original_context_length", c->yarn_ctx);
    set_f32(s, ARCH ".rope.scaling.yarn_beta_fast", c->yarn_beta_fast);
    set_f32(s, ARCH ".rope.scaling.yarn_beta_slow", c->yarn_beta_slow);
}

static void set_experts(struct setter *s, const struct ggl_config *c, uint32_t n_block)
{
    float clamp[GGL_MAX_LAYERS];
    for (uint32_t i = 0; i < n_block; i++) clamp[i] = c->swiglu_limit;
    set_u32(s, ARCH ".hash_layer_count", c->n_hash);
    set_u32(s, ARCH ".expert_count", c->n_expert);
    set_u32(s, ARCH ".expert_used_count", c->n_expert_used);
    set_u32(s, ARCH ".expert_shared_count", 1);
    set_u32(s, ARCH ".expert_feed_forward_length", c->n_ff);
    set_f32(s, ARCH ".expert_weights_scale", c->expert_scale);
    set_bool(s, ARCH ".expert_weights_norm", true);
    set_u32(s, ARCH ".expert_gating_func", 4); /* sqrt(softplus) */
    set_arr(s, ARCH ".swiglu_clamp_exp", GGL_KV_F32, clamp, n_block);
    set_arr(s, ARCH ".swiglu_clamp_shexp", GGL_KV_F32, clamp, n_block);
}

static void set_dspark(struct setter *s, const struct ggl_config *c)
{
    if (c->dspark_block) set_u32(s, ARCH ".dspark.block_size", c->dspark_block);
    if (c->dspark_noise) set_u32(s, ARCH ".dspark.noise_token_id", c->dspark_noise);
    if (c->dspark_rank) set_u32(s, ARCH ".dspark.markov_rank", c->dspark_rank);
    if (c->n_target) set_arr(s, ARCH ".dspark.target_layers", GGL_KV_I32, c->target, c->n_target);
}

enum ggl_status ggl_config_to_gguf(const struct ggl_config *c, uint32_t n_mtp, bool dspark, struct ggl_gguf *g)
{
    struct setter s = {g, GGL_OK};
    uint32_t n_block = c->n_layer + n_mtp;
    set_str(&s, "general.architecture", ARCH);
    set_str(&s, "general.type", "model");
    set_str(&s, "general.name", dspark ? "deepseek_v4 dspark" : "deepseek_v4"); /* not the folder's: same content, same bytes */
    set_u32(&s, "general.alignment", 4096);
    set_u32(&s, "general.quantization_version", 2);
    set_u32(&s, "general.file_type", 2000);
    set_u32(&s, ARCH ".block_count", n_block);
    set_u32(&s, ARCH ".nextn_predict_layers", n_mtp);
    set_u32(&s, ARCH ".context_length", c->n_ctx);
    set_u32(&s, ARCH ".embedding_length", c->n_embd);
    set_u32(&s, ARCH ".embedding_length_out", c->n_embd * c->hc_mult); /* at most 2^20 * 8 */
    set_u32(&s, ARCH ".vocab_size", c->n_vocab);
    set_attention(&s, c, n_block);
    set_rope(&s, c);
    set_u32(&s, ARCH ".hyper_connection.count", c->hc_mult);
    set_u32(&s, ARCH ".hyper_connection.sinkhorn_iterations", c->hc_iterations);
    set_f32(&s, ARCH ".hyper_connection.epsilon", c->hc_eps);
    set_experts(&s, c, n_block);
    if (dspark) set_dspark(&s, c);
    set_str(&s, "ggl.prompt_format", dspark ? "dsv4-0731" : "dsv4-preview");
    return s.status;
}
