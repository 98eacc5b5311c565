/* Small checkpoints for tests.  The list of tensors is written down a second time here, on purpose: it is what the
 * table of the reader is compared with. */
#include "support/ckpt_builder.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LAYERS = 3, EMBD = 64, HEADS = 2, HEAD = 80, ROPE = 16, Q_RANK = 32, GROUPS = 2, O_RANK = 16,
    INDEX_HEADS = 2, INDEX_HEAD = 32, EXPERTS = 2, USED = 2, HASH = 1, HC = 4, MIX = (2 + HC) * HC, MARKOV = 8,
};
static const int ratios[] = {0, 4, 128};

#define CHECK(x) ((x) ? (void)0 : die(#x, __LINE__))

static void die(const char *what, int line)
{
    fprintf(stderr, "ckpt_builder.c:%d: %s\n", line, what);
    abort();
}

static char *copy(const char *s)
{
    char *c = strdup(s);
    CHECK(c);
    return c;
}

/* ---- tensors */

static uint32_t next(struct ckpt *ck)
{
    uint32_t x = ck->rng;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return ck->rng = x;
}

static uint64_t dtype_bytes(const char *dtype)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } sizes[] = {{"F32", 4}, {"BF16", 2}, {"F16", 2}, {"I64", 8}, {"I32", 4}, {"F64", 8}, {"U16", 2}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(dtype, sizes[i].name) == 0) return sizes[i].bytes;
    }
    return 1;
}

/* Finite numbers, scales around 1, ids of existing experts. */
static void fill(struct ckpt *ck, struct ckpt_tensor *t)
{
    uint64_t size = dtype_bytes(t->dtype), n = t->bytes / size;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t r = next(ck);
        uint8_t *p = t->data + i * size;
        memset(p, 0, (size_t)size);
        if (strcmp(t->dtype, "F32") == 0) {
            float x = 0.25f + (float)(r >> 8) / 33554432.0f;
            memcpy(p, &x, 4);
        } else if (strcmp(t->dtype, "BF16") == 0) {
            uint16_t h = (uint16_t)(0x3e00 + (r >> 24) + ((r & 1) << 15));
            memcpy(p, &h, 2);
        } else if (strcmp(t->dtype, "I64") == 0 || strcmp(t->dtype, "I32") == 0) {
            p[0] = (uint8_t)(r >> 16) % EXPERTS;
        } else if (strcmp(t->dtype, "F8_E4M3") == 0) {
            p[0] = (uint8_t)((r >> 16) & 0xf7);
        } else if (strcmp(t->dtype, "F8_E8M0") == 0) {
            p[0] = (uint8_t)(118 + (r >> 16) % 8);
        } else {
            p[0] = (uint8_t)(r >> 16);
        }
    }
}

static void set_shape(struct ckpt *ck, struct ckpt_tensor *t, const char *dtype, uint64_t d0, uint64_t d1)
{
    t->dtype = dtype;
    t->rank = d0 ? d1 ? 2 : 1 : 0;
    t->shape[0] = d0;
    t->shape[1] = d1;
    t->bytes = dtype_bytes(dtype) * (d0 ? d0 : 1) * (d1 ? d1 : 1);
    free(t->data);
    t->data = malloc((size_t)t->bytes);
    CHECK(t->data);
    fill(ck, t);
}

struct ckpt_tensor *ckpt_add(struct ckpt *ck, const char *name, const char *dtype, uint64_t d0, uint64_t d1)
{
    ck->tensors = realloc(ck->tensors, ((size_t)ck->n_tensors + 1) * sizeof(*ck->tensors));
    CHECK(ck->tensors);
    struct ckpt_tensor *t = &ck->tensors[ck->n_tensors++];
    memset(t, 0, sizeof(*t));
    t->name = copy(name);
    set_shape(ck, t, dtype, d0, d1);
    return t;
}

struct ckpt_tensor *ckpt_tensor(struct ckpt *ck, const char *name)
{
    for (int i = 0; i < ck->n_tensors; i++) {
        if (strcmp(ck->tensors[i].name, name) == 0) return &ck->tensors[i];
    }
    return NULL;
}

void ckpt_remove(struct ckpt *ck, const char *name)
{
    struct ckpt_tensor *t = ckpt_tensor(ck, name);
    CHECK(t);
    free(t->name);
    free(t->data);
    memmove(t, t + 1, (size_t)(ck->tensors + --ck->n_tensors - t) * sizeof(*t));
}

