/* A piece is a fixed part of what is left, so that the last ones are small and all threads end together. */
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

struct ggl_guided ggl_guided_begin(const struct ggl_run *run, int64_t n, int64_t least)
{
    struct ggl_guided g = {.run = run, .n = n, .least = least, .left = run->domains->n};
    while (run->ith >= run->domains->first[g.domain + 1]) g.domain++;
    return g;
}

/* Take from `given`, of which `all` can be given to so many threads. */
static bool take(struct ggl_given *given, int64_t all, int threads, int64_t least, int64_t *begin, int64_t *end)
{
    int64_t at = atomic_load_explicit(&given->n, memory_order_relaxed), piece;
    do {
        if (at >= all) return false;
        piece = (all - at) / (2 * threads);
        if (piece < least) piece = least;
        if (piece > all - at) piece = all - at;
    } while (!atomic_compare_exchange_weak_explicit(&given->n, &at, at + piece, memory_order_relaxed, memory_order_relaxed));
    *begin = at;
    *end = at + piece;
    return true;
}

bool ggl_guided_next(struct ggl_guided *g, int64_t *begin, int64_t *end)
{
    const struct ggl_domains *d = g->run->domains;
    for (; g->left; g->left--, g->domain = (g->domain + 1) % d->n) {
        int first = d->first[g->domain], last = d->first[g->domain + 1];
        int64_t from, to, unused;
        ggl_share(g->n, first, g->run->nth, &from, &unused);
        ggl_share(g->n, last - 1, g->run->nth, &unused, &to);
        if (!take(&g->run->given[g->domain], to - from, last - first, g->least, begin, end)) continue;
        *begin += from;
        *end += from;
        return true;
    }
    return false;
}
