#include "kernels/kernels.h"

#include "kernels/math/math.h"

void ggl_compress_pool_f32_ref(float *out, const float *const *values, const float *const *scores,
                               int n_candidates, int64_t n, float *scratch)
{
    float *max = scratch, *sum = scratch + n;
    for (int64_t c = 0; c < n; c++) max[c] = scores[0][c];
    for (int j = 1; j < n_candidates; j++)
        for (int64_t c = 0; c < n; c++) max[c] = scores[j][c] > max[c] ? scores[j][c] : max[c];
    for (int64_t c = 0; c < n; c++) out[c] = sum[c] = 0;
    for (int j = 0; j < n_candidates; j++) {
        for (int64_t c = 0; c < n; c++) {
            float w = ggl_expf(scores[j][c] - max[c]);
            sum[c] += w;
            out[c] += w * values[j][c];
        }
    }
    for (int64_t c = 0; c < n; c++) out[c] /= sum[c];
}
