/*
 * What the output will be: keys, tensors in order, and for each tensor the source of its bytes.
 *
 * A checkpoint directory becomes a `native` file: FP8 as I8 carriers X.weight and X.scale that ggl.storage.* declares,
 * FP4 experts as MXFP4, expert ids as I32, everything else as it is.  A GGUF file keeps its architecture and types.
 * With native-int4 the matrices of int4_names become INT4, three tensors each, whichever of the two they come from.
 * With a recipe (recipe.c) every tensor gets the type that the recipe says, in llama.cpp's order and under its keys.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gguf-convert/convert.h"
#include "gguf-convert/dialect.h"
#include "gguf-convert/overrides.h"
#include "gguf-convert/recipe.h"

struct planner {
    struct plan *p;
    struct ggl_error *err;
    const char *input;
    struct ggl_str *names, *kinds; /* ggl.storage.* */
    uint64_t n_carriers;
    bool int4;
    const struct recipe *recipe; /* or NULL */
    struct overrides *overrides; /* or NULL */
    const struct imatrix *imatrix; /* or NULL */
    const char *imatrix_path;
};

static enum ggl_status no_memory(const struct planner *b)
{
    return ggl_fail(b->err, GGL_ERR_NOMEM, b->input, GGL_NO_OFFSET, NULL, NULL, "conversion plan");
}

static uint64_t n_sources(const struct plan *p)
{
    return p->checkpoint ? ggl_checkpoint_n_tensors(p->checkpoint) : ggl_gguf_n_tensors(p->gguf);
}

static const struct ggl_tensor *source(const struct plan *p, uint64_t i)
{
    return p->checkpoint ? ggl_checkpoint_tensor(p->checkpoint, i) : ggl_gguf_tensor(p->gguf, i);
}

/* ---- multi-token prediction */

/* N of "blk.N.", or -1. */
static int64_t block_of(const char *name)
{
    int64_t n = 0;
    const char *p = name + 4;
    if (strncmp(name, "blk.", 4) != 0) return -1;
    for (; *p >= '0' && *p <= '9' && n < 1000000; p++) n = n * 10 + (*p - '0');
    return *p == '.' ? n : -1;
}

/* Blocks before the first one that has nextn tensors; UINT32_MAX: there is none. */
static uint32_t count_main_blocks(const struct plan *p)
{
    uint32_t first = UINT32_MAX;
    for (uint64_t i = 0; i < n_sources(p); i++) {
        const char *name = source(p, i)->name;
        int64_t block = block_of(name);
        if (block >= 0 && block < first && strstr(name, ".nextn.")) first = (uint32_t)block;
    }
    return first;
}

/* ---- keys */

/* to := from without the keys that start with prefix. */
static enum ggl_status copy_without(const struct planner *b, const struct ggl_gguf *from, const char *prefix,
                                    struct ggl_gguf **to)
{
    *to = ggl_gguf_new();
    if (*to && ggl_gguf_copy_kv(*to, from, prefix) == GGL_OK) return GGL_OK;
    ggl_gguf_free(*to);
    *to = NULL;
    return no_memory(b);
}

/* Keys that count blocks, or list one value a block, for the first n blocks only. */
static enum ggl_status cut_blocks(const struct planner *b, const struct ggl_gguf *from, const char *arch, uint32_t n)
{
    static const char *const lists[] = {"attention.compress_ratios", "swiglu_clamp_exp", "swiglu_clamp_shexp",
                                        "expert_feed_forward_length"};
    struct ggl_gguf *out = b->p->out;
    char key[160];
    snprintf(key, sizeof(key), "%s.block_count", arch);
    enum ggl_status s = ggl_gguf_set_u32(out, key, n);
    snprintf(key, sizeof(key), "%s.nextn_predict_layers", arch);
    if (!s) s = ggl_gguf_set_u32(out, key, 0);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !s; i++) {
        snprintf(key, sizeof(key), "%s.%s", arch, lists[i]);
        const struct ggl_kv *kv = ggl_gguf_find_kv(from, key);
        if (kv && kv->type == GGL_KV_ARR && !kv->str && kv->n > n) s = ggl_gguf_set_arr(out, key, kv->elem, kv->data, n);
    }
    return s ? no_memory(b) : GGL_OK;
}

