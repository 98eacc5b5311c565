/*
 * Checks of kernels: every implementation of every list, on data and lengths that break careless ones.
 *
 *     static void check_dot_f32(ck_kernel *kernel, int64_t n)
 *     {
 *         float *a = ck_random(n), *b = ck_random(n);
 *         float y = ((ggl_dot_f32_fn *)kernel)(a, b, n);
 *         ck_close("dot", 0, y, want, bound);
 *     }
 *     #define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
 *     #include "kernels/vec/kernels.def"
 *
 * ck_run calls the check for n = 1 .. 130 and 4095 .. 4097, several seeds and places of the buffers, and
 * fails the running cmocka test.  Buffers end at an unmapped page or begin after one, or lie up to 60 bytes
 * from it; what surrounds them must stay as it was.  ck_must_fail is the test of the harness: the kernel is
 * broken, and passing is the failure.  With GGL_TEST_QUICK in the environment one seed and a third of the places do:
 * for processors that are emulated, where everything takes fifty times as long.
 */
#ifndef TESTS_CHECKKERNEL_H
#define TESTS_CHECKKERNEL_H

#include "kernels/kernels.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

typedef void ck_kernel(void); /* any kernel; its check casts it back */
typedef void ck_check(ck_kernel *kernel, int64_t n);

#define CK_U 0x1p-24 /* half a unit in the last place of 1: the most that one rounding adds, relatively */

/* Passed over when this machine has not all of isa. */
void ck_run(const char *symbol, uint64_t isa, ck_check *check, ck_kernel *kernel);
void ck_must_fail(const char *what, ck_check *check, ck_kernel *kernel);

/* ---- inside a check */

/* n floats, all NaN; random ones between -2 and 2 with small and zero ones among them; a copy. */
float *ck_f32(int64_t n);
float *ck_random(int64_t n);
float *ck_copy(const float *x, int64_t n);
/* n bytes, `gap` bytes from the unmapped page, which may make them unaligned. */
void *ck_bytes(uint64_t n, uint64_t gap);

uint32_t ck_next(uint32_t below);
double ck_uniform(void); /* -1 .. 1 */

/* The best kernels of this machine, or the plain C ones: alternately. */
const struct ggl_kernels *ck_kernels(void);

_Noreturn void ck_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* |y - want| <= bound; a NaN fails. */
void ck_close(const char *what, int64_t i, float y, double want, double bound);
/* The same bits, or both NaN. */
void ck_same(const char *what, int64_t i, float y, float want);

/* ---- main */

/* --bench runs `bench` (which may be NULL) instead of the tests; --seed N adds a seed. */
int ck_main(int argc, char **argv, int (*tests)(void), void (*bench)(void));

/* Inside bench: time body(kernel, n), which touches `bytes` bytes.  With the reference, which is an
 * operation's last, all of them are printed: ns, GB/s and how many times the reference's speed. */
void ck_bench(const char *symbol, uint64_t isa, ck_check *body, ck_kernel *kernel, int64_t n, double bytes);

#endif