void ckpt_rename(struct ckpt *ck, const char *name, const char *to)
{
    struct ckpt_tensor *t = ckpt_tensor(ck, name);
    CHECK(t);
    free(t->name);
    t->name = copy(to);
}

void ckpt_reshape(struct ckpt *ck, const char *name, const char *dtype, uint64_t d0, uint64_t d1)
{
    struct ckpt_tensor *t = ckpt_tensor(ck, name);
    CHECK(t);
    set_shape(ck, t, dtype, d0, d1);
}

/* ---- the model */

static void add(struct ckpt *ck, const char *prefix, const char *name, const char *dtype, uint64_t d0, uint64_t d1)
{
    char full[160];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    ckpt_add(ck, full, dtype, d0, d1);
}

static void add_fp8(struct ckpt *ck, const char *prefix, const char *name, uint64_t out, uint64_t in)
{
    char full[160];
    snprintf(full, sizeof(full), "%s%s.weight", prefix, name);
    ckpt_add(ck, full, "F8_E4M3", out, in);
    snprintf(full, sizeof(full), "%s%s.scale", prefix, name);
    ckpt_add(ck, full, "F8_E8M0", (out + 127) / 128, (in + 127) / 128);
}

static void add_expert(struct ckpt *ck, const char *prefix, int e, const char *which, uint64_t out, uint64_t in)
{
    char name[64], full[160];
    snprintf(name, sizeof(name), "ffn.experts.%d.%s", e, which);
    if (ck->options.experts == CKPT_FP4) {
        snprintf(full, sizeof(full), "%s%s.weight", prefix, name);
        ckpt_add(ck, full, "I8", out, in / 2);
        snprintf(full, sizeof(full), "%s%s.scale", prefix, name);
        ckpt_add(ck, full, "F8_E8M0", out, in / 32);
        return;
    }
    add_fp8(ck, prefix, name, out, in);
    snprintf(full, sizeof(full), "%s%s.scale", prefix, name);
    if (ck->options.experts == CKPT_FP8_F32) ckpt_reshape(ck, full, "F32", (out + 127) / 128, (in + 127) / 128);
}

static void add_head(struct ckpt *ck, const char *prefix)
{
    add(ck, prefix, "hc_head_fn", "F32", HC, HC * EMBD);
    add(ck, prefix, "hc_head_base", "F32", HC, 0);
    add(ck, prefix, "hc_head_scale", "F32", 1, 0);
    add(ck, prefix, "norm.weight", "BF16", EMBD, 0);
}

static void add_compressor(struct ckpt *ck, const char *prefix, const char *name, uint64_t dim, uint64_t ratio)
{
    char full[96];
    uint64_t width = dim * (ratio == 4 ? 2 : 1);
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    add(ck, full, "ape", "F32", ratio, width);
    add(ck, full, "wkv.weight", "BF16", width, EMBD);
    add(ck, full, "wgate.weight", "BF16", width, EMBD);
    add(ck, full, "norm.weight", "BF16", dim, 0);
}

static void add_attention(struct ckpt *ck, const char *p, int ratio)
{
    add(ck, p, "attn.attn_sink", "F32", HEADS, 0);
    add_fp8(ck, p, "attn.wq_a", Q_RANK, EMBD);
    add(ck, p, "attn.q_norm.weight", "BF16", Q_RANK, 0);
    add_fp8(ck, p, "attn.wq_b", HEADS * HEAD, Q_RANK);
    add_fp8(ck, p, "attn.wkv", HEAD, EMBD);
    add(ck, p, "attn.kv_norm.weight", "BF16", HEAD, 0);
    add_fp8(ck, p, "attn.wo_a", GROUPS * O_RANK, HEADS * HEAD / GROUPS);
    add_fp8(ck, p, "attn.wo_b", EMBD, GROUPS * O_RANK);
    if (ratio) add_compressor(ck, p, "attn.compressor.", HEAD, (uint64_t)ratio);
    if (ratio == 4) {
        add_fp8(ck, p, "attn.indexer.wq_b", INDEX_HEADS * INDEX_HEAD, Q_RANK);
        add(ck, p, "attn.indexer.weights_proj.weight", "BF16", INDEX_HEADS, EMBD);
        add_compressor(ck, p, "attn.indexer.compressor.", INDEX_HEAD, 4);
    }
}

