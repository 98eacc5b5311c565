/*
 * Operations that know nothing of the model: rows from a table, norms, matrix
 * products, sums, rotation.
 */
#include "graph_impl.h"

#include <string.h>

/* Rows that a thread computes before it looks at the cancel flag again, and that kernels take together. */
enum { CANCEL_ROWS = 64, ROWS = 16 };

/* ---- embed */

static void run_embed(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_tensor *table = node->p.mat.w;
    const int32_t *ids = (const int32_t *)(const void *)node->src[0]->data;
    int64_t begin, end, n = table->ne[0];
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++) {
        float *y = ggl_f32_out(node, t);
        run->k->decode_row(table, 0, ids[t], y);
        for (int r = 1; r < node->p.mat.repeat; r++) memcpy(y + r * n, y, (size_t)n * 4);
    }
}

static const struct ggl_op op_embed = {"embed", 1, NULL, run_embed};

struct ggl_node *ggl_embed(struct ggl_graph *g, const struct ggl_tensor *table, struct ggl_node *ids, int repeat)
{
    if (!ids) return NULL;
    if (ids->elem != GGL_ELEM_I32 || ids->width != 1 || repeat < 1)
        return ggl_graph_refuse(g, "embed", "ids must be i32 [1, T]");
    struct ggl_node *node = ggl_node_new(g, &op_embed, GGL_ELEM_F32, table->ne[0] * repeat, 1, &ids);
    if (node) node->p.mat.w = table, node->p.mat.repeat = repeat, node->parts = 1;
    return node;
}

/* ---- rope table and rope */

static void run_rope_table(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++)
        run->k->rope_angles(ggl_f32_out(node, t), node->p.table.freqs, node->p.table.n_freq, run->pos + t);
}

static const struct ggl_op op_rope_table = {"rope_table", 1, NULL, run_rope_table};

struct ggl_node *ggl_rope_table(struct ggl_graph *g, const float *freqs, int n_freq)
{
    struct ggl_node *node = ggl_node_new(g, &op_rope_table, GGL_ELEM_F32, 2 * (int64_t)n_freq, 0, NULL);
    if (node) node->p.table.freqs = freqs, node->p.table.n_freq = n_freq, node->parts = 1;
    return node;
}

static void run_rope(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int n_dim = node->p.rope.n_dim, n_rope = node->p.rope.n_rope;
    int64_t heads = node->width / n_dim, begin, end;
    ggl_share(run->n_tokens * heads, run->ith, run->nth, &begin, &end);
    const float *x = ggl_f32_row(node->src[0], 0);
    float *y = ggl_f32_out(node, 0);
    for (int64_t i = begin; i < end; i++) {
        if (y != x) memcpy(y + i * n_dim, x + i * n_dim, (size_t)n_dim * 4);
        run->k->rope_f32(y + (i + 1) * n_dim - n_rope, ggl_f32_row(node->src[1], i / heads), n_rope,
                         node->p.rope.inverse);
    }
}

static const struct ggl_op op_rope = {"rope", 1, NULL, run_rope};

struct ggl_node *ggl_rope(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *table, int n_dim, int n_rope,
                          bool inverse)
{
    if (!x || !table) return NULL;
    if (n_dim < 1 || n_rope > n_dim || n_rope % 2 || x->width % n_dim || table->width != n_rope)
        return ggl_graph_refuse(g, "rope", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_rope, GGL_ELEM_F32, x->width, 2, (struct ggl_node *[]){x, table});
    if (!node) return NULL;
    node->p.rope.n_dim = n_dim, node->p.rope.n_rope = n_rope, node->p.rope.inverse = inverse;
    node->parts = x->width / n_dim, node->in_place = true;
    node->part_src = node->parts == 1 ? 3 : 1; /* the table's row is for all heads of a token */
    return node;
}

/* ---- rms_norm */

static void run_rms_norm(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t group = node->p.norm.group, begin, end;
    ggl_share(run->n_tokens * (node->width / group), run->ith, run->nth, &begin, &end);
    const float *x = ggl_f32_row(node->src[0], 0);
    float *y = ggl_f32_out(node, 0);
    for (int64_t i = begin; i < end; i++)
        run->k->rms_norm_f32(run->k, y + i * group, x + i * group, node->p.norm.w, group, node->p.norm.eps);
}

static const struct ggl_op op_rms_norm = {"rms_norm", 1, NULL, run_rms_norm};

struct ggl_node *ggl_rms_norm(struct ggl_graph *g, struct ggl_node *x, const float *w, int64_t group, float eps)
{
    if (!x) return NULL;
    if (!group) group = x->width;
    if (group < 1 || x->width % group) return ggl_graph_refuse(g, "rms_norm", "groups must divide the row");
    struct ggl_node *node = ggl_node_new(g, &op_rms_norm, GGL_ELEM_F32, x->width, 1, &x);
    if (!node) return NULL;
    node->p.norm.w = w, node->p.norm.group = group, node->p.norm.eps = eps;
    node->parts = x->width / group, node->part_src = 1, node->in_place = true;
    return node;
}

/* ---- mul_mat */

static uint64_t mul_mat_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return ggl_mul_mat_scratch(node->p.mat.w->ne[0]) * (uint64_t)nth;
}

