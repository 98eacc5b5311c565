#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "quant/quant.h"

static float scale_at(const struct ggl_panel_format *f, const uint8_t *scales, int row)
{
    if (f->kind == GGL_PANEL_X8) {
        float s;
        memcpy(&s, scales + 4 * row, 4);
        return s;
    }
    uint16_t h;
    if (f->kind == GGL_PANEL_I4) h = (uint16_t)((scales[row] & 0x80) << 8 | (scales[row] & 0x7f) << 7);
    else memcpy(&h, scales + 2 * row, 2);
    return ggl_f16_to_f32(h);
}

/* Input i of a row, without its bias. */
static int32_t weight_at(const struct ggl_panel_format *f, const uint8_t *codes, int row, int i)
{
    if (f->kind == GGL_PANEL_T4 || f->kind == GGL_PANEL_I4) {
        uint8_t byte = codes[(i % 16 / 4) * 64 + 4 * row + i % 4];
        return f->table[i < 16 ? byte & 15 : byte >> 4] - f->bias;
    }
    return codes[i / 4 * 64 + 4 * row + i % 4] - f->bias;
}

static void mul_one(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                    int64_t y_stride, int n_rows)
{
    const uint8_t *scales = panel + ggl_panel_scales_at(f->kind, n);
    for (int64_t t = 0; t < x->n_tokens; t++) {
        struct ggl_act_q8_row a = ggl_act_q8_row(x, t);
        for (int r = 0; r < n_rows; r++) {
            float sum = x->begin ? y[t * y_stride + r] : 0;
            for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b++) {
                const uint8_t *codes = panel + b * ggl_panel_code_bytes(f->kind);
                int32_t dot = 0;
                for (int i = 0; i < GGL_PANEL_BLOCK; i++) dot += weight_at(f, codes, r, i) * a.codes[b * GGL_PANEL_BLOCK + i];
                float p = (float)dot * a.scales[b];
                sum = fmaf(p, scale_at(f, scales + b * ggl_panel_scale_bytes(f->kind), r), sum);
            }
            y[t * y_stride + r] = sum;
        }
    }
}

void ggl_panel_mul_ref(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                       int64_t y_stride, int n_rows)
{
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n))
        mul_one(f, panel, n, x, y + r, y_stride, n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS);
}
