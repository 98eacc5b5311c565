/*
 * The indexer: queries in the form of the stored keys, and the choice of the
 * entries that each token attends to.
 *
 * Queries and keys are 4-bit numbers with power-of-two scales, so a head's score
 * is a few integer dot products, exact.  Sixteen heads form a panel and keys take
 * the place of tokens (kernels/panel); or, where the level has it and scales allow it, whole rows become integers of one
 * scale (scans).  With few tokens the keys are split over
 * threads and their best lists merged: the best k of a total order do not depend
 * on who found them.
 */
#include "graph_impl.h"

#include <string.h>

/* ---- index_query */

static uint64_t query_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * (uint64_t)node->p.index.format.n_dim * 4;
}

static void run_query(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_row_format *f = &node->p.index.format;
    float *x = (float *)(void *)run->scratch + (int64_t)run->ith * f->n_dim;
    int64_t begin, end;
    ggl_share(run->n_tokens * node->p.index.heads, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        memcpy(x, ggl_f32_row(node->src[0], 0) + i * f->n_dim, (size_t)f->n_dim * 4);
        run->k->hadamard_f32(x, f->n_dim);
        ggl_row_encode(f, x, node->data + (uint64_t)i * f->bytes);
    }
}

static const struct ggl_op op_query = {"index_query", 1, query_scratch, run_query};

struct ggl_node *ggl_index_query(struct ggl_graph *g, struct ggl_node *x, int heads, struct ggl_row_format format)
{
    if (!x) return NULL;
    if (x->width != (int64_t)heads * format.n_dim) return ggl_graph_refuse(g, "index_query", "shape");
    struct ggl_node *node = ggl_node_new(g, &op_query, GGL_ELEM_U8, (int64_t)heads * format.bytes, 1, &x);
    if (node) node->p.index.heads = heads, node->p.index.format = format, node->parts = heads, node->part_src = 1;
    return node;
}

/* ---- index_select */

enum { KEYS = 64, LANES = 16 };

/* One thread's working memory. */
struct select_scratch {
    uint8_t *panels;  /* the token's queries: one X8 panel for 16 heads */
    float *weights;   /* [panels * 16], zero beyond the last head */
    bool has_panels, has_scan;
    int8_t *values;   /* the token's queries for scans: values, gains, biased */
    float *gains;
    int32_t *biased;
    int8_t *keys;     /* [KEYS] unpacked */
    float *products;  /* [KEYS][16 * panels] */
    float *scores;    /* [KEYS] */
    float *queries;   /* float rows only: [heads][n_dim], and one key */
    struct ggl_top_k best; /* this thread's candidates */
};

static uint64_t round64(uint64_t n)
{
    return (n + 63) & ~(uint64_t)63;
}

static int64_t n_panels(const struct ggl_node *node)
{
    return (node->p.index.heads + LANES - 1) / LANES;
}

static uint64_t panel_bytes(const struct ggl_node *node)
{
    return (uint64_t)ggl_panel_bytes(GGL_PANEL_X8, node->p.index.format.n_dim);
}

static uint64_t take(uint64_t *at, uint64_t bytes)
{
    uint64_t begin = *at;
    *at += round64(bytes);
    return begin;
}

static uint64_t carve(const struct ggl_node *node, uint8_t *base, struct select_scratch *s)
{
    uint64_t at = 0, panels = (uint64_t)n_panels(node), n_dim = (uint64_t)node->p.index.format.n_dim;
    uint64_t p = take(&at, panels * panel_bytes(node)), w = take(&at, panels * LANES * 4);
    uint64_t k = take(&at, KEYS * (uint64_t)ggl_act_q8_bytes((int64_t)n_dim)), y = take(&at, panels * KEYS * LANES * 4);
    uint64_t o = take(&at, KEYS * 4), bs = take(&at, 2 * (uint64_t)node->p.index.top_k * 4);
    uint64_t be = take(&at, 2 * (uint64_t)node->p.index.top_k * 4);
    uint64_t v = take(&at, panels * LANES * GGL_INDEX_SCAN_DIM), vs = take(&at, panels * LANES * 4), vb = take(&at, panels * LANES * 4);
    uint64_t f = take(&at, node->p.index.format.kind == GGL_ROW_FLOAT ? ((uint64_t)node->p.index.heads + 1) * n_dim * 4 : 0);
    if (s) {
        s->panels = base + p;
        s->weights = (float *)(void *)(base + w);
        s->values = (int8_t *)(base + v);
        s->gains = (float *)(void *)(base + vs);
        s->biased = (int32_t *)(void *)(base + vb);
        s->keys = (int8_t *)(base + k);
        s->products = (float *)(void *)(base + y);
        s->scores = (float *)(void *)(base + o);
        s->queries = (float *)(void *)(base + f);
        s->best = (struct ggl_top_k){(float *)(void *)(base + bs), (int32_t *)(void *)(base + be), node->p.index.top_k, 0, 0};
    }
    return at;
}