static void run_mul_mat(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_tensor *w = node->p.mat.w;
    int64_t n_in = w->ne[0], n_out = w->ne[1];
    void *scratch = run->scratch + ggl_mul_mat_scratch(n_in) * (uint64_t)run->ith;
    struct ggl_guided guided = ggl_guided_begin(run, (n_out + ROWS - 1) / ROWS, 1);
    for (int64_t begin, end; ggl_guided_next(&guided, &begin, &end);) {
        int64_t stop = end * ROWS < n_out ? end * ROWS : n_out;
        for (int64_t r = begin * ROWS; r < stop && !ggl_run_cancelled(run); r += CANCEL_ROWS) {
            int64_t last = stop - r < CANCEL_ROWS ? stop : r + CANCEL_ROWS;
            ggl_products(run->k, node->p.mat.fused)(run->k, w, 0, r, last, ggl_f32_row(node->src[0], 0), n_in, NULL,
                                                    run->n_tokens * node->p.mat.repeat, ggl_f32_out(node, 0) + r, n_out, scratch);
        }
    }
}

static bool reads(const struct ggl_node *node, const struct ggl_run *run, int done, struct ggl_ahead *first)
{
    const struct ggl_tensor *w = node->p.mat.w;
    int64_t begin, end;
    ggl_share((w->ne[1] + ROWS - 1) / ROWS, run->ith, run->nth, &begin, &end);
    if (done) return false;
    *first = ggl_ahead_from(ggl_tensor_slice(w, 0) + (uint64_t)(begin * ROWS) * w->row_bytes,
                            (end - begin) * ROWS * (int64_t)w->row_bytes);
    return true;
}

static const struct ggl_op op_mul_mat = {"mul_mat", 1, mul_mat_scratch, run_mul_mat};

struct ggl_node *ggl_mul_mat(struct ggl_graph *g, const struct ggl_tensor *w, struct ggl_node *x, int repeat)
{
    if (!x) return NULL;
    if (x->elem != GGL_ELEM_F32 || repeat < 1 || x->width != w->ne[0] * repeat)
        return ggl_graph_refuse(g, "mul_mat", w->name);
    struct ggl_node *node = ggl_node_new(g, &op_mul_mat, GGL_ELEM_F32, w->ne[1] * repeat, 1, &x);
    if (node) node->p.mat.w = w, node->p.mat.repeat = repeat, node->p.mat.fused = g->fused, node->guided = true, node->reads = reads;
    return node;
}

static void run_mul_mat_grouped(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_tensor *w = node->p.mat.w;
    int64_t n_in = w->ne[0], n_out = w->ne[1], groups = node->p.mat.repeat, rows = n_out / groups;
    void *scratch = run->scratch + ggl_mul_mat_scratch(n_in) * (uint64_t)run->ith;
    struct ggl_guided guided = ggl_guided_begin(run, n_out, ROWS);
    for (int64_t r, end; ggl_guided_next(&guided, &r, &end);) {
        for (int64_t last; r < end && !ggl_run_cancelled(run); r = last) {
            int64_t group = r / rows;
            last = r + CANCEL_ROWS;
            if (last > (group + 1) * rows) last = (group + 1) * rows;
            if (last > end) last = end;
            ggl_products(run->k, node->p.mat.fused)(run->k, w, 0, r, last, ggl_f32_row(node->src[0], 0) + group * n_in, n_in * groups,
                                                    NULL, run->n_tokens, ggl_f32_out(node, 0) + r, n_out, scratch);
        }
    }
}

static const struct ggl_op op_mul_mat_grouped = {"mul_mat_grouped", 1, mul_mat_scratch, run_mul_mat_grouped};

struct ggl_node *ggl_mul_mat_grouped(struct ggl_graph *g, const struct ggl_tensor *w, struct ggl_node *x, int groups)
{
    if (!x) return NULL;
    if (x->elem != GGL_ELEM_F32 || groups < 1 || x->width != w->ne[0] * groups || w->ne[1] % groups)
        return ggl_graph_refuse(g, "mul_mat_grouped", w->name);
    struct ggl_node *node = ggl_node_new(g, &op_mul_mat_grouped, GGL_ELEM_F32, w->ne[1], 1, &x);
    if (node) node->p.mat.w = w, node->p.mat.repeat = groups, node->p.mat.fused = g->fused, node->guided = true;
    return node;
}

/* ---- add, swiglu */

static void run_add(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t narrow = node->src[1]->width, begin, end;
    ggl_share(run->n_tokens * (node->width / narrow), run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *a = ggl_f32_row(node->src[0], 0) + i * narrow;
        const float *b = ggl_f32_row(node->src[1], i / (node->width / narrow));
        float *y = ggl_f32_out(node, 0) + i * narrow;
        for (int64_t j = 0; j < narrow; j++) y[j] = a[j] + b[j];
    }
}

static const struct ggl_op op_add = {"add", 1, NULL, run_add};

struct ggl_node *ggl_add(struct ggl_graph *g, struct ggl_node *a, struct ggl_node *b)
{
    if (!a || !b) return NULL;
    if (b->width < 1 || a->width % b->width) return ggl_graph_refuse(g, "add", "shapes");
    return ggl_node_new(g, &op_add, GGL_ELEM_F32, a->width, 2, (struct ggl_node *[]){a, b});
}

static void run_swiglu(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens * node->width, run->ith, run->nth, &begin, &end);
    run->k->swiglu_f32(ggl_f32_out(node, 0) + begin, ggl_f32_row(node->src[0], 0) + begin,
                       ggl_f32_row(node->src[1], 0) + begin, node->p.limit, 1.0f, end - begin);
}

static const struct ggl_op op_swiglu = {"swiglu", 1, NULL, run_swiglu};

struct ggl_node *ggl_swiglu(struct ggl_graph *g, struct ggl_node *gate, struct ggl_node *up, float limit)
{
    if (!gate || !up) return NULL;
    if (gate->width != up->width) return ggl_graph_refuse(g, "swiglu", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_swiglu, GGL_ELEM_F32, gate->width, 2, (struct ggl_node *[]){gate, up});
    if (node) node->p.limit = limit;
    return node;
}
