/*
 * Metadata -> hyper-parameters.  Every value has a range, so that nothing later
 * can divide by zero or overflow; shapes of tensors are compared with these.
 */
#include "hparams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct reader {
    const struct ggl_source *src;
    const struct ggl_gguf *meta;
    const char *arch;
    struct ggl_error *err;
    enum ggl_status status;
    char key[128];
};

static const char *key(struct reader *r, const char *name)
{
    snprintf(r->key, sizeof(r->key), "%s.%s", r->arch, name);
    return r->key;
}

static void read_int(struct reader *r, const char *name, uint32_t lo, uint32_t hi, int32_t *out)
{
    uint32_t v = 0;
    if (r->status) return;
    r->status = ggl_gguf_get_u32(r->meta, key(r, name), lo, hi, &v, r->err);
    if (!r->status) *out = (int32_t)v;
}

static void read_float(struct reader *r, const char *name, float lo, float hi, float *out)
{
    if (!r->status) r->status = ggl_gguf_get_f32(r->meta, key(r, name), lo, hi, out, r->err);
}

static bool has(struct reader *r, const char *name)
{
    return ggl_gguf_find_kv(r->meta, key(r, name)) != NULL;
}

static void optional_int(struct reader *r, const char *name, uint32_t lo, uint32_t hi, int32_t *out)
{
    if (has(r, name)) read_int(r, name, lo, hi, out);
}

static void optional_float(struct reader *r, const char *name, float lo, float hi, float *out)
{
    if (has(r, name)) read_float(r, name, lo, hi, out);
}

static void refuse(struct reader *r, const char *name, const char *found, const char *expected)
{
    if (!r->status)
        r->status = ggl_fail(r->err, GGL_ERR_FORMAT, ggl_gguf_path(r->meta), GGL_NO_OFFSET, found, expected, "%s", key(r, name));
}

/* Element i of a numeric array or scalar as a double; false: not a number. */
static bool number_at(const struct ggl_kv *kv, uint64_t i, double *out)
{
    enum ggl_kv_type type = kv->type == GGL_KV_ARR ? kv->elem : kv->type;
    switch (type) {
    case GGL_KV_U8: *out = ((const uint8_t *)kv->data)[i]; return true;
    case GGL_KV_I8: *out = ((const int8_t *)kv->data)[i]; return true;
    case GGL_KV_U16: *out = ((const uint16_t *)kv->data)[i]; return true;
    case GGL_KV_I16: *out = ((const int16_t *)kv->data)[i]; return true;
    case GGL_KV_U32: *out = ((const uint32_t *)kv->data)[i]; return true;
    case GGL_KV_I32: *out = ((const int32_t *)kv->data)[i]; return true;
    case GGL_KV_U64: *out = (double)((const uint64_t *)kv->data)[i]; return true;
    case GGL_KV_I64: *out = (double)((const int64_t *)kv->data)[i]; return true;
    case GGL_KV_F32: *out = (double)((const float *)kv->data)[i]; return true;
    case GGL_KV_F64: *out = ((const double *)kv->data)[i]; return true;
    default: return false;
    }
}

/* A value a layer: an array of at least n_block entries, or one scalar for all. */
static void read_per_layer(struct reader *r, const char *name, int32_t n, double lo, double hi, bool integer, double *out)
{
    if (r->status) return;
    const struct ggl_kv *kv = ggl_gguf_find_kv(r->meta, key(r, name));
    if (!kv) {
        r->status = ggl_fail(r->err, GGL_ERR_FORMAT, ggl_gguf_path(r->meta), GGL_NO_OFFSET, "missing", "a number a layer", "%s", r->key);
        return;
    }
    char found[64];
    if (kv->type == GGL_KV_ARR && kv->n < (uint64_t)n) {
        snprintf(found, sizeof(found), "%llu entries", (unsigned long long)kv->n);
        refuse(r, name, found, "at least block_count entries");
    }
    for (int32_t i = 0; i < n && !r->status; i++) {
        double v;
        if (!number_at(kv, kv->type == GGL_KV_ARR ? (uint64_t)i : 0, &v)) {
            refuse(r, name, "of another type", "numbers");
        } else if (!(v >= lo && v <= hi) || (integer && v != floor(v))) {
            snprintf(found, sizeof(found), "%g for layer %d", v, i);
            refuse(r, name, found, "a value in range");
        } else {
            out[i] = v;
        }
    }
}

static bool has_tensor(const struct reader *r, int32_t layer, const char *name)
{
    char full[GGL_MAX_NAME];
    snprintf(full, sizeof(full), "blk.%d.%s", layer, name);
    return ggl_source_find(r->src, full) != NULL;
}

/* Only layers of ratio 4 have an indexer, only compressed ones a compressor. */
static int32_t ratio_of_tensors(const struct reader *r, int32_t layer)
{
    if (has_tensor(r, layer, "indexer.attn_q_b.weight")) return 4;
    bool compressor = has_tensor(r, layer, "attn_compressor_kv.weight") || has_tensor(r, layer, "attn_compress_kv.weight");
    return compressor ? 128 : 0;
}

