/*
 * Runs a graph on one thread as its team might, at its worst: between two barriers each member runs all that it may,
 * one after the other.  A barrier that is missing then shows as other bits, every time and without a race.
 */
#ifndef TESTS_ADVERSARY_H
#define TESTS_ADVERSARY_H

#include "src/graph_impl.h"

enum { ADVERSARY_NO_STEP = -1 };

struct adversary {
    int nth;         /* members, at most the size of the team that the graph was planned for */
    bool last_first; /* the last member runs before the others */
    int without;     /* a step whose barrier is left out, or ADVERSARY_NO_STEP */
};

/* A planned graph whose inputs are bound. */
void adversary_run(struct ggl_graph *g, int64_t n_tokens, int64_t pos, const struct adversary *a);

#endif
