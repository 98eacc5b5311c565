/*
 * Hyper-connection operations: mixing weights, the weighted input of a block,
 * and the new streams after it.
 */
#include "graph_impl.h"

static struct ggl_tensor mix_weight(const struct ggl_node *node)
{
    int64_t n = node->src[0]->width;
    return (struct ggl_tensor){.type = GGL_TYPE_F32, .n_dims = 2, .ne = {n, node->width, 1, 1}, .row_bytes = (uint64_t)n * 4,
                               .slice_bytes = (uint64_t)(n * node->width) * 4, .data = (const uint8_t *)node->p.hc.fn};
}

static uint64_t mix_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return ggl_mul_mat_scratch(node->src[0]->width) * (uint64_t)nth;
}

/* Rows of fn times streams: rows are split when there are few tokens, and tokens otherwise. */
static void multiply(const struct ggl_node *node, const struct ggl_run *run)
{
    struct ggl_tensor w = mix_weight(node);
    void *scratch = run->scratch + ggl_mul_mat_scratch(w.ne[0]) * (uint64_t)run->ith;
    int64_t row0 = 0, row1 = w.ne[1], t0 = 0, t1 = run->n_tokens;
    if (run->n_tokens < 2 * run->nth) ggl_share(w.ne[1], run->ith, run->nth, &row0, &row1);
    else ggl_share(run->n_tokens, run->ith, run->nth, &t0, &t1);
    if (row0 < row1 && t0 < t1)
        ggl_products(run->k, node->p.hc.fused)(run->k, &w, 0, row0, row1, ggl_f32_row(node->src[0], t0), w.ne[0], NULL, t1 - t0,
                                               ggl_f32_out(node, t0) + row0, w.ne[1], scratch);
}

/* Phase 0: dot products with the rows of fn; phase 1: scale and balance, a token each. */
static void run_mix(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    const struct ggl_node *h = node->src[0];
    int64_t begin, end, n_mix = node->width;
    int hc = node->p.hc.hc;
    if (phase == 0) {
        multiply(node, run);
        return;
    }
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++) {
        float *mix = ggl_f32_out(node, t),
              scale = run->k->rms_scale_f32(run->k, ggl_f32_row(h, t), h->width, node->p.hc.norm_eps);
        for (int64_t j = 0; j < n_mix; j++) mix[j] *= scale;
        if (node->p.hc.iters)
            run->k->hc_split_f32(mix, node->p.hc.base, node->p.hc.scale, hc, node->p.hc.iters,
                                 node->p.hc.eps);
        else
            run->k->hc_head_f32(mix, node->p.hc.base, node->p.hc.scale[0], hc, node->p.hc.eps);
    }
}

static bool mix_reads(const struct ggl_node *node, const struct ggl_run *run, int done, struct ggl_ahead *first)
{
    int64_t n = node->src[0]->width, begin, end;
    ggl_share(node->width, run->ith, run->nth, &begin, &end);
    if (done) return false;
    if (run->n_tokens < 2 * run->nth) *first = ggl_ahead_from(node->p.hc.fn + begin * n, (end - begin) * n * 4);
    return true;
}

static const struct ggl_op op_mix = {"hc_mix", 2, mix_scratch, run_mix};

static struct ggl_node *mix_node(struct ggl_graph *g, struct ggl_node *h, int64_t width, const float *fn, const float *base,
                                 const float *scale, int hc, int iters, float eps, float norm_eps)
{
    if (!h) return NULL;
    if (hc < 1 || hc > GGL_MAX_HC || h->width % hc) return ggl_graph_refuse(g, "hc_mix", "streams");
    struct ggl_node *node = ggl_node_new(g, &op_mix, GGL_ELEM_F32, width, 1, &h);
    if (!node) return NULL;
    node->p.hc.fn = fn, node->p.hc.base = base, node->p.hc.scale = scale, node->p.hc.fused = g->fused;
    node->p.hc.hc = hc, node->p.hc.iters = iters, node->p.hc.eps = eps, node->p.hc.norm_eps = norm_eps;
    node->reads = mix_reads;
    return node;
}

struct ggl_node *ggl_hc_mix(struct ggl_graph *g, struct ggl_node *h, const float *fn, const float *base,
                            const float *scale, int hc, int iters, float eps, float norm_eps)
{
    if (iters < 1) return ggl_graph_refuse(g, "hc_mix", "iterations");
    return mix_node(g, h, (2 + (int64_t)hc) * hc, fn, base, scale, hc, iters, eps, norm_eps);
}

struct ggl_node *ggl_hc_head_mix(struct ggl_graph *g, struct ggl_node *h, const float *fn, const float *base,
                                 const float *scale, int hc, float eps, float norm_eps)
{
    return mix_node(g, h, hc, fn, base, scale, hc, 0, eps, norm_eps);
}

/* Elements [begin, end) of token t for this thread's share of all elements. */
static bool next_piece(int64_t n, int64_t *at, int64_t last, int64_t *t, int64_t *begin,
                       int64_t *end)
{
    if (*at >= last) return false;
    *t = *at / n;
    *begin = *at % n;
    *end = last - *t * n < n ? last - *t * n : n;
    *at = *t * n + *end;
    return true;
}

static void run_pre(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t at, last, t, begin, end;
    ggl_share(run->n_tokens * node->width, run->ith, run->nth, &at, &last);
    while (next_piece(node->width, &at, last, &t, &begin, &end))
        run->k->hc_pre_f32(ggl_f32_out(node, t), ggl_f32_row(node->src[0], t), ggl_f32_row(node->src[1], t),
                           node->p.hc.hc, node->width, begin, end);
}

static const struct ggl_op op_pre = {"hc_pre", 1, NULL, run_pre};

struct ggl_node *ggl_hc_pre(struct ggl_graph *g, struct ggl_node *h, struct ggl_node *mix, int hc)
{
    if (!h || !mix) return NULL;
    if (hc < 1 || h->width % hc || mix->width < hc) return ggl_graph_refuse(g, "hc_pre", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_pre, GGL_ELEM_F32, h->width / hc, 2, (struct ggl_node *[]){h, mix});
    if (node) node->p.hc.hc = hc;
    return node;
}

static void run_post(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int hc = node->p.hc.hc;
    int64_t at, last, t, begin, end, n = node->width / hc;
    ggl_share(run->n_tokens * n, run->ith, run->nth, &at, &last);
    while (next_piece(n, &at, last, &t, &begin, &end)) {
        const float *mix = ggl_f32_row(node->src[2], t);
        run->k->hc_post_f32(ggl_f32_out(node, t), ggl_f32_row(node->src[0], t), ggl_f32_row(node->src[1], t),
                            mix + hc, mix + 2 * hc, hc, n, begin, end);
    }
}

static const struct ggl_op op_post = {"hc_post", 1, NULL, run_post};

struct ggl_node *ggl_hc_post(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *h, struct ggl_node *mix, int hc)
{
    if (!x || !h || !mix) return NULL;
    if (hc < 1 || x->width * hc != h->width || mix->width != (2 + (int64_t)hc) * hc)
        return ggl_graph_refuse(g, "hc_post", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_post, GGL_ELEM_F32, h->width, 3, (struct ggl_node *[]){x, h, mix});
    if (node) node->p.hc.hc = hc;
    return node;
}
