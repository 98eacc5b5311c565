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

/* Tokens of one thread that search the same keys together: what unpacks a key serves them all. */
enum { KEYS = 64, LANES = 16, TOGETHER = 4 };

/* One token's queries and what it has found. */
struct searcher {
    float *weights;   /* [panels * 16], zero beyond the last head */
    bool has_panels, has_scan;
    uint8_t *panels;  /* one X8 panel for 16 heads */
    int8_t *values;   /* for scans: values, gains, biased */
    float *gains;
    int32_t *biased;
    float *queries;   /* float rows only: [heads][n_dim] */
    float *scores;    /* [KEYS] */
    struct ggl_top_k best; /* this thread's candidates */
};

/* One thread's working memory. */
struct select_scratch {
    struct searcher of[TOGETHER]; /* their scores follow each other */
    int8_t *keys;    /* [KEYS] unpacked */
    float *products; /* [KEYS][16 * panels] */
    float *key;      /* float rows only */
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

/* `bytes` of what begins at base; only counted where base is NULL. */
static void *take(uint8_t *base, uint64_t *at, uint64_t bytes)
{
    uint64_t begin = *at;
    *at += round64(bytes);
    return base ? base + begin : NULL;
}

static void carve_searcher(const struct ggl_node *node, uint8_t *base, uint64_t *at, struct searcher *s)
{
    const uint64_t panels = (uint64_t)n_panels(node), n_dim = (uint64_t)node->p.index.format.n_dim, most = 2 * (uint64_t)node->p.index.top_k;
    const bool floats = node->p.index.format.kind == GGL_ROW_FLOAT;
    s->weights = take(base, at, panels * LANES * 4);
    s->panels = take(base, at, panels * panel_bytes(node));
    s->values = take(base, at, panels * LANES * GGL_INDEX_SCAN_DIM);
    s->gains = take(base, at, panels * LANES * 4);
    s->biased = take(base, at, panels * LANES * 4);
    s->queries = take(base, at, floats ? (uint64_t)node->p.index.heads * n_dim * 4 : 0);
    s->best = (struct ggl_top_k){.cap = node->p.index.top_k};
    s->best.score = take(base, at, most * 4);
    s->best.entry = take(base, at, most * 4);
}

/* The parts of a thread's memory at base; returns their size. */
static uint64_t carve(const struct ggl_node *node, uint8_t *base, struct select_scratch *s)
{
    const uint64_t panels = (uint64_t)n_panels(node), n_dim = (uint64_t)node->p.index.format.n_dim;
    uint64_t at = 0;
    float *scores = take(base, &at, TOGETHER * KEYS * 4);
    s->keys = take(base, &at, KEYS * (uint64_t)ggl_act_q8_bytes((int64_t)n_dim));
    s->products = take(base, &at, panels * KEYS * LANES * 4);
    s->key = take(base, &at, n_dim * 4);
    for (int i = 0; i < TOGETHER; i++) {
        carve_searcher(node, base, &at, &s->of[i]);
        s->of[i].scores = base ? scores + i * KEYS : NULL;
    }
    return at;
}

static uint64_t scratch_of_thread(const struct ggl_node *node)
{
    struct select_scratch s;
    return carve(node, NULL, &s);
}

static uint64_t select_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * scratch_of_thread(node);
}

static const uint8_t *query_row(const struct ggl_node *node, int64_t t, int head)
{
    return node->src[0]->data + t * node->src[0]->width + (int64_t)head * node->p.index.format.bytes;
}

/* A token's queries for scans.  The plain scan is slower than products by blocks. */
static bool prepare_scan(const struct ggl_node *node, const struct ggl_run *run, int64_t t, struct searcher *s)
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