static enum ggl_status plan_main_keys(const struct planner *b, uint32_t n_main)
{
    const struct ggl_gguf *from = b->p->checkpoint ? ggl_checkpoint_meta(b->p->checkpoint) : b->p->gguf;
    const char *arch = ggl_gguf_get_str(from, "general.architecture");
    struct ggl_gguf *first;
    enum ggl_status s = copy_without(b, from, "ggl.storage.", &first);
    if (s) return s;
    if (n_main == UINT32_MAX || !arch || strlen(arch) > 64) {
        b->p->out = first;
        return GGL_OK;
    }
    char prefix[80];
    snprintf(prefix, sizeof(prefix), "%s.dspark.", arch);
    s = copy_without(b, first, prefix, &b->p->out);
    ggl_gguf_free(first);
    return s ? s : cut_blocks(b, from, arch, n_main);
}

static enum ggl_status plan_keys(const struct planner *b, uint32_t n_main)
{
    enum ggl_status s = plan_main_keys(b, n_main);
    if (s || !b->recipe) return s;
    struct ggl_gguf *renamed = ggl_gguf_new();
    if (renamed && recipe_keys(b->recipe, b->p->out, renamed) == GGL_OK) {
        ggl_gguf_free(b->p->out);
        b->p->out = renamed;
        return GGL_OK;
    }
    ggl_gguf_free(renamed);
    return no_memory(b);
}

/* As llama.cpp notes it; the file's name without the folders that it lies in. */
static enum ggl_status plan_imatrix_keys(const struct planner *b)
{
    const char *slash = b->imatrix_path ? strrchr(b->imatrix_path, '/') : NULL, *dataset;
    struct ggl_gguf *out = b->p->out;
    if (!b->imatrix) return GGL_OK;
    enum ggl_status s = ggl_gguf_set_str(out, "quantize.imatrix.file", slash ? slash + 1 : b->imatrix_path);
    dataset = imatrix_dataset(b->imatrix);
    if (!s && dataset[0]) s = ggl_gguf_set_str(out, "quantize.imatrix.dataset", dataset);
    if (!s) s = ggl_gguf_set_u32(out, "quantize.imatrix.entries_count", (uint32_t)imatrix_n_entries(b->imatrix));
    if (!s) s = ggl_gguf_set_u32(out, "quantize.imatrix.chunks_count", (uint32_t)imatrix_n_chunks(b->imatrix));
    return s ? no_memory(b) : GGL_OK;
}

/* ---- tensors */

static enum ggl_status add(struct planner *b, enum item_kind kind, const struct ggl_tensor *t, const char *name,
                           enum ggl_type type, uint32_t n_dims, const int64_t *ne)
{
    struct plan *p = b->p;
    enum ggl_status s = ggl_gguf_add_tensor(p->out, name, type, n_dims, ne, b->err);
    if (s) return s;
    uint64_t bytes = ggl_gguf_tensor_bytes(ggl_gguf_tensor(p->out, p->n_items));
    p->items[p->n_items++] = (struct item){kind, t, bytes, false};
    p->tensor_bytes += bytes;
    return GGL_OK;
}

/* ---- INT4 */

static const char *const int4_names[] = { /* after "blk.N." */
    "attn_q_a.weight",       "attn_q_b.weight",         "attn_kv.weight",     "attn_output_a.weight",
    "attn_output_b.weight",  "indexer.attn_q_b.weight", "ffn_gate_shexp.weight", "ffn_up_shexp.weight",
    "ffn_down_shexp.weight", "nextn.e_proj.weight",     "nextn.h_proj.weight",
};

/* A dense matrix, or the head, in a type that holds more than INT4; rows that are not whole groups stay as they are. */
static bool becomes_int4(const struct planner *b, const struct ggl_tensor *t)
{
    const char *name = t->name;
    if (!b->int4 || t->ne[0] % 32 || t->ne[0] < 32 || t->ne[1] < 1 || t->ne[2] != 1 || t->ne[3] != 1) return false;
    if (t->type != GGL_TYPE_FP8 && t->type != GGL_TYPE_BF16 && t->type != GGL_TYPE_F16 && t->type != GGL_TYPE_F32) return false;
    if (block_of(name) < 0) return strcmp(name, "output.weight") == 0;
    name = strchr(name + 4, '.') + 1;
    for (size_t i = 0; i < sizeof(int4_names) / sizeof(int4_names[0]); i++)
        if (strcmp(name, int4_names[i]) == 0) return true;
    return false;
}

