#include "kernels/kernels.h"

#include <string.h>

#include "kernels/fp8/flags.h"
#include "kernels/fp8/plain.h"
#include "kernels/math/steps.h"
#include "quant/quant.h"

void ggl_act_bf16_ref(const float *x, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = ggl_bf16_from_f32(x[i]);
}

void ggl_act_fp8_ref(const float *x, int64_t n, uint16_t *out)
{
    ggl_act_bf16_ref(x, n, out);
    ggl_act_fp8_put_scale(out, n, 1);
}

void ggl_fp8_pack_ref(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    ggl_fp8_write_flags(rows, row_bytes, n_rows, n, panel);
    memset(panel, 0, (size_t)(n * GGL_FP8_ROWS));
    for (int r = 0; r < n_rows; r++, rows += row_bytes) {
        uint8_t *to = panel + r / 4 * 16 + r % 4 * 2;
        for (int64_t i = 0; i < n; i++) to[i / 4 * 64 + i % 4 / 2 * 8 + i % 2] = rows[i];
    }
}

static inline float widen(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

/* The second of each pair first.  (With both sums of a pair written out in the loop gcc 12 adds some products twice at -O3.) */
static float add_tile(float sum, const float *w, const uint16_t *x, int n, float scale)
{
    float s[2] = {0, 0};
    for (int i = 0; i < n; i++) {
        const int j = i ^ 1;
        s[i >> 1 & 1] += w[j] * widen(x[j]);
    }
    float p = (s[0] + s[1]) * scale;
    return sum + p;
}

void ggl_fp8_mul_ref(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                     int64_t y_stride, int n_rows, bool more)
{
    ggl_fp8_plain_mul(add_tile, panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
}

/* ---- the order of AMX */

static float add_tile_in_steps(float sum, const float *w, const uint16_t *x, int n, float scale)
{
    float s = 0;
    for (int i = 0; i < n; i += GGL_STEP) {
        float v[GGL_STEP];
        const int inputs = n - i < GGL_STEP ? n - i : GGL_STEP;
        for (int j = 0; j < inputs; j++) v[j] = widen(x[i + j]);
        s = ggl_add_step(s, w + i, v, inputs);
    }
    return ggl_flush(ggl_flush(sum) + ggl_flush(s * ggl_flush(scale)));
}

void ggl_fp8_mul_steps_ref(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                           int64_t y_stride, int n_rows, bool more)
{
    ggl_fp8_plain_mul(add_tile_in_steps, panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
}
