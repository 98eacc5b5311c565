#include "support/sparse_ckpt.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VOCAB 129280

static void check(bool good, const char *what)
{
    if (good) return;
    perror(what);
    abort();
}

/* ---- what is in it */

static void add(struct sparse_model *m, int layer, const char *name, const char *official, enum sparse_kind kind, int64_t a,
                int64_t b)
{
    struct sparse_tensor *t = &m->tensors[m->n_tensors++];
    if (layer < 0) {
        snprintf(t->name, sizeof(t->name), "%s", name);
        snprintf(t->official, sizeof(t->official), "%s", official);
    } else {
        snprintf(t->name, sizeof(t->name), "blk.%d.%s", layer, name);
        snprintf(t->official, sizeof(t->official), "layers.%d.%s", layer, official);
    }
    t->kind = kind;
    t->ne[0] = a;
    t->ne[1] = b ? b : 1;
    t->ne[2] = strstr(name, "_exps.") ? m->experts : 1;
    t->n_dims = t->ne[2] > 1 ? 3 : b ? 2 : 1;
}

int sparse_ratio(const struct sparse_model *m, int layer)
{
    if (layer < 2) return m->pro ? 128 : 0;
    return layer % 2 ? 128 : 4;
}

static void add_compressor(struct sparse_model *m, int n)
{
    const int64_t ratio = sparse_ratio(m, n), width = ratio == 4 ? 1024 : 512;
    if (!ratio) return;
    add(m, n, "attn_compressor_kv.weight", "attn.compressor.wkv.weight", SPARSE_BF16, m->embd, width);
    add(m, n, "attn_compressor_gate.weight", "attn.compressor.wgate.weight", SPARSE_BF16, m->embd, width);
    add(m, n, "attn_compressor_ape.weight", "attn.compressor.ape", SPARSE_F32, width, ratio);
    add(m, n, "attn_compressor_norm.weight", "attn.compressor.norm.weight", SPARSE_BF16, 512, 0);
    if (ratio != 4) return;
    add(m, n, "indexer.proj.weight", "attn.indexer.weights_proj.weight", SPARSE_BF16, m->embd, 64);
    add(m, n, "indexer.attn_q_b.weight", "attn.indexer.wq_b.weight", SPARSE_FP8, m->q_rank, 8192);
    add(m, n, "indexer_compressor_kv.weight", "attn.indexer.compressor.wkv.weight", SPARSE_BF16, m->embd, 256);
    add(m, n, "indexer_compressor_gate.weight", "attn.indexer.compressor.wgate.weight", SPARSE_BF16, m->embd, 256);
    add(m, n, "indexer_compressor_ape.weight", "attn.indexer.compressor.ape", SPARSE_F32, 256, 4);
    add(m, n, "indexer_compressor_norm.weight", "attn.indexer.compressor.norm.weight", SPARSE_BF16, 128, 0);
}

static void add_layer(struct sparse_model *m, int n)
{
    const int64_t e = m->embd, q = m->q_rank, h = m->heads, g = m->groups, f = m->ff;
    add(m, n, "attn_norm.weight", "attn_norm.weight", SPARSE_BF16, e, 0);
    add(m, n, "attn_sinks.weight", "attn.attn_sink", SPARSE_F32, h, 0);
    add(m, n, "attn_q_a.weight", "attn.wq_a.weight", SPARSE_FP8, e, q);
    add(m, n, "attn_q_a_norm.weight", "attn.q_norm.weight", SPARSE_BF16, q, 0);
    add(m, n, "attn_q_b.weight", "attn.wq_b.weight", SPARSE_FP8, q, h * 512);
    add(m, n, "attn_kv.weight", "attn.wkv.weight", SPARSE_FP8, e, 512);
    add(m, n, "attn_kv_a_norm.weight", "attn.kv_norm.weight", SPARSE_BF16, 512, 0);
    add(m, n, "attn_output_a.weight", "attn.wo_a.weight", SPARSE_FP8, h * 512 / g, 1024 * g);
    add(m, n, "attn_output_b.weight", "attn.wo_b.weight", SPARSE_FP8, 1024 * g, e);
    add(m, n, "hc_attn_fn.weight", "hc_attn_fn", SPARSE_F32, 4 * e, 24);
    add(m, n, "hc_attn_base.weight", "hc_attn_base", SPARSE_F32, 24, 0);
    add(m, n, "hc_attn_scale.weight", "hc_attn_scale", SPARSE_F32, 3, 0);
    add(m, n, "hc_ffn_fn.weight", "hc_ffn_fn", SPARSE_F32, 4 * e, 24);
    add(m, n, "hc_ffn_base.weight", "hc_ffn_base", SPARSE_F32, 24, 0);
    add(m, n, "hc_ffn_scale.weight", "hc_ffn_scale", SPARSE_F32, 3, 0);
    add_compressor(m, n);
    add(m, n, "ffn_norm.weight", "ffn_norm.weight", SPARSE_BF16, e, 0);
    add(m, n, "ffn_gate_inp.weight", "ffn.gate.weight", SPARSE_BF16, e, m->experts);
    if (n < 3) add(m, n, "ffn_gate_tid2eid.weight", "ffn.gate.tid2eid", SPARSE_IDS, 6, VOCAB);
    else add(m, n, "exp_probs_b.bias", "ffn.gate.bias", SPARSE_F32, m->experts, 0);
    add(m, n, "ffn_gate_exps.weight", "ffn.experts.0.w1.weight", SPARSE_FP4, e, f);
    add(m, n, "ffn_down_exps.weight", "ffn.experts.0.w2.weight", SPARSE_FP4, f, e);
    add(m, n, "ffn_up_exps.weight", "ffn.experts.0.w3.weight", SPARSE_FP4, e, f);
    add(m, n, "ffn_gate_shexp.weight", "ffn.shared_experts.w1.weight", SPARSE_FP8, e, f);
    add(m, n, "ffn_up_shexp.weight", "ffn.shared_experts.w3.weight", SPARSE_FP8, e, f);
    add(m, n, "ffn_down_shexp.weight", "ffn.shared_experts.w2.weight", SPARSE_FP8, f, e);
}

