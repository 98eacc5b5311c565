#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

void ggl_act_q8_ref(const float *x, int64_t n, int8_t *row)
{
    float *scales = (float *)(void *)(row + n);
    int32_t *sums = (int32_t *)(void *)(row + n + n / GGL_ACT_BLOCK * 4), *halves = sums + n / GGL_ACT_BLOCK;
    for (int64_t b = 0; b < n / GGL_ACT_BLOCK; b++) {
        uint32_t top = 0; /* the largest magnitude by its bits: a NaN is above everything */
        for (int i = 0; i < GGL_ACT_BLOCK; i++) {
            uint32_t bits;
            memcpy(&bits, x + b * GGL_ACT_BLOCK + i, 4);
            bits &= 0x7fffffffu;
            if (bits > top) top = bits;
        }
        float amax;
        memcpy(&amax, &top, 4);
        const struct ggl_act_q8_scaling scaling = ggl_act_q8_scaling(amax);
        scales[b] = scaling.scale;
        sums[b] = 0;
        for (int i = 0; i < GGL_ACT_BLOCK; i++) {
            float v = x[b * GGL_ACT_BLOCK + i] * scaling.inverse;
            int8_t code = v == v ? (int8_t)rintf(v) : 0;
            row[b * GGL_ACT_BLOCK + i] = code;
            sums[b] += code;
            if (i == GGL_ACT_BLOCK / 2 - 1) halves[b] = sums[b];
        }
    }
}