static void read_ratios(struct reader *r, struct v4_hparams *hp)
{
    double v[V4_MAX_LAYERS];
    if (!has(r, "attention.compress_ratios")) {
        for (int32_t i = 0; i < hp->n_block && !r->status; i++) hp->ratio[i] = ratio_of_tensors(r, i);
        return;
    }
    read_per_layer(r, "attention.compress_ratios", hp->n_block, 0, 128, true, v);
    for (int32_t i = 0; i < hp->n_block && !r->status; i++) {
        hp->ratio[i] = (int32_t)v[i];
        if (v[i] != 0 && v[i] != 4 && v[i] != 128) refuse(r, "attention.compress_ratios", "another value", "0, 4 or 128");
    }
}

static void read_layers(struct reader *r, struct v4_hparams *hp)
{
    double v[V4_MAX_LAYERS];
    read_ratios(r, hp);
    read_per_layer(r, "expert_feed_forward_length", hp->n_block, 1, 1 << 20, true, v);
    for (int32_t i = 0; i < hp->n_block && !r->status; i++) hp->n_ff[i] = (int32_t)v[i];
    read_per_layer(r, "swiglu_clamp_exp", hp->n_block, 0, 1e6, false, v);
    for (int32_t i = 0; i < hp->n_block && !r->status; i++) hp->clamp_expert[i] = hp->clamp_shared[i] = (float)v[i];
    if (!has(r, "swiglu_clamp_shexp")) return;
    read_per_layer(r, "swiglu_clamp_shexp", hp->n_block, 0, 1e6, false, v);
    for (int32_t i = 0; i < hp->n_block && !r->status; i++) hp->clamp_shared[i] = (float)v[i];
}

/* The first projection behind attention sees one group of heads: its width tells how many groups there are. */
static void read_groups(struct reader *r, struct v4_hparams *hp)
{
    const struct ggl_tensor *t = ggl_source_find(r->src, "blk.0.attn_output_a.weight");
    int64_t heads = (int64_t)hp->n_head * hp->n_dim;
    bool known = !r->status && t && t->ne[0] > 0 && heads % t->ne[0] == 0 && heads / t->ne[0] <= 4096;
    if (known && !has(r, "attention.output_group_count")) hp->o_groups = (int32_t)(heads / t->ne[0]);
    else read_int(r, "attention.output_group_count", 1, 4096, &hp->o_groups);
}

static void read_sizes(struct reader *r, struct v4_hparams *hp)
{
    read_int(r, "block_count", 1, V4_MAX_LAYERS, &hp->n_block);
    read_int(r, "context_length", 1, 1u << 28, &hp->n_ctx_train);
    read_int(r, "embedding_length", 1, 1 << 20, &hp->n_embd);
    read_int(r, "attention.head_count", 1, 4096, &hp->n_head);
    read_int(r, "attention.key_length", 1, 65536, &hp->n_dim);
    read_int(r, "rope.dimension_count", 2, 1024, &hp->n_rope);
    read_int(r, "attention.q_lora_rank", 1, 1 << 20, &hp->q_rank);
    read_groups(r, hp);
    read_int(r, "attention.output_lora_rank", 1, 1 << 20, &hp->o_rank);
    read_int(r, "attention.sliding_window", 1, 1 << 14, &hp->window);
    read_int(r, "attention.indexer.head_count", 1, 4096, &hp->index_heads);
    read_int(r, "attention.indexer.key_length", 32, 4096, &hp->index_dim);
    read_int(r, "attention.indexer.top_k", 1, 1 << 16, &hp->index_top_k);
    read_int(r, "hyper_connection.count", 1, 8, &hp->n_hc);
    read_int(r, "hyper_connection.sinkhorn_iterations", 1, 1000, &hp->hc_iters);
    read_int(r, "hash_layer_count", 0, V4_MAX_LAYERS, &hp->n_hash_layers);
    read_int(r, "expert_count", 1, 1 << 16, &hp->n_expert);
    read_int(r, "expert_used_count", 1, 64, &hp->n_expert_used);
    optional_int(r, "vocab_size", 1, INT32_MAX, &hp->n_vocab);
    read_float(r, "attention.layer_norm_rms_epsilon", 0, 1, &hp->norm_eps);
    read_float(r, "hyper_connection.epsilon", 0, 1, &hp->hc_eps);
    read_float(r, "expert_weights_scale", -1e6f, 1e6f, &hp->expert_scale);
}

static void read_rope(struct reader *r, struct v4_hparams *hp)
{
    hp->rope_base = 10000;
    hp->yarn_factor = 1;
    hp->yarn_beta_fast = 32;
    hp->yarn_beta_slow = 1;
    optional_float(r, "rope.freq_base", 1, 1e12f, &hp->rope_base);
    bool other = !has(r, "attention.compress_rope_freq_base") && has(r, "rope.freq_base_swa");
    read_float(r, other ? "rope.freq_base_swa" : "attention.compress_rope_freq_base", 1.0001f, 1e12f, &hp->compress_rope_base);
    optional_float(r, "rope.scaling.factor", 1, 1e6f, &hp->yarn_factor);
    optional_int(r, "rope.scaling.original_context_length", 1, 1u << 28, &hp->yarn_context);
    optional_float(r, "rope.scaling.yarn_beta_fast", 1e-6f, 1e6f, &hp->yarn_beta_fast);
    optional_float(r, "rope.scaling.yarn_beta_slow", 1e-6f, 1e6f, &hp->yarn_beta_slow);
    const char *type = ggl_gguf_get_str(r->meta, key(r, "rope.scaling.type"));
    if (type && !strcmp(type, "none")) hp->yarn_factor = 1;
    else if (type && strcmp(type, "yarn") != 0) refuse(r, "rope.scaling.type", type, "yarn or none");
}

