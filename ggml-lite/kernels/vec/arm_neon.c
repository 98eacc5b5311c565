/* Four registers are the 16 lanes; a multiply and an add, never fused, so that the bits are the reference's. */
#include "kernels/kernels.h"

#include "kernels/math/arm_neon.h"

float ggl_dot_f32_neon(const float *a, const float *b, int64_t n)
{
    float32x4_t acc[4];
    int64_t i = 0;
    for (int j = 0; j < 4; j++) acc[j] = vdupq_n_f32(0);
    for (; i + GGL_LANES <= n; i += GGL_LANES)
        for (int j = 0; j < 4; j++)
            acc[j] = vaddq_f32(acc[j], vmulq_f32(vld1q_f32(a + i + 4 * j), vld1q_f32(b + i + 4 * j)));
    if (i < n) {
        float lane[GGL_LANES];
        for (int j = 0; j < 4; j++) vst1q_f32(lane + 4 * j, acc[j]);
        for (int l = 0; i + l < n; l++) lane[l] += a[i + l] * b[i + l];
        for (int j = 0; j < 4; j++) acc[j] = vld1q_f32(lane + 4 * j);
    }
    return ggl_add_lanes16(acc);
}

void ggl_axpy_f32_neon(float *y, float a, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i), vmulq_n_f32(vld1q_f32(x + i), a)));
    for (; i < n; i++) y[i] += a * x[i];
}
