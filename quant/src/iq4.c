/* IQ4_NL (32 elements, 18 bytes) and IQ4_XS (256 elements, 136 bytes): nibbles choose from 16 uneven levels. */
#include "codec.h"
#include "scalar.h"

const int8_t ggl_iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* 32 elements from 16 bytes: low nibbles first. */
void ggl_iq4_decode_run(float d, const uint8_t *qs, float *restrict y)
{
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)ggl_iq4_levels[qs[j] & 15];
        y[j + 16] = d * (float)ggl_iq4_levels[qs[j] >> 4];
    }
}

void ggl_iq4_nl_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 32, b += 18) ggl_iq4_decode_run(ggl_load_f16(b), b + 2, y + i);
}

/* d, 8 x 2 high scale bits, 8 x 4 low scale bits, nibbles; the 6-bit scale counts from -32. */
void ggl_iq4_xs_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 136) {
        float d = ggl_load_f16(b);
        int high = ggl_load_u16(b + 2);
        for (int ib = 0; ib < 8; ib++, y += 32) {
            int scale = (b[4 + ib / 2] >> 4 * (ib % 2) & 15) | (high >> 2 * ib & 3) << 4;
            ggl_iq4_decode_run(d * (float)(scale - 32), b + 8 + 16 * ib, y);
        }
    }
}
