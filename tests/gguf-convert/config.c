/*
 * config.json: every key with values out of range and of the wrong type, other architectures, and the GGUF keys
 * that come out of a good one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gguf-convert/src/config.h"
#include "support/ckpt_builder.h"

#ifdef GGL_HAVE_JANSSON

static enum ggl_status parse(const char *key, const char *json, struct ggl_config *c, struct ggl_error *err)
{
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){0});
    memset(err, 0, sizeof(*err));
    if (key) ckpt_set(ck, key, json);
    char *text = ckpt_config_text(ck);
    enum ggl_status s = ggl_config_parse("config.json", text, strlen(text), c, err);
    free(text);
    ckpt_free(ck);
    return s;
}

static void expect(const char *key, const char *json, enum ggl_status status, const char *message)
{
    struct ggl_config c;
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    enum ggl_status s = parse(key, json, &c, &err);
    ggl_error_line(&err, line, sizeof(line));
    if (s != status) fail_msg("%s = %s: status %d, expected %d (%s)", key, json ? json : "-", s, status, line);
    if (s && !strstr(line, message)) fail_msg("%s = %s: \"%s\" does not say \"%s\"", key, json ? json : "-", line, message);
    if (s && !strstr(line, "config.json: ")) fail_msg("%s: \"%s\" does not name the file", key, line);
}

/* Key, a value that is just out of its range on either side (NULL: no such side). */
static const struct {
    const char *key, *low, *high;
} ints[] = {
    {"num_hidden_layers", "0", "505"},       {"hidden_size", "31", "1048577"},
    {"max_position_embeddings", "0", "1073741825"}, {"vocab_size", "0", "16777217"},
    {"num_attention_heads", "0", "16385"},   {"head_dim", "0", "16385"},
    {"qk_rope_head_dim", "1", "16385"},      {"q_lora_rank", "0", "1048577"},
    {"o_groups", "0", "16385"},              {"o_lora_rank", "0", "1048577"},
    {"sliding_window", "0", "1048577"},      {"index_n_heads", "0", "16385"},
    {"index_head_dim", "31", "16385"},       {"index_topk", "0", "1048577"},
    {"n_routed_experts", "0", "65537"},      {"num_experts_per_tok", "0", "1025"},
    {"moe_intermediate_size", "31", "1048577"}, {"num_hash_layers", "-1", "513"},
    {"hc_mult", "0", "9"},                   {"hc_sinkhorn_iters", "0", "1001"},
    {"bos_token_id", "-1", "16777216"},      {"eos_token_id", "-1", "16777216"},
};
static const char *const floats[] = {"rope_theta", "compress_rope_theta", "rms_norm_eps", "hc_eps",
                                     "routed_scaling_factor", "swiglu_limit"};

static void refuses_bad_numbers(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL, "null", "\"64\"", "1.5", "64.0", "[64]", "{}", "true", "-64",
                                        "9223372036854775807", "4294967360", "1e3"};
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        expect(ints[i].key, ints[i].low, GGL_ERR_FORMAT, ints[i].key);
        expect(ints[i].key, ints[i].high, GGL_ERR_FORMAT, ints[i].key);
        for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
            expect(ints[i].key, wrong[k], GGL_ERR_FORMAT, ints[i].key);
        }
        expect(ints[i].key, "18446744073709551616", GGL_ERR_FORMAT, "JSON text");
    }
    static const char *const bad[] = {NULL, "null", "\"1\"", "0", "0.0", "-1e-6", "-1", "[1]", "true", "1e300"};
    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) expect(floats[i], bad[k], GGL_ERR_FORMAT, floats[i]);
        expect(floats[i], "1e999", GGL_ERR_FORMAT, "JSON text");
        expect(floats[i], "NaN", GGL_ERR_FORMAT, "JSON text");
        expect(floats[i], "Infinity", GGL_ERR_FORMAT, "JSON text");
    }
    print_message("%zu numbers\n", sizeof(ints) / sizeof(ints[0]) * 15 + sizeof(floats) / sizeof(floats[0]) * 13);
}

