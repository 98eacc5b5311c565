/*
 * A tensor in steps: some rows of a slice at a time, so that neither memory nor what an interruption loses depends on
 * the size of tensors.  The steps of a tensor follow from its shape alone: the journal names places by their numbers.
 */
#include <string.h>
#include "gguf-convert/convert.h"

#define STEP_BYTES (16u << 20) /* of the source's codes */
#define TILE_ROWS  128         /* rows that share a row of FP8 scales */

/* INT4's second and third plane are known when the first is complete. */
static bool is_whole(const struct item *item)
{
    return item->kind > ITEM_INT4;
}

static int64_t rows_of_step(const struct item *item)
{
    const struct ggl_tensor *t = item->source;
    uint64_t rows = t->row_bytes && t->row_bytes < STEP_BYTES ? STEP_BYTES / t->row_bytes : 1;
    rows = rows / TILE_ROWS * TILE_ROWS;
    if (!rows) rows = TILE_ROWS;
    return is_whole(item) || rows > (uint64_t)t->ne[1] ? t->ne[1] : (int64_t)rows;
}

static uint64_t steps_of_slice(const struct item *item)
{
    int64_t n = rows_of_step(item);
    return n ? (uint64_t)((item->source->ne[1] + n - 1) / n) : 0;
}

uint64_t steps_count(const struct item *item)
{
    const struct ggl_tensor *t = item->source;
    if (!item->bytes) return 0;
    return is_whole(item) ? 1 : steps_of_slice(item) * (uint64_t)(t->ne[2] * t->ne[3]);
}

static void locate(const struct item *item, uint64_t step, int64_t *slice, int64_t *row)
{
    uint64_t n = steps_of_slice(item);
    *slice = (int64_t)(step / n);
    *row = (int64_t)(step % n) * rows_of_step(item);
}

uint64_t steps_bytes(const struct item *item, uint64_t step)
{
    const struct ggl_tensor *t = item->source;
    const uint64_t rows = (uint64_t)t->ne[1] * (uint64_t)t->ne[2] * (uint64_t)t->ne[3];
    int64_t slice, row;
    if (step >= steps_count(item)) return item->bytes;
    if (is_whole(item)) return 0;
    locate(item, step, &slice, &row);
    if (item->kind == ITEM_SCALE) return (uint64_t)slice * t->scale_slice_bytes + (uint64_t)(row / TILE_ROWS) * t->scale_row_bytes;
    return ((uint64_t)slice * (uint64_t)t->ne[1] + (uint64_t)row) * (item->bytes / rows);
}

void step_view(const struct item *item, uint64_t step, struct step *s)
{
    const struct ggl_tensor *t = item->source;
    struct ggl_tensor *v = &s->view;
    *v = *t;
    s->n_rows = t->ne[1];
    s->slice = s->row = 0;
    if (is_whole(item)) return;
    locate(item, step, &s->slice, &s->row);
    const uint64_t scale_rows = t->type == GGL_TYPE_FP8 ? TILE_ROWS : 1;
    const int64_t left = t->ne[1] - s->row, n = rows_of_step(item);
    v->ne[1] = left < n ? left : n;
    v->ne[2] = v->ne[3] = 1;
    v->slices = v->scale_slices = NULL;
    v->slice_bytes = (uint64_t)v->ne[1] * t->row_bytes;
    v->scale_slice_bytes = ((uint64_t)v->ne[1] + scale_rows - 1) / scale_rows * t->scale_row_bytes;
    v->data = ggl_tensor_slice(t, s->slice) + (uint64_t)s->row * t->row_bytes;
    if (!t->scale_row_bytes) return;
    v->scale = ggl_tensor_scale_slice(t, s->slice) + (uint64_t)s->row / scale_rows * t->scale_row_bytes;
}
