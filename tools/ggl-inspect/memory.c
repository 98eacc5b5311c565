/*
 * Memory for a context of N tokens, from the metadata alone.
 *
 * A key/value row is what the model was trained to store: FP8 codes and a
 * scale byte per 64 for the dimensions without rotation, BF16 for those with.
 * An index row is FP4 codes and a scale byte per 32.  A layer keeps a window
 * of rows, and a row (with ratio 4 also an index row) per `ratio` tokens; its
 * compressor keeps float32 state of the tokens since the last row.
 */
#include <string.h>
#include "ggl-inspect/inspect.h"

static bool get(const struct inspect *in, const char *arch, const char *name, uint64_t *out)
{
    char key[128];
    uint32_t v;
    snprintf(key, sizeof(key), "%s.%s", arch, name);
    if (ggl_gguf_get_u32(in->meta, key, 1, 1u << 30, &v, NULL)) return false;
    *out = v;
    return true;
}

static const struct ggl_kv *get_ratios(const struct inspect *in, const char *arch)
{
    char key[128];
    snprintf(key, sizeof(key), "%s.attention.compress_ratios", arch);
    const struct ggl_kv *kv = ggl_gguf_find_kv(in->meta, key);
    bool ok = kv && kv->type == GGL_KV_ARR && (kv->elem == GGL_KV_I32 || kv->elem == GGL_KV_U32);
    return ok ? kv : NULL;
}

int32_t inspect_ratio(const struct inspect *in, int layer)
{
    const char *arch = ggl_gguf_get_str(in->meta, "general.architecture");
    const struct ggl_kv *ratios = arch && strlen(arch) <= 40 ? get_ratios(in, arch) : NULL;
    return ratios && (uint64_t)layer < ratios->n ? ((const int32_t *)ratios->data)[layer] : -1;
}

void inspect_memory(struct inspect *in, uint64_t ctx)
{
    struct inspect_memory *m = &in->memory;
    const char *arch = ggl_gguf_get_str(in->meta, "general.architecture");
    uint64_t layers, head, rope, index_head, window;
    if (!arch || strlen(arch) > 40) return;
    const struct ggl_kv *ratios = get_ratios(in, arch);
    if (!ratios || !get(in, arch, "block_count", &layers) || !get(in, arch, "attention.key_length", &head) ||
        !get(in, arch, "rope.dimension_count", &rope) || !get(in, arch, "attention.indexer.key_length", &index_head) ||
        !get(in, arch, "attention.sliding_window", &window) || rope > head)
        return;
    if (!ctx && !get(in, arch, "context_length", &ctx)) return;
    uint64_t nope = head - rope, row = nope + nope / 64 + 2 * rope, index_row = index_head / 2 + index_head / 32;
    if (layers > ratios->n) layers = ratios->n;

    m->ctx = ctx;
    m->weights = in->data_bytes;
    for (uint64_t i = 0; i < layers; i++) {
        int32_t ratio = ((const int32_t *)ratios->data)[i];
        m->window += window * row;
        if (ratio <= 0) continue;
        uint64_t r = (uint64_t)ratio;
        m->rows += ctx / r * row;
        m->bytes_per_token += (double)row / ratio;
        if (r == 4) { /* overlapping blocks: twice the slots, twice the width; and an index */
            m->index += ctx / r * index_row;
            m->bytes_per_token += (double)index_row / ratio;
            m->state += 2 * r * 2 * (head + index_head) * 2 * sizeof(float);
        } else {
            m->state += r * head * 2 * sizeof(float);
        }
    }
    m->total = m->weights + m->rows + m->index + m->window + m->state;
    m->known = true;
}
