/* NEON: byte products in 16 bits, two of them added before they are widened; floats with fused multiply-add. */
#include "kernels/kernels.h"

#include <arm_neon.h>

enum { SUMS = 16 };

uint64_t ggl_read_bandwidth_neon(const void *data, int64_t bytes)
{
    const uint64_t *p = data;
    uint64x2_t sum[8];
    for (int l = 0; l < 8; l++) sum[l] = vdupq_n_u64(0);
    for (int64_t i = 0; i < bytes / 8; i += 16)
        for (int l = 0; l < 8; l++) sum[l] = vaddq_u64(sum[l], vld1q_u64(p + i + 2 * l));
    for (int l = 1; l < 8; l++) sum[0] = vaddq_u64(sum[0], sum[l]);
    return vaddvq_u64(sum[0]);
}

uint32_t ggl_int8_peak_neon(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    const int8x16_t y = vdupq_n_s8(b);
    int8x16_t x = vreinterpretq_s8_u8(vdupq_n_u8(a));
    int32x4_t sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = vdupq_n_s32(0);
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < SUMS; i++) {
            GGL_PEAK_HIDE(x); /* each product is a new one */
            sum[i] = vpadalq_s16(sum[i], vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(y)), x, y));
        }
    for (int i = 1; i < SUMS; i++) sum[0] = vaddq_s32(sum[0], sum[i]);
    *macs = rounds * SUMS * 16;
    return (uint32_t)vaddvq_s32(sum[0]);
}

float ggl_bf16_peak_neon(float a, float b, int64_t rounds, int64_t *macs)
{
    const float32x4_t y = vdupq_n_f32(b);
    float32x4_t x = vdupq_n_f32(a), sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = vdupq_n_f32(0);
    for (int64_t r = 0; r < rounds; r++) {
        GGL_PEAK_HIDE(x);
        for (int i = 0; i < SUMS; i++) sum[i] = vfmaq_f32(sum[i], x, y);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = vaddq_f32(sum[0], sum[i]);
    *macs = rounds * SUMS * 4;
    return vaddvq_f32(sum[0]);
}
