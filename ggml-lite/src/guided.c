/* A piece is a fixed part of what a share has left, so that the last ones are small and all threads end together. */
#include "guided.h"

#include "graph_impl.h"

struct ggl_domains ggl_domains_find(int nth, const int *node)
{
    struct ggl_domains d = {.n = 1, .first = {0, nth}};
    for (int i = 1; node && i < nth; i++) {
        if (node[i] == node[i - 1]) continue;
        if (d.n == GGL_MAX_SLICES) return (struct ggl_domains){.n = 1, .first = {0, nth}};
        d.first[d.n++] = i;
        d.first[d.n] = nth;
    }
    return d;
}

enum { COUNT_BITS = 24, OWN_PIECE = 4, HELPING_PIECE = 2 }; /* parts of what is left: a quarter, a half */

struct ggl_guided ggl_guided_begin(const struct ggl_run *run, int64_t n, int64_t least)
{
    int d = 0;
    while (run->ith >= run->domains->first[d + 1]) d++;
    return (struct ggl_guided){.run = run, .n = n, .least = least, .first = run->domains->first[d], .last = run->domains->first[d + 1]};
}

struct ggl_guided ggl_guided_begin_parts(const struct ggl_run *run, int64_t n, int64_t least)
{
    struct ggl_guided g = ggl_guided_begin(run, n, least);
    g.begun_only = true;
    return g;
}

/* Take from a share of `all`, from its beginning or its end: how many there were before it and how many it has.  What the owner did
 * before it began is seen by whoever sees that it has. */
static bool take(const struct ggl_guided *g, int owner, int64_t all, int64_t *before, int64_t *piece)
{
    const struct ggl_run *run = g->run;
    const uint64_t mask = ((uint64_t)1 << COUNT_BITS) - 1, number = (uint64_t)run->number << 2 * COUNT_BITS;
    const bool own = owner == run->ith;
    _Atomic uint64_t *taken = &run->given[owner].taken;
    uint64_t now = atomic_load_explicit(taken, memory_order_acquire), next;
    do {
        const bool begun = now >> 2 * COUNT_BITS == run->number;
        if (!begun && !own && g->begun_only) return false;
        const uint64_t counts = begun ? now & (mask << COUNT_BITS | mask) : 0;
        const int64_t front = (int64_t)(counts & mask), back = (int64_t)(counts >> COUNT_BITS), left = all - front - back;
        if (left <= 0) return false;
        *piece = left / (own ? OWN_PIECE : HELPING_PIECE);
        if (*piece < g->least) *piece = g->least < left ? g->least : left;
        *before = own ? front : all - back - *piece;
        next = number | (counts + ((uint64_t)*piece << (own ? 0 : COUNT_BITS)));
    } while (!atomic_compare_exchange_weak_explicit(taken, &now, next, memory_order_acq_rel, memory_order_acquire));
    return true;
}

/* This thread, the others of its domain from the next one on, those of other domains. */
static int owner_of(const struct ggl_guided *g, int i)
{
    int mates = g->last - g->first;
    return i < mates ? g->first + (g->run->ith - g->first + i) % mates : (g->last + i - mates) % g->run->nth;
}

bool ggl_guided_next(struct ggl_guided *g, int64_t *begin, int64_t *end)
{
    for (; g->helped < g->run->nth; g->helped++) {
        int owner = owner_of(g, g->helped);
        int64_t from, to, before, piece;
        ggl_share(g->n, owner, g->run->nth, &from, &to);
        if (!take(g, owner, to - from, &before, &piece)) continue;
        *begin = from + before;
        *end = *begin + piece;
        return true;
    }
    return false;
}
