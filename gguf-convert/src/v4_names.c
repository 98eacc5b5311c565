/* The table of names, and what can be told from a name alone. */
#include "gguf-convert/src/v4_names.h"

#include <string.h>

#define D(dim) GGL_DIM_##dim

const struct ggl_v4_name ggl_v4_names[] = {
    {"embed.weight", "token_embd.weight", GGL_NAME_FLOAT, GGL_SCOPE_ROOT, {D(VOCAB), D(EMBD)}},
    {"norm.weight", "output_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_ROOT, {D(EMBD)}},
    {"head.weight", "output.weight", GGL_NAME_FLOAT, GGL_SCOPE_ROOT, {D(VOCAB), D(EMBD)}},
    {"hc_head_fn", "output_hc_fn.weight", GGL_NAME_F32, GGL_SCOPE_ROOT, {D(HC), D(HC_EMBD)}},
    {"hc_head_base", "output_hc_base.weight", GGL_NAME_F32, GGL_SCOPE_ROOT, {D(HC)}},
    {"hc_head_scale", "output_hc_scale.weight", GGL_NAME_F32, GGL_SCOPE_ROOT, {D(1)}},

    {"hc_attn_fn", "hc_attn_fn.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(HC_MIX), D(HC_EMBD)}},
    {"hc_attn_base", "hc_attn_base.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(HC_MIX)}},
    {"hc_attn_scale", "hc_attn_scale.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(3)}},
    {"attn_norm.weight", "attn_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_BLOCK, {D(EMBD)}},
    {"attn.attn_sink", "attn_sinks.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(HEADS)}},
    {"attn.wq_a", "attn_q_a.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(Q_RANK), D(EMBD)}},
    {"attn.q_norm.weight", "attn_q_a_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_BLOCK, {D(Q_RANK)}},
    {"attn.wq_b", "attn_q_b.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(HEADS_HEAD), D(Q_RANK)}},
    {"attn.wkv", "attn_kv.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(HEAD), D(EMBD)}},
    {"attn.kv_norm.weight", "attn_kv_a_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_BLOCK, {D(HEAD)}},
    {"attn.wo_a", "attn_output_a.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(GROUPS_RANK), D(GROUP_IN)}},
    {"attn.wo_b", "attn_output_b.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(EMBD), D(GROUPS_RANK)}},

    {"attn.compressor.wkv.weight", "attn_compressor_kv.weight", GGL_NAME_FLOAT, GGL_SCOPE_COMPRESSED,
     {D(COMPRESSED), D(EMBD)}},
    {"attn.compressor.wgate.weight", "attn_compressor_gate.weight", GGL_NAME_FLOAT, GGL_SCOPE_COMPRESSED,
     {D(COMPRESSED), D(EMBD)}},
    {"attn.compressor.ape", "attn_compressor_ape.weight", GGL_NAME_F32, GGL_SCOPE_COMPRESSED,
     {D(RATIO), D(COMPRESSED)}},
    {"attn.compressor.norm.weight", "attn_compressor_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_COMPRESSED, {D(HEAD)}},
    {"attn.indexer.weights_proj.weight", "indexer.proj.weight", GGL_NAME_FLOAT, GGL_SCOPE_INDEXED,
     {D(INDEX_HEADS), D(EMBD)}},
    {"attn.indexer.wq_b", "indexer.attn_q_b.weight", GGL_NAME_DENSE, GGL_SCOPE_INDEXED,
     {D(INDEX_HEADS_HEAD), D(Q_RANK)}},
    {"attn.indexer.compressor.wkv.weight", "indexer_compressor_kv.weight", GGL_NAME_FLOAT, GGL_SCOPE_INDEXED,
     {D(INDEX_COMPRESSED), D(EMBD)}},
    {"attn.indexer.compressor.wgate.weight", "indexer_compressor_gate.weight", GGL_NAME_FLOAT, GGL_SCOPE_INDEXED,
     {D(INDEX_COMPRESSED), D(EMBD)}},
    {"attn.indexer.compressor.ape", "indexer_compressor_ape.weight", GGL_NAME_F32, GGL_SCOPE_INDEXED,
     {D(RATIO), D(INDEX_COMPRESSED)}},
    {"attn.indexer.compressor.norm.weight", "indexer_compressor_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_INDEXED,
     {D(INDEX_HEAD)}},

    {"hc_ffn_fn", "hc_ffn_fn.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(HC_MIX), D(HC_EMBD)}},
    {"hc_ffn_base", "hc_ffn_base.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(HC_MIX)}},
    {"hc_ffn_scale", "hc_ffn_scale.weight", GGL_NAME_F32, GGL_SCOPE_BLOCK, {D(3)}},
    {"ffn_norm.weight", "ffn_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_BLOCK, {D(EMBD)}},
    {"ffn.gate.weight", "ffn_gate_inp.weight", GGL_NAME_FLOAT, GGL_SCOPE_BLOCK, {D(EXPERTS), D(EMBD)}},
    {"ffn.gate.bias", "exp_probs_b.bias", GGL_NAME_F32, GGL_SCOPE_LEARNED, {D(EXPERTS)}},
    {"ffn.gate.tid2eid", "ffn_gate_tid2eid.weight", GGL_NAME_IDS, GGL_SCOPE_HASH, {D(VOCAB), D(EXPERTS_USED)}},
    {"w1", "ffn_gate_exps.weight", GGL_NAME_EXPERTS, GGL_SCOPE_BLOCK, {D(FF), D(EMBD)}},
    {"w2", "ffn_down_exps.weight", GGL_NAME_EXPERTS, GGL_SCOPE_BLOCK, {D(EMBD), D(FF)}},
    {"w3", "ffn_up_exps.weight", GGL_NAME_EXPERTS, GGL_SCOPE_BLOCK, {D(FF), D(EMBD)}},
    {"ffn.shared_experts.w1", "ffn_gate_shexp.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(FF), D(EMBD)}},
    {"ffn.shared_experts.w2", "ffn_down_shexp.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(EMBD), D(FF)}},
    {"ffn.shared_experts.w3", "ffn_up_shexp.weight", GGL_NAME_DENSE, GGL_SCOPE_BLOCK, {D(FF), D(EMBD)}},

    {"e_proj", "nextn.e_proj.weight", GGL_NAME_DENSE, GGL_SCOPE_MTP, {D(EMBD), D(EMBD)}},
    {"h_proj", "nextn.h_proj.weight", GGL_NAME_DENSE, GGL_SCOPE_MTP, {D(EMBD), D(EMBD)}},
    {"enorm.weight", "nextn.enorm.weight", GGL_NAME_FLOAT, GGL_SCOPE_MTP, {D(EMBD)}},
    {"hnorm.weight", "nextn.hnorm.weight", GGL_NAME_FLOAT, GGL_SCOPE_MTP, {D(EMBD)}},
    {"norm.weight", "nextn.shared_head_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_MTP, {D(EMBD)}},
    {"hc_head_fn", "nextn.hc_head_fn.weight", GGL_NAME_F32, GGL_SCOPE_MTP, {D(HC), D(HC_EMBD)}},
    {"hc_head_base", "nextn.hc_head_base.weight", GGL_NAME_F32, GGL_SCOPE_MTP, {D(HC)}},
    {"hc_head_scale", "nextn.hc_head_scale.weight", GGL_NAME_F32, GGL_SCOPE_MTP, {D(1)}},

    {"main_proj", "nextn.main_proj.weight", GGL_NAME_DENSE, GGL_SCOPE_DSPARK_FIRST, {D(EMBD), D(TARGETS_EMBD)}},
    {"main_norm.weight", "nextn.main_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_DSPARK_FIRST, {D(EMBD)}},
    {"norm.weight", "nextn.shared_head_norm.weight", GGL_NAME_FLOAT, GGL_SCOPE_DSPARK_LAST, {D(EMBD)}},
    {"hc_head_fn", "nextn.hc_head_fn.weight", GGL_NAME_F32, GGL_SCOPE_DSPARK_LAST, {D(HC), D(HC_EMBD)}},
    {"hc_head_base", "nextn.hc_head_base.weight", GGL_NAME_F32, GGL_SCOPE_DSPARK_LAST, {D(HC)}},
    {"hc_head_scale", "nextn.hc_head_scale.weight", GGL_NAME_F32, GGL_SCOPE_DSPARK_LAST, {D(1)}},
    {"markov_head.markov_w1.weight", "nextn.markov_w1.weight", GGL_NAME_FLOAT, GGL_SCOPE_DSPARK_LAST,
     {D(VOCAB), D(MARKOV)}},
    {"markov_head.markov_w2.weight", "nextn.markov_w2.weight", GGL_NAME_FLOAT, GGL_SCOPE_DSPARK_LAST,
     {D(VOCAB), D(MARKOV)}},
    {"confidence_head.proj.weight", "nextn.confidence.weight", GGL_NAME_FLOAT, GGL_SCOPE_DSPARK_LAST,
     {D(1), D(EMBD_MARKOV)}},
};
const size_t ggl_n_v4_names = sizeof(ggl_v4_names) / sizeof(ggl_v4_names[0]);

/* No product here overflows: config.c bounds every factor; the largest is 2^14 groups of rank 2^20. */
uint64_t ggl_v4_dim(const struct ggl_config *c, enum ggl_v4_dim dim, int32_t ratio)
{
    switch (dim) {
    case GGL_DIM_NONE: return 0;
    case GGL_DIM_1: return 1;
    case GGL_DIM_3: return 3;
    case GGL_DIM_EMBD: return c->n_embd;
    case GGL_DIM_VOCAB: return c->n_vocab;
    case GGL_DIM_HEADS: return c->n_head;
    case GGL_DIM_HEAD: return c->head_dim;
    case GGL_DIM_Q_RANK: return c->q_rank;
    case GGL_DIM_HEADS_HEAD: return (uint64_t)c->n_head * c->head_dim;
    case GGL_DIM_GROUP_IN: return (uint64_t)c->n_head * c->head_dim / c->o_groups;
    case GGL_DIM_GROUPS_RANK: return (uint64_t)c->o_groups * c->o_rank;
    case GGL_DIM_RATIO: return (uint64_t)ratio;
    case GGL_DIM_COMPRESSED: return (uint64_t)c->head_dim * (ratio == 4 ? 2 : 1);
    case GGL_DIM_INDEX_HEADS: return c->index_heads;
    case GGL_DIM_INDEX_HEAD: return c->index_dim;
    case GGL_DIM_INDEX_HEADS_HEAD: return (uint64_t)c->index_heads * c->index_dim;
    case GGL_DIM_INDEX_COMPRESSED: return (uint64_t)c->index_dim * 2;
    case GGL_DIM_EXPERTS: return c->n_expert;
    case GGL_DIM_EXPERTS_USED: return c->n_expert_used;
    case GGL_DIM_FF: return c->n_ff;
    case GGL_DIM_HC: return c->hc_mult;
    case GGL_DIM_HC_MIX: return (uint64_t)(2 + c->hc_mult) * c->hc_mult;
    case GGL_DIM_HC_EMBD: return (uint64_t)c->hc_mult * c->n_embd;
    case GGL_DIM_TARGETS_EMBD: return (uint64_t)c->n_target * c->n_embd;
    case GGL_DIM_MARKOV: return c->dspark_rank;
    case GGL_DIM_EMBD_MARKOV: return (uint64_t)c->n_embd + c->dspark_rank;
    }
    return 0;
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

const char *ggl_v4_name_foreign(const char *name)
{
    if (starts(name, "model.") || starts(name, "lm_head")) return "a checkpoint with the transformers library's names";
    if (strstr(name, "engram")) return "DeepSeek V4.1, another architecture";
    if (starts(name, "aligner.") || starts(name, "image_") || starts(name, "vision") || strstr(name, "gate.bias_vl")) {
        return "a vision model, another architecture";
    }
    if (strstr(name, "weight_scale_inv")) return "a checkpoint of another model family";
    return NULL;
}

/* Decimal digits and a dot; *end is behind the dot. */
static int parse_index(const char *p, const char **end)
{
    int v = 0, n = 0;
    for (; *p >= '0' && *p <= '9' && n < 6; p++, n++) v = v * 10 + (*p - '0');
    if (!n || *p != '.' || (n > 1 && p[-n] == '0')) return -1;
    *end = p + 1;
    return v;
}

bool ggl_v4_name_harmless(const struct ggl_config *c, const char *name)
{
    const char *rest;
    if (!starts(name, "layers.")) return false;
    int layer = parse_index(name + 7, &rest);
    /* Layers that route by token id never use their bias; tables of rotation angles are recomputed. */
    if (layer >= 0 && (uint32_t)layer < c->n_hash && strcmp(rest, "ffn.gate.bias") == 0) return true;
    return layer >= 0 && (uint32_t)layer < c->n_layer &&
           (strcmp(rest, "attn.rotary_emb.inv_freq") == 0 || strcmp(rest, "attn.freqs_cis") == 0);
}

int ggl_v4_name_mtp(const char *name)
{
    const char *rest;
    return starts(name, "mtp.") ? parse_index(name + 4, &rest) : -1;
}
