/*
 * The recipes as a table: a row for each file type, a column for each part that a tensor plays.  The parts are those
 * that llama.cpp tells apart in a DeepSeek V4 file, found from names and shapes.
 */
#include "gguf-convert/recipe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ARCH "deepseek4"

enum part {
    PART_FIXED,     /* whatever the recipe: vectors, norms, the router, expert ids */
    PART_EMBEDDING, /* token_embd */
    PART_HEAD,      /* output */
    PART_EXPERTS,   /* gate and up of the routed experts */
    PART_DOWN,      /* down of the routed and of the shared experts */
    PART_MATRIX,    /* every other matrix: attention, compressors, indexer, hyper-connections */
    N_PARTS,
};

/* Blocks whose down matrices get another type. */
enum rule {
    RULE_NONE,
    RULE_MORE_BITS,          /* the first and last eighth, and every third between */
    RULE_EIGHTH,             /* the first eighth */
    RULE_EIGHTH_PLAIN,       /* the same without an importance matrix, */
    RULE_EIGHTH_IMATRIX,     /* and only with one */
    RULE_SIXTEENTH,
};

struct recipe {
    const char *name;
    uint32_t file_type; /* llama.cpp's number of it */
    bool lossless;      /* types are not looked at */
    enum ggl_type types[N_PARTS];
    enum rule rule;
    enum ggl_type by_rule;
};