static uint64_t select_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * carve(node, NULL, NULL);
}

static const uint8_t *query_row(const struct ggl_node *node, int64_t t, int head)
{
    return node->src[0]->data + t * node->src[0]->width + (int64_t)head * node->p.index.format.bytes;
}

/* A token's queries for scans.  The plain scan is slower than products by blocks. */
static bool prepare_scan(const struct ggl_node *node, const struct ggl_run *run, int64_t t, struct select_scratch *s)
{
    if (run->k->index_scan == ggl_index_scan_ref || node->p.index.format.n_dim != GGL_INDEX_SCAN_DIM) return false;
    memset(s->values, 0, (size_t)n_panels(node) * LANES * GGL_INDEX_SCAN_DIM);
    memset(s->gains, 0, (size_t)n_panels(node) * LANES * 4);
    memset(s->biased, 0, (size_t)n_panels(node) * LANES * 4);
    for (int h = 0; h < node->p.index.heads; h++) {
        int8_t values[GGL_INDEX_SCAN_DIM], *to = s->values + h / LANES * LANES * GGL_INDEX_SCAN_DIM + h % LANES * 4;
        float scale;
        if (!ggl_index_level(query_row(node, t, h), values, &scale) || !ggl_index_weight_is_sane(s->weights[h])) return false;
        s->gains[h] = s->weights[h] * scale;
        for (int i = 0; i < GGL_INDEX_SCAN_DIM; i += 4) memcpy(to + i / 4 * 64, values + i, 4);
        for (int i = 0; i < GGL_INDEX_SCAN_DIM; i++) s->biased[h] -= GGL_INDEX_SCAN_BIAS * values[i];
    }
    return true;
}

/* A token's queries as panels. */
static void prepare_panels(const struct ggl_node *node, const struct ggl_run *run, int64_t t, struct select_scratch *s)
{
    const struct ggl_row_format *f = &node->p.index.format;
    s->has_panels = true;
    memset(s->panels, 0, (size_t)(n_panels(node)) * panel_bytes(node));
    for (int h = 0; h < node->p.index.heads; h++) {
        int8_t *row = s->keys; /* as scratch: the keys come later */
        run->k->index_unpack(query_row(node, t, h), f->n_dim, row);
        const float *scales = ggl_act_q8_scales(row, f->n_dim);
        for (int b = 0; b < f->n_dim / GGL_PANEL_BLOCK; b++) {
            uint8_t *panel = s->panels + (uint64_t)(h / LANES) * panel_bytes(node), *codes = panel + b * ggl_panel_code_bytes(GGL_PANEL_X8);
            memcpy(panel + ggl_panel_scales_at(GGL_PANEL_X8, f->n_dim) + 4 * (b * LANES + h % LANES), scales + b, 4);
            for (int i = 0; i < GGL_PANEL_BLOCK; i++)
                codes[i / 4 * 64 + 4 * (h % LANES) + i % 4] = (uint8_t)(row[b * GGL_PANEL_BLOCK + i] + GGL_MXFP4_BIAS);
        }
    }
}

/* A token's queries and head weights. */
static void prepare(const struct ggl_node *node, const struct ggl_run *run, int64_t t, struct select_scratch *s)
{
    const struct ggl_row_format *f = &node->p.index.format;
    const float *w = ggl_f32_row(node->src[1], t);
    memset(s->weights, 0, (size_t)n_panels(node) * LANES * 4);
    for (int h = 0; h < node->p.index.heads; h++) s->weights[h] = w[h] * node->p.index.scale;
    s->has_panels = s->has_scan = false;
    if (f->kind == GGL_ROW_FLOAT)
        for (int h = 0; h < node->p.index.heads; h++) ggl_row_decode(f, query_row(node, t, h), s->queries + (int64_t)h * f->n_dim);
    else s->has_scan = prepare_scan(node, run, t, s);
}

static bool scan_keys(const struct ggl_node *node, const struct ggl_run *run, int64_t first, int n, struct select_scratch *s)
{
    const struct ggl_index_scan scan = {(int)n_panels(node), s->values, s->biased, s->gains};
    const uint8_t *rows[KEYS];
    for (int i = 0; i < n; i++) rows[i] = ggl_list_row(node->p.index.keys, first + i);
    return run->k->index_scan(&scan, rows, n, s->scores);
}

