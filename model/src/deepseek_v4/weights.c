/*
 * GGUF names -> roles.  Every shape is compared with the hyper-parameters here,
 * once; after this nothing about a tensor is in doubt.
 */
#include "weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf-convert/dialect.h"

struct binder {
    const struct ggl_source *src;
    const struct v4_hparams *hp;
    struct v4_weights *w;
    struct ggl_error *err;
    enum ggl_status status; /* the first failure; later calls do nothing */
    int layer;              /* -1: not in a layer */
};

static void full_name(const struct binder *b, const char *name, char out[GGL_MAX_NAME])
{
    if (b->layer < 0) snprintf(out, GGL_MAX_NAME, "%s", name);
    else snprintf(out, GGL_MAX_NAME, "blk.%d.%s", b->layer, name);
}

static void fail(struct binder *b, enum ggl_status status, const char *found, const char *expected, const char *format, ...)
{
    char what[192];
    va_list args;
    if (b->status) return;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    b->status = ggl_fail(b->err, status, b->src->path, GGL_NO_OFFSET, found, expected, "%s", what);
}

static void check_dims(struct binder *b, const struct ggl_tensor *t, int64_t ne0, int64_t ne1, int64_t ne2)
{
    const int64_t want[GGL_MAX_DIMS] = {ne0, ne1, ne2, 1};
    for (int d = 0; d < GGL_MAX_DIMS; d++) {
        char found[32], expected[32];
        if (t->ne[d] == want[d]) continue;
        snprintf(found, sizeof(found), "%lld", (long long)t->ne[d]);
        snprintf(expected, sizeof(expected), "%lld", (long long)want[d]);
        fail(b, GGL_ERR_FORMAT, found, expected, "%s: dim %d", t->name, d);
        return;
    }
}

static const struct ggl_tensor *find(struct binder *b, const char *name, bool required)
{
    char full[GGL_MAX_NAME];
    if (b->status) return NULL;
    full_name(b, name, full);
    const struct ggl_tensor *t = ggl_source_find(b->src, full);
    char other[GGL_MAX_NAME];
    for (size_t i = 0; !t && ggl_other_name(full, &i, other);) t = ggl_source_find(b->src, other);
    if (!t && required) fail(b, GGL_ERR_FORMAT, "missing", "a tensor", "%s", full);
    return t;
}

/* A matrix of any type that decodes to float. */
static const struct ggl_tensor *matrix(struct binder *b, const char *name, int64_t ne0, int64_t ne1, int64_t ne2)
{
    const struct ggl_tensor *t = find(b, name, true);
    if (!t) return NULL;
    check_dims(b, t, ne0, ne1, ne2);
    const struct ggl_type_info *info = ggl_type_info(t->type);
    bool decodes = info && (info->decode || t->scale_type != GGL_SCALE_NONE);
    if (!decodes) fail(b, GGL_ERR_FORMAT, info ? info->name : "an unknown type", "a type that holds numbers", "%s: type", t->name);
    return t;
}

static void *own(struct binder *b, size_t bytes)
{
    void **owned = realloc(b->w->owned, (b->w->n_owned + 1) * sizeof(*owned));
    if (owned) b->w->owned = owned;
    void *p = owned ? malloc(bytes ? bytes : 1) : NULL;
    if (!p) {
        fail(b, GGL_ERR_NOMEM, NULL, NULL, "out of memory");
        return NULL;
    }
    owned[b->w->n_owned++] = p;
    return p;
}

/* A small array as float: the mapping itself when it is aligned float already, else a copy. */
static const float *floats(struct binder *b, const char *name, int64_t ne0, int64_t ne1)
{
    const struct ggl_tensor *t = matrix(b, name, ne0, ne1, 1);
    if (!t || b->status) return NULL;
    if (t->type == GGL_TYPE_F32 && (uintptr_t)t->data % 4 == 0) return (const float *)(const void *)t->data;
    float *copy = own(b, (size_t)(ne0 * ne1) * 4);
    for (int64_t r = 0; copy && r < ne1; r++) {
        if (!ggl_tensor_decode_row(t, 0, r, copy + r * ne0)) {
            fail(b, GGL_ERR_FORMAT, NULL, NULL, "%s: cannot be decoded", t->name);
            return NULL;
        }
    }
    return copy;
}

