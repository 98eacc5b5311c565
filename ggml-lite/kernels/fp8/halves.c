/* What AVX512FP16 computes, in plain C (fp8.h): no level's, but a twin to compare with. */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/fp8/plain.h"
#include "kernels/math/halves.h"

void ggl_act_fp8_halves_ref(const float *x, int64_t n, uint16_t *out)
{
    uint32_t top = 0; /* the largest magnitude by its bits: a NaN is above everything */
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        if ((bits & 0x7fffffffu) > top) top = bits & 0x7fffffffu;
    }
    const struct ggl_act_fp8_scaling scaling = ggl_act_fp8_scaling(top);
    for (int64_t i = 0; i < n; i++) out[i] = scaling.up != 0 ? ggl_f16_from_f32(x[i] * scaling.up) : 0;
    ggl_act_fp8_put_scale(out, n, scaling.down);
}

static float add_tile(float sum, const float *w, const uint16_t *x, int n, float scale)
{
    double s[4] = {0};
    for (int i = 0; i < n; i++) s[i % 4] = ggl_fma_half((double)w[i] / 256, (double)ggl_f16_to_f32(x[i]), s[i % 4]);
    const double all = ggl_to_half(ggl_to_half(s[0] + s[2]) + ggl_to_half(s[1] + s[3]));
    return fmaf((float)all, scale * 256, sum);
}

void ggl_fp8_mul_halves_ref(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows, bool more)
{
    ggl_fp8_plain_mul(add_tile, panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
}
