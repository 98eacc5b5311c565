#include "support/v4_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "quant/quant.h"

enum {
    EMBD = V4B_EMBD, HC = 2, MIX = (2 + HC) * HC, HEADS = 2, DIM = 96, ROPE = 32, Q_RANK = 32, GROUPS = 2, O_RANK = 16,
    INDEX_HEADS = 2, INDEX_DIM = 32, EXPERTS = 3, USED = 2, FF = 32,
};

#define CHECK(x) ((x) ? (void)0 : die(#x, __LINE__))

static void die(const char *what, int line)
{
    fprintf(stderr, "v4_builder.c:%d: %s\n", line, what);
    exit(99);
}

static uint32_t next(struct v4b *b)
{
    b->rng ^= b->rng << 13;
    b->rng ^= b->rng >> 17;
    b->rng ^= b->rng << 5;
    return b->rng;
}

/* ---- keys */

static void full_key(const char *key, char out[96])
{
    snprintf(out, 96, "%s%s", key[0] == '=' ? "" : "deepseek4.", key[0] == '=' ? key + 1 : key);
}

struct v4b_kv *v4b_kv(struct v4b *b, const char *key)
{
    char full[96];
    full_key(key, full);
    for (int i = 0; i < b->n_kvs; i++)
        if (!strcmp(b->kvs[i].key, full)) return &b->kvs[i];
    return NULL;
}

static struct v4b_kv *set(struct v4b *b, const char *key, uint32_t type, uint32_t elem, uint64_t n)
{
    struct v4b_kv *kv = v4b_kv(b, key);
    if (!kv) {
        b->kvs = realloc(b->kvs, (size_t)(b->n_kvs + 1) * sizeof(*b->kvs));
        CHECK(b->kvs);
        kv = &b->kvs[b->n_kvs++];
        memset(kv, 0, sizeof(*kv));
        full_key(key, kv->key);
    }
    kv->type = type;
    kv->elem = elem;
    kv->n = n;
    gb_reset(&kv->value);
    return kv;
}

void v4b_u32(struct v4b *b, const char *key, uint32_t v)
{
    gb_u32(&set(b, key, GGL_KV_U32, 0, 1)->value, v);
}

void v4b_f32(struct v4b *b, const char *key, float v)
{
    gb_bytes(&set(b, key, GGL_KV_F32, 0, 1)->value, &v, 4);
}

void v4b_bool(struct v4b *b, const char *key, bool v)
{
    gb_u8(&set(b, key, GGL_KV_BOOL, 0, 1)->value, v);
}

void v4b_str(struct v4b *b, const char *key, const char *v)
{
    gb_str(&set(b, key, GGL_KV_STR, 0, 1)->value, v);
}

void v4b_arr(struct v4b *b, const char *key, uint32_t elem, const void *data, uint64_t n)
{
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    gb_bytes(&set(b, key, GGL_KV_ARR, elem, n)->value, data, (size_t)n * bytes[elem]);
}

void v4b_number(struct v4b *b, const char *key, uint32_t type, double v)
{
    struct gguf_builder *value = &set(b, key, type, 0, 1)->value;
    float f = (float)v;
    switch (type) {
    case GGL_KV_U8:
    case GGL_KV_I8: gb_u8(value, (uint8_t)(int)v); break;
    case GGL_KV_U16:
    case GGL_KV_I16: gb_u16(value, (uint16_t)(int)v); break;
    case GGL_KV_U32:
    case GGL_KV_I32: gb_u32(value, (uint32_t)(int64_t)v); break;
    case GGL_KV_U64:
    case GGL_KV_I64: gb_u64(value, (uint64_t)(int64_t)v); break;
    case GGL_KV_F32: gb_bytes(value, &f, 4); break;
    case GGL_KV_F64: gb_bytes(value, &v, 8); break;
    default: die("no number type", __LINE__);
    }
}

void v4b_drop_kv(struct v4b *b, const char *key)
{
    struct v4b_kv *kv = v4b_kv(b, key);
    CHECK(kv);
    gb_free(&kv->value);
    memmove(kv, kv + 1, (size_t)(b->kvs + --b->n_kvs - kv) * sizeof(*kv));
}

