/* The gated activation: its clamps, its limits and its gain. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

static double exact(double gate, double up, double limit, double gain)
{
    if (limit > 0) {
        gate = fmin(gate, limit);
        up = fmax(fmin(up, limit), -limit);
    }
    return gate / (1 + exp(-gate)) * up * gain;
}

static void check_swiglu_f32(ck_kernel *kernel, int64_t n)
{
    float *gate = ck_random(n), *up = ck_random(n), gain = (float)ck_uniform();
    float limit = ck_next(4) ? 10 : 0, none[] = {NAN, INFINITY, -INFINITY, 1e-40f, -0.0f, -90, 88.9f};
    for (int64_t i = 0; i < n; i++) { /* to both sides of the limit */
        gate[i] *= ck_next(4) ? 1 : 8;
        up[i] *= ck_next(4) ? 1 : 8;
        if (ck_next(200) == 0) gate[i] = none[ck_next(7)];
        if (ck_next(200) == 0) up[i] = none[ck_next(7)];
    }
    float *original_gate = ck_copy(gate, n), *original_up = ck_copy(up, n);
    uint32_t where = ck_next(3);
    float *y = where == 0 ? gate : where == 1 ? up : ck_f32(n), *same = ck_f32(n);
    ggl_swiglu_f32_ref(same, gate, up, limit, gain, n);
    ((ggl_swiglu_f32_fn *)kernel)(y, gate, up, limit, gain, n);
    for (int64_t i = 0; i < n; i++) {
        double want = exact(original_gate[i], original_up[i], limit, gain);
        /* silu within 2.5 ulp (math.h), that is 5 units; two products. */
        if (fabsf(original_gate[i]) < 85 && isfinite(original_up[i])) /* not a NaN, which fmin hides, nor where exp overflows */
            ck_close("y", i, y[i], want, 7 * CK_U * fabs(want) + 0x1p-126);
        ck_same("y", i, y[i], same[i]);
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/swiglu/kernels.def"
#undef KERNEL
}

static void edges_of(ggl_swiglu_f32_fn *fn)
{
    const float gate[] = {50, -50, -1000, INFINITY, -INFINITY, NAN, 1, 0},
                up[] = {50, -50, 1, 1, 1, 1, NAN, 3};
    float y[8];
    fn(y, gate, up, 10, 2, 8);
    assert_true(fabsf(y[0] - 200) < 0.02f); /* 10 * 10 * 2 */
    assert_true(y[1] > 0 && y[1] < 1e-15f); /* the gate has no lower clamp */
    assert_true(y[2] == 0 && fabsf(y[3] - 20) < 0.002f);
    assert_true(isnan(y[5]) && isnan(y[6])); /* nothing hides a NaN */
    assert_true(y[7] == 0);
    fn(y, gate, up, 0, 1, 1);
    assert_true(y[0] == 2500.0f);
}

static void edges(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) \
    if (!((isa) & ~ggl_cpu_isa())) edges_of(symbol);
#include "kernels/swiglu/kernels.def"
#undef KERNEL
}

static void zeros(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    (void)gate, (void)up, (void)limit, (void)gain;
    memset(y, 0, (size_t)n * 4);
}

static void one_nan(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    ggl_swiglu_f32_ref(y, gate, up, limit, gain, n);
    y[0] = NAN;
}

static void no_tail(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    ggl_swiglu_f32_ref(y, gate, up, limit, gain, n / 16 * 16);
}

static void gate_clamped_below(float *y, const float *gate, const float *up, float limit, float gain,
                               int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = limit > 0 && gate[i] < -limit ? -limit : gate[i], u = up[i];
        ggl_swiglu_f32_ref(y + i, &g, &u, limit, gain, 1);
    }
}

static void clamped_after(float *y, const float *gate, const float *up, float limit, float gain, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i], u = limit > 0 ? fmaxf(fminf(up[i], limit), -limit) : up[i];
        float a = g / (1 + expf(-g));
        y[i] = (limit > 0 ? fminf(a, limit) : a) * u * gain;
    }
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zeros", check_swiglu_f32, (ck_kernel *)zeros);
    ck_must_fail("nan", check_swiglu_f32, (ck_kernel *)one_nan);
    ck_must_fail("tail", check_swiglu_f32, (ck_kernel *)no_tail);
    ck_must_fail("gate below", check_swiglu_f32, (ck_kernel *)gate_clamped_below);
    ck_must_fail("after", check_swiglu_f32, (ck_kernel *)clamped_after);
}

static _Alignas(64) float bench_x[2048], bench_y[2048];

static void bench_swiglu_f32(ck_kernel *kernel, int64_t n)
{
    ((ggl_swiglu_f32_fn *)kernel)(bench_y, bench_x, bench_x, 10, 1, n);
}

static void bench(void)
{
    for (int i = 0; i < 2048; i++)
        bench_x[i] = (float)(i % 17) * 0.125f;
#define KERNEL(operation, isa, symbol) \
    ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, 2048, 3 * 4 * 2048);
#include "kernels/swiglu/kernels.def"
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(edges),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/swiglu", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
