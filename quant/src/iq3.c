/*
 * IQ3_XXS and IQ3_S (256 elements): groups of four point into a grid of eight magnitudes; signs are stored
 * beside; a 4-bit scale serves 32 elements.
 */
#include "codec.h"
#include "iq_grids.h"
#include "scalar.h"

enum { QK = 256 };

static void put_group(const float level[8], uint32_t code, uint32_t signs, float *restrict y)
{
    for (int j = 0; j < 4; j++) y[j] = ggl_iq_sign(level[code >> 3 * j & 7], signs, j);
}

/* 98 bytes: d, 64 grid indices, 8 words of 4 x 7 sign bits and the scale; y = d (0.5 + scale) / 2 * m * sign. */
void ggl_iq3_xxs_decode(const void *blocks, float *restrict y, int64_t n)
{
    static const float magnitude[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 98) {
        float d = ggl_load_f16(b);
        for (int ib = 0; ib < QK / 32; ib++, y += 32) {
            uint32_t a = ggl_load_u32(b + 66 + 4 * ib);
            float db = d * (0.5f + (float)(a >> 28)) * 0.5f, level[8];
            for (int k = 0; k < 8; k++) level[k] = db * magnitude[k];
            for (int l = 0; l < 8; l++) {
                uint32_t signs = (uint32_t)ggl_iq_signs(a >> 7 * (l / 2)) >> 4 * (l % 2);
                put_group(level, ggl_grid_iq3_xxs[b[2 + 8 * ib + l]], signs, y + 4 * l);
            }
        }
    }
}

/* 110 bytes: d, 64 low index bytes, 8 bytes of high index bits, 32 sign bytes, 4 bytes of two scales;
 * y = d (1 + 2 scale) * m * sign with m odd, 1..15. */
void ggl_iq3_s_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 110) {
        float d = ggl_load_f16(b);
        for (int ib = 0; ib < QK / 32; ib++, y += 32) {
            int scale = b[106 + ib / 2] >> 4 * (ib % 2) & 15;
            float db = d * (float)(1 + 2 * scale), level[8];
            for (int k = 0; k < 8; k++) level[k] = db * (float)(2 * k + 1);
            for (int l = 0; l < 8; l++) {
                uint32_t high = b[66 + ib] >> l & 1;
                uint32_t signs = (uint32_t)b[74 + 4 * ib + l / 2] >> 4 * (l % 2);
                put_group(level, ggl_grid_iq3_s[b[2 + 8 * ib + l] | high << 8], signs, y + 4 * l);
            }
        }
    }
}
