#include "kernels/kernels.h"

#include <math.h>

void ggl_rope_angles_ref(float *table, const float *freqs, int n_freq, int64_t pos)
{
    for (int i = 0; i < n_freq; i++) {
        float angle = (float)pos * freqs[i];
        table[2 * i] = (float)cos((double)angle);
        table[2 * i + 1] = (float)sin((double)angle);
    }
}

void ggl_rope_f32_ref(float *x, const float *table, int n_rope, bool inverse)
{
    for (int i = 0; i < n_rope; i += 2) {
        float c = table[i], s = inverse ? -table[i + 1] : table[i + 1];
        float a = x[i], b = x[i + 1];
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
    }
}
