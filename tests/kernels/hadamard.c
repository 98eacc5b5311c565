/* The transform against the matrix H[a][b] = (-1)^popcount(a & b), and its being its own inverse. */
#include "support/checkkernel.h"

#include <math.h>

static bool power_of_two(int64_t n)
{
    return (n & (n - 1)) == 0;
}

static void check_hadamard_f32(ck_kernel *kernel, int64_t n)
{
    if (!power_of_two(n)) return;
    float *x = ck_random(n), *y = ck_copy(x, n);
    double scale = 1 / sqrt((double)n), terms = 0;
    for (int64_t i = 0; i < n; i++)
        terms += fabs((double)x[i]) * scale;
    ((ggl_hadamard_f32_fn *)kernel)(y, (int32_t)n);
    /* log2 n sums, the scale's own rounding and the product. */
    double bound = (log2((double)n) + 2) * CK_U * terms;
    for (int64_t a = 0; a<n; a += n> 130 ? 61 : 1) {
        double want = 0;
        for (int64_t b = 0; b < n; b++)
            want += __builtin_popcountll((unsigned long long)(a & b)) & 1 ? -x[b] : x[b];
        ck_close("y", a, y[a], want * scale, bound);
    }
    ((ggl_hadamard_f32_fn *)kernel)(y, (int32_t)n);
    for (int64_t i = 0; i < n; i++)
        ck_close("H H x", i, y[i], (double)x[i], 2 * bound * sqrt((double)n));
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/hadamard/kernels.def"
#undef KERNEL
}

static void zeros(float *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        x[i] = 0;
}

static void one_nan(float *x, int32_t n)
{
    ggl_hadamard_f32_ref(x, n);
    x[n - 1] = NAN;
}

static void without_scale(float *x, int32_t n)
{
    ggl_hadamard_f32_ref(x, n);
    for (int32_t i = 0; i < n; i++)
        x[i] *= sqrtf((float)n);
}

/* By sign changes instead of natural order: swap two rows. */
static void other_order(float *x, int32_t n)
{
    ggl_hadamard_f32_ref(x, n);
    if (n < 4) return;
    float v = x[1];
    x[1] = x[2];
    x[2] = v;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zeros", check_hadamard_f32, (ck_kernel *)zeros);
    ck_must_fail("nan", check_hadamard_f32, (ck_kernel *)one_nan);
    ck_must_fail("scale", check_hadamard_f32, (ck_kernel *)without_scale);
    ck_must_fail("order", check_hadamard_f32, (ck_kernel *)other_order);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/hadamard", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