static const struct {
    const char *key, *json;
    enum ggl_status status;
    const char *message;
} cases[] = {
    /* relations */
    {"head_dim", "16", GGL_ERR_FORMAT, "head_dim is 16, expected more than qk_rope_head_dim"},
    {"head_dim", "79", GGL_ERR_FORMAT, "head_dim"},
    {"head_dim", "81", GGL_ERR_FORMAT, "multiple of 64"},
    {"qk_rope_head_dim", "15", GGL_ERR_FORMAT, "even"},
    {"o_groups", "3", GGL_ERR_FORMAT, "divisor"},
    {"index_head_dim", "96", GGL_ERR_FORMAT, "power of two"},
    {"index_head_dim", "33", GGL_ERR_FORMAT, "power of two"},
    {"num_experts_per_tok", "3", GGL_ERR_FORMAT, "at most n_routed_experts"},
    {"num_hash_layers", "4", GGL_ERR_FORMAT, "at most num_hidden_layers"},
    {"hidden_size", "65", GGL_ERR_FORMAT, "multiple of 32"},
    {"moe_intermediate_size", "33", GGL_ERR_FORMAT, "multiple of 32"},
    {"bos_token_id", "64", GGL_ERR_FORMAT, "less than vocab_size"},
    {"eos_token_id", "64", GGL_ERR_FORMAT, "less than vocab_size"},
    {"dspark_noise_token_id", "64", GGL_ERR_FORMAT, "less than vocab_size"},
    /* compress_ratios */
    {"compress_ratios", NULL, GGL_ERR_FORMAT, "compress_ratios is missing"},
    {"compress_ratios", "null", GGL_ERR_FORMAT, "compress_ratios"},
    {"compress_ratios", "4", GGL_ERR_FORMAT, "compress_ratios"},
    {"compress_ratios", "[0, 4]", GGL_ERR_FORMAT, "array of 2"},
    {"compress_ratios", "[0, 4, 128, 4]", GGL_ERR_FORMAT, "compress_ratios[3] is 4"},
    {"compress_ratios", "[0, 4, 8]", GGL_ERR_FORMAT, "compress_ratios[2] is 8"},
    {"compress_ratios", "[0, 4, -4]", GGL_ERR_FORMAT, "compress_ratios[2]"},
    {"compress_ratios", "[0, 4, 4.0]", GGL_ERR_FORMAT, "compress_ratios[2]"},
    {"compress_ratios", "[0, 4, \"4\"]", GGL_ERR_FORMAT, "compress_ratios[2]"},
    {"compress_ratios", "[0, 4, 4294967300]", GGL_ERR_FORMAT, "compress_ratios[2]"},
    /* rope_scaling */
    {"rope_scaling", "[]", GGL_ERR_FORMAT, "rope_scaling"},
    {"rope_scaling", "{}", GGL_ERR_FORMAT, "rope_scaling.type is missing"},
    {"rope_scaling", "{\"type\": \"linear\"}", GGL_ERR_UNSUPPORTED, "rope_scaling.type is \"linear\""},
    {"rope_scaling", "{\"type\": \"yarn\"}", GGL_ERR_FORMAT, "rope_scaling.factor is missing"},
    {"rope_scaling", "{\"type\": \"yarn\", \"factor\": 0.5, \"beta_fast\": 32, \"beta_slow\": 1, "
                     "\"original_max_position_embeddings\": 65536}", GGL_ERR_FORMAT, "rope_scaling.factor"},
    {"rope_scaling", "{\"type\": \"yarn\", \"factor\": 16, \"beta_fast\": 0, \"beta_slow\": 1, "
                     "\"original_max_position_embeddings\": 65536}", GGL_ERR_FORMAT, "rope_scaling.beta_fast"},
    {"rope_scaling", "{\"type\": \"yarn\", \"factor\": 16, \"beta_fast\": 32, \"beta_slow\": \"1\", "
                     "\"original_max_position_embeddings\": 65536}", GGL_ERR_FORMAT, "rope_scaling.beta_slow"},
    {"rope_scaling", "{\"type\": \"yarn\", \"factor\": 16, \"beta_fast\": 32, \"beta_slow\": 1, "
                     "\"original_max_position_embeddings\": 0}", GGL_ERR_FORMAT, "original_max_position_embeddings"},
    /* another model */
    {"model_type", NULL, GGL_ERR_FORMAT, "model_type is missing"},
    {"model_type", "4", GGL_ERR_FORMAT, "model_type"},
    {"model_type", "\"llama\"", GGL_ERR_UNSUPPORTED, "model_type is \"llama\""},
    {"model_type", "\"deepseek_v3\"", GGL_ERR_UNSUPPORTED, "model_type is \"deepseek_v3\""},
    {"architectures", "[\"LlamaForCausalLM\"]", GGL_ERR_UNSUPPORTED, "LlamaForCausalLM"},
    {"architectures", "[]", GGL_ERR_UNSUPPORTED, "architectures"},
    {"engram_layers", "[1]", GGL_ERR_UNSUPPORTED, "V4.1"},
    {"vision_config", "{}", GGL_ERR_UNSUPPORTED, "vision"},
    {"scoring_func", "\"sigmoid\"", GGL_ERR_UNSUPPORTED, "scoring_func is \"sigmoid\""},
    {"topk_method", "\"greedy\"", GGL_ERR_UNSUPPORTED, "topk_method"},
    {"hidden_act", "\"gelu\"", GGL_ERR_UNSUPPORTED, "hidden_act"},
    {"norm_topk_prob", "false", GGL_ERR_UNSUPPORTED, "norm_topk_prob"},
    {"attention_bias", "true", GGL_ERR_UNSUPPORTED, "attention_bias"},
    {"tie_word_embeddings", "true", GGL_ERR_UNSUPPORTED, "tie_word_embeddings"},
    {"num_key_value_heads", "8", GGL_ERR_UNSUPPORTED, "num_key_value_heads"},
    {"n_shared_experts", "2", GGL_ERR_UNSUPPORTED, "n_shared_experts"},
    {"quantization_config", "7", GGL_ERR_FORMAT, "quantization_config"},
    {"quantization_config", "{\"quant_method\": \"gptq\"}", GGL_ERR_UNSUPPORTED, "quant_method"},
    {"quantization_config", "{\"fmt\": \"e5m2\"}", GGL_ERR_UNSUPPORTED, "fmt"},
    {"quantization_config", "{\"weight_block_size\": [32, 32]}", GGL_ERR_UNSUPPORTED, "weight_block_size is 32"},
    {"quantization_config", "{\"weight_block_size\": [128, 128, 1]}", GGL_ERR_UNSUPPORTED, "weight_block_size"},
    {"quantization_config", "{\"weight_block_size\": 128}", GGL_ERR_UNSUPPORTED, "weight_block_size"},
    /* DSpark */
    {"dspark_target_layer_ids", "[3]", GGL_ERR_FORMAT, "dspark_target_layer_ids is 3"},
    {"dspark_target_layer_ids", "[-1]", GGL_ERR_FORMAT, "dspark_target_layer_ids"},
    {"dspark_target_layer_ids", "[]", GGL_ERR_FORMAT, "dspark_target_layer_ids"},
    {"dspark_target_layer_ids", "[0,0,0,0,0,0,0,0,0]", GGL_ERR_FORMAT, "dspark_target_layer_ids"},
    {"dspark_block_size", "0", GGL_ERR_FORMAT, "dspark_block_size"},
    {"dspark_markov_rank", "\"8\"", GGL_ERR_FORMAT, "dspark_markov_rank"},
    /* JSON */
    {"hidden_size\": 64, \"hidden_size", "64", GGL_ERR_FORMAT, "duplicate"},
    {"x", "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", GGL_ERR_FORMAT, "nesting"},
    {"x", "\"\\u0000\"", GGL_ERR_FORMAT, "JSON text"},
    /* odd but right */
    {"rope_scaling", NULL, GGL_OK, NULL},
    {"rope_scaling", "null", GGL_OK, NULL},
    {"rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 16.0, \"beta_fast\": 32, \"beta_slow\": 1, "
                     "\"original_max_position_embeddings\": 65536}", GGL_OK, NULL},
    {"quantization_config", NULL, GGL_OK, NULL},
    {"quantization_config", "null", GGL_OK, NULL},
    {"architectures", NULL, GGL_OK, NULL},
    {"scoring_func", NULL, GGL_OK, NULL},
    {"compress_ratios", "[128, 128, 4]", GGL_OK, NULL},
    {"rope_theta", "1e4", GGL_OK, NULL},
    {"an_unknown_key", "{\"a\": [1, 2, {\"b\": null}]}", GGL_OK, NULL},
    {"num_hash_layers", "3", GGL_OK, NULL},
    {"num_hash_layers", "0", GGL_OK, NULL},
    {"expert_dtype", NULL, GGL_OK, NULL},
};

