#include "kernels/kernels.h"

#include <string.h>

#include "quant/quant.h"

static float scale_at(const struct ggl_panel_format *f, const uint8_t *block, int row)
{
    if (f->kind == GGL_PANEL_X8) {
        float s;
        memcpy(&s, block + 4 * row, 4);
        return s;
    }
    uint16_t h;
    if (f->kind == GGL_PANEL_I4) h = (uint16_t)((block[row] & 0x80) << 8 | (block[row] & 0x7f) << 7);
    else memcpy(&h, block + 2 * row, 2);
    return ggl_f16_to_f32(h);
}

/* Input i of a row, without its bias. */
static int32_t weight_at(const struct ggl_panel_format *f, const uint8_t *block, int row, int i)
{
    const uint8_t *codes = block + ggl_panel_scale_bytes(f->kind);
    if (f->kind == GGL_PANEL_T4 || f->kind == GGL_PANEL_I4) {
        uint8_t byte = codes[(i % 16 / 4) * 64 + 4 * row + i % 4];
        return f->table[i < 16 ? byte & 15 : byte >> 4] - f->bias;
    }
    return codes[i / 4 * 64 + 4 * row + i % 4] - f->bias;
}

static float row_scale(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, int row)
{
    float s = 1;
    if (f->kind == GGL_PANEL_I4) memcpy(&s, panel + ggl_panel_bytes(f->kind, n) - 64 + 4 * row, 4);
    return s;
}

static void mul_one(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const int8_t *x, int64_t x_stride,
                    const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride, int n_rows)
{
    int64_t block_bytes = ggl_panel_block_bytes(f->kind);
    for (int64_t t = 0; t < n_tokens; t++) {
        const int8_t *a = x + (index ? index[t] : t) * x_stride;
        const float *scales = ggl_act_q8_scales(a, n);
        for (int r = 0; r < n_rows; r++) {
            float sum = 0;
            for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b++) {
                const uint8_t *block = panel + b * block_bytes;
                int32_t dot = 0;
                for (int i = 0; i < GGL_PANEL_BLOCK; i++) dot += weight_at(f, block, r, i) * a[b * GGL_PANEL_BLOCK + i];
                float s = scale_at(f, block, r) * scales[b];
                float p = (float)dot * s;
                sum = sum + p;
            }
            y[t * y_stride + r] = sum * row_scale(f, panel, n, r);
        }
    }
}

void ggl_panel_mul_ref(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const int8_t *x,
                       int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride, int n_rows)
{
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n))
        mul_one(f, panel, n, x, x_stride, index, n_tokens, y + r, y_stride, n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS);
}
