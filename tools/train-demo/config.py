"""The demo model's sizes, under the keys of the official config.json."""

DEMO = dict(
    architectures=["DeepseekV4ForCausalLM"], model_type="deepseek_v4", attention_bias=False, attention_dropout=0.0,
    bos_token_id=0, eos_token_id=1, hc_eps=1e-6, hc_mult=4, hc_sinkhorn_iters=20, hidden_act="silu",
    initializer_range=0.02, max_position_embeddings=65536, n_shared_experts=1, norm_topk_prob=True,
    num_key_value_heads=1, num_nextn_predict_layers=1, rms_norm_eps=1e-6, expert_dtype="fp4",
    quantization_config=dict(activation_scheme="dynamic", fmt="e4m3", quant_method="fp8", scale_fmt="ue8m0",
                             weight_block_size=[128, 128]),
    rope_scaling=dict(beta_fast=32, beta_slow=1, factor=16, original_max_position_embeddings=65536, type="yarn"),
    rope_theta=10000, compress_rope_theta=160000, scoring_func="sqrtsoftplus", topk_method="noaux_tc",
    tie_word_embeddings=False, torch_dtype="bfloat16", transformers_version="4.57.1", use_cache=True,
    hidden_size=256, num_hidden_layers=6, compress_ratios=[0, 4, 128, 4, 128, 4, 0],
    num_attention_heads=4, head_dim=128, qk_rope_head_dim=64, q_lora_rank=128, o_groups=2, o_lora_rank=64,
    sliding_window=64, index_n_heads=4, index_head_dim=64, index_topk=32,
    n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=128, num_hash_layers=1,
    vocab_size=1536, swiglu_limit=10.0, routed_scaling_factor=1.5)


def sized(**changes):
    return {**DEMO, **changes}
