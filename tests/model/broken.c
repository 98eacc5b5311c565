/*
 * Files that are sound GGUF but wrong models: each is refused by name, quickly
 * and without much memory.  Files that are merely unusual load and evaluate.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "support/failing_alloc.h"
#include "support/model_vectors.h"
#include "support/v4_builder.h"

static int n_refused, n_accepted;
static const struct v4b_options tiny = {.mtp = true};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double begin(void)
{
    failing_alloc_begin(0, false);
    return seconds();
}

static void end(double start, const char *what)
{
    failing_alloc_end();
    /* A loaded machine may take longer than the second that this should need. */
    if (seconds() - start > 5) fail_msg("%s: took %.1f s", what, seconds() - start);
    if (failing_alloc.peak > 64L << 20) fail_msg("%s: took %ld bytes", what, failing_alloc.peak);
}

/* The model is refused with this status and these words in the message; frees b. */
static void refused(struct v4b *b, const char *what, enum ggl_status want, const char *words)
{
    struct ggl_model *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    v4b_save(b, gb_temp("broken.gguf"));
    double start = begin();
    enum ggl_status s = ggl_model_load(gb_temp("broken.gguf"), NULL, &m, &err);
    end(start, what);
    if (!s) fail_msg("%s: accepted", what);
    ggl_error_line(&err, line, sizeof(line));
    bool good = s == want && err.status == s && !m && strstr(line, words) && strstr(err.path, "broken.gguf");
    if (!good) fail_msg("%s: status %d, expected %d and \"%s\": %s", what, (int)s, (int)want, words, line);
    v4b_free(b);
    n_refused++;
}

/* The model loads and gives n rows of logits, the last of which is copied to `last` when that is not NULL. */
static void accepted(struct v4b *b, const char *what, int n, float *last)
{
    struct ggl_model *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    v4b_save(b, gb_temp("odd.gguf"));
    struct ggl_model_params p = ggl_model_defaults();
    p.precision = mv_precision;
    double start = begin();
    if (ggl_model_load(gb_temp("odd.gguf"), &p, &m, &err)) fail_msg("%s: %s", what, ggl_error_line(&err, line, sizeof(line)));
    struct ggl_session *s = mv_session(m, 16, ggl_model_has_mtp(m));
    int32_t ids[32];
    for (int i = 0; i < n; i++) ids[i] = (7 * i + 3) % ggl_model_n_vocab(m);
    mv_eval_ids(s, ids, n);
    assert_non_null(ggl_session_logits(s));
    if (last) memcpy(last, ggl_session_logits(s), V4B_VOCAB * sizeof(*last));
    ggl_session_free(s);
    ggl_model_free(m);
    end(start, what);
    v4b_free(b);
    n_accepted++;
}

static void plain_logits(float last[V4B_VOCAB])
{
    accepted(v4b_new(&tiny), "the plain model", 20, last);
    n_accepted--;
}

/* ---- tensors */

static void each_tensor(void **state)
{
    (void)state;
    struct v4b *names = v4b_new(&tiny);
    for (int i = 0; i < names->n_tensors; i++) {
        const struct v4b_tensor *t = &names->tensors[i];
        char what[128];
        bool seen_missing = strstr(t->name, "nextn.e_proj") || strstr(t->name, "nextn.hc_head_fn");
        struct v4b *b;
        if (!seen_missing) { /* without those it is another kind of file: see odd_files */
            b = v4b_new(&tiny);
            v4b_drop(b, t->name);
            snprintf(what, sizeof(what), "no %s", t->name);
            /* A bias may have one of two names; the message has the second. */
            char stem[64];
            snprintf(stem, sizeof(stem), "%.*s", (int)(strrchr(t->name, '.') - t->name), t->name);
            refused(b, what, GGL_ERR_FORMAT, stem);
        }
        for (int d = 0; d < 4; d++) {
            for (int by = -1; by <= 1; by += 2) {
                if (d >= (int)t->n_dims && by < 0) continue;
                if (d > (int)t->n_dims) continue;
                b = v4b_new(&tiny);
                struct v4b_tensor *wrong = v4b_tensor(b, t->name);
                wrong->ne[d] += by;
                if (d >= (int)wrong->n_dims) wrong->n_dims = (uint32_t)d + 1;
                snprintf(what, sizeof(what), "%s with dim %d = %lld", t->name, d, (long long)wrong->ne[d]);
                /* The rows of the embedding are the vocabulary; the head is then the one that does not fit. */
                bool vocabulary = d == 1 && !strcmp(t->name, "token_embd.weight");
                refused(b, what, GGL_ERR_FORMAT, vocabulary ? "output.weight: dim 1" : t->name);
            }
        }
        b = v4b_new(&tiny);
        v4b_tensor(b, t->name)->type = t->type == GGL_TYPE_I32 ? GGL_TYPE_F32 : GGL_TYPE_I32;
        snprintf(what, sizeof(what), "%s of another type", t->name);
        refused(b, what, GGL_ERR_FORMAT, t->name);
    }
    v4b_free(names);
}

