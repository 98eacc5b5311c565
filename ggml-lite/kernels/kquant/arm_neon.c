/*
 * NEON without dot products: bytes are multiplied to 16 bits and those added in pairs.  Two products of weights of at
 * most 127 fit in 16 bits, four of those with 6 bits or with minima, which are at most 63.
 */
#include "kernels/kernels.h"

#include <string.h>

enum { TOKENS = 4 };
#include "kernels/kquant/arm_tile.h"

INLINE int8x16_t broadcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

INLINE void multiply(const struct shape shape, const uint8_t *codes, struct values values, int part, const tile x,
                     int n, int64_t at, int32x4_t dot[TOKENS][2])
{
    const int width = 8 / shape.parts, run = shape.bits == 6 || shape.mins ? 4 : 2;
    int32x4_t sum[TOKENS][2][2];
    for (int t = 0; t < n; t++)
        for (int q = 0; q < 2; q++) sum[t][q][0] = sum[t][q][1] = vdupq_n_s32(0);
    for (int j0 = width * part; j0 < width * (part + 1); j0 += run) {
        int16x8_t pairs[TOKENS][2][2];
        for (int t = 0; t < n; t++)
            for (int q = 0; q < 2; q++) pairs[t][q][0] = pairs[t][q][1] = vdupq_n_s16(0);
        for (int j = j0; j < j0 + run; j++) {
            int8x16_t w[2];
            for (int q = 0; q < 2; q++) w[q] = load_values(shape.bits, codes + 16 * q, j, values);
            for (int t = 0; t < n; t++) {
                int8x16_t a = broadcast4(x[t].codes + 32 * at + 4 * j);
                for (int q = 0; q < 2; q++) {
                    int16x8_t *p = pairs[t][q];
                    p[0] = vmlal_s8(p[0], vget_low_s8(w[q]), vget_low_s8(a));
                    p[1] = vmlal_high_s8(p[1], w[q], a);
                }
            }
        }
        for (int t = 0; t < n; t++)
            for (int q = 0; q < 2; q++)
                for (int i = 0; i < 2; i++) sum[t][q][i] = vpadalq_s16(sum[t][q][i], pairs[t][q][i]);
    }
    for (int t = 0; t < n; t++)
        for (int q = 0; q < 2; q++) dot[t][q] = vpaddq_s32(sum[t][q][0], sum[t][q][1]);
}

void ggl_kquant_mul_neon(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                         int64_t y_stride, int n_rows)
{
    mul(f, panel, n, x, y, y_stride, n_rows);
}