static void add_block(struct ckpt *ck, const char *p, int ratio, bool hash)
{
    add_attention(ck, p, ratio);
    add(ck, p, "attn_norm.weight", "BF16", EMBD, 0);
    add(ck, p, "ffn_norm.weight", "BF16", EMBD, 0);
    for (int i = 0; i < 2; i++) {
        add(ck, p, i ? "hc_ffn_fn" : "hc_attn_fn", "F32", MIX, HC * EMBD);
        add(ck, p, i ? "hc_ffn_base" : "hc_attn_base", "F32", MIX, 0);
        add(ck, p, i ? "hc_ffn_scale" : "hc_attn_scale", "F32", 3, 0);
    }
    add(ck, p, "ffn.gate.weight", "BF16", EXPERTS, EMBD);
    if (hash) add(ck, p, "ffn.gate.tid2eid", "I64", ck->vocab, USED);
    else add(ck, p, "ffn.gate.bias", "F32", EXPERTS, 0);
    for (int e = 0; e < EXPERTS; e++) {
        add_expert(ck, p, e, "w1", ck->ff, EMBD);
        add_expert(ck, p, e, "w2", EMBD, ck->ff);
        add_expert(ck, p, e, "w3", ck->ff, EMBD);
    }
    add_fp8(ck, p, "ffn.shared_experts.w1", ck->ff, EMBD);
    add_fp8(ck, p, "ffn.shared_experts.w2", EMBD, ck->ff);
    add_fp8(ck, p, "ffn.shared_experts.w3", ck->ff, EMBD);
}

static void add_prediction(struct ckpt *ck)
{
    char p[32];
    for (int i = 0; i < ck->options.mtp; i++) {
        snprintf(p, sizeof(p), "mtp.%d.", i);
        add_block(ck, p, 0, false);
        add_fp8(ck, p, "e_proj", EMBD, EMBD);
        add_fp8(ck, p, "h_proj", EMBD, EMBD);
        add(ck, p, "enorm.weight", "BF16", EMBD, 0);
        add(ck, p, "hnorm.weight", "BF16", EMBD, 0);
        add_head(ck, p);
    }
    for (int i = 0; i < ck->options.dspark; i++) {
        snprintf(p, sizeof(p), "mtp.%d.", i);
        add_block(ck, p, 0, false);
        if (i == 0) {
            add_fp8(ck, p, "main_proj", EMBD, 3 * EMBD);
            add(ck, p, "main_norm.weight", "BF16", EMBD, 0);
        }
        if (i != ck->options.dspark - 1) continue;
        add_head(ck, p);
        add(ck, p, "markov_head.markov_w1.weight", "BF16", ck->vocab, MARKOV);
        add(ck, p, "markov_head.markov_w2.weight", "BF16", ck->vocab, MARKOV);
        add(ck, p, "confidence_head.proj.weight", "BF16", 1, EMBD + MARKOV);
    }
}

static void set_int(struct ckpt *ck, const char *key, int value)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", value);
    ckpt_set(ck, key, text);
}

static void add_config(struct ckpt *ck)
{
    static const struct {
        const char *key;
        int value;
    } ints[] = {{"hidden_size", EMBD}, {"num_hidden_layers", LAYERS}, {"num_attention_heads", HEADS},
                {"head_dim", HEAD}, {"qk_rope_head_dim", ROPE}, {"q_lora_rank", Q_RANK}, {"o_groups", GROUPS},
                {"o_lora_rank", O_RANK}, {"sliding_window", 8}, {"index_n_heads", INDEX_HEADS},
                {"index_head_dim", INDEX_HEAD}, {"index_topk", 4}, {"n_routed_experts", EXPERTS},
                {"num_experts_per_tok", USED}, {"num_hash_layers", HASH},
                {"bos_token_id", 0}, {"eos_token_id", 1}, {"hc_mult", HC},
                {"hc_sinkhorn_iters", 20}, {"max_position_embeddings", 1048576}, {"n_shared_experts", 1},
                {"num_key_value_heads", 1}, {"num_nextn_predict_layers", 1}, {"rope_theta", 10000},
                {"compress_rope_theta", 160000}};
    static const char *const texts[][2] = {
        {"architectures", "[\"DeepseekV4ForCausalLM\"]"}, {"model_type", "\"deepseek_v4\""},
        {"compress_ratios", "[0, 4, 128, 0]"}, {"hc_eps", "1e-06"}, {"rms_norm_eps", "1e-06"},
        {"routed_scaling_factor", "1.5"}, {"swiglu_limit", "10.0"}, {"hidden_act", "\"silu\""},
        {"norm_topk_prob", "true"}, {"scoring_func", "\"sqrtsoftplus\""}, {"topk_method", "\"noaux_tc\""},
        {"tie_word_embeddings", "false"}, {"attention_bias", "false"}, {"expert_dtype", "\"fp4\""},
        {"rope_scaling", "{\"beta_fast\": 32, \"beta_slow\": 1, \"factor\": 16, "
                         "\"original_max_position_embeddings\": 65536, \"type\": \"yarn\"}"},
        {"quantization_config", "{\"activation_scheme\": \"dynamic\", \"fmt\": \"e4m3\", \"quant_method\": \"fp8\", "
                                "\"scale_fmt\": \"ue8m0\", \"weight_block_size\": [128, 128]}"}};
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) set_int(ck, ints[i].key, ints[i].value);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) ckpt_set(ck, texts[i][0], texts[i][1]);
    set_int(ck, "vocab_size", (int)ck->vocab);
    set_int(ck, "moe_intermediate_size", (int)ck->ff);
    if (!ck->options.dspark) return;
    ckpt_set(ck, "compress_ratios", "[0, 4, 128, 0, 0, 0]");
    set_int(ck, "dspark_block_size", 5);
    set_int(ck, "dspark_noise_token_id", 63);
    set_int(ck, "dspark_markov_rank", MARKOV);
    ckpt_set(ck, "dspark_target_layer_ids", "[0, 1, 2]");
}

