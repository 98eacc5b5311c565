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
static enum ggl_status check_codes(const struct ggl_tensor *t, const uint8_t *codes, uint64_t n, int64_t slice,
                                   struct ggl_error *err)
{
    unsigned any = 0;
    for (uint64_t i = 0; i < n; i++) any |= (unsigned)((codes[i] & 0x7f) == 0x7f);
    if (!any) return GGL_OK;
    uint64_t i = 0;
    while ((codes[i] & 0x7f) != 0x7f) i++;
    char found[64];
    snprintf(found, sizeof(found), "code 0x%02x (not a number)", codes[i]);
    return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, found, NULL,
                    "%s: slice %" PRId64 ", element %" PRIu64, t->name, slice, i);
}

static enum ggl_status emit_mxfp4(const struct ggl_tensor *t, int64_t slice, uint8_t *buffer, emit_sink *sink,
                                  void *user, struct ggl_error *err)
{
    const uint64_t row = (uint64_t)t->ne[0] / 32 * 17;
    const int64_t most = row < BUFFER_BYTES ? (int64_t)(BUFFER_BYTES / row) : 1;
    const uint8_t *codes = ggl_tensor_slice(t, slice), *scales = ggl_tensor_scale_slice(t, slice);
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

static enum ggl_status emit_slices(const struct item *item, uint8_t *buffer, emit_sink *sink, void *user,
                                   struct ggl_error *err)
{
    const struct ggl_tensor *t = item->source;
    enum ggl_status s = GGL_OK;
    if (item->kind == ITEM_IDS) return emit_ids(t, buffer, sink, user, err);
    for (int64_t slice = 0; slice < t->ne[2] * t->ne[3] && !s; slice++) {
        switch (item->kind) {
        case ITEM_COPY:
            if (t->type == GGL_TYPE_FP8) s = check_codes(t, ggl_tensor_slice(t, slice), t->slice_bytes, slice, err);
            if (!s) s = emit_plane(ggl_tensor_slice(t, slice), t->slice_bytes, sink, user, err);
            break;
        case ITEM_SCALE:
            s = emit_plane(ggl_tensor_scale_slice(t, slice), t->scale_slice_bytes, sink, user, err);
            break;
        default: s = emit_mxfp4(t, slice, buffer, sink, user, err); break;
        }
    }
    return s;
}

enum ggl_status emit_item(const struct plan *p, uint64_t i, const struct encoders *e, emit_sink *sink, void *user,
                          struct ggl_error *err)
{
    const struct item *item = &p->items[i];
    uint8_t *buffer = NULL;
    if (!item->bytes) return GGL_OK;
    if (item->kind >= ITEM_INT4) return int4_emit(e->int4, item, sink, user, err);
    if (item->kind == ITEM_ENCODE) return rows_emit(e->rows, item, ggl_gguf_tensor(p->out, i)->type, sink, user, err);
    if (item->kind == ITEM_MXFP4 || item->kind == ITEM_IDS) {
        uint64_t row = (uint64_t)item->source->ne[0] * 4; /* more than a row of either */
        buffer = malloc(row > BUFFER_BYTES ? (size_t)row : BUFFER_BYTES);
        if (!buffer) {
            return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: buffer", item->source->name);
        }
    }
    enum ggl_status s = emit_slices(item, buffer, sink, user, err);
    free(buffer);
    return s;
}
