/* Angles and rotation of neighbouring pairs. */
#include "support/checkkernel.h"

#include <math.h>

static void check_rope_angles(ck_kernel *kernel, int64_t n)
{
    float *freqs = ck_f32(n), *table = ck_f32(2 * n);
    int64_t pos = ck_next(3) ? ck_next(1 << 20) : ck_next(5);
    for (int64_t i = 0; i < n; i++)
        freqs[i] = (float)pow(10000, -(double)(i % 32) / 32);
    ((ggl_rope_angles_fn *)kernel)(table, freqs, (int)n, pos);
    for (int64_t i = 0; i < n; i++) {
        float angle =
            (float)pos * freqs[i]; /* rounded: the model was trained with this angle, not the exact one */
        long double c = cosl((long double)angle), s = sinl((long double)angle);
        /* One rounding of what a double function gives, which is off by 2^-52 at most. */
        ck_close("cos", i, table[2 * i], (double)c, CK_U * fabs((double)c) + 0x1p-52);
        ck_close("sin", i, table[2 * i + 1], (double)s, CK_U * fabs((double)s) + 0x1p-52);
    }
}

static void check_rope_f32(ck_kernel *kernel, int64_t n)
{
    float *x = ck_random(2 * n), *y = ck_copy(x, 2 * n), *table = ck_f32(2 * n);
    bool inverse = ck_next(2);
    for (int64_t i = 0; i < n; i++) {
        double angle = 10 * ck_uniform();
        table[2 * i] = (float)cos(angle);
        table[2 * i + 1] = (float)sin(angle);
    }
    ((ggl_rope_f32_fn *)kernel)(y, table, (int)(2 * n), inverse);
    for (int64_t i = 0; i < 2 * n; i += 2) {
        double c = table[i], s = inverse ? -(double)table[i + 1] : (double)table[i + 1], a = x[i],
               b = x[i + 1];
        /* Two products and a sum: each term is rounded twice. */
        ck_close("x", i, y[i], a * c - b * s, 2 * CK_U * (fabs(a * c) + fabs(b * s)));
        ck_close("x", i + 1, y[i + 1], a * s + b * c, 2 * CK_U * (fabs(a * s) + fabs(b * c)));
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/rope/kernels.def"
#undef KERNEL
}

static void angles_of_exact_product(float *table, const float *freqs, int n, int64_t pos)
{
    for (int i = 0; i < n; i++) {
        table[2 * i] = (float)cos((double)pos * (double)freqs[i]);
        table[2 * i + 1] = (float)sin((double)pos * (double)freqs[i]);
    }
}

static void angles_without_reduction(float *table, const float *freqs, int n, int64_t pos)
{
    for (int i = 0; i < n; i++) {
        float angle = fmodf((float)pos * freqs[i], 6.2831853f); /* a float's 2 pi is not 2 pi */
        table[2 * i] = cosf(angle);
        table[2 * i + 1] = sinf(angle);
    }
}

static void halves(float *x, const float *table, int n, bool inverse)
{
    for (int i = 0; i < n / 2; i++) {
        float c = table[2 * i], s = inverse ? -table[2 * i + 1] : table[2 * i + 1], a = x[i],
              b = x[i + n / 2];
        x[i] = a * c - b * s;
        x[i + n / 2] = a * s + b * c;
    }
}

static void forwards_only(float *x, const float *table, int n, bool inverse)
{
    (void)inverse;
    ggl_rope_f32_ref(x, table, n, false);
}

static void no_tail(float *x, const float *table, int n, bool inverse)
{
    ggl_rope_f32_ref(x, table, n / 8 * 8, inverse);
}

static void one_nan(float *x, const float *table, int n, bool inverse)
{
    ggl_rope_f32_ref(x, table, n, inverse);
    x[n - 1] = NAN;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("exact", check_rope_angles, (ck_kernel *)angles_of_exact_product);
    ck_must_fail("reduction", check_rope_angles, (ck_kernel *)angles_without_reduction);
    ck_must_fail("halves", check_rope_f32, (ck_kernel *)halves);
    ck_must_fail("forwards", check_rope_f32, (ck_kernel *)forwards_only);
    ck_must_fail("tail", check_rope_f32, (ck_kernel *)no_tail);
    ck_must_fail("nan", check_rope_f32, (ck_kernel *)one_nan);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/rope", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