/* A token's queries as panels; `row` is scratch. */
static void prepare_panels(const struct ggl_node *node, const struct ggl_run *run, int64_t t, struct searcher *s, int8_t *row)
{
    const struct ggl_row_format *f = &node->p.index.format;
    s->has_panels = true;
    memset(s->panels, 0, (size_t)(n_panels(node)) * panel_bytes(node));
    for (int h = 0; h < node->p.index.heads; h++) {
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
static void prepare(const struct ggl_node *node, const struct ggl_run *run, int64_t t, struct searcher *s)
{
    const struct ggl_row_format *f = &node->p.index.format;
    const float *w = ggl_f32_row(node->src[1], t);
    memset(s->weights, 0, (size_t)n_panels(node) * LANES * 4);
    for (int h = 0; h < node->p.index.heads; h++) s->weights[h] = w[h] * node->p.index.scale;
    s->has_panels = s->has_scan = false;
    if (f->kind == GGL_ROW_FLOAT)
        for (int h = 0; h < node->p.index.heads; h++) ggl_row_decode(f, query_row(node, t, h), s->queries + (int64_t)h * f->n_dim);
    else s->has_scan = prepare_scan(node, run, t, s);
    ggl_top_k_begin(&s->best);
}

/* Scores of keys first .. first + n - 1, n <= KEYS, for `count` tokens that all have scans. */
static bool scan_keys(const struct ggl_node *node, const struct ggl_run *run, int count, int64_t first, int n, struct select_scratch *s)
{
    struct ggl_index_scan scan[TOGETHER];
    const uint8_t *rows[KEYS];
    for (int i = 0; i < count; i++) {
        if (!s->of[i].has_scan) return false;
        scan[i] = (struct ggl_index_scan){(int)n_panels(node), s->of[i].values, s->of[i].biased, s->of[i].gains};
    }
    for (int i = 0; i < n; i++) rows[i] = ggl_list_row(node->p.index.keys, first + i);
    return run->k->index_scan(scan, count, rows, n, s->of[0].scores, KEYS);
}

/* The same for token t alone, without a scan. */
static void score_keys(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int64_t first, int n, struct select_scratch *s,
                       struct searcher *of)
{
    static const struct ggl_panel_format format = {GGL_PANEL_X8, GGL_MXFP4_BIAS, NULL};
    const struct ggl_row_format *f = &node->p.index.format;
    int64_t stride = ggl_act_q8_bytes(f->n_dim);
    if (f->kind == GGL_ROW_FLOAT) {
        for (int i = 0; i < n; i++) {
            ggl_row_decode(f, ggl_list_row(node->p.index.keys, first + i), s->key);
            of->scores[i] = run->k->index_score_f32(run->k, of->queries, of->weights, s->key, node->p.index.heads, f->n_dim);
        }
        return;
    }
    if (!of->has_panels) prepare_panels(node, run, t, of, s->keys);
    for (int i = 0; i < n; i++) run->k->index_unpack(ggl_list_row(node->p.index.keys, first + i), f->n_dim, s->keys + i * stride);
    int64_t lanes = n_panels(node) * LANES;
    const struct ggl_act_q8 keys = {s->keys, f->n_dim, stride, 0, n};
    run->k->panel_mul(&format, of->panels, f->n_dim, &keys, s->products, lanes, (int)lanes);
    run->k->index_combine(s->products, lanes, of->weights, (int)n_panels(node), n, of->scores);
}

/* The best of keys from `begin` on for tokens t .. t + count - 1, of which token t + i sees those before end[i], and later ones no
 * fewer. */
static void search(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int count, int64_t begin, const int64_t *end,
                   struct select_scratch *s)
{
    for (int i = 0; i < count; i++) prepare(node, run, t + i, &s->of[i]);
    for (int64_t at = begin; at < end[count - 1] && !ggl_run_cancelled(run); at += KEYS) {
        const int n = (int)(end[count - 1] - at < KEYS ? end[count - 1] - at : KEYS);
        const bool scanned = scan_keys(node, run, count, at, n, s);
        for (int i = 0; i < count; i++) {
            const int mine = end[i] - at < n ? (int)(end[i] - at) : n;
            if (mine <= 0) continue;
            if (!scanned) score_keys(node, run, t + i, at, mine, s, &s->of[i]);
            ggl_top_k_add(&s->of[i].best, s->of[i].scores, mine, (int32_t)at);
        }
    }
    for (int i = 0; i < count; i++) ggl_top_k_settle(&s->of[i].best);
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
    carve(node, run->scratch + (uint64_t)i * scratch_of_thread(node), &s);
    ggl_top_k_begin(&s.of[0].best);
    memcpy(&s.of[0].best.n, s.of[0].scores, 4);
    return s.of[0].best;
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

static int32_t *choice(const struct ggl_node *node, int64_t t)
{
    return (int32_t *)(void *)node->data + t * node->width;
}

static void choose_all(int32_t n, int32_t *out)
{
    out[0] = n;
    for (int32_t i = 0; i < n; i++) out[1 + i] = i;
}

/* One token: every thread searches a share of the keys, then one merges. */
static void select_for_one(const struct ggl_node *node, const struct ggl_run *run, int phase, struct select_scratch *s)
{
    const int32_t n = visible(node, run, 0);
    if (n <= node->p.index.top_k) { /* no scores needed */
        if (!run->ith && !phase) choose_all(n, choice(node, 0));
    } else if (phase) {
        if (!run->ith) merge(node, run, choice(node, 0));
    } else {
        int64_t from, to;
        ggl_share(n, run->ith, run->nth, &from, &to);
        search(node, run, 0, 1, from, &to, s);
        memcpy(s->of[0].scores, &s->of[0].best.n, 4); /* for the merge */
    }
}

/* Tokens t .. t + count - 1. */
static void select_for_some(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int count, struct select_scratch *s)
{
    int64_t end[TOGETHER];
    int first = 0;
    for (; first < count && visible(node, run, t + first) <= node->p.index.top_k; first++)
        choose_all(visible(node, run, t + first), choice(node, t + first));
    for (int i = first; i < count; i++) end[i - first] = visible(node, run, t + i);
    if (first == count) return;
    search(node, run, t + first, count - first, 0, end, s);
    for (int i = first; i < count; i++) write_best(&s->of[i - first].best, choice(node, t + i));
}

/* Of several tokens each is one thread's. */
static void run_select(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    struct select_scratch s;
    carve(node, run->scratch + (uint64_t)run->ith * scratch_of_thread(node), &s);
    if (run->n_tokens == 1) {
        select_for_one(node, run, phase, &s);
        return;
    }
    if (phase) return;
    struct ggl_guided guided = ggl_guided_begin(run, run->n_tokens, TOGETHER);
    for (int64_t t, end; ggl_guided_next(&guided, &t, &end);)
        for (; t < end; t += TOGETHER) select_for_some(node, run, t, (int)(end - t < TOGETHER ? end - t : TOGETHER), &s);
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
    node->state[0] = keys, node->guided = true;
    return node;
}