/* X.weight -> X.scale or X.rscale; every name of int4_names and of the checkpoint's carriers has that end. */
static void plane_name(const struct ggl_tensor *t, const char *plane, char name[GGL_MAX_NAME + 8])
{
    snprintf(name, GGL_MAX_NAME + 8, "%.*s%s", (int)(strlen(t->name) - strlen(".weight")), t->name, plane);
}

static bool is_chosen(const struct planner *b, const struct ggl_tensor *t)
{
    enum ggl_type type;
    bool chosen;
    (void)overrides_apply(b->overrides, t, &type, &chosen, NULL);
    return chosen;
}

/* A file's plane of FP8 scales whose matrix gets another type: nothing needs it any more. */
static bool is_left_out(const struct planner *b, const struct ggl_tensor *t)
{
    static const char end[] = ".scale";
    char name[GGL_MAX_NAME + 8];
    size_t n = strlen(t->name);
    if ((!b->int4 && !b->recipe && !b->overrides) || !b->p->gguf || n < sizeof(end) || strcmp(t->name + n - (sizeof(end) - 1), end) != 0) return false;
    snprintf(name, sizeof(name), "%.*s.weight", (int)(n - (sizeof(end) - 1)), t->name);
    const struct ggl_tensor *weight = ggl_gguf_find_tensor(b->p->gguf, name);
    return weight && weight->type == GGL_TYPE_FP8 && (b->recipe || is_chosen(b, weight) || becomes_int4(b, weight));
}

/* ---- tensors of the output */

static void declare_carrier(struct planner *b, const struct ggl_tensor *t, const char *kind)
{
    b->names[b->n_carriers] = (struct ggl_str){t->name, strlen(t->name)};
    b->kinds[b->n_carriers++] = (struct ggl_str){kind, strlen(kind)};
}

static const char *carrier_kind(const struct ggl_tensor *t)
{
    if (t->type == GGL_TYPE_INT4) return "i4t.g32.s8";
    return t->scale_type == GGL_SCALE_F32 ? "fp8_e4m3.f32.t128x128" : "fp8_e4m3.ue8m0.t128x128";
}

static enum ggl_status add_int4(struct planner *b, const struct ggl_tensor *t)
{
    char name[GGL_MAX_NAME + 8];
    const int64_t codes[GGL_MAX_DIMS] = {t->ne[0] / 2, t->ne[1], 1, 1}, groups[GGL_MAX_DIMS] = {t->ne[0] / 32, t->ne[1], 1, 1};
    const int64_t rows[GGL_MAX_DIMS] = {t->ne[1], 1, 1, 1};
    b->p->n_int4++;
    declare_carrier(b, t, "i4t.g32.s8");
    enum ggl_status s = add(b, ITEM_INT4, t, t->name, GGL_TYPE_I8, 2, codes);
    plane_name(t, ".scale", name);
    if (!s) s = add(b, ITEM_INT4_SCALE, t, name, GGL_TYPE_I8, 2, groups);
    plane_name(t, ".rscale", name);
    if (!s) s = add(b, ITEM_INT4_ROWS, t, name, GGL_TYPE_F32, 1, rows);
    return s;
}

/* A checkpoint's FP8 matrix: codes, then the plane of scales next to them. */
static enum ggl_status add_fp8(struct planner *b, const struct ggl_tensor *t)
{
    char name[GGL_MAX_NAME + 8];
    int64_t tiles[GGL_MAX_DIMS] = {(t->ne[0] + 127) / 128, (t->ne[1] + 127) / 128, t->ne[2], t->ne[3]};
    plane_name(t, ".scale", name);
    declare_carrier(b, t, carrier_kind(t));
    enum ggl_status s = add(b, ITEM_COPY, t, t->name, GGL_TYPE_I8, t->n_dims, t->ne);
    if (s) return s;
    return add(b, ITEM_SCALE, t, name, t->scale_type == GGL_SCALE_F32 ? GGL_TYPE_F32 : GGL_TYPE_I8, t->n_dims, tiles);
}

