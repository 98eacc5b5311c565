/* Pooling: a softmax over candidates for every channel on its own. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

enum { MAX_CANDIDATES = 128 };

struct group {
    const float *values[MAX_CANDIDATES], *scores[MAX_CANDIDATES];
    int n;
};

/* As the model has them: 4 (the first group of the overlapping kind), 8, or 128. */
static void random_group(struct group *g, int64_t n, float *storage)
{
    static const int sizes[] = {4, 8, 128, 1};
    g->n = n > 256 ? 8 : sizes[ck_next(4)];
    for (int j = 0; j < g->n; j++) {
        g->values[j] = storage + 2 * j * n;
        g->scores[j] = storage + (2 * j + 1) * n;
    }
}

static void check_compress_pool_f32(ck_kernel *kernel, int64_t n)
{
    struct group g;
    int64_t rows = 2 * (n > 256 ? 8 : MAX_CANDIDATES);
    float *storage = ck_random(rows * n), *out = ck_f32(n), *scratch = ck_f32(2 * n);
    random_group(&g, n, storage);
    ((ggl_compress_pool_f32_fn *)kernel)(out, g.values, g.scores, g.n, n, scratch);
    for (int64_t c = 0; c < n; c++) {
        double max = -1e300, sum = 0, want = 0, terms = 0;
        for (int j = 0; j < g.n; j++)
            max = fmax(max, (double)g.scores[j][c]);
        for (int j = 0; j < g.n; j++) {
            double w = exp(g.scores[j][c] - max);
            sum += w;
            want += w * g.values[j][c];
            terms += w * fabs((double)g.values[j][c]);
        }
        /* score - max, at most 4 in size, rounded once and then exp: 4 + 2 units a weight, above and below
         * the line; g.n sums on each side; a product and the quotient. */
        ck_close("out", c, out[c], want / sum, (2 * g.n + 14) * CK_U * terms / sum);
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/compress/kernels.def"
#undef KERNEL
}

/* Scores so far apart that one candidate is all, -inf for one of them, and a NaN that must show. */
static void extreme_scores(ggl_compress_pool_f32_fn *fn)
{
    const float values[2][3] = {{1, 2, 3}, {-5, -6, NAN}}, scores[2][3] = {{200, -INFINITY, 0}, {-200, 3, 0}};
    const float *v[2] = {values[0], values[1]}, *s[2] = {scores[0], scores[1]};
    float out[3], scratch[6];
    fn(out, v, s, 2, 3, scratch);
    assert_true(out[0] == 1.0f);
    assert_true(out[1] == -6.0f);
    assert_true(isnan(out[2]));
}

static void extremes(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) \
    if (!((isa) & ~ggl_cpu_isa())) extreme_scores(symbol);
#include "kernels/compress/kernels.def"
#undef KERNEL
}

static void zeros(float *out, const float *const *v, const float *const *s, int m, int64_t n, float *scratch)
{
    (void)v, (void)s, (void)m, (void)scratch;
    memset(out, 0, (size_t)n * 4);
}

static void one_nan(float *out, const float *const *v, const float *const *s, int m, int64_t n,
                    float *scratch)
{
    ggl_compress_pool_f32_ref(out, v, s, m, n, scratch);
    out[n - 1] = NAN;
}

static void no_tail(float *out, const float *const *v, const float *const *s, int m, int64_t n,
                    float *scratch)
{
    ggl_compress_pool_f32_ref(out, v, s, m, n / 4 * 4, scratch);
}

static void last_left_out(float *out, const float *const *v, const float *const *s, int m, int64_t n,
                          float *scratch)
{
    ggl_compress_pool_f32_ref(out, v, s, m > 1 ? m - 1 : m, n, scratch);
}

static void shared_maximum(float *out, const float *const *v, const float *const *s, int m, int64_t n,
                           float *scratch)
{
    ggl_compress_pool_f32_ref(out, v, s, m, n, scratch);
    for (int64_t c = 1; c < n; c++)
        out[c] = out[0]; /* one softmax for all channels */
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zeros", check_compress_pool_f32, (ck_kernel *)zeros);
    ck_must_fail("nan", check_compress_pool_f32, (ck_kernel *)one_nan);
    ck_must_fail("tail", check_compress_pool_f32, (ck_kernel *)no_tail);
    ck_must_fail("last", check_compress_pool_f32, (ck_kernel *)last_left_out);
    ck_must_fail("shared", check_compress_pool_f32, (ck_kernel *)shared_maximum);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(extremes),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/compress", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