static void judges_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].key, cases[i].json, cases[i].status, cases[i].message);
    }
    print_message("%zu configurations\n", sizeof(cases) / sizeof(cases[0]));
}

static void refuses_truncated_configs(void **state)
{
    (void)state;
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){0});
    struct ggl_config c;
    struct ggl_error err;
    char *text = ckpt_config_text(ck);
    size_t n = strlen(text) - 1; /* without the last newline */
    for (size_t cut = 0; cut < n; cut++) {
        char *prefix = malloc(cut ? cut : 1);
        assert_non_null(prefix);
        memcpy(prefix, text, cut);
        assert_int_equal(ggl_config_parse("config.json", prefix, cut, &c, &err), GGL_ERR_FORMAT);
        free(prefix);
    }
    assert_int_equal(ggl_config_parse("config.json", text, n, &c, NULL), GGL_OK);
    free(text);
    ckpt_free(ck);
}

/* ---- the keys */

static uint32_t u32(const struct ggl_gguf *g, const char *key)
{
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, key);
    if (!kv) fail_msg("%s is missing", key);
    if (kv->type != GGL_KV_U32) fail_msg("%s is no u32", key);
    uint32_t v;
    memcpy(&v, kv->data, 4);
    return v;
}

static float f32(const struct ggl_gguf *g, const char *key)
{
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, key);
    if (!kv) fail_msg("%s is missing", key);
    if (kv->type != GGL_KV_F32) fail_msg("%s is no f32", key);
    float v;
    memcpy(&v, kv->data, 4);
    return v;
}

