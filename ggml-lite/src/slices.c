/*
 * Rows of a packed matrix belong to threads as ggl_share deals them out, and
 * threads to nodes: so every node holds the rows that its own threads read, once.
 */
#include "slices.h"

#include "graph_impl.h"

static int count_nodes(int nth, const int *node)
{
    int n = 1;
    for (int i = 1; node && i < nth; i++) n += node[i] != node[i - 1];
    return n;
}

int ggl_slices_find(int64_t n_units, uint64_t unit_bytes, uint64_t page, int nth, const int *node, struct ggl_slice *out,
                    uint64_t *bytes)
{
    int n = 0, last;
    uint64_t at = 0;
    if (count_nodes(nth, node) > GGL_MAX_SLICES) node = NULL;
    for (int first = 0; first < nth; first = last) {
        int64_t begin, end, unused;
        for (last = first + 1; last < nth && (!node || node[last] == node[first]);) last++;
        ggl_share(n_units, first, nth, &begin, &unused);
        ggl_share(n_units, last - 1, nth, &unused, &end);
        if (begin == end) continue;
        at = (at + page - 1) / page * page;
        out[n++] = (struct ggl_slice){begin, end - begin, at, first};
        at += (uint64_t)(end - begin) * unit_bytes;
    }
    *bytes = at;
    return n;
}
