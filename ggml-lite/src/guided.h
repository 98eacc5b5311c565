/*
 * Guided shares of an operation's work: a thread that is early takes more.
 *
 * Equal shares end together only where all processors are equally fast, and the memory serves one core before the
 * other.  So each thread has its share of ggl_share, takes pieces from its beginning, large ones first, and then
 * from the ends of what others have left:
 *
 *     struct ggl_guided guided = ggl_guided_begin(run, n, least);
 *     for (int64_t begin, end; ggl_guided_next(&guided, &begin, &end);) ...
 *
 * A thread's own pieces follow each other without a gap, so that what kernels fetch beyond the end of one (fetch.h) belongs
 * to the next.
 *
 * For operations whose results do not depend on who computes what, and that later nodes of the same step do not read.  A
 * node with parts, of which each thread may have written its own in the same step, takes those of others only from
 * threads that have begun with the node (ggl_guided_begin_parts, n being all parts of all tokens).  On a machine with
 * several NUMA nodes a thread helps those of its own node first: packed matrices lie with their shares (slices.h).
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

/* What has been taken of a thread's share, in one operation and phase: the low 24 bits count from its beginning, the next 24
 * from its end, the upper 16 are the run's number (those of another run count as nothing).  Shares are shorter than 2^23. */
struct ggl_given {
    _Alignas(64) _Atomic uint64_t taken;
};

enum { GGL_ALL_TAKEN = 1 << 23 }; /* for tests: more than any share has */

struct ggl_run;

struct ggl_guided {
    const struct ggl_run *run;
    int64_t n, least;
    int first, last; /* the threads of this one's domain */
    int helped;      /* how many shares are finished: 0, this thread's own is not */
    bool begun_only; /* others are helped once they have begun */
};

/* node[i] is the NUMA node of thread i, threads of a node following each other; NULL or too many nodes: one domain. */
struct ggl_domains ggl_domains_find(int nth, const int *node);

/* Work [0, n), in pieces of `least` or more where so much is left. */
struct ggl_guided ggl_guided_begin(const struct ggl_run *run, int64_t n, int64_t least);
/* The same for parts. */
struct ggl_guided ggl_guided_begin_parts(const struct ggl_run *run, int64_t n, int64_t least);
/* The next piece for this thread; false: all has been given out. */
bool ggl_guided_next(struct ggl_guided *g, int64_t *begin, int64_t *end);

#endif
