/*
 * The engine's team: members that wait for work, run it together and wait again.
 *
 * With OpenMP one leader thread opens a parallel region when the team is made, and
 * the members stay in it: the runtime's own waiting, which may spin for
 * milliseconds, comes only at the end.  Without it the members are plain threads.
 * Between runs they sleep, so an idle engine costs nothing (barrier.h).
 */
#include "ggml-lite/threads.h"

#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "barrier.h"
#include "cores.h"

#ifdef GGL_HAVE_OPENMP
#include <omp.h>
#endif

enum {
    MAX_THREADS = 1024,
    SPINS = 1000,         /* 25 to 50 us: longer than a barrier should take, shorter than a time slice */
    MEETING_NS = 300000,
    IDLE_NS = 50000,      /* the next run of a decoding caller comes within that */
    CROWDED_NS = 50000,   /* little comes of waiting awake while the awaited has no processor */
};

#ifdef GGL_HAVE_OPENMP
#define OWN_THREADS(n) 1 /* the leader; OpenMP adds the others */
#else
#define OWN_THREADS(n) (n)
#endif

struct thread {
    struct ggl_team *team;
    pthread_t id;
    int ith;
};

struct ggl_team {
    int n;
    pid_t pid;
    struct thread *threads; /* our own */
    int n_threads;
    struct ggl_machine *machine; /* where members are put; NULL: the kernel decides */
    pthread_mutex_t lock; /* protects the callers' turns, which they take in order of arrival */
    pthread_cond_t next;
    uint64_t last_ticket, turn;
    struct ggl_patience idle;
    struct ggl_barrier barrier;
    /* written before `work` is opened */
    ggl_team_fn *fn; /* NULL: the end */
    void *arg;
    struct ggl_gate work, done;
    atomic_int running; /* members still inside the current run, the last opens `done`; before the first run, those that have begun */
};

void ggl_team_barrier(struct ggl_team *team)
{
    ggl_barrier_wait(&team->barrier, NULL);
}

void ggl_team_barrier_ahead(struct ggl_team *team, struct ggl_ahead *ahead)
{
    ggl_barrier_wait(&team->barrier, ahead);
}

/* ---- members */

static void serve(struct ggl_team *team, int ith)
{
    struct ggl_patience idle = {0}; /* for the first run: nobody knows when it comes */
    for (unsigned runs = 0;; runs++) {
        ggl_gate_wait(&team->work, runs, idle, NULL);
        if (!team->fn) return;
        if (runs == 0) ggl_machine_bind(team->machine, ith);
        idle = team->idle;
        team->fn(team->arg, ith, team->n);
        if (atomic_fetch_sub_explicit(&team->running, 1, memory_order_acq_rel) == 1) ggl_gate_open(&team->done);
    }
}

static void *thread_main(void *p)
{
    struct thread *t = p;
    struct ggl_team *team = t->team;
    fesetenv(FE_DFL_ENV); /* a new thread inherits its creator's rounding mode, traps and flushing */
#ifdef GGL_HAVE_OPENMP
    omp_set_dynamic(0);
#pragma omp parallel num_threads(team->n)
    {
        const int ith = omp_get_thread_num(), count = omp_get_num_threads();
        /* Environment variables may leave fewer threads than asked for, whatever else is set, and a barrier
         * would wait for the missing ones for ever. */
        if (ith == 0) team->n = count;
        /* A program may end at any time after this: members that were still busy with the runtime would crash in it. */
        if (atomic_fetch_add_explicit(&team->running, 1, memory_order_acq_rel) + 1 == count) ggl_gate_open(&team->done);
        serve(team, ith);
    }
#else
    serve(team, t->ith);
#endif
    return NULL;
}

/* ---- callers */

