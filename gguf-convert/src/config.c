/* config.json: a table of keys with their ranges, then the rules that tie them together. */
#include "gguf-convert/src/config.h"

#ifdef GGL_HAVE_JANSSON
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "gguf-convert/src/json.h"

#define MAX_CONFIG_BYTES (4u << 20)
#define MAX_CONFIG_DEPTH 16

struct reader {
    const char *path;
    const json_t *root;
    struct ggl_error *err;
};

static enum ggl_status fail(const struct reader *r, enum ggl_status status, const char *key, const json_t *value,
                            const char *expected)
{
    char found[64];
    return ggl_fail(r->err, status, r->path, GGL_NO_OFFSET, ggl_json_describe(value, found), expected, "%s", key);
}

/* ---- numbers */

#define AT(member) offsetof(struct ggl_config, member)

static const struct int_key {
    const char *key;
    size_t at;
    uint32_t lo, hi;
    bool optional; /* then 0 */
} int_keys[] = {
    {"num_hidden_layers", AT(n_layer), 1, GGL_MAX_LAYERS - 8, false},
    {"hidden_size", AT(n_embd), 32, 1 << 20, false},
    {"max_position_embeddings", AT(n_ctx), 1, 1 << 30, false},
    {"vocab_size", AT(n_vocab), 1, 1 << 24, false},
    {"num_attention_heads", AT(n_head), 1, 1 << 14, false},
    {"head_dim", AT(head_dim), 1, 1 << 14, false},
    {"qk_rope_head_dim", AT(n_rope), 2, 1 << 14, false},
    {"q_lora_rank", AT(q_rank), 1, 1 << 20, false},
    {"o_groups", AT(o_groups), 1, 1 << 14, false},
    {"o_lora_rank", AT(o_rank), 1, 1 << 20, false},
    {"sliding_window", AT(window), 1, 1 << 20, false},
    {"index_n_heads", AT(index_heads), 1, 1 << 14, false},
    {"index_head_dim", AT(index_dim), 32, 1 << 14, false},
    {"index_topk", AT(index_topk), 1, 1 << 20, false},
    {"n_routed_experts", AT(n_expert), 1, 1 << 16, false},
    {"num_experts_per_tok", AT(n_expert_used), 1, 1 << 10, false},
    {"moe_intermediate_size", AT(n_ff), 32, 1 << 20, false},
    {"num_hash_layers", AT(n_hash), 0, GGL_MAX_LAYERS, false},
    {"hc_mult", AT(hc_mult), 1, 8, false},
    {"hc_sinkhorn_iters", AT(hc_iterations), 1, 1000, false},
    {"bos_token_id", AT(bos), 0, (1 << 24) - 1, false},
    {"eos_token_id", AT(eos), 0, (1 << 24) - 1, false},
    {"dspark_block_size", AT(dspark_block), 1, 1 << 10, true},
    {"dspark_noise_token_id", AT(dspark_noise), 0, (1 << 24) - 1, true},
    {"dspark_markov_rank", AT(dspark_rank), 1, 1 << 20, true},
};

static const struct float_key {
    const char *key;
    size_t at;
    double lo, hi; /* inclusive */
} float_keys[] = {
    {"rope_theta", AT(rope_base), 1, 1e12},
    {"compress_rope_theta", AT(compress_rope_base), 1, 1e12},
    {"rms_norm_eps", AT(rms_eps), 1e-30, 1},
    {"hc_eps", AT(hc_eps), 1e-30, 1},
    {"routed_scaling_factor", AT(expert_scale), 1e-6, 1e6},
    {"swiglu_limit", AT(swiglu_limit), 1e-6, 1e30},
};

static enum ggl_status get_u32(const struct reader *r, const json_t *object, const char *key, const char *label,
                               uint32_t lo, uint32_t hi, uint32_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value) && json_integer_value(value) >= (json_int_t)lo &&
        json_integer_value(value) <= (json_int_t)hi) {
        *out = (uint32_t)json_integer_value(value);
        return GGL_OK;
    }
    char expected[64];
    snprintf(expected, sizeof(expected), "an integer from %" PRIu32 " to %" PRIu32, lo, hi);
    return fail(r, GGL_ERR_FORMAT, label, value, expected);
}

