#include "kernels/kernels.h"

#include <string.h>

/* Weights of a 4-bit code plus a bias that makes them unsigned. */
static const uint8_t levels_q4_0[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t levels_iq4_nl[16] = {0, 23, 44, 62, 78, 92, 105, 117, 128, 140, 152, 165, 180, 196, 216, 240};

const struct ggl_panel_format *ggl_panel_format(enum ggl_type type)
{
    static const struct ggl_panel_format q8_0 = {GGL_PANEL_Q8, 128, NULL}, q4_0 = {GGL_PANEL_T4, 8, levels_q4_0},
                                         iq4_nl = {GGL_PANEL_T4, 127, levels_iq4_nl};
    switch (type) {
    case GGL_TYPE_Q8_0: return &q8_0;
    case GGL_TYPE_Q4_0: return &q4_0;
    case GGL_TYPE_IQ4_NL: return &iq4_nl;
    default: return NULL;
    }
}

/* Four bits: byte j holds inputs j and j + 16, in the file as in a panel. */
void ggl_panel_expand_ref(enum ggl_type type, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    const int bytes = type == GGL_TYPE_Q8_0 ? 32 : 16, flip = type == GGL_TYPE_Q8_0 ? 0x80 : 0;
    if (n_rows < GGL_PANEL_ROWS) memset(panel, 0, (size_t)(n / GGL_PANEL_BLOCK * (32 + 16 * bytes)));
    uint8_t *scales = panel + n / GGL_PANEL_BLOCK * 16 * bytes;
    for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b++, panel += 16 * bytes, scales += 32) {
        for (int r = 0; r < n_rows; r++) {
            const uint8_t *block = rows + r * row_bytes + b * (2 + bytes);
            memcpy(scales + 2 * r, block, 2);
            for (int i = 0; i < bytes; i++) panel[i / 4 * 64 + 4 * r + i % 4] = (uint8_t)(block[2 + i] ^ flip);
        }
    }
}
