/*
 * Waiting that is fast when it is short and free when it is long.
 *
 * Members of a team that computes arrive within microseconds of each other nearly
 * always, so they watch memory for a while, which costs no system call.  After that
 * the reason is another process that has a member's processor: first the waiting
 * ones let others run, then they sleep and use nothing.
 *
 * Opening a gate makes a system call only when somebody sleeps.  The opener counts
 * the generation up and then looks for sleepers; a sleeper counts itself and then
 * looks at the generation.  All of this has one order for all threads (seq_cst), so
 * one of the two sees the other.
 */
#include "barrier.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void ggl_gate_init(struct ggl_gate *g)
{
    atomic_init(&g->generation, 0);
    atomic_init(&g->sleepers, 0);
#ifndef __linux__
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->opened, NULL);
#endif
}

void ggl_gate_deinit(struct ggl_gate *g)
{
#ifdef __linux__
    (void)g;
#else
    pthread_cond_destroy(&g->opened);
    pthread_mutex_destroy(&g->lock);
#endif
}

/* ---- sleeping: the kernel, or else the lock's owner, looks at the generation once more before it sleeps */

#ifdef __linux__
static void sleep_before(struct ggl_gate *g, unsigned generation)
{
    while (atomic_load(&g->generation) == generation)
        syscall(SYS_futex, &g->generation, FUTEX_WAIT_PRIVATE, generation, NULL, NULL, 0);
}

static void wake_all(struct ggl_gate *g)
{
    syscall(SYS_futex, &g->generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
static void sleep_before(struct ggl_gate *g, unsigned generation)
{
    pthread_mutex_lock(&g->lock);
    while (atomic_load(&g->generation) == generation) pthread_cond_wait(&g->opened, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void wake_all(struct ggl_gate *g)
{
    pthread_mutex_lock(&g->lock);
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}
#endif

/* ---- the gate */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

unsigned ggl_gate_generation(const struct ggl_gate *g)
{
    return atomic_load_explicit(&g->generation, memory_order_acquire);
}

/* Two lines at a time, so that the gate is looked at between them; false: there are none. */
static bool fetch(struct ggl_ahead *ahead)
{
    if (!ahead || ahead->p >= ahead->end) return false;
    for (int line = 0; line < 2; line++, ahead->p += 64) __builtin_prefetch(ahead->p, 0, 2);
    return true;
}

/* True when it was opened while we stayed awake. */
static bool opened_soon(const struct ggl_gate *g, unsigned generation, struct ggl_patience patience, struct ggl_ahead *ahead)
{
    for (int i = 0; i < patience.spins; i++) {
        if (ggl_gate_generation(g) != generation) return true;
        if (!fetch(ahead)) relax();
    }
    if (!patience.yield_ns) return ggl_gate_generation(g) != generation;
    for (int64_t end = now_ns() + patience.yield_ns; now_ns() < end; sched_yield())
        if (ggl_gate_generation(g) != generation) return true;
    return false;
}

void ggl_gate_wait(struct ggl_gate *g, unsigned generation, struct ggl_patience patience, struct ggl_ahead *ahead)
{
    if (opened_soon(g, generation, patience, ahead)) return;
    atomic_fetch_add(&g->sleepers, 1);
    sleep_before(g, generation);
    atomic_fetch_sub(&g->sleepers, 1);
}

void ggl_gate_open(struct ggl_gate *g)
{
    atomic_fetch_add(&g->generation, 1);
    if (atomic_load(&g->sleepers)) wake_all(g);
}

/* ---- the barrier */

void ggl_barrier_init(struct ggl_barrier *b, int n, struct ggl_patience patience)
{
    b->n = n;
    b->patience = patience;
    atomic_init(&b->arrived, 0);
    ggl_gate_init(&b->gate);
}

void ggl_barrier_deinit(struct ggl_barrier *b)
{
    ggl_gate_deinit(&b->gate);
}

void ggl_barrier_wait(struct ggl_barrier *b, struct ggl_ahead *ahead)
{
    if (b->n == 1) return;
    unsigned generation = ggl_gate_generation(&b->gate);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 < b->n) {
        ggl_gate_wait(&b->gate, generation, b->patience, ahead);
        return;
    }
    atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
    ggl_gate_open(&b->gate);
}