#define A "deepseek4-native."

static void writes_the_keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {
        {A "block_count", 4}, {A "nextn_predict_layers", 1}, {A "context_length", 1048576},
        {A "embedding_length", 64}, {A "embedding_length_out", 256}, {A "vocab_size", 64},
        {A "attention.head_count", 2}, {A "attention.head_count_kv", 1}, {A "attention.key_length", 80},
        {A "attention.value_length", 80}, {A "attention.q_lora_rank", 32}, {A "attention.sliding_window", 8},
        {A "attention.indexer.head_count", 2}, {A "attention.indexer.key_length", 32},
        {A "attention.indexer.top_k", 4}, {A "attention.output_group_count", 2},
        {A "attention.output_lora_rank", 16}, {A "rope.dimension_count", 16},
        {A "rope.scaling.original_context_length", 65536}, {A "hyper_connection.count", 4},
        {A "hyper_connection.sinkhorn_iterations", 20}, {A "hash_layer_count", 1}, {A "expert_count", 2},
        {A "expert_used_count", 2}, {A "expert_shared_count", 1}, {A "expert_feed_forward_length", 32},
        {A "expert_gating_func", 4}, {"general.alignment", 4096}, {"general.quantization_version", 2},
        {"general.file_type", 2000},
    };
    static const struct {
        const char *key;
        float value;
    } reals[] = {
        {A "attention.layer_norm_rms_epsilon", 1e-6f}, {A "attention.compress_rope_freq_base", 160000},
        {A "rope.freq_base", 10000}, {A "rope.scaling.factor", 16}, {A "rope.scaling.yarn_beta_fast", 32},
        {A "rope.scaling.yarn_beta_slow", 1}, {A "hyper_connection.epsilon", 1e-6f}, {A "expert_weights_scale", 1.5f},
    };
    static const int32_t ratios[] = {0, 4, 128, 0};
    struct ggl_config c;
    struct ggl_error err;
    assert_int_equal(parse(NULL, NULL, &c, &err), GGL_OK);
    struct ggl_gguf *g = ggl_gguf_new();
    assert_non_null(g);
    assert_int_equal(ggl_config_to_gguf(&c, 1, false, g), GGL_OK);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (u32(g, numbers[i].key) != numbers[i].value) fail_msg("%s is %u", numbers[i].key, u32(g, numbers[i].key));
    }
    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        if (f32(g, reals[i].key) != reals[i].value) fail_msg("%s is %g", reals[i].key, (double)f32(g, reals[i].key));
    }
    assert_string_equal(ggl_gguf_get_str(g, "general.architecture"), "deepseek4-native");
    assert_string_equal(ggl_gguf_get_str(g, A "rope.scaling.type"), "yarn");
    assert_string_equal(ggl_gguf_get_str(g, "ggl.prompt_format"), "dsv4-preview");
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, A "attention.compress_ratios");
    assert_true(kv && kv->type == GGL_KV_ARR && kv->elem == GGL_KV_I32 && kv->n == 4);
    assert_memory_equal(kv->data, ratios, sizeof(ratios));
    kv = ggl_gguf_find_kv(g, A "swiglu_clamp_exp");
    assert_true(kv && kv->elem == GGL_KV_F32 && kv->n == 4 && ((const float *)kv->data)[3] == 10.0f);
    kv = ggl_gguf_find_kv(g, A "expert_weights_norm");
    assert_true(kv && kv->type == GGL_KV_BOOL && *(const uint8_t *)kv->data == 1);
    ggl_gguf_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_numbers),
        cmocka_unit_test(judges_configs),
        cmocka_unit_test(refuses_truncated_configs),
        cmocka_unit_test(writes_the_keys),
    };
    return cmocka_run_group_tests_name("gguf-convert/config", tests, NULL, NULL);
}

#else

int main(void)
{
    return 0; /* config.json is only read by builds with jansson */
}

#endif
