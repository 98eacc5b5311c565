/* Norms over rows of any length, with and without weights, in place and not. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

static double exact_scale(const float *x, int64_t n, float eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return 1 / sqrt(sum / (double)n + (double)eps);
}

/* The sum of squares (see vec.c), the quotient and eps count half under the root; then the root and 1 / root.
 */
static double scale_error(int64_t n)
{
    return (((double)n / GGL_LANES + 6 + 2) / 2 + 2) * CK_U;
}

static void check_rms_scale_f32(ck_kernel *kernel, int64_t n)
{
    float *x = ck_random(n);
    double want = exact_scale(x, n, 1e-6f);
    ck_close("scale", 0, ((ggl_rms_scale_f32_fn *)kernel)(ck_kernels(), x, n, 1e-6f), want,
             scale_error(n) * want);
}

static void check_rms_norm_f32(ck_kernel *kernel, int64_t n)
{
    bool in_place = ck_next(2), weighted = ck_next(2);
    float *x = ck_random(n), *w = ck_random(n), *y = in_place ? ck_copy(x, n) : ck_f32(n);
    double scale = exact_scale(x, n, 1e-6f);
    ((ggl_rms_norm_f32_fn *)kernel)(ck_kernels(), y, in_place ? y : x, weighted ? w : NULL, n, 1e-6f);
    for (int64_t i = 0; i < n; i++) {
        double want = (weighted ? (double)w[i] : 1) * x[i] * scale;
        ck_close("y", i, y[i], want, (scale_error(n) + 2 * CK_U) * fabs(want)); /* and two products */
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/rms_norm/kernels.def"
#undef KERNEL
}

static void a_row_of_zeros(void **state)
{
    (void)state;
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    float x[37] = {0}, y[37];
    k.rms_norm_f32(&k, y, x, NULL, 37, 1e-6f);
    for (int i = 0; i < 37; i++)
        assert_true(y[i] == 0);
}

static void zeros(const struct ggl_kernels *k, float *y, const float *x, const float *w, int64_t n, float eps)
{
    (void)k, (void)x, (void)w, (void)eps;
    memset(y, 0, (size_t)n * 4);
}

static void one_nan(const struct ggl_kernels *k, float *y, const float *x, const float *w, int64_t n,
                    float eps)
{
    ggl_rms_norm_f32_ref(k, y, x, w, n, eps);
    y[n - 1] = NAN;
}

static void no_tail(const struct ggl_kernels *k, float *y, const float *x, const float *w, int64_t n,
                    float eps)
{
    float scale = k->rms_scale_f32(k, x, n, eps);
    for (int64_t i = 0; i < n / 4 * 4; i++)
        y[i] = x[i] * scale * (w ? w[i] : 1);
}

static void no_eps(const struct ggl_kernels *k, float *y, const float *x, const float *w, int64_t n,
                   float eps)
{
    ggl_rms_norm_f32_ref(k, y, x, w, n, eps * 100); /* not in its place */
}

static void approximate_root(const struct ggl_kernels *k, float *y, const float *x, const float *w, int64_t n,
                             float eps)
{
    ggl_rms_norm_f32_ref(k, y, x, w, n, eps);
    for (int64_t i = 0; i < n; i++)
        y[i] *= 1 + 0x1p-12f; /* what an rsqrt instruction leaves without a Newton step */
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zeros", check_rms_norm_f32, (ck_kernel *)zeros);
    ck_must_fail("nan", check_rms_norm_f32, (ck_kernel *)one_nan);
    ck_must_fail("tail", check_rms_norm_f32, (ck_kernel *)no_tail);
    ck_must_fail("eps", check_rms_norm_f32, (ck_kernel *)no_eps);
    ck_must_fail("root", check_rms_norm_f32, (ck_kernel *)approximate_root);
}

static _Alignas(64) float bench_x[8192], bench_y[8192];

static void bench_rms_norm_f32(ck_kernel *kernel, int64_t n)
{
    ((ggl_rms_norm_f32_fn *)kernel)(ck_kernels(), bench_y, bench_x, bench_x, n, 1e-6f);
}

static void bench(void)
{
    for (int i = 0; i < 8192; i++)
        bench_x[i] = (float)(i % 17) * 0.125f;
#define KERNEL_rms_scale_f32(isa, symbol)
#define KERNEL_rms_norm_f32(isa, symbol) \
    ck_bench(#symbol, isa, bench_rms_norm_f32, (ck_kernel *)symbol, 4096, 3 * 4 * 4096);
#define KERNEL(operation, isa, symbol) KERNEL_##operation(isa, symbol)
#include "kernels/rms_norm/kernels.def"
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(a_row_of_zeros),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/rms_norm", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
