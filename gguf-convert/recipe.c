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
    PART_EXPERTS_DOWN,
    PART_DOWN,      /* of the shared expert */
    PART_MATRIX,    /* every other matrix: attention, compressors, indexer, hyper-connections */
    N_PARTS,
};

struct recipe {
    const char *name;
    uint32_t file_type; /* llama.cpp's number of it */
    enum ggl_type types[N_PARTS];
    enum ggl_type more; /* of the down matrices in the blocks that get more bits */
};

#define ALL(t) {[PART_FIXED] = GGL_TYPE_F32, [PART_EMBEDDING] = t, [PART_HEAD] = t, [PART_EXPERTS] = t, \
                [PART_EXPERTS_DOWN] = t, [PART_DOWN] = t, [PART_MATRIX] = t}

/* A recipe needs an encoder for each of its types, and for what they fall back to. */
static const struct recipe recipes[] = {
    {"MXFP4_MOE", 38,
     {[PART_FIXED] = GGL_TYPE_F32, [PART_EMBEDDING] = GGL_TYPE_Q8_0, [PART_HEAD] = GGL_TYPE_Q8_0,
      [PART_EXPERTS] = GGL_TYPE_MXFP4, [PART_EXPERTS_DOWN] = GGL_TYPE_MXFP4, [PART_DOWN] = GGL_TYPE_Q8_0,
      [PART_MATRIX] = GGL_TYPE_Q8_0},
     GGL_TYPE_F32},
    {"Q8_0", 7, ALL(GGL_TYPE_Q8_0), GGL_TYPE_F32},
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
    return "MXFP4_MOE, Q8_0";
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
    if (strcmp(rest, "ffn_down_exps.weight") == 0) return PART_EXPERTS_DOWN;
    if (t->ne[2] > 1 || ends_with(rest, "_exps.weight")) return PART_EXPERTS;
    return strcmp(rest, "ffn_down_shexp.weight") == 0 ? PART_DOWN : PART_MATRIX;
}

/* What takes the place of a type whose blocks do not fill the rows. */
static enum ggl_type fallback(enum ggl_type type)
{
    switch (type) {
    case GGL_TYPE_Q2_K: case GGL_TYPE_Q3_K: return GGL_TYPE_Q4_0;
    case GGL_TYPE_Q4_K: return GGL_TYPE_Q5_0;
    case GGL_TYPE_Q5_K: return GGL_TYPE_Q5_1;
    case GGL_TYPE_Q6_K: return GGL_TYPE_Q8_0;
    case GGL_TYPE_IQ4_XS: return GGL_TYPE_IQ4_NL;
    default: return GGL_TYPE_F16;
    }
}

/* The first and last eighth of the blocks, and every third between. */
static bool has_more_bits(int64_t block, int64_t n)
{
    return block < n / 8 || block >= 7 * n / 8 || (block - n / 8) % 3 == 2;
}

enum ggl_type recipe_type(const struct recipe *r, const struct ggl_tensor *t, uint32_t n_blocks)
{
    const char *rest;
    int64_t block = split_block(t->name, &rest);
    enum part part = part_of(t, rest);
    enum ggl_type type = r->types[part];
    if (t->type == GGL_TYPE_I64 || t->type == GGL_TYPE_I32) return GGL_TYPE_I32;
    if ((part == PART_DOWN || part == PART_EXPERTS_DOWN) && r->more != GGL_TYPE_F32 && has_more_bits(block, n_blocks)) {
        type = r->more;
    }
    while (t->ne[0] % ggl_type_info((uint32_t)type)->block_elems) type = fallback(type);
    return type;
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
    if (!s && ff && !ggl_gguf_find_kv(to, ARCH ".feed_forward_length")) { /* quantisers expect it beside the other */
        s = ggl_gguf_set_kv(to, ARCH ".feed_forward_length", ff);
    }
    if (!s) s = ggl_gguf_set_str(to, "general.architecture", ARCH);
    if (!s) s = ggl_gguf_set_u32(to, "general.quantization_version", 2);
    if (!s) s = ggl_gguf_set_u32(to, "general.file_type", r->file_type);
    return s;
}
