/*
 * The indexer and compressed attention.  Only the rows that a query may see are
 * touched: the window, and the compressed entries that were chosen for it.
 */
#include "graph_impl.h"

#include <math.h>
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
    if (node) node->p.index.heads = heads, node->p.index.format = format;
    return node;
}

/* ---- index_select */

static int64_t select_floats(const struct ggl_node *node) /* queries, one key, head weights, kept scores */
{
    return (int64_t)(node->p.index.heads + 1) * node->p.index.format.n_dim + node->p.index.heads + node->p.index.top_k;
}

static uint64_t select_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * (uint64_t)select_floats(node) * 4;
}

static void select_best(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int32_t n_visible, int32_t *out)
{
    const struct ggl_row_format *f = &node->p.index.format;
    int heads = node->p.index.heads;
    float *q = (float *)(void *)run->scratch + (int64_t)run->ith * select_floats(node);
    float *key = q + (int64_t)heads * f->n_dim, *weights = key + f->n_dim;
    struct ggl_top_k best = {weights + heads, out + 1, 0, node->p.index.top_k};
    const float *w = ggl_f32_row(node->src[1], t);
    for (int h = 0; h < heads; h++) {
        ggl_row_decode(f, node->src[0]->data + t * node->src[0]->width + (int64_t)h * f->bytes, q + (int64_t)h * f->n_dim);
        weights[h] = w[h] * node->p.index.scale;
    }
    for (int32_t i = 0; i < n_visible; i++) {
        if (i % 1024 == 0 && ggl_run_cancelled(run)) break;
        ggl_row_decode(f, ggl_list_row(node->p.index.keys, i), key);
        ggl_top_k_push(&best, run->k->index_score_f32(run->k, q, weights, key, heads, f->n_dim), i);
    }
    ggl_top_k_sort_entries(&best);
    out[0] = best.n;
}

static void run_select(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++) {
        int32_t *out = (int32_t *)(void *)node->data + t * node->width;
        int32_t n_visible = (int32_t)((run->pos + t + 1) / node->p.index.ratio);
        if (n_visible <= node->p.index.top_k) { /* everything is chosen: no scores needed */
            out[0] = n_visible;
            for (int32_t i = 0; i < n_visible; i++) out[1 + i] = i;
        } else {
            select_best(node, run, t, n_visible, out);
        }
    }
}

static const struct ggl_op op_select = {"index_select", 1, select_scratch, run_select};

struct ggl_node *ggl_index_select(struct ggl_graph *g, struct ggl_node *query, struct ggl_node *weights,
                                  struct ggl_node *entries, const struct ggl_row_list *keys,
                                  struct ggl_row_format format, int heads, int top_k, int ratio, float scale)
{
    if (!query || !weights || !entries) return NULL;
    if (weights->width != heads || query->elem != GGL_ELEM_U8 ||
        query->width != (int64_t)heads * format.bytes || top_k < 1 || ratio < 1)
        return ggl_graph_refuse(g, "index_select", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_select, GGL_ELEM_I32, 1 + (int64_t)top_k, 3,
                                         (struct ggl_node *[]){query, weights, entries});
    if (!node) return NULL;
    node->p.index.format = format, node->p.index.keys = keys, node->p.index.heads = heads;
    node->p.index.top_k = top_k, node->p.index.ratio = ratio, node->p.index.scale = scale;
    return node;
}

/* ---- attention */

static int64_t attention_floats(const struct ggl_attention *a)
{
    return ((int64_t)GGL_ATTENTION_TILE + a->n_head) * a->n_dim + 2 * (int64_t)a->n_head;
}

static uint64_t attention_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * (uint64_t)attention_floats(&node->p.attention) * 4;
}

/* The i-th of the rows that a query at `pos` sees: the window, oldest first, then entries. */
struct visible {
    const struct ggl_node *node;
    const struct ggl_run *run;
    int64_t window_first, n_window, n_rows;
    const int32_t *chosen; /* NULL: all entries */
};