static void expert_ids(void **state)
{
    static const int32_t bad[] = {-1, 3, INT32_MAX, INT32_MIN};
    (void)state;
    for (int i = 0; i < 4; i++) {
        for (int last = 0; last < 2; last++) {
            struct v4b *b = v4b_new(&tiny);
            struct v4b_tensor *t = v4b_tensor(b, "blk.0.ffn_gate_tid2eid.weight");
            char found[64];
            memcpy(last ? t->data + t->bytes - 4 : t->data, &bad[i], 4);
            snprintf(found, sizeof(found), "%s token %d", last ? "expert 1 of" : "expert 0 of", last ? V4B_VOCAB - 1 : 0);
            refused(b, "an expert id out of range", GGL_ERR_FORMAT, found);
        }
    }
}

static void extra_tensors(void **state)
{
    (void)state;
    float plain[V4B_VOCAB], last[V4B_VOCAB];
    struct v4b *b = v4b_new(&tiny);
    plain_logits(plain);
    v4b_add(b, "rope_freqs.weight", GGL_TYPE_F32, 7, 1, 1, 1, 0);
    v4b_add(b, "blk.0.attn_compressor_kv.weight", GGL_TYPE_F32, 3, 1, 1, 1, 0); /* layer 0 has no compressor */
    struct v4b_tensor *t = v4b_add(b, "integers", GGL_TYPE_F32, 8, 1, 1, 1, 0);
    t->type = GGL_TYPE_I8;
    v4b_add(b, "a.scalar", GGL_TYPE_F32, 1, 1, 1, 1, 0)->n_dims = 0;
    accepted(b, "tensors that nobody asked for", 20, last);
    mv_same_logits(plain, last, V4B_VOCAB, "with more tensors");
    for (int d = 0; d < 3; d++) { /* nothing in it: it may be refused, but not read */
        struct ggl_model *m = NULL;
        b = v4b_new(&tiny);
        t = v4b_add(b, "empty", GGL_TYPE_F32, 32, 2, 2, 1, 0);
        t->ne[d] = 0;
        v4b_save(b, gb_temp("empty.gguf"));
        if (!ggl_model_load(gb_temp("empty.gguf"), NULL, &m, NULL)) ggl_model_free(m);
        v4b_free(b);
    }
}

/* ---- keys */

enum { INTEGER = 1, FLOAT = 2, REQUIRED = 4, PER_LAYER = 8 };

