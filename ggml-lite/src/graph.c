/*
 * Building graphs: nodes, names, inputs and outputs.  What an operation does is
 * in op_*.c, where its data lies in plan.c, how it runs in execute.c.
 */
#include "graph_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ggl_graph *ggl_graph_new(int64_t n_tokens_max)
{
    struct ggl_graph *g = calloc(1, sizeof(*g));
    if (!g) return NULL;
    g->n_tokens_max = n_tokens_max;
    if (n_tokens_max < 1) ggl_fail(&g->err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: no tokens");
    return g;
}

void ggl_graph_fuse(struct ggl_graph *g)
{
    g->fused = true;
}

void ggl_graph_free(struct ggl_graph *g)
{
    if (!g) return;
    for (int i = 0; i < g->n_nodes; i++) free(g->nodes[i]);
    free(g->nodes);
    free(g->arena);
    free(g->given);
    free(g);
}

uint64_t ggl_elem_bytes(enum ggl_elem elem)
{
    return elem == GGL_ELEM_U8 ? 1 : 4;
}

struct ggl_node *ggl_graph_refuse(struct ggl_graph *g, const char *op, const char *what)
{
    if (!g->err.status) ggl_fail(&g->err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: %s", op, what);
    return NULL;
}

static bool grow(struct ggl_graph *g)
{
    if (g->n_nodes < g->cap) return true;
    int cap = g->cap ? 2 * g->cap : 64;
    struct ggl_node **nodes = realloc(g->nodes, (size_t)cap * sizeof(*nodes));
    if (!nodes) return false;
    g->nodes = nodes;
    g->cap = cap;
    return true;
}

struct ggl_node *ggl_node_new(struct ggl_graph *g, const struct ggl_op *op, enum ggl_elem elem, int64_t width, int n_src,
                              struct ggl_node *const *src)
{
    if (g->err.status) return NULL;
    struct ggl_node *node = grow(g) ? calloc(1, sizeof(*node)) : NULL;
    if (!node) {
        ggl_fail(&g->err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "graph: out of memory");
        return NULL;
    }
    node->op = op;
    node->elem = elem;
    node->width = width;
    node->n_src = n_src;
    node->index = g->n_nodes;
    node->last_use = node->index;
    for (int i = 0; i < n_src; i++) {
        node->src[i] = src[i];
        if (src[i]) src[i]->last_use = node->last_use > src[i]->last_use ? node->last_use : src[i]->last_use;
    }
    g->nodes[g->n_nodes++] = node;
    return node;
}

struct ggl_node *ggl_input(struct ggl_graph *g, enum ggl_elem elem, int64_t width)
{
    return ggl_node_new(g, NULL, elem, width, 0, NULL);
}

void ggl_node_bind(struct ggl_node *input, const void *data)
{
    if (input && !input->op) input->data = (uint8_t *)(uintptr_t)data;
}

void ggl_node_place(struct ggl_graph *g, struct ggl_node *output, void *data)
{
    if (output && output->op && g->arena) output->data = data ? data : g->arena + output->offset;
}

void ggl_graph_output(struct ggl_graph *g, struct ggl_node *node)
{
    (void)g;
    if (node) node->last_use = INT32_MAX;
}

struct ggl_node *ggl_name(struct ggl_node *node, const char *format, ...)
{
    if (!node) return NULL;
    va_list args;
    va_start(args, format);
    vsnprintf(node->name, sizeof(node->name), format, args);
    va_end(args);
    return node;
}

const char *ggl_node_name(const struct ggl_node *node)
{
    return node->name;
}

enum ggl_elem ggl_node_elem(const struct ggl_node *node)
{
    return node->elem;
}

int64_t ggl_node_width(const struct ggl_node *node)
{
    return node->width;
}

const void *ggl_node_data(const struct ggl_node *node)
{
    return node->data;
}

uint64_t ggl_graph_n_nodes(const struct ggl_graph *g)
{
    return (uint64_t)g->n_nodes;
}

const struct ggl_node *ggl_graph_node(const struct ggl_graph *g, uint64_t i)
{
    return i < (uint64_t)g->n_nodes ? g->nodes[i] : NULL;
}

const struct ggl_node *ggl_graph_find(const struct ggl_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i]->name, name) == 0) return g->nodes[i];
    return NULL;
}

void ggl_graph_set_tap(struct ggl_graph *g, ggl_tap_fn *fn, void *user)
{
    g->tap = fn;
    g->tap_user = user;
}

void ggl_graph_set_profile(struct ggl_graph *g, struct ggl_profile *profile)
{
    g->profile = profile;
}
