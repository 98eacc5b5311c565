#include "kernels/kernels.h"

#include "kernels/math/arm_neon.h"
#include "quant/quant.h"

void ggl_index_unpack_neon(const uint8_t *row, int32_t n_dim, int8_t *out)
{
    static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const int8x16_t table = vld1q_s8(doubled);
    const uint8_t *exponents = row + n_dim / 2;
    float *scales = (float *)(void *)(out + n_dim);
    int32_t *sums = (int32_t *)(void *)(out + n_dim + n_dim / GGL_ACT_BLOCK * 4);
    for (int32_t b = 0; b < n_dim / GGL_ACT_BLOCK; b++) {
        uint8x16_t packed = vld1q_u8(row + 16 * b);
        int8x16x2_t v = {{vqtbl1q_s8(table, vandq_u8(packed, vdupq_n_u8(15))), vqtbl1q_s8(table, vshrq_n_u8(packed, 4))}};
        vst2q_s8(out + b * GGL_ACT_BLOCK, v);
        sums[b] = vaddlvq_s8(vaddq_s8(v.val[0], v.val[1]));
        scales[b] = ggl_e8m0_to_f32(exponents[b]) * 0.5f;
    }
}

void ggl_index_combine_neon(const float *products, int64_t stride, const float *weights, int n_panels, int n, float *score)
{
    for (int i = 0; i < n; i++) {
        float32x4_t lane[4];
        for (int j = 0; j < 4; j++) lane[j] = vdupq_n_f32(0);
        for (int p = 0; p < n_panels; p++) {
            for (int j = 0; j < 4; j++) {
                float32x4_t y = vld1q_f32(products + i * stride + p * GGL_LANES + 4 * j);
                y = vreinterpretq_f32_u32(vandq_u32(vcgtzq_f32(y), vreinterpretq_u32_f32(y))); /* a NaN becomes 0, too */
                lane[j] = vaddq_f32(lane[j], vmulq_f32(vld1q_f32(weights + p * GGL_LANES + 4 * j), y));
            }
        }
        score[i] = ggl_add_lanes16(lane);
    }
}
