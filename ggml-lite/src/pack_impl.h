#ifndef GGL_PACK_IMPL_H
#define GGL_PACK_IMPL_H

#include "ggml-lite/pack.h"
#include "kernels/kernels.h"
#include "slices.h"

/*
 * The memory of a packed matrix, BF16 aside, whose rows are as good as panels: each is a long piece of memory, and a
 * vector of its inputs is all that the first-level cache must hold.
 *
 * What a vector's weights are multiplied with must stay in the first-level cache, where the weights of one whole panel
 * would push it out again: from the second level it comes too slowly, and reading falls to 60..80 % of the memory's
 * speed.  So GGL_PACKED_GROUP panels at a time are cut into parts of `part` inputs each, about 8 KiB a panel, and lie
 * part after part:
 *
 *     inputs 0 .. part - 1 of panels 0, 1, 2, 3; inputs part .. 2 part - 1 of panels 0, 1, 2, 3; ...; then panels 4 .. 7
 *
 * Whoever multiplies walks through them in this order, reading memory from end to end; a part's sums go on from the one
 * before.  Each part of a panel is a panel of so many inputs in the sense of the kernels.
 */
#define GGL_PACKED_GROUP 4

struct ggl_packed {
    int64_t n_in, n_out, n_panels, part;
    uint64_t panel_bytes; /* of all its parts */
    const uint8_t *rows;                    /* BF16: not packed, but where the weight has them, row_bytes apart; else */
    int64_t row_bytes;
    bool fp8;                               /* else, where it is not NULL, panels of this format */
    const struct ggl_kquant_format *kquant;
    struct ggl_panel_format format;         /* else of this one */
    char name[GGL_MAX_NAME];
    int n_slices; /* 1 on a machine with one node */
    struct ggl_slice slices[GGL_MAX_SLICES];
    uint64_t bytes;
    uint8_t *data;
    float *row_scales; /* INT4, n_panels x 16 of them at the end of data: results are multiplied with them */
};

/* Of inputs [begin, begin + part) or what there is of them. */
static inline int64_t ggl_packed_inputs(const struct ggl_packed *p, int64_t begin)
{
    return p->n_in - begin < p->part ? p->n_in - begin : p->part;
}

/* Bytes of 16 rows of n inputs: a part's, or all where n is no larger. */
static inline uint64_t ggl_packed_part_bytes(const struct ggl_packed *p, int64_t n)
{
    if (p->kquant) return (uint64_t)ggl_kquant_panel_bytes(p->kquant, n);
    return (uint64_t)(p->fp8 ? ggl_fp8_panel_bytes(n) : ggl_panel_bytes(p->format.kind, n));
}

/* The part of panel i that begins with input `begin` (a multiple of p->part) and, in *end, the first panel whose part
 * does not follow it in memory, whatever the part. */
static inline uint8_t *ggl_packed_part(const struct ggl_packed *p, int64_t i, int64_t begin, int64_t *end)
{
    const struct ggl_slice *s = p->slices;
    while (i >= s->first + s->n) s++;
    int64_t at = i - s->first, first = at / GGL_PACKED_GROUP * GGL_PACKED_GROUP;
    int64_t panels = s->n - first < GGL_PACKED_GROUP ? s->n - first : GGL_PACKED_GROUP;
    *end = s->first + first + panels;
    uint64_t before = (uint64_t)(begin / p->part * panels) * ggl_packed_part_bytes(p, p->part);
    uint64_t mine = (uint64_t)(at - first) * ggl_packed_part_bytes(p, ggl_packed_inputs(p, begin));
    return p->data + s->offset + (uint64_t)first * p->panel_bytes + before + mine;
}

#endif
