/* dot_f32 and axpy_f32 at every level: near the exact sum, and the same bits as the reference. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

static void check_dot_f32(ck_kernel *kernel, int64_t n)
{
    float *a = ck_random(n), *b = ck_random(n);
    double want = 0, terms = 0;
    for (int64_t i = 0; i < n; i++) {
        want += (double)a[i] * b[i];
        terms += fabs((double)a[i] * b[i]);
    }
    float y = ((ggl_dot_f32_fn *)kernel)(a, b, n);
    /* A term is rounded once as a product, then with every sum of its lane and of the tree's four levels. */
    ck_close("dot", 0, y, want, ((double)n / GGL_LANES + 6) * CK_U * terms);
    ck_same("dot", 0, y, ggl_dot_f32_ref(a, b, n));
}

static void check_axpy_f32(ck_kernel *kernel, int64_t n)
{
    float *x = ck_random(n), *y = ck_random(n), *got = ck_copy(y, n), a = (float)ck_uniform();
    ((ggl_axpy_f32_fn *)kernel)(got, a, x, n);
    for (int64_t i = 0; i < n; i++) {
        double product = (double)a * x[i];
        /* The product is rounded, and the sum. */
        ck_close("axpy", i, got[i], y[i] + product, CK_U * (fabs(product) * 2 + fabs((double)y[i])));
    }
    ggl_axpy_f32_ref(y, a, x, n);
    for (int64_t i = 0; i < n; i++)
        ck_same("axpy", i, got[i], y[i]);
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/vec/kernels.def"
#undef KERNEL
}

/* ---- broken ones */

static float dot_zero(const float *a, const float *b, int64_t n)
{
    (void)a, (void)b, (void)n;
    return 0;
}

static float dot_nan(const float *a, const float *b, int64_t n)
{
    return n == 77 ? NAN : ggl_dot_f32_ref(a, b, n);
}

static float dot_no_tail(const float *a, const float *b, int64_t n)
{
    return ggl_dot_f32_ref(a, b, n / GGL_LANES * GGL_LANES);
}

static float dot_one_past(const float *a, const float *b, int64_t n)
{
    volatile float beyond = a[n]; /* as a load of a whole register would */
    (void)beyond;
    return ggl_dot_f32_ref(a, b, n);
}

static float dot_one_before(const float *a, const float *b, int64_t n)
{
    volatile float before = b[-1];
    (void)before;
    return ggl_dot_f32_ref(a, b, n);
}

static float dot_no_lane_11(const float *a, const float *b, int64_t n)
{
    float lane[GGL_LANES] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i++)
        lane[i % GGL_LANES] += a[i] * b[i];
    for (int l = 0; l < GGL_LANES; l++)
        sum += l == 11 ? 0 : lane[l];
    return sum;
}

