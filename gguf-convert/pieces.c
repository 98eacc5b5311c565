/*
 * Work in pieces, by all threads of a team at the same time.  Whoever has made a piece takes the next one that nobody has;
 * finished pieces are handed on in order, one at a time, by whichever thread comes to it first: none waits for another
 * while there is work.
 */
#include <pthread.h>
#include <stdlib.h>
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

struct run {
    const struct pieces *pieces;
    pthread_mutex_t lock; /* protects the rest */
    pthread_cond_t changed;
    int64_t next, done; /* pieces that were taken, and handed on */
    bool *made;         /* a slot */
    bool handing;       /* a thread is */
    enum ggl_status status;
    struct ggl_error *err;
};

/* With the lock; without it while a piece is handed on. */
static void hand_on(struct run *r)
{
    const struct pieces *p = r->pieces;
    if (r->handing) return; /* that thread looks again */
    r->handing = true;
    while (!r->status && r->done < r->next && r->made[r->done % p->n_slots]) {
        pthread_mutex_unlock(&r->lock);
        enum ggl_status s = p->hand_on(p->user, r->done, r->err);
        pthread_mutex_lock(&r->lock);
        r->made[r->done++ % p->n_slots] = false;
        r->status = s;
        pthread_cond_broadcast(&r->changed);
    }
    r->handing = false;
}

static void work(void *arg, int ith, int nth)
{
    struct run *r = arg;
    const struct pieces *p = r->pieces;
    (void)nth;
    pthread_mutex_lock(&r->lock);
    while (!r->status && r->next < p->n) {
        if (r->next - r->done == p->n_slots) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        int64_t piece = r->next++;
        pthread_mutex_unlock(&r->lock);
        p->make(p->user, piece, ith);
        pthread_mutex_lock(&r->lock);
        r->made[piece % p->n_slots] = true;
        hand_on(r);
    }
    pthread_mutex_unlock(&r->lock);
}

enum ggl_status pieces_run(struct ggl_team *team, const struct pieces *p, struct ggl_error *err)
{
    struct run r = {.pieces = p, .err = err};
    r.made = calloc((size_t)p->n_slots, sizeof(*r.made));
    if (!r.made) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "pieces");
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.changed, NULL);
    enum ggl_status s = ggl_team_run(team, work, &r, err);
    pthread_cond_destroy(&r.changed);
    pthread_mutex_destroy(&r.lock);
    free(r.made);
    return s ? s : r.status;
}
