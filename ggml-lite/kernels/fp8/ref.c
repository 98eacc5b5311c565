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

static float dot(const uint8_t *panel, int64_t n, int row, const uint16_t *x, float sum)
{
    for (int64_t tile = 0; tile * GGL_FP8_TILE < n; tile++) {
        float s0 = 0, s1 = 0, scale;
        int64_t end = (tile + 1) * GGL_FP8_TILE < n ? (tile + 1) * GGL_FP8_TILE : n;
        for (int64_t i = tile * GGL_FP8_TILE; i < end; i += 4) {
            s0 += ggl_fp8_plain_weight(panel, i + 1, row) * ggl_bf16_to_f32(x[i + 1]);
            s0 += ggl_fp8_plain_weight(panel, i, row) * ggl_bf16_to_f32(x[i]);
            s1 += ggl_fp8_plain_weight(panel, i + 3, row) * ggl_bf16_to_f32(x[i + 3]);
            s1 += ggl_fp8_plain_weight(panel, i + 2, row) * ggl_bf16_to_f32(x[i + 2]);
        }
        memcpy(&scale, panel + n * GGL_FP8_ROWS + 4 * tile, 4);
        float p = (s0 + s1) * scale;
        sum += p;
    }
    return sum;
}

void ggl_fp8_mul_ref(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                     int64_t y_stride, int n_rows, bool more)
{
    ggl_fp8_plain_mul(dot, panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
}

/* ---- the order of AMX */

static float dot_in_steps(const uint8_t *panel, int64_t n, int row, const uint16_t *x, float sum)
{
    for (int64_t tile = 0; tile * GGL_FP8_TILE < n; tile++) {
        float s = 0, scale;
        int64_t end = (tile + 1) * GGL_FP8_TILE < n ? (tile + 1) * GGL_FP8_TILE : n;
        for (int64_t i = tile * GGL_FP8_TILE; i < end; i += GGL_STEP) {
            float w[GGL_STEP], v[GGL_STEP];
            int inputs = end - i < GGL_STEP ? (int)(end - i) : GGL_STEP;
            for (int j = 0; j < inputs; j++) w[j] = ggl_fp8_plain_weight(panel, i + j, row), v[j] = ggl_bf16_to_f32(x[i + j]);
            s = ggl_add_step(s, w, v, inputs);
        }
        memcpy(&scale, panel + n * GGL_FP8_ROWS + 4 * tile, 4);
        sum = ggl_flush(ggl_flush(sum) + ggl_flush(s * ggl_flush(scale)));
    }
    return sum;
}

void ggl_fp8_mul_steps_ref(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                           int64_t y_stride, int n_rows, bool more)
{
    ggl_fp8_plain_mul(dot_in_steps, panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
}
