/*
 * Places of threads, on machines that hwloc makes up: some by hand, then every team size against the rules.
 */
#include "src/places.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "src/graph_impl.h"
#include "src/slices.h"

#ifdef GGL_HAVE_HWLOC

enum { MOST = 80 };

struct machine {
    hwloc_topology_t t;
    hwloc_bitmap_t allowed;
};

/* allowed: a list as "0-3,8", or NULL for all. */
static struct machine machine_of(const char *synthetic, const char *allowed)
{
    struct machine m = {.allowed = hwloc_bitmap_alloc()};
    assert_non_null(m.allowed);
    assert_int_equal(hwloc_topology_init(&m.t), 0);
    assert_int_equal(hwloc_topology_set_synthetic(m.t, synthetic), 0);
    assert_int_equal(hwloc_topology_load(m.t), 0);
    if (allowed) assert_int_equal(hwloc_bitmap_list_sscanf(m.allowed, allowed), 0);
    else hwloc_bitmap_copy(m.allowed, hwloc_topology_get_topology_cpuset(m.t));
    return m;
}

static void free_machine(struct machine *m)
{
    hwloc_bitmap_free(m->allowed);
    hwloc_topology_destroy(m->t);
}

/* ---- by hand */

static const struct {
    const char *synthetic, *allowed;
    int n;
    const char *places; /* "node:processors" of each thread, *: anywhere */
} by_hand[] = {
    {"core:1 pu:1", NULL, 1, "0:0"},
    {"core:1 pu:1", NULL, 2, "0:* 0:*"},
    {"core:4 pu:1", NULL, 4, "0:0 0:1 0:2 0:3"},
    {"core:4 pu:1", NULL, 3, "0:* 0:* 0:*"},
    {"core:2 pu:2", NULL, 2, "0:0-1 0:2-3"},
    {"core:2 pu:2", NULL, 3, "0:0-1 0:0-1 0:2-3"},
    {"core:2 pu:2", NULL, 4, "0:0-1 0:0-1 0:2-3 0:2-3"},
    {"core:2 pu:2", NULL, 5, "0:* 0:* 0:* 0:* 0:*"},
    {"numa:2 core:2 pu:2", NULL, 4, "0:0-1 0:2-3 1:4-5 1:6-7"},
    {"numa:2 core:2 pu:2", NULL, 2, "0:0-3 1:4-7"},
    {"numa:2 core:2 pu:2", NULL, 3, "0:0-3 0:0-3 1:4-7"},
    {"numa:2 core:2 pu:2", NULL, 1, "0:0-3"},
    {"numa:2 core:2 pu:2", NULL, 9, "0:0-3 0:0-3 0:0-3 0:0-3 0:0-3 1:4-7 1:4-7 1:4-7 1:4-7"},
    /* half a machine, one hardware thread a core */
    {"numa:2 core:4 pu:2", "0,2,4,6", 4, "0:0 0:2 0:4 0:6"},
    /* nodes of unequal size: three cores and one */
    {"numa:2 core:4 pu:2", "0-5,8-9", 4, "0:0-1 0:2-3 0:4-5 1:8-9"},
    {"numa:2 core:4 pu:2", "0-5,8-9", 5, "0:0-1 0:0-1 0:2-3 0:4-5 1:8-9"},
    {"numa:2 core:4 pu:2", "0-5,8-9", 3, "0:0-5 0:0-5 0:0-5"},
    /* a node that may not be used has no number */
    {"numa:3 core:2 pu:1", "0-1,4-5", 4, "0:0 0:1 1:4 1:5"},
    {"numa:3 core:2 pu:1", "4-5", 2, "0:4 0:5"},
    /* second processors go to cores that have them */
    {"core:3 pu:2", "0,2-3,4", 4, "0:0 0:2-3 0:2-3 0:4"},
};

static void as_text(const struct ggl_place *p, int n, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < n; i++) {
        char cpus[64] = "*";
        if (p[i].cpus) hwloc_bitmap_list_snprintf(cpus, sizeof(cpus), p[i].cpus);
        at += (size_t)snprintf(text + at, size - at, "%s%d:%s", i ? " " : "", p[i].node_index, cpus);
        assert_true(at < size);
    }
}