static void set_keys(struct v4b *b, bool mtp)
{
    static const struct {
        const char *key;
        uint32_t value;
    } ints[] = {{"context_length", 4096}, {"embedding_length", EMBD}, {"attention.head_count", HEADS},
                {"attention.head_count_kv", 1}, {"attention.key_length", DIM}, {"attention.value_length", DIM},
                {"rope.dimension_count", ROPE}, {"attention.q_lora_rank", Q_RANK}, {"attention.sliding_window", 5},
                {"attention.indexer.head_count", INDEX_HEADS}, {"attention.indexer.key_length", INDEX_DIM},
                {"attention.indexer.top_k", 2}, {"attention.output_group_count", GROUPS},
                {"attention.output_lora_rank", O_RANK}, {"hyper_connection.count", HC},
                {"hyper_connection.sinkhorn_iterations", 20}, {"hash_layer_count", 1}, {"expert_count", EXPERTS},
                {"expert_used_count", USED}, {"expert_shared_count", 1}, {"expert_feed_forward_length", FF},
                {"expert_gating_func", 4}, {"rope.scaling.original_context_length", 65536}};
    static const struct {
        const char *key;
        float value;
    } floats[] = {{"rope.freq_base", 10000}, {"rope.scaling.factor", 16}, {"rope.scaling.yarn_beta_fast", 32},
                  {"rope.scaling.yarn_beta_slow", 1}, {"attention.layer_norm_rms_epsilon", 1e-6f},
                  {"attention.compress_rope_freq_base", 160000}, {"hyper_connection.epsilon", 1e-6f},
                  {"expert_weights_scale", 1.5f}};
    const int32_t ratios[] = {0, 4, 128, 0};
    const float clamps[] = {10, 10, 10, 10};
    uint32_t n = V4B_LAYERS + (mtp ? 1 : 0);
    v4b_str(b, "=general.architecture", "deepseek4");
    v4b_u32(b, "block_count", n);
    if (mtp) v4b_u32(b, "nextn_predict_layers", 1);
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) v4b_u32(b, ints[i].key, ints[i].value);
    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) v4b_f32(b, floats[i].key, floats[i].value);
    v4b_str(b, "rope.scaling.type", "yarn");
    v4b_bool(b, "expert_weights_norm", true);
    v4b_arr(b, "attention.compress_ratios", GGL_KV_I32, ratios, n);
    v4b_arr(b, "swiglu_clamp_exp", GGL_KV_F32, clamps, n);
}

void v4b_vocabulary(struct v4b *b, int n)
{
    struct v4b_kv *tokens = set(b, "=tokenizer.ggml.tokens", GGL_KV_ARR, GGL_KV_STR, (uint64_t)n);
    uint32_t other = 256;
    for (int i = 0; i < n; i++) {
        char text[32];
        bool plain = (i >= '!' && i <= '~') || (i >= 0xA1 && i < 256 && i != 0xAD);
        uint32_t code = plain ? (uint32_t)i : i < 256 ? other++ : 0;
        if (i == 256) snprintf(text, sizeof(text), "ab");
        else if (i > 256) snprintf(text, sizeof(text), "<added%d>", i);
        else if (code < 128) snprintf(text, sizeof(text), "%c", (char)code);
        else snprintf(text, sizeof(text), "%c%c", (char)(0xC0 | code >> 6), (char)(0x80 | (code & 63)));
        gb_str(&tokens->value, text);
    }
    struct v4b_kv *types = set(b, "=tokenizer.ggml.token_type", GGL_KV_ARR, GGL_KV_I32, (uint64_t)n);
    for (int i = 0; i < n; i++) gb_u32(&types->value, i > 256 ? 3 : 1);
    gb_str(&set(b, "=tokenizer.ggml.merges", GGL_KV_ARR, GGL_KV_STR, 1)->value, "a b");
    v4b_str(b, "=tokenizer.ggml.model", "gpt2");
    v4b_str(b, "=tokenizer.ggml.pre", "joyai-llm");
}

/* ---- tensors */

