/* Plain C.  A product of two BF16 is exact in double, and its sum with a float is either exact there, too, or one of
 * both is too small to matter: rounding that sum to float is the only rounding. */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "quant/quant.h"

enum { STEP = 64 };

/* What is below 2^-126 becomes a zero of its sign. */
static float input(uint16_t h)
{
    return ggl_bf16_to_f32((uint16_t)(h & 0x7f80 ? h : h & 0x8000));
}

static float add_product(float sum, uint16_t w, uint16_t x)
{
    double s = (double)sum + (double)input(w) * (double)input(x);
    if (fabs(s) < 0x1.ffffffp-127) return copysignf(0, (float)s); /* from there on, 24 bits round to 2^-126 */
    return (float)s;
}

/* One 64 inputs: lanes of s0, then of s1. */
static void add_inputs(float s[2 * GGL_LANES], const uint16_t w[STEP], const uint16_t x[STEP])
{
    for (int l = 0; l < 2 * GGL_LANES; l++) {
        float odd = add_product(s[l], w[2 * l + 1], x[2 * l + 1]);
        s[l] = add_product(odd, w[2 * l], x[2 * l]);
    }
}

static float dot(const uint8_t *row, const uint16_t *x, int64_t n)
{
    float s[2 * GGL_LANES] = {0};
    for (int64_t i = 0; i < n; i += STEP) {
        uint16_t w[STEP] = {0}, v[STEP] = {0};
        size_t bytes = 2 * (size_t)(n - i < STEP ? n - i : STEP);
        memcpy(w, row + 2 * i, bytes);
        memcpy(v, x + i, bytes);
        add_inputs(s, w, v);
    }
    for (int width = GGL_LANES; width; width /= 2) /* first s0 + s1, then the tree */
        for (int l = 0; l < width; l++) s[l] += s[l + width];
    return s[0];
}

void ggl_bf16_mul_ref(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                      int64_t n_tokens, float *y, int64_t y_stride)
{
    for (int64_t t = 0; t < n_tokens; t++)
        for (int64_t r = 0; r < n_rows; r++) y[t * y_stride + r] = dot(rows + r * row_bytes, x + t * x_stride, n);
}