static void places_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
        struct machine m = machine_of(by_hand[i].synthetic, by_hand[i].allowed);
        struct ggl_place p[MOST];
        char text[512];
        assert_true(ggl_places_find(m.t, m.allowed, by_hand[i].n, p));
        as_text(p, by_hand[i].n, text, sizeof(text));
        if (strcmp(text, by_hand[i].places) != 0)
            fail_msg("%s, %s, %d threads: %s\nexpected %s", by_hand[i].synthetic, by_hand[i].allowed ? by_hand[i].allowed : "all",
                     by_hand[i].n, text, by_hand[i].places);
        ggl_places_free(p, by_hand[i].n);
        free_machine(&m);
    }
}

/* ---- rules */

struct usage {
    int cores, cpus; /* allowed */
    int threads[MOST], size[MOST]; /* by core: threads that may run on it alone, its processors */
    int node_cores[MOST], node_threads[MOST];
};

static int weight(hwloc_const_cpuset_t a, hwloc_const_cpuset_t b)
{
    hwloc_bitmap_t both = hwloc_bitmap_alloc();
    hwloc_bitmap_and(both, a, b);
    int n = hwloc_bitmap_weight(both);
    hwloc_bitmap_free(both);
    return n;
}

static struct usage count(const struct machine *m, const struct ggl_place *p, int n)
{
    struct usage u = {0};
    for (hwloc_obj_t c = NULL; (c = hwloc_get_next_obj_by_type(m->t, HWLOC_OBJ_CORE, c));) {
        int size = weight(c->cpuset, m->allowed), core = u.cores;
        if (!size) continue;
        u.size[u.cores++] = size;
        u.cpus += size;
        u.node_cores[hwloc_bitmap_first(c->nodeset)]++;
        for (int i = 0; i < n; i++)
            if (p[i].cpus && hwloc_bitmap_isincluded(p[i].cpus, c->cpuset)) u.threads[core]++;
    }
    for (int i = 0; i < n; i++) u.node_threads[p[i].node->os_index]++;
    return u;
}

static void check_team(const struct machine *m, int n, const char *what)
{
    struct ggl_place p[MOST];
    assert_true(ggl_places_find(m->t, m->allowed, n, p));
    struct usage u = count(m, p, n);
    bool each = n >= u.cores && n <= u.cpus;
    for (int i = 0; i < n; i++) {
        if (p[i].cpus && (!hwloc_bitmap_isincluded(p[i].cpus, m->allowed) || hwloc_bitmap_iszero(p[i].cpus)))
            fail_msg("%s, %d threads: %d is outside", what, n, i);
        if (p[i].cpus && !hwloc_bitmap_isincluded(p[i].cpus, p[i].node->cpuset))
            fail_msg("%s, %d threads: %d is not on its node", what, n, i);
        int step = i ? p[i].node_index - p[i - 1].node_index : p[i].node_index;
        if (step < 0 || step > (i > 0)) fail_msg("%s, %d threads: node %d at %d", what, n, p[i].node_index, i);
    }
    for (int c = 0; c < u.cores && each; c++)
        if (u.threads[c] < 1 || u.threads[c] > u.size[c])
            fail_msg("%s, %d threads: core %d has %d", what, n, c, u.threads[c]);
    for (int k = 0; k < MOST && !each; k++) {
        int off = u.node_threads[k] * u.cores - n * u.node_cores[k]; /* from its part: less than a thread */
        if (off <= -u.cores || off >= u.cores) fail_msg("%s, %d threads: node %d has %d", what, n, k, u.node_threads[k]);
    }
    ggl_places_free(p, n);
}

static void places_of_every_team(void **state)
{
    (void)state;
    static const struct {
        const char *synthetic, *allowed;
    } machines[] = {{"core:1 pu:1", NULL}, {"core:6 pu:2", NULL}, {"numa:2 core:4 pu:2", NULL}, {"numa:4 l3:2 core:3 pu:1", NULL},
                    {"package:2 numa:2 core:5 pu:2", NULL}, {"numa:2 core:4 pu:2", "1-3,5,9,12-15"}, {"numa:2 core:4 pu:2", "7"},
                    {"numa:3 core:5 pu:1", "0,6-8,10-14"}, {"package:2 core:8 pu:4", "0-40"}};
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct machine m = machine_of(machines[i].synthetic, machines[i].allowed);
        for (int n = 1; n <= MOST; n++) check_team(&m, n, machines[i].synthetic);
        free_machine(&m);
    }
}

