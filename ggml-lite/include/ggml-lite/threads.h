/*
 * The engine's own team of threads.
 *
 * The members are those of one OpenMP parallel region that a leader thread keeps open while the team lives, or plain
 * threads in a build without OpenMP.  Callers hand them work and wait, so a host's threads never fork teams of their own, and the host's floating-point environment
 * never reaches a kernel.
 *
 *     struct ggl_team *team;
 *     ggl_team_new(0, &team, &err);
 *     ggl_team_run(team, body, arg, &err);   // body(arg, i, n) on every thread i of n
 *
 * A member that has to wait stays awake for less than a millisecond and then sleeps, so neither an idle team nor one
 * that is held up takes processor time.
 *
 * Thread-safety: ggl_team_run may be called from any thread; runs are serialised, first come, first served.
 * A child of fork() cannot use its parent's team: STATE.
 */
#ifndef GGL_THREADS_H
#define GGL_THREADS_H

#include "ggml-lite/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_team;
typedef void ggl_team_fn(void *arg, int ith, int nth);

/* n = 0: one thread a physical core that this process may run on.  ARGUMENT: n outside 0..1024. */
GGL_API enum ggl_status ggl_team_new(int n, struct ggl_team **out, struct ggl_error *err);
/* The same, and its members (never the caller) keep to places of their own, by hwloc where the build has it: a core each
 * when there are as many as cores, their NUMA node when there are fewer, so that teams of several processes do not
 * share the first cores while others are free.  Members of one node have consecutive numbers.  Affinity and cgroups
 * are respected; OMP_PROC_BIND, when set, decides instead. */
GGL_API enum ggl_status ggl_team_new_pinned(int n, struct ggl_team **out, struct ggl_error *err);
GGL_API void ggl_team_free(struct ggl_team *team); /* accepts NULL */
GGL_API int ggl_team_size(const struct ggl_team *team);
GGL_API enum ggl_status ggl_team_run(struct ggl_team *team, ggl_team_fn *fn, void *arg, struct ggl_error *err);
/* Inside a run: wait until every thread of the team has come here. */
GGL_API void ggl_team_barrier(struct ggl_team *team);
/* Physical cores this process may run on (affinity and cgroup quota respected), at least 1. */
GGL_API int ggl_physical_cores(void);

#ifdef __cplusplus
}
#endif
#endif
