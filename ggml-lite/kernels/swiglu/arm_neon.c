/* NEON: the reference's operations, four elements at a time. */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/math/arm_neon.h"

enum { LANES = 4 };

/* A NaN is above no limit, and stays. */
static inline float32x4_t at_most(float32x4_t v, float32x4_t limit)
{
    return vbslq_f32(vcgtq_f32(v, limit), limit, v);
}

static inline float32x4_t at_least(float32x4_t v, float32x4_t limit)
{
    return vbslq_f32(vcltq_f32(v, limit), limit, v);
}

static inline float32x4_t four(const float *gate, const float *up, float32x4_t top, float gain)
{
    float32x4_t g = at_most(vld1q_f32(gate), top), u = at_least(at_most(vld1q_f32(up), top), vnegq_f32(top));
    float32x4_t silu = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), ggl_exp4(vnegq_f32(g))));
    return vmulq_n_f32(vmulq_f32(silu, u), gain);
}

void ggl_swiglu_f32_neon(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    const float32x4_t top = vdupq_n_f32(limit > 0 ? limit : __builtin_inff());
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) vst1q_f32(y + i, four(gate + i, up + i, top, gain));
    if (i == n) return;
    float g[LANES] = {0}, u[LANES] = {0};
    size_t bytes = (size_t)(n - i) * 4;
    memcpy(g, gate + i, bytes);
    memcpy(u, up + i, bytes);
    vst1q_f32(g, four(g, u, top, gain));
    memcpy(y + i, g, bytes);
}
