/* Routing: scores, the choice of experts with ties and NaN, and their gains. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

static void check_router_score_f32(ck_kernel *kernel, int64_t n)
{
    float *x = ck_random(n), *y = ck_f32(n);
    for (int64_t i = 0; i < n; i++)
        x[i] *= (float)(1 << ck_next(8)); /* to -256 .. 256 */
    ((ggl_router_score_f32_fn *)kernel)(y, x, n);
    for (int64_t i = 0; i < n; i++) {
        double want = sqrt(fmax((double)x[i], 0) + log1p(exp(-fabs((double)x[i]))));
        ck_close("score", i, y[i], want,
                 4 * CK_U * want); /* a float kernel has softplus (halved by the root) and root */
    }
}

/* What the choice is, by definition: k times the best that is left. */
static void choose(int32_t *ids, int k, const float *score, const float *bias, int n)
{
    for (int j = 0; j < k; j++) {
        float best = -INFINITY;
        ids[j] = -1;
        for (int e = 0; e < n; e++) {
            float s = bias ? score[e] + bias[e] : score[e];
            bool taken = false;
            if (isnan(s)) s = -INFINITY;
            for (int i = 0; i < j; i++)
                taken = taken || ids[i] == e;
            if (!taken && (ids[j] < 0 || s > best)) {
                best = s;
                ids[j] = e;
            }
        }
    }
}

static void check_router_top_k(ck_kernel *kernel, int64_t n)
{
    if (n > 130) n = 384; /* V4 Pro */
    int k = 1 + (int)ck_next(n < 64 ? (uint32_t)n : 64);
    float *score = ck_random(n), *bias = ck_next(2) ? ck_random(n) : NULL;
    uint32_t kind = ck_next(4);
    for (int64_t i = 0; i < n; i++) {
        if (kind == 1) score[i] = (float)ck_next(3); /* ties */
        if (kind == 2 && ck_next(2)) score[i] = ck_next(2) ? NAN : -INFINITY;
        if (kind == 3) score[i] = 1;
        if (kind && bias) bias[i] = 0.5f;
    }
    int32_t want[64], *ids = ck_bytes((uint64_t)k * 4, 0);
    choose(want, k, score, bias, (int)n);
    ((ggl_router_top_k_fn *)kernel)(ids, k, score, bias, (int)n);
    for (int j = 0; j < k; j++)
        if (ids[j] != want[j]) ck_fail("choice %d of %d is %d, expected %d", j, k, ids[j], want[j]);
}

static void check_router_gains_f32(ck_kernel *kernel, int64_t n)
{
    int k = 1 + (int)ck_next(n < 64 ? (uint32_t)n : 64);
    float *score = ck_random(n), *gains = ck_f32(k);
    int32_t *ids = ck_bytes((uint64_t)k * 4, 0);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        score[i] = 0.25f + fabsf(score[i]); /* scores are positive */
    for (int j = 0; j < k; j++)
        sum += (double)score[ids[j] = (int32_t)ck_next((uint32_t)n)];
    ((ggl_router_gains_f32_fn *)kernel)(gains, score, ids, k, 1.5f);
    for (int j = 0; j < k; j++) {
        double want = score[ids[j]] / sum * 1.5;
        ck_close("gain", j, gains[j], want, (k + 2) * CK_U * want); /* k sums, a quotient, a product */
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/router/kernels.def"
#undef KERNEL
}

static void known_scores_of(ggl_router_score_f32_fn *fn)
{
    const float x[] = {-3, -1, 0, 1, 3, 15, -200, 200, -INFINITY, INFINITY, NAN};
    static const double want[] = {0.2204254, 0.5596979, 0.8325546, 1.1459763, 1.7460204, 3.8729834};
    float y[11];
    fn(y, x, 11);
    for (int i = 0; i < 6; i++)
        assert_true(fabs((double)y[i] - want[i]) < 3e-7);
    assert_true(y[6] > 0 && y[6] < 1e-43f * 1e3f); /* e^-100 */
    assert_true(fabsf(y[7] - 14.1421356f) < 2e-6f);
    assert_true(y[8] == 0 && y[9] == INFINITY && isnan(y[10]));
}

static void known_scores(void **state)
{
    (void)state;
#define KERNEL_router_score_f32(isa, symbol) \
    if (!((isa) & ~ggl_cpu_isa())) known_scores_of(symbol);
#define KERNEL_router_top_k(isa, symbol)
#define KERNEL_router_gains_f32(isa, symbol)
#define KERNEL(operation, isa, symbol) KERNEL_##operation(isa, symbol)
#include "kernels/router/kernels.def"
#undef KERNEL
}

static void score_zeros(float *y, const float *x, int64_t n)
{
    (void)x;
    memset(y, 0, (size_t)n * 4);
}

static void score_no_tail(float *y, const float *x, int64_t n)
{
    ggl_router_score_f32_ref(y, x, n / 8 * 8);
}

static void score_nan(float *y, const float *x, int64_t n)
{
    ggl_router_score_f32_ref(y, x, n);
    y[n / 2] = NAN;
}

static void score_no_log1p(float *y, const float *x, int64_t n) /* loses what is small beside 1 */
{
    for (int64_t i = 0; i < n; i++)
        y[i] = sqrtf(x[i] > 20 ? x[i] : logf(1 + expf(x[i])));
}

static void top_k_last_of_ties(int32_t *ids, int k, const float *score, const float *bias, int n)
{
    float reversed[512], reversed_bias[512];
    for (int i = 0; i < n; i++) {
        reversed[i] = score[n - 1 - i];
        reversed_bias[i] = bias ? bias[n - 1 - i] : 0;
    }
    ggl_router_top_k_ref(ids, k, reversed, reversed_bias, n);
    for (int j = 0; j < k; j++)
        ids[j] = n - 1 - ids[j];
}

static void top_k_no_bias(int32_t *ids, int k, const float *score, const float *bias, int n)
{
    (void)bias;
    ggl_router_top_k_ref(ids, k, score, NULL, n);
}

static void top_k_nan_wins(int32_t *ids, int k, const float *score, const float *bias, int n)
{
    ggl_router_top_k_ref(ids, k, score, bias, n);
    for (int e = 0; e < n; e++)
        if (isnan(score[e])) ids[0] = e;
}

static void gains_not_renormalised(float *gains, const float *score, const int32_t *ids, int k, float scale)
{
    for (int j = 0; j < k; j++)
        gains[j] = score[ids[j]] * scale;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zeros", check_router_score_f32, (ck_kernel *)score_zeros);
    ck_must_fail("tail", check_router_score_f32, (ck_kernel *)score_no_tail);
    ck_must_fail("nan", check_router_score_f32, (ck_kernel *)score_nan);
    ck_must_fail("log1p", check_router_score_f32, (ck_kernel *)score_no_log1p);
    ck_must_fail("ties", check_router_top_k, (ck_kernel *)top_k_last_of_ties);
    ck_must_fail("bias", check_router_top_k, (ck_kernel *)top_k_no_bias);
    ck_must_fail("nan wins", check_router_top_k, (ck_kernel *)top_k_nan_wins);
    ck_must_fail("gains", check_router_gains_f32, (ck_kernel *)gains_not_renormalised);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(known_scores),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/router", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