static enum ggl_status get_f32(const struct reader *r, const json_t *object, const char *key, const char *label,
                               double lo, double hi, float *out)
{
    const json_t *value = json_object_get(object, key);
    double v = json_number_value(value); /* 0 for what is no number */
    if (json_is_number(value) && isfinite(v) && v >= lo && v <= hi) {
        *out = (float)v;
        return GGL_OK;
    }
    char expected[64];
    snprintf(expected, sizeof(expected), "a number from %g to %g", lo, hi);
    return fail(r, GGL_ERR_FORMAT, label, value, expected);
}

static enum ggl_status read_numbers(const struct reader *r, struct ggl_config *c)
{
    enum ggl_status s;
    for (size_t i = 0; i < sizeof(int_keys) / sizeof(int_keys[0]); i++) {
        const struct int_key *k = &int_keys[i];
        if (k->optional && !json_object_get(r->root, k->key)) continue;
        if ((s = get_u32(r, r->root, k->key, k->key, k->lo, k->hi, (uint32_t *)(void *)((char *)c + k->at)))) return s;
    }
    for (size_t i = 0; i < sizeof(float_keys) / sizeof(float_keys[0]); i++) {
        const struct float_key *k = &float_keys[i];
        if ((s = get_f32(r, r->root, k->key, k->key, k->lo, k->hi, (float *)(void *)((char *)c + k->at)))) return s;
    }
    return GGL_OK;
}

/* ---- which model this is */

/* Values that the graph is built for; a missing key means the same, except model_type. */
static enum ggl_status check_fixed(const struct reader *r)
{
    static const struct {
        const char *key, *json;
    } fixed[] = {
        {"scoring_func", "\"sqrtsoftplus\""}, {"topk_method", "\"noaux_tc\""}, {"hidden_act", "\"silu\""},
        {"norm_topk_prob", "true"},           {"attention_bias", "false"},     {"tie_word_embeddings", "false"},
        {"num_key_value_heads", "1"},         {"n_shared_experts", "1"},
    };
    char found[64];
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        const json_t *value = json_object_get(r->root, fixed[i].key);
        if (!value || strcmp(ggl_json_describe(value, found), fixed[i].json) == 0) continue;
        return fail(r, GGL_ERR_UNSUPPORTED, fixed[i].key, value, fixed[i].json);
    }
    return GGL_OK;
}

static enum ggl_status check_family(const struct reader *r)
{
    const json_t *type = json_object_get(r->root, "model_type");
    if (!json_is_string(type)) return fail(r, GGL_ERR_FORMAT, "model_type", type, "\"deepseek_v4\"");
    if (strcmp(json_string_value(type), "deepseek_v4") != 0) {
        return fail(r, GGL_ERR_UNSUPPORTED, "model_type", type, "\"deepseek_v4\"");
    }
    const json_t *list = json_object_get(r->root, "architectures"), *name = json_array_get(list, 0);
    if (list && (!json_is_string(name) || strcmp(json_string_value(name), "DeepseekV4ForCausalLM") != 0)) {
        return fail(r, GGL_ERR_UNSUPPORTED, "architectures", name ? name : list, "[\"DeepseekV4ForCausalLM\"]");
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)r->root, key, value) {
        if (value && strncmp(key, "engram", 6) == 0) {
            return fail(r, GGL_ERR_UNSUPPORTED, key, value, "no such key (DeepSeek V4.1 is another architecture)");
        }
        if (strcmp(key, "vision_config") == 0) {
            return fail(r, GGL_ERR_UNSUPPORTED, key, value, "no such key (vision models are another architecture)");
        }
    }
    return check_fixed(r);
}

