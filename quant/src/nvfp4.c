/*
 * NVFP4 (64 elements, 36 bytes): four unsigned E4M3 scales, one for 16 elements, then 32 bytes of E2M1
 * nibbles: of each 8 bytes the low nibbles are elements 0..7 and the high ones 8..15.
 */
#include "codec.h"
#include "scalar.h"

/* Half the E4M3 value, because codes count doubled; bit 7 is ignored, and NaN is 0 as in ggml. */
static float half_scale(uint8_t code)
{
    uint8_t m = code & 0x7f;
    return m == 0x7f ? 0.0f : ggl_e4m3_decode(m) * 0.5f;
}

void ggl_nvfp4_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 64, b += 36)
        for (int g = 0; g < 4; g++, y += 16) {
            float d = half_scale(b[g]);
            for (int j = 0; j < 8; j++) {
                uint8_t q = b[4 + 8 * g + j];
                y[j] = ggl_e2m1_decode_doubled(q) * d;
                y[j + 8] = ggl_e2m1_decode_doubled(q >> 4) * d;
            }
        }
}