struct ckpt *ckpt_new(const struct ckpt_options *options)
{
    struct ckpt *ck = calloc(1, sizeof(*ck));
    char p[32];
    CHECK(ck);
    ck->options = *options;
    ck->rng = 0x9e3779b9u ^ (options->seed * 2654435761u);
    ck->vocab = options->wide ? 4200 : 64;
    ck->ff = options->wide ? 512 : 32;
    ckpt_add(ck, "embed.weight", "BF16", ck->vocab, EMBD);
    for (int i = 0; i < LAYERS; i++) {
        snprintf(p, sizeof(p), "layers.%d.", i);
        add_block(ck, p, ratios[i], i < HASH);
    }
    add_head(ck, "");
    ckpt_add(ck, "head.weight", "BF16", ck->vocab, EMBD);
    add_prediction(ck);
    add_config(ck);
    return ck;
}

void ckpt_free(struct ckpt *ck)
{
    for (int i = 0; i < ck->n_tensors; i++) {
        free(ck->tensors[i].name);
        free(ck->tensors[i].data);
    }
    for (int i = 0; i < ck->n_config; i++) {
        free(ck->config[i].key);
        free(ck->config[i].json);
    }
    free(ck->tensors);
    free(ck->index);
    free(ck->tokenizer);
    free(ck);
}

/* ---- texts */

struct text {
    char *data;
    size_t n, cap;
};

static void append(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct text *t, const char *format, ...)
{
    va_list args;
    for (;;) {
        size_t room = t->cap - t->n;
        va_start(args, format);
        int n = vsnprintf(t->data ? t->data + t->n : NULL, room, format, args);
        va_end(args);
        CHECK(n >= 0);
        if ((size_t)n < room) {
            t->n += (size_t)n;
            return;
        }
        t->cap = 2 * t->cap + (size_t)n + 256;
        t->data = realloc(t->data, t->cap);
        CHECK(t->data);
    }
}

void ckpt_set(struct ckpt *ck, const char *key, const char *json)
{
    int i = 0;
    while (i < ck->n_config && strcmp(ck->config[i].key, key) != 0) i++;
    if (i == ck->n_config) {
        CHECK(i < 64);
        ck->config[i].key = copy(key);
        ck->config[i].json = NULL;
        ck->n_config++;
    }
    free(ck->config[i].json);
    ck->config[i].json = json ? copy(json) : NULL;
}

char *ckpt_config_text(const struct ckpt *ck)
{
    struct text t = {0};
    append(&t, "{\n");
    for (int i = 0, n = 0; i < ck->n_config; i++) {
        if (ck->config[i].json) append(&t, "%s  \"%s\": %s", n++ ? ",\n" : "", ck->config[i].key, ck->config[i].json);
    }
    append(&t, "\n}\n");
    return t.data;
}

