/* The sampler: parameters, greedy, known distributions, and draws that are the same on every machine. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/sampler.h"

enum { MANY = 1000 };

static struct ggl_sampler *make(struct ggl_sampler_params p, int32_t n)
{
    struct ggl_sampler *s = NULL;
    assert_int_equal(ggl_sampler_new(&p, n, &s, NULL), GGL_OK);
    return s;
}

static int32_t sample(struct ggl_sampler *s, const float *logits)
{
    int32_t id = -1;
    assert_int_equal(ggl_sample(s, logits, &id, NULL), GGL_OK);
    return id;
}

static void parameters(void **state)
{
    (void)state;
    static const struct {
        float temperature, top_p, min_p;
        int32_t top_k, n_vocab;
        const char *name; /* NULL: fine */
    } cases[] = {
        {0, 0, 0, 0, 1, NULL},        {100, 1, 1, INT32_MAX, 1, NULL},   {1e-45f, 1e-45f, 1, 1, 1, NULL},
        {-0.0f, 1, -0.0f, 0, 1, NULL}, {-1e-9f, 1, 0, 0, 1, "temperature"}, {100.1f, 1, 0, 0, 1, "temperature"},
        {1e9f, 1, 0, 0, 1, "temperature"}, {NAN, 1, 0, 0, 1, "temperature"}, {INFINITY, 1, 0, 0, 1, "temperature"},
        {1, -0.1f, 0, 0, 1, "top_p"}, {1, 1.0001f, 0, 0, 1, "top_p"},    {1, NAN, 0, 0, 1, "top_p"},
        {1, 1, -0.1f, 0, 1, "min_p"}, {1, 1, 1.1f, 0, 1, "min_p"},       {1, 1, NAN, 0, 1, "min_p"},
        {1, 1, 0, -1, 1, "top_k"},    {1, 1, 0, INT32_MIN, 1, "top_k"},  {1, 1, 0, 0, 0, "n_vocab"},
        {1, 1, 0, 0, -1, "n_vocab"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ggl_sampler_params p = ggl_sampler_defaults();
        struct ggl_sampler *s = NULL;
        struct ggl_error err = {0};
        const float logit = 1;
        p.temperature = cases[i].temperature;
        p.top_p = cases[i].top_p;
        p.min_p = cases[i].min_p;
        p.top_k = cases[i].top_k;
        enum ggl_status status = ggl_sampler_new(&p, cases[i].n_vocab, &s, &err);
        if (cases[i].name) {
            assert_int_equal(status, GGL_ERR_ARGUMENT);
            assert_null(s);
            assert_non_null(strstr(err.what, cases[i].name));
        } else {
            assert_int_equal(status, GGL_OK);
            assert_int_equal(sample(s, &logit), 0);
            ggl_sampler_free(s);
        }
    }
    struct ggl_sampler_params p = ggl_sampler_defaults();
    struct ggl_sampler *s;
    p.struct_size--;
    assert_int_equal(ggl_sampler_new(&p, 4, &s, NULL), GGL_ERR_ARGUMENT);
    ggl_sampler_free(NULL);
}

static void bad_logits(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int greedy = 0; greedy < 2; greedy++) {
        struct ggl_sampler_params p = ggl_sampler_defaults();
        if (greedy) p.temperature = 0;
        struct ggl_sampler *s = make(p, 3);
        for (int i = 0; i < 9; i++) {
            float logits[3] = {1, 2, 3};
            int32_t id = 77;
            struct ggl_error err = {0};
            logits[i % 3] = bad[i / 3];
            assert_int_equal(ggl_sample(s, logits, &id, &err), GGL_ERR_FORMAT);
            assert_int_equal(id, 77);
            assert_int_equal(err.status, GGL_ERR_FORMAT);
        }
        const float extreme[3] = {-3.4e38f, 3.4e38f, 0};
        assert_int_equal(sample(s, extreme), 1);
        ggl_sampler_free(s);
    }
}

/* All the ways to say greedy; a tie goes to the lower id. */
static void greedy(void **state)
{
    (void)state;
    float logits[MANY];
    for (int i = 0; i < MANY; i++) logits[i] = (float)((i * 37) % 50);
    int32_t first = 0;
    while (logits[first] < 49) first++;
    for (int way = 0; way < 5; way++) {
        struct ggl_sampler_params p = ggl_sampler_defaults();
        p.seed = 5;
        if (way == 0) p.temperature = 0;
        if (way == 1) p.top_k = 1;
        if (way == 2) p.top_p = 0;
        if (way == 3) p.top_p = 0, p.top_k = 7;
        if (way == 4) p.temperature = -0.0f, p.top_k = 40, p.min_p = 1;
        struct ggl_sampler *s = make(p, MANY);
        for (int i = 0; i < 20; i++) assert_int_equal(sample(s, logits), first);
        ggl_sampler_free(s);
    }
}

/* Pearson's statistic of n draws against probabilities; ids of probability 0 must never come. */
static double chi_square(struct ggl_sampler *s, const float *logits, const double *p, int n_vocab, int n)
{
    double sum = 0;
    int *count = calloc((size_t)n_vocab, sizeof(*count));
    assert_non_null(count);
    for (int i = 0; i < n; i++) count[sample(s, logits)]++;
    for (int i = 0; i < n_vocab; i++) {
        double expected = p[i] * n;
        if (p[i] <= 0) assert_int_equal(count[i], 0);
        else sum += (count[i] - expected) * (count[i] - expected) / expected;
    }
    free(count);
    return sum;
}

