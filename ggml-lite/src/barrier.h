/* Where threads of a team wait: a gate that somebody opens, and a barrier where all members meet. */
#ifndef GGL_BARRIER_H
#define GGL_BARRIER_H

#include <stdatomic.h>
#include <stdint.h>
#ifndef __linux__
#include <pthread.h>
#endif

/* How long to stay awake. */
struct ggl_patience {
    int spins;        /* turns of the processor's pause before others get it */
    int64_t yield_ns; /* time given to others before sleeping */
};

/* Each lies in cache lines of its own: some watch it while others write what is beside it. */
struct ggl_gate {
    char before[64];
    atomic_uint generation; /* how often it was opened */
    atomic_int sleepers;
#ifndef __linux__
    pthread_mutex_t lock;
    pthread_cond_t opened;
#endif
    char after[64];
};

void ggl_gate_init(struct ggl_gate *g);
void ggl_gate_deinit(struct ggl_gate *g);
unsigned ggl_gate_generation(const struct ggl_gate *g);

/* What a thread will read when it has waited: whole lines, which come into its second-level cache meanwhile. */
struct ggl_ahead {
    const uint8_t *p, *end;
};

/* Until it has been opened after `generation`.  What its opener wrote before is then visible.  ahead: may be NULL; its p
 * moves on as lines are asked for. */
void ggl_gate_wait(struct ggl_gate *g, unsigned generation, struct ggl_patience patience, struct ggl_ahead *ahead);
void ggl_gate_open(struct ggl_gate *g);

struct ggl_barrier {
    int n;
    struct ggl_patience patience;
    atomic_int arrived;
    struct ggl_gate gate; /* the last to arrive opens it */
};

void ggl_barrier_init(struct ggl_barrier *b, int n, struct ggl_patience patience);
void ggl_barrier_deinit(struct ggl_barrier *b);
void ggl_barrier_wait(struct ggl_barrier *b, struct ggl_ahead *ahead);

struct ggl_team;
/* threads.c: ggl_team_barrier for a thread that knows what comes. */
void ggl_team_barrier_ahead(struct ggl_team *team, struct ggl_ahead *ahead);

#endif
