/*
 * Grids of the IQ types.  An entry's code holds one digit an element, element 0 lowest: 2 bits a digit and
 * 8 elements (IQ1, IQ2), or 3 bits and 4 elements (IQ3).  What level a digit stands for is the decoder's:
 *
 *     IQ2    0, 1, 2 -> 8, 25, 43              IQ3_XXS  0..7 -> 4, 12, 20, 28, 36, 44, 52, 62
 *     IQ1    0, 1, 2 -> -1, 0, +1              IQ3_S    q -> 2 q + 1
 *
 * Codes take a quarter of the expanded tables, and are expanded by a shift on the way.
 */
#ifndef GGL_QUANT_IQ_GRIDS_H
#define GGL_QUANT_IQ_GRIDS_H

#include <stdint.h>

extern const uint16_t ggl_grid_iq2_xxs[256];
extern const uint16_t ggl_grid_iq2_xs[512];
extern const uint16_t ggl_grid_iq2_s[1024];
extern const uint16_t ggl_grid_iq3_xxs[256];
extern const uint16_t ggl_grid_iq3_s[512];
extern const uint16_t ggl_grid_iq1[2048];

/* Eight signs from seven bits: the eighth makes their number of ones even. */
static inline uint8_t ggl_iq_signs(uint32_t seven)
{
    uint32_t k = seven & 127, p = k ^ k >> 4;
    p ^= p >> 2;
    p ^= p >> 1;
    return (uint8_t)(k | (p & 1) << 7);
}

static inline float ggl_iq_sign(float v, uint32_t signs, int j)
{
    return signs >> j & 1 ? -v : v;
}

#endif
