/* What the levels of arm64 share: loading weights and scales of a panel, and the order of float operations. */
#ifndef GGL_KERNEL_PANEL_ARM_NEON_H
#define GGL_KERNEL_PANEL_ARM_NEON_H

#include <string.h>

#include "kernels/math/arm_neon.h"

/* Inlined, so that the constants among the arguments (kind, tokens) leave straight code. */
#define GGL_PANEL_INLINE static inline __attribute__((always_inline))

/* Four rows a register. */
enum { GGL_PANEL_QUADS = GGL_PANEL_ROWS / 4 };

struct ggl_panel_levels { /* T4, I4: the table without its bias; else the bias, 16 times */
    int8x16_t v;
};

GGL_PANEL_INLINE bool ggl_panel_has_table(const enum ggl_panel_kind kind)
{
    return kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
}

GGL_PANEL_INLINE struct ggl_panel_levels ggl_panel_levels_of(const struct ggl_panel_format *f, const enum ggl_panel_kind kind)
{
    uint8x16_t bias = vdupq_n_u8((uint8_t)f->bias), v = ggl_panel_has_table(kind) ? vsubq_u8(vld1q_u8(f->table), bias) : bias;
    return (struct ggl_panel_levels){vreinterpretq_s8_u8(v)};
}

/* Inputs 4j .. 4j + 3 of rows 4q .. 4q + 3, without their bias. */
GGL_PANEL_INLINE int8x16_t ggl_panel_weights(const enum ggl_panel_kind kind, const uint8_t *codes, int j, int q,
                                             struct ggl_panel_levels levels)
{
    if (!ggl_panel_has_table(kind)) return vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + 64 * j + 16 * q)), levels.v);
    uint8x16_t packed = vld1q_u8(codes + 64 * (j % 4) + 16 * q);
    return vqtbl1q_s8(levels.v, j < 4 ? vandq_u8(packed, vdupq_n_u8(15)) : vshrq_n_u8(packed, 4));
}

/* The scales of rows 4q .. 4q + 3 of a block. */
GGL_PANEL_INLINE float32x4_t ggl_panel_scales(const enum ggl_panel_kind kind, const uint8_t *scales, int q)
{
    if (kind == GGL_PANEL_X8) return vreinterpretq_f32_u8(vld1q_u8(scales + 16 * q));
    if (kind != GGL_PANEL_I4) return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(scales + 8 * q)));
    uint32_t four; /* E4M3: sign and, moved up by seven bits, the rest are a half */
    memcpy(&four, scales + 4 * q, 4);
    int16x4_t e4m3 = vget_low_s16(vmovl_s8(vcreate_s8(four)));
    return vcvt_f32_f16(vreinterpret_f16_s16(vand_s16(vshl_n_s16(e4m3, 7), vdup_n_s16((int16_t)0xbf80))));
}

/* The panel's sum after a block: the integer product times both scales, the panel's fused with the sum. */
GGL_PANEL_INLINE float32x4_t ggl_panel_add(float32x4_t sum, int32x4_t dot, float32x4_t scale, float token_scale)
{
    return vfmaq_f32(sum, vmulq_n_f32(vcvtq_f32_s32(dot), token_scale), scale);
}

#endif
