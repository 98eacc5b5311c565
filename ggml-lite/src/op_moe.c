/*
 * Routing and the mixture of experts.
 *
 * Tokens are grouped by expert; every thread computes its own rows of every
 * expert in ascending order, so a token's sum over experts has one order
 * whatever the number of threads or tokens.
 */
#include "graph_impl.h"

#include <string.h>

enum { ROWS = 16, MAX_USED = 64 };

/* ---- router */

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
    if (node) node->p.router.bias = bias, node->p.router.table = table, node->p.router.n_used = n_used;
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
    if (node) node->p.router.scale = scale;
    return node;
}

/* ---- experts */

/* Scratch: the (token, gain) pairs sorted by expert, the activations between the two products, and a tile a thread. */
struct moe_scratch {
    int32_t *first; /* [n_expert + 1] where an expert's pairs begin */
    int32_t *token; /* [n_tokens * n_used] */
    float *gain;    /* [n_tokens * n_used] */
    float *act;     /* [n_tokens * n_used][n_ff] */
    float *tile;    /* this thread's: 2 x [n_tokens * n_used][ROWS] */
    void *mat;      /* this thread's mul_mat scratch */
};

static uint64_t round64(uint64_t n)
{
    return (n + 63) & ~(uint64_t)63;
}

static uint64_t moe_layout(const struct ggl_node *node, int64_t n_tokens, int nth, int ith, uint8_t *base,
                           struct moe_scratch *s)
{
    uint64_t pairs = (uint64_t)(n_tokens * node->p.moe.n_used);
    uint64_t n_ff = (uint64_t)node->p.moe.gate->ne[1], n_embd = (uint64_t)node->p.moe.gate->ne[0];
    /* Both, because a wider row may take less: fewer of its rows make a tile. */
    uint64_t mat_in = ggl_mul_mat_scratch((int64_t)n_embd), mat_out = ggl_mul_mat_scratch((int64_t)n_ff);
    uint64_t mat = round64(mat_in > mat_out ? mat_in : mat_out);
    uint64_t first = round64(((uint64_t)node->p.moe.gate->ne[2] + 1) * 4), list = round64(pairs * 4);
    uint64_t act = round64(pairs * n_ff * 4), tile = round64(2 * pairs * ROWS * 4);
    if (s) {
        s->first = (int32_t *)(void *)base;
        s->token = (int32_t *)(void *)(base + first);
        s->gain = (float *)(void *)(base + first + list);
        s->act = (float *)(void *)(base + first + 2 * list);
        s->tile = (float *)(void *)(base + first + 2 * list + act + (uint64_t)ith * tile);
        s->mat = base + first + 2 * list + act + (uint64_t)nth * tile + (uint64_t)ith * mat;
    }
    return first + 2 * list + act + (uint64_t)nth * (tile + mat);
}

static uint64_t moe_scratch_bytes(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    return moe_layout(node, n_tokens, nth, 0, NULL, NULL);
}

/* Counting sort by expert; within an expert by token. */
static void group_by_expert(const struct ggl_node *node, const struct ggl_run *run, struct moe_scratch *s)
{
    int n_used = node->p.moe.n_used;
    int64_t n_expert = node->p.moe.gate->ne[2], pairs = run->n_tokens * n_used;
    const int32_t *experts = (const int32_t *)(const void *)node->src[1]->data;
    const float *gains = ggl_f32_row(node->src[2], 0);
    memset(s->first, 0, (size_t)(n_expert + 1) * 4);
    for (int64_t i = 0; i < pairs; i++) s->first[experts[i] + 1]++;
    for (int64_t e = 0; e < n_expert; e++) s->first[e + 1] += s->first[e];
    for (int64_t i = 0; i < pairs; i++) {
        int32_t at = s->first[experts[i]]++;
        s->token[at] = (int32_t)(i / n_used);
        s->gain[at] = gains[i];
    }
    for (int64_t e = n_expert; e > 0; e--) s->first[e] = s->first[e - 1];
    s->first[0] = 0;
}