#define TYPES(embedding, head, experts, down, matrix) \
    {[PART_FIXED] = GGL_TYPE_F32, [PART_EMBEDDING] = GGL_TYPE_##embedding, [PART_HEAD] = GGL_TYPE_##head, \
     [PART_EXPERTS] = GGL_TYPE_##experts, [PART_DOWN] = GGL_TYPE_##down, [PART_MATRIX] = GGL_TYPE_##matrix}

static const struct recipe recipes[] = {
    {"compat", 38, true, TYPES(F32, F32, F32, F32, F32), RULE_NONE, GGL_TYPE_F32},
    {"MXFP4_MOE", 38, false, TYPES(Q8_0, Q8_0, MXFP4, Q8_0, Q8_0), RULE_NONE, GGL_TYPE_F32},
    {"Q8_0", 7, false, TYPES(Q8_0, Q8_0, Q8_0, Q8_0, Q8_0), RULE_NONE, GGL_TYPE_F32},
    {"Q6_K", 18, false, TYPES(Q6_K, Q6_K, Q6_K, Q6_K, Q6_K), RULE_NONE, GGL_TYPE_F32},
    {"Q5_K_M", 17, false, TYPES(Q5_K, Q6_K, Q5_K, Q5_K, Q5_K), RULE_MORE_BITS, GGL_TYPE_Q6_K},
    {"Q4_K_M", 15, false, TYPES(Q4_K, Q6_K, Q4_K, Q4_K, Q4_K), RULE_MORE_BITS, GGL_TYPE_Q6_K},
    {"Q4_0", 2, false, TYPES(Q4_0, Q6_K, Q4_0, Q4_0, Q4_0), RULE_EIGHTH_IMATRIX, GGL_TYPE_Q4_1},
    {"IQ4_XS", 30, false, TYPES(IQ4_XS, Q6_K, IQ4_XS, IQ4_XS, IQ4_XS), RULE_EIGHTH_PLAIN, GGL_TYPE_Q5_K},
    {"IQ4_NL", 25, false, TYPES(IQ4_NL, Q6_K, IQ4_NL, IQ4_NL, IQ4_NL), RULE_EIGHTH_PLAIN, GGL_TYPE_Q5_K},
    {"Q3_K_M", 12, false, TYPES(Q3_K, Q6_K, Q3_K, Q4_K, Q3_K), RULE_SIXTEENTH, GGL_TYPE_Q5_K},
    {"Q2_K", 10, false, TYPES(Q2_K, Q6_K, Q2_K, Q3_K, Q2_K), RULE_NONE, GGL_TYPE_F32},
    {"IQ2_XXS", 19, false, TYPES(Q2_K, Q5_K, IQ2_XXS, IQ2_XXS, IQ2_XXS), RULE_EIGHTH, GGL_TYPE_Q2_K},
};
#define N_RECIPES (sizeof(recipes) / sizeof(recipes[0]))

const struct recipe *recipe_find(const char *name)
{
    for (size_t i = 0; i < N_RECIPES; i++)
        if (strcasecmp(name, recipes[i].name) == 0) return &recipes[i];
    return NULL;
}

const char *recipe_name(const struct recipe *r)
{
    return r->name;
}

const char *recipe_list(void)
{
    return "compat, MXFP4_MOE, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, IQ4_XS, IQ4_NL, Q3_K_M, Q2_K, IQ2_XXS";
}

bool recipe_is_lossless(const struct recipe *r)
{
    return r && r->lossless;
}

/* ---- types */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* "blk.<n>." -> n and what follows; others: -1 and the name. */
static int64_t split_block(const char *name, const char **rest)
{
    int64_t n = 0;
    const char *p = name + 4;
    *rest = name;
    if (strncmp(name, "blk.", 4) != 0) return -1;
    for (; *p >= '0' && *p <= '9' && n < 1000000; p++) n = n * 10 + (*p - '0');
    if (p == name + 4 || *p != '.') return -1;
    *rest = p + 1;
    return n;
}

static enum part part_of(const struct ggl_tensor *t, const char *rest)
{
    bool matrix = t->ne[1] > 1 || t->ne[2] > 1 || t->n_dims > 1;
    if (!matrix || !ends_with(rest, "weight") || ends_with(rest, "_norm.weight")) return PART_FIXED;
    if (strcmp(rest, "ffn_gate_inp.weight") == 0 || strcmp(rest, "ffn_gate_tid2eid.weight") == 0) return PART_FIXED;
    if (strcmp(rest, "token_embd.weight") == 0) return PART_EMBEDDING;
    if (strcmp(rest, "output.weight") == 0) return PART_HEAD;
    if (strcmp(rest, "ffn_down_exps.weight") == 0 || strcmp(rest, "ffn_down_shexp.weight") == 0) return PART_DOWN;
    return t->ne[2] > 1 || ends_with(rest, "_exps.weight") ? PART_EXPERTS : PART_MATRIX;
}

/* What takes the place of a type whose blocks do not fill the rows. */
static enum ggl_type fallback(enum ggl_type type)
{
    switch (type) {
    case GGL_TYPE_Q2_K: case GGL_TYPE_Q3_K: return GGL_TYPE_Q4_0;
    case GGL_TYPE_Q4_K: return GGL_TYPE_Q5_0;
    case GGL_TYPE_Q5_K: return GGL_TYPE_Q5_1;
    case GGL_TYPE_Q6_K: return GGL_TYPE_Q8_0;
    case GGL_TYPE_IQ4_XS: case GGL_TYPE_IQ2_XXS: return GGL_TYPE_IQ4_NL;
    default: return GGL_TYPE_F16;
    }
}

/* The first and last eighth of the blocks, and every third between. */
static bool has_more_bits(int64_t block, int64_t n)
{
    return block < n / 8 || block >= 7 * n / 8 || (block - n / 8) % 3 == 2;
}

static bool rule_applies(enum rule rule, int64_t block, int64_t n, bool has_imatrix)
{
    switch (rule) {
    case RULE_MORE_BITS: return has_more_bits(block, n);
    case RULE_EIGHTH: return block < n / 8;
    case RULE_EIGHTH_PLAIN: return block < n / 8 && !has_imatrix;
    case RULE_EIGHTH_IMATRIX: return block < n / 8 && has_imatrix;
    case RULE_SIXTEENTH: return block < n / 16;
    default: return false;
    }
}

/* What llama.cpp's converter gives a tensor: the smallest of its types that holds every value. */
static enum ggl_type lossless_type(const struct ggl_tensor *t, enum part part)
{
    bool matrix = t->ne[1] > 1 || t->n_dims > 1;
    if (t->type == GGL_TYPE_FP4 || t->type == GGL_TYPE_MXFP4) return GGL_TYPE_MXFP4;
    if (t->type == GGL_TYPE_FP8) return GGL_TYPE_BF16; /* plan.c asks whether its scales allow that */
    if (part != PART_FIXED || (matrix && strstr(t->name, "ffn_gate_inp."))) return t->type;
    return GGL_TYPE_F32;
}

enum ggl_type recipe_type(const struct recipe *r, const struct ggl_tensor *t, uint32_t n_blocks, bool has_imatrix)
{
    const char *rest;
    int64_t block = split_block(t->name, &rest);
    enum part part = part_of(t, rest);
    if (t->type == GGL_TYPE_I64 || t->type == GGL_TYPE_I32) return GGL_TYPE_I32;
    if (r->lossless) return lossless_type(t, part);
    enum ggl_type type = r->types[part];
    /* Only the recipe of that name leaves experts as they are; its shared ones are matrices like others. */
    if (part == PART_DOWN && r->types[PART_EXPERTS] == GGL_TYPE_MXFP4 && strstr(rest, "_exps.")) type = GGL_TYPE_MXFP4;
    /* Positions of compressors are added, not multiplied with: no text tells how important they are. */
    if (part == PART_MATRIX && strstr(rest, "_ape.") && ggl_encode_needs_weights(type)) type = GGL_TYPE_Q2_K;
    if (part == PART_DOWN && block >= 0 && rule_applies(r->rule, block, n_blocks, has_imatrix)) type = r->by_rule;
    while (t->ne[0] % ggl_type_info((uint32_t)type)->block_elems) type = fallback(type);
    return type;
}

const char *recipe_fixed(const struct ggl_tensor *t, enum ggl_type type)
{
    const char *rest;
    split_block(t->name, &rest);
    if (t->type == GGL_TYPE_I64 || t->type == GGL_TYPE_I32) return type == GGL_TYPE_I32 ? NULL : "I32, which expert ids are";
    bool plain = type == GGL_TYPE_F32 || type == GGL_TYPE_F16 || type == GGL_TYPE_BF16;
    if (strcmp(rest, "ffn_gate_inp.weight") == 0) return plain ? NULL : "F32, F16 or BF16 for a router";
    if (part_of(t, rest) != PART_FIXED) return NULL;
    return type == GGL_TYPE_F32 ? NULL : "F32 for vectors and norms";
}

bool recipe_may_round(enum ggl_type source)
{
    switch (source) {
    case GGL_TYPE_F32: case GGL_TYPE_F16: case GGL_TYPE_BF16: case GGL_TYPE_FP8: case GGL_TYPE_FP4: case GGL_TYPE_MXFP4:
        return true;
    default: return false;
    }
}

int recipe_compare(const char *a, const char *b)
{
    const char *rest_a, *rest_b;
    int64_t block_a = split_block(a, &rest_a), block_b = split_block(b, &rest_b);
    if (block_a != block_b) return block_a < block_b ? -1 : 1;
    return strcmp(rest_a, rest_b);
}

/* ---- keys */

/* Storage is the writer's business; no file of theirs without prediction blocks counts them. */
static bool is_dropped(const struct ggl_gguf *from, const char *key)
{
    uint32_t n;
    if (strncmp(key, "ggl.storage.", 12) == 0) return true;
    return ends_with(key, ".nextn_predict_layers") && ggl_gguf_get_u32(from, key, 0, 0, &n, NULL) == GGL_OK;
}

enum ggl_status recipe_keys(const struct recipe *r, const struct ggl_gguf *from, struct ggl_gguf *to)
{
    static const char native[] = ARCH "-native.";
    const size_t n = sizeof(native) - 1;
    enum ggl_status s = GGL_OK;
    for (uint64_t i = 0; i < ggl_gguf_n_kv(from) && !s; i++) {
        const struct ggl_kv *kv = ggl_gguf_kv(from, i);
        char key[160];
        if (is_dropped(from, kv->key)) continue;
        if (strncmp(kv->key, native, n) == 0 && strlen(kv->key) < sizeof(key)) {
            snprintf(key, sizeof(key), ARCH ".%s", kv->key + n);
            s = ggl_gguf_set_kv(to, key, kv);
        } else {
            s = ggl_gguf_set_kv(to, kv->key, kv);
        }
    }
    const struct ggl_kv *ff = ggl_gguf_find_kv(to, ARCH ".expert_feed_forward_length");
    if (!s && !r->lossless && ff && !ggl_gguf_find_kv(to, ARCH ".feed_forward_length")) { /* quantisers expect it beside the other */
        s = ggl_gguf_set_kv(to, ARCH ".feed_forward_length", ff);
    }
    if (!s) s = ggl_gguf_set_str(to, "general.architecture", ARCH);
    if (!s) s = ggl_gguf_set_u32(to, "general.quantization_version", 2);
    if (!s) s = ggl_gguf_set_u32(to, "general.file_type", r->file_type);
    return s;
}
