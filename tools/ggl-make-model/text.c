/*
 * The JSON files of a checkpoint.  Every string written here is ours and needs no escaping.
 */
#include <inttypes.h>
#include "ggl-make-model/plan.h"

static void write_ratios(FILE *f, const struct plan *plan)
{
    uint32_t n = plan->p.layers + plan->p.mtp_layers;
    fputs("  \"compress_ratios\": [", f);
    for (uint32_t i = 0; i < n; i++) fprintf(f, "%s%" PRIu32, i ? ", " : "", plan_ratio(plan, i));
    fputs("],\n", f);
}

void write_config(FILE *f, const struct plan *plan)
{
    const struct preset *p = &plan->p;
    const struct { const char *key; uint32_t value; } numbers[] = {
        {"bos_token_id", 0}, {"eos_token_id", 1}, {"hc_mult", HC}, {"hc_sinkhorn_iters", 20},
        {"max_position_embeddings", 1048576}, {"n_shared_experts", 1}, {"num_key_value_heads", 1},
        {"num_nextn_predict_layers", p->mtp_layers}, {"rope_theta", 10000}, {"compress_rope_theta", 160000},
        {"hidden_size", p->hidden}, {"num_hidden_layers", p->layers}, {"num_attention_heads", p->heads},
        {"head_dim", p->head_dim}, {"qk_rope_head_dim", ROPE_DIM}, {"q_lora_rank", p->q_lora},
        {"o_groups", p->o_groups}, {"o_lora_rank", p->o_lora}, {"sliding_window", p->window},
        {"index_n_heads", p->index_heads}, {"index_head_dim", INDEX_DIM}, {"index_topk", p->index_top_k},
        {"n_routed_experts", p->experts}, {"num_experts_per_tok", p->experts_per_token},
        {"moe_intermediate_size", p->inter}, {"num_hash_layers", p->hash_layers}, {"vocab_size", p->vocab},
    };
    fputs("{\n"
          "  \"architectures\": [\"DeepseekV4ForCausalLM\"],\n"
          "  \"model_type\": \"deepseek_v4\",\n"
          "  \"attention_bias\": false,\n"
          "  \"attention_dropout\": 0.0,\n"
          "  \"hc_eps\": 1e-06,\n"
          "  \"hidden_act\": \"silu\",\n"
          "  \"initializer_range\": 0.02,\n"
          "  \"norm_topk_prob\": true,\n"
          "  \"rms_norm_eps\": 1e-06,\n"
          "  \"expert_dtype\": \"fp4\",\n"
          "  \"quantization_config\": {\"activation_scheme\": \"dynamic\", \"fmt\": \"e4m3\", \"quant_method\": \"fp8\",\n"
          "                          \"scale_fmt\": \"ue8m0\", \"weight_block_size\": [128, 128]},\n"
          "  \"rope_scaling\": {\"beta_fast\": 32, \"beta_slow\": 1, \"factor\": 16,\n"
          "                   \"original_max_position_embeddings\": 65536, \"type\": \"yarn\"},\n"
          "  \"scoring_func\": \"sqrtsoftplus\",\n"
          "  \"topk_method\": \"noaux_tc\",\n"
          "  \"tie_word_embeddings\": false,\n"
          "  \"torch_dtype\": \"bfloat16\",\n"
          "  \"transformers_version\": \"4.57.1\",\n"
          "  \"use_cache\": true,\n",
          f);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        fprintf(f, "  \"%s\": %" PRIu32 ",\n", numbers[i].key, numbers[i].value);
    write_ratios(f, plan);
    fprintf(f, "  \"swiglu_limit\": %.1f,\n  \"routed_scaling_factor\": %.1f\n}\n", p->swiglu_limit, p->routed_scale);
}

void write_generation_config(FILE *f)
{
    fputs("{\n  \"bos_token_id\": 0,\n  \"eos_token_id\": 1,\n  \"do_sample\": true,\n"
          "  \"temperature\": 1.0,\n  \"top_p\": 1.0\n}\n",
          f);
}

void write_tokenizer_config(FILE *f)
{
    fputs("{\n  \"add_bos_token\": false,\n  \"add_eos_token\": false,\n"
          "  \"bos_token\": \"<｜begin▁of▁sentence｜>\",\n  \"eos_token\": \"<｜end▁of▁sentence｜>\",\n"
          "  \"model_max_length\": 1048576,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n",
          f);
}

void write_safetensors_header(FILE *f, const struct plan *plan, size_t first, size_t last)
{
    uint64_t offset = 0;
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", f);
    for (size_t i = first; i < last; i++) {
        const struct tensor *t = &plan->tensors[i];
        fprintf(f, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRIu64, t->name, t->dtype, t->shape[0]);
        if (t->n_dims == 2) fprintf(f, ",%" PRIu64, t->shape[1]);
        fprintf(f, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, offset + tensor_bytes(t));
        offset += tensor_bytes(t);
    }
    fputc('}', f);
    for (long at = ftell(f); at % 8; at++) fputc(' ', f); /* the data that follows is aligned */
}

void shard_name(char name[48], uint32_t shard, uint32_t n_shards)
{
    snprintf(name, 48, "model-%05" PRIu32 "-of-%05" PRIu32 ".safetensors", shard + 1, n_shards);
}

size_t shard_start(const struct plan *plan, uint32_t shard, uint32_t n_shards)
{
    return plan->n_tensors / n_shards * shard + (shard == n_shards ? plan->n_tensors % n_shards : 0);
}

void write_index(FILE *f, const struct plan *plan, uint32_t n_shards)
{
    char name[48];
    fprintf(f, "{\n \"metadata\": {\"total_size\": %" PRIu64 "},\n \"weight_map\": {\n", plan->bytes);
    for (uint32_t s = 0; s < n_shards; s++) {
        shard_name(name, s, n_shards);
        for (size_t i = shard_start(plan, s, n_shards); i < shard_start(plan, s + 1, n_shards); i++)
            fprintf(f, "  \"%s\": \"%s\"%s\n", plan->tensors[i].name, name, i + 1 < plan->n_tensors ? "," : "");
    }
    fputs(" }\n}\n", f);
}
