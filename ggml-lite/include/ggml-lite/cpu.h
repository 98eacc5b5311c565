/*
 * What this processor can do, as far as our kernels care.
 *
 *     uint64_t isa = ggl_cpu_isa();
 *     if (isa & GGL_ISA_AVX512VNNI) ...
 *     printf("%s\n", ggl_isa_name(GGL_ISA_AVX512VNNI));   // "avx512vnni"
 *
 * A level is set only when the operating system saves its registers too (Linux is asked to, for AMX), and only together with those it builds
 * on: AVX512 and INTEL imply AVX2, every other AVX512* implies AVX512;
 * AMX implies them all; DOTPROD and I8MM imply NEON.
 *
 * The environment variable GGL_CPU_DISABLE, a comma list of names ("avx512,avx2"), removes levels and what builds on
 * them, for tests; unknown names are passed over.  It is the only variable that the library reads, and it reads it
 * once, before the first pick.
 * Thread-safety: any thread, any time.
 */
#ifndef GGL_CPU_H
#define GGL_CPU_H

#include "quant/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GGL_ISA_AVX2       (UINT64_C(1) << 0) /* with FMA and F16C */
#define GGL_ISA_AVX512     (UINT64_C(1) << 1) /* F, BW, VL and DQ */
#define GGL_ISA_AVX512VNNI (UINT64_C(1) << 2)
#define GGL_ISA_AVX512BF16 (UINT64_C(1) << 3)
#define GGL_ISA_AVX512VBMI (UINT64_C(1) << 4)
/* No instructions: how Intel's cores want theirs used.  They are to be told what to fetch, and multiply floats twice as
 * fast as pairs of BF16. */
#define GGL_ISA_INTEL      (UINT64_C(1) << 5)
#define GGL_ISA_AMX        (UINT64_C(1) << 6) /* tiles of int8 and of BF16 */
#define GGL_ISA_NEON       (UINT64_C(1) << 8)
#define GGL_ISA_DOTPROD    (UINT64_C(1) << 9)
#define GGL_ISA_I8MM       (UINT64_C(1) << 10)

/* Levels of this machine, less the disabled ones. */
GGL_API uint64_t ggl_cpu_isa(void);

/* isa without the levels that the comma list names and without those that build on them; list may be NULL. */
GGL_API uint64_t ggl_cpu_without(uint64_t isa, const char *list);

/* "avx512vnni" for one level, "c" for 0, NULL for anything else. */
GGL_API const char *ggl_isa_name(uint64_t level);

#ifdef __cplusplus
}
#endif
#endif
