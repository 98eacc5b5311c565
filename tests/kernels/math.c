/* exp, sigmoid and silu against the C library's double exp, over floats of every size. */
#include "support/checkkernel.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/math/math.h"

/* Every so many-th float; a prime, so that all exponents and endings come up.  With 1, a minute's walk over
 * all, the figures of math.h come out: 0.9916, 2.4807 and 2.4031. */
enum { STEP = 499 };

static float from_bits(uint64_t bits)
{
    uint32_t b = (uint32_t)bits;
    float x;
    memcpy(&x, &b, 4);
    return x;
}

/* Distance in units in the last place of the floats around `want`; subnormal results are all 2^-149 apart. */
static double ulps(float y, double want)
{
    int e;
    frexp(want, &e);
    return fabs((double)y - want) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

struct worst {
    double ulps;
    float at;
};

static void note(struct worst *w, float x, float y, double want)
{
    double d = ulps(y, want);
    if (!(d <= w->ulps)) *w = (struct worst){d, x};
}

static void verdict(const char *name, const struct worst *w, double bound)
{
    print_message("            %s: %.4f ulp at %a\n", name, w->ulps, (double)w->at);
    if (!(w->ulps <= bound)) fail_msg("%s(%a) is off by %.4f ulp", name, (double)w->at, w->ulps);
}

static void exp_is_within_its_bound(void **state)
{
    (void)state;
    struct worst worst = {0};
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += STEP) {
        float x = from_bits(bits), y = ggl_expf(x);
        double want = exp((double)x);
        if (x != x)
            assert_true(y != y);
        else if ((float)want == INFINITY || isinf(y))
            assert_true(y == (float)want);
        else
            note(&worst, x, y, want);
    }
    verdict("exp", &worst, 1.0);
}

static void exp_at_its_edges(void **state)
{
    (void)state;
    assert_true(ggl_expf(0.0f) == 1.0f);
    assert_true(ggl_expf(-0.0f) == 1.0f);
    assert_true(ggl_expf(INFINITY) == INFINITY);
    assert_true(ggl_expf(-INFINITY) == 0.0f);
    assert_true(isnan(ggl_expf(NAN)));
    assert_true(isfinite(ggl_expf(0x1.62e42ep+6f))); /* the largest x with a finite result */
    assert_true(ggl_expf(0x1.62e43p+6f) == INFINITY);
    assert_true(ggl_expf(-103.5f) == 0x1p-149f); /* 1.1e-45: the smallest subnormal */
    assert_true(ggl_expf(-104.0f) == 0.0f);
    assert_true(ggl_expf(FLT_MAX) == INFINITY);
    assert_true(ggl_expf(-FLT_MAX) == 0.0f);
}

static void sigmoid_and_silu(void **state)
{
    (void)state;
    struct worst sigmoid = {0}, silu = {0};
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += STEP) {
        float x = from_bits(bits), s = ggl_sigmoid(x), u = ggl_silu(x);
        double want = 1 / (1 + exp(-(double)x));
        if (x != x) {
            assert_true(s != s && u != u);
        } else if (x < -88) { /* exp(-x) overflows soon: zero for what is below 1e-38 */
            assert_true(s >= 0 && s < 1e-38f);
            if (isfinite(x)) assert_true(fabs((double)u - (double)x * want) < 1e-36);
        } else {
            note(&sigmoid, x, s, want);
            if (isfinite(x)) note(&silu, x, u, (double)x * want);
        }
    }
    verdict("sigmoid", &sigmoid, 2.5);
    verdict("silu", &silu, 2.5);
    assert_true(ggl_sigmoid(0) == 0.5f);
    assert_true(ggl_sigmoid(INFINITY) == 1.0f);
    assert_true(ggl_sigmoid(-INFINITY) == 0.0f);
    assert_true(ggl_silu(INFINITY) == INFINITY);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(exp_is_within_its_bound),
        cmocka_unit_test(exp_at_its_edges),
        cmocka_unit_test(sigmoid_and_silu),
    };
    return cmocka_run_group_tests_name("kernels/math", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
