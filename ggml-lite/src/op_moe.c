/*
 * The mixture of experts with float activations.
 *
 * Tokens are grouped by expert; every thread computes its own rows of every
 * expert in ascending order, so a token's sum over experts has one order
 * whatever the number of threads or tokens.
 */
#include "moe_impl.h"

#include <string.h>

enum { ROWS = 16 };

struct moe_scratch {
    struct ggl_moe_groups groups;
    float *act;  /* [n_tokens * n_used][n_ff] activations between the two products */
    float *tile; /* this thread's: 2 x [n_tokens * n_used][ROWS] */
    void *mat;   /* this thread's mul_mat scratch */
};

static uint64_t round64(uint64_t n)
{
    return (n + 63) & ~(uint64_t)63;
}

uint64_t ggl_moe_groups_bytes(const struct ggl_node *node, int64_t n_tokens)
{
    uint64_t pairs = (uint64_t)(n_tokens * node->p.moe.n_used);
    return 2 * round64(((uint64_t)node->p.moe.gate->ne[2] + 1) * 4) + 2 * round64(pairs * 4);
}

void ggl_moe_groups_carve(const struct ggl_node *node, int64_t n_tokens, uint8_t *base, struct ggl_moe_groups *g)
{
    uint64_t first = round64(((uint64_t)node->p.moe.gate->ne[2] + 1) * 4);
    uint64_t list = round64((uint64_t)(n_tokens * node->p.moe.n_used) * 4);
    g->first = (int32_t *)(void *)base;
    g->used = (int32_t *)(void *)(base + first);
    g->token = (int32_t *)(void *)(base + 2 * first);
    g->gain = (float *)(void *)(base + 2 * first + list);
}

static uint64_t moe_layout(const struct ggl_node *node, int64_t n_tokens, int nth, int ith, uint8_t *base,
                           struct moe_scratch *s)
{
    uint64_t pairs = (uint64_t)(n_tokens * node->p.moe.n_used), groups = ggl_moe_groups_bytes(node, n_tokens);
    uint64_t n_ff = (uint64_t)node->p.moe.gate->ne[1], n_embd = (uint64_t)node->p.moe.gate->ne[0];
    /* Both, because a wider row may take less: fewer of its rows make a tile. */
    uint64_t mat_in = ggl_mul_mat_scratch((int64_t)n_embd), mat_out = ggl_mul_mat_scratch((int64_t)n_ff);
    uint64_t mat = round64(mat_in > mat_out ? mat_in : mat_out);
    uint64_t act = round64(pairs * n_ff * 4), tile = round64(2 * pairs * ROWS * 4);
    if (s) {
        ggl_moe_groups_carve(node, n_tokens, base, &s->groups);
        s->act = (float *)(void *)(base + groups);
        s->tile = (float *)(void *)(base + groups + act + (uint64_t)ith * tile);
        s->mat = base + groups + act + (uint64_t)nth * tile + (uint64_t)ith * mat;
    }
    return groups + act + (uint64_t)nth * (tile + mat);
}

static uint64_t moe_scratch_bytes(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    return moe_layout(node, n_tokens, nth, 0, NULL, NULL);
}

/* Counting sort by expert; within an expert by token. */
void ggl_moe_group(const struct ggl_node *node, const struct ggl_run *run, struct ggl_moe_groups *g)
{
    int n_used = node->p.moe.n_used;
    int64_t n_expert = node->p.moe.gate->ne[2], pairs = run->n_tokens * n_used;
    const int32_t *experts = (const int32_t *)(const void *)node->src[1]->data;
    const float *gains = ggl_f32_row(node->src[2], 0);
    memset(g->first, 0, (size_t)(n_expert + 1) * 4);
    for (int64_t i = 0; i < pairs; i++) g->first[experts[i] + 1]++;
    for (int64_t e = 0; e < n_expert; e++) g->first[e + 1] += g->first[e];
    for (int64_t i = 0; i < pairs; i++) {
        int32_t at = g->first[experts[i]]++;
        g->token[at] = (int32_t)(i / n_used);
        g->gain[at] = gains[i];
    }
    for (int64_t e = n_expert; e > 0; e--) g->first[e] = g->first[e - 1];
    g->first[0] = g->used[0] = 0;
    for (int32_t e = 0; e < n_expert; e++)
        if (g->first[e] < g->first[e + 1]) g->used[++g->used[0]] = e;
}

static void gate_and_up(const struct ggl_node *node, const struct ggl_run *run, struct moe_scratch *s)
{
    const struct ggl_tensor *gate = node->p.moe.gate, *up = node->p.moe.up;
    int64_t n_embd = gate->ne[0], n_ff = gate->ne[1], begin, end;
    ggl_share(n_ff, run->ith, run->nth, &begin, &end);
    for (int64_t e = 0; e < gate->ne[2]; e++) {
        int64_t from = s->groups.first[e], n = s->groups.first[e + 1] - from;
        if (!n) continue;
        float *g = s->tile, *u = s->tile + n * ROWS;
        for (int64_t r = begin; r < end && !ggl_run_cancelled(run); r += ROWS) {
            int64_t rows = end - r < ROWS ? end - r : ROWS;
            run->k->mul_mat_f32(run->k, gate, e, r, r + rows, ggl_f32_row(node->src[0], 0), n_embd,
                                s->groups.token + from, n, g, ROWS, s->mat);
            run->k->mul_mat_f32(run->k, up, e, r, r + rows, ggl_f32_row(node->src[0], 0), n_embd,
                                s->groups.token + from, n, u, ROWS, s->mat);
            for (int64_t i = 0; i < n; i++)
                run->k->swiglu_f32(s->act + (from + i) * n_ff + r, g + i * ROWS, u + i * ROWS,
                                   node->p.moe.limit, s->groups.gain[from + i], rows);
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
        int64_t from = s->groups.first[e], n = s->groups.first[e + 1] - from;
        for (int64_t r = begin; n && r < end && !ggl_run_cancelled(run); r += ROWS) {
            int64_t rows = end - r < ROWS ? end - r : ROWS;
            run->k->mul_mat_f32(run->k, down, e, r, r + rows, s->act + from * n_ff, n_ff, NULL, n, s->tile,
                                ROWS, s->mat);
            for (int64_t i = 0; i < n; i++) {
                float *y = ggl_f32_out(node, s->groups.token[from + i]) + r;
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
    if (phase == 0 && run->ith == 0) ggl_moe_group(node, run, &s.groups);
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
    node->late_src = 1u << 3; /* shared: the other sources start without waiting for it */
    return node;
}
