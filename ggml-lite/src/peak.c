/*
 * Measuring peaks: all threads run a piece of one kernel between two barriers,
 * many times, and the shortest time counts.  Multiplying pieces are short, so that on a
 * shared machine some of them are not disturbed.  Reading pieces are the whole buffer, some
 * milliseconds and more than any cache: shorter ones meet bursts that nothing can keep up.
 */
#include "ggml-lite/peak.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef GGL_HAVE_HWLOC
#include <hwloc.h>
#endif

#include "huge.h"
#include "kernels/kernels.h"

#define MIN_BUFFER (UINT64_C(256) << 20)

enum { PASSES = 64, READ_PASSES = 12 };
static const double pass_seconds = 0.002; /* of a multiplying pass: long beside a barrier */

struct measurement {
    struct ggl_team *team;
    struct ggl_kernels k;
    uint8_t *buffer;
    int64_t part_bytes; /* a thread's */
    int64_t int8_rounds, tile_rounds, bf16_rounds;
    double read_s, int8_s, tile_s, bf16_s;    /* the shortest passes; written by thread 0 */
    int64_t int8_macs, tile_macs, bf16_macs; /* of one thread in one pass */
    _Atomic uint64_t sink;         /* results, so that no loop is for nothing */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what threads do */

typedef void work_fn(struct measurement *m, int ith);

static void read_part(struct measurement *m, int ith)
{
    m->sink += m->k.read_bandwidth(m->buffer + ith * m->part_bytes, m->part_bytes);
}

static void multiply_int8(struct measurement *m, int ith)
{
    int64_t macs;
    m->sink += m->k.int8_peak(3, -5, m->int8_rounds, &macs);
    if (ith == 0) m->int8_macs = macs;
}

static void multiply_tiles(struct measurement *m, int ith)
{
    int64_t macs;
    m->sink += m->k.int8_tile_peak(3, -5, m->tile_rounds, &macs);
    if (ith == 0) m->tile_macs = macs;
}

static void multiply_bf16(struct measurement *m, int ith)
{
    int64_t macs;
    m->sink += m->k.bf16_peak(1.5f, -0.5f, m->bf16_rounds, &macs) < 0;
    if (ith == 0) m->bf16_macs = macs;
}

static void repeat(struct measurement *m, int ith, int passes, work_fn *work, double *best)
{
    for (int i = 0; i < passes; i++) {
        ggl_team_barrier(m->team);
        double start = now();
        work(m, ith);
        ggl_team_barrier(m->team);
        double seconds = now() - start;
        if (ith == 0 && (i == 0 || seconds < *best)) *best = seconds;
    }
}

/* Each thread's part lies near that thread. */
static void fill_part(void *arg, int ith, int nth)
{
    struct measurement *m = arg;
    (void)nth;
    memset(m->buffer + ith * m->part_bytes, 1, (size_t)m->part_bytes);
}

static bool has_tiles(const struct measurement *m)
{
    return (ggl_kernels_levels(&m->k) & GGL_ISA_AMX) != 0;
}

static void measure(void *arg, int ith, int nth)
{
    struct measurement *m = arg;
    fill_part(m, ith, nth);
    repeat(m, ith, READ_PASSES, read_part, &m->read_s);
    repeat(m, ith, PASSES, multiply_int8, &m->int8_s);
    repeat(m, ith, PASSES, multiply_bf16, &m->bf16_s);
    if (has_tiles(m)) repeat(m, ith, PASSES, multiply_tiles, &m->tile_s);
}

/* ---- sizes */

/* Third-level caches together, as far as the system tells; 0: unknown. */
static uint64_t third_level_bytes(void)
{
    uint64_t bytes = 0;
#ifdef GGL_HAVE_HWLOC
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) == 0) {
        hwloc_topology_set_cache_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL);
#if HWLOC_API_VERSION >= 0x00020500
        hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING); /* the calling thread is the host's */
#endif
        if (hwloc_topology_load(topology) == 0) {
            hwloc_obj_t cache = NULL;
            while ((cache = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_L3CACHE, cache))) bytes += cache->attr->cache.size;
        }
        hwloc_topology_destroy(topology);
    }