static void take_turn(struct ggl_team *team)
{
    pthread_mutex_lock(&team->lock);
    uint64_t ticket = team->last_ticket++;
    while (team->turn != ticket) pthread_cond_wait(&team->next, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

static void end_turn(struct ggl_team *team)
{
    pthread_mutex_lock(&team->lock);
    team->turn++;
    pthread_cond_broadcast(&team->next);
    pthread_mutex_unlock(&team->lock);
}

static void start(struct ggl_team *team, ggl_team_fn *fn, void *arg)
{
    team->fn = fn;
    team->arg = arg;
    atomic_store(&team->running, team->n);
    ggl_gate_open(&team->work);
}

enum ggl_status ggl_team_run(struct ggl_team *team, ggl_team_fn *fn, void *arg, struct ggl_error *err)
{
    if (getpid() != team->pid)
        return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: this process was forked after they were made");
    take_turn(team);
    unsigned before = ggl_gate_generation(&team->done);
    start(team, fn, arg);
    ggl_gate_wait(&team->done, before, (struct ggl_patience){0}, NULL); /* the processors are the members' */
    end_turn(team);
    return GGL_OK;
}

static enum ggl_status start_threads(struct ggl_team *team, struct ggl_error *err)
{
    int n = OWN_THREADS(team->n);
    team->threads = calloc((size_t)n, sizeof(*team->threads));
    if (!team->threads) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: out of memory");
    for (; team->n_threads < n; team->n_threads++) {
        struct thread *t = &team->threads[team->n_threads];
        *t = (struct thread){.team = team, .ith = team->n_threads};
        if (pthread_create(&t->id, NULL, thread_main, t))
            return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: cannot start thread %d of %d",
                            team->n_threads + 1, n);
    }
#ifdef GGL_HAVE_OPENMP
    ggl_gate_wait(&team->done, 0, (struct ggl_patience){0}, NULL); /* all have begun, and the size is known */
#endif
    return GGL_OK;
}

/* Whoever set OMP_PROC_BIND has decided where threads go. */
static bool placed_by_others(void)
{
#ifdef GGL_HAVE_OPENMP
    return omp_get_proc_bind() != omp_proc_bind_false;
#else
    return false;
#endif
}

static enum ggl_status new_team(int n, bool pinned, struct ggl_team **out, struct ggl_error *err)
{
    if (n < 0 || n > MAX_THREADS)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: %d is not in 0..%d", n, MAX_THREADS);
    struct ggl_machine *machine = n == 0 || (n > 1 && pinned) ? ggl_machine_open() : NULL;
    if (n == 0) n = ggl_machine_cores(machine);
#ifdef GGL_HAVE_OPENMP
    if (n > omp_get_thread_limit()) n = omp_get_thread_limit();
#endif
    struct ggl_team *team = calloc(1, sizeof(*team));
    if (!team) {
        ggl_machine_close(machine);
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "threads: out of memory");
    }
    bool crowded = n > ggl_allowed_cpus(); /* a member that waits awake may keep another from its processor */
    team->n = n;
    team->pid = getpid();
    team->idle = crowded ? (struct ggl_patience){0} : (struct ggl_patience){SPINS, IDLE_NS};
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->next, NULL);
    ggl_gate_init(&team->work);
    ggl_gate_init(&team->done);
    enum ggl_status s = start_threads(team, err);
    if (pinned && !placed_by_others()) {
        ggl_machine_place(machine, team->n);
        team->machine = machine; /* members look at it when they begin their first run */
    } else {
        ggl_machine_close(machine);
    }
    ggl_barrier_init(&team->barrier, team->n, crowded ? (struct ggl_patience){0, CROWDED_NS} : (struct ggl_patience){SPINS, MEETING_NS});
    if (s) ggl_team_free(team);
    else *out = team;
    return s;
}

enum ggl_status ggl_team_new(int n, struct ggl_team **out, struct ggl_error *err)
{
    return new_team(n, false, out, err);
}

enum ggl_status ggl_team_new_pinned(int n, struct ggl_team **out, struct ggl_error *err)
{
    return new_team(n, true, out, err);
}

void ggl_team_free(struct ggl_team *team)
{
    if (!team) return;
    if (getpid() == team->pid) { /* in a forked child the members do not exist */
        start(team, NULL, NULL);
        for (int i = 0; i < team->n_threads; i++) pthread_join(team->threads[i].id, NULL);
        ggl_barrier_deinit(&team->barrier);
        ggl_gate_deinit(&team->work);
        ggl_gate_deinit(&team->done);
        pthread_cond_destroy(&team->next);
        pthread_mutex_destroy(&team->lock);
    }
    ggl_machine_close(team->machine);
    free(team->threads);
    free(team);
}

const struct ggl_machine *ggl_team_machine(const struct ggl_team *team)
{
    return team->machine;
}

int ggl_team_size(const struct ggl_team *team)
{
    return team->n;
}