/* What must hold between the sizes. */
static void check_relations(struct reader *r, struct v4_hparams *hp)
{
    if (r->status) return;
    int32_t one = 1, gating = 4;
    optional_int(r, "attention.head_count_kv", 1, 1, &one);
    optional_int(r, "expert_shared_count", 1, 1, &one);
    optional_int(r, "expert_gating_func", 4, 4, &gating);
    bool normalised = true;
    if (!r->status && has(r, "expert_weights_norm")) r->status = ggl_gguf_get_bool(r->meta, r->key, &normalised, r->err);
    if (!normalised) refuse(r, "expert_weights_norm", "false", "true");
    int32_t value_length = hp->n_dim;
    optional_int(r, "attention.value_length", 1, 65536, &value_length);
    if (value_length != hp->n_dim) refuse(r, "attention.value_length", "another size", "that of key_length");
    if (hp->n_rope % 2 || hp->n_rope >= hp->n_dim) refuse(r, "rope.dimension_count", "odd or too large", "an even number below key_length");
    if (hp->n_dim > 0 && (hp->n_dim - hp->n_rope) % 64)
        refuse(r, "attention.key_length", "without its rotary part not a multiple of 64", "whole cache blocks of 64");
    if (hp->index_dim & (hp->index_dim - 1)) refuse(r, "attention.indexer.key_length", "not a power of two", "one, for the Hadamard rotation");
    if (hp->index_dim < hp->n_rope) refuse(r, "attention.indexer.key_length", "shorter than the rotary part", "at least that");
    if (hp->n_head % hp->o_groups) refuse(r, "attention.output_group_count", "no divisor of head_count", "one");
    if (hp->n_expert_used > hp->n_expert) refuse(r, "expert_used_count", "more than expert_count", "at most that");
}

enum ggl_status v4_hparams_read(const struct ggl_source *src, struct v4_hparams *hp, struct ggl_error *err)
{
    const struct ggl_gguf *meta = src->meta;
    struct reader r = {.src = src, .meta = meta, .err = err};
    memset(hp, 0, sizeof(*hp));
    r.arch = ggl_gguf_get_str(meta, "general.architecture");
    if (!r.arch || (strcmp(r.arch, "deepseek4") != 0 && strcmp(r.arch, "deepseek4-native") != 0))
        return ggl_fail(err, GGL_ERR_UNSUPPORTED, ggl_gguf_path(meta), GGL_NO_OFFSET, r.arch ? r.arch : "missing",
                        "deepseek4 or deepseek4-native", "general.architecture");
    read_sizes(&r, hp);
    if (!r.status) read_rope(&r, hp);
    if (!r.status) read_layers(&r, hp);
    check_relations(&r, hp);
    int32_t nextn = 0;
    if (!r.status) optional_int(&r, "nextn_predict_layers", 0, 16, &nextn);
    hp->n_mtp = nextn;
    hp->n_layer = hp->n_block;
    return r.status == GGL_ERR_NOT_FOUND ? (err ? err->status = GGL_ERR_FORMAT : GGL_ERR_FORMAT) : r.status;
}

/* Float arithmetic as in the official code: the same bits matter at position 10^6. */
static double yarn_correction(const struct v4_hparams *hp, double rotations, double base)
{
    const double two_pi = 6.283185307179586;
    return hp->n_rope * log(hp->yarn_context / (rotations * two_pi)) / (2 * log(base));
}

void v4_rope_freqs(const struct v4_hparams *hp, bool compressed, float *freqs)
{
    float base = compressed ? hp->compress_rope_base : hp->rope_base;
    int n = hp->n_rope / 2;
    for (int i = 0; i < n; i++) {
        float exponent = (float)(2 * i) / (float)hp->n_rope;
        freqs[i] = 1.0f / (float)pow((double)base, (double)exponent);
    }
    if (!compressed || hp->yarn_context <= 0 || hp->yarn_factor == 1.0f) return;
    double low = floor(yarn_correction(hp, (double)hp->yarn_beta_fast, (double)base));
    double high = ceil(yarn_correction(hp, (double)hp->yarn_beta_slow, (double)base));
    if (low < 0) low = 0;
    if (high > hp->n_rope - 1) high = hp->n_rope - 1;
    if (low == high) high += 0.001;
    for (int i = 0; i < n; i++) {
        float ramp = ((float)i - (float)low) / (float)(high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        freqs[i] = freqs[i] / hp->yarn_factor * ramp + freqs[i] * (1 - ramp);
    }
}
