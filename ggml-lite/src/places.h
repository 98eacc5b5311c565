/* Where the threads of a team go: a pure function of a topology.  Only in builds with hwloc. */
#ifndef GGL_PLACES_H
#define GGL_PLACES_H

#ifdef GGL_HAVE_HWLOC
#include <hwloc.h>
#include <stdbool.h>

struct ggl_place {
    hwloc_cpuset_t cpus;  /* NULL: wherever the process may run */
    hwloc_obj_t node;     /* its memory */
    int node_index;       /* 0, 1, ... of the nodes in use; threads of one node follow each other */
};

/* out[n].  False: memory is short or the topology has nothing that is allowed; nothing needs to be freed then. */
bool ggl_places_find(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, int n, struct ggl_place *out);
void ggl_places_free(struct ggl_place *places, int n);
/* Cores that have an allowed processor. */
int ggl_places_cores(hwloc_topology_t topology, hwloc_const_cpuset_t allowed);
#endif

#endif