struct v4b_tensor *v4b_tensor(struct v4b *b, const char *name)
{
    for (int i = 0; i < b->n_tensors; i++)
        if (!strcmp(b->tensors[i].name, name)) return &b->tensors[i];
    die(name, __LINE__);
    return NULL;
}

static void encode(struct v4b_tensor *t, uint32_t type)
{
    uint64_t row = 0;
    int64_t rows = t->ne[1] * t->ne[2];
    CHECK(ggl_row_bytes(type, t->ne[0], &row));
    free(t->data);
    t->type = type;
    t->bytes = (size_t)row * (size_t)rows;
    t->data = calloc(1, t->bytes ? t->bytes : 1);
    CHECK(t->data);
    for (int64_t r = 0; r < rows; r++)
        CHECK(ggl_encode((enum ggl_type)type, t->values + r * t->ne[0], t->data + (uint64_t)r * row, t->ne[0]));
}

static struct v4b_tensor *append(struct v4b *b, const char *name, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2)
{
    b->tensors = realloc(b->tensors, (size_t)(b->n_tensors + 1) * sizeof(*b->tensors));
    CHECK(b->tensors);
    struct v4b_tensor *t = &b->tensors[b->n_tensors++];
    *t = (struct v4b_tensor){.type = type, .n_dims = ne2 > 1 ? 3 : ne1 > 1 ? 2 : 1, .ne = {ne0, ne1, ne2, 1},
                             .n = ne0 * ne1 * ne2};
    snprintf(t->name, sizeof(t->name), "%s", name);
    return t;
}

struct v4b_tensor *v4b_add(struct v4b *b, const char *name, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2, float scale,
                           float mean)
{
    struct v4b_tensor *t = append(b, name, type, ne0, ne1, ne2);
    t->values = malloc((size_t)t->n * 4);
    CHECK(t->values);
    for (int64_t i = 0; i < t->n; i++) {
        float sum = 0; /* four uniform numbers make a normal one */
        for (int k = 0; k < 4; k++) sum += (float)(next(b) >> 8) / 8388608.0f - 1;
        t->values[i] = mean + scale * 0.866f * sum;
    }
    encode(t, type);
    return t;
}

static void drop_data(struct v4b_tensor *t)
{
    free(t->values);
    free(t->data);
}

void v4b_drop(struct v4b *b, const char *name)
{
    struct v4b_tensor *t = v4b_tensor(b, name);
    drop_data(t);
    memmove(t, t + 1, (size_t)(b->tensors + --b->n_tensors - t) * sizeof(*t));
}

void v4b_rename(struct v4b *b, const char *from, const char *to)
{
    for (int i = 0; i < b->n_tensors; i++) {
        char old[64], *name = b->tensors[i].name, *at = strstr(name, from);
        if (!at) continue;
        memcpy(old, name, sizeof(old));
        CHECK(snprintf(name, sizeof(old), "%.*s%s%s", (int)(at - name), old, to, old + (at - name) + strlen(from)) < (int)sizeof(old));
    }
}

void v4b_retype(struct v4b *b, const char *name, uint32_t type)
{
    struct v4b_tensor *t = v4b_tensor(b, name);
    CHECK(t->values);
    encode(t, type);
}

/* ---- the model */

struct maker {
    struct v4b *b;
    uint32_t matrices;
    char prefix[24];
};

static void add(struct maker *m, const char *name, bool matrix, int64_t ne0, int64_t ne1, int64_t ne2, float scale, float mean)
{
    char full[128];
    snprintf(full, sizeof(full), "%s%s", m->prefix, name);
    v4b_add(m->b, full, matrix ? m->matrices : GGL_TYPE_F32, ne0, ne1, ne2, scale, mean);
}

static void matrix(struct maker *m, const char *name, int64_t ne0, int64_t ne1, int64_t ne2)
{
    add(m, name, true, ne0, ne1, ne2, 0.18f, 0);
}

static void vector(struct maker *m, const char *name, int64_t n, float scale, float mean)
{
    add(m, name, false, n, 1, 1, scale, mean);
}

