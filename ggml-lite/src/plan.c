/*
 * The memory plan: every node's rows get a place in one arena, and places are
 * used again in the step after that of the last reader (steps.c: within a step the
 * order of nodes means nothing).  A norm or a rotation takes its source's place if
 * nothing else needs that: half as much memory for what is widest, and lines that
 * are in a cache already.  First fit over the nodes in order; a graph has some
 * hundreds of nodes, so the quadratic search costs microseconds.
 */
#include "graph_impl.h"

#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "cores.h"

#define ALIGN 64u

struct block {
    uint64_t offset, bytes;
    int first, last; /* steps during which it is in use */
};

struct plan {
    struct block *blocks;
    int n;
    int *rows; /* of each node: the block of its rows, if it needs any */
    uint64_t end;
};

static bool overlaps(const struct block *b, int first, int last)
{
    return b->first <= last && first <= b->last;
}

/* The lowest offset at which `bytes` fit beside every block alive in [first, last]. */
static bool place(struct plan *p, uint64_t bytes, int first, int last, uint64_t *offset)
{
    uint64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < p->n; i++) {
            const struct block *b = &p->blocks[i];
            if (overlaps(b, first, last) && at < b->offset + b->bytes && b->offset < at + bytes) {
                at = b->offset + b->bytes;
                moved = true;
            }
        }
    }
    uint64_t end;
    if (!ggl_add_u64(at, bytes, &end)) return false;
    p->blocks[p->n++] = (struct block){at, bytes, first, last};
    if (end > p->end) p->end = end;
    *offset = at;
    return true;
}

static bool row_bytes(const struct ggl_graph *g, const struct ggl_node *node, uint64_t *bytes)
{
    return ggl_mul_u64((uint64_t)node->width, ggl_elem_bytes(node->elem), bytes) &&
           ggl_mul_u64(*bytes, (uint64_t)g->n_tokens_max, bytes) && ggl_align_u64(*bytes, ALIGN, bytes);
}

/* The last step in which a node's rows are read; outputs are kept. */
static int last_read(const struct ggl_graph *g, const struct ggl_node *node)
{
    return node->last_use < g->n_nodes ? g->nodes[node->last_use]->last_step : INT32_MAX;
}

static bool has_source(const struct ggl_node *node, const struct ggl_node *src)
{
    for (int s = 0; s < node->n_src; s++)
        if (node->src[s] == src) return true;
    return false;
}

/* Whether nobody but the node itself reads its first source in its step or later. */
static bool may_overwrite(const struct ggl_graph *g, const struct ggl_node *node)
{
    const struct ggl_node *src = node->src[0];
    if (!node->in_place || !src || !src->op || src->last_use != node->index) return false;
    if (src->width != node->width || src->elem != node->elem) return false;
    for (int i = src->index + 1; i < node->index; i++)
        if (has_source(g->nodes[i], src) && g->nodes[i]->last_step >= node->first_step) return false;
    return true;
}

/* The place of a node's rows: its first source's, which then lives on, or one of its own. */
static bool place_rows(const struct ggl_graph *g, const struct ggl_node *node, struct plan *p, uint64_t *offset)
{
    uint64_t bytes;
    if (!row_bytes(g, node, &bytes)) return false;
    if (!bytes) return true;
    if (may_overwrite(g, node)) {
        int taken = p->rows[node->index] = p->rows[node->src[0]->index];
        p->blocks[taken].last = last_read(g, node);
        *offset = p->blocks[taken].offset;
        return true;
    }
    p->rows[node->index] = p->n;
    return place(p, bytes, node->first_step, last_read(g, node), offset);
}

/* keep: the nodes get their places; otherwise only the size matters. */
static bool plan_nodes(struct ggl_graph *g, int nth, bool keep, struct plan *p)
{
    for (int i = 0; i < g->n_nodes; i++) {
        struct ggl_node *node = g->nodes[i];
        uint64_t bytes, offset = 0, scratch_offset = 0;
        if (!node->op) continue;
        if (!place_rows(g, node, p, &offset)) return false;
        if (node->op->scratch) {
            bytes = node->op->scratch(node, g->n_tokens_max, nth);
            if (!ggl_align_u64(bytes, ALIGN, &bytes)) return false;
            if (bytes && !place(p, bytes, node->first_step, node->last_step, &scratch_offset)) return false;
        }
        if (keep) node->offset = offset, node->scratch_offset = scratch_offset;
    }
    return true;
}

static enum ggl_status lay_out(struct ggl_graph *g, int n_threads, bool keep, uint64_t *bytes,
                               struct ggl_error *err)
{
    if (g->err.status) {
        if (err) *err = g->err;
        return g->err.status;
    }
    struct plan p = {.blocks = calloc(2 * (size_t)g->n_nodes + 1, sizeof(*p.blocks)), .rows = calloc((size_t)g->n_nodes + 1, sizeof(*p.rows))};
    bool enough = p.blocks && p.rows, ok = false;
    ggl_graph_find_steps(g);
    if (enough) ok = plan_nodes(g, n_threads, keep, &p);
    free(p.blocks);
    free(p.rows);
    *bytes = p.end;
    if (!enough) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "graph plan: out of memory");
    if (!ok) return ggl_fail(err, GGL_ERR_LIMIT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph plan: arena too large");
    return GGL_OK;
}

enum ggl_status ggl_graph_arena_bytes(struct ggl_graph *g, int n_threads, uint64_t *bytes,
                                      struct ggl_error *err)
{
    return lay_out(g, n_threads, false, bytes, err);
}

bool ggl_graph_set_domains(struct ggl_graph *g, struct ggl_domains domains)
{
    free(g->given);
    g->domains = domains;
    g->n_given = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        g->nodes[i]->first_given = g->n_given;
        if (g->nodes[i]->guided) g->n_given += g->nodes[i]->op->n_phases * domains.first[domains.n];
    }
    g->given = aligned_alloc(ALIGN, ((size_t)g->n_given + 1) * sizeof(*g->given));
    if (g->given) memset(g->given, 0, ((size_t)g->n_given + 1) * sizeof(*g->given));
    return g->given != NULL;
}

static void find_readers(struct ggl_graph *g)
{
    const struct ggl_node *reader = NULL;
    for (int i = g->n_nodes; i-- > 0;) {
        g->nodes[i]->next_reader = reader;
        if (g->nodes[i]->reads) reader = g->nodes[i];
    }
    g->first_reader = reader;
}

enum ggl_status ggl_graph_plan(struct ggl_graph *g, struct ggl_team *team, struct ggl_error *err)
{
    uint64_t bytes = 0;
    enum ggl_status s = lay_out(g, ggl_team_size(team), true, &bytes, err);
    if (s) return s;
    free(g->arena);
    g->arena = NULL; /* a graph without one does not run */
    if (ggl_graph_set_domains(g, ggl_domains_find(ggl_team_size(team), ggl_machine_nodes(ggl_team_machine(team)))))
        g->arena = aligned_alloc(ALIGN, bytes ? bytes : ALIGN);
    if (!g->arena) {
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "activations: %llu bytes for %lld tokens",
                        (unsigned long long)bytes, (long long)g->n_tokens_max);
    }
    find_readers(g);
    g->arena_bytes = bytes;
    g->team = team;
    ggl_kernels_pick(&g->kernels, ggl_cpu_isa());
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op) g->nodes[i]->data = g->arena + g->nodes[i]->offset;
    return GGL_OK;
}
