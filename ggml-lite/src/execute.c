/*
 * Running a graph: one parallel region a run, a barrier after each phase of
 * each node.  Operations split their own work; the executor only keeps order.
 */
#include "graph_impl.h"

#include <limits.h>
#include <string.h>
#include <time.h>

struct execution {
    const struct ggl_graph *g;
    int64_t n_tokens, pos;
    const atomic_bool *cancel;
    atomic_int last; /* the node after which all stop: thread 0 lowers it before a barrier of that very node, so that a
                        thread which is still before the node comes to the barrier too */
};

static void tap_node(struct execution *e, const struct ggl_node *node, const struct ggl_run *run)
{
    if (!node->name[0] || !e->g->tap) return;
    if (run->ith == 0 && atomic_load(&e->last) > node->index) e->g->tap(e->g->tap_user, node, e->n_tokens, e->pos);
    ggl_team_barrier(e->g->team);
}

static void run_node(struct execution *e, const struct ggl_node *node, struct ggl_run *run)
{
    run->scratch = e->g->arena + node->scratch_offset;
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        node->op->run(node, run, phase);
        if (run->ith == 0 && ggl_run_cancelled(run)) atomic_store(&e->last, node->index);
        ggl_team_barrier(e->g->team);
    }
    tap_node(e, node, run);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The operation's line; when the table is full, its last line takes all others. */
static struct ggl_profile_op *line_of(struct ggl_profile *p, const char *name)
{
    int i = 0;
    while (i < p->n_ops && strcmp(p->ops[i].name, name) != 0) i++;
    if (i == GGL_PROFILE_OPS) return &p->ops[i - 1];
    if (i == p->n_ops) p->ops[p->n_ops++] = (struct ggl_profile_op){.name = name};
    return &p->ops[i];
}

/* run_node for the thread that keeps the profile. */
static void time_node(struct execution *e, const struct ggl_node *node, struct ggl_run *run)
{
    struct ggl_profile_op *line = line_of(e->g->profile, node->op->name);
    line->calls++;
    run->scratch = e->g->arena + node->scratch_offset;
    double start = now();
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        node->op->run(node, run, phase);
        if (ggl_run_cancelled(run)) atomic_store(&e->last, node->index);
        double done = now();
        ggl_team_barrier(e->g->team);
        double after = now();
        line->run_s += done - start;
        line->wait_s += after - done;
        start = after;
    }
    tap_node(e, node, run);
}

static void run_thread(void *arg, int ith, int nth)
{
    struct execution *e = arg;
    struct ggl_run run = {ith, nth, e->n_tokens, e->pos, e->cancel, NULL, &e->g->kernels};
    void (*run_one)(struct execution *, const struct ggl_node *, struct ggl_run *) =
        ith == 0 && e->g->profile ? time_node : run_node;
    for (int i = 0; i < e->g->n_nodes && i <= atomic_load(&e->last); i++)
        if (e->g->nodes[i]->op) run_one(e, e->g->nodes[i], &run);
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
    /* A thread may have seen the flag and left its last work undone after thread 0 looked for the last time. */
    if (atomic_load(&e.last) != INT_MAX || (cancel && atomic_load(cancel)))
        return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    return GGL_OK;
}
