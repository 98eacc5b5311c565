/*
 * How many threads are worth having: the physical cores that this process may
 * run on, by its affinity and by the quota of its control groups; and putting
 * threads in their places (places.c).
 */
#include "cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "places.h"

enum { MAX_CORES = 1024 };

static int affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* Digits up to a blank or the end; 0: none, or too large to matter. */
static uint64_t number(const char **at)
{
    uint64_t v = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        v = v > UINT32_MAX ? v : v * 10 + (uint64_t)(**at - '0');
    return v > UINT32_MAX ? 0 : v;
}

int ggl_quota_cpus(const char *text)
{
    uint64_t quota = number(&text);
    if (!quota || *text++ != ' ') return 0;
    uint64_t period = number(&text), cpus = period ? (quota + period - 1) / period : 0;
    return cpus > MAX_CORES ? 0 : (int)cpus;
}

/* The quota of one control group (version 2), or 0. */
static int group_quota(const char *group)
{
    char path[512], text[64];
    int length = snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
    FILE *f = length > 0 && length < (int)sizeof(path) ? fopen(path, "re") : NULL;
    if (!f) return 0;
    bool read = fgets(text, sizeof(text), f) != NULL;
    fclose(f);
    return read ? ggl_quota_cpus(text) : 0;
}

/* Our group's quota and those of the groups around it: each of them holds. */
static int within_quota(int n)
{
    char group[384] = "";
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) return n;
    for (char line[400]; fgets(line, sizeof(line), f);) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < sizeof(group))
            memcpy(group, line + 3, strlen(line + 3) + 1);
    }
    fclose(f);
    for (char *end; (end = strrchr(group, '/')); *end = 0) {
        int quota = group_quota(end[1] ? group : "");
        if (quota && quota < n) n = quota;
    }
    int quota = group_quota("");
    return quota && quota < n ? quota : n;
}

int ggl_allowed_cpus(void)
{
    return within_quota(affinity_cpus());
}

/* ---- the machine */

#ifdef GGL_HAVE_HWLOC

struct ggl_machine {
    hwloc_topology_t topology;
    hwloc_bitmap_t allowed; /* by the affinity of the thread that opened it; the topology has what the groups allow */
    struct ggl_place *places;
    int *nodes;
    int n;
};

/* Cores, processors and nodes are all that is asked for, and the calling thread, which is the host's, stays where it
 * is: hwloc would move it from core to core to ask each for its properties. */
static void find_little(hwloc_topology_t t)
{
    unsigned long flags = 0;
#if HWLOC_API_VERSION >= 0x00020500
    flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
#endif
#if HWLOC_API_VERSION >= 0x00020800
    flags |= HWLOC_TOPOLOGY_FLAG_NO_DISTANCES | HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS;
#endif
    hwloc_topology_set_flags(t, flags);
    hwloc_topology_set_all_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
}

struct ggl_machine *ggl_machine_open(void)
{
    struct ggl_machine *m = calloc(1, sizeof(*m));
    if (m && hwloc_topology_init(&m->topology)) free(m), m = NULL;
    if (!m) return NULL;
    find_little(m->topology);
    m->allowed = hwloc_bitmap_alloc();
    if (m->allowed && hwloc_topology_load(m->topology) == 0 &&
        hwloc_get_cpubind(m->topology, m->allowed, HWLOC_CPUBIND_THREAD) == 0)
        return m;
    ggl_machine_close(m);
    return NULL;
}

void ggl_machine_close(struct ggl_machine *m)
{
    if (!m) return;
    if (m->places) ggl_places_free(m->places, m->n);
    free(m->places);
    free(m->nodes);
    hwloc_bitmap_free(m->allowed);
    hwloc_topology_destroy(m->topology);
    free(m);
}

/* Cores, not hardware threads: two threads of one core share the units that kernels saturate. */
static int allowed_cores(const struct ggl_machine *m, int n)
{
    int cores = m ? ggl_places_cores(m->topology, m->allowed) : 0;
    return cores > 0 && cores < n ? cores : n;
}

void ggl_machine_place(struct ggl_machine *m, int n)
{
    if (!m) return;
    m->places = calloc((size_t)n, sizeof(*m->places));
    m->n = n;
    m->nodes = calloc((size_t)n, sizeof(*m->nodes));
    if (!m->places || !m->nodes || !ggl_places_find(m->topology, m->allowed, n, m->places)) {
        free(m->places);
        m->places = NULL;
        return;
    }
    for (int i = 0; i < n; i++) m->nodes[i] = m->places[i].node_index;
}

const int *ggl_machine_nodes(const struct ggl_machine *m)
{
    return m && m->places ? m->nodes : NULL;
}

void ggl_machine_bind_memory(const struct ggl_machine *m, int ith, void *memory, uint64_t bytes)
{
    if (!m || !m->places || !m->places[ith].node) return;
    /* Where it cannot be done, pages go to whoever writes to them first. */
    hwloc_set_area_membind(m->topology, memory, bytes, m->places[ith].node->nodeset, HWLOC_MEMBIND_BIND,
                           HWLOC_MEMBIND_BYNODESET | HWLOC_MEMBIND_MIGRATE);
}

void ggl_machine_bind(const struct ggl_machine *m, int ith)
{
    if (m && m->places && m->places[ith].cpus)
        hwloc_set_cpubind(m->topology, m->places[ith].cpus, HWLOC_CPUBIND_THREAD); /* where it cannot be done, it runs anyway */
}

#else

struct ggl_machine *ggl_machine_open(void)
{
    return NULL;
}

void ggl_machine_close(struct ggl_machine *m)
{
    (void)m;
}

static int allowed_cores(const struct ggl_machine *m, int n)
{
    (void)m;
    return n;
}

void ggl_machine_place(struct ggl_machine *m, int n)
{
    (void)m, (void)n;
}

void ggl_machine_bind(const struct ggl_machine *m, int ith)
{
    (void)m, (void)ith;
}

const int *ggl_machine_nodes(const struct ggl_machine *m)
{
    (void)m;
    return NULL;
}

void ggl_machine_bind_memory(const struct ggl_machine *m, int ith, void *memory, uint64_t bytes)
{
    (void)m, (void)ith, (void)memory, (void)bytes;
}

#endif

int ggl_machine_cores(const struct ggl_machine *m)
{
    int n = within_quota(allowed_cores(m, affinity_cpus()));
    return n > MAX_CORES ? MAX_CORES : n > 0 ? n : 1;
}

int ggl_physical_cores(void)
{
    struct ggl_machine *m = ggl_machine_open();
    int n = ggl_machine_cores(m);
    ggl_machine_close(m);
    return n;
}
