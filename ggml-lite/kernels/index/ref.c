#include "kernels/kernels.h"

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
