/*
 * The rows of a step as memory.  A checkpoint's are read into two buffers, the next step's in the background while
 * this one's are converted; a GGUF file's are mapped, and let go behind us.  Either way memory does not grow with
 * the model.  What must hold of scales and expert ids is checked here, as they pass.
 */
#include <inttypes.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "gguf-convert/convert.h"

/* A step's planes in memory. */
struct loaded {
    uint64_t item, step;
    bool valid; /* it is, or will be, that step */
    uint8_t *data, *scale;
    uint64_t data_room, scale_room;
    enum ggl_status status;
    struct ggl_error error;
};

struct source {
    const struct plan *plan;
    struct loaded now, next;
    pthread_t thread; /* loads `next` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_thread, loading, stop;
};

/* ---- checks */

static enum ggl_status bad_place(const struct plan *p, const uint8_t *place, const char *found, const char *expected,
                                 const char *name, const char *what, uint64_t i, struct ggl_error *err)
{
    int fd;
    uint64_t offset = GGL_NO_OFFSET;
    const char *path = ggl_checkpoint_place(p->checkpoint, place, &fd, &offset);
    return ggl_fail(err, GGL_ERR_FORMAT, path, offset, found, expected, "%s: %s %" PRIu64, name, what, i);
}

/* Scales multiply every weight of a tile: one NaN spoils a matrix. */
static enum ggl_status check_scales(const struct plan *p, const struct ggl_tensor *places, const uint8_t *scale,
                                    struct ggl_error *err)
{
    const uint64_t n = places->scale_slice_bytes;
    if (places->scale_type == GGL_SCALE_E8M0) {
        const uint8_t *bad = n ? memchr(scale, 255, (size_t)n) : NULL;
        if (!bad) return GGL_OK;
        uint64_t i = (uint64_t)(bad - scale);
        return bad_place(p, places->scale + i, "255 (not a number)", "0 to 254", places->name, "scale", i, err);
    }
    for (uint64_t i = 0; i < n / 4; i++) {
        float x;
        memcpy(&x, scale + 4 * i, 4);
        if (!isfinite(x)) return bad_place(p, places->scale + 4 * i, "not a finite number", NULL, places->name, "scale", i, err);
    }
    return GGL_OK;
}

/* Every id is an index into the experts of its layer. */
static enum ggl_status check_ids(const struct plan *p, const struct ggl_tensor *places, const uint8_t *data,
                                 struct ggl_error *err)
{
    const int64_t n_expert = ggl_checkpoint_n_expert(p->checkpoint);
    const uint64_t size = places->type == GGL_TYPE_I64 ? 8 : 4;
    for (uint64_t i = 0; i < places->slice_bytes / size; i++) {
        int64_t id;
        int32_t narrow;
        memcpy(&id, data + i * size, size);
        memcpy(&narrow, data + i * size, 4);
        if (size == 4) id = narrow;
        if (id >= 0 && id < n_expert) continue;
        char found[32], expected[32];
        snprintf(found, sizeof(found), "%" PRId64, id);
        snprintf(expected, sizeof(expected), "0 to %" PRId64, n_expert - 1);
        return bad_place(p, places->data + i * size, found, expected, places->name, "expert", i, err);
    }
    return GGL_OK;
}

/* ---- a checkpoint's rows */

static bool wants_data(const struct item *item)
{
    return item->kind != ITEM_SCALE && item->kind <= ITEM_INT4;
}

static bool wants_scale(const struct item *item)
{
    return item->source->scale_row_bytes && item->kind != ITEM_COPY && item->kind <= ITEM_INT4;
}

static enum ggl_status fetch(const struct plan *p, const struct ggl_tensor *t, const uint8_t *place, uint64_t n,
                             uint8_t **buffer, uint64_t *room, struct ggl_error *err)
{
    if (*room < n) {
        free(*buffer);
        *room = 0;
        *buffer = malloc((size_t)n);
        if (!*buffer) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: rows", t->name);
        *room = n;
    }
    return ggl_checkpoint_read(p->checkpoint, place, *buffer, n, err);
}

static void load(const struct plan *p, struct loaded *l)
{
    const struct item *item = &p->items[l->item];
    struct step s;
    step_view(item, l->step, &s);
    const struct ggl_tensor *v = &s.view;
    struct ggl_error *err = &l->error;
    memset(err, 0, sizeof(*err));
    l->status = GGL_OK;
    if (wants_data(item)) l->status = fetch(p, v, v->data, v->slice_bytes, &l->data, &l->data_room, err);
    if (wants_scale(item) && !l->status) {
        l->status = fetch(p, v, v->scale, v->scale_slice_bytes, &l->scale, &l->scale_room, err);
        if (!l->status) l->status = check_scales(p, v, l->scale, err);
    }
    bool ids = v->type == GGL_TYPE_I64 || v->type == GGL_TYPE_I32;
    if (ids && wants_data(item) && !l->status) l->status = check_ids(p, v, l->data, err);
}

/* ---- the next step, in the background */

static void *work(void *user)
{
    struct source *src = user;
    pthread_mutex_lock(&src->lock);
    while (!src->stop) {
        if (!src->loading) {
            pthread_cond_wait(&src->changed, &src->lock);
            continue;
        }
        pthread_mutex_unlock(&src->lock);
        load(src->plan, &src->next);
        pthread_mutex_lock(&src->lock);
        src->loading = false;
        pthread_cond_broadcast(&src->changed);
    }
    pthread_mutex_unlock(&src->lock);
    return NULL;
}

static void wait_for_next(struct source *src)
{
    pthread_mutex_lock(&src->lock);
    while (src->loading) pthread_cond_wait(&src->changed, &src->lock);
    pthread_mutex_unlock(&src->lock);
}

/* The step after (item, step); false: that was the last. */
static bool following(const struct plan *p, uint64_t *item, uint64_t *step)
{
    if (++*step < steps_count(&p->items[*item])) return true;
    *step = 0;
    do ++*item;
    while (*item < p->n_items && !steps_count(&p->items[*item]));
    return *item < p->n_items;
}

static void load_ahead(struct source *src, uint64_t item, uint64_t step)
{
    if (!src->has_thread || !following(src->plan, &item, &step)) return;
    pthread_mutex_lock(&src->lock);
    src->next.item = item;
    src->next.step = step;
    src->next.valid = src->loading = true;
    pthread_cond_broadcast(&src->changed);
    pthread_mutex_unlock(&src->lock);
}

static enum ggl_status take(struct source *src, uint64_t item, uint64_t step, struct ggl_error *err)
{
    wait_for_next(src);
    const struct loaded was = src->now;
    if (src->next.valid && src->next.item == item && src->next.step == step) {
        src->now = src->next;
        src->next = was;
    } else {
        src->now.item = item;
        src->now.step = step;
        load(src->plan, &src->now);
    }
    src->next.valid = false;
    if (src->now.status && err) *err = src->now.error;
    if (!src->now.status) load_ahead(src, item, step);
    return src->now.status;
}

/* ---- a file's rows */

static void advise(const uint8_t *data, uint64_t n, int advice)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)data / page * page;
    if (data && n) (void)madvise((void *)from, (size_t)((uintptr_t)data + n - from), advice);
}

