#include "kernels/kernels.h"

#include <math.h>

float ggl_rms_scale_f32_ref(const struct ggl_kernels *k, const float *x, int64_t n, float eps)
{
    float mean = k->dot_f32(x, x, n) / (float)n;
    return 1.0f / sqrtf(mean + eps);
}

void ggl_rms_norm_f32_ref(const struct ggl_kernels *k, float *y, const float *x, const float *w, int64_t n,
                          float eps)
{
    float scale = k->rms_scale_f32(k, x, n, eps);
    if (w) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * w[i];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale;
    }
}
