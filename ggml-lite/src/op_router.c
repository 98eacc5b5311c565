/*
 * Routing: scores of the experts, the choice of some, and their gains.
 */
#include "graph_impl.h"

#include <string.h>

enum { MAX_USED = 64 };

static void run_score(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens * node->width, run->ith, run->nth, &begin, &end);
    run->k->router_score_f32(ggl_f32_out(node, 0) + begin, ggl_f32_row(node->src[0], 0) + begin, end - begin);
}

static const struct ggl_op op_score = {"router_score", 1, NULL, run_score};

struct ggl_node *ggl_router_score(struct ggl_graph *g, struct ggl_node *logits)
{
    return logits ? ggl_node_new(g, &op_score, GGL_ELEM_F32, logits->width, 1, &logits) : NULL;
}

static void run_route(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int n_used = node->p.router.n_used;
    int64_t begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++) {
        int32_t *out = (int32_t *)(void *)node->data + t * n_used;
        if (node->p.router.table) {
            int64_t token = ((const int32_t *)(const void *)node->src[1]->data)[t];
            memcpy(out, node->p.router.table + token * n_used, (size_t)n_used * 4);
        } else {
            run->k->router_top_k(out, n_used, ggl_f32_row(node->src[0], t), node->p.router.bias,
                                 (int)node->src[0]->width);
        }
    }
}

static const struct ggl_op op_route = {"router_select", 1, NULL, run_route};

struct ggl_node *ggl_router_select(struct ggl_graph *g, struct ggl_node *score, const float *bias,
                                   const int32_t *table, struct ggl_node *ids, int n_used)
{
    if (!score || !ids) return NULL;
    if (n_used < 1 || n_used > MAX_USED || n_used > score->width) return ggl_graph_refuse(g, "router_select", "experts");
    struct ggl_node *node = ggl_node_new(g, &op_route, GGL_ELEM_I32, n_used, 2, (struct ggl_node *[]){score, ids});
    if (!node) return NULL;
    node->p.router.bias = bias, node->p.router.table = table, node->p.router.n_used = n_used;
    node->parts = 1, node->part_src = 3;
    return node;
}

static void run_gains(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++)
        run->k->router_gains_f32(ggl_f32_out(node, t), ggl_f32_row(node->src[0], t),
                                 (const int32_t *)(const void *)node->src[1]->data + t * node->width,
                                 (int)node->width, node->p.router.scale);
}

static const struct ggl_op op_gains = {"router_gains", 1, NULL, run_gains};

struct ggl_node *ggl_router_gains(struct ggl_graph *g, struct ggl_node *score, struct ggl_node *experts, float scale)
{
    if (!score || !experts) return NULL;
    if (experts->elem != GGL_ELEM_I32 || experts->width > score->width)
        return ggl_graph_refuse(g, "router_gains", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_gains, GGL_ELEM_F32, experts->width, 2, (struct ggl_node *[]){score, experts});
    if (node) node->p.router.scale = scale, node->parts = 1, node->part_src = 3;
    return node;
}
