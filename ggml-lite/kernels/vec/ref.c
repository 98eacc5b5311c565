/* Plain C; compilers turn the lane loops into vector code without reordering anything. */
#include "kernels/kernels.h"
#include <string.h>

static float add_lanes(const float acc[GGL_LANES])
{
    float s[GGL_LANES];
    memcpy(s, acc, sizeof(s));
    for (int width = GGL_LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) s[l] += s[l + width];
    return s[0];
}

float ggl_dot_f32_ref(const float *a, const float *b, int64_t n)
{
    float acc[GGL_LANES] = {0};
    int64_t i = 0;
    for (; i + GGL_LANES <= n; i += GGL_LANES)
        for (int l = 0; l < GGL_LANES; l++) acc[l] += a[i + l] * b[i + l];
    for (int l = 0; i + l < n; l++) acc[l] += a[i + l] * b[i + l];
    return add_lanes(acc);
}

void ggl_axpy_f32_ref(float *y, float a, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}
