/* math.h's exponential for four floats, and sums over lanes: the same operations in the same order, so the same bits. */
#ifndef GGL_KERNEL_MATH_ARM_NEON_H
#define GGL_KERNEL_MATH_ARM_NEON_H

#include <arm_neon.h>
#include <string.h>

static inline float32x4_t ggl_exp4(float32x4_t x)
{
    const float32x4_t magic = vdupq_n_f32(12582912.0f), top = vdupq_n_f32(88.7228394f), bottom = vdupq_n_f32(-104.0f);
    float32x4_t v = vbslq_f32(vcgtq_f32(x, top), vdupq_n_f32(88.7228394f + 1.0f), x);
    v = vbslq_f32(vcltq_f32(v, bottom), bottom, v);
    float32x4_t n = vsubq_f32(vaddq_f32(vmulq_n_f32(v, 1.44269504f), magic), magic);
    float32x4_t r = vsubq_f32(v, vmulq_n_f32(n, 0.693359375f));
    r = vsubq_f32(r, vmulq_n_f32(n, -2.12194440e-4f));
    float32x4_t p = vdupq_n_f32(1.9875691500e-4f);
    p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(1.3981999507e-3f));
    p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(8.3334519073e-3f));
    p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(4.1665795894e-2f));
    p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(1.6666665459e-1f));
    p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(5.0000001201e-1f));
    p = vaddq_f32(vaddq_f32(vmulq_f32(vmulq_f32(p, r), r), r), vdupq_n_f32(1.0f));
    int32x4_t k = vcvtq_s32_f32(n);
    int32x4_t half = vshrq_n_s32(vsubq_s32(k, vshrq_n_s32(k, 31)), 1); /* towards zero, as in C */
    const int32x4_t bias = vdupq_n_s32(127);
    float32x4_t a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    float32x4_t b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(k, half), bias), 23));
    return vbslq_f32(vceqq_f32(x, x), vmulq_f32(vmulq_f32(p, a), b), x); /* a NaN stays one */
}

/* The 16 lanes of vec.h, four a register, added in its tree. */
static inline float ggl_add_lanes16(const float32x4_t acc[4])
{
    float32x4_t v = vaddq_f32(vaddq_f32(acc[0], acc[2]), vaddq_f32(acc[1], acc[3]));
    float32x2_t w = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(w, 0) + vget_lane_f32(w, 1);
}

/* Sixteen rows' results, of which the first n are in memory; the others are zero, and are not stored. */
typedef float32x4_t ggl_rows[4];

static inline void ggl_load_rows(const float *y, int n, ggl_rows rows)
{
    float all[16] = {0};
    memcpy(all, y, (size_t)n * 4);
    for (int q = 0; q < 4; q++) rows[q] = vld1q_f32(all + 4 * q);
}

static inline void ggl_store_rows(float *y, int n, const ggl_rows rows)
{
    float all[16];
    for (int q = 0; q < 4; q++) vst1q_f32(all + 4 * q, rows[q]);
    memcpy(y, all, (size_t)n * 4);
}

#endif
