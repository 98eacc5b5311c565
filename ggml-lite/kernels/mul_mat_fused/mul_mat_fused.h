/*
 * mul_mat.h for precision fast.  At the levels AMX and AVX512FP16, whose results have bits of their own there anyway (fp8.h), product
 * and sum are rounded together: half the operations, and one rounding less.  Each y is, whatever the number of tokens:
 *     16 lanes = 0; for each 16 inputs: lane = lane + w x, rounded once; y = the lanes added in the fixed tree of vec.h
 * Elsewhere it is mul_mat_f32.
 */
#ifndef GGL_KERNEL_MUL_MAT_FUSED_H
#define GGL_KERNEL_MUL_MAT_FUSED_H

#include "kernels/mul_mat/mul_mat.h"

typedef ggl_mul_mat_f32_fn ggl_mul_mat_fused_fn;

/* What those levels compute, in plain C: no level's, but a twin to compare with. */
ggl_mul_mat_fused_fn ggl_mul_mat_fused_twin_ref;

#endif
