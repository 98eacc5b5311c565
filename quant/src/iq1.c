/*
 * IQ1_S and IQ1_M (256 elements): groups of eight point into a grid of -1, 0, +1, shifted by plus or minus
 * an eighth: y = d (2 scale + 1) * (g + shift).
 */
#include "codec.h"
#include "iq_grids.h"
#include "scalar.h"

enum { QK = 256 };

static void put_group(float dl, int negative, uint32_t code, float *restrict y)
{
    float shift = negative ? -0.125f : 0.125f;
    float level[4] = {dl * (-1.0f + shift), dl * shift, dl * (1.0f + shift), 0.0f};
    for (int j = 0; j < 8; j++) y[j] = level[code >> 2 * j & 3];
}

/* 50 bytes: d, 32 low index bytes, and a word for 32 elements: 4 x 3 high index bits, 3 bits of scale, the
 * shift's sign. */
void ggl_iq1_s_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 50) {
        float d = ggl_load_f16(b);
        for (int ib = 0; ib < QK / 32; ib++, y += 32) {
            uint32_t h = ggl_load_u16(b + 34 + 2 * ib);
            float dl = d * (float)(2 * (h >> 12 & 7) + 1);
            for (int l = 0; l < 4; l++) {
                uint32_t index = b[2 + 4 * ib + l] | (h >> 3 * l & 7) << 8;
                put_group(dl, (h & 0x8000) != 0, ggl_grid_iq1[index], y + 8 * l);
            }
        }
    }
}

/* 56 bytes: 32 low index bytes; 16 bytes, a nibble a group: 3 high index bits and the shift's sign; four
 * words of 4 x 3 bits of scale, one for 16 elements, whose top nibbles are the half d. */
void ggl_iq1_m_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 56) {
        uint32_t s[4], half = 0;
        for (int k = 0; k < 4; k++) {
            s[k] = ggl_load_u16(b + 48 + 2 * k);
            half |= s[k] >> 12 << 4 * k;
        }
        float d = ggl_f16_decode((uint16_t)half);
        for (int g = 0; g < QK / 8; g++, y += 8) {
            float dl = d * (float)(2 * (s[g / 8] >> 3 * (g / 2 % 4) & 7) + 1);
            uint32_t nibble = b[32 + g / 2] >> 4 * (g % 2) & 15;
            put_group(dl, (nibble & 8) != 0, ggl_grid_iq1[b[g] | (nibble & 7) << 8], y);
        }
    }
}
