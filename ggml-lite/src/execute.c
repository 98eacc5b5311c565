/*
 * Running a graph: one parallel region a run, a barrier after each phase of
 * each node.  Operations split their own work; the executor only keeps order.
 */
#include "graph_impl.h"

struct execution {
    const struct ggl_graph *g;
    int64_t n_tokens, pos;
    const atomic_bool *cancel;
    atomic_bool stop;
};

/* A cancelled run still meets at every barrier: threads that left at different nodes would wait for ever. */
static void run_node(struct execution *e, const struct ggl_node *node, struct ggl_run *run)
{
    run->scratch = e->g->arena + node->scratch_offset;
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        if (!ggl_run_cancelled(run)) node->op->run(node, run, phase);
        ggl_team_barrier(e->g->team);
    }
    if (!node->name[0] || !e->g->tap) return;
    if (run->ith == 0 && !ggl_run_cancelled(run)) e->g->tap(e->g->tap_user, node, e->n_tokens, e->pos);
    ggl_team_barrier(e->g->team);
}

static void run_thread(void *arg, int ith, int nth)
{
    struct execution *e = arg;
    struct ggl_run run = {ith, nth, e->n_tokens, e->pos, e->cancel, &e->stop, NULL, &e->g->kernels};
    for (int i = 0; i < e->g->n_nodes; i++)
        if (e->g->nodes[i]->op) run_node(e, e->g->nodes[i], &run);
}

static const struct ggl_node *unbound_input(const struct ggl_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->op && !g->nodes[i]->data && g->nodes[i]->last_use > i) return g->nodes[i];
    return NULL;
}

enum ggl_status ggl_graph_compute(struct ggl_graph *g, int64_t n_tokens, int64_t pos, const atomic_bool *cancel,
                                  struct ggl_error *err)
{
    if (!g->arena || n_tokens < 1 || n_tokens > g->n_tokens_max || pos < 0)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: %lld tokens at %lld",
                        (long long)n_tokens, (long long)pos);
    if (unbound_input(g))
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: input %d has no data",
                        unbound_input(g)->index);
    struct execution e = {g, n_tokens, pos, cancel, false};
    enum ggl_status s = ggl_team_run(g->team, run_thread, &e, err);
    if (s) return s;
    if (atomic_load(&e.stop)) return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    return GGL_OK;
}