/* Expert ids of every token, range-checked: they address memory later. */
static const int32_t *expert_table(struct binder *b, const char *name)
{
    int64_t n_used = b->hp->n_expert_used, n = n_used * b->hp->n_vocab;
    const struct ggl_tensor *t = find(b, name, true);
    if (!t) return NULL;
    check_dims(b, t, n_used, b->hp->n_vocab, 1);
    if (t->type != GGL_TYPE_I32 && t->type != GGL_TYPE_I64) fail(b, GGL_ERR_FORMAT, "not integers", "I32", "%s: type", t->name);
    int32_t *copy = b->status ? NULL : own(b, (size_t)n * 4);
    for (int64_t i = 0; copy && i < n; i++) {
        int64_t v;
        if (t->type == GGL_TYPE_I64) {
            memcpy(&v, t->data + 8 * i, 8);
        } else {
            int32_t v32;
            memcpy(&v32, t->data + 4 * i, 4);
            v = v32;
        }
        if (v < 0 || v >= b->hp->n_expert) {
            char found[32], expected[48];
            snprintf(found, sizeof(found), "%lld", (long long)v);
            snprintf(expected, sizeof(expected), "0..%d", b->hp->n_expert - 1);
            fail(b, GGL_ERR_FORMAT, found, expected, "%s: expert %lld of token %lld", t->name, (long long)(i % n_used),
                 (long long)(i / n_used));
            return NULL;
        }
        copy[i] = (int32_t)v;
    }
    return copy;
}

static void bind_hc(struct binder *b, const char *stem, int64_t n_mix, int64_t n_scale, struct v4_hc *hc)
{
    char name[GGL_MAX_NAME];
    snprintf(name, sizeof(name), "%s_fn.weight", stem);
    hc->fn = floats(b, name, (int64_t)b->hp->n_embd * b->hp->n_hc, n_mix);
    if (hc->fn) hc->name = find(b, name, true)->name;
    snprintf(name, sizeof(name), "%s_base.weight", stem);
    hc->base = floats(b, name, n_mix, 1);
    snprintf(name, sizeof(name), "%s_scale.weight", stem);
    hc->scale = floats(b, name, n_scale, 1);
}

static void bind_compressor(struct binder *b, const char *stem, int32_t ratio, int32_t n_dim, struct v4_compressor *c)
{
    char name[GGL_MAX_NAME];
    int64_t width = (int64_t)n_dim * (ratio == 4 ? 2 : 1);
    snprintf(name, sizeof(name), "%s_kv.weight", stem);
    c->kv = matrix(b, name, b->hp->n_embd, width, 1);
    snprintf(name, sizeof(name), "%s_gate.weight", stem);
    c->gate = matrix(b, name, b->hp->n_embd, width, 1);
    snprintf(name, sizeof(name), "%s_ape.weight", stem);
    c->ape = floats(b, name, width, ratio);
    snprintf(name, sizeof(name), "%s_norm.weight", stem);
    c->norm = floats(b, name, n_dim, 1);
}

/* Rows of all groups; some files have the groups as slices, which follow each other just like that. */
static void bind_out_a(struct binder *b, int64_t width, struct v4_layer *l)
{
    const struct v4_hparams *hp = b->hp;
    int64_t groups = hp->o_groups, rank = hp->o_rank;
    const struct ggl_tensor *t = find(b, "attn_output_a.weight", true);
    if (!t || groups == 1 || t->ne[1] != rank || t->ne[2] != groups || t->ne[3] != 1 || t->slices ||
        t->scale_type != GGL_SCALE_NONE) {
        l->out_a.w = matrix(b, "attn_output_a.weight", width, groups * rank, 1);
        return;
    }
    matrix(b, "attn_output_a.weight", width, rank, groups);
    l->out_a_view = *t;
    l->out_a_view.n_dims = 2, l->out_a_view.ne[1] = groups * rank, l->out_a_view.ne[2] = 1;
    l->out_a_view.slice_bytes = t->row_bytes * (uint64_t)(groups * rank);
    l->out_a.w = &l->out_a_view;
}

