/* y = w * x / sqrt(mean(x * x) + eps) over n elements; w may be NULL (all ones); y may be x. */
#ifndef GGL_KERNEL_RMS_NORM_H
#define GGL_KERNEL_RMS_NORM_H

#include <stdint.h>

struct ggl_kernels;

typedef void ggl_rms_norm_f32_fn(const struct ggl_kernels *k, float *y, const float *x, const float *w,
                                 int64_t n, float eps);

/* 1 / sqrt(mean(x * x) + eps) */
typedef float ggl_rms_scale_f32_fn(const struct ggl_kernels *k, const float *x, int64_t n, float eps);

#endif
