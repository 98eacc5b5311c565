#ifndef GGL_PACK_IMPL_H
#define GGL_PACK_IMPL_H

#include "ggml-lite/pack.h"
#include "kernels/kernels.h"
#include "slices.h"

struct ggl_packed {
    int64_t n_in, n_out, n_panels;
    uint64_t panel_bytes;
    bool fp8;                               /* else, where it is not NULL, panels of this format */
    const struct ggl_kquant_format *kquant;
    struct ggl_panel_format format;         /* else of this one */
    char name[GGL_MAX_NAME];
    int n_slices; /* 1 on a machine with one node */
    struct ggl_slice slices[GGL_MAX_SLICES];
    uint64_t bytes;
    uint8_t *data;
};

/* Panel i and, in *end, the first one that does not follow it in memory. */
static inline uint8_t *ggl_packed_panel(const struct ggl_packed *p, int64_t i, int64_t *end)
{
    const struct ggl_slice *s = p->slices;
    while (i >= s->first + s->n) s++;
    *end = s->first + s->n;
    return p->data + s->offset + (uint64_t)(i - s->first) * p->panel_bytes;
}

#endif
