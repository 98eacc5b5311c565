/* The bytes of output tensors, in pieces; only permuted ones pass through a buffer.  int4.c and encode.c have those that are rounded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gguf-convert/convert.h"

#define PIECE_BYTES  (256u << 10)
#define BUFFER_BYTES (16u << 10) /* stays in the first cache */

volatile sig_atomic_t convert_stop;

enum ggl_status emit_stopped(struct ggl_error *err)
{
    if (!convert_stop) return GGL_OK;
    return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "interrupted");
}

static enum ggl_status emit_plane(const uint8_t *data, uint64_t bytes, emit_sink *sink, void *user,
                                  struct ggl_error *err)
{
    for (uint64_t n; bytes; bytes -= n, data += n) {
        n = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
        enum ggl_status s = emit_stopped(err);
        if (!s) s = sink(user, data, (size_t)n, err);
        if (s) return s;
    }
    return GGL_OK;
}

/* The two codes of E4M3 that are no number: never in a sound checkpoint, and poison for every sum. */
static enum ggl_status check_codes(const struct step *step, struct ggl_error *err)
{
    const struct ggl_tensor *t = &step->view;
    const uint8_t *codes = t->data;
    const uint64_t n = t->slice_bytes;
    unsigned any = 0;
    for (uint64_t i = 0; i < n; i++) any |= (unsigned)((codes[i] & 0x7f) == 0x7f);
    if (!any) return GGL_OK;
    uint64_t i = 0;
    while ((codes[i] & 0x7f) != 0x7f) i++;
    char found[64];
    snprintf(found, sizeof(found), "code 0x%02x (not a number)", codes[i]);
    return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, found, NULL,
                    "%s: slice %" PRId64 ", element %" PRIu64, t->name, step->slice,
                    (uint64_t)step->row * t->row_bytes + i);
}

static enum ggl_status emit_mxfp4(const struct ggl_tensor *t, uint8_t *buffer, emit_sink *sink, void *user,
                                  struct ggl_error *err)
{
    const uint64_t row = (uint64_t)t->ne[0] / 32 * 17;
    const int64_t most = row < BUFFER_BYTES ? (int64_t)(BUFFER_BYTES / row) : 1;
    const uint8_t *codes = t->data, *scales = t->scale;
    for (int64_t r = 0, n; r < t->ne[1]; r += n) {
        n = t->ne[1] - r < most ? t->ne[1] - r : most;
        ggl_fp4_to_mxfp4(codes + (uint64_t)r * t->row_bytes, scales + (uint64_t)r * t->scale_row_bytes, buffer,
                         n * t->ne[0]);
        enum ggl_status s = emit_stopped(err);
        if (!s) s = sink(user, buffer, (size_t)n * (size_t)row, err);
        if (s) return s;
    }
    return GGL_OK;
}

/* Ids were checked against the number of experts when the checkpoint was opened: they fit. */
static enum ggl_status emit_ids(const struct ggl_tensor *t, uint8_t *buffer, emit_sink *sink, void *user,
                                struct ggl_error *err)
{
    const int64_t *ids = (const int64_t *)(const void *)t->data;
    uint64_t total = (uint64_t)t->ne[0] * (uint64_t)t->ne[1];
    for (uint64_t i = 0, n; i < total; i += n) {
        n = total - i < BUFFER_BYTES / 4 ? total - i : BUFFER_BYTES / 4;
        for (uint64_t k = 0; k < n; k++) {
            int32_t id = (int32_t)ids[i + k];
            memcpy(buffer + 4 * k, &id, 4);
        }
        enum ggl_status s = emit_stopped(err);
        if (!s) s = sink(user, buffer, (size_t)n * 4, err);
        if (s) return s;
    }
    return GGL_OK;
}

static enum ggl_status emit_converted(const struct item *item, const struct ggl_tensor *t, emit_sink *sink, void *user,
                                      struct ggl_error *err)
{
    uint64_t row = (uint64_t)t->ne[0] * 4; /* more than a row of either */
    uint8_t *buffer = malloc(row > BUFFER_BYTES ? (size_t)row : BUFFER_BYTES);
    if (!buffer) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: buffer", t->name);
    enum ggl_status s = item->kind == ITEM_IDS ? emit_ids(t, buffer, sink, user, err)
                                               : emit_mxfp4(t, buffer, sink, user, err);
    free(buffer);
    return s;
}

enum ggl_status emit_step(const struct plan *p, uint64_t i, const struct step *step, const struct encoders *e,
                          emit_sink *sink, void *user, struct ggl_error *err)
{
    const struct item *item = &p->items[i];
    const struct ggl_tensor *t = &step->view;
    enum ggl_status s = GGL_OK;
    switch (item->kind) {
    case ITEM_COPY:
        if (t->type == GGL_TYPE_FP8) s = check_codes(step, err);
        return s ? s : emit_plane(t->data, t->slice_bytes, sink, user, err);
    case ITEM_SCALE: return emit_plane(t->scale, t->scale_slice_bytes, sink, user, err);
    case ITEM_MXFP4: case ITEM_IDS: return emit_converted(item, t, sink, user, err);
    case ITEM_ENCODE: return rows_emit(e->rows, step, ggl_gguf_tensor(p->out, i)->type, sink, user, err);
    default: return int4_emit(e->int4, item, step, sink, user, err);
    }
}