static const struct {
    const char *key;
    int kind;
    double wrong; /* one more value that is out of range, or does not fit the others */
} keys[] = {
    {"block_count", INTEGER | REQUIRED, 513},
    {"context_length", INTEGER | REQUIRED, 268435457},
    {"embedding_length", INTEGER | REQUIRED, 64},
    {"attention.head_count", INTEGER | REQUIRED, 3},
    {"attention.head_count_kv", INTEGER, 2},
    {"attention.key_length", INTEGER | REQUIRED, 97},
    {"attention.value_length", INTEGER, 64},
    {"rope.dimension_count", INTEGER | REQUIRED, 31},
    {"attention.q_lora_rank", INTEGER | REQUIRED, 64},
    {"attention.sliding_window", INTEGER | REQUIRED, 16385},
    {"attention.indexer.head_count", INTEGER | REQUIRED, 3},
    {"attention.indexer.key_length", INTEGER | REQUIRED, 48},
    {"attention.indexer.top_k", INTEGER | REQUIRED, 65537},
    {"attention.output_group_count", INTEGER, 3}, /* without it the width of a tensor tells: dialects.c */
    {"attention.output_lora_rank", INTEGER | REQUIRED, 32},
    {"hyper_connection.count", INTEGER | REQUIRED, 9},
    {"hyper_connection.sinkhorn_iterations", INTEGER | REQUIRED, 1001},
    {"expert_count", INTEGER | REQUIRED, 65537},
    {"expert_used_count", INTEGER | REQUIRED, 4},
    {"expert_shared_count", INTEGER, 2},
    {"expert_gating_func", INTEGER, 2},
    {"rope.scaling.original_context_length", INTEGER, 268435457},
    {"rope.freq_base", FLOAT, 0.5},
    {"rope.scaling.factor", FLOAT, 0.5},
    {"rope.scaling.yarn_beta_fast", FLOAT, -1},
    {"rope.scaling.yarn_beta_slow", FLOAT, -1},
    {"attention.layer_norm_rms_epsilon", FLOAT | REQUIRED, -1},
    {"attention.compress_rope_freq_base", FLOAT | REQUIRED, 1},
    {"hyper_connection.epsilon", FLOAT | REQUIRED, 2},
    {"expert_weights_scale", FLOAT | REQUIRED, 1e7},
    {"expert_feed_forward_length", PER_LAYER | REQUIRED, 64},
    {"swiglu_clamp_exp", PER_LAYER | REQUIRED, -1},
    {"attention.compress_ratios", PER_LAYER, 64}, /* without it tensors tell: dialects.c */
};

static void wrong_number(const char *key, uint32_t type, double v, const char *words)
{
    char what[128];
    struct v4b *b = v4b_new(&tiny);
    v4b_number(b, key, type, v);
    snprintf(what, sizeof(what), "%s = %g", key, v);
    refused(b, what, GGL_ERR_FORMAT, words);
}

static void each_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *key = keys[i].key;
        int kind = keys[i].kind;
        /* Some wrong sizes only show when a tensor does not fit them. */
        bool shows_in_tensor = !strcmp(key, "embedding_length") || !strcmp(key, "attention.q_lora_rank") ||
                               !strcmp(key, "attention.indexer.head_count") || !strcmp(key, "attention.output_lora_rank") ||
                               !strcmp(key, "expert_feed_forward_length");
        struct v4b *b;
        if (kind & REQUIRED) {
            b = v4b_new(&tiny);
            v4b_drop_kv(b, key);
            refused(b, key, GGL_ERR_FORMAT, key);
        }
        b = v4b_new(&tiny);
        v4b_str(b, key, "many");
        refused(b, key, GGL_ERR_FORMAT, key);
        b = v4b_new(&tiny);
        v4b_arr(b, key, GGL_KV_U32, (uint32_t[]){1}, 1);
        refused(b, key, GGL_ERR_FORMAT, key);
        if (kind & INTEGER) {
            wrong_number(key, GGL_KV_F32, 1, key);
            wrong_number(key, GGL_KV_U32, 0, key);
            wrong_number(key, GGL_KV_U32, 4294967295.0, key);
            wrong_number(key, GGL_KV_I32, -1, key);
            wrong_number(key, GGL_KV_U64, 1099511627776.0, key);
        } else {
            wrong_number(key, GGL_KV_F32, NAN, key);
            wrong_number(key, GGL_KV_F32, INFINITY, key);
            wrong_number(key, GGL_KV_F32, -INFINITY, key);
            if (kind & FLOAT) wrong_number(key, GGL_KV_F32, 3e38, key);
        }
        const char *words = shows_in_tensor ? ".weight: dim" : key;
        if (!strcmp(key, "attention.head_count")) words = "output_group_count"; /* which must divide it */
        if (!strcmp(key, "attention.key_length")) words = "that of key_length";
        wrong_number(key, kind & INTEGER ? GGL_KV_U32 : GGL_KV_F32, keys[i].wrong, words);
    }
}

