/*
 * How many threads are worth having: the physical cores that this process may
 * run on, by its affinity and by the quota of its control groups.
 */
#include "cores.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef GGL_HAVE_HWLOC
#include <hwloc.h>
#endif

enum { MAX_CORES = 1024 };

static int affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* Cores, not hardware threads: two threads of one core share the units that kernels saturate. */
static int allowed_cores(int n)
{
#ifdef GGL_HAVE_HWLOC
    hwloc_topology_t topology;
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    if (!allowed) return n;
    if (hwloc_topology_init(&topology) == 0) {
        if (hwloc_topology_load(topology) == 0 &&
            hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD) == 0) {
            int cores = 0;
            for (hwloc_obj_t c = NULL; (c = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, c));)
                cores += hwloc_bitmap_intersects(c->cpuset, allowed) != 0;
            if (cores > 0 && cores < n) n = cores;
        }
        hwloc_topology_destroy(topology);
    }
    hwloc_bitmap_free(allowed);
#endif
    return n;
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

int ggl_physical_cores(void)
{
    int n = within_quota(allowed_cores(affinity_cpus()));
    return n > MAX_CORES ? MAX_CORES : n > 0 ? n : 1;
}
