/*
 * The presets and the tensor list: names, types and shapes of the published checkpoints, with the scaling that
 * keeps a random model from degenerating: the router chooses, the index drops rows, the clamp is hit.
 */
#include "ggl-make-model/plan.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "quant/quant.h"

const struct preset presets[] = {
    {.name = "micro", .summary = "3 layers whose rows are all a multiple of 256",
     .hidden = 256, .layers = 3, .heads = 4, .head_dim = 128, .q_lora = 256, .o_groups = 2, .o_lora = 128,
     .window = 32, .first_ratio = 0, .index_heads = 32, .index_top_k = 16, .experts = 8, .experts_per_token = 2,
     .inter = 256, .hash_layers = 1, .mtp_layers = 1, .swiglu_limit = 1.5, .routed_scale = 1.5},
    {.name = "tiny", .summary = "5 layers with every mechanism of Flash",
     .hidden = 256, .layers = 5, .heads = 4, .head_dim = 192, .q_lora = 128, .o_groups = 2, .o_lora = 128,
     .window = 32, .first_ratio = 0, .index_heads = 32, .index_top_k = 16, .experts = 16, .experts_per_token = 4,
     .inter = 128, .hash_layers = 2, .mtp_layers = 1, .swiglu_limit = 1.5, .routed_scale = 1.5},
    {.name = "tiny-pro", .summary = "4 layers in the order of Pro",
     .hidden = 384, .layers = 4, .heads = 8, .head_dim = 192, .q_lora = 256, .o_groups = 4, .o_lora = 128,
     .window = 32, .first_ratio = 128, .index_heads = 32, .index_top_k = 24, .experts = 24, .experts_per_token = 6,
     .inter = 128, .hash_layers = 1, .mtp_layers = 1, .swiglu_limit = 1.5, .routed_scale = 2.5},
    {.name = "flash-slice", .summary = "4 layers and 64 experts in the real shapes of Flash",
     .hidden = 4096, .layers = 4, .heads = 64, .head_dim = 512, .q_lora = 1024, .o_groups = 8, .o_lora = 1024,
     .window = 128, .first_ratio = 0, .index_heads = 64, .index_top_k = 512, .experts = 64, .experts_per_token = 6,
     .inter = 2048, .hash_layers = 1, .vocab = 129280, .swiglu_limit = 10, .routed_scale = 1.5},
    {.name = "pro-slice", .summary = "4 layers and 32 experts in the real shapes of Pro",
     .hidden = 7168, .layers = 4, .heads = 128, .head_dim = 512, .q_lora = 1536, .o_groups = 16, .o_lora = 1024,
     .window = 128, .first_ratio = 128, .index_heads = 64, .index_top_k = 1024, .experts = 32,
     .experts_per_token = 6, .inter = 3072, .hash_layers = 1, .vocab = 129280, .swiglu_limit = 10,
     .routed_scale = 2.5},
    {0}};

const struct preset *preset_find(const char *name)
{
    for (const struct preset *p = presets; p->name; p++)
        if (strcmp(p->name, name) == 0) return p;
    return NULL;
}

/* Flash: 0 4 128 4 128 ...; Pro: 128 128 4 128 4 ...; the multi-token-prediction block has no compressor. */
uint32_t plan_ratio(const struct plan *plan, uint32_t layer)
{
    if (layer >= plan->p.layers) return 0;
    if (layer == 0) return plan->p.first_ratio;
    return layer % 2 == (plan->p.first_ratio ? 0 : 1) ? 4 : 128;
}

/* ---- adding tensors */

static struct tensor *add(struct plan *plan, const char *dtype, enum fill fill, uint32_t n_dims, uint64_t n,
                          uint64_t k, uint64_t row_bytes, const char *name)
{
    if (plan->failed) return NULL;
    if (plan->n_tensors == plan->cap) {
        size_t cap = plan->cap ? 2 * plan->cap : 1024;
        struct tensor *grown = realloc(plan->tensors, cap * sizeof(*grown));
        if (!grown) {
            plan->failed = true;
            return NULL;
        }
        plan->tensors = grown;
        plan->cap = cap;
    }
    struct tensor *t = &plan->tensors[plan->n_tensors++];
    *t = (struct tensor){.dtype = dtype, .fill = fill, .n_dims = n_dims, .shape = {n, k}, .columns = k,
                         .rows = n_dims == 1 ? 1 : n, .row_bytes = row_bytes,
                         .key = random_key(plan->seed, name)};
    if (n_dims == 1) t->columns = n;
    snprintf(t->name, sizeof(t->name), "%s", name);
    plan->bytes += tensor_bytes(t);
    return t;
}

