/* The mixing weights, their use, and the balance of the Sinkhorn steps. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

enum { MAX_MIX = (2 + GGL_MAX_HC) * GGL_MAX_HC };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void balance(double *c, int hc, int line, int step, double eps)
{
    for (int i = 0; i < hc; i++) {
        double sum = eps;
        for (int k = 0; k < hc; k++)
            sum += c[i * line + k * step];
        for (int k = 0; k < hc; k++)
            c[i * line + k * step] /= sum;
    }
}

/* The definition, in double. */
static void split(double *want, const float *mix, const float *base, const float *scale, int hc, int iters,
                  double eps)
{
    for (int j = 0; j < 2 * hc; j++) {
        double s = sigmoid((double)mix[j] * scale[j / hc] + base[j]);
        want[j] = j < hc ? s + eps : 2 * s;
    }
    double *c = want + 2 * hc;
    for (int j = 0; j < hc; j++) {
        double *row = c + j * hc, max = -1e300, sum = 0;
        for (int k = 0; k < hc; k++) {
            int at = (2 + j) * hc + k;
            row[k] = (double)mix[at] * scale[2] + base[at];
            max = fmax(max, row[k]);
        }
        for (int k = 0; k < hc; k++)
            sum += row[k] = exp(row[k] - max);
        for (int k = 0; k < hc; k++)
            row[k] = row[k] / sum + eps;
    }
    balance(c, hc, 1, hc, eps);
    for (int i = 1; i < iters; i++) {
        balance(c, hc, hc, 1, eps);
        balance(c, hc, 1, hc, eps);
    }
}

static void check_hc_split_f32(ck_kernel *kernel, int64_t n)
{
    if (n > 160) return;
    const float eps = 1e-6f;
    int hc = 1 + (int)(n % GGL_MAX_HC), n_mix = (2 + hc) * hc, iters = 1 + (int)(n / GGL_MAX_HC);
    float *mix = ck_random(n_mix), *base = ck_random(n_mix), *scale = ck_random(3),
          *got = ck_copy(mix, n_mix);
    double want[MAX_MIX];
    split(want, mix, base, scale, hc, iters, (double)eps);
    ((ggl_hc_split_f32_fn *)kernel)(got, base, scale, hc, iters, eps);
    /* An argument of exp, below 6 in size, is off by 2 roundings: 12 units of relative error of the result,
     * plus 2 of exp itself.  Each of the 2 * iters divisions by a sum of hc adds hc + 1. */
    for (int i = 0; i < n_mix; i++)
        ck_close("mix", i, got[i], want[i],
                 (i < 2 * hc ? 20 : 30 + 2 * iters * (hc + 1)) * CK_U * fabs(want[i]));
}

static void check_hc_head_f32(ck_kernel *kernel, int64_t n)
{
    int hc = 1 + (int)(n % GGL_MAX_HC);
    float *mix = ck_random(hc), *base = ck_random(hc), *got = ck_copy(mix, hc), scale = (float)ck_uniform();
    ((ggl_hc_head_f32_fn *)kernel)(got, base, scale, hc, 1e-6f);
    for (int j = 0; j < hc; j++) {
        double want = sigmoid((double)mix[j] * scale + base[j]) + (double)1e-6f;
        ck_close("head", j, got[j], want, 16 * CK_U * want); /* as above, with an argument below 4 */
    }
}

static void check_hc_pre_f32(ck_kernel *kernel, int64_t n)
{
    int hc = 1 + (int)ck_next(GGL_MAX_HC);
    int64_t begin = ck_next((uint32_t)n), end = begin + ck_next((uint32_t)(n - begin + 1));
    float *h = ck_random(n * hc), *mix = ck_random(hc), *y = ck_f32(n), *same = ck_f32(n);
    ((ggl_hc_pre_f32_fn *)kernel)(y, h, mix, hc, n, begin, end);
    ggl_hc_pre_f32_ref(same, h, mix, hc, n, begin, end);
    for (int64_t i = begin; i < end; i++) ck_same("pre", i, y[i], same[i]);
    for (int64_t i = 0; i < n; i++) {
        double want = 0, terms = 0;
        for (int j = 0; j < hc; j++) {
            want += (double)mix[j] * h[j * n + i];
            terms += fabs((double)mix[j] * h[j * n + i]);
        }
        if (i >= begin && i < end)
            ck_close("pre", i, y[i], want, hc * CK_U * terms); /* a product, hc - 1 sums */
        else if (y[i] == y[i])
            ck_fail("pre: wrote element %lld outside its share", (long long)i);
    }
}

