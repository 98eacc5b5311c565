/*
 * What this processor can do, as far as our kernels care.
 *
 *     uint64_t isa = ggl_cpu_isa();
 *     if (isa & GGL_ISA_AVX512VNNI) ...
 *     printf("%s\n", ggl_isa_name(GGL_ISA_AVX512VNNI));   // "avx512vnni"
 *
 * A level is set only when the operating system saves its registers too (Linux is asked to, for AMX), and only together
 * with those it builds on: AVX512, AVXVNNI and INTEL imply AVX2, every other AVX512* implies AVX512, AMX implies VNNI, BF16 and VBMI;
 * DOTPROD and I8MM imply NEON.
 *
 * The environment variable GGL_CPU_DISABLE, a comma list of names ("avx512,avx2"), removes levels and what builds on
 * them, for tests; unknown names are passed over.  It is the only variable that the library reads, and it reads it
 * once, before the first pick.
 * Thread-safety: any thread, any time.
 */
#ifndef GGL_CPU_H
#define GGL_CPU_H

#include "quant/isa.h"
#include "quant/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

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
