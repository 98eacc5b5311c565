/*
 * Where the threads of a team go.
 *
 *   as many threads as cores      each has a core for itself (all of it: the kernel chooses the hardware thread)
 *   more, up to the processors    each core has one; the others go to cores with a second processor
 *   fewer, or more than that      each keeps to a node, and the kernel chooses the core
 *
 * A small team is not nailed to cores because other processes have teams, too: all of them would take the first
 * cores of the machine.  In every case the nodes have threads in proportion to their cores, and thread numbers fill
 * one node before the next, so that consecutive rows of a matrix lie on one node.
 */
#include "places.h"

#ifdef GGL_HAVE_HWLOC

#include <stdlib.h>

struct core {
    hwloc_const_cpuset_t cpus; /* allowed or not */
    int node;                  /* logical index */
    int extra;                 /* allowed processors besides the first */
};

struct cores {
    struct core *list; /* those of a node follow each other */
    int n, extra;
};

/* The first node that has the processors: others with the same ones are memory of a special kind. */
static int node_of(hwloc_topology_t t, hwloc_const_cpuset_t cpus)
{
    for (hwloc_obj_t node = NULL; (node = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, node));)
        if (hwloc_bitmap_intersects(node->cpuset, cpus)) return (int)node->logical_index;
    return 0;
}

static int allowed_in(hwloc_const_cpuset_t cpus, hwloc_const_cpuset_t allowed)
{
    int n = 0;
    for (int i = hwloc_bitmap_first(cpus); i >= 0; i = hwloc_bitmap_next(cpus, i))
        n += hwloc_bitmap_isset(allowed, (unsigned)i) != 0;
    return n;
}

static int by_node(const void *a, const void *b)
{
    const struct core *x = a, *y = b;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    return hwloc_bitmap_compare_first(x->cpus, y->cpus);
}

/* Some machines tell of processors and not of cores. */
static hwloc_obj_type_t core_type(hwloc_topology_t t)
{
    return hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

static bool find_cores(hwloc_topology_t t, hwloc_const_cpuset_t allowed, struct cores *cores)
{
    hwloc_obj_type_t type = core_type(t);
    int most = hwloc_get_nbobjs_by_type(t, type);
    *cores = (struct cores){.list = most > 0 ? calloc((size_t)most, sizeof(*cores->list)) : NULL};
    if (!cores->list) return false;
    for (hwloc_obj_t obj = NULL; (obj = hwloc_get_next_obj_by_type(t, type, obj));) {
        int n = allowed_in(obj->cpuset, allowed);
        if (!n) continue;
        cores->list[cores->n++] = (struct core){obj->cpuset, node_of(t, obj->cpuset), n - 1};
        cores->extra += n - 1;
    }
    qsort(cores->list, (size_t)cores->n, sizeof(*cores->list), by_node);
    return cores->n > 0;
}

/* Of n things for `all`, how many go to the first `part`. */
static int share(int n, int part, int all)
{
    return all ? (int)(((int64_t)n * part + all - 1) / all) : 0;
}

/* Allowed processors of the cores [first, end); NULL: out of memory. */
static hwloc_cpuset_t processors(const struct core *first, const struct core *end, hwloc_const_cpuset_t allowed)
{
    hwloc_cpuset_t set = hwloc_bitmap_alloc();
    bool ok = set != NULL;
    for (; ok && first < end; first++) ok = hwloc_bitmap_or(set, set, first->cpus) == 0;
    if (ok && hwloc_bitmap_and(set, set, allowed) == 0) return set;
    hwloc_bitmap_free(set);
    return NULL;
}

/* A core each, then the second processors. */
static bool place_on_cores(const struct cores *cores, hwloc_const_cpuset_t allowed, int n, struct ggl_place *out)
{
    int at = 0, extra = 0, rest = n - cores->n;
    for (const struct core *c = cores->list; c < cores->list + cores->n; c++) {
        int here = 1 - share(rest, extra, cores->extra);
        extra += c->extra;
        here += share(rest, extra, cores->extra);
        for (int i = 0; i < here; i++, at++) {
            out[at].cpus = processors(c, c + 1, allowed);
            out[at].node_index = c->node;
            if (!out[at].cpus) return false;
        }
    }
    return true;
}

static bool place_on_nodes(const struct cores *cores, hwloc_const_cpuset_t allowed, int n, struct ggl_place *out)
{
    const struct core *first = cores->list, *last = cores->list + cores->n;
    bool one_node = first->node == last[-1].node;
    for (int at = 0; first < last;) {
        const struct core *end = first;
        while (end < last && end->node == first->node) end++;
        for (int stop = share(n, (int)(end - cores->list), cores->n); at < stop; at++) {
            out[at].node_index = first->node;
            if (!one_node && !(out[at].cpus = processors(first, end, allowed))) return false;
        }
        first = end;
    }
    return true;
}

/* Logical indices become those of the nodes in use. */
static void number_nodes(hwloc_topology_t t, int n, struct ggl_place *out)
{
    int index = -1;
    for (int i = 0, before = -1; i < n; i++) {
        int logical = out[i].node_index;
        if (logical != before) index++;
        before = logical;
        out[i].node_index = index;
        out[i].node = hwloc_get_obj_by_type(t, HWLOC_OBJ_NUMANODE, (unsigned)logical);
    }
}

bool ggl_places_find(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, int n, struct ggl_place *out)
{
    struct cores cores;
    for (int i = 0; i < n; i++) out[i] = (struct ggl_place){0};
    bool found = find_cores(topology, allowed, &cores);
    bool fits = n >= cores.n && n <= cores.n + cores.extra;
    if (found) found = (fits ? place_on_cores : place_on_nodes)(&cores, allowed, n, out);
    free(cores.list);
    if (found) number_nodes(topology, n, out);
    else ggl_places_free(out, n);
    return found;
}

void ggl_places_free(struct ggl_place *places, int n)
{
    for (int i = 0; i < n; i++) {
        hwloc_bitmap_free(places[i].cpus); /* accepts NULL */
        places[i].cpus = NULL;
    }
}

int ggl_places_cores(hwloc_topology_t topology, hwloc_const_cpuset_t allowed)
{
    int n = 0;
    hwloc_obj_type_t type = core_type(topology);
    for (hwloc_obj_t obj = NULL; (obj = hwloc_get_next_obj_by_type(topology, type, obj));)
        n += hwloc_bitmap_intersects(obj->cpuset, allowed) != 0;
    return n;
}

#endif
