/*
 * IQ2_XXS, IQ2_XS, IQ2_S (256 elements): groups of eight point into a grid of magnitudes 8, 25, 43; signs
 * are stored beside; a 4-bit scale for 32 (XXS) or 16 elements refines the block's half d:
 * y = d (0.5 + scale) / 4 * magnitude * sign.
 */
#include "codec.h"
#include "iq_grids.h"
#include "scalar.h"

enum { QK = 256 };

/* The three magnitudes times the scale: each product is made once, with the bits it would have an element. */
struct levels {
    float of[4];
};

static struct levels make_levels(float d, uint32_t scale)
{
    float db = d * (0.5f + (float)scale) * 0.25f;
    return (struct levels){{db * 8.0f, db * 25.0f, db * 43.0f, 0.0f}};
}

static void put_group(const struct levels *levels, uint32_t code, uint32_t signs, float *restrict y)
{
    for (int j = 0; j < 8; j++) y[j] = ggl_iq_sign(levels->of[code >> 2 * j & 3], signs, j);
}

/* 66 bytes: d, then for each 32 elements four grid indices and a word of 4 x 7 sign bits and the scale. */
void ggl_iq2_xxs_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 66) {
        float d = ggl_load_f16(b);
        for (int ib = 0; ib < QK / 32; ib++, y += 32) {
            const uint8_t *index = b + 2 + 8 * ib;
            uint32_t a = ggl_load_u32(index + 4);
            struct levels levels = make_levels(d, a >> 28);
            for (int l = 0; l < 4; l++)
                put_group(&levels, ggl_grid_iq2_xxs[index[l]], ggl_iq_signs(a >> 7 * l), y + 8 * l);
        }
    }
}

/* 74 bytes: d, 32 words of a 9-bit grid index and 7 sign bits, 8 bytes of two scales each. */
void ggl_iq2_xs_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 74) {
        float d = ggl_load_f16(b);
        for (int g = 0; g < QK / 16; g++, y += 16) {
            struct levels levels = make_levels(d, b[66 + g / 2] >> 4 * (g % 2) & 15);
            for (int l = 0; l < 2; l++) {
                uint32_t q = ggl_load_u16(b + 2 + 4 * g + 2 * l);
                put_group(&levels, ggl_grid_iq2_xs[q & 511], ggl_iq_signs(q >> 9), y + 8 * l);
            }
        }
    }
}

/* 82 bytes: d, 32 low index bytes, 32 sign bytes, 8 bytes of two high index bits each group, 8 of two scales. */
void ggl_iq2_s_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 82) {
        float d = ggl_load_f16(b);
        for (int g = 0; g < QK / 16; g++, y += 16) {
            struct levels levels = make_levels(d, b[74 + g / 2] >> 4 * (g % 2) & 15);
            for (int l = 0; l < 2; l++) {
                int group = 2 * g + l;
                uint32_t high = b[66 + g / 2] >> 2 * (group % 4) & 3;
                put_group(&levels, ggl_grid_iq2_s[b[2 + group] | high << 8], b[34 + group], y + 8 * l);
            }
        }
    }
}
