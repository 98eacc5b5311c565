/*
 * Q3_K (256 elements, 110 bytes): 32 bytes of third bits, 64 bytes of 2-bit codes, 16 six-bit scales in 12
 * bytes, d half.  y = (d (scale - 32)) (q - 4).
 */
#include "codec.h"
#include "scalar.h"

void ggl_q3_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 110) {
        const uint8_t *scales = b + 96;
        float d = ggl_load_f16(b + 108);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *qs = b + 32 + 32 * (g / 8) + 16 * (g % 2), *high = b + 16 * (g % 2);
            int shift = 2 * (g / 2 % 4), bit = g / 2;
            int scale = (scales[g % 8] >> 4 * (g / 8) & 15) | (scales[8 + g % 4] >> 2 * (g / 4) & 3) << 4;
            float ds = d * (float)(scale - 32);
            for (int j = 0; j < 16; j++) {
                int q = (qs[j] >> shift & 3) | (high[j] >> bit & 1) << 2;
                y[j] = ds * (float)(q - 4);
            }
        }
    }
}
