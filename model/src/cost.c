/*
 * What evaluating tokens reads and multiplies, from shapes and types alone.
 * Benchmarks divide it by the time taken; README and docs quote it.
 *
 * Counted: all weights, and the rows of the cache that queries see.  Not counted:
 * activations, rows that are written, and compressors' state, which stay in the
 * caches of the processor; arithmetic other than multiply-adds.
 */
#include <math.h>

#include "model_impl.h"

enum { N_SMALL = 4 }; /* bytes of a float: small vectors are held as such */

static void add_vector(struct ggl_cost *c, int64_t n)
{
    c->weight_bytes += (uint64_t)n * N_SMALL;
}

/* One slice of a matrix that n vectors meet. */
static void add_matrix(struct ggl_cost *c, const struct ggl_tensor *w, const struct ggl_packed *packed, int64_t n)
{
    uint64_t planes = w->slice_bytes + (w->scale_type == GGL_SCALE_NONE ? 0 : w->scale_slice_bytes);
    uint64_t own = ggl_packed_bytes(packed); /* 0: read where the file has it */
    c->weight_bytes += own ? own : planes;
    c->weight_macs += (uint64_t)(w->ne[0] * w->ne[1]) * (uint64_t)n;
}

static void add_hyper_connection(struct ggl_cost *c, const struct v4_hparams *hp, int64_t n_mix, int64_t n_scale, int64_t n)
{
    int64_t streams = (int64_t)hp->n_embd * hp->n_hc;
    add_vector(c, streams * n_mix + n_mix + n_scale);
    c->weight_macs += (uint64_t)(streams * n_mix) * (uint64_t)n;
}

static void add_compressor(struct ggl_cost *c, const struct v4_compressor *w, int32_t ratio, int32_t n_dim, int64_t n)
{
    add_matrix(c, w->kv, NULL, n);
    add_matrix(c, w->gate, NULL, n);
    add_vector(c, w->kv->ne[1] * ratio + n_dim); /* ape and norm */
}

static void add_attention(struct ggl_cost *c, const struct v4_hparams *hp, const struct v4_layer *l, int32_t ratio, int64_t n)
{
    const struct v4_matrix *matrices[] = {&l->q_a, &l->q_b, &l->kv, &l->out_a, &l->out_b};
    for (int i = 0; i < 5; i++) add_matrix(c, matrices[i]->w, matrices[i]->packed, n);
    add_vector(c, (int64_t)hp->n_embd + hp->q_rank + hp->n_dim + hp->n_head); /* three norms, sinks */
    if (ratio) add_compressor(c, &l->compressor, ratio, hp->n_dim, n);
    if (ratio != 4) return;
    add_matrix(c, l->index_q_b.w, l->index_q_b.packed, n);
    add_matrix(c, l->index_proj, NULL, n);
    add_compressor(c, &l->index_compressor, ratio, hp->index_dim, n);
}

/* Different experts that n tokens choose when all are equally likely. */
static double n_distinct(const struct v4_hparams *hp, int64_t n)
{
    double all = hp->n_expert, used = hp->n_expert_used;
    return n == 1 ? used : all * (1 - pow(1 - used / all, (double)n));
}

static void add_experts(struct ggl_cost *c, const struct v4_hparams *hp, const struct v4_layer *l, int64_t n)
{
    const struct v4_matrix *shared[] = {&l->gate_shexp, &l->up_shexp, &l->down_shexp};
    struct ggl_cost expert = {0};
    for (int i = 0; i < 3; i++) add_matrix(c, shared[i]->w, shared[i]->packed, n);
    add_matrix(c, l->router, NULL, n);
    add_vector(c, hp->n_embd);
    if (l->tid2eid) c->weight_bytes += (uint64_t)n * (uint64_t)hp->n_expert_used * sizeof(*l->tid2eid);
    else add_vector(c, hp->n_expert);
    add_matrix(&expert, l->gate_exps, NULL, n * hp->n_expert_used);
    add_matrix(&expert, l->up_exps, NULL, n * hp->n_expert_used);
    add_matrix(&expert, l->down_exps, NULL, n * hp->n_expert_used);
    c->weight_bytes += (uint64_t)((double)expert.weight_bytes * n_distinct(hp, n) + 0.5);
    c->weight_macs += expert.weight_macs;
}

static void add_cache(struct ggl_cost *c, const struct v4_hparams *hp, int32_t ratio, int64_t pos, int64_t n)
{
    uint64_t row = ggl_row_format(GGL_ROW_KV, hp->n_dim, hp->n_rope).bytes;
    uint64_t key = ggl_row_format(GGL_ROW_INDEX, hp->index_dim, 0).bytes;
    int64_t visible = ratio ? (pos + n) / ratio : 0, window = pos + n < hp->window - 1 + n ? pos + n : hp->window - 1 + n;
    int64_t chosen = ratio == 4 && visible > n * hp->index_top_k ? n * hp->index_top_k : visible;
    c->cache_bytes += (uint64_t)(window + chosen) * row;
    if (ratio == 4 && visible > hp->index_top_k) c->cache_bytes += (uint64_t)visible * key;
    for (int64_t t = pos; t < pos + n; t++) {
        int64_t rows = t + 1 < hp->window ? t + 1 : hp->window, entries = ratio ? (t + 1) / ratio : 0;
        if (ratio == 4 && entries > hp->index_top_k) { /* fewer are all chosen, without scores */
            c->cache_macs += (uint64_t)entries * (uint64_t)hp->index_heads * (uint64_t)hp->index_dim;
            entries = hp->index_top_k;
        }
        c->cache_macs += (uint64_t)(rows + entries) * (uint64_t)hp->n_head * (uint64_t)hp->n_dim * 2;
    }
}

void ggl_model_cost(const struct ggl_model *m, int64_t pos, int64_t n, struct ggl_cost *out)
{
    const struct v4_hparams *hp = &m->hp;
    *out = (struct ggl_cost){0};
    out->weight_bytes = (uint64_t)n * m->w.token_embd->row_bytes;
    for (int i = 0; i < hp->n_layer; i++) {
        const struct v4_layer *l = &m->w.layers[i];
        for (int half = 0; half < 2; half++) add_hyper_connection(out, hp, (2 + (int64_t)hp->n_hc) * hp->n_hc, 3, n);
        add_attention(out, hp, l, hp->ratio[i], n);
        add_experts(out, hp, l, n);
        add_cache(out, hp, hp->ratio[i], pos, n);
    }
    add_hyper_connection(out, hp, hp->n_hc, 1, 1);
    add_vector(out, hp->n_embd);
    add_matrix(out, m->w.output.w, m->w.output.packed, 1);
}

uint64_t ggl_model_active_bytes(const struct ggl_model *m)
{
    struct ggl_cost cost;
    ggl_model_cost(m, 0, 1, &cost);
    return cost.weight_bytes;
}