static void bind_attention(struct binder *b, int32_t ratio, struct v4_layer *l)
{
    const struct v4_hparams *hp = b->hp;
    int64_t heads = (int64_t)hp->n_head * hp->n_dim, low = (int64_t)hp->o_groups * hp->o_rank;
    l->attn_norm = floats(b, "attn_norm.weight", hp->n_embd, 1);
    l->sinks = floats(b, "attn_sinks.weight", hp->n_head, 1);
    l->q_a.w = matrix(b, "attn_q_a.weight", hp->n_embd, hp->q_rank, 1);
    l->q_a_norm = floats(b, "attn_q_a_norm.weight", hp->q_rank, 1);
    l->q_b.w = matrix(b, "attn_q_b.weight", hp->q_rank, heads, 1);
    l->kv.w = matrix(b, "attn_kv.weight", hp->n_embd, hp->n_dim, 1);
    l->kv_norm = floats(b, "attn_kv_a_norm.weight", hp->n_dim, 1);
    bind_out_a(b, heads / hp->o_groups, l);
    l->out_b.w = matrix(b, "attn_output_b.weight", low, hp->n_embd, 1);
    if (ratio) bind_compressor(b, "attn_compressor", ratio, hp->n_dim, &l->compressor);
    if (ratio != 4) return;
    l->index_q_b.w = matrix(b, "indexer.attn_q_b.weight", hp->q_rank, (int64_t)hp->index_heads * hp->index_dim, 1);
    l->index_proj = matrix(b, "indexer.proj.weight", hp->n_embd, hp->index_heads, 1);
    bind_compressor(b, "indexer_compressor", ratio, hp->index_dim, &l->index_compressor);
}

static void bind_experts(struct binder *b, bool hashed, struct v4_layer *l)
{
    const struct v4_hparams *hp = b->hp;
    int64_t n_ff = hp->n_ff[b->layer];
    l->ffn_norm = floats(b, "ffn_norm.weight", hp->n_embd, 1);
    l->router = matrix(b, "ffn_gate_inp.weight", hp->n_embd, hp->n_expert, 1);
    if (hashed) l->tid2eid = expert_table(b, "ffn_gate_tid2eid.weight");
    else l->router_bias = floats(b, "exp_probs_b.bias", hp->n_expert, 1);
    l->gate_exps = matrix(b, "ffn_gate_exps.weight", hp->n_embd, n_ff, hp->n_expert);
    l->up_exps = matrix(b, "ffn_up_exps.weight", hp->n_embd, n_ff, hp->n_expert);
    l->down_exps = matrix(b, "ffn_down_exps.weight", n_ff, hp->n_embd, hp->n_expert);
    l->gate_shexp.w = matrix(b, "ffn_gate_shexp.weight", hp->n_embd, n_ff, 1);
    l->up_shexp.w = matrix(b, "ffn_up_shexp.weight", hp->n_embd, n_ff, 1);
    l->down_shexp.w = matrix(b, "ffn_down_shexp.weight", n_ff, hp->n_embd, 1);
}

static void bind_layer(struct binder *b, int i, struct v4_layer *l)
{
    const struct v4_hparams *hp = b->hp;
    int64_t n_mix = (2 + (int64_t)hp->n_hc) * hp->n_hc;
    b->layer = i;
    bind_hc(b, "hc_attn", n_mix, 3, &l->hc_attn);
    bind_hc(b, "hc_ffn", n_mix, 3, &l->hc_ffn);
    bind_attention(b, hp->ratio[i], l);
    bind_experts(b, i < hp->n_layer && i < hp->n_hash_layers, l);
}