void sparse_model(struct sparse_model *m, bool pro)
{
    memset(m, 0, sizeof(*m));
    m->pro = pro;
    m->n_layer = pro ? 61 : 43;
    m->embd = pro ? 7168 : 4096;
    m->heads = pro ? 128 : 64;
    m->q_rank = pro ? 1536 : 1024;
    m->groups = pro ? 16 : 8;
    m->ff = pro ? 3072 : 2048;
    m->experts = pro ? 384 : 256;
    add(m, -1, "token_embd.weight", "embed.weight", SPARSE_BF16, m->embd, VOCAB);
    add(m, -1, "output_norm.weight", "norm.weight", SPARSE_BF16, m->embd, 0);
    add(m, -1, "output.weight", "head.weight", SPARSE_BF16, m->embd, VOCAB);
    add(m, -1, "output_hc_fn.weight", "hc_head_fn", SPARSE_F32, 4 * m->embd, 4);
    add(m, -1, "output_hc_base.weight", "hc_head_base", SPARSE_F32, 4, 0);
    add(m, -1, "output_hc_scale.weight", "hc_head_scale", SPARSE_F32, 1, 0);
    for (int n = 0; n < m->n_layer; n++) add_layer(m, n);
}

/* ---- writing it */

struct header {
    char *text;
    size_t n, room;
    uint64_t at; /* in the data */
    uint64_t scales[2048][2]; /* places and sizes of FP8's */
    int n_scales;
};

__attribute__((format(printf, 2, 3))) static void say(struct header *h, const char *format, ...)
{
    va_list args;
    if (h->room - h->n < 1024) {
        h->room = 2 * h->room + 65536;
        h->text = realloc(h->text, h->room);
        check(h->text != NULL, "realloc");
    }
    va_start(args, format);
    h->n += (size_t)vsnprintf(h->text + h->n, h->room - h->n, format, args);
    va_end(args);
}

