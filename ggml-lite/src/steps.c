/*
 * Which barriers a graph needs.
 *
 * Threads run a graph's nodes in order, each its share of every node.  Where the next node needs nothing that
 * another thread may still be working on, it can begin at once.  So nodes are gathered into steps: within a step
 * threads do not wait for each other, and a barrier ends it.  A node with several phases has its first in the step
 * that it joins, each further one in a step of its own, which later nodes may join.
 *
 * A node may not join the open step when a node of that step
 *   - makes rows that it reads, unless both deal out the same parts, so that each thread reads what it wrote itself;
 *   - shares a ring or a list with it: no matter who writes, they keep their order.
 * Nothing else can collide: plan.c gives rows and scratch places that are theirs from their first step to the last
 * step of their last reader.
 */
#include "graph_impl.h"

/* What a thread reads of a, which is source s of b, it wrote itself: guided nodes' threads help each other. */
static bool own_parts(const struct ggl_node *a, const struct ggl_node *b, int s)
{
    return a->parts > 0 && !a->guided && a->parts == b->parts && b->part_src >> s & 1;
}

static bool waits_for_rows(const struct ggl_node *a, const struct ggl_node *b)
{
    for (int s = 0; s < b->n_src; s++) {
        bool late = b->op->n_phases > 1 && b->late_src >> s & 1; /* by then a barrier has passed */
        if (b->src[s] == a && !late && !own_parts(a, b, s)) return true;
    }
    return false;
}

static bool shares_state(const struct ggl_node *a, const struct ggl_node *b)
{
    for (int i = 0; i < GGL_MAX_STATE; i++)
        for (int j = 0; j < GGL_MAX_STATE; j++)
            if (a->state[i] && a->state[i] == b->state[j]) return true;
    return false;
}

static bool may_join(const struct ggl_graph *g, int open, const struct ggl_node *node)
{
    for (int i = open; i < node->index; i++) {
        const struct ggl_node *other = g->nodes[i];
        if (other->op && (waits_for_rows(other, node) || shares_state(other, node))) return false;
    }
    return true;
}

void ggl_graph_find_steps(struct ggl_graph *g)
{
    int step = 0, open = 0; /* the first node that may still be running in this step */
    for (int i = 0; i < g->n_nodes; i++) {
        struct ggl_node *node = g->nodes[i];
        if (!node->op) continue;
        if (!may_join(g, open, node)) step++, open = i;
        node->first_step = step;
        if (node->op->n_phases > 1) step += node->op->n_phases - 1, open = i;
        node->last_step = step;
    }
    g->n_steps = g->n_nodes ? step + 1 : 0;
}