/*
 * Eight tokens of known weight, in an order that is not sorted.  Each case's expectation is written down by hand:
 * the weights that remain.  The bound is the 1 - 1e-6 quantile of chi-square with 7 degrees of freedom.
 */
static void distributions(void **state)
{
    (void)state;
    const double w[8] = {2, 64, 1, 16, 32, 4, 8, 1}; /* sum 128 */
    static const struct {
        float temperature, top_p, min_p;
        int32_t top_k;
        double keep[8];
    } cases[] = {
        {1, 1, 0, 0, {2, 64, 1, 16, 32, 4, 8, 1}},
        {1, 1, 0, 3, {0, 64, 0, 16, 32, 0, 0, 0}},
        {1, 1, 0, 7, {2, 64, 1, 16, 32, 4, 8, 0}},      /* the tie between ids 2 and 7 goes to 2 */
        {1, 1, 0, 100, {2, 64, 1, 16, 32, 4, 8, 1}},
        {1, 0.74f, 0, 0, {0, 64, 0, 0, 32, 0, 0, 0}},   /* 64 + 32 = 0.75 */
        {1, 0.76f, 0, 0, {0, 64, 0, 16, 32, 0, 0, 0}},
        {1, 0.6f, 0, 3, {0, 64, 0, 0, 32, 0, 0, 0}},    /* of 112: 64 is 0.57 */
        {1, 0.55f, 0, 3, {0, 64, 0, 0, 0, 0, 0, 0}},
        {1, 1, 0.1f, 0, {0, 64, 0, 16, 32, 0, 8, 0}},   /* at least 6.4 */
        {1, 0.9f, 0.2f, 6, {0, 64, 0, 16, 32, 0, 0, 0}},
        {2, 1, 0, 0, {1.4142135623730951, 8, 1, 4, 5.656854249492381, 2, 2.8284271247461903, 1}},
        {0.5f, 1, 0, 4, {0, 4096, 0, 256, 1024, 0, 64, 0}},
    };
    float logits[8];
    for (int i = 0; i < 8; i++) logits[i] = (float)log(w[i]) + 100;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct ggl_sampler_params p = ggl_sampler_defaults();
        double sum = 0, share[8];
        for (int i = 0; i < 8; i++) sum += cases[c].keep[i];
        for (int i = 0; i < 8; i++) share[i] = cases[c].keep[i] / sum;
        p.temperature = cases[c].temperature;
        p.top_p = cases[c].top_p;
        p.min_p = cases[c].min_p;
        p.top_k = cases[c].top_k;
        p.seed = 1234 + c;
        struct ggl_sampler *s = make(p, 8);
        double x = chi_square(s, logits, share, 8, 40000);
        if (!(x < 40.5)) fail_msg("case %zu: chi-square %g", c, x);
        ggl_sampler_free(s);
    }
    /* the test sees a wrong distribution */
    struct ggl_sampler *s = make(ggl_sampler_defaults(), 8);
    const double flat[8] = {0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125};
    assert_true(chi_square(s, logits, flat, 8, 1000) > 40.5);
    ggl_sampler_free(s);
}

/* A vocabulary of the real size: heaps and sums at scale, against a plain computation. */
static void large_vocabulary(void **state)
{
    (void)state;
    enum { N = 129280 };
    float *logits = malloc(N * sizeof(*logits));
    assert_non_null(logits);
    for (int i = 0; i < N; i++) logits[i] = -30 + (float)(((unsigned)i * 2654435761u) >> 20) / 4096 * 4;
    const int32_t ids[] = {N - 1, 5, 70000};
    for (int i = 0; i < 3; i++) logits[ids[i]] = (float)(10 - i);
    struct ggl_sampler_params p = ggl_sampler_defaults();
    for (int way = 0; way < 3; way++) {
        p.top_k = way == 0 ? 3 : 0;
        p.top_p = way == 1 ? 0.99f : 1;
        p.min_p = way == 2 ? 0.1f : 0;
        struct ggl_sampler *s = make(p, N);
        int count[3] = {0};
        for (int i = 0; i < 100; i++) {
            int32_t id = sample(s, logits);
            int k = 0;
            while (k < 3 && ids[k] != id) k++;
            assert_true(k < 3);
            count[k]++;
        }
        assert_true(count[0] > 45 && count[1] > 8 && count[2] > 0); /* 0.665, 0.245, 0.09 */
        ggl_sampler_free(s);
    }
    free(logits);
}

/* These ids were drawn once; every compiler and machine must draw them again. */
static void same_everywhere(void **state)
{
    (void)state;
    static const int32_t expected[2][12] = {
        {324, 377, 357, 14, 502, 20, 852, 839, 297, 68, 311, 66},
        {20, 733, 944, 719, 660, 86, 423, 429, 627, 80, 20, 383},
    };
    float logits[MANY];
    for (int i = 0; i < MANY; i++) logits[i] = (float)((i * 7919) % 1009) / 128;
    for (int c = 0; c < 2; c++) {
        struct ggl_sampler_params p = ggl_sampler_defaults();
        p.seed = c ? UINT64_MAX : 0;
        p.temperature = c ? 0.7f : 1;
        p.top_p = c ? 0.9f : 1;
        struct ggl_sampler *s = make(p, MANY), *again = make(p, MANY);
        for (int i = 0; i < 12; i++) {
            int32_t id = sample(s, logits);
            assert_int_equal(id, sample(again, logits));
            assert_int_equal(id, expected[c][i]);
        }
        ggl_sampler_free(s);
        ggl_sampler_free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters),    cmocka_unit_test(bad_logits),       cmocka_unit_test(greedy),
        cmocka_unit_test(distributions), cmocka_unit_test(large_vocabulary), cmocka_unit_test(same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
