/*
 * Running a graph: one parallel region a run, a barrier after each phase of
 * each node.  Operations split their own work; the executor only keeps order.
 */
#include "graph_impl.h"

#include <limits.h>

struct execution {
    const struct ggl_graph *g;
    int64_t n_tokens, pos;
    const atomic_bool *cancel;
    /* The node before which all stop.  Thread 0 sets it to the node after the one it is in: a thread that lags
     * behind and reads it early still runs that node, where thread 0 waits for it. */
    atomic_int stop;
};

static void run_node(struct execution *e, int i, struct ggl_run *run)
{
    const struct ggl_node *node = e->g->nodes[i];
    run->scratch = e->g->arena + node->scratch_offset;
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        node->op->run(node, run, phase);
        if (run->ith == 0 && ggl_run_cancelled(run)) atomic_store(&e->stop, i + 1);
        ggl_team_barrier(e->g->team);
    }
    if (!node->name[0] || !e->g->tap) return;
    if (run->ith == 0 && atomic_load(&e->stop) > i + 1) e->g->tap(e->g->tap_user, node, e->n_tokens, e->pos);
    ggl_team_barrier(e->g->team);
}

static void run_thread(void *arg, int ith, int nth)
{
    struct execution *e = arg;
    struct ggl_run run = {ith, nth, e->n_tokens, e->pos, e->cancel, NULL, &e->g->kernels};
    for (int i = 0; i < e->g->n_nodes && i < atomic_load(&e->stop); i++)
        if (e->g->nodes[i]->op) run_node(e, i, &run);
}

enum ggl_status ggl_graph_compute(struct ggl_graph *g, int64_t n_tokens, int64_t pos, const atomic_bool *cancel,
                                  struct ggl_error *err)
{
    if (!g->arena || n_tokens < 1 || n_tokens > g->n_tokens_max || pos < 0)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: %lld tokens at %lld",
                        (long long)n_tokens, (long long)pos);
    struct execution e = {g, n_tokens, pos, cancel, INT_MAX};
    enum ggl_status s = ggl_team_run(g->team, run_thread, &e, err);
    if (s) return s;
    /* A member may have left its last tile half done after thread 0 had looked at the flag for the last time. */
    if (atomic_load(&e.stop) != INT_MAX || (cancel && atomic_load(cancel)))
        return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    return GGL_OK;
}