static struct visible visible_rows(const struct ggl_node *node, const struct ggl_run *run, int64_t t)
{
    const struct ggl_attention *a = &node->p.attention;
    int64_t pos = run->pos + t;
    struct visible v = {.node = node, .run = run};
    v.window_first = pos - a->window + 1 > 0 ? pos - a->window + 1 : 0;
    v.n_window = pos + 1 - v.window_first;
    int64_t n_entries = a->ratio ? (pos + 1) / a->ratio : 0;
    if (node->src[2]) {
        const int32_t *chosen = (const int32_t *)(const void *)node->src[2]->data + t * node->src[2]->width;
        n_entries = chosen[0];
        v.chosen = chosen + 1;
    }
    v.n_rows = v.n_window + n_entries;
    return v;
}

static const uint8_t *visible_row(const struct visible *v, int64_t i)
{
    const struct ggl_attention *a = &v->node->p.attention;
    if (i >= v->n_window) {
        i -= v->n_window;
        return ggl_list_row(a->entries, v->chosen ? v->chosen[i] : i);
    }
    int64_t pos = v->window_first + i, t = pos - v->run->pos;
    return t >= 0 ? v->node->src[1]->data + t * v->node->src[1]->width : ggl_ring_row(a->ring, pos);
}

static void attend(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int head, int n_head)
{
    const struct ggl_attention *a = &node->p.attention;
    float *rows = (float *)(void *)run->scratch + (int64_t)run->ith * attention_floats(a);
    float *acc = rows + (int64_t)GGL_ATTENTION_TILE * a->n_dim, *max = acc + (int64_t)a->n_head * a->n_dim;
    struct ggl_attention_state s = {n_head, a->n_dim, (float)(1.0 / sqrt((double)a->n_dim)), acc, max, max + a->n_head};
    struct visible v = visible_rows(node, run, t);
    const float *q = ggl_f32_row(node->src[0], t) + (int64_t)head * a->n_dim;
    run->k->attention_begin(&s);
    for (int64_t i = 0; i < v.n_rows && !ggl_run_cancelled(run); i += GGL_ATTENTION_TILE) {
        int n = (int)(v.n_rows - i < GGL_ATTENTION_TILE ? v.n_rows - i : GGL_ATTENTION_TILE);
        for (int j = 0; j < n; j++) ggl_row_decode(&a->format, visible_row(&v, i + j), rows + (int64_t)j * a->n_dim);
        run->k->attention_tile(run->k, &s, q, rows, n);
    }
    run->k->attention_end(&s, a->sinks + head, ggl_f32_out(node, t) + (int64_t)head * a->n_dim);
}

static void run_attention(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int n_head = node->p.attention.n_head;
    int64_t begin, end;
    if (run->n_tokens < run->nth) { /* few tokens: every thread takes some heads of each */
        ggl_share(n_head, run->ith, run->nth, &begin, &end);
        for (int64_t t = 0; t < run->n_tokens; t++)
            if (begin < end) attend(node, run, t, (int)begin, (int)(end - begin));
        return;
    }
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end && !ggl_run_cancelled(run); t++) attend(node, run, t, 0, n_head);
}

static const struct ggl_op op_attention = {"attention", 1, attention_scratch, run_attention};

struct ggl_node *ggl_attention(struct ggl_graph *g, struct ggl_node *q, struct ggl_node *rows,
                               struct ggl_node *selected, struct ggl_node *entries, const struct ggl_attention *a)
{
    if (!q || !rows) return NULL;
    if (q->width != (int64_t)a->n_head * a->n_dim || rows->elem != GGL_ELEM_U8 ||
        rows->width != (int64_t)a->format.bytes || a->window < 1 || (a->ratio && (!entries || !a->entries)))
        return ggl_graph_refuse(g, "attention", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_attention, GGL_ELEM_F32, q->width, 4,
                                         (struct ggl_node *[]){q, rows, selected, entries});
    if (node) node->p.attention = *a;
    return node;
}