static void hyper_connection(struct maker *m, const char *stem, int64_t n_mix, int64_t n_scale)
{
    char name[96];
    snprintf(name, sizeof(name), "%s_fn.weight", stem);
    add(m, name, false, (int64_t)EMBD * HC, n_mix, 1, 0.1f, 0);
    snprintf(name, sizeof(name), "%s_base.weight", stem);
    vector(m, name, n_mix, 0.5f, 0);
    snprintf(name, sizeof(name), "%s_scale.weight", stem);
    vector(m, name, n_scale, 0.1f, 0.5f);
}

static void compressor(struct maker *m, const char *stem, int ratio, int dim)
{
    char name[64];
    int64_t width = (int64_t)dim * (ratio == 4 ? 2 : 1);
    snprintf(name, sizeof(name), "%s_kv.weight", stem);
    matrix(m, name, EMBD, width, 1);
    snprintf(name, sizeof(name), "%s_gate.weight", stem);
    matrix(m, name, EMBD, width, 1);
    snprintf(name, sizeof(name), "%s_ape.weight", stem);
    add(m, name, false, width, ratio, 1, 0.3f, 0);
    snprintf(name, sizeof(name), "%s_norm.weight", stem);
    vector(m, name, dim, 0.1f, 1);
}

static void attention(struct maker *m, int ratio)
{
    vector(m, "attn_norm.weight", EMBD, 0.1f, 1);
    vector(m, "attn_sinks.weight", HEADS, 0.5f, 0);
    matrix(m, "attn_q_a.weight", EMBD, Q_RANK, 1);
    vector(m, "attn_q_a_norm.weight", Q_RANK, 0.1f, 1);
    matrix(m, "attn_q_b.weight", Q_RANK, HEADS * DIM, 1);
    matrix(m, "attn_kv.weight", EMBD, DIM, 1);
    vector(m, "attn_kv_a_norm.weight", DIM, 0.1f, 1);
    matrix(m, "attn_output_a.weight", HEADS * DIM / GROUPS, GROUPS * O_RANK, 1);
    matrix(m, "attn_output_b.weight", GROUPS * O_RANK, EMBD, 1);
    if (ratio) compressor(m, "attn_compressor", ratio, DIM);
    if (ratio != 4) return;
    matrix(m, "indexer.attn_q_b.weight", Q_RANK, INDEX_HEADS * INDEX_DIM, 1);
    matrix(m, "indexer.proj.weight", EMBD, INDEX_HEADS, 1);
    compressor(m, "indexer_compressor", ratio, INDEX_DIM);
}

static void experts(struct maker *m, bool hash)
{
    vector(m, "ffn_norm.weight", EMBD, 0.1f, 1);
    add(m, "ffn_gate_inp.weight", false, EMBD, EXPERTS, 1, 0.3f, 0);
    if (hash) {
        char name[64];
        snprintf(name, sizeof(name), "%sffn_gate_tid2eid.weight", m->prefix);
        struct v4b_tensor *t = append(m->b, name, GGL_TYPE_I32, USED, V4B_VOCAB, 1);
        t->bytes = (size_t)t->n * 4;
        t->data = malloc(t->bytes);
        CHECK(t->data);
        for (int32_t i = 0; i < t->n; i++) {
            int32_t id = (i / USED + i % USED) % EXPERTS;
            memcpy(t->data + 4 * i, &id, 4);
        }
    } else {
        vector(m, "exp_probs_b.bias", EXPERTS, 0.1f, 0);
    }
    matrix(m, "ffn_gate_exps.weight", EMBD, FF, EXPERTS);
    matrix(m, "ffn_up_exps.weight", EMBD, FF, EXPERTS);
    matrix(m, "ffn_down_exps.weight", FF, EMBD, EXPERTS);
    matrix(m, "ffn_gate_shexp.weight", EMBD, FF, 1);
    matrix(m, "ffn_up_shexp.weight", EMBD, FF, 1);
    matrix(m, "ffn_down_shexp.weight", FF, EMBD, 1);
}

static void layer(struct maker *m, int i, int ratio, bool hash)
{
    snprintf(m->prefix, sizeof(m->prefix), "blk.%d.", i);
    hyper_connection(m, "hc_attn", MIX, 3);
    hyper_connection(m, "hc_ffn", MIX, 3);
    attention(m, ratio);
    experts(m, hash);
}

