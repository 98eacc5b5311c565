/*
 * A small graph with every operation, joined as in a block of the model: hyper-connections, attention over a
 * window and over entries that an indexer chose, experts and a shared one.  Weights are fixed random numbers.
 */
#ifndef TESTS_BLOCK_GRAPH_H
#define TESTS_BLOCK_GRAPH_H

#include "ggml-lite/graph.h"

enum { BLOCK_OUT = 48 }; /* floats a token of `out` */

struct block_graph {
    struct ggl_graph *g;
    struct ggl_node *ids, *out;
    const int32_t *tokens; /* up to 256 */
    struct block_parts *parts;
};

/* Planned for the team; fails the running cmocka test when it cannot be. */
struct block_graph *block_graph_new(int64_t n_tokens_max, struct ggl_team *team);
void block_graph_free(struct block_graph *b);

/* Tokens pos .. pos + n - 1, after all those before them. */
enum ggl_status block_graph_run(struct block_graph *b, int64_t n, int64_t pos, const atomic_bool *cancel);

#endif