static enum ggl_status check_quantization(const struct reader *r)
{
    const json_t *q = json_object_get(r->root, "quantization_config");
    if (!q || json_is_null(q)) return GGL_OK;
    if (!json_is_object(q)) return fail(r, GGL_ERR_FORMAT, "quantization_config", q, "an object");
    const json_t *method = json_object_get(q, "quant_method"), *fmt = json_object_get(q, "fmt");
    const json_t *block = json_object_get(q, "weight_block_size");
    if (method && (!json_is_string(method) || strcmp(json_string_value(method), "fp8") != 0)) {
        return fail(r, GGL_ERR_UNSUPPORTED, "quantization_config.quant_method", method, "\"fp8\"");
    }
    if (fmt && (!json_is_string(fmt) || strcmp(json_string_value(fmt), "e4m3") != 0)) {
        return fail(r, GGL_ERR_UNSUPPORTED, "quantization_config.fmt", fmt, "\"e4m3\"");
    }
    for (size_t i = 0; block && i < 2; i++) {
        const json_t *v = json_array_get(block, i);
        if (json_array_size(block) != 2 || !json_is_integer(v) || json_integer_value(v) != 128) {
            return fail(r, GGL_ERR_UNSUPPORTED, "quantization_config.weight_block_size", v ? v : block, "[128, 128]");
        }
    }
    return GGL_OK;
}

/* ---- the rest */

static enum ggl_status read_rope_scaling(const struct reader *r, struct ggl_config *c)
{
    const json_t *scaling = json_object_get(r->root, "rope_scaling");
    if (!scaling || json_is_null(scaling)) return GGL_OK;
    if (!json_is_object(scaling)) return fail(r, GGL_ERR_FORMAT, "rope_scaling", scaling, "an object");
    const json_t *type = json_object_get(scaling, "type");
    if (!type) type = json_object_get(scaling, "rope_type");
    if (!json_is_string(type)) return fail(r, GGL_ERR_FORMAT, "rope_scaling.type", type, "\"yarn\"");
    if (strcmp(json_string_value(type), "yarn") != 0) {
        return fail(r, GGL_ERR_UNSUPPORTED, "rope_scaling.type", type, "\"yarn\"");
    }
    enum ggl_status s;
    c->yarn = true;
    if ((s = get_f32(r, scaling, "factor", "rope_scaling.factor", 1, 1e6, &c->yarn_factor))) return s;
    if ((s = get_f32(r, scaling, "beta_fast", "rope_scaling.beta_fast", 1e-3, 1e6, &c->yarn_beta_fast))) return s;
    if ((s = get_f32(r, scaling, "beta_slow", "rope_scaling.beta_slow", 1e-3, 1e6, &c->yarn_beta_slow))) return s;
    return get_u32(r, scaling, "original_max_position_embeddings", "rope_scaling.original_max_position_embeddings", 1,
                   1 << 30, &c->yarn_ctx);
}

/* Never defaulted: the arrangement of the layers has no safe guess. */
static enum ggl_status read_ratios(const struct reader *r, struct ggl_config *c)
{
    const json_t *list = json_object_get(r->root, "compress_ratios");
    char expected[64];
    if (!json_is_array(list) || json_array_size(list) < c->n_layer || json_array_size(list) > GGL_MAX_LAYERS) {
        snprintf(expected, sizeof(expected), "an array of %" PRIu32 " to %d", c->n_layer, GGL_MAX_LAYERS);
        return fail(r, GGL_ERR_FORMAT, "compress_ratios", list, expected);
    }
    c->n_ratio = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < c->n_ratio; i++) {
        const json_t *v = json_array_get(list, i);
        json_int_t ratio = json_is_integer(v) ? json_integer_value(v) : -1;
        bool main = i < c->n_layer;
        if (ratio != 0 && !(main && (ratio == 4 || ratio == 128))) {
            char key[48];
            snprintf(key, sizeof(key), "compress_ratios[%" PRIu32 "]", i);
            return fail(r, GGL_ERR_FORMAT, key, v, main ? "0, 4 or 128" : "0 (behind the main layers)");
        }
        c->ratio[i] = (int32_t)ratio;
    }
    return GGL_OK;
}

