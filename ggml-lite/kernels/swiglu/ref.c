#include "kernels/kernels.h"

#include "kernels/math/math.h"

void ggl_swiglu_f32_ref(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i], u = up[i];
        if (limit > 0) {
            g = g > limit ? limit : g;
            u = u > limit ? limit : u < -limit ? -limit : u;
        }
        y[i] = ggl_silu(g) * u * gain;
    }
}
