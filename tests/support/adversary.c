#include "support/adversary.h"

#include <stdlib.h>

/* Guided shares as if all were equally fast: each member gets what ggl_share deals it, and nothing of the others'. */
static void deal_evenly(const struct ggl_run *run)
{
    for (int i = 0; i < run->nth; i++) run->given[i].taken = i == run->ith ? 0 : GGL_ALL_TAKEN;
}

/* What member ith does in steps [first, last]. */
static void run_steps(const struct ggl_graph *g, struct ggl_run *run, int first, int last)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct ggl_node *node = g->nodes[i];
        if (!node->op || node->last_step < first || node->first_step > last) continue;
        run->scratch = g->arena + node->scratch_offset;
        for (int phase = 0; phase < node->op->n_phases; phase++) {
            int step = node->first_step + phase;
            run->given = g->given + node->first_given + phase * run->nth;
            if (first > step || step > last) continue;
            if (node->guided) deal_evenly(run);
            node->op->run(node, run, phase);
        }
    }
}

void adversary_run(struct ggl_graph *g, int64_t n_tokens, int64_t pos, const struct adversary *a)
{
    atomic_bool stop = false;
    struct ggl_domains own = {.n = a->nth}, before = g->domains;
    for (int i = 0; i <= a->nth; i++) own.first[i] = i;
    if (!ggl_graph_set_domains(g, own)) abort();
    for (int first = 0, last; first < g->n_steps; first = last + 1) {
        last = first == a->without && first + 1 < g->n_steps ? first + 1 : first;
        for (int i = 0; i < a->nth; i++) {
            int ith = a->last_first ? a->nth - 1 - i : i;
            struct ggl_run run = {ith, a->nth, n_tokens, pos, NULL, &stop, NULL, &g->kernels, &g->domains, NULL, 0};
            run_steps(g, &run, first, last);
        }
    }
    if (!ggl_graph_set_domains(g, before)) abort();
}
