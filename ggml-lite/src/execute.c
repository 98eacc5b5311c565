/*
 * Running a graph: one parallel region a run, a barrier after each step (steps.c).
 * Operations split their own work; the executor only keeps order.
 */
#include "inputs.h"

#include <string.h>
#include <time.h>

struct execution {
    const struct ggl_graph *g;
    int64_t n_tokens, pos;
    const atomic_bool *cancel;
    atomic_bool stop;
};

static bool tapped(const struct execution *e, const struct ggl_node *node)
{
    return (e->g->tap && node->name[0]) || (e->g->inputs && ggl_has_inputs(node));
}

/* Whether all threads meet after a phase; an observer sees the whole node. */
static bool meet_after(const struct execution *e, const struct ggl_node *node, int phase)
{
    return phase + 1 < node->op->n_phases || ggl_ends_step(e->g, node) || tapped(e, node);
}

static void tap_node(struct execution *e, const struct ggl_node *node, const struct ggl_run *run)
{
    if (!tapped(e, node)) return;
    if (run->ith == 0 && !ggl_run_cancelled(run)) {
        if (e->g->inputs) ggl_show_inputs(e->g, node, e->n_tokens);
        if (e->g->tap && node->name[0]) e->g->tap(e->g->tap_user, node, e->n_tokens, e->pos);
    }
    ggl_team_barrier(e->g->team);
}

static void run_phase(const struct execution *e, const struct ggl_node *node, struct ggl_run *run, int phase)
{
    run->scratch = e->g->arena + node->scratch_offset;
    run->given = e->g->given + node->first_given + phase * run->nth;
    if (!ggl_run_cancelled(run)) node->op->run(node, run, phase);
}

/* What a thread fetches while it waits, and how far it has come, from barrier to barrier. */
struct reading {
    const uint8_t *start;
    struct ggl_ahead left;
};

/* After `done` phases of a node. */
static void look_ahead(const struct ggl_node *node, const struct ggl_run *run, int done, struct reading *r)
{
    struct ggl_ahead first = {NULL, NULL};
    if ((!node->reads || !node->reads(node, run, done, &first)) && node->next_reader)
        node->next_reader->reads(node->next_reader, run, 0, &first);
    if (first.p != r->start) *r = (struct reading){first.p, first};
}

static void meet(const struct execution *e, const struct ggl_node *node, const struct ggl_run *run, int phase, struct reading *r)
{
    if (!ggl_run_cancelled(run)) look_ahead(node, run, phase + 1, r); /* a cancelled one may have left out what that looks at */
    ggl_team_barrier_ahead(e->g->team, &r->left);
}

/* A cancelled run still meets at every barrier: threads that left at different nodes would wait for ever. */
static void run_node(struct execution *e, const struct ggl_node *node, struct ggl_run *run, struct reading *r)
{
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        run_phase(e, node, run, phase);
        if (meet_after(e, node, phase)) meet(e, node, run, phase, r);
    }
    tap_node(e, node, run);
}

/* ---- profile */

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
static void time_node(struct execution *e, const struct ggl_node *node, struct ggl_run *run, struct reading *r)
{
    struct ggl_profile_op *line = line_of(e->g->profile, node->op->name);
    line->calls++;
    e->g->profile->nodes++;
    double start = now();
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        run_phase(e, node, run, phase);
        double done = now(), after = done;
        if (meet_after(e, node, phase)) {
            meet(e, node, run, phase, r);
            after = now();
            e->g->profile->barriers++;
        }
        line->run_s += done - start;
        line->wait_s += after - done;
        start = after;
    }
    tap_node(e, node, run);
}

/* ---- running */

static void run_thread(void *arg, int ith, int nth)
{
    struct execution *e = arg;
    struct ggl_run run = {.ith = ith, .nth = nth, .n_tokens = e->n_tokens, .pos = e->pos, .cancel = e->cancel, .stop = &e->stop,
                          .k = &e->g->kernels, .domains = &e->g->domains, .number = e->g->number};
    struct reading reading = {NULL, {NULL, NULL}};
    void (*run_one)(struct execution *, const struct ggl_node *, struct ggl_run *, struct reading *) =
        ith == 0 && e->g->profile ? time_node : run_node;
    for (int i = 0; i < e->g->n_nodes; i++)
        if (e->g->nodes[i]->op) run_one(e, e->g->nodes[i], &run, &reading);
}

/* A new number makes all shares whole again. */
static void take_back_shares(struct ggl_graph *g)
{
    if (++g->number) return;
    for (int i = 0; i < g->n_given; i++) atomic_store_explicit(&g->given[i].taken, 0, memory_order_relaxed);
    g->number = 1;
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
    if (g->profile) g->profile->runs++;
    take_back_shares(g);
    enum ggl_status s = ggl_team_run(g->team, run_thread, &e, err);
    if (s) return s;
    if (atomic_load(&e.stop)) return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    return GGL_OK;
}
