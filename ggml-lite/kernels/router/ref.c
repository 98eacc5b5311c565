#include "kernels/kernels.h"

#include <math.h>

void ggl_router_score_f32_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double z = (double)x[i], softplus = (z > 0 ? z : 0) + log1p(exp(-fabs(z)));
        y[i] = (float)sqrt(softplus);
    }
}

void ggl_router_top_k_ref(int32_t *ids, int k, const float *score, const float *bias, int n)
{
    float best[64]; /* k is at most 64: checked when the model is loaded */
    int kept = 0;
    for (int e = 0; e < n; e++) {
        float s = bias ? score[e] + bias[e] : score[e];
        if (s != s) s = -INFINITY;
        if (kept == k && !(s > best[k - 1])) continue;
        int at = kept < k ? kept++ : k - 1;
        for (; at > 0 && s > best[at - 1]; at--) {
            best[at] = best[at - 1];
            ids[at] = ids[at - 1];
        }
        best[at] = s;
        ids[at] = e;
    }
}

void ggl_router_gains_f32_ref(float *gains, const float *score, const int32_t *ids, int k, float scale)
{
    float sum = 0;
    for (int j = 0; j < k; j++) sum += score[ids[j]];
    for (int j = 0; j < k; j++) gains[j] = score[ids[j]] / sum * scale;
}
