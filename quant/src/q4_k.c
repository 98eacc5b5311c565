/*
 * Q4_K (256 elements, 144 bytes): d and dmin half; eight 6-bit scales and eight 6-bit minima in 12 bytes, one
 * pair for 32 elements; 128 bytes of nibbles.  Q5_K (176 bytes): the same with 32 bytes of fifth bits before
 * the nibbles.  y = (d scale) q - dmin minimum.
 */
#include "codec.h"
#include "scalar.h"

static int scale_of(const uint8_t *s, int j)
{
    return j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
}

static int min_of(const uint8_t *s, int j)
{
    return j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

void ggl_q4_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 144) {
        float d = ggl_load_f16(b), dmin = ggl_load_f16(b + 2);
        for (int g = 0; g < 8; g++, y += 32) {
            const uint8_t *qs = b + 16 + 32 * (g / 2);
            int shift = 4 * (g % 2);
            float scale = d * (float)scale_of(b + 4, g), min = dmin * (float)min_of(b + 4, g);
            for (int j = 0; j < 32; j++) y[j] = scale * (float)(qs[j] >> shift & 15) - min;
        }
    }
}

void ggl_q5_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 176) {
        const uint8_t *high = b + 16;
        float d = ggl_load_f16(b), dmin = ggl_load_f16(b + 2);
        for (int g = 0; g < 8; g++, y += 32) {
            const uint8_t *qs = b + 48 + 32 * (g / 2);
            int shift = 4 * (g % 2);
            float scale = d * (float)scale_of(b + 4, g), min = dmin * (float)min_of(b + 4, g);
            for (int j = 0; j < 32; j++) {
                int q = (qs[j] >> shift & 15) | (high[j] >> g & 1) << 4;
                y[j] = scale * (float)q - min;
            }
        }
    }
}