void source_let_go(const uint8_t *data, uint64_t n)
{
    advise(data, n, MADV_DONTNEED); /* of a file's mapping: it is read again where somebody looks again */
}

/* ---- the interface */

struct source *source_new(const struct plan *p)
{
    struct source *src = calloc(1, sizeof(*src));
    if (!src) return NULL;
    src->plan = p;
    pthread_mutex_init(&src->lock, NULL);
    pthread_cond_init(&src->changed, NULL);
    src->has_thread = p->checkpoint && pthread_create(&src->thread, NULL, work, src) == 0;
    return src;
}

void source_free(struct source *src)
{
    if (!src) return;
    if (src->has_thread) {
        pthread_mutex_lock(&src->lock);
        src->stop = true;
        pthread_cond_broadcast(&src->changed);
        pthread_mutex_unlock(&src->lock);
        pthread_join(src->thread, NULL);
    }
    pthread_cond_destroy(&src->changed);
    pthread_mutex_destroy(&src->lock);
    free(src->now.data);
    free(src->now.scale);
    free(src->next.data);
    free(src->next.scale);
    free(src);
}

enum ggl_status source_step(struct source *src, uint64_t i, uint64_t step, struct step *s, struct ggl_error *err)
{
    const struct plan *p = src->plan;
    struct ggl_tensor *v = &s->view;
    step_view(&p->items[i], step, s);
    if (!p->checkpoint) {
        advise(v->data, v->slice_bytes, MADV_WILLNEED);
        return GGL_OK;
    }
    enum ggl_status status = take(src, i, step, err);
    if (status) return status;
    v->data = wants_data(&p->items[i]) ? src->now.data : NULL;
    v->scale = wants_scale(&p->items[i]) ? src->now.scale : NULL;
    return GGL_OK;
}

void source_done(const struct source *src, const struct step *s)
{
    if (src->plan->checkpoint) return;
    source_let_go(s->view.data, s->view.slice_bytes);
    source_let_go(s->view.scale, s->view.scale_slice_bytes);
}