static void gate_and_up(const struct ggl_node *node, const struct ggl_run *run, struct moe_scratch *s)
{
    const struct ggl_tensor *gate = node->p.moe.gate, *up = node->p.moe.up;
    int64_t n_embd = gate->ne[0], n_ff = gate->ne[1], begin, end;
    ggl_share(n_ff, run->ith, run->nth, &begin, &end);
    for (int64_t e = 0; e < gate->ne[2]; e++) {
        int64_t from = s->first[e], n = s->first[e + 1] - from;
        if (!n) continue;
        float *g = s->tile, *u = s->tile + n * ROWS;
        for (int64_t r = begin; r < end && !ggl_run_cancelled(run); r += ROWS) {
            int64_t rows = end - r < ROWS ? end - r : ROWS;
            run->k->mul_mat_f32(run->k, gate, e, r, r + rows, ggl_f32_row(node->src[0], 0), n_embd,
                                s->token + from, n, g, ROWS, s->mat);
            run->k->mul_mat_f32(run->k, up, e, r, r + rows, ggl_f32_row(node->src[0], 0), n_embd,
                                s->token + from, n, u, ROWS, s->mat);
            for (int64_t i = 0; i < n; i++)
                run->k->swiglu_f32(s->act + (from + i) * n_ff + r, g + i * ROWS, u + i * ROWS,
                                   node->p.moe.limit, s->gain[from + i], rows);
        }
    }
}

static void down_and_sum(const struct ggl_node *node, const struct ggl_run *run, struct moe_scratch *s)
{
    const struct ggl_tensor *down = node->p.moe.down;
    int64_t n_ff = down->ne[0], begin, end;
    ggl_share(node->width, run->ith, run->nth, &begin, &end);
    for (int64_t t = 0; t < run->n_tokens; t++) memset(ggl_f32_out(node, t) + begin, 0, (size_t)(end - begin) * 4);
    for (int64_t e = 0; e < down->ne[2]; e++) {
        int64_t from = s->first[e], n = s->first[e + 1] - from;
        for (int64_t r = begin; n && r < end && !ggl_run_cancelled(run); r += ROWS) {
            int64_t rows = end - r < ROWS ? end - r : ROWS;
            run->k->mul_mat_f32(run->k, down, e, r, r + rows, s->act + from * n_ff, n_ff, NULL, n, s->tile,
                                ROWS, s->mat);
            for (int64_t i = 0; i < n; i++) {
                float *y = ggl_f32_out(node, s->token[from + i]) + r;
                for (int64_t j = 0; j < rows; j++) y[j] += s->tile[i * ROWS + j];
            }
        }
    }
    if (!node->src[3]) return;
    for (int64_t t = 0; t < run->n_tokens; t++) {
        const float *shared = ggl_f32_row(node->src[3], t);
        float *y = ggl_f32_out(node, t);
        for (int64_t j = begin; j < end; j++) y[j] += shared[j];
    }
}

static void run_moe(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    struct moe_scratch s;
    moe_layout(node, run->n_tokens, run->nth, run->ith, run->scratch, &s);
    if (phase == 0 && run->ith == 0) group_by_expert(node, run, &s);
    if (phase == 1) gate_and_up(node, run, &s);
    if (phase == 2) down_and_sum(node, run, &s);
}

static const struct ggl_op op_moe = {"moe", 3, moe_scratch_bytes, run_moe};

struct ggl_node *ggl_moe(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *experts, struct ggl_node *gains,
                         struct ggl_node *shared, const struct ggl_tensor *gate, const struct ggl_tensor *up,
                         const struct ggl_tensor *down, float limit)
{
    if (!x || !experts || !gains) return NULL;
    if (x->width != gate->ne[0] || down->ne[0] != gate->ne[1] || down->ne[1] != x->width || up->ne[0] != gate->ne[0] ||
        up->ne[1] != gate->ne[1] || up->ne[2] != gate->ne[2] || down->ne[2] != gate->ne[2] ||
        (shared && shared->width != x->width) || experts->elem != GGL_ELEM_I32 || gains->width != experts->width)
        return ggl_graph_refuse(g, "moe", gate->name);
    struct ggl_node *node = ggl_node_new(g, &op_moe, GGL_ELEM_F32, x->width, 4,
                                         (struct ggl_node *[]){x, experts, gains, shared});
    if (!node) return NULL;
    node->p.moe.gate = gate, node->p.moe.up = up, node->p.moe.down = down;
    node->p.moe.limit = limit, node->p.moe.n_used = (int)experts->width;
    return node;
}