/* The pool for a standard deviation; there are as many as there are row lengths and gains. */
static const struct pool *find_pool(struct plan *plan, float std)
{
    for (uint32_t i = 0; i < plan->n_pools; i++)
        if (plan->pools[i]->std == std) return plan->pools[i];
    struct pool *p = plan->n_pools < MAX_POOLS ? malloc(sizeof(*p)) : NULL;
    if (!p) {
        plan->failed = true;
        return NULL;
    }
    pool_fill(p, plan->seed, std);
    plan->pools[plan->n_pools++] = p;
    return p;
}

/* Rows of k inputs keep the size of what they multiply. */
static float unit_gain(uint64_t k)
{
    return 1.0f / sqrtf((float)k);
}

/* prefix + name; no name reaches the size of the buffer, and one that did would stand out as empty. */
static const char *join(char buf[64], const char *prefix, const char *name)
{
    if (snprintf(buf, 64, "%s%s", prefix, name) >= 64) buf[0] = '\0';
    return buf;
}

static void set_normal(struct tensor *t, float mean, float std)
{
    if (!t) return;
    t->mean = mean;
    t->std = std;
}

static void add_norm(struct plan *plan, const char *prefix, const char *name, uint64_t n)
{
    char buf[64];
    set_normal(add(plan, "BF16", FILL_BF16, 1, n, 0, 2 * n, join(buf, prefix, name)), 1, 0.1f);
}

static void add_bf16(struct plan *plan, const char *prefix, const char *name, uint64_t n, uint64_t k, float std)
{
    char buf[64];
    set_normal(add(plan, "BF16", FILL_BF16, 2, n, k, 2 * k, join(buf, prefix, name)), 0, std);
}

static void add_f32(struct plan *plan, const char *prefix, const char *name, uint64_t n, uint64_t k, float std)
{
    char buf[64];
    uint32_t n_dims = k ? 2 : 1;
    set_normal(add(plan, "F32", FILL_F32, n_dims, n, k, 4 * (k ? k : n), join(buf, prefix, name)), 0, std);
}

static void add_f32_scale(struct plan *plan, const char *prefix, const char *name, uint64_t n)
{
    char buf[64];
    set_normal(add(plan, "F32", FILL_F32_ABOVE, 1, n, 0, 4 * n, join(buf, prefix, name)), 0.5f, 0.5f);
}

/* NAME.weight and NAME.scale; both draw from the stream called NAME. */
static void add_pair(struct plan *plan, const char *base, bool fp8, uint64_t n, uint64_t k, float gain)
{
    char name[64];
    const struct pool *pool = find_pool(plan, gain * unit_gain(k));
    uint64_t key = random_key(plan->seed, base), tiles = (k + FP8_TILE - 1) / FP8_TILE;
    join(name, base, ".weight");
    struct tensor *t = fp8 ? add(plan, "F8_E4M3", FILL_FP8_CODES, 2, n, k, k, name)
                           : add(plan, "I8", FILL_FP4_CODES, 2, n, k / 2, k / 2, name);
    if (!t) return;
    t->pool = pool;
    t->key = key;
    t->columns = k;
    join(name, base, ".scale");
    t = fp8 ? add(plan, "F8_E8M0", FILL_FP8_SCALES, 2, (n + FP8_TILE - 1) / FP8_TILE, tiles, tiles, name)
            : add(plan, "F8_E8M0", FILL_FP4_SCALES, 2, n, k / 32, k / 32, name);
    if (!t) return;
    t->pool = pool;
    t->key = key;
    t->columns = k;
}

static void add_fp8(struct plan *plan, const char *prefix, const char *name, uint64_t n, uint64_t k, float gain)
{
    char base[64];
    add_pair(plan, join(base, prefix, name), true, n, k, gain);
}

/* ---- the model */

