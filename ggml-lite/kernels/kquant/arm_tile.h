/*
 * Products with the panels of kquant.h on arm64, all but the integer products: included by each level's file behind
 *
 *     enum { TOKENS };       vectors that meet a panel at a time: 4
 *     INLINE void multiply(const struct shape, const uint8_t *codes, struct values, int part, const tile, int n,
 *                          int64_t at, int32x4_t dot[TOKENS][2]);
 *
 * which is declared here: dot[t][q] are the sums over a part of 32 inputs (number `at` of the row) for the four rows
 * from codes + 16q on.  A half of the 16 rows goes through a block at a time, so that the sums stay in registers.
 */
#include "kernels/math/arm_neon.h"

#define INLINE static inline __attribute__((always_inline))

struct shape {
    int bits, parts;
    bool mins, each;
};

struct values { /* 4 bits: the table without its bias; 6 bits: the bias, 16 times */
    int8x16_t v;
};

typedef struct ggl_act_q8_row tile[TOKENS];

INLINE void multiply(const struct shape shape, const uint8_t *codes, struct values values, int part, const tile x,
                     int n, int64_t at, int32x4_t dot[TOKENS][2]);

/* Inputs 4j .. 4j + 3 of 32, of the four rows from codes on, without their bias. */
INLINE int8x16_t load_values(const int bits, const uint8_t *codes, const int j, struct values values)
{
    uint8x16_t packed = vld1q_u8(codes + 64 * (j & 3)), v = j < 4 ? vandq_u8(packed, vdupq_n_u8(15)) : vshrq_n_u8(packed, 4);
    if (bits == 4) return vqtbl1q_s8(values.v, v);
    uint8x16_t high = vld1q_u8(codes + 256 + 64 * (j >> 2));
    switch (j & 3) { /* the field to bits 4 and 5 */
    case 0: high = vshlq_n_u8(high, 4); break;
    case 1: high = vshlq_n_u8(high, 2); break;
    case 2: break;
    default: high = vshrq_n_u8(high, 2); break;
    }
    return vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(v, vandq_u8(high, vdupq_n_u8(0x30)))), values.v);
}

/* Four of eight numbers. */
INLINE int32x4_t quad(int16x8_t eight, const int q)
{
    return vmovl_s16(q ? vget_high_s16(eight) : vget_low_s16(eight));
}

INLINE float32x4_t load_floats(const uint8_t *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

/* Four rows from head on, of 32 inputs that have a d of their own. */
INLINE void add_each(const struct shape shape, const uint8_t *head, const int32x4_t dot, float scale_x, int32_t sum_x,
                     float32x4_t *s, float32x4_t *m)
{
    *s = vaddq_f32(*s, vmulq_f32(vcvtq_f32_s32(dot), vmulq_n_f32(load_floats(head), scale_x)));
    if (shape.mins) *m = vaddq_f32(*m, vmulq_n_f32(load_floats(head + 512), (float)sum_x * scale_x));
}

/* Eight rows of one block of n tokens: the part of the sum that scales weigh, and the one of the minima. */
INLINE void run_block(const struct shape shape, struct values values, const uint8_t *block, const int half, int64_t i,
                      const tile x, const int n, float32x4_t s[TOKENS][2], float32x4_t m[TOKENS][2])
{
    const int head = (shape.each ? 512 : 64 + 128 * shape.parts) * (shape.mins ? 2 : 1), code_bytes = shape.bits == 6 ? 384 : 256;
    const uint8_t *scales = block + (shape.mins ? 128 : 64) + 8 * half, *mins = scales + 128 * shape.parts;
    const uint8_t *codes = block + head + 32 * half;
    for (int t = 0; t < n; t++)
        for (int q = 0; q < 2; q++) s[t][q] = m[t][q] = vdupq_n_f32(0);
    for (int b = 0; b < 8; b++, codes += code_bytes) {
        const int64_t at = 8 * i + b;
        int32x4_t sum[TOKENS][2];
        for (int t = 0; t < n; t++)
            for (int q = 0; q < 2; q++) sum[t][q] = vdupq_n_s32(0);
        for (int p = 0; p < shape.parts; p++, scales += 16, mins += 16) {
            int32x4_t dot[TOKENS][2];
            multiply(shape, codes, values, p, x, n, at, dot);
            if (shape.each) {
                for (int t = 0; t < n; t++)
                    for (int q = 0; q < 2; q++)
                        add_each(shape, block + 64 * b + 32 * half + 16 * q, dot[t][q], x[t].scales[at], x[t].sums[at], &s[t][q],
                                 &m[t][q]);
                continue;
            }
            int16x8_t scale = vmovl_s8(vreinterpret_s8_u8(vld1_u8(scales)));
            for (int t = 0; t < n; t++)
                for (int q = 0; q < 2; q++) sum[t][q] = vmlaq_s32(sum[t][q], dot[t][q], quad(scale, q));
            if (!shape.mins) continue;
            int16x8_t min = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(mins)));
            for (int t = 0; t < n; t++) {
                int32_t first = shape.parts == 1 ? x[t].sums[at] : x[t].halves[at], sum_x = p ? x[t].sums[at] - first : first;
                for (int q = 0; q < 2; q++)
                    m[t][q] = vaddq_f32(m[t][q], vmulq_n_f32(vcvtq_f32_s32(quad(min, q)), (float)sum_x * x[t].scales[at]));
            }
        }
        for (int t = 0; t < n && !shape.each; t++)
            for (int q = 0; q < 2; q++) s[t][q] = vaddq_f32(s[t][q], vmulq_n_f32(vcvtq_f32_s32(sum[t][q]), x[t].scales[at]));
    }
}

