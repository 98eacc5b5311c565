/*
 * The engine's team: a leader thread that runs bodies on all members, with
 * OpenMP inside when the build has it and plain threads otherwise.
 *
 * The leader sleeps on a condition variable between runs, so an idle engine
 * costs nothing; inside a run members meet at a barrier that spins briefly and
 * then yields, so a shared machine is not starved.
 */
#include "ggml-lite/threads.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "cores.h"

#ifdef GGL_HAVE_OPENMP
#include <omp.h>
#endif

#define SPINS_BEFORE_YIELD 1000 /* some tens of microseconds: longer than a barrier should take, shorter than a time slice */
#define MAX_THREADS        1024

#ifdef GGL_HAVE_OPENMP
#define OWN_THREADS(n) 1 /* the leader; OpenMP adds the others */
#else
#define OWN_THREADS(n) (n)
#endif

struct member {
    struct ggl_team *team;
    pthread_t thread;
    int ith;
};

struct ggl_team {
    int n;
    int spins; /* at a barrier, before giving the processor away; none when members outnumber processors */
    pid_t pid;
    struct member *members; /* our own threads */
    int n_members;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t wake, done, idle;
    ggl_team_fn *fn;
    void *arg;
    uint64_t job;  /* counts the runs */
    int running;   /* members still inside the current job */
    bool quit, busy, ready;
    /* the barrier: the last to arrive opens the next generation */
    atomic_int arrived;
    atomic_uint generation;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void ggl_team_barrier(struct ggl_team *team)
{
    if (team->n == 1) return;
    unsigned generation = atomic_load_explicit(&team->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == team->n) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&team->generation, 1, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&team->generation, memory_order_acquire) == generation; i++) {
        if (i < team->spins) relax();
        else sched_yield();
    }
}

static void run_job(struct member *m, ggl_team_fn *fn, void *arg)
{
    int n = m->team->n;
#ifdef GGL_HAVE_OPENMP
#pragma omp parallel num_threads(n)
    fn(arg, omp_get_thread_num(), n);
#else
    fn(arg, m->ith, n);
#endif
}

#ifdef GGL_HAVE_OPENMP
/* What OpenMP really gives: its environment variables may leave fewer threads than asked for, whatever else
 * is set, and a barrier would wait for the missing ones for ever. */
static int threads_given(int n)
{
    int given = 1;
    omp_set_dynamic(0);
#pragma omp parallel num_threads(n)
    if (omp_get_thread_num() == 0) given = omp_get_num_threads();
    return given;
}
#endif

static void *member_main(void *p)
{
    struct member *m = p;
    struct ggl_team *team = m->team;
    uint64_t seen = 0;
    fesetenv(FE_DFL_ENV); /* a new thread inherits its creator's rounding mode, traps and flushing */
#ifdef GGL_HAVE_OPENMP
    team->n = threads_given(team->n);
#endif
    pthread_mutex_lock(&team->lock);
    team->ready = true;
    pthread_cond_broadcast(&team->done);
    for (;;) {
        while (!team->quit && team->job == seen) pthread_cond_wait(&team->wake, &team->lock);
        if (team->quit) break;
        seen = team->job;
        ggl_team_fn *fn = team->fn;
        void *arg = team->arg;
        pthread_mutex_unlock(&team->lock);
        run_job(m, fn, arg);
        pthread_mutex_lock(&team->lock);
        if (--team->running == 0) pthread_cond_broadcast(&team->done);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

enum ggl_status ggl_team_run(struct ggl_team *team, ggl_team_fn *fn, void *arg, struct ggl_error *err)
{
    if (getpid() != team->pid)
        return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: this process was forked after they were made");
    pthread_mutex_lock(&team->lock);
    while (team->busy) pthread_cond_wait(&team->idle, &team->lock);
    team->busy = true;
    team->fn = fn;
    team->arg = arg;
    team->running = team->n_members;
    team->job++;
    pthread_cond_broadcast(&team->wake);
    while (team->running) pthread_cond_wait(&team->done, &team->lock);
    team->busy = false;
    pthread_cond_signal(&team->idle);
    pthread_mutex_unlock(&team->lock);
    return GGL_OK;
}

static enum ggl_status start_members(struct ggl_team *team, struct ggl_error *err)
{
    int n = OWN_THREADS(team->n);
    team->members = calloc((size_t)n, sizeof(*team->members));
    if (!team->members) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: out of memory");
    for (; team->n_members < n; team->n_members++) {
        struct member *m = &team->members[team->n_members];
        *m = (struct member){.team = team, .ith = team->n_members};
        if (pthread_create(&m->thread, NULL, member_main, m))
            return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: cannot start thread %d of %d",
                            team->n_members + 1, n);
    }
    pthread_mutex_lock(&team->lock);
    while (!team->ready)
        pthread_cond_wait(&team->done, &team->lock); /* the size is known then */
    pthread_mutex_unlock(&team->lock);
    return GGL_OK;
}

enum ggl_status ggl_team_new(int n, struct ggl_team **out, struct ggl_error *err)
{
    if (n < 0 || n > MAX_THREADS)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: %d is not in 0..%d", n, MAX_THREADS);
    if (n == 0) n = ggl_physical_cores();
#ifdef GGL_HAVE_OPENMP
    if (n > omp_get_thread_limit()) n = omp_get_thread_limit();
#endif
    struct ggl_team *team = calloc(1, sizeof(*team));
    if (!team) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: out of memory");
    team->n = n;
    team->spins = n <= ggl_allowed_cpus() ? SPINS_BEFORE_YIELD : 0;
    team->pid = getpid();
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->done, NULL);
    pthread_cond_init(&team->idle, NULL);
    enum ggl_status s = start_members(team, err);
    if (s) ggl_team_free(team);
    else *out = team;
    return s;
}

void ggl_team_free(struct ggl_team *team)
{
    if (!team) return;
    if (getpid() == team->pid) { /* in a forked child the members do not exist */
        pthread_mutex_lock(&team->lock);
        team->quit = true;
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->lock);
        for (int i = 0; i < team->n_members; i++) pthread_join(team->members[i].thread, NULL);
        pthread_cond_destroy(&team->wake);
        pthread_cond_destroy(&team->done);
        pthread_cond_destroy(&team->idle);
        pthread_mutex_destroy(&team->lock);
    }
    free(team->members);
    free(team);
}

int ggl_team_size(const struct ggl_team *team)
{
    return team->n;
}
