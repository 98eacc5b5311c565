#include "kernels/kernels.h"

#include <math.h>

#include "kernels/vec/vec.h"

void ggl_mul_mat_fused_ref(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1, const float *x,
                           int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride, void *scratch)
{
    k->mul_mat_f32(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static float dot(const float *a, const float *b, int64_t n)
{
    float lanes[GGL_LANES] = {0};
    for (int64_t i = 0; i < n; i++) lanes[i % GGL_LANES] = fmaf(a[i], b[i], lanes[i % GGL_LANES]);
    for (int width = GGL_LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) lanes[l] += lanes[l + width];
    return lanes[0];
}

void ggl_mul_mat_fused_twin_ref(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1,
                                const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride,
                                void *scratch)
{
    float *row = scratch;
    for (int64_t r = row0; r < row1; r++) {
        k->decode_row(w, slice, r, row);
        for (int64_t t = 0; t < n_tokens; t++) y[t * y_stride + r - row0] = dot(row, x + (index ? index[t] : t) * x_stride, w->ne[0]);
    }
}
