/*
 * Rotary embedding of neighbouring pairs: (a, b) -> (a cos - b sin, a sin + b cos).
 */
#ifndef GGL_KERNEL_ROPE_H
#define GGL_KERNEL_ROPE_H

#include <stdbool.h>
#include <stdint.h>

/* table[2i], table[2i + 1] = cos, sin of (float)pos * freqs[i].  The product is rounded to float first, as the model
 * was trained; sine and cosine of that float are then exact to the last bit but rounding. */
typedef void ggl_rope_angles_fn(float *table, const float *freqs, int n_freq, int64_t pos);

/* Rotate n_rope elements in place. */
typedef void ggl_rope_f32_fn(float *x, const float *table, int n_rope, bool inverse);

#endif
