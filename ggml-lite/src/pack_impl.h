#ifndef GGL_PACK_IMPL_H
#define GGL_PACK_IMPL_H

#include "ggml-lite/pack.h"
#include "kernels/kernels.h"
#include "slices.h"

/*
 * The memory of a packed matrix.
 *
 * What a vector's weights are multiplied with must stay in the first-level cache, where the weights of one whole panel
 * would push it out again: from the second level it comes too slowly, and reading falls to 60..80 % of the memory's
 * speed.  So a group of panels (four; fewer where that would leave threads without work) is cut into parts of `part`
 * inputs each, about 8 KiB a panel, and lies part after part:
 *
 *     inputs 0 .. part - 1 of panels 0, 1, 2, 3; inputs part .. 2 part - 1 of panels 0, 1, 2, 3; ...; then panels 4 .. 7
 *
 * Whoever multiplies walks through them in this order, reading memory from end to end, which is why threads take whole
 * groups; a part's sums go on from the one before.  Each part of a panel is a panel of so many inputs in the sense of the
 * kernels.
 *
 * BF16 has one part, and panels of 16 rows as they are: each is a long piece of memory, and a vector of its inputs is all
 * that the first-level cache must hold.  They are copied all the same, since a mapped file comes in small pages, where
 * a copy has large ones (15 % faster, docs/performance-log.md) on the node of those who read it.
 */
struct ggl_packed {
    int64_t n_in, n_out, n_panels, part;
    int64_t group, n_groups; /* panels of a group, of which the last may have fewer */
    uint64_t panel_bytes; /* of all its parts */
    bool bf16;                              /* rows; else */
    bool fp8;                               /* else, where it is not NULL, panels of this format */
    const struct ggl_kquant_format *kquant;
    struct ggl_panel_format format;         /* else of this one */
    char name[GGL_MAX_NAME];
    int n_slices; /* 1 on a machine with one node */
    struct ggl_slice slices[GGL_MAX_SLICES]; /* of groups */
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
    if (p->bf16) return (uint64_t)n * 16 * 2;
    if (p->kquant) return (uint64_t)ggl_kquant_panel_bytes(p->kquant, n);
    return (uint64_t)(p->fp8 ? ggl_fp8_panel_bytes(n) : ggl_panel_bytes(p->format.kind, n));
}

static inline int64_t ggl_packed_panels(const struct ggl_packed *p, int64_t group)
{
    int64_t left = p->n_panels - group * p->group;
    return left < p->group ? left : p->group;
}

/* The part of a panel that begins with input `begin` (a multiple of p->part); those of the group's next panels follow. */
static inline uint8_t *ggl_packed_part(const struct ggl_packed *p, int64_t panel, int64_t begin)
{
    const struct ggl_slice *s = p->slices;
    int64_t group = panel / p->group;
    while (group >= s->first + s->n) s++;
    uint64_t before = (uint64_t)(begin / p->part * ggl_packed_panels(p, group)) * ggl_packed_part_bytes(p, p->part);
    uint64_t mine = (uint64_t)(panel % p->group) * ggl_packed_part_bytes(p, ggl_packed_inputs(p, begin));
    return p->data + s->offset + (uint64_t)((group - s->first) * p->group) * p->panel_bytes + before + mine;
}

#endif
