/*
 * What a checkpoint holds: its hyper-parameters, its tensors in file order, and its JSON files.
 *
 *     struct plan plan;
 *     plan_build(&plan, preset_find("tiny"), layers, experts, seed)   // false: out of memory
 *     tensor_rows(&plan.tensors[i], row, n, buffer);                  // any rows, any order, any thread
 */
#ifndef MAKE_MODEL_PLAN_H
#define MAKE_MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "ggl-make-model/random.h"

struct preset {
    const char *name, *summary;
    uint32_t hidden, layers, heads, head_dim, q_lora, o_groups, o_lora, window;
    uint32_t first_ratio; /* compress ratio of layer 0; pro-like presets have it twice */
    uint32_t index_heads, index_top_k, experts, experts_per_token, inter, hash_layers, mtp_layers;
    uint32_t vocab;       /* 0: what the tokenizer needs */
    double swiglu_limit, routed_scale;
};
extern const struct preset presets[]; /* ends with a NULL name */
const struct preset *preset_find(const char *name); /* NULL: there is none */

/* The same for every preset, as in the published models. */
enum { ROPE_DIM = 64, INDEX_DIM = 128, HC = 4, MAX_LAYERS = 1000, MAX_EXPERTS = 4096 };

enum fill {
    FILL_BF16,       /* mean + std * normal */
    FILL_F32,        /* mean + std * normal */
    FILL_F32_ABOVE,  /* mean + |std * normal| */
    FILL_EXPERT_IDS, /* I64: distinct experts a row */
    FILL_FP8_CODES,
    FILL_FP8_SCALES,
    FILL_FP4_CODES,
    FILL_FP4_SCALES,
};

struct tensor {
    char name[64];
    const char *dtype; /* as safetensors spells it */
    enum fill fill;
    uint32_t n_dims;
    uint64_t shape[2]; /* as stored: packed FP4 has half the columns */
    uint64_t columns;  /* elements of a row of the weight that this belongs to */
    uint64_t rows, row_bytes;
    float mean, std;
    const struct pool *pool;
    uint64_t key;
    uint32_t n_experts;
};

enum { MAX_POOLS = 8 };

struct plan {
    struct preset p; /* with the layers, experts and vocabulary that were chosen */
    uint64_t seed;
    struct tensor *tensors;
    size_t n_tensors, cap;
    uint64_t bytes;
    struct pool *pools[MAX_POOLS];
    uint32_t n_pools;
    bool failed;
};

bool plan_build(struct plan *plan, const struct preset *preset, uint32_t layers, uint32_t experts, uint64_t seed);
void plan_free(struct plan *plan);
uint32_t plan_ratio(const struct plan *plan, uint32_t layer);

static inline uint64_t tensor_bytes(const struct tensor *t)
{
    return t->rows * t->row_bytes;
}
void tensor_rows(const struct tensor *t, uint64_t row, uint64_t n, uint8_t *out);

/* ---- text files */
void write_config(FILE *f, const struct plan *plan);
void write_generation_config(FILE *f);
void write_tokenizer_config(FILE *f);
/* The header of a safetensors file that holds tensors [first, last), without its length. */
void write_safetensors_header(FILE *f, const struct plan *plan, size_t first, size_t last);
void shard_name(char name[48], uint32_t shard, uint32_t n_shards);
/* Shard i holds tensors [shard_start(i), shard_start(i + 1)). */
size_t shard_start(const struct plan *plan, uint32_t shard, uint32_t n_shards);
void write_index(FILE *f, const struct plan *plan, uint32_t n_shards);

/* tokenizer.json, and how many ids it needs. */
extern const unsigned char embedded_tokenizer[];
extern const size_t embedded_tokenizer_size;
enum { TOKENIZER_IDS = 4017 };

#endif