char *ckpt_tokenizer_text(void)
{
    struct text t = {0};
    append(&t, "{\"version\": \"1.0\", \"added_tokens\": [");
    append(&t, "{\"id\": 0, \"content\": \"<bos>\", \"special\": true}, ");
    append(&t, "{\"id\": 40, \"content\": \"<think>\", \"special\": false}, ");
    append(&t, "{\"id\": 41, \"content\": \"<\xef\xbd\x9c\xe2\x96\x81pad\xe2\x96\x81\xef\xbd\x9c>\", \"special\": true}],\n");
    append(&t, " \"model\": {\"type\": \"BPE\", \"vocab\": {\"<bos>\": 0");
    for (int i = 1; i < 40; i++) append(&t, ", \"%c%d\": %d", 'a' + i % 26, i, i);
    append(&t, "},\n \"merges\": [\"a b\", [\"b\", \"c\"]]}}\n");
    return t.data;
}

/* ---- files */

void ckpt_write_file(const char *dir, const char *name, const void *data, size_t n)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    CHECK(f);
    CHECK(!n || fwrite(data, 1, n, f) == n);
    CHECK(fclose(f) == 0);
}

uint8_t *ckpt_read_file(const char *dir, const char *name, size_t *n)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    CHECK(f);
    CHECK(fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    CHECK(size >= 0);
    rewind(f);
    uint8_t *data = malloc((size_t)size + 1);
    CHECK(data);
    CHECK(fread(data, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    *n = (size_t)size;
    return data;
}

static void shard_name(const struct ckpt *ck, int i, char name[64])
{
    if (ck->options.shards < 1) snprintf(name, 64, "model.safetensors");
    else snprintf(name, 64, "model-%05d-of-%05d.safetensors", i + 1, ck->options.shards);
}

static void write_shard(const struct ckpt *ck, const char *dir, const char *name, int begin, int end)
{
    struct text header = {0};
    uint64_t offset = 0;
    append(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = begin; i < end; i++) {
        const struct ckpt_tensor *t = &ck->tensors[i];
        append(&header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
        for (int d = 0; d < t->rank; d++) append(&header, "%s%" PRIu64, d ? "," : "", t->shape[d]);
        append(&header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, offset + t->bytes);
        offset += t->bytes;
    }
    append(&header, "}");
    while (header.n % 8) append(&header, " ");
    uint8_t *file = malloc((size_t)(8 + header.n + offset)), *p = file + 8 + header.n;
    CHECK(file);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header.n >> (8 * i));
    memcpy(file + 8, header.data, header.n);
    for (int i = begin; i < end; i++) {
        if (ck->tensors[i].bytes) memcpy(p, ck->tensors[i].data, (size_t)ck->tensors[i].bytes);
        p += ck->tensors[i].bytes;
    }
    ckpt_write_file(dir, name, file, (size_t)(p - file));
    free(file);
    free(header.data);
}

void ckpt_write(const struct ckpt *ck, const char *dir)
{
    struct text index = {0};
    uint64_t total = 0;
    int shards = ck->options.shards < 1 ? 1 : ck->options.shards;
    for (int i = 0; i < ck->n_tensors; i++) total += ck->tensors[i].bytes;
    append(&index, "{\"metadata\": {\"total_size\": %" PRIu64 "}, \"weight_map\": {", total);
    for (int s = 0; s < shards; s++) {
        char name[64];
        int begin = ck->n_tensors * s / shards, end = ck->n_tensors * (s + 1) / shards;
        shard_name(ck, s, name);
        write_shard(ck, dir, name, begin, end);
        for (int i = begin; i < end; i++) append(&index, "%s\"%s\": \"%s\"", i ? ", " : "", ck->tensors[i].name, name);
    }
    append(&index, "}}");
    if (ck->index) ckpt_write_file(dir, "model.safetensors.index.json", ck->index, strlen(ck->index));
    else if (!ck->options.no_index) ckpt_write_file(dir, "model.safetensors.index.json", index.data, index.n);
    free(index.data);
    char *config = ckpt_config_text(ck);
    ckpt_write_file(dir, "config.json", config, strlen(config));
    free(config);
    if (ck->tokenizer) ckpt_write_file(dir, "tokenizer.json", ck->tokenizer, strlen(ck->tokenizer));
}

char *ckpt_temp_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[400];
    snprintf(path, sizeof(path), "%s/ggl-ckpt.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    CHECK(mkdtemp(path));
    return copy(path);
}

void ckpt_remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    CHECK(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char path[700];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) ckpt_remove_dir(path);
        else unlink(path);
    }
    closedir(d);
    rmdir(dir);
}