/* e_proj and h_proj: two tensors, or the halves of one whose rows hold both. */
static void bind_projections(struct binder *b)
{
    int64_t n = b->hp->n_embd;
    struct v4_weights *w = b->w;
    if (!find(b, "nextn.eh_proj.weight", false)) {
        w->mtp_e_proj.w = matrix(b, "nextn.e_proj.weight", n, n, 1);
        w->mtp_h_proj.w = matrix(b, "nextn.h_proj.weight", n, n, 1);
        return;
    }
    const struct ggl_tensor *eh = matrix(b, "nextn.eh_proj.weight", 2 * n, n, 1);
    uint64_t half;
    if (!eh || b->status) return;
    if (eh->scale_type != GGL_SCALE_NONE || eh->slices || !ggl_row_bytes(eh->type, n, &half)) {
        fail(b, GGL_ERR_UNSUPPORTED, NULL, NULL, "%s: its type cannot be split in halves", eh->name);
        return;
    }
    for (int i = 0; i < 2; i++) {
        w->mtp_view[i] = *eh;
        w->mtp_view[i].ne[0] = n; /* row_bytes stays: rows are as far apart as before */
        w->mtp_view[i].data = eh->data + (uint64_t)i * half;
    }
    w->mtp_e_proj.w = &w->mtp_view[0];
    w->mtp_h_proj.w = &w->mtp_view[1];
}

static void bind_mtp(struct binder *b)
{
    const struct v4_hparams *hp = b->hp;
    struct v4_weights *w = b->w;
    bind_layer(b, hp->n_layer, &w->layers[hp->n_layer]);
    bind_projections(b);
    w->mtp_enorm = floats(b, "nextn.enorm.weight", hp->n_embd, 1);
    w->mtp_hnorm = floats(b, "nextn.hnorm.weight", hp->n_embd, 1);
    w->mtp_head.norm = floats(b, "nextn.shared_head_norm.weight", hp->n_embd, 1);
    if (find(b, "nextn.hc_head_fn.weight", false)) {
        bind_hc(b, "nextn.hc_head", hp->n_hc, 1, &w->mtp_head.hc);
    } else { /* a combined file of other tools has no head of its own for the block: it uses the main one */
        w->mtp_head.hc = w->head.hc;
    }
}

/* Which of the blocks are main layers, and whether the first extra one is an MTP block that we evaluate. */
static void count_layers(const struct ggl_source *src, struct v4_hparams *hp)
{
    char name[GGL_MAX_NAME];
    int32_t nextn = hp->n_mtp, first = hp->n_block - nextn;
    hp->n_mtp = 0;
    hp->n_layer = hp->n_block;
    if (nextn < 1 || first < 1) return;
    snprintf(name, sizeof(name), "blk.%d.nextn.eh_proj.weight", first);
    bool fused = ggl_source_find(src, name) != NULL;
    snprintf(name, sizeof(name), "blk.%d.nextn.e_proj.weight", first);
    bool mtp = fused || ggl_source_find(src, name);
    snprintf(name, sizeof(name), "blk.%d.nextn.main_proj.weight", first);
    bool dspark = ggl_source_find(src, name) != NULL;
    if (mtp || dspark) hp->n_layer = first; /* else the key is stale: the file holds no such block */
    if (mtp) hp->n_mtp = 1;
}