INLINE void run_tile(const struct ggl_kquant_format *f, const struct shape shape, const uint8_t *panel, int64_t n_blocks,
                     const tile x, const int n, ggl_rows y[TOKENS])
{
    const int8x16_t bias = vreinterpretq_s8_u8(vdupq_n_u8(f->bias));
    const struct values values = {shape.bits == 6 ? bias : vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(f->table)), bias)};
    for (int64_t i = 0; i < n_blocks; i++, panel += ggl_kquant_panel_bytes(f, GGL_KQUANT_BLOCK)) {
        for (int half = 0; half < 2; half++) {
            float32x4_t s[TOKENS][2], m[TOKENS][2];
            run_block(shape, values, panel, half, i, x, n, s, m);
            for (int t = 0; t < n; t++) {
                for (int q = 0; q < 2; q++) {
                    float32x4_t part = s[t][q];
                    if (!shape.each) part = vmulq_f32(load_floats(panel + 32 * half + 16 * q), part);
                    if (shape.each && shape.mins) part = vsubq_f32(part, m[t][q]);
                    else if (shape.mins) part = vsubq_f32(part, vmulq_f32(load_floats(panel + 64 + 32 * half + 16 * q), m[t][q]));
                    y[t][2 * half + q] = vaddq_f32(y[t][2 * half + q], part);
                }
            }
        }
    }
}

/* One function a shape: tiles of 1, 2 and 4 tokens. */
#define RUN(name, ...)                                                                                                 \
    static void run_##name(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, \
                           int n, ggl_rows y[TOKENS])                                                            \
    {                                                                                                                  \
        const struct shape shape = {__VA_ARGS__};                                                                      \
        if (n == 1) run_tile(f, shape, panel, n_blocks, x, 1, y);                                                      \
        else if (n == 2) run_tile(f, shape, panel, n_blocks, x, 2, y);                                                 \
        else run_tile(f, shape, panel, n_blocks, x, 4, y);                                                             \
    }

RUN(4_1, 4, 1, false, false)
RUN(4_1_min, 4, 1, true, false)
RUN(4_2, 4, 2, false, false)
RUN(4_2_min, 4, 2, true, false)
RUN(6_1_min, 6, 1, true, false)
RUN(6_2, 6, 2, false, false)
RUN(4_each_min, 4, 1, true, true)
RUN(6_each, 6, 1, false, true)
RUN(6_each_min, 6, 1, true, true)

typedef void run_fn(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, int n,
                    ggl_rows y[TOKENS]);

static run_fn *choose(const struct ggl_kquant_format *f)
{
    if (f->each) return f->bits == 4 ? run_4_each_min : f->mins ? run_6_each_min : run_6_each;
    if (f->bits == 6) return f->parts == 1 ? run_6_1_min : run_6_2;
    if (f->parts == 1) return f->mins ? run_4_1_min : run_4_1;
    return f->mins ? run_4_2_min : run_4_2;
}

#include "kernels/kquant/tiles.h"