static void add_compressor(struct plan *plan, const char *prefix, uint32_t ratio, uint64_t dim)
{
    uint64_t width = ratio == 4 ? 2 * dim : dim, d = plan->p.hidden; /* ratio 4: two overlapping windows */
    add_f32(plan, prefix, "ape", ratio, width, 0.5f);
    add_bf16(plan, prefix, "wkv.weight", width, d, unit_gain(d));
    add_bf16(plan, prefix, "wgate.weight", width, d, unit_gain(d));
    add_norm(plan, prefix, "norm.weight", dim);
}

static void add_attention(struct plan *plan, const char *block, uint32_t ratio)
{
    const struct preset *p = &plan->p;
    char a[64], sub[64];
    uint64_t d = p->hidden, q = (uint64_t)p->heads * p->head_dim, o = (uint64_t)p->o_groups * p->o_lora;
    join(a, block, "attn.");
    add_f32(plan, a, "attn_sink", p->heads, 0, 1);
    add_fp8(plan, a, "wq_a", p->q_lora, d, 1);
    add_norm(plan, a, "q_norm.weight", p->q_lora);
    add_fp8(plan, a, "wq_b", q, p->q_lora, 1);
    add_fp8(plan, a, "wkv", p->head_dim, d, 1);
    add_norm(plan, a, "kv_norm.weight", p->head_dim);
    add_fp8(plan, a, "wo_a", o, q / p->o_groups, 1);
    add_fp8(plan, a, "wo_b", d, o, 1);
    if (ratio == 4) {
        add_fp8(plan, a, "indexer.wq_b", (uint64_t)p->index_heads * INDEX_DIM, p->q_lora, 1);
        add_bf16(plan, a, "indexer.weights_proj.weight", p->index_heads, d, unit_gain(d));
    }
    if (ratio) add_compressor(plan, join(sub, a, "compressor."), ratio, p->head_dim);
    if (ratio == 4) add_compressor(plan, join(sub, a, "indexer.compressor."), ratio, INDEX_DIM);
}

static void add_hyper_connection(struct plan *plan, const char *prefix, uint64_t outputs, uint64_t scales)
{
    uint64_t width = (uint64_t)HC * plan->p.hidden;
    add_f32(plan, prefix, "_fn", outputs, width, unit_gain(width));
    add_f32(plan, prefix, "_base", outputs, 0, 1);
    add_f32_scale(plan, prefix, "_scale", scales);
}

static void add_experts(struct plan *plan, const char *block, uint32_t layer)
{
    const struct preset *p = &plan->p;
    uint64_t d = p->hidden, inter = p->inter;
    char f[64], base[64];
    join(f, block, "ffn.");
    add_bf16(plan, f, "gate.weight", p->experts, d, unit_gain(d));
    if (layer < p->hash_layers) {
        uint64_t k = p->experts_per_token;
        struct tensor *t = add(plan, "I64", FILL_EXPERT_IDS, 2, p->vocab, k, 8 * k, join(base, f, "gate.tid2eid"));
        if (t) t->n_experts = p->experts;
    } else {
        add_f32(plan, f, "gate.bias", p->experts, 0, 0.1f);
    }
    for (uint32_t e = 0; e <= p->experts; e++) {
        bool shared = e == p->experts; /* the shared expert follows the routed ones, in FP8 */
        for (int m = 1; m <= 3; m++) {
            if (shared)
                snprintf(base, sizeof(base), "%.40sshared_experts.w%d", f, m);
            else
                snprintf(base, sizeof(base), "%.32sexperts.%u.w%d", f, (unsigned)e, m);
            add_pair(plan, base, shared, m == 2 ? d : inter, m == 2 ? inter : d, m == 2 ? 2.0f : 1.0f);
        }
    }
}

static void add_block(struct plan *plan, const char *block, uint32_t layer)
{
    char sub[64];
    uint64_t d = plan->p.hidden;
    add_attention(plan, block, plan_ratio(plan, layer));
    add_norm(plan, block, "attn_norm.weight", d);
    add_norm(plan, block, "ffn_norm.weight", d);
    add_hyper_connection(plan, join(sub, block, "hc_attn"), (2 + HC) * HC, 3);
    add_hyper_connection(plan, join(sub, block, "hc_ffn"), (2 + HC) * HC, 3);
    add_experts(plan, block, layer);
}

