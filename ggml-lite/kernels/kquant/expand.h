/*
 * Sixteen rows in file order to a panel.  As unpack.h, included by every level and built with its own flags.
 */
#ifndef GGL_KERNEL_KQUANT_EXPAND_H
#define GGL_KERNEL_KQUANT_EXPAND_H

#include "kernels/kquant/unpack.h"

static inline void kquant_put_scales(const struct ggl_kquant_format *f, const struct kquant_row *rows, uint8_t *head)
{
    uint8_t *scales = head + (f->mins ? 128 : 64), *mins = scales + 8 * f->parts * 16;
    for (int r = 0; r < GGL_KQUANT_ROWS; r++) {
        float d = ggl_f16_to_f32(rows[r].d) * f->factor, dmin = ggl_f16_to_f32(rows[r].dmin);
        memcpy(head + 4 * r, &d, 4);
        if (f->mins) memcpy(head + 64 + 4 * r, &dmin, 4);
        for (int p = 0; p < 8 * f->parts; p++) {
            scales[16 * p + r] = (uint8_t)rows[r].scale[p];
            if (f->mins) mins[16 * p + r] = rows[r].min[p];
        }
    }
}

static inline void kquant_put_each(const struct ggl_kquant_format *f, const struct kquant_row *rows, uint8_t *head)
{
    for (int r = 0; r < GGL_KQUANT_ROWS; r++) {
        for (int b = 0; b < 8; b++) {
            float d = ggl_f16_to_f32(rows[r].each_d[b]), min = 0.0f - ggl_f16_to_f32(rows[r].each_min[b]);
            memcpy(head + 64 * b + 4 * r, &d, 4);
            if (f->mins) memcpy(head + 512 + 64 * b + 4 * r, &min, 4);
        }
    }
}

static inline void kquant_put_codes(const struct ggl_kquant_format *f, const struct kquant_row *rows, uint8_t *codes)
{
    for (int b = 0; b < 8; b++, codes += ggl_kquant_code_bytes(f)) {
        for (int r = 0; r < GGL_KQUANT_ROWS; r++) {
            for (int j = 0; j < 4; j++) memcpy(codes + 64 * j + 4 * r, &rows[r].low[4 * b + j], 4);
            for (int v = 0; v < 2 && f->bits == 6; v++) memcpy(codes + 256 + 64 * v + 4 * r, &rows[r].high[2 * b + v], 4);
        }
    }
}

static inline void kquant_expand(const struct ggl_kquant_format *f, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n,
                                 uint8_t *panel)
{
    struct kquant_row unpacked[GGL_KQUANT_ROWS];
    memset(unpacked, 0, sizeof(unpacked)); /* formats without minima leave some of it alone */
    for (int64_t i = 0; i < n / GGL_KQUANT_BLOCK; i++) {
        kquant_unpack(f->type, rows, row_bytes, n_rows, i, unpacked);
        if (f->each) kquant_put_each(f, unpacked, panel);
        else kquant_put_scales(f, unpacked, panel);
        kquant_put_codes(f, unpacked, panel + ggl_kquant_head_bytes(f));
        panel += ggl_kquant_panel_bytes(f, GGL_KQUANT_BLOCK);
    }
}

#endif
