/*
 * Mixture of experts of one layer: the first layers route by token id, the
 * others by score plus bias; the gains always come from the scores alone.
 */
#include "graph.h"

struct ggl_node *v4_moe(struct v4_builder *b, int i, const char *tag, struct ggl_node *x)
{
    const struct v4_hparams *hp = b->hp;
    const struct v4_layer *l = &b->w->layers[i];
    struct ggl_graph *g = b->g;

    /* In groups that depend on the ones before, as in attention.c. */
    struct ggl_node *score = ggl_mul_mat(g, l->router, x, 1);
    struct ggl_node *gate = v4_linear(g, &l->gate_shexp, x, 1), *up = v4_linear(g, &l->up_shexp, x, 1);

    score = ggl_router_score(g, score);
    struct ggl_node *shared = ggl_swiglu(g, gate, up, hp->clamp_shared[i]);

    struct ggl_node *experts = ggl_router_select(g, score, l->router_bias, l->tid2eid, b->ids, hp->n_expert_used);
    ggl_name(experts, "%s.ffn.experts", tag);
    struct ggl_node *gains = ggl_router_gains(g, score, experts, hp->expert_scale);
    ggl_name(gains, "%s.ffn.gains", tag);

    shared = v4_linear(g, &l->down_shexp, shared, 1);
    struct ggl_node *y = (hp->fast ? ggl_moe_fast : ggl_moe)(g, x, experts, gains, shared, l->gate_exps, l->up_exps, l->down_exps, hp->clamp_expert[i]);
    return ggl_name(y, "%s.ffn.out", tag);
}
