/*
 * What the matrices of a graph are multiplied with, shown to an observer row by
 * row after the product has run: for calibration, never in the way of a run
 * without one.  Float products only; those of packed matrices see rounded rows.
 */
#include "inputs.h"

#include <string.h>

#include "moe_impl.h"

enum product { NO_PRODUCT, MUL_MAT, MIX, MOE };

static enum product product_of(const struct ggl_node *node)
{
    const char *name = node->op->name;
    if (!strcmp(name, "mul_mat") || !strcmp(name, "mul_mat_grouped")) return MUL_MAT;
    if (!strcmp(name, "hc_mix")) return MIX;
    return strcmp(name, "moe") ? NO_PRODUCT : MOE;
}

bool ggl_has_inputs(const struct ggl_node *node)
{
    return product_of(node) != NO_PRODUCT;
}

static void show(const struct ggl_graph *g, const struct ggl_tensor *w, int64_t slice, const float *x)
{
    struct ggl_input_row row = {.w = w, .slice = slice, .x = x, .n = w->ne[0], .scale = 1};
    g->inputs(g->inputs_user, &row);
}

/* A row holds `repeat` vectors, of which a grouped product gives each to some rows of the matrix only. */
static void show_mul_mat(const struct ggl_graph *g, const struct ggl_node *node, int64_t n_tokens)
{
    const struct ggl_tensor *w = node->p.mat.w;
    for (int64_t i = 0; i < n_tokens * node->p.mat.repeat; i++) show(g, w, 0, ggl_f32_row(node->src[0], 0) + i * w->ne[0]);
}

static void show_mix(const struct ggl_graph *g, const struct ggl_node *node, int64_t n_tokens)
{
    const struct ggl_node *h = node->src[0];
    for (int64_t t = 0; t < n_tokens; t++) {
        struct ggl_input_row row = {.fn = node->p.hc.fn, .x = ggl_f32_row(h, t), .n = h->width};
        row.scale = g->kernels.rms_scale_f32(&g->kernels, row.x, row.n, node->p.hc.norm_eps);
        g->inputs(g->inputs_user, &row);
    }
}

/* The pairs grouped by expert, and behind them the rows between the two products, lie in the scratch (op_moe.c). */
static void show_moe(const struct ggl_graph *g, const struct ggl_node *node, int64_t n_tokens)
{
    struct ggl_moe_groups groups;
    uint8_t *scratch = g->arena + node->scratch_offset;
    const float *act = (const float *)(void *)(scratch + ggl_moe_groups_bytes(node, n_tokens));
    ggl_moe_groups_carve(node, n_tokens, scratch, &groups);
    for (int64_t e = 0; e < node->p.moe.gate->ne[2]; e++) {
        for (int64_t i = groups.first[e]; i < groups.first[e + 1]; i++) {
            const float *x = ggl_f32_row(node->src[0], groups.token[i]);
            show(g, node->p.moe.gate, e, x);
            show(g, node->p.moe.up, e, x);
            show(g, node->p.moe.down, e, act + i * node->p.moe.down->ne[0]);
        }
    }
}

void ggl_show_inputs(const struct ggl_graph *g, const struct ggl_node *node, int64_t n_tokens)
{
    switch (product_of(node)) {
    case MUL_MAT: show_mul_mat(g, node, n_tokens); break;
    case MIX: show_mix(g, node, n_tokens); break;
    case MOE: show_moe(g, node, n_tokens); break;
    default: break;
    }
}

void ggl_graph_set_inputs_fn(struct ggl_graph *g, ggl_inputs_fn *fn, void *user)
{
    g->inputs = fn;
    g->inputs_user = user;
}
