/* Expert routing: scores, choice and gains. */
#ifndef GGL_KERNEL_ROUTER_H
#define GGL_KERNEL_ROUTER_H

#include <stdint.h>

/* y = sqrt(log(1 + e^x)) */
void ggl_router_score_f32(float *y, const float *x, int64_t n);

/* The k largest of score + bias (bias may be NULL), best first, ties to the lower id; NaN counts as the lowest. */
void ggl_router_top_k(int32_t *ids, int k, const float *score, const float *bias, int n);

/* gains[j] = score[ids[j]] / sum of those * scale */
void ggl_router_gains_f32(float *gains, const float *score, const int32_t *ids, int k, float scale);

#endif
