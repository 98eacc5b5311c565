/* Showing the inputs of products to a graph's observer (execute.c calls it on one thread while the others wait). */
#ifndef GGL_INPUTS_H
#define GGL_INPUTS_H

#include "graph_impl.h"

bool ggl_has_inputs(const struct ggl_node *node);
void ggl_show_inputs(const struct ggl_graph *g, const struct ggl_node *node, int64_t n_tokens);

#endif
