/* Expert routing: scores, choice and gains. */
#ifndef GGL_KERNEL_ROUTER_H
#define GGL_KERNEL_ROUTER_H

#include <stdint.h>

/* y = sqrt(log(1 + e^x)) */
typedef void ggl_router_score_f32_fn(float *y, const float *x, int64_t n);

/* The k largest of score + bias (bias may be NULL), best first, ties to the lower id; NaN counts as the lowest. */
typedef void ggl_router_top_k_fn(int32_t *ids, int k, const float *score, const float *bias, int n);

/* gains[j] = score[ids[j]] / sum of those * scale */
typedef void ggl_router_gains_f32_fn(float *gains, const float *score, const int32_t *ids, int k,
                                     float scale);

#endif
