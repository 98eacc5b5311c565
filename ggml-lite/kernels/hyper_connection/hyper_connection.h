/*
 * Manifold-constrained hyper-connections: the mixing weights of `hc` residual streams.
 */
#ifndef GGL_KERNEL_HYPER_CONNECTION_H
#define GGL_KERNEL_HYPER_CONNECTION_H

#include <stdint.h>

#define GGL_MAX_HC 8

/*
 * mix [(2 + hc) * hc], raw dot products times the RMS factor, in place ->
 *   pre  [hc]      sigmoid(mix * scale[0] + base) + eps
 *   post [hc]      2 * sigmoid(mix * scale[1] + base)
 *   comb [hc][hc]  (source, destination) softmax over destinations of mix * scale[2] + base, plus eps; then columns
 *                  normalised; then iters - 1 times rows and columns: the Sinkhorn balance
 */
typedef void ggl_hc_split_f32_fn(float *mix, const float *base, const float *scale, int hc, int iters,
                                 float eps);

/* mix [hc] -> sigmoid(mix * scale + base) + eps, in place. */
typedef void ggl_hc_head_f32_fn(float *mix, const float *base, float scale, int hc, float eps);

/* y[i] = sum_j mix[j] * h[j * n + i] for i in [begin, end) */
typedef void ggl_hc_pre_f32_fn(float *y, const float *h, const float *mix, int hc, int64_t n, int64_t begin,
                               int64_t end);

/* out[k * n + i] = post[k] * x[i] + sum_j comb[j * hc + k] * h[j * n + i] for i in [begin, end) */
typedef void ggl_hc_post_f32_fn(float *out, const float *x, const float *h, const float *post,
                                const float *comb, int hc, int64_t n, int64_t begin, int64_t end);

#endif