static void wrong_arrays(void **state)
{
    static const float nan_last[] = {10, 10, 10, NAN}, negative[] = {10, -1, 10, 10}, none[] = {0};
    static const int32_t short_ratios[] = {0, 4, 128}, odd_ratio[] = {0, 4, 127, 0}, minus[] = {0, 4, -128, 0};
    static const int32_t ff[] = {32, 32, 0, 32}, huge_ff[] = {32, INT32_MAX, 32, 32};
    static const struct {
        const char *key;
        uint32_t elem;
        const void *data;
        uint64_t n;
    } arrays[] = {{"swiglu_clamp_exp", GGL_KV_F32, nan_last, 4}, {"swiglu_clamp_exp", GGL_KV_F32, negative, 4},
                  {"swiglu_clamp_exp", GGL_KV_F32, nan_last, 3}, {"swiglu_clamp_exp", GGL_KV_F32, none, 0},
                  {"swiglu_clamp_shexp", GGL_KV_F32, nan_last, 4}, {"swiglu_clamp_shexp", GGL_KV_F32, nan_last, 2},
                  {"attention.compress_ratios", GGL_KV_I32, short_ratios, 3},
                  {"attention.compress_ratios", GGL_KV_I32, odd_ratio, 4}, {"attention.compress_ratios", GGL_KV_I32, minus, 4},
                  {"attention.compress_ratios", GGL_KV_BOOL, "\0\0\0\0", 4},
                  {"expert_feed_forward_length", GGL_KV_I32, ff, 4}, {"expert_feed_forward_length", GGL_KV_I32, huge_ff, 4}};
    (void)state;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        struct v4b *b = v4b_new(&tiny);
        v4b_arr(b, arrays[i].key, arrays[i].elem, arrays[i].data, arrays[i].n);
        refused(b, arrays[i].key, GGL_ERR_FORMAT, arrays[i].key);
    }
}

static void other_models(void **state)
{
    static const char *const names[] = {"llama", "deepseek2", "deepseek3", "deepseek4x", "", "DEEPSEEK4"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct v4b *b = v4b_new(&tiny);
        v4b_str(b, "=general.architecture", names[i]);
        refused(b, names[i], GGL_ERR_UNSUPPORTED, "general.architecture");
    }
    struct v4b *b = v4b_new(&tiny);
    v4b_drop_kv(b, "=general.architecture");
    refused(b, "no architecture", GGL_ERR_UNSUPPORTED, "general.architecture");
    b = v4b_new(&tiny);
    v4b_u32(b, "=general.architecture", 4);
    refused(b, "a number as architecture", GGL_ERR_UNSUPPORTED, "general.architecture");
    b = v4b_new(&tiny);
    v4b_str(b, "=general.architecture", "deepseek4-native"); /* but its keys have the other prefix */
    refused(b, "keys of another architecture", GGL_ERR_FORMAT, "deepseek4-native.block_count");
    b = v4b_new(&tiny);
    v4b_str(b, "rope.scaling.type", "linear");
    refused(b, "linear rope", GGL_ERR_FORMAT, "rope.scaling.type");
    b = v4b_new(&tiny);
    v4b_bool(b, "expert_weights_norm", false);
    refused(b, "gains that are not normalised", GGL_ERR_FORMAT, "expert_weights_norm");
    b = v4b_new(&tiny);
    v4b_u32(b, "nextn_predict_layers", 17);
    refused(b, "too many prediction blocks", GGL_ERR_FORMAT, "nextn_predict_layers");
    b = v4b_new(&tiny);
    v4b_u32(b, "hash_layer_count", 3); /* layers 1 and 2 have no table */
    refused(b, "more hash layers than tables", GGL_ERR_FORMAT, "blk.1.ffn_gate_tid2eid.weight");
    b = v4b_new(&tiny);
    v4b_u32(b, "hash_layer_count", 0);
    refused(b, "a table instead of a bias", GGL_ERR_FORMAT, "blk.0.exp_probs_b");
    b = v4b_new(&tiny);
    v4b_u32(b, "block_count", 5); /* the prediction block is then layer 3 */
    refused(b, "a block that is not there", GGL_ERR_FORMAT, "compress_ratios");
}