/* ---- matrices on nodes */

/* Every panel lies where the thread that reads it is, once, and nothing is mirrored. */
static void check_slices(const struct machine *m, int n, int64_t n_panels, uint64_t panel_bytes)
{
    enum { PAGE = 4096 };
    struct ggl_place p[MOST];
    struct ggl_slice s[GGL_MAX_SLICES];
    int node[MOST];
    uint64_t bytes, end = 0;
    int64_t next = 0;
    assert_true(ggl_places_find(m->t, m->allowed, n, p));
    for (int i = 0; i < n; i++) node[i] = p[i].node_index;
    int n_slices = ggl_slices_find(n_panels, panel_bytes, PAGE, n, node, s, &bytes);
    assert_true(n_slices >= 1 && n_slices <= node[n - 1] + 1);
    for (int k = 0; k < n_slices; k++) {
        assert_true(s[k].first == next && s[k].n > 0 && s[k].offset >= end && s[k].offset % PAGE == 0);
        next += s[k].n;
        end = s[k].offset + (uint64_t)s[k].n * panel_bytes;
    }
    assert_int_equal(next, n_panels);
    assert_int_equal(end, bytes);
    assert_true(bytes < (uint64_t)n_panels * panel_bytes + (uint64_t)n_slices * PAGE);
    for (int ith = 0; ith < n; ith++) {
        int64_t first, last;
        ggl_share(n_panels, ith, n, &first, &last);
        for (int64_t i = first; i < last; i++) {
            int k = 0;
            while (i >= s[k].first + s[k].n) k++;
            if (node[s[k].thread] != node[ith]) fail_msg("%d threads: panel %d of thread %d is on node %d", n, (int)i, ith, node[s[k].thread]);
        }
    }
    ggl_places_free(p, n);
}

static void panels_lie_with_their_readers(void **state)
{
    (void)state;
    static const char *const machines[] = {"core:4 pu:2", "numa:2 core:4 pu:2", "numa:4 core:3 pu:1", "package:2 numa:4 core:2 pu:2"};
    static const int64_t panels[] = {1, 2, 7, 64, 257, 8080};
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct machine m = machine_of(machines[i], NULL);
        for (int n = 1; n <= 40; n++)
            for (size_t k = 0; k < sizeof(panels) / sizeof(panels[0]); k++) check_slices(&m, n, panels[k], 64 * (k + 1) * 37);
        free_machine(&m);
    }
    /* more nodes than there may be slices: one */
    struct ggl_slice s[GGL_MAX_SLICES];
    int node[MOST];
    uint64_t bytes;
    for (int i = 0; i < MOST; i++) node[i] = i;
    assert_int_equal(ggl_slices_find(500, 64, 4096, MOST, node, s, &bytes), 1);
    assert_int_equal(bytes, 500 * 64);
    assert_int_equal(ggl_slices_find(500, 64, 4096, MOST, NULL, s, &bytes), 1);
}

static void nothing_is_allowed(void **state)
{
    (void)state;
    struct machine m = machine_of("core:2 pu:1", "");
    struct ggl_place p[4];
    assert_false(ggl_places_find(m.t, m.allowed, 4, p));
    assert_int_equal(ggl_places_cores(m.t, m.allowed), 0);
    free_machine(&m);
    m = machine_of("numa:2 core:4 pu:2", "0-2,9");
    assert_int_equal(ggl_places_cores(m.t, m.allowed), 3);
    free_machine(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_by_hand),
        cmocka_unit_test(places_of_every_team),
        cmocka_unit_test(panels_lie_with_their_readers),
        cmocka_unit_test(nothing_is_allowed),
    };
    return cmocka_run_group_tests_name("ggml-lite/places", tests, NULL, NULL);
}

#else
int main(void)
{
    return 0; /* a build without hwloc places nothing */
}
#endif
