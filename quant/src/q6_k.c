/*
 * Q6_K (256 elements, 210 bytes): 128 bytes of low nibbles, 64 bytes of two high bits, 16 signed scales, one
 * for 16 elements, d half.  y = (d scale) (q - 32).
 */
#include "codec.h"
#include "scalar.h"

void ggl_q6_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 210) {
        float d = ggl_load_f16(b + 208);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *low = b + 64 * (g / 8) + 16 * (g % 4), *high = b + 128 + 32 * (g / 8) + 16 * (g % 2);
            int low_shift = 4 * (g / 4 % 2), high_shift = 2 * (g / 2 % 4);
            float ds = d * (float)(int8_t)b[192 + g];
            for (int j = 0; j < 16; j++) {
                int q = (low[j] >> low_shift & 15) | (high[j] >> high_shift & 3) << 4;
                y[j] = ds * (float)(q - 32);
            }
        }
    }
}