/* ---- the tokenizer */

static struct v4b *with_vocabulary(int rows, int tokens)
{
    struct v4b *b = v4b_new(&tiny);
    static const char *const names[] = {"token_embd.weight", "output.weight", "blk.0.ffn_gate_tid2eid.weight"};
    for (int i = 0; i < 3; i++) v4b_tensor(b, names[i])->ne[1] = rows;
    v4b_vocabulary(b, tokens);
    return b;
}

static void tokenizers(void **state)
{
    (void)state;
    refused(with_vocabulary(300, 301), "a token without a row", GGL_ERR_FORMAT, "tokenizer.ggml.tokens: 301 tokens");
    refused(with_vocabulary(40, 257), "many tokens without a row", GGL_ERR_FORMAT, "token_embd.weight has 40 rows");
    accepted(with_vocabulary(300, 300), "a row a token", 1, NULL);
    accepted(with_vocabulary(300, 257), "rows without a token", 1, NULL);
    struct v4b *b = with_vocabulary(300, 300);
    v4b_arr(b, "=tokenizer.ggml.token_type", GGL_KV_I32, (int32_t[]){1, 1}, 2);
    refused(b, "too few token types", GGL_ERR_FORMAT, "token_type");
    b = with_vocabulary(300, 300);
    v4b_u32(b, "=tokenizer.ggml.eos_token_id", 300);
    refused(b, "an end token that does not exist", GGL_ERR_FORMAT, "eos_token_id");
    b = with_vocabulary(300, 300);
    v4b_drop_kv(b, "=tokenizer.ggml.merges");
    refused(b, "no merges", GGL_ERR_FORMAT, "merges");
    b = with_vocabulary(300, 300);
    v4b_str(b, "=tokenizer.ggml.model", "llama");
    accepted(b, "a tokenizer of another kind", 1, NULL);
    b = with_vocabulary(300, 300);
    v4b_str(b, "=ggl.prompt_format", "unheard-of");
    accepted(b, "an unknown prompt format", 1, NULL);
}

/* ---- odd but valid */

static void retype_all(struct v4b *b, const char *part, uint32_t type)
{
    for (int i = 0; i < b->n_tensors; i++)
        if (b->tensors[i].values && strstr(b->tensors[i].name, part)) v4b_retype(b, b->tensors[i].name, type);
}

static double distance(const float *a, const float *b)
{
    double e = 0, w = 0;
    for (int i = 0; i < V4B_VOCAB; i++) {
        e += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
        w += (double)b[i] * (double)b[i];
    }
    return e / w;
}

static void odd_types(void **state)
{
    static const uint32_t types[] = {GGL_TYPE_F16, GGL_TYPE_BF16, GGL_TYPE_Q8_0, GGL_TYPE_MXFP4, GGL_TYPE_Q4_0, GGL_TYPE_Q5_1};
    static const char *const parts[] = {"attn_q_b", "attn_kv.", "attn_output_", "_exps", "shexp", "token_embd", "output.weight",
                                        "compressor_", "indexer.", "nextn.e_proj", "hc_attn_fn", "ffn_gate_inp"};
    (void)state;
    float plain[V4B_VOCAB], last[V4B_VOCAB];
    char what[96];
    plain_logits(plain);
    for (size_t i = 0; i < 12; i++) {
        for (size_t k = 0; k < 6; k++) {
            const struct ggl_type_info *info = ggl_type_info(types[k]);
            struct v4b *b = v4b_new(&tiny);
            snprintf(what, sizeof(what), "%s as %s", parts[i], info->name);
            if (!strcmp(parts[i], "compressor_")) {
                for (int j = 0; j < b->n_tensors; j++)
                    if (strstr(b->tensors[j].name, "compressor_") && !strstr(b->tensors[j].name, "norm"))
                        v4b_retype(b, b->tensors[j].name, types[k]);
            } else {
                retype_all(b, parts[i], types[k]);
            }
            accepted(b, what, 20, last);
            double d = distance(last, plain);
            if (!(d < (k < 2 ? 0.1 : 3))) fail_msg("%s: the logits are %g away", what, d);
        }
    }
    for (size_t k = 0; k < 2; k++) { /* every vector and table, too */
        struct v4b *b = v4b_new(&tiny);
        retype_all(b, "", types[k]);
        accepted(b, "everything in 16 bits", 20, last);
    }
    struct v4b *b = v4b_new(&tiny);
    retype_all(b, "norm", GGL_TYPE_BF16);
    retype_all(b, "_scale", GGL_TYPE_F16);
    retype_all(b, "_base", GGL_TYPE_BF16);
    retype_all(b, "exp_probs", GGL_TYPE_F16);
    retype_all(b, "sinks", GGL_TYPE_BF16);
    accepted(b, "small vectors in 16 bits", 20, last);
}