enum ggl_status v4_weights_bind(const struct ggl_source *src, struct v4_hparams *hp, struct v4_weights *w,
                                struct ggl_error *err)
{
    struct binder b = {.src = src, .hp = hp, .w = w, .err = err, .layer = -1};
    count_layers(src, hp);
    const struct ggl_tensor *embd = find(&b, "token_embd.weight", true);
    if (embd && (embd->ne[1] < 1 || embd->ne[1] > INT32_MAX / 64)) fail(&b, GGL_ERR_FORMAT, "out of range", NULL, "token_embd.weight: dim 1");
    if (b.status) return b.status;
    if (hp->n_vocab && hp->n_vocab != embd->ne[1]) check_dims(&b, embd, hp->n_embd, hp->n_vocab, 1);
    hp->n_vocab = (int32_t)embd->ne[1];
    w->token_embd = matrix(&b, "token_embd.weight", hp->n_embd, hp->n_vocab, 1);
    w->output.w = matrix(&b, "output.weight", hp->n_embd, hp->n_vocab, 1);
    w->head.norm = floats(&b, "output_norm.weight", hp->n_embd, 1);
    bind_hc(&b, "output_hc", hp->n_hc, 1, &w->head.hc);
    w->layers = calloc((size_t)(hp->n_layer + hp->n_mtp), sizeof(*w->layers));
    w->freqs_plain = own(&b, (size_t)hp->n_rope * 2);
    w->freqs_compressed = own(&b, (size_t)hp->n_rope * 2);
    if (!w->layers) fail(&b, GGL_ERR_NOMEM, NULL, NULL, "out of memory");
    if (b.status) return b.status;
    v4_rope_freqs(hp, false, w->freqs_plain);
    v4_rope_freqs(hp, true, w->freqs_compressed);
    for (int i = 0; i < hp->n_layer && !b.status; i++) bind_layer(&b, i, &w->layers[i]);
    if (hp->n_mtp && !b.status) bind_mtp(&b);
    return b.status;
}

/* ---- fast mode */

enum { MATRICES = 9 };

static void layer_matrices(struct v4_layer *l, struct v4_matrix *m[MATRICES])
{
    struct v4_matrix *all[MATRICES] = {&l->q_a, &l->q_b, &l->kv, &l->out_a, &l->out_b, &l->index_q_b,
                                       &l->gate_shexp, &l->up_shexp, &l->down_shexp};
    memcpy(m, all, sizeof(all));
}

static enum ggl_status pack(struct v4_weights *w, struct v4_matrix *m, struct ggl_team *team, struct ggl_error *err)
{
    enum ggl_status s = m->w ? ggl_pack(m->w, team, &m->packed, err) : GGL_OK;
    w->packed_bytes += ggl_packed_bytes(m->packed);
    return s;
}

enum ggl_status v4_weights_pack(const struct v4_hparams *hp, struct v4_weights *w, struct ggl_team *team, struct ggl_error *err)
{
    struct v4_matrix *m[MATRICES], *rest[] = {&w->output, &w->mtp_e_proj, &w->mtp_h_proj};
    enum ggl_status s = GGL_OK;
    w->n_layers = hp->n_layer + hp->n_mtp;
    for (int i = 0; i < w->n_layers; i++) {
        layer_matrices(&w->layers[i], m);
        for (int j = 0; j < MATRICES && !s; j++) s = pack(w, m[j], team, err);
        if (w->layers[i].out_a.packed && hp->o_rank % 16) { /* a panel may not straddle two groups */
            ggl_packed_free(w->layers[i].out_a.packed);
            w->layers[i].out_a.packed = NULL;
        }
    }
    for (int j = 0; j < 3 && !s; j++) s = pack(w, rest[j], team, err);
    return s;
}

static void free_packed(struct v4_weights *w)
{
    struct v4_matrix *m[MATRICES];
    for (int i = 0; i < w->n_layers; i++) {
        layer_matrices(&w->layers[i], m);
        for (int j = 0; j < MATRICES; j++) ggl_packed_free(m[j]->packed);
    }
    ggl_packed_free(w->output.packed);
    ggl_packed_free(w->mtp_e_proj.packed);
    ggl_packed_free(w->mtp_h_proj.packed);
}

void v4_weights_free(struct v4_weights *w)
{
    free_packed(w);
    for (size_t i = 0; i < w->n_owned; i++) free(w->owned[i]);
    free(w->owned);
    free(w->layers);
    memset(w, 0, sizeof(*w));
}
