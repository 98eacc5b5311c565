/* --dry-run: the plan in words. */
#include <inttypes.h>
#include <stdio.h>
#include "gguf-convert/convert.h"

static const char *source_text(const struct item *item, enum ggl_type type, char buf[64])
{
    const struct ggl_tensor *t = item->source;
    const struct ggl_type_info *info = ggl_type_info((uint32_t)t->type);
    const char *scale = t->scale_type == GGL_SCALE_F32 ? "F32" : "UE8M0";
    switch (item->kind) {
    case ITEM_SCALE: snprintf(buf, 64, "scales of FP8, %s, unchanged", scale); break;
    case ITEM_MXFP4: snprintf(buf, 64, "FP4, nibbles permuted"); break;
    case ITEM_IDS: snprintf(buf, 64, "I64, same values"); break;
    case ITEM_ENCODE:
        snprintf(buf, 64, "%s %s", type == GGL_TYPE_F32 ? "the values of" : "rounded from", info ? info->name : "?");
        break;
    case ITEM_INT4: snprintf(buf, 64, "INT4 codes, rounded from %s", info ? info->name : "?"); break;
    case ITEM_INT4_SCALE: snprintf(buf, 64, "INT4 scales of 32, E4M3"); break;
    case ITEM_INT4_ROWS: snprintf(buf, 64, "INT4 scales of rows"); break;
    default: snprintf(buf, 64, "%s%s, unchanged", t->type == GGL_TYPE_FP8 ? "codes of " : "", info ? info->name : "?");
    }
    return buf;
}

void plan_print(const struct plan *p, const struct convert_options *o, uint64_t file_bytes, FILE *f)
{
    char size[32];
    for (uint64_t i = 0; i < p->n_items; i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(p->out, i);
        char shape[96], from[64];
        int n = snprintf(shape, sizeof(shape), "{");
        for (uint32_t d = 0; d < t->n_dims; d++) {
            n += snprintf(shape + n, sizeof(shape) - (size_t)n, "%s%" PRId64, d ? ", " : "", t->ne[d]);
        }
        fprintf(f, "%-40s %-6s %s} %" PRIu64 " bytes (%s)\n", t->name, ggl_type_info((uint32_t)t->type)->name, shape,
                p->items[i].bytes, source_text(&p->items[i], t->type, from));
    }
    fprintf(f, "%" PRIu64 " tensors, %" PRIu64 " bytes\n", p->n_items, p->tensor_bytes);
    fprintf(f, "%s: %" PRIu64 " bytes (%s)\n", o->output, file_bytes, cli_bytes(file_bytes, size));
    fprintf(f, "memory: at most %s\n", cli_bytes(estimate_memory(p, o->threads), size));
    double seconds = estimate_seconds(p, o->threads);
    if (seconds < 0) return;
    if (seconds < 90) fprintf(f, "time: about %.0f s to read and convert", seconds < 1 ? 1 : seconds);
    else if (seconds < 5400) fprintf(f, "time: about %.0f min to read and convert", seconds / 60);
    else fprintf(f, "time: about %.1f h to read and convert", seconds / 3600);
    fprintf(f, " (from samples); writing takes as long as the disk needs for %s\n", cli_bytes(file_bytes, size));
}
