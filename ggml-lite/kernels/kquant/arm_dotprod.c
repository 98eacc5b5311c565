/* NEON with dot products: four rows by four inputs meet four activations, which the instruction itself broadcasts. */
#include "kernels/kernels.h"

#include <string.h>

enum { TOKENS = 4 };
#include "kernels/kquant/arm_tile.h"

/* dot += the products with inputs 4i .. 4i + 3 of the 16 in x; i is a constant once the loops are unrolled. */
INLINE int32x4_t add_dot(int32x4_t dot, int8x16_t w, int8x16_t x, const int i)
{
    switch (i) {
    case 0: return vdotq_laneq_s32(dot, w, x, 0);
    case 1: return vdotq_laneq_s32(dot, w, x, 1);
    case 2: return vdotq_laneq_s32(dot, w, x, 2);
    default: return vdotq_laneq_s32(dot, w, x, 3);
    }
}

/* Sixteen inputs, number `upper` of 32. */
INLINE void add_half(const int bits, const uint8_t *codes, struct values values, const int upper, const tile x, int n,
                     int64_t at, int32x4_t dot[TOKENS][2])
{
    int8x16_t a[TOKENS];
    for (int t = 0; t < n; t++) a[t] = vld1q_s8(x[t].codes + 32 * at + 16 * upper);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        for (int q = 0; q < 2; q++) {
            int8x16_t w = load_values(bits, codes + 16 * q, 4 * upper + i, values);
            for (int t = 0; t < n; t++) dot[t][q] = add_dot(dot[t][q], w, a[t], i);
        }
    }
}

INLINE void multiply(const struct shape shape, const uint8_t *codes, struct values values, int part, const tile x,
                     int n, int64_t at, int32x4_t dot[TOKENS][2])
{
    for (int t = 0; t < n; t++)
        for (int q = 0; q < 2; q++) dot[t][q] = vdupq_n_s32(0);
    if (shape.parts == 1 || part == 0) add_half(shape.bits, codes, values, 0, x, n, at, dot);
    if (shape.parts == 1 || part == 1) add_half(shape.bits, codes, values, 1, x, n, at, dot);
}

void ggl_kquant_mul_dotprod(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                            int64_t y_stride, int n_rows)
{
    mul(f, panel, n, x, y, y_stride, n_rows);
}