/* Changes that must not change a bit of the logits. */
static void same_model(void **state)
{
    static const size_t alignments[] = {8, 16, 64, 4096};
    (void)state;
    float plain[V4B_VOCAB], last[V4B_VOCAB];
    struct v4b *b;
    plain_logits(plain);
#define SAME(what)                                    \
    do {                                              \
        accepted(b, what, 20, last);                  \
        mv_same_logits(plain, last, V4B_VOCAB, what); \
    } while (0)
    for (size_t i = 0; i < 4; i++) {
        b = v4b_new(&tiny);
        b->alignment = alignments[i];
        SAME("another alignment");
    }
    b = v4b_new(&tiny);
    v4b_f32(b, "swiglu_clamp_exp", 10);
    SAME("one clamp for all layers");
    b = v4b_new(&tiny);
    v4b_number(b, "swiglu_clamp_exp", GGL_KV_F64, 10);
    SAME("one clamp in double");
    b = v4b_new(&tiny);
    v4b_arr(b, "swiglu_clamp_exp", GGL_KV_F32, (float[]){10, 10, 10, 10, 99, NAN}, 6);
    SAME("more clamps than layers");
    b = v4b_new(&tiny);
    v4b_f32(b, "swiglu_clamp_shexp", 10);
    SAME("a clamp of its own for the shared expert");
    b = v4b_new(&tiny);
    v4b_arr(b, "attention.compress_ratios", GGL_KV_U32, (uint32_t[]){0, 4, 128, 0}, 4);
    SAME("ratios as u32");
    b = v4b_new(&tiny);
    v4b_arr(b, "attention.compress_ratios", GGL_KV_I64, (int64_t[]){0, 4, 128, 0}, 4);
    SAME("ratios as i64");
    b = v4b_new(&tiny);
    v4b_arr(b, "attention.compress_ratios", GGL_KV_U8, (uint8_t[]){0, 4, 128, 0}, 4);
    SAME("ratios as bytes");
    b = v4b_new(&tiny);
    v4b_arr(b, "attention.compress_ratios", GGL_KV_I32, (int32_t[]){0, 4, 128, 0, 5, -1}, 6);
    SAME("more ratios than blocks");
    b = v4b_new(&tiny);
    v4b_arr(b, "expert_feed_forward_length", GGL_KV_U32, (uint32_t[]){32, 32, 32, 32}, 4);
    SAME("a width a layer");
    b = v4b_new(&tiny);
    v4b_number(b, "embedding_length", GGL_KV_U64, 32);
    v4b_number(b, "attention.head_count", GGL_KV_U8, 2);
    v4b_number(b, "expert_count", GGL_KV_I16, 3);
    SAME("other integer types");
    b = v4b_new(&tiny);
    v4b_drop_kv(b, "attention.head_count_kv");
    v4b_drop_kv(b, "attention.value_length");
    v4b_drop_kv(b, "expert_shared_count");
    v4b_drop_kv(b, "expert_gating_func");
    v4b_drop_kv(b, "expert_weights_norm");
    v4b_drop_kv(b, "rope.freq_base");
    v4b_drop_kv(b, "rope.scaling.type");
    v4b_drop_kv(b, "rope.scaling.yarn_beta_fast");
    v4b_drop_kv(b, "rope.scaling.yarn_beta_slow");
    SAME("optional keys left out");
    b = v4b_new(&tiny);
    for (int i = 0; i < b->n_kvs; i++) { /* our own architecture name */
        char key[96];
        if (strncmp(b->kvs[i].key, "deepseek4.", 10) != 0) continue;
        snprintf(key, sizeof(key), "deepseek4-native.%.70s", b->kvs[i].key + 10);
        memcpy(b->kvs[i].key, key, sizeof(key));
    }
    v4b_str(b, "=general.architecture", "deepseek4-native");
    SAME("the native architecture");
    b = v4b_new(&tiny);
    for (int i = 0, n = b->n_tensors; i < n / 2; i++) {
        struct v4b_tensor t = b->tensors[i];
        b->tensors[i] = b->tensors[n - 1 - i];
        b->tensors[n - 1 - i] = t;
    }
    SAME("tensors in another order");
    b = v4b_new(&tiny);
    for (int i = 1; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "blk.%d.exp_probs_b.bias", i);
        struct v4b_tensor *t = v4b_tensor(b, name);
        snprintf(t->name, sizeof(t->name), "blk.%d.exp_probs_b.weight", i);
    }
    SAME("the bias under its other name");
    b = v4b_new(&tiny);
    struct v4b_tensor *t = v4b_tensor(b, "blk.0.ffn_gate_tid2eid.weight");
    int64_t *wide = malloc((size_t)t->n * 8);
    assert_non_null(wide);
    for (int64_t i = 0; i < t->n; i++) {
        int32_t id;
        memcpy(&id, t->data + 4 * i, 4);
        wide[i] = id;
    }
    free(t->data);
    t->data = (uint8_t *)wide;
    t->bytes = (size_t)t->n * 8;
    t->type = GGL_TYPE_I64;
    SAME("expert ids in 64 bits");
    b = v4b_new(&(struct v4b_options){.mtp = false});
    v4b_u32(b, "nextn_predict_layers", 1); /* the key was left behind when the block was removed */
    accepted(b, "a stale nextn_predict_layers", 20, NULL);
    b = v4b_new(&(struct v4b_options){.mtp = false});
    v4b_u32(b, "nextn_predict_layers", 0);
    accepted(b, "no prediction block", 20, NULL);