/* As it is stored: scales are tensors of their own in a file. */
static enum ggl_status add_copy(struct planner *b, const struct ggl_tensor *t, enum ggl_type stored)
{
    int64_t ne[GGL_MAX_DIMS];
    memcpy(ne, t->ne, sizeof(ne));
    if (t->type == GGL_TYPE_INT4) ne[0] /= 2;
    if (t->type == GGL_TYPE_FP8 || t->type == GGL_TYPE_INT4) declare_carrier(b, t, carrier_kind(t));
    return add(b, ITEM_COPY, t, t->name, stored, t->n_dims, ne);
}

/* ---- recipes and choices */

/* Whether the FP8 scales are powers of two with which every code is a BF16 number. */
static bool scales_fit_bf16(const struct ggl_tensor *t, const uint8_t *scale)
{
    for (uint64_t i = 0; t->scale_type == GGL_SCALE_E8M0 && i < t->scale_slice_bytes; i++)
        if (scale[i] < 3 || scale[i] > 246) return false;
    for (uint64_t i = 0; t->scale_type == GGL_SCALE_F32 && i < t->scale_slice_bytes / 4; i++) {
        uint32_t bits, exponent;
        memcpy(&bits, scale + 4 * i, 4);
        exponent = bits >> 23;
        if ((bits & 0x7fffff) || exponent < 3 || exponent > 246) return false; /* and not a sign */
    }
    return true;
}

static enum ggl_status fits_bf16(const struct planner *b, const struct ggl_tensor *t, bool *fits)
{
    uint8_t *buffer = malloc((size_t)t->scale_slice_bytes + 1);
    enum ggl_status s = buffer ? GGL_OK : no_memory(b);
    *fits = true;
    for (int64_t i = 0; i < t->ne[2] * t->ne[3] && !s && *fits; i++) {
        const uint8_t *scale = ggl_tensor_scale_slice(t, i);
        if (b->p->checkpoint) s = ggl_checkpoint_read(b->p->checkpoint, scale, buffer, t->scale_slice_bytes, b->err);
        else memcpy(buffer, scale, (size_t)t->scale_slice_bytes);
        *fits = !s && scales_fit_bf16(t, buffer);
    }
    free(buffer);
    return s;
}

/* Types that are chosen by their importances, or have no encoder, are refused before anything is written. */
static enum ggl_status check_encoder(const struct planner *b, const struct ggl_tensor *t, enum ggl_type type)
{
    const char *name = ggl_type_info((uint32_t)type)->name;
    if (ggl_encode_needs_weights(type) && !b->imatrix) {
        return ggl_fail(b->err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL,
                        "%s: %s needs an importance matrix: give one with --imatrix FILE (ggl-eval makes it)", t->name, name);
    }
    if (!can_encode(type)) {
        return ggl_fail(b->err, GGL_ERR_UNSUPPORTED, b->input, GGL_NO_OFFSET, name, "a type with an encoder", "%s: type", t->name);
    }
    if (!ggl_encode_needs_weights(type)) return GGL_OK;
    for (int64_t i = 0; i < t->ne[2] * t->ne[3]; i++)
        if (imatrix_find(b->imatrix, t->name, i, t->ne[0])) return GGL_OK;
    return ggl_fail(b->err, GGL_ERR_ARGUMENT, b->imatrix_path, GGL_NO_OFFSET, NULL, NULL,
                    "it says nothing about %s, which is to be %s (--tensor-type chooses another type)", t->name, name);
}