static void add_head(struct plan *plan, const char *prefix)
{
    char sub[64];
    add_hyper_connection(plan, join(sub, prefix, "hc_head"), HC, 1);
    add_norm(plan, prefix, "norm.weight", plan->p.hidden);
}

bool plan_build(struct plan *plan, const struct preset *preset, uint32_t layers, uint32_t experts, uint64_t seed)
{
    char block[64];
    *plan = (struct plan){.p = *preset, .seed = seed};
    plan->p.layers = layers;
    plan->p.experts = experts;
    if (plan->p.hash_layers > layers) plan->p.hash_layers = layers;
    if (!plan->p.vocab) plan->p.vocab = (TOKENIZER_IDS + 31) / 32 * 32;
    uint64_t d = preset->hidden;

    add_bf16(plan, "", "embed.weight", plan->p.vocab, d, 1);
    for (uint32_t i = 0; i < layers; i++) {
        snprintf(block, sizeof(block), "layers.%u.", (unsigned)i);
        add_block(plan, block, i);
    }
    add_head(plan, "");
    add_bf16(plan, "", "head.weight", plan->p.vocab, d, 3 * unit_gain(d));
    for (uint32_t i = 0; i < preset->mtp_layers; i++) {
        snprintf(block, sizeof(block), "mtp.%u.", (unsigned)i);
        add_block(plan, block, layers + i);
        add_fp8(plan, block, "e_proj", d, d, 1);
        add_fp8(plan, block, "h_proj", d, d, 1);
        add_norm(plan, block, "enorm.weight", d);
        add_norm(plan, block, "hnorm.weight", d);
        add_head(plan, block);
    }
    return !plan->failed;
}

void plan_free(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_pools; i++) free(plan->pools[i]);
    free(plan->tensors);
    *plan = (struct plan){0};
}

/* ---- contents */

static void store_le(uint8_t *out, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) out[i] = (uint8_t)(v >> (8 * i));
}

static void store_f32(uint8_t *out, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    store_le(out, bits, 4);
}

/* Distinct experts for one token. */
static void expert_ids_row(const struct tensor *t, uint64_t row, uint8_t *out)
{
    uint64_t ids[16], k = t->columns, tries = 0;
    for (uint64_t i = 0; i < k; i++) {
        uint64_t j;
        do {
            ids[i] = random_bits(t->key, row << 20 | tries++) % t->n_experts;
            for (j = 0; j < i && ids[j] != ids[i]; j++) {}
        } while (j < i);
        store_le(out + 8 * i, ids[i], 8);
    }
}

static void one_row(const struct tensor *t, uint64_t row, uint8_t *out)
{
    uint64_t n = t->columns;
    switch (t->fill) {
    case FILL_BF16:
        for (uint64_t i = 0; i < n; i++)
            store_le(out + 2 * i, ggl_bf16_from_f32(t->mean + t->std * random_normal(random_bits(t->key, row * n + i))), 2);
        break;
    case FILL_F32:
        for (uint64_t i = 0; i < n; i++)
            store_f32(out + 4 * i, t->mean + t->std * random_normal(random_bits(t->key, row * n + i)));
        break;
    case FILL_F32_ABOVE:
        for (uint64_t i = 0; i < n; i++)
            store_f32(out + 4 * i, t->mean + fabsf(t->std * random_normal(random_bits(t->key, row * n + i))));
        break;
    case FILL_EXPERT_IDS: expert_ids_row(t, row, out); break;
    case FILL_FP8_CODES: fp8_codes_row(t->pool, t->key, row, n, out); break;
    case FILL_FP8_SCALES: fp8_scales_row(t->pool, t->key, row, n, out); break;
    case FILL_FP4_CODES: fp4_codes_row(t->pool, t->key, row, n, out); break;
    case FILL_FP4_SCALES: fp4_scales_row(t->pool, t->key, row, n, out); break;
    }
}

void tensor_rows(const struct tensor *t, uint64_t row, uint64_t n, uint8_t *out)
{
    for (uint64_t i = 0; i < n; i++) one_row(t, row + i, out + i * t->row_bytes);
}