#undef SAME
}

/* Draft logits of some tokens; frees b. */
static struct mv_rows draft_of(struct v4b *b)
{
    int32_t ids[20];
    for (int i = 0; i < 20; i++) ids[i] = (7 * i + 3) % V4B_VOCAB;
    v4b_save(b, gb_temp("odd.gguf"));
    v4b_free(b);
    struct ggl_model *m = mv_load_file(gb_temp("odd.gguf"), 1);
    assert_true(ggl_model_has_mtp(m));
    struct ggl_session_params p = ggl_session_defaults();
    p.mtp = true;
    struct mv_rows rows = mv_eval(m, &p, ids, 20);
    assert_int_equal(rows.n_draft, 19);
    ggl_model_free(m);
    n_accepted++;
    return rows;
}

/* e_proj and h_proj side by side in one matrix. */
static struct v4b *fuse(struct v4b *b, uint32_t type)
{
    struct v4b_tensor *fused = v4b_add(b, "blk.3.nextn.eh_proj.weight", GGL_TYPE_F32, 2 * V4B_EMBD, V4B_EMBD, 1, 0, 0);
    const float *e = v4b_tensor(b, "blk.3.nextn.e_proj.weight")->values, *h = v4b_tensor(b, "blk.3.nextn.h_proj.weight")->values;
    for (int r = 0; r < V4B_EMBD; r++) {
        memcpy(fused->values + (size_t)r * 2 * V4B_EMBD, e + r * V4B_EMBD, V4B_EMBD * 4);
        memcpy(fused->values + (size_t)r * 2 * V4B_EMBD + V4B_EMBD, h + r * V4B_EMBD, V4B_EMBD * 4);
    }
    v4b_retype(b, fused->name, type);
    v4b_drop(b, "blk.3.nextn.e_proj.weight");
    v4b_drop(b, "blk.3.nextn.h_proj.weight");
    return b;
}

