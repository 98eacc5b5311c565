/* Orthonormal Walsh-Hadamard transform in natural (Sylvester) order, in place; n is a power of two. */
#ifndef GGL_KERNEL_HADAMARD_H
#define GGL_KERNEL_HADAMARD_H

#include <stdint.h>

typedef void ggl_hadamard_f32_fn(float *x, int32_t n);

#endif
