/* What the levels of arm64 share: a block's nibbles as weights, exponents as scales. */
#ifndef GGL_KERNEL_MXFP4_ARM_NEON_H
#define GGL_KERNEL_MXFP4_ARM_NEON_H

#include <arm_neon.h>

enum { GGL_MXFP4_BLOCK = 32, GGL_MXFP4_BLOCK_BYTES = 17 };

/* Twice the E2M1 values. */
static inline int8x16_t ggl_mxfp4_doubled(void)
{
    static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    return vld1q_s8(doubled);
}

/* The 32 weights of a block in order. */
static inline int8x16x2_t ggl_mxfp4_unpack(const uint8_t *block, int8x16_t table)
{
    uint8x16_t packed = vld1q_u8(block + 1);
    return (int8x16x2_t){{vqtbl1q_s8(table, vandq_u8(packed, vdupq_n_u8(15))), vqtbl1q_s8(table, vshrq_n_u8(packed, 4))}};
}

/* 2^(e - 128) of four rows' blocks, the denormal ones as zero. */
static inline float32x4_t ggl_mxfp4_half_scales(const uint8_t *block, int64_t row_bytes)
{
    const uint32_t e[4] = {block[0], block[row_bytes], block[2 * row_bytes], block[3 * row_bytes]};
    const uint32x4_t one = vdupq_n_u32(1);
    uint32x4_t v = vld1q_u32(e);
    return vreinterpretq_f32_u32(vandq_u32(vcgtq_u32(v, one), vshlq_n_u32(vsubq_u32(v, one), 23)));
}

#endif