static void check_hc_post_f32(ck_kernel *kernel, int64_t n)
{
    int hc = 1 + (int)ck_next(GGL_MAX_HC);
    int64_t begin = ck_next((uint32_t)n), end = begin + ck_next((uint32_t)(n - begin + 1));
    float *h = ck_random(n * hc), *x = ck_random(n), *post = ck_random(hc), *comb = ck_random(hc * hc);
    float *out = ck_f32(n * hc), *same = ck_f32(n * hc);
    ((ggl_hc_post_f32_fn *)kernel)(out, x, h, post, comb, hc, n, begin, end);
    ggl_hc_post_f32_ref(same, x, h, post, comb, hc, n, begin, end);
    for (int64_t i = begin; i < end; i++)
        for (int k = 0; k < hc; k++) ck_same("post", k * n + i, out[k * n + i], same[k * n + i]);
    for (int64_t at = 0; at < n * hc; at++) {
        int64_t k = at / n, i = at % n;
        double want = (double)post[k] * x[i], terms = fabs(want);
        for (int j = 0; j < hc; j++) {
            want += (double)comb[j * hc + k] * h[j * n + i];
            terms += fabs((double)comb[j * hc + k] * h[j * n + i]);
        }
        if (i >= begin && i < end)
            ck_close("post", at, out[at], want, (hc + 1) * CK_U * terms);
        else if (out[at] == out[at])
            ck_fail("post: wrote element %lld outside its share", (long long)at);
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/hyper_connection/kernels.def"
#undef KERNEL
}

/* The published check vector, computed in double. */
static void known_answer(void **state)
{
    (void)state;
    static const double want[24] = {
        0.2689424, 0.6224603, 0.4378245, 0.5926676, 1.2153263, 0.9687602, 1.0624187, 0.8146668,
        0.1358101, 0.5331501, 0.1952284, 0.1358104, 0.2856347, 0.0181250, 0.4106048, 0.2856346,
        0.1066770, 0.4187812, 0.3678634, 0.1066774, 0.4718771, 0.0299427, 0.0263025, 0.4718766,
    };
    float mix[24], base[24];
    const float scale[3] = {0.5f, 0.25f, 1.5f};
    for (int i = 0; i < 24; i++) {
        mix[i] = (float)(7 * i % 11 - 5) / 4;
        base[i] = (float)(5 * i % 7 - 3) / 8;
    }
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    k.hc_split_f32(mix, base, scale, 4, 20, 1e-6f);
    for (int i = 0; i < 24; i++)
        if (!(fabs((double)mix[i] - want[i]) < 3e-7))
            fail_msg("mix[%d] is %.8f, expected %.7f", i, (double)mix[i], want[i]);
    for (int to = 0; to < 4; to++) { /* the last step was over columns: they sum to 1 - eps */
        double sum = 0;
        for (int j = 0; j < 4; j++)
            sum += (double)mix[8 + 4 * j + to];
        assert_true(fabs(sum - (1 - 1e-6)) < 3e-7);
    }
}

/* ---- broken ones */

static void split_one_step(float *mix, const float *base, const float *scale, int hc, int iters, float eps)
{
    (void)iters;
    ggl_hc_split_f32_ref(mix, base, scale, hc, 1, eps); /* and no further step */
}

static void split_no_factor_2(float *mix, const float *base, const float *scale, int hc, int iters, float eps)
{
    ggl_hc_split_f32_ref(mix, base, scale, hc, iters, eps);
    for (int j = hc; j < 2 * hc; j++)
        mix[j] *= 0.5f;
}

static void split_transposed(float *mix, const float *base, const float *scale, int hc, int iters, float eps)
{
    ggl_hc_split_f32_ref(mix, base, scale, hc, iters, eps);
    float c[GGL_MAX_HC * GGL_MAX_HC];
    memcpy(c, mix + 2 * hc, (size_t)(hc * hc) * 4);
    for (int j = 0; j < hc; j++)
        for (int k = 0; k < hc; k++)
            mix[2 * hc + j * hc + k] = c[k * hc + j];
}

static void pre_zeros(float *y, const float *h, const float *mix, int hc, int64_t n, int64_t begin,
                      int64_t end)
{
    (void)h, (void)mix, (void)hc, (void)n;
    for (int64_t i = begin; i < end; i++)
        y[i] = 0;
}

static void pre_no_tail(float *y, const float *h, const float *mix, int hc, int64_t n, int64_t begin,
                        int64_t end)
{
    ggl_hc_pre_f32_ref(y, h, mix, hc, n, begin, begin + (end - begin) / 8 * 8);
}

static void pre_whole_registers(float *y, const float *h, const float *mix, int hc, int64_t n, int64_t begin,
                                int64_t end)
{
    int64_t last = begin + (end - begin + 7) / 8 * 8;
    ggl_hc_pre_f32_ref(y, h, mix, hc, n, begin, last < n ? last : n);
}

static void post_one_nan(float *out, const float *x, const float *h, const float *post, const float *comb,
                         int hc, int64_t n, int64_t begin, int64_t end)
{
    ggl_hc_post_f32_ref(out, x, h, post, comb, hc, n, begin, end);
    if (begin < end) out[end - 1] = NAN;
}

static void post_transposed(float *out, const float *x, const float *h, const float *post, const float *comb,
                            int hc, int64_t n, int64_t begin, int64_t end)
{
    float c[GGL_MAX_HC * GGL_MAX_HC];
    for (int j = 0; j < hc; j++)
        for (int k = 0; k < hc; k++)
            c[k * hc + j] = comb[j * hc + k];
    ggl_hc_post_f32_ref(out, x, h, post, c, hc, n, begin, end);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("one step", check_hc_split_f32, (ck_kernel *)split_one_step);
    ck_must_fail("factor 2", check_hc_split_f32, (ck_kernel *)split_no_factor_2);
    ck_must_fail("transposed", check_hc_split_f32, (ck_kernel *)split_transposed);
    ck_must_fail("zeros", check_hc_pre_f32, (ck_kernel *)pre_zeros);
    ck_must_fail("tail", check_hc_pre_f32, (ck_kernel *)pre_no_tail);
    ck_must_fail("too much", check_hc_pre_f32, (ck_kernel *)pre_whole_registers);
    ck_must_fail("nan", check_hc_post_f32, (ck_kernel *)post_one_nan);
    ck_must_fail("transposed", check_hc_post_f32, (ck_kernel *)post_transposed);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(known_answer),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/hyper_connection", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