/* What holds that type already is copied; nothing is rounded twice. */
static enum ggl_status add_as(struct planner *b, const struct ggl_tensor *t, enum ggl_type type, bool exact)
{
    enum item_kind kind = ITEM_ENCODE;
    if (t->type == type) kind = ITEM_COPY;
    else if (t->type == GGL_TYPE_FP4 && type == GGL_TYPE_MXFP4) kind = ITEM_MXFP4;
    else if (t->type == GGL_TYPE_I64) kind = ITEM_IDS;
    else if (!recipe_may_round(t->type)) {
        const struct ggl_type_info *info = ggl_type_info((uint32_t)t->type);
        return ggl_fail(b->err, GGL_ERR_UNSUPPORTED, b->input, GGL_NO_OFFSET, info ? info->name : "?",
                        "a type that was not rounded: FP8, FP4, MXFP4, BF16, F16 or F32", "%s to %s", t->name,
                        ggl_type_info((uint32_t)type)->name);
    }
    enum ggl_status s = kind == ITEM_ENCODE ? check_encoder(b, t, type) : GGL_OK;
    if (!s) s = add(b, kind, t, t->name, type, t->n_dims, t->ne);
    if (s) return s;
    b->p->n_encoded += kind == ITEM_ENCODE;
    b->p->items[b->p->n_items - 1].exact = exact;
    return GGL_OK;
}

static enum ggl_status add_by_recipe(struct planner *b, const struct ggl_tensor *t)
{
    uint32_t n_blocks = 0;
    (void)ggl_gguf_get_u32(b->p->out, "deepseek4.block_count", 0, UINT32_MAX, &n_blocks, NULL);
    enum ggl_type type = recipe_type(b->recipe, t, n_blocks, b->imatrix != NULL);
    bool chosen, fits = true, lossless = recipe_is_lossless(b->recipe);
    enum ggl_status s = overrides_apply(b->overrides, t, &type, &chosen, b->err);
    if (!s && !chosen && lossless && t->type == GGL_TYPE_FP8) s = fits_bf16(b, t, &fits);
    if (s) return s;
    return add_as(b, t, fits ? type : GGL_TYPE_F32, lossless && !chosen);
}

static enum ggl_status add_source(struct planner *b, const struct ggl_tensor *t, uint64_t i)
{
    enum ggl_type type = t->type;
    bool chosen;
    if (is_left_out(b, t)) return GGL_OK;
    if (b->recipe) return add_by_recipe(b, t);
    enum ggl_status s = overrides_apply(b->overrides, t, &type, &chosen, b->err);
    if (s) return s;
    if (chosen) return add_as(b, t, type, false);
    if (becomes_int4(b, t)) return add_int4(b, t);
    if (b->p->gguf) return add_copy(b, t, (enum ggl_type)ggl_gguf_stored_type(b->p->gguf, i));
    switch (t->type) {
    case GGL_TYPE_FP8: return add_fp8(b, t);
    case GGL_TYPE_FP4: return add(b, ITEM_MXFP4, t, t->name, GGL_TYPE_MXFP4, t->n_dims, t->ne);
    case GGL_TYPE_I64: return add(b, ITEM_IDS, t, t->name, GGL_TYPE_I32, t->n_dims, t->ne);
    default: return add(b, ITEM_COPY, t, t->name, t->type, t->n_dims, t->ne);
    }
}

struct numbered {
    const struct ggl_tensor *t;
    uint64_t i; /* in the source */
};

static int compare_numbered(const void *a, const void *b)
{
    return recipe_compare(((const struct numbered *)a)->t->name, ((const struct numbered *)b)->t->name);
}

/* llama.cpp, for which recipes write, knows a tensor under one name. */
static enum ggl_status rename_sources(struct planner *b, struct numbered *all, uint64_t n)
{
    char name[GGL_MAX_NAME];
    uint64_t used = 0;
    struct ggl_tensor *renamed = b->p->renamed = calloc((size_t)(n + 1), sizeof(*renamed));
    if (!renamed) return no_memory(b);
    for (uint64_t i = 0; i < n; i++) {
        if (!ggl_usual_name(all[i].t->name, name) || ggl_gguf_find_tensor(b->p->gguf, name)) continue;
        renamed[used] = *all[i].t;
        memcpy(renamed[used].name, name, sizeof(name));
        all[i].t = &renamed[used++];
    }
    return GGL_OK;
}

static enum ggl_status add_sources(struct planner *b, uint32_t n_main)
{
    uint64_t n = n_sources(b->p);
    struct numbered *all = calloc((size_t)(n + 1), sizeof(*all));
    enum ggl_status s = all ? GGL_OK : no_memory(b);
    for (uint64_t i = 0; i < n && !s; i++) all[i] = (struct numbered){source(b->p, i), i};
    if (!s && b->recipe && b->p->gguf) s = rename_sources(b, all, n);
    if (!s && b->recipe) qsort(all, (size_t)n, sizeof(*all), compare_numbered);
    for (uint64_t i = 0; i < n && !s; i++) {
        if (block_of(all[i].t->name) < (int64_t)n_main) s = add_source(b, all[i].t, all[i].i);
    }
    free(all);
    return s;
}

