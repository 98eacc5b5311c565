#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16, BLOCK = 32, BLOCK_BYTES = 17 };

/* Twice the E2M1 values; the scale is halved to make up for it. */
static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* 2^(e - 128).  The two smallest exponents would be denormal and count as zero, at every level. */
static float half_scale(uint8_t e)
{
    uint32_t bits = e < 2 ? 0 : (uint32_t)(e - 1) << 23;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static int weight(const uint8_t *block, int i)
{
    uint8_t byte = block[1 + i % 16];
    return doubled[i < 16 ? byte & 15 : byte >> 4];
}

void ggl_mxfp4_rows_ref(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    const float *scales = ggl_act_q8_scales(x, n);
    for (int r = 0; r < n_rows; r++) {
        float sum = 0;
        for (int64_t b = 0; b < n / BLOCK; b++) {
            const uint8_t *block = rows + r * row_bytes + b * BLOCK_BYTES;
            int32_t dot = 0;
            for (int i = 0; i < BLOCK; i++) dot += weight(block, i) * x[b * BLOCK + i];
            float p = (float)dot * scales[b];
            sum = fmaf(p, half_scale(block[0]), sum);
        }
        y[r] = sum;
    }
}

void ggl_mxfp4_expand_ref(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    uint8_t *scales = panel + ggl_panel_scales_at(GGL_PANEL_X8, n);
    for (int64_t b = 0; b < n / BLOCK; b++, panel += ROWS * BLOCK, scales += 4 * ROWS) {
        for (int r = 0; r < ROWS; r++) {
            const uint8_t *block = rows + r * row_bytes + b * BLOCK_BYTES;
            float s = half_scale(block[0]);
            memcpy(scales + 4 * r, &s, 4);
            for (int i = 0; i < BLOCK; i++)
                panel[i / 4 * 64 + 4 * r + i % 4] = (uint8_t)(weight(block, i) + GGL_MXFP4_BIAS);
        }
    }
}

void ggl_mxfp4_mul_ref(const struct ggl_kernels *k, const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows,
                       const struct ggl_act_q8 *x, float *y, int64_t y_stride, uint8_t *panels)
{
    const struct ggl_panel_format format = {GGL_PANEL_X8, GGL_MXFP4_BIAS, NULL};
    for (int r = 0; r < n_rows; r += ROWS)
        k->mxfp4_expand(rows + r * row_bytes, row_bytes, n, panels + r / ROWS * ggl_panel_bytes(GGL_PANEL_X8, n));
    k->panel_mul(&format, panels, n, x, y, y_stride, n_rows);
}
