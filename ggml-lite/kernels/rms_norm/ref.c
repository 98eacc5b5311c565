#include "kernels/rms_norm/rms_norm.h"

#include <math.h>

#include "kernels/vec/vec.h"

float ggl_rms_scale_f32(const float *x, int64_t n, float eps)
{
    float mean = ggl_dot_f32(x, x, n) / (float)n;
    return 1.0f / sqrtf(mean + eps);
}

void ggl_rms_norm_f32(float *y, const float *x, const float *w, int64_t n, float eps)
{
    float scale = ggl_rms_scale_f32(x, n, eps);
    if (w) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * w[i];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale;
    }
}