static enum ggl_status read_targets(const struct reader *r, struct ggl_config *c)
{
    const json_t *list = json_object_get(r->root, "dspark_target_layer_ids");
    if (!list) return GGL_OK;
    if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > GGL_MAX_TARGETS) {
        return fail(r, GGL_ERR_FORMAT, "dspark_target_layer_ids", list, "an array of 1 to 8");
    }
    c->n_target = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < c->n_target; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= (json_int_t)c->n_layer) {
            return fail(r, GGL_ERR_FORMAT, "dspark_target_layer_ids", v, "layers of the main model");
        }
        c->target[i] = (int32_t)json_integer_value(v);
    }
    return GGL_OK;
}

/* What one value says about another. */
static enum ggl_status check_relations(const struct reader *r, const struct ggl_config *c)
{
    const struct {
        bool ok;
        const char *key, *expected;
    } rules[] = {
        {c->head_dim > c->n_rope, "head_dim", "more than qk_rope_head_dim"},
        {c->n_rope % 2 == 0, "qk_rope_head_dim", "an even number"},
        {(c->head_dim - c->n_rope) % 64 == 0, "head_dim", "qk_rope_head_dim plus a multiple of 64"},
        {c->n_head % c->o_groups == 0, "o_groups", "a divisor of num_attention_heads"},
        {(c->index_dim & (c->index_dim - 1)) == 0, "index_head_dim", "a power of two"},
        {c->index_dim >= c->n_rope, "index_head_dim", "at least qk_rope_head_dim"},
        {c->n_expert_used <= c->n_expert, "num_experts_per_tok", "at most n_routed_experts"},
        {c->n_hash <= c->n_layer, "num_hash_layers", "at most num_hidden_layers"},
        {c->n_embd % 32 == 0, "hidden_size", "a multiple of 32"},
        {c->n_ff % 32 == 0, "moe_intermediate_size", "a multiple of 32"},
        {c->bos < c->n_vocab, "bos_token_id", "less than vocab_size"},
        {c->eos < c->n_vocab, "eos_token_id", "less than vocab_size"},
        {c->dspark_noise < c->n_vocab, "dspark_noise_token_id", "less than vocab_size"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!rules[i].ok) {
            return fail(r, GGL_ERR_FORMAT, rules[i].key, json_object_get(r->root, rules[i].key), rules[i].expected);
        }
    }
    return GGL_OK;
}

static enum ggl_status read_config(const char *path, const json_t *root, struct ggl_config *c, struct ggl_error *err)
{
    const struct reader r = {path, root, err};
    enum ggl_status s;
    memset(c, 0, sizeof(*c));
    if ((s = check_family(&r))) return s;
    if ((s = check_quantization(&r))) return s;
    if ((s = read_numbers(&r, c))) return s;
    if ((s = read_rope_scaling(&r, c))) return s;
    if ((s = read_ratios(&r, c))) return s;
    if ((s = read_targets(&r, c))) return s;
    return check_relations(&r, c);
}

enum ggl_status ggl_config_parse(const char *path, const void *text, size_t n, struct ggl_config *c,
                                 struct ggl_error *err)
{
    json_t *root = NULL;
    enum ggl_status s = ggl_json_parse(path, 0, text, n, MAX_CONFIG_DEPTH, &root, err);
    if (!s) s = read_config(path, root, c, err);
    json_decref(root);
    return s;
}

enum ggl_status ggl_config_load(const char *path, struct ggl_config *c, struct ggl_error *err)
{
    json_t *root = NULL;
    enum ggl_status s = ggl_json_load(path, MAX_CONFIG_BYTES, MAX_CONFIG_DEPTH, &root, err);
    if (!s) s = read_config(path, root, c, err);
    json_decref(root);
    return s;
}
#endif
