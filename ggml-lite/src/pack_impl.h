#ifndef GGL_PACK_IMPL_H
#define GGL_PACK_IMPL_H

#include "ggml-lite/pack.h"
#include "kernels/kernels.h"

struct ggl_packed {
    int64_t n_in, n_out, n_panels;
    uint64_t panel_bytes;
    bool fp8;                               /* else, where it is not NULL, panels of this format */
    const struct ggl_kquant_format *kquant;
    struct ggl_panel_format format;         /* else of this one */
    char name[GGL_MAX_NAME];
    uint8_t *data;
};

#endif
