/*
 * NEON, for the types that models are made of; the others are decoded by the reference.  Each product is the
 * reference's, so the bits are, too; where that is exact, its factors are grouped otherwise.
 */
#include "kernels/kernels.h"

#include <arm_neon.h>
#include <string.h>

#include "quant/quant.h"

enum { LANES = 8, GROUP = 32, TILE = 128, KV_BLOCK = 64 };

static inline void store_scaled(float32x4_t low, float32x4_t high, float scale, float *y)
{
    vst1q_f32(y, vmulq_n_f32(low, scale));
    vst1q_f32(y + 4, vmulq_n_f32(high, scale));
}

/* Eight E4M3 codes times scale.  A half with the code's exponent and fraction is worth a 256th of it, denormals
 * included. */
static inline void e4m3(const uint8_t *p, float scale, float *y)
{
    const int16x8_t top = vdupq_n_s16(0x3f80);
    int16x8_t half = vandq_s16(vshll_n_s8(vreinterpret_s8_u8(vld1_u8(p)), 7), vdupq_n_s16((int16_t)0xbf80));
    uint16x8_t is_nan = vceqq_s16(vandq_s16(half, top), top); /* 0x7f and 0xff */
    half = vorrq_s16(half, vandq_s16(vreinterpretq_s16_u16(is_nan), vdupq_n_s16(0x7e00)));
    float16x8_t h = vreinterpretq_f16_s16(half);
    store_scaled(vmulq_n_f32(vcvt_f32_f16(vget_low_f16(h)), 256), vmulq_n_f32(vcvt_high_f32_f16(h), 256), scale, y);
}

static void decode_fp8(const uint8_t *codes, float scale, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) e4m3(codes + i, scale, y + i);
    for (; i < n; i++) y[i] = ggl_e4m3_to_f32(codes[i]) * scale;
}

static void decode_bf16(const uint8_t *p, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        uint16x8_t h = vreinterpretq_u16_u8(vld1q_u8(p + 2 * i));
        vst1q_f32(y + i, vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16)));
        vst1q_f32(y + i + 4, vreinterpretq_f32_u32(vshll_high_n_u16(h, 16)));
    }
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        y[i] = ggl_bf16_to_f32(h);
    }
}

static void decode_f16(const uint8_t *p, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        float16x8_t h = vreinterpretq_f16_u8(vld1q_u8(p + 2 * i));
        vst1q_f32(y + i, vcvt_f32_f16(vget_low_f16(h)));
        vst1q_f32(y + i + 4, vcvt_high_f32_f16(h));
    }
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        y[i] = ggl_f16_to_f32(h);
    }
}

/* 16 integers times d. */
static inline void scaled(int8x16_t v, float d, float *y)
{
    int16x8_t low = vmovl_s8(vget_low_s8(v)), high = vmovl_high_s8(v);
    store_scaled(vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)), d, y);
    store_scaled(vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high)), d, y + 8);
}

static void decode_q8_0(const uint8_t *block, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP, block += 2 + GROUP) {
        uint16_t h;
        memcpy(&h, block, 2);
        for (int j = 0; j < GROUP; j += 16)
            scaled(vreinterpretq_s8_u8(vld1q_u8(block + 2 + j)), ggl_f16_to_f32(h), y + i + j);
    }
}

/* 16 bytes: low nibbles are elements 0..15, high ones 16..31; each an index of the table. */
static inline void halves(const int8_t table[16], const uint8_t *packed, float d, float *y)
{
    uint8x16_t both = vld1q_u8(packed);
    scaled(vqtbl1q_s8(vld1q_s8(table), vandq_u8(both, vdupq_n_u8(15))), d, y);
    scaled(vqtbl1q_s8(vld1q_s8(table), vshrq_n_u8(both, 4)), d, y + 16);
}

static void decode_mxfp4(const uint8_t *block, float *y, int64_t n)
{
    static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    for (int64_t i = 0; i < n; i += GROUP, block += 17) {
        uint32_t bits = block[0] < 2 ? 0x00200000u << block[0] : (uint32_t)(block[0] - 1) << 23; /* 2^(e - 128) */
        float d;
        memcpy(&d, &bits, 4);
        halves(doubled, block + 1, d, y + i);
    }
}

static void decode_int4(const uint8_t *codes, const uint8_t *scales, float row_scale, float *y, int64_t n)
{
    static const int8_t levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    for (int64_t i = 0; i < n; i += GROUP)
        halves(levels, codes + i / 2, row_scale * ggl_e4m3_to_f32(scales[i / GROUP]), y + i);
}

/* Neighbours share a byte, and code 8 is -0: the tables have the upper two bytes of the values as floats. */
static void decode_fp4(const uint8_t *codes, const uint8_t *scales, float *y, int64_t n)
{
    static const uint8_t first[16] = {0, 0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x80, 0xbf, 0xbf, 0xbf, 0xc0, 0xc0, 0xc0, 0xc0};
    static const uint8_t second[16] = {0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0, 0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0};
    for (int64_t i = 0; i < n; i += GROUP, codes += GROUP / 2) {
        uint8x16_t both = vld1q_u8(codes), low = vandq_u8(both, vdupq_n_u8(15)), high = vshrq_n_u8(both, 4);
        uint8x16_t nibbles[2] = {vzip1q_u8(low, high), vzip2q_u8(low, high)};
        float scale = ggl_e8m0_to_f32(scales[i / GROUP]);
        for (int j = 0; j < 2; j++) {
            uint8x16_t upper = vqtbl1q_u8(vld1q_u8(first), nibbles[j]), lower = vqtbl1q_u8(vld1q_u8(second), nibbles[j]);
            uint16x8_t v[2] = {vreinterpretq_u16_u8(vzip1q_u8(lower, upper)), vreinterpretq_u16_u8(vzip2q_u8(lower, upper))};
            for (int k = 0; k < 2; k++)
                store_scaled(vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v[k]), 16)),
                             vreinterpretq_f32_u32(vshll_high_n_u16(v[k], 16)), scale, y + i + 16 * j + 8 * k);
        }
    }
}

#include "kernels/decode/by_type.h"

void ggl_decode_row_neon(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    decode_row(w, slice, row, y);
}

void ggl_decode_cache_neon(const struct ggl_row_format *f, const uint8_t *row, float *y)
{
    decode_cache(f, row, y);
}
