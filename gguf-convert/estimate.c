/* What a conversion will need: memory from the sizes of its buffers, time from samples of its work. */
#include <inttypes.h>
#include <string.h>
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

#define SAMPLE_BYTES (1u << 20) /* of the source, through the encoders */
#define MAX_SAMPLES  64
#define FIXED_BYTES  (48u << 20) /* stacks, buffers of pieces, allocator */

/* ---- memory */

/* Both buffers of source.c, and what encode.c or int4.c hold of the item. */
static uint64_t item_memory(const struct plan *p, uint64_t i, uint64_t threads)
{
    const struct item *item = &p->items[i];
    const struct ggl_tensor *t = item->source;
    const uint64_t rows = (uint64_t)t->ne[1] ? (uint64_t)t->ne[1] : 1;
    struct step s;
    if (!steps_count(item)) return 0;
    step_view(item, 0, &s);
    uint64_t bytes = 2 * (s.view.slice_bytes + s.view.scale_slice_bytes);
    if (item->kind > ITEM_INT4) return 0; /* counted with the codes */
    if (item->kind == ITEM_INT4)
        return bytes + rows * (uint64_t)t->ne[0] / 32 + rows * 4 + threads * (uint64_t)t->ne[0] * (PIECES_A_THREAD + 4);
    if (item->kind != ITEM_ENCODE) return bytes;
    const uint64_t row = ggl_gguf_tensor(p->out, i)->row_bytes, piece = row < ENCODE_PIECE_BYTES ? ENCODE_PIECE_BYTES : row;
    return bytes + threads * (PIECES_A_THREAD * piece + (uint64_t)t->ne[0] * 8);
}

uint64_t estimate_memory(const struct plan *p, int64_t threads)
{
    uint64_t most = 0, n = (uint64_t)(threads ? threads : ggl_physical_cores());
    for (uint64_t i = 0; i < p->n_items; i++) {
        uint64_t bytes = item_memory(p, i, n);
        if (bytes > most) most = bytes;
    }
    return cli_peak_rss() + most + FIXED_BYTES; /* the plan is complete: that much was needed for it */
}

/* ---- time */

struct sample {
    enum item_kind kind;
    enum ggl_type from, to;
    int64_t ne0;
    double read, convert; /* seconds for a byte of the output */
};

static enum ggl_status nowhere(void *user, const void *data, size_t n, struct ggl_error *err)
{
    (void)data, (void)err;
    *(uint64_t *)user += n;
    return GGL_OK;
}

static bool take_sample(const struct plan *p, uint64_t i, struct source *source, const struct encoders *e, struct sample *out)
{
    const struct item *item = &p->items[i];
    struct ggl_error ignored;
    struct step s;
    uint64_t done = 0;
    double start = cli_now();
    if (source_step(source, i, 0, &s, &ignored)) return false;
    out->read = (cli_now() - start) / (double)(steps_bytes(item, 1) ? steps_bytes(item, 1) : 1);
    int64_t rows = s.view.row_bytes ? (int64_t)(SAMPLE_BYTES / s.view.row_bytes) : 0;
    if (rows < 1) rows = 1;
    if (rows < s.view.ne[1]) s.view.ne[1] = rows;
    s.view.slice_bytes = s.view.row_bytes * (uint64_t)s.view.ne[1];
    if (item->kind == ITEM_SCALE && rows < s.view.ne[1]) s.view.scale_slice_bytes = s.view.scale_row_bytes;
    start = cli_now();
    if (emit_step(p, i, &s, e, nowhere, &done, &ignored)) return false;
    out->convert = (cli_now() - start) / (double)(done ? done : 1);
    return true;
}

static struct sample *find_sample(struct sample *samples, int *n, const struct plan *p, uint64_t i, bool *is_new)
{
    const struct item *item = &p->items[i];
    const struct sample s = {item->kind, item->source->type, ggl_gguf_tensor(p->out, i)->type, item->source->ne[0], 0, 0};
    *is_new = false;
    for (int k = 0; k < *n; k++) {
        const struct sample *o = &samples[k];
        if (o->kind == s.kind && o->from == s.from && o->to == s.to && o->ne0 == s.ne0) return &samples[k];
    }
    if (*n == MAX_SAMPLES) return &samples[MAX_SAMPLES - 1];
    *is_new = true;
    samples[*n] = s;
    return &samples[(*n)++];
}

static double add_up(const struct plan *p, struct source *source, const struct encoders *e)
{
    struct sample samples[MAX_SAMPLES];
    int n = 0;
    double read = 0, convert = 0;
    for (uint64_t i = 0; i < p->n_items; i++) {
        bool is_new;
        if (!steps_count(&p->items[i]) || p->items[i].kind > ITEM_INT4) continue;
        struct sample *s = find_sample(samples, &n, p, i, &is_new);
        if (is_new && !take_sample(p, i, source, e, s)) return -1;
        read += s->read * (double)p->items[i].bytes;
        convert += s->convert * (double)p->items[i].bytes;
    }
    return read > convert ? read : convert; /* they happen at the same time */
}

double estimate_seconds(const struct plan *p, int64_t threads)
{
    struct ggl_error ignored;
    struct encoders e = {NULL, NULL};
    struct source *source = source_new(p);
    bool ok = source != NULL;
    if (p->n_int4) ok = ok && int4_new(threads, p->imatrix, &e.int4, &ignored) == GGL_OK;
    if (p->n_encoded) ok = ok && rows_new(threads, p->imatrix, &e.rows, &ignored) == GGL_OK;
    double seconds = ok ? add_up(p, source, &e) : -1;
    int4_free(e.int4);
    rows_free(e.rows);
    source_free(source);
    return seconds;
}
