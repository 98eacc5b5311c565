#include "kernels/kernels.h"

#include <arm_neon.h>
#include <string.h>

enum { PARTS = GGL_ACT_BLOCK / 4 };

/* The largest magnitude of a block by its bits: a NaN is above everything. */
static inline float largest(const float32x4_t v[PARTS])
{
    uint32x4_t top = vdupq_n_u32(0);
    for (int i = 0; i < PARTS; i++) top = vmaxq_u32(top, vreinterpretq_u32_f32(vabsq_f32(v[i])));
    uint32_t bits = vmaxvq_u32(top);
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

void ggl_act_q8_neon(const float *x, int64_t n, int8_t *row)
{
    float *scales = (float *)(void *)(row + n);
    int32_t *sums = (int32_t *)(void *)(row + n + n / GGL_ACT_BLOCK * 4), *halves = sums + n / GGL_ACT_BLOCK;
    for (int64_t b = 0; b < n / GGL_ACT_BLOCK; b++, x += GGL_ACT_BLOCK) {
        float32x4_t v[PARTS];
        int32x4_t code[PARTS], sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
        for (int i = 0; i < PARTS; i++) v[i] = vld1q_f32(x + 4 * i);
        float amax = largest(v);
        const struct ggl_act_q8_scaling scaling = ggl_act_q8_scaling(amax);
        for (int i = 0; i < PARTS; i++) { /* rounded as rintf does; the conversion makes a NaN 0 */
            code[i] = vcvtq_s32_f32(vrndiq_f32(vmulq_n_f32(v[i], scaling.inverse)));
            sum[i / 4] = vaddq_s32(sum[i / 4], code[i]);
        }
        for (int i = 0; i < PARTS; i += 4) {
            int16x8_t low = vcombine_s16(vmovn_s32(code[i]), vmovn_s32(code[i + 1]));
            int16x8_t high = vcombine_s16(vmovn_s32(code[i + 2]), vmovn_s32(code[i + 3]));
            vst1q_s8(row + b * GGL_ACT_BLOCK + 4 * i, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
        }
        scales[b] = scaling.scale;
        halves[b] = vaddvq_s32(sum[0]);
        sums[b] = halves[b] + vaddvq_s32(sum[1]);
    }
}
