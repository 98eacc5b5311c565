/* y = silu(min(gate, limit)) * clamp(up, -limit, limit) * gain; limit <= 0: no clamp; y may be gate or up. */
#ifndef GGL_KERNEL_SWIGLU_H
#define GGL_KERNEL_SWIGLU_H

#include <stdint.h>

typedef void ggl_swiglu_f32_fn(float *y, const float *gate, const float *up, float limit, float gain,
                               int64_t n);

#endif