static void fused_projection(void **state)
{
    static const uint32_t types[] = {GGL_TYPE_F32, GGL_TYPE_BF16, GGL_TYPE_Q8_0, GGL_TYPE_MXFP4};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct v4b *b = v4b_new(&tiny);
        retype_all(b, "e_proj", types[i]);
        retype_all(b, "h_proj", types[i]);
        struct mv_rows apart = draft_of(b), fused = draft_of(fuse(v4b_new(&tiny), types[i]));
        mv_same_rows(&apart, &fused, "a fused projection");
        mv_free_rows(&apart);
        mv_free_rows(&fused);
    }
    struct v4b *b = fuse(v4b_new(&tiny), GGL_TYPE_F32); /* halves of 32 in blocks of 64 cannot be told apart */
    v4b_tensor(b, "blk.3.nextn.eh_proj.weight")->type = GGL_TYPE_NVFP4;
    refused(b, "a fused projection in wide blocks", GGL_ERR_UNSUPPORTED, "eh_proj");
    b = v4b_new(&tiny); /* without e_proj there is no prediction block: its blocks are ordinary layers then */
    v4b_drop(b, "blk.3.nextn.e_proj.weight");
    accepted(b, "a prediction block without projection", 20, NULL);
    b = fuse(v4b_new(&tiny), GGL_TYPE_F32);
    v4b_drop(b, "blk.3.nextn.hc_head_fn.weight"); /* a combined file: the block uses the main head's mixing */
    mv_free_rows(&(struct mv_rows){0});
    struct mv_rows main_head = draft_of(b);
    b = v4b_new(&tiny);
    static const char *const parts[] = {"fn", "base", "scale"};
    for (int i = 0; i < 3; i++) {
        char from[64], to[64];
        snprintf(from, sizeof(from), "output_hc_%s.weight", parts[i]);
        snprintf(to, sizeof(to), "blk.3.nextn.hc_head_%s.weight", parts[i]);
        struct v4b_tensor *source = v4b_tensor(b, from), *t = v4b_tensor(b, to);
        memcpy(t->data, source->data, t->bytes);
    }
    struct mv_rows copied = draft_of(b);
    mv_same_rows(&main_head, &copied, "the main head's mixing");
    mv_free_rows(&main_head);
    mv_free_rows(&copied);
}

/* Weights that are no numbers: nothing depends on them but the logits. */
static void poisoned(enum ggl_precision precision, uint32_t matrices)
{
    static const float poison[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f};
    mv_precision = precision;
    struct v4b *names = v4b_new(&tiny);
    for (int i = 0; i < names->n_tensors; i++) {
        if (!names->tensors[i].values) continue;
        struct v4b *b = v4b_new(&tiny);
        struct v4b_tensor *t = v4b_tensor(b, names->tensors[i].name);
        for (int64_t k = i % 3; k < t->n; k += 1 + i % 5) t->values[k] = poison[(k + i) % 6];
        v4b_retype(b, t->name, matrices && t->n > 300 && !strstr(t->name, "hc_") && !strstr(t->name, "_ape") ? matrices : GGL_TYPE_F32);
        accepted(b, t->name, 20, NULL);
    }
    v4b_free(names);
    mv_precision = GGL_PRECISION_F32;
}

static void poisoned_weights(void **state)
{
    (void)state;
    poisoned(GGL_PRECISION_F32, 0);
    poisoned(GGL_PRECISION_FAST, 0);
    poisoned(GGL_PRECISION_FAST, GGL_TYPE_Q8_0);
    poisoned(GGL_PRECISION_FAST, GGL_TYPE_BF16);
}

static int report(void **state)
{
    (void)state;
    print_message("%d refused, %d accepted\n", n_refused, n_accepted);
    gb_remove_temp();
    return n_refused >= 150 && n_accepted >= 25 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tensor),
        cmocka_unit_test(expert_ids),
        cmocka_unit_test(extra_tensors),
        cmocka_unit_test(each_key),
        cmocka_unit_test(wrong_arrays),
        cmocka_unit_test(other_models),
        cmocka_unit_test(tokenizers),
        cmocka_unit_test(odd_types),
        cmocka_unit_test(same_model),
        cmocka_unit_test(fused_projection),
        cmocka_unit_test(poisoned_weights),
    };
    return cmocka_run_group_tests(tests, NULL, report);
}
