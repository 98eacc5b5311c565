/*
 * Q2_K (256 elements, 84 bytes): 16 bytes of scale (low nibble) and minimum (high nibble), one for 16
 * elements; 64 bytes of 2-bit codes; d and dmin half.  y = (d scale) q - dmin minimum.
 */
#include "codec.h"
#include "scalar.h"

void ggl_q2_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 84) {
        float d = ggl_load_f16(b + 80), dmin = ggl_load_f16(b + 82);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *qs = b + 16 + 32 * (g / 8) + 16 * (g % 2);
            int shift = 2 * (g / 2 % 4);
            float scale = d * (float)(b[g] & 15), min = dmin * (float)(b[g] >> 4);
            for (int j = 0; j < 16; j++) y[j] = scale * (float)(qs[j] >> shift & 3) - min;
        }
    }
}
