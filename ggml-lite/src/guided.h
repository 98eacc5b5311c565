/*
 * Guided shares of an operation's work: a thread that is early takes more.
 *
 * Equal shares end together only where all processors are equally fast, and the memory serves one core before the
 * other.  So threads take pieces as they go, large ones first:
 *
 *     struct ggl_guided guided = ggl_guided_begin(run, n, least);
 *     for (int64_t begin, end; ggl_guided_next(&guided, &begin, &end);) ...
 *
 * For operations whose results do not depend on who computes what, and that later nodes of the same step do not read
 * (their nodes have no parts).  On a machine with several NUMA nodes a thread takes from its own node's share of
 * ggl_share first, which is where packed matrices keep it (slices.h), then helps the others.
 */
#ifndef GGL_GUIDED_H
#define GGL_GUIDED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "slices.h"

/* Who shares memory: threads [first[d], first[d + 1]) are domain d. */
struct ggl_domains {
    int n;
    int first[GGL_MAX_SLICES + 1];
};

/* How far a domain's share has been given out; one a domain, operation and phase, zero before a run. */
struct ggl_given {
    _Alignas(64) _Atomic int64_t n;
};

struct ggl_run;

struct ggl_guided {
    const struct ggl_run *run;
    int64_t n, least;
    int domain, left; /* where pieces come from, and how many domains are still to be looked at */
};

/* node[i] is the NUMA node of thread i, threads of a node following each other; NULL or too many nodes: one domain. */
struct ggl_domains ggl_domains_find(int nth, const int *node);

/* Work [0, n), in pieces of `least` or more where so much is left. */
struct ggl_guided ggl_guided_begin(const struct ggl_run *run, int64_t n, int64_t least);
/* The next piece for this thread; false: all has been given out. */
bool ggl_guided_next(struct ggl_guided *g, int64_t *begin, int64_t *end);

#endif