/* Scores of keys first .. first + n - 1, n <= KEYS, for token t. */
static void score_keys(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int64_t first, int n,
                       struct select_scratch *s)
{
    static const struct ggl_panel_format format = {GGL_PANEL_X8, GGL_MXFP4_BIAS, NULL};
    const struct ggl_row_format *f = &node->p.index.format;
    int64_t stride = ggl_act_q8_bytes(f->n_dim);
    if (f->kind == GGL_ROW_FLOAT) {
        float *key = s->queries + (int64_t)node->p.index.heads * f->n_dim;
        for (int i = 0; i < n; i++) {
            ggl_row_decode(f, ggl_list_row(node->p.index.keys, first + i), key);
            s->scores[i] = run->k->index_score_f32(run->k, s->queries, s->weights, key, node->p.index.heads, f->n_dim);
        }
        return;
    }
    if (s->has_scan && scan_keys(node, run, first, n, s)) return;
    if (!s->has_panels) prepare_panels(node, run, t, s);
    for (int i = 0; i < n; i++) run->k->index_unpack(ggl_list_row(node->p.index.keys, first + i), f->n_dim, s->keys + i * stride);
    int64_t lanes = n_panels(node) * LANES;
    const struct ggl_act_q8 keys = {s->keys, f->n_dim, stride, 0, n};
    run->k->panel_mul(&format, s->panels, f->n_dim, &keys, s->products, lanes, (int)lanes);
    run->k->index_combine(s->products, lanes, s->weights, (int)n_panels(node), n, s->scores);
}

static void search(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int64_t begin, int64_t end,
                   struct select_scratch *s)
{
    ggl_top_k_begin(&s->best);
    for (int64_t i = begin; i < end && !ggl_run_cancelled(run); i += KEYS) {
        int n = (int)(end - i < KEYS ? end - i : KEYS);
        score_keys(node, run, t, i, n, s);
        ggl_top_k_add(&s->best, s->scores, n, (int32_t)i);
    }
    ggl_top_k_settle(&s->best);
}

static void write_best(const struct ggl_top_k *best, int32_t *out)
{
    out[0] = best->n;
    memcpy(out + 1, best->entry, (size_t)best->n * 4);
}

/* What thread i found: the best of its share. */
static struct ggl_top_k found_by(const struct ggl_node *node, const struct ggl_run *run, int i)
{
    struct select_scratch s;
    carve(node, run->scratch + (uint64_t)i * carve(node, NULL, NULL), &s);
    ggl_top_k_begin(&s.best);
    memcpy(&s.best.n, s.scores, 4);
    return s.best;
}

/* Shares follow each other. */
static void merge(const struct ggl_node *node, const struct ggl_run *run, int32_t *out)
{
    struct ggl_top_k all = found_by(node, run, 0);
    for (int i = 1; i < run->nth; i++) {
        struct ggl_top_k later = found_by(node, run, i);
        ggl_top_k_join(&all, &later);
    }
    ggl_top_k_settle(&all);
    write_best(&all, out);
}

static int32_t visible(const struct ggl_node *node, const struct ggl_run *run, int64_t t)
{
    return (int32_t)((run->pos + t + 1) / node->p.index.ratio);
}

/* One token: phase 0 searches a share of the keys on every thread, phase 1 merges.  More: a token is one thread's. */
static void run_select(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    bool together = run->n_tokens == 1;
    struct select_scratch s;
    carve(node, run->scratch + (uint64_t)run->ith * carve(node, NULL, NULL), &s);
    int64_t begin = 0, end = 1;
    if (!together) ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    if (phase == 1 && (!together || run->ith)) return;
    for (int64_t t = begin; t < end; t++) {
        int32_t *out = (int32_t *)(void *)node->data + t * node->width, n = visible(node, run, t);
        int64_t from = 0, to = n;
        if (n <= node->p.index.top_k) { /* everything is chosen: no scores needed */
            if (together && (run->ith || phase)) return; /* one thread writes */
            out[0] = n;
            for (int32_t i = 0; i < n; i++) out[1 + i] = i;
            continue;
        }
        if (phase == 1) {
            merge(node, run, out);
            continue;
        }
        if (together) ggl_share(n, run->ith, run->nth, &from, &to);
        prepare(node, run, t, &s);
        search(node, run, t, from, to, &s);
        if (together) memcpy(s.scores, &s.best.n, 4); /* for the merge */
        else write_best(&s.best, out);
    }
}

static const struct ggl_op op_select = {"index_select", 2, select_scratch, run_select};

struct ggl_node *ggl_index_select(struct ggl_graph *g, struct ggl_node *query, struct ggl_node *weights,
                                  struct ggl_node *entries, const struct ggl_row_list *keys,
                                  struct ggl_row_format format, int heads, int top_k, int ratio, float scale)
{
    if (!query || !weights || !entries) return NULL;
    if (weights->width != heads || query->elem != GGL_ELEM_U8 || query->width != (int64_t)heads * format.bytes ||
        top_k < 1 || ratio < 1)
        return ggl_graph_refuse(g, "index_select", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_select, GGL_ELEM_I32, 1 + (int64_t)top_k, 3,
                                         (struct ggl_node *[]){query, weights, entries});
    if (!node) return NULL;
    node->p.index.format = format, node->p.index.keys = keys, node->p.index.heads = heads;
    node->p.index.top_k = top_k, node->p.index.ratio = ratio, node->p.index.scale = scale;
    node->state[0] = keys;
    return node;
}
