#include "kernels/kernels.h"

#include <math.h>

void ggl_hadamard_f32_ref(float *x, int32_t n)
{
    for (int32_t h = 1; h < n; h *= 2) {
        for (int32_t i = 0; i < n; i += 2 * h) {
            for (int32_t j = i; j < i + h; j++) {
                float a = x[j], b = x[j + h];
                x[j] = a + b;
                x[j + h] = a - b;
            }
        }
    }
    float scale = (float)(1.0 / sqrt((double)n));
    for (int32_t i = 0; i < n; i++) x[i] *= scale;
}
