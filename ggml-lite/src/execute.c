/*
 * Running graphs: one parallel region a run, a barrier after each step (steps.c).
 * Operations split their own work; the executor only keeps order.
 */
#include "inputs.h"

#include <string.h>
#include <time.h>

struct execution {
    const struct ggl_pass *passes;
    int n_passes;
    const atomic_bool *cancel;
    atomic_bool stop;
};

/* What a thread fetches while it waits, and how far it has come, from barrier to barrier. */
struct reading {
    const uint8_t *start;
    struct ggl_ahead left;
};

/* A thread's view of the execution. */
struct member {
    const struct ggl_pass *pass;
    const struct ggl_graph *next; /* of the pass after it; NULL: none */
    struct ggl_run run;
    struct reading reading;
};

static bool tapped(const struct ggl_graph *g, const struct ggl_node *node)
{
    return (g->tap && node->name[0]) || (g->inputs && ggl_has_inputs(node));
}

/* Whether all threads meet after a phase; an observer sees the whole node. */
static bool meet_after(const struct ggl_graph *g, const struct ggl_node *node, int phase)
{
    return phase + 1 < node->op->n_phases || ggl_ends_step(g, node) || tapped(g, node);
}

static void tap_node(const struct member *m, const struct ggl_node *node)
{
    const struct ggl_graph *g = m->pass->g;
    if (!tapped(g, node)) return;
    if (m->run.ith == 0 && !ggl_run_cancelled(&m->run)) {
        if (g->inputs) ggl_show_inputs(g, node, m->pass->n_tokens);
        if (g->tap && node->name[0]) g->tap(g->tap_user, node, m->pass->n_tokens, m->pass->pos);
    }
    ggl_team_barrier(g->team);
}

static void run_phase(struct member *m, const struct ggl_node *node, int phase)
{
    const struct ggl_graph *g = m->pass->g;
    m->run.scratch = g->arena + node->scratch_offset;
    m->run.given = g->given + node->first_given + phase * m->run.nth;
    if (!ggl_run_cancelled(&m->run)) node->op->run(node, &m->run, phase);
}

/* After `done` phases of a node. */
static void look_ahead(struct member *m, const struct ggl_node *node, int done)
{
    struct ggl_ahead first = {NULL, NULL};
    const struct ggl_node *next = node->next_reader || !m->next ? node->next_reader : m->next->first_reader;
    if ((!node->reads || !node->reads(node, &m->run, done, &first)) && next) next->reads(next, &m->run, 0, &first);
    if (first.p != m->reading.start) m->reading = (struct reading){first.p, first};
}

static void meet(struct member *m, const struct ggl_node *node, int done)
{
    if (!ggl_run_cancelled(&m->run)) look_ahead(m, node, done); /* a cancelled one may have left out what that looks at */
    ggl_team_barrier_ahead(m->pass->g->team, &m->reading.left);
}

/* A cancelled run still meets at every barrier: threads that left at different nodes would wait for ever. */
static void run_node(struct member *m, const struct ggl_node *node)
{
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        run_phase(m, node, phase);
        if (meet_after(m->pass->g, node, phase)) meet(m, node, phase + 1);
    }
    tap_node(m, node);
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
static void time_node(struct member *m, const struct ggl_node *node)
{
    struct ggl_profile *profile = m->pass->g->profile;
    struct ggl_profile_op *line = line_of(profile, node->op->name);
    line->calls++;
    profile->nodes++;
    double start = now();
    for (int phase = 0; phase < node->op->n_phases; phase++) {
        run_phase(m, node, phase);
        double done = now(), after = done;
        if (meet_after(m->pass->g, node, phase)) {
            meet(m, node, phase + 1);
            after = now();
            profile->barriers++;
        }
        line->run_s += done - start;
        line->wait_s += after - done;
        start = after;
    }
    tap_node(m, node);
}

/* ---- running */

/* The next pass begins when all threads are done with this one. */
static void run_pass(struct member *m)
{
    const struct ggl_graph *g = m->pass->g;
    void (*run_one)(struct member *, const struct ggl_node *) = m->run.ith == 0 && g->profile ? time_node : run_node;
    const struct ggl_node *last = NULL;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op) run_one(m, last = g->nodes[i]);
    if (m->next && last) meet(m, last, last->op->n_phases);
}

static void run_thread(void *arg, int ith, int nth)
{
    struct execution *e = arg;
    struct member m = {.run = {.ith = ith, .nth = nth, .cancel = e->cancel, .stop = &e->stop}};
    for (int i = 0; i < e->n_passes; i++) {
        const struct ggl_graph *g = e->passes[i].g;
        m.pass = &e->passes[i];
        m.next = i + 1 < e->n_passes ? e->passes[i + 1].g : NULL;
        m.run.n_tokens = m.pass->n_tokens, m.run.pos = m.pass->pos;
        m.run.k = &g->kernels, m.run.domains = &g->domains, m.run.number = g->number;
        run_pass(&m);
    }
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

static enum ggl_status check_pass(const struct ggl_pass *p, struct ggl_error *err)
{
    const struct ggl_graph *g = p->g;
    if (!g->arena || p->n_tokens < 1 || p->n_tokens > g->n_tokens_max || p->pos < 0)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: %lld tokens at %lld",
                        (long long)p->n_tokens, (long long)p->pos);
    if (unbound_input(g))
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: input %d has no data",
                        unbound_input(g)->index);
    return GGL_OK;
}

/* A graph's shares are whole once a run. */
static enum ggl_status check_passes(const struct ggl_pass *passes, int n, struct ggl_error *err)
{
    if (n < 1) return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: %d passes", n);
    for (int i = 0; i < n; i++) {
        enum ggl_status s = check_pass(&passes[i], err);
        if (s) return s;
        if (passes[i].g->team != passes[0].g->team)
            return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: pass %d has another team", i);
        for (int j = 0; j < i; j++)
            if (passes[i].g == passes[j].g)
                return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: pass %d has the graph of pass %d", i, j);
    }
    return GGL_OK;
}

enum ggl_status ggl_graphs_compute(const struct ggl_pass *passes, int n, const atomic_bool *cancel, struct ggl_error *err)
{
    enum ggl_status s = check_passes(passes, n, err);
    if (s) return s;
    struct execution e = {passes, n, cancel, false};
    if (passes[0].g->profile) passes[0].g->profile->runs++;
    for (int i = 0; i < n; i++) take_back_shares(passes[i].g);
    if ((s = ggl_team_run(passes[0].g->team, run_thread, &e, err))) return s;
    if (atomic_load(&e.stop)) return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    return GGL_OK;
}

enum ggl_status ggl_graph_compute(struct ggl_graph *g, int64_t n_tokens, int64_t pos, const atomic_bool *cancel, struct ggl_error *err)
{
    return ggl_graphs_compute(&(struct ggl_pass){g, n_tokens, pos}, 1, cancel, err);
}
