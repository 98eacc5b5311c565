#include "kernels/kernels.h"

#include <string.h>

#include "quant/quant.h"

void ggl_index_unpack_ref(const uint8_t *row, int32_t n_dim, int8_t *out)
{
    static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const uint8_t *exponents = row + n_dim / 2;
    float *scales = (float *)(void *)(out + n_dim);
    int32_t *sums = (int32_t *)(void *)(out + n_dim + n_dim / GGL_ACT_BLOCK * 4);
    for (int32_t b = 0; b < n_dim / GGL_ACT_BLOCK; b++) {
        sums[b] = 0;
        scales[b] = ggl_e8m0_to_f32(exponents[b]) * 0.5f;
        for (int32_t i = 0; i < GGL_ACT_BLOCK; i++) {
            uint8_t byte = row[b * 16 + i / 2];
            int8_t v = doubled[i % 2 ? byte >> 4 : byte & 15];
            out[b * GGL_ACT_BLOCK + i] = v;
            sums[b] += v;
        }
    }
}

void ggl_index_combine_ref(const float *products, int64_t stride, const float *weights, int n_panels, int n, float *score)
{
    for (int i = 0; i < n; i++) {
        float lane[GGL_LANES] = {0};
        for (int p = 0; p < n_panels; p++) {
            const float *y = products + i * stride + p * GGL_LANES;
            for (int l = 0; l < GGL_LANES; l++) lane[l] += weights[p * GGL_LANES + l] * (y[l] > 0 ? y[l] : 0);
        }
        for (int width = GGL_LANES / 2; width; width /= 2)
            for (int l = 0; l < width; l++) lane[l] += lane[l + width];
        score[i] = lane[0];
    }
}

float ggl_index_score_f32_ref(const struct ggl_kernels *k, const float *q, const float *weights,
                              const float *key, int n_head, int n_dim)
{
    float sum = 0;
    for (int h = 0; h < n_head; h++) {
        float s = k->dot_f32(q + (int64_t)h * n_dim, key, n_dim);
        if (s > 0) sum += weights[h] * s;
    }
    return sum;
}