static void entry(struct header *h, const char *name, const char *dtype, int64_t rows, int64_t n, uint64_t bytes)
{
    say(h, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", h->at ? "," : "", name, dtype);
    if (rows) say(h, "%" PRId64 ",", rows);
    say(h, "%" PRId64 "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", n, h->at, h->at + bytes);
    h->at += bytes;
}

/* "X.weight" -> "X.scale" */
static void scale_name(const char *weight, char scale[80])
{
    snprintf(scale, 80, "%.*s.scale", (int)(strlen(weight) - 7), weight);
}

static void entries(struct header *h, const struct sparse_model *m, const struct sparse_tensor *t)
{
    const int64_t n = t->ne[0], rows = t->n_dims == 1 ? 0 : t->ne[1];
    const uint64_t all = (uint64_t)n * (uint64_t)t->ne[1];
    char name[80], scale[80];
    switch (t->kind) {
    case SPARSE_BF16: entry(h, t->official, "BF16", rows, n, 2 * all); return;
    case SPARSE_F32: entry(h, t->official, "F32", rows, n, 4 * all); return;
    case SPARSE_IDS: entry(h, t->official, "I64", rows, n, 8 * all); return;
    case SPARSE_FP8:
        entry(h, t->official, "F8_E4M3", rows, n, all);
        scale_name(t->official, scale);
        h->scales[h->n_scales][0] = h->at;
        h->scales[h->n_scales++][1] = all / 128 / 128;
        entry(h, scale, "F8_E8M0", rows / 128, n / 128, all / 128 / 128);
        return;
    case SPARSE_FP4: break;
    }
    const char *number = strstr(t->official, ".0.w");
    for (int64_t e = 0; e < m->experts; e++) {
        snprintf(name, sizeof(name), "%.*s.%d%s", (int)(number - t->official), t->official, (int)e, number + 2);
        entry(h, name, "I8", rows, n / 2, all / 2);
        scale_name(name, scale);
        entry(h, scale, "F8_E8M0", rows, n / 32, all / 32);
    }
}

static void write_config(const struct sparse_model *m, const char *dir)
{
    char path[1100];
    snprintf(path, sizeof(path), "%s/config.json", dir);
    FILE *f = fopen(path, "w");
    check(f != NULL, path);
    fprintf(f, "{\"architectures\": [\"DeepseekV4ForCausalLM\"], \"model_type\": \"deepseek_v4\", \"hc_eps\": 1e-06,"
               "\"hidden_act\": \"silu\", \"norm_topk_prob\": true, \"rms_norm_eps\": 1e-06, \"expert_dtype\": \"fp4\","
               "\"quantization_config\": {\"activation_scheme\": \"dynamic\", \"fmt\": \"e4m3\", \"quant_method\": \"fp8\","
               "\"scale_fmt\": \"ue8m0\", \"weight_block_size\": [128, 128]},"
               "\"rope_scaling\": {\"beta_fast\": 32, \"beta_slow\": 1, \"factor\": 16,"
               "\"original_max_position_embeddings\": 65536, \"type\": \"yarn\"}, \"scoring_func\": \"sqrtsoftplus\","
               "\"topk_method\": \"noaux_tc\", \"bos_token_id\": 0, \"eos_token_id\": 1, \"hc_mult\": 4,"
               "\"hc_sinkhorn_iters\": 20, \"max_position_embeddings\": 1048576, \"n_shared_experts\": 1,"
               "\"num_key_value_heads\": 1, \"num_nextn_predict_layers\": 1, \"rope_theta\": 10000,"
               "\"compress_rope_theta\": 160000, \"head_dim\": 512, \"qk_rope_head_dim\": 64, \"o_lora_rank\": 1024,"
               "\"sliding_window\": 128, \"index_n_heads\": 64, \"index_head_dim\": 128, \"num_experts_per_tok\": 6,"
               "\"num_hash_layers\": 3, \"vocab_size\": %d, \"swiglu_limit\": 10.0,", VOCAB);
    fprintf(f, "\"hidden_size\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"q_lora_rank\": %d,"
               "\"o_groups\": %d, \"index_topk\": %d, \"n_routed_experts\": %d, \"moe_intermediate_size\": %d,"
               "\"routed_scaling_factor\": %.1f, \"compress_ratios\": [", (int)m->embd, m->n_layer, (int)m->heads,
            (int)m->q_rank, (int)m->groups, m->pro ? 1024 : 512, (int)m->experts, (int)m->ff, m->pro ? 2.5 : 1.5);
    for (int n = 0; n < m->n_layer; n++) fprintf(f, "%d, ", sparse_ratio(m, n));
    fprintf(f, "0]}\n");
    check(fclose(f) == 0, path);
}

uint64_t sparse_write(const struct sparse_model *m, const char *dir)
{
    static const uint8_t scale = 120;
    struct header *h = calloc(1, sizeof(*h));
    char path[1100];
    check(h != NULL, "calloc");
    say(h, "{");
    for (int i = 0; i < m->n_tensors; i++) entries(h, m, &m->tensors[i]);
    say(h, "}");
    write_config(m, dir);
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0, path);
    uint64_t length = h->n, data = 8 + length;
    check(write(fd, &length, 8) == 8 && write(fd, h->text, h->n) == (ssize_t)h->n, path);
    check(ftruncate(fd, (off_t)(data + h->at)) == 0, path);
    for (int i = 0; i < h->n_scales; i++) {
        uint8_t *bytes = malloc((size_t)h->scales[i][1]);
        check(bytes != NULL, "malloc");
        memset(bytes, scale, (size_t)h->scales[i][1]);
        check(pwrite(fd, bytes, (size_t)h->scales[i][1], (off_t)(data + h->scales[i][0])) == (ssize_t)h->scales[i][1], path);
        free(bytes);
    }
    check(close(fd) == 0, path);
    uint64_t bytes = h->at;
    free(h->text);
    free(h);
    return bytes;
}
