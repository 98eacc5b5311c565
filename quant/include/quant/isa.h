/*
 * Names of what a processor can do, as far as our code cares.  ggml-lite/cpu.h finds out what this one can; here is
 * what functions that take levels know them by.
 */
#ifndef GGL_QUANT_ISA_H
#define GGL_QUANT_ISA_H

#include <stdint.h>

#define GGL_ISA_AVX2       (UINT64_C(1) << 0) /* with FMA and F16C */
#define GGL_ISA_AVX512     (UINT64_C(1) << 1) /* F, BW, VL and DQ */
#define GGL_ISA_AVX512VNNI (UINT64_C(1) << 2)
#define GGL_ISA_AVX512BF16 (UINT64_C(1) << 3)
#define GGL_ISA_AVX512VBMI (UINT64_C(1) << 4)
/* No instructions: how Intel's cores want theirs used.  They are to be told what to fetch, and multiply floats twice as
 * fast as pairs of BF16. */
#define GGL_ISA_INTEL      (UINT64_C(1) << 5)
#define GGL_ISA_AMX        (UINT64_C(1) << 6) /* tiles of int8 and of BF16 */
#define GGL_ISA_AVXVNNI    (UINT64_C(1) << 7) /* the dot products of AVX512VNNI on AVX2's registers */
#define GGL_ISA_NEON       (UINT64_C(1) << 8)
#define GGL_ISA_DOTPROD    (UINT64_C(1) << 9)
#define GGL_ISA_I8MM       (UINT64_C(1) << 10)
#define GGL_ISA_AVX512FP16 (UINT64_C(1) << 11) /* arithmetic of halves */

#endif
