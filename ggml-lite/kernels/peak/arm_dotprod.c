#include "kernels/kernels.h"

#include <arm_neon.h>

enum { SUMS = 16 }; /* four products a cycle, four cycles each */

uint32_t ggl_int8_peak_dotprod(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    const int8x16_t y = vdupq_n_s8(b);
    int8x16_t x = vreinterpretq_s8_u8(vdupq_n_u8(a));
    int32x4_t sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = vdupq_n_s32(0);
    for (int64_t r = 0; r < rounds; r++) {
        GGL_PEAK_HIDE(x);
        for (int i = 0; i < SUMS; i++) sum[i] = vdotq_s32(sum[i], x, y);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = vaddq_s32(sum[0], sum[i]);
    *macs = rounds * SUMS * 16;
    return (uint32_t)vaddvq_s32(sum[0]);
}
