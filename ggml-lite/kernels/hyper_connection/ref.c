#include "kernels/kernels.h"

#include "kernels/math/math.h"

static void softmax_rows(float *c, int hc, float eps)
{
    for (int j = 0; j < hc; j++) {
        float *row = c + j * hc, max = row[0], sum = 0;
        for (int k = 1; k < hc; k++) max = row[k] > max ? row[k] : max;
        for (int k = 0; k < hc; k++) sum += row[k] = ggl_expf(row[k] - max);
        for (int k = 0; k < hc; k++) row[k] = row[k] / sum + eps;
    }
}

/* Divide by sum + eps along one direction: lines of `step` apart elements, `line` apart from each other. */
static void normalise(float *c, int hc, int line, int step, float eps)
{
    for (int i = 0; i < hc; i++) {
        float sum = 0;
        for (int k = 0; k < hc; k++) sum += c[i * line + k * step];
        for (int k = 0; k < hc; k++) c[i * line + k * step] /= sum + eps;
    }
}

void ggl_hc_split_f32_ref(float *mix, const float *base, const float *scale, int hc, int iters, float eps)
{
    float *c = mix + 2 * hc;
    for (int j = 0; j < hc; j++) {
        mix[j] = ggl_sigmoid(mix[j] * scale[0] + base[j]) + eps;
        mix[hc + j] = 2.0f * ggl_sigmoid(mix[hc + j] * scale[1] + base[hc + j]);
    }
    for (int j = 0; j < hc * hc; j++) c[j] = c[j] * scale[2] + base[2 * hc + j];
    softmax_rows(c, hc, eps);
    normalise(c, hc, 1, hc, eps); /* columns first */
    for (int i = 1; i < iters; i++) {
        normalise(c, hc, hc, 1, eps);
        normalise(c, hc, 1, hc, eps);
    }
}

void ggl_hc_head_f32_ref(float *mix, const float *base, float scale, int hc, float eps)
{
    for (int j = 0; j < hc; j++) mix[j] = ggl_sigmoid(mix[j] * scale + base[j]) + eps;
}

void ggl_hc_pre_f32_ref(float *y, const float *h, const float *mix, int hc, int64_t n, int64_t begin,
                        int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        float sum = mix[0] * h[i];
        for (int j = 1; j < hc; j++) sum += mix[j] * h[j * n + i];
        y[i] = sum;
    }
}

void ggl_hc_post_f32_ref(float *out, const float *x, const float *h, const float *post, const float *comb,
                         int hc, int64_t n, int64_t begin, int64_t end)
{
    for (int k = 0; k < hc; k++) {
        float *o = out + k * n;
        for (int64_t i = begin; i < end; i++) {
            float sum = comb[k] * h[i];
            for (int j = 1; j < hc; j++) sum += comb[j * hc + k] * h[j * n + i];
            o[i] = post[k] * x[i] + sum;
        }
    }
}