static float dot_other_order(const float *a, const float *b, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float dot_fused(const float *a, const float *b, int64_t n)
{
    float lane[GGL_LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i % GGL_LANES] = fmaf(a[i], b[i], lane[i % GGL_LANES]);
    for (int width = GGL_LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++)
            lane[l] += lane[l + width];
    return lane[0];
}

static void axpy_zeros(float *y, float a, const float *x, int64_t n)
{
    (void)a, (void)x;
    for (int64_t i = 0; i < n; i++)
        y[i] = 0;
}

static void axpy_nan(float *y, float a, const float *x, int64_t n)
{
    ggl_axpy_f32_ref(y, a, x, n);
    y[n / 2] = NAN;
}

static void axpy_no_tail(float *y, float a, const float *x, int64_t n)
{
    ggl_axpy_f32_ref(y, a, x, n / 4 * 4);
}

static void axpy_writes_past(float *y, float a, const float *x, int64_t n)
{
    ggl_axpy_f32_ref(y, a, x, n);
    volatile float *v = y;
    v[n] = 1;
}

static void axpy_writes_before(float *y, float a, const float *x, int64_t n)
{
    ggl_axpy_f32_ref(y, a, x, n);
    volatile float *v = y;
    v[-1] = 1;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zero", check_dot_f32, (ck_kernel *)dot_zero);
    ck_must_fail("nan", check_dot_f32, (ck_kernel *)dot_nan);
    ck_must_fail("tail", check_dot_f32, (ck_kernel *)dot_no_tail);
    ck_must_fail("one past", check_dot_f32, (ck_kernel *)dot_one_past);
    ck_must_fail("one before", check_dot_f32, (ck_kernel *)dot_one_before);
    ck_must_fail("a lane", check_dot_f32, (ck_kernel *)dot_no_lane_11);
    ck_must_fail("order", check_dot_f32, (ck_kernel *)dot_other_order);
    ck_must_fail("fused", check_dot_f32, (ck_kernel *)dot_fused);
    ck_must_fail("zeros", check_axpy_f32, (ck_kernel *)axpy_zeros);
    ck_must_fail("nan", check_axpy_f32, (ck_kernel *)axpy_nan);
    ck_must_fail("tail", check_axpy_f32, (ck_kernel *)axpy_no_tail);
    ck_must_fail("writes past", check_axpy_f32, (ck_kernel *)axpy_writes_past);
    ck_must_fail("writes before", check_axpy_f32, (ck_kernel *)axpy_writes_before);
}

/* ---- the pick */

static void picks_the_best_that_is_allowed(void **state)
{
    (void)state;
    struct ggl_kernels k;
    ggl_kernels_pick(&k, 0);
#define KERNEL(operation, isa, symbol) \
    if ((isa) == 0) assert_ptr_equal((void *)(uintptr_t)k.operation, (void *)(uintptr_t)symbol);
#include "kernels/kernels.def"
#undef KERNEL
#if GGL_ARCH_X86
    assert_true(k.dot_f32 == ggl_dot_f32_ref);
    ggl_kernels_pick(&k, GGL_ISA_AVX2);
    assert_true(k.dot_f32 == ggl_dot_f32_avx2);
    ggl_kernels_pick(&k, GGL_ISA_AVX2 | GGL_ISA_AVX512 | GGL_ISA_AVX512VNNI);
    assert_true(k.dot_f32 == ggl_dot_f32_avx512);
#elif GGL_ARCH_ARM64
    assert_true(k.dot_f32 == ggl_dot_f32_ref && k.panel_mul == ggl_panel_mul_ref);
    ggl_kernels_pick(&k, GGL_ISA_NEON);
    assert_true(k.dot_f32 == ggl_dot_f32_neon && k.panel_mul == ggl_panel_mul_neon);
    ggl_kernels_pick(&k, GGL_ISA_NEON | GGL_ISA_I8MM);
    assert_true(k.panel_mul == ggl_panel_mul_neon);
    ggl_kernels_pick(&k, GGL_ISA_NEON | GGL_ISA_DOTPROD);
    assert_true(k.panel_mul == ggl_panel_mul_dotprod);
    ggl_kernels_pick(&k, GGL_ISA_NEON | GGL_ISA_DOTPROD | GGL_ISA_I8MM);
    assert_true(k.panel_mul == ggl_panel_mul_i8mm);
#endif
}

/* ---- benchmark */

static _Alignas(64) float bench_a[65536], bench_b[65536];
static volatile float sink;

static void bench_dot_f32(ck_kernel *kernel, int64_t n)
{
    sink = ((ggl_dot_f32_fn *)kernel)(bench_a, bench_b, n);
}

static void bench_axpy_f32(ck_kernel *kernel, int64_t n)
{
    ((ggl_axpy_f32_fn *)kernel)(bench_a, 1e-9f, bench_b, n);
}

static void bench_all(const char *name, int64_t n, double bytes)
{
#define KERNEL(operation, isa, symbol) \
    if (strcmp(name, #operation) == 0) \
        ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, n, bytes);
#include "kernels/vec/kernels.def"
#undef KERNEL
}

static void bench(void)
{
    for (int i = 0; i < 65536; i++)
        bench_a[i] = bench_b[i] = (float)(i % 17) * 0.125f;
    for (int64_t n = 128; n <= 65536; n *= 8) {
        bench_all("dot_f32", n, 8 * (double)n);
        bench_all("axpy_f32", n, 12 * (double)n);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(broken_ones_are_caught),
        cmocka_unit_test(picks_the_best_that_is_allowed),
    };
    return cmocka_run_group_tests_name("kernels/vec", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