static enum ggl_status plan_tensors(struct planner *b, uint32_t n_main)
{
    uint64_t n = n_sources(b->p);
    b->p->items = calloc((size_t)(3 * n + 1), sizeof(*b->p->items));
    b->names = calloc((size_t)(n + 1), sizeof(*b->names));
    b->kinds = calloc((size_t)(n + 1), sizeof(*b->kinds));
    if (!b->p->items || !b->names || !b->kinds) return no_memory(b);
    enum ggl_status s = add_sources(b, n_main);
    if (s || !b->n_carriers) return s;
    s = ggl_gguf_set_u32(b->p->out, "ggl.storage.version", 1);
    if (!s) s = ggl_gguf_set_arr_str(b->p->out, "ggl.storage.names", b->names, b->n_carriers);
    if (!s) s = ggl_gguf_set_arr_str(b->p->out, "ggl.storage.kinds", b->kinds, b->n_carriers);
    return s ? no_memory(b) : GGL_OK;
}

/* Carriers belong to our own architecture: other programs refuse that, and would compute with bytes in another.  A
 * recipe knows the tensors of this model family only. */
static enum ggl_status check_architecture(const struct planner *b)
{
    const char *arch = b->p->gguf ? ggl_gguf_get_str(b->p->gguf, "general.architecture") : "deepseek4-native";
    if ((!b->int4 && !b->recipe) || (arch && strcmp(arch, "deepseek4-native") == 0)) return GGL_OK;
    if (b->recipe && arch && strcmp(arch, "deepseek4") == 0) return GGL_OK;
    if (b->recipe) {
        return ggl_fail(b->err, GGL_ERR_UNSUPPORTED, b->input, GGL_NO_OFFSET, arch ? arch : "none",
                        "deepseek4-native, deepseek4 or a checkpoint directory", "%s: general.architecture",
                        recipe_name(b->recipe));
    }
    return ggl_fail(b->err, GGL_ERR_UNSUPPORTED, b->input, GGL_NO_OFFSET, arch ? arch : "none",
                    "deepseek4-native, or a checkpoint directory", "native-int4: general.architecture");
}

enum ggl_status plan_make(const struct convert_options *o, struct plan *p, struct ggl_error *err)
{
    struct planner b = {.p = p, .err = err, .input = o->input, .int4 = o->int4, .recipe = o->recipe,
                        .overrides = o->overrides, .imatrix_path = o->imatrix};
    enum ggl_status s;
    memset(p, 0, sizeof(*p));
    if (o->imatrix && (s = imatrix_open(o->imatrix, &p->imatrix, err))) return s;
    b.imatrix = p->imatrix;
    if (ggl_checkpoint_is_directory(o->input)) s = ggl_checkpoint_open_unmapped(o->input, &p->checkpoint, err);
    else s = ggl_gguf_open(o->input, NULL, &p->gguf, err);
    if (!s && p->gguf) s = ggl_check_dialect(p->gguf, o->input, err);
    if (!s) s = check_architecture(&b);
    if (!s) s = inputs_record(p, o->input, o->imatrix, err);
    uint32_t n_main = s || o->mtp ? UINT32_MAX : count_main_blocks(p);
    if (!s) s = plan_keys(&b, n_main);
    if (!s) s = plan_imatrix_keys(&b);
    if (!s) s = plan_tensors(&b, n_main);
    if (!s) s = overrides_used(o->overrides, err);
    free(b.names);
    free(b.kinds);
    return s;
}

void plan_free(struct plan *p)
{
    inputs_free(p);
    free(p->items);
    free(p->renamed);
    imatrix_free(p->imatrix);
    ggl_gguf_free(p->out);
    ggl_gguf_free(p->gguf);
    ggl_checkpoint_free(p->checkpoint);
    memset(p, 0, sizeof(*p));
}
