/* How a packed matrix lies on the NUMA nodes of the threads that read it: a pure function. */
#ifndef GGL_SLICES_H
#define GGL_SLICES_H

#include <stdint.h>

#define GGL_MAX_SLICES 16 /* nodes; on a larger machine matrices are left to the system */

/* Units (groups of panels) [first, first + n) are for the threads of one node; their memory begins on a page. */
struct ggl_slice {
    int64_t first, n;
    uint64_t offset;
    int thread; /* the first that reads them */
};

/* The slices of n_units units for nth threads, of which thread i is on node[i] (threads of a node follow each other;
 * NULL: one node).  Returns how many there are, and in *bytes what they need together. */
int ggl_slices_find(int64_t n_units, uint64_t unit_bytes, uint64_t page, int nth, const int *node, struct ggl_slice *out,
                    uint64_t *bytes);

#endif