static void prediction(struct maker *m)
{
    layer(m, V4B_LAYERS, 0, false);
    matrix(m, "nextn.e_proj.weight", EMBD, EMBD, 1);
    matrix(m, "nextn.h_proj.weight", EMBD, EMBD, 1);
    vector(m, "nextn.enorm.weight", EMBD, 0.1f, 1);
    vector(m, "nextn.hnorm.weight", EMBD, 0.1f, 1);
    vector(m, "nextn.shared_head_norm.weight", EMBD, 0.1f, 1);
    hyper_connection(m, "nextn.hc_head", HC, 1);
}

struct v4b *v4b_new(const struct v4b_options *options)
{
    static const int ratios[] = {0, 4, 128};
    struct v4b *b = calloc(1, sizeof(*b));
    CHECK(b);
    b->rng = 0x9e3779b9u + options->seed;
    set_keys(b, options->mtp);
    struct maker m = {.b = b, .matrices = options->matrices};
    add(&m, "token_embd.weight", true, EMBD, V4B_VOCAB, 1, 1, 0);
    for (int i = 0; i < V4B_LAYERS; i++) layer(&m, i, ratios[i], i == 0);
    if (options->mtp) prediction(&m);
    m.prefix[0] = '\0';
    hyper_connection(&m, "output_hc", HC, 1);
    vector(&m, "output_norm.weight", EMBD, 0.1f, 1);
    matrix(&m, "output.weight", EMBD, V4B_VOCAB, 1);
    return b;
}

void v4b_free(struct v4b *b)
{
    if (!b) return;
    for (int i = 0; i < b->n_tensors; i++) drop_data(&b->tensors[i]);
    for (int i = 0; i < b->n_kvs; i++) gb_free(&b->kvs[i].value);
    free(b->tensors);
    free(b->kvs);
    free(b);
}

/* ---- the file */

/* Bytes that the tensor's present type and shape ask for; its data is cut or filled up with zeros. */
static size_t bytes_wanted(const struct v4b_tensor *t)
{
    uint64_t row = 0;
    if (!ggl_row_bytes(t->type, t->ne[0], &row)) return t->bytes;
    return (size_t)row * (size_t)(t->ne[1] * t->ne[2] * t->ne[3]);
}

struct gguf_builder v4b_bytes(const struct v4b *b)
{
    struct gguf_builder out = {0};
    size_t alignment = b->alignment ? b->alignment : 32, offset = 0;
    gb_head(&out, 3, (uint64_t)b->n_tensors, (uint64_t)b->n_kvs + (b->alignment ? 1 : 0));
    if (b->alignment) gb_kv_u32(&out, "general.alignment", (uint32_t)b->alignment);
    for (int i = 0; i < b->n_kvs; i++) {
        const struct v4b_kv *kv = &b->kvs[i];
        if (kv->type == GGL_KV_ARR) gb_arr(&out, kv->key, kv->elem, kv->n);
        else gb_key(&out, kv->key, kv->type);
        gb_bytes(&out, kv->value.data, kv->value.n);
    }
    for (int i = 0; i < b->n_tensors; i++) {
        const struct v4b_tensor *t = &b->tensors[i];
        gb_tensor(&out, t->name, t->n_dims, t->ne, t->type, offset);
        offset += (bytes_wanted(t) + alignment - 1) / alignment * alignment + b->gap;
    }
    gb_pad(&out, alignment);
    for (int i = 0; i < b->n_tensors; i++) {
        const struct v4b_tensor *t = &b->tensors[i];
        size_t want = bytes_wanted(t), n = want < t->bytes ? want : t->bytes;
        gb_bytes(&out, t->data, n);
        gb_zeros(&out, want - n);
        gb_pad(&out, alignment);
        gb_zeros(&out, b->gap);
    }
    return out;
}

void v4b_save(const struct v4b *b, const char *path)
{
    struct gguf_builder bytes = v4b_bytes(b);
    gb_save(&bytes, path);
    gb_free(&bytes);
}