#endif
#ifdef _SC_LEVEL3_CACHE_SIZE
    if (!bytes) {
        long size = sysconf(_SC_LEVEL3_CACHE_SIZE);
        if (size > 0) bytes = (uint64_t)size;
    }
#endif
    return bytes;
}

/* A whole number of huge pages. */
static int64_t part_bytes(int n_threads)
{
    uint64_t bytes = 4 * third_level_bytes(), most = UINT64_MAX, least = GGL_HUGE_PAGE;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (bytes < MIN_BUFFER) bytes = MIN_BUFFER;
    if (pages > 0 && page > 0) most = (uint64_t)pages * (uint64_t)page / 8;
    if (bytes > most) bytes = most;
    uint64_t part = bytes / (uint64_t)n_threads / least * least;
    return (int64_t)(part ? part : least);
}

/* Rounds that keep one thread busy for about pass_seconds. */
static void calibrate(struct measurement *m, int64_t *rounds, work_fn *work)
{
    double seconds = 0;
    for (*rounds = 1 << 10; seconds < pass_seconds / 2; *rounds *= 2) {
        double start = now();
        work(m, 0);
        seconds = now() - start;
    }
}

static uint64_t buffer_bytes(const struct measurement *m)
{
    return (uint64_t)m->part_bytes * (uint64_t)ggl_team_size(m->team);
}

static enum ggl_status allocate(struct measurement *m, struct ggl_error *err)
{
    m->part_bytes = part_bytes(ggl_team_size(m->team));
    uint64_t bytes = buffer_bytes(m);
    m->buffer = aligned_alloc(GGL_HUGE_PAGE, bytes);
    if (!m->buffer)
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "peaks: no memory for a buffer of %llu bytes",
                        (unsigned long long)bytes);
    ggl_ask_for_huge_pages(m->buffer, bytes);
    ggl_kernels_pick(&m->k, ggl_cpu_isa());
    return GGL_OK;
}

enum ggl_status ggl_peak_measure(struct ggl_team *team, struct ggl_peak *out, struct ggl_error *err)
{
    struct measurement m = {.team = team};
    enum ggl_status s = allocate(&m, err);
    if (s) return s;
    calibrate(&m, &m.int8_rounds, multiply_int8);
    calibrate(&m, &m.bf16_rounds, multiply_bf16);
    if (has_tiles(&m)) calibrate(&m, &m.tile_rounds, multiply_tiles);
    s = ggl_team_run(team, measure, &m, err);
    free(m.buffer);
    if (s) return s;
    double n = ggl_team_size(team);
    out->read_bytes_per_s = (double)buffer_bytes(&m) / m.read_s;
    out->int8_macs_per_s = n * (double)m.int8_macs / m.int8_s;
    out->bf16_macs_per_s = n * (double)m.bf16_macs / m.bf16_s;
    out->tile_macs_per_s = has_tiles(&m) ? n * (double)m.tile_macs / m.tile_s : 0;
    out->isa = ggl_kernels_levels(&m.k);
    return GGL_OK;
}

/* ---- readers */

struct ggl_reader {
    struct measurement m;
};

static void read_once(void *arg, int ith, int nth)
{
    struct measurement *m = arg;
    (void)nth;
    repeat(m, ith, 1, read_part, &m->read_s);
}

enum ggl_status ggl_reader_new(struct ggl_team *team, struct ggl_reader **out, struct ggl_error *err)
{
    struct ggl_reader *r = calloc(1, sizeof(*r));
    *out = NULL;
    if (!r) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "reader: out of memory");
    r->m.team = team;
    enum ggl_status s = allocate(&r->m, err);
    if (!s) s = ggl_team_run(team, fill_part, &r->m, err);
    if (s) ggl_reader_free(r);
    else *out = r;
    return s;
}

enum ggl_status ggl_reader_sample(struct ggl_reader *r, double *bytes_per_s, struct ggl_error *err)
{
    enum ggl_status s = ggl_team_run(r->m.team, read_once, &r->m, err);
    if (!s) *bytes_per_s = (double)buffer_bytes(&r->m) / r->m.read_s;
    return s;
}

uint64_t ggl_reader_bytes(const struct ggl_reader *r)
{
    return buffer_bytes(&r->m);
}

void ggl_reader_free(struct ggl_reader *r)
{
    if (!r) return;
    free(r->m.buffer);
    free(r);
}
