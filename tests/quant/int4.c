/* INT4: the three planes, and an encoder that finds the best scale of every group. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include "support/distribution.h"
#include "support/sha256.h"

enum { GROUP = 32, ROW = 4096, ROWS = 48, N_ALL = ROW * ROWS };

static const float levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* Every code under every scale, in the order of the format. */
static void decode_by_definition(void **state)
{
    (void)state;
    uint8_t codes[GROUP / 2], scale;
    float y[GROUP + 1];
    for (int j = 0; j < 16; j++) codes[j] = (uint8_t)(j | (15 - j) << 4);
    for (int s = 0; s < 256; s++) {
        scale = (uint8_t)s;
        y[GROUP] = 42;
        ggl_int4_decode_row(codes, &scale, 0x1.8p-9f, y, GROUP);
        assert_true(y[GROUP] == 42);
        for (int i = 0; i < GROUP; i++) {
            float expected = 0x1.8p-9f * ggl_e4m3_to_f32(scale) * levels[i < 16 ? i : 31 - i];
            if ((s & 0x7f) == 0x7f) assert_true(isnan(y[i]));
            else assert_true(y[i] == expected);
        }
    }
    const uint8_t two[2] = {0x38, 0xb0}; /* 1, -1/2 */
    uint8_t rows[GROUP] = {0xf0, 0x07};
    float z[2 * GROUP];
    rows[16] = 0x1f;
    ggl_int4_decode_row(rows, two, 2, z, 2 * GROUP);
    assert_true(z[0] == -254 && z[16] == 226 && z[1] == -20 && z[17] == -254 && z[32] == -113 && z[48] == 104);
}

/* ---- errors on distributions */

static float nearest(float t)
{
    int best = 0;
    for (int k = 1; k < 16; k++)
        if (fabsf(t - levels[k]) < fabsf(t - levels[best])) best = k;
    return levels[best];
}

static double group_error(const float *x, const float *w, double d)
{
    double sum = 0;
    for (int i = 0; i < GROUP; i++) {
        double e = (double)x[i] - (d != 0 ? d * (double)nearest((float)((double)x[i] / d)) : 0);
        sum += (w ? (double)w[i] : 1.0) * e * e;
    }
    return sum;
}

/* The least error with any scale at all: 2 x 120 of them, each made the best for the levels it gives. */
static double fine_error(const float *x)
{
    double least = INFINITY, amax = 0;
    for (int i = 0; i < GROUP; i++) amax = fmax(amax, fabs((double)x[i]));
    for (int k = -120; k < 120; k++) {
        double d = (k < 0 ? -1 : 1) * amax / 127 * (0.6 + 0.0075 * (k < 0 ? -k : k)), a = 0, b = 0;
        for (int i = 0; i < GROUP; i++) {
            double level = (double)nearest((float)((double)x[i] / d));
            a += level * (double)x[i];
            b += level * level;
        }
        least = fmin(least, group_error(x, NULL, b > 0 ? a / b : d));
    }
    return least;
}

struct planes {
    uint8_t codes[ROW / 2], scales[ROW / GROUP];
    float row_scale;
};

static void encode(const float *x, const float *w, struct planes *p, float *y, int64_t n)
{
    memset(p, 0xa5, sizeof(*p));
    ggl_int4_encode_row(x, w, p->codes, p->scales, &p->row_scale, n);
    ggl_int4_decode_row(p->codes, p->scales, p->row_scale, y, n);
}

static double error_between(const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sum;
}

/* Relative RMS errors.  The published figures for this table are for scales of unlimited precision (7.34, 8.49 and
 * 9.04 %).  E4M3 has 8 steps an octave, which cost 2 % or more (bound_of_the_format below). */
static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double (*draw)(void);
        double fine, bound;
    } cases[] = {{"Gauss", draw_gauss, 0.0734, 0.0763}, {"Laplace", draw_laplace, 0.0849, 0.0880}, {"Student-t4", draw_student_t4, 0.0904, 0.0930}};
    float *x = malloc(N_ALL * sizeof(*x)), y[ROW], z[ROW];
    assert_non_null(x);
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        double error = 0, fine = 0, q4_0 = 0, power = 0, part = 0;
        struct planes p;
        distribution_state = 88172645463325252u;
        for (int i = 0; i < N_ALL; i++) x[i] = (float)cases[c].draw();
        for (int r = 0; r < ROWS; r++) {
            const float *row = x + r * ROW;
            static uint8_t blocks[ROW / 32 * 18];
            encode(row, NULL, &p, y, ROW);
            error += error_between(row, y, ROW);
            assert_true(ggl_encode(GGL_TYPE_Q4_0, row, blocks, ROW) && ggl_decode(GGL_TYPE_Q4_0, blocks, z, ROW));
            q4_0 += error_between(row, z, ROW);
            for (int i = 0; i < ROW; i++) power += (double)row[i] * (double)row[i];
            if (r % 8) continue;
            part += error_between(row, y, ROW);
            for (int i = 0; i < ROW; i += GROUP) fine += fine_error(row + i);
        }
        double rms = sqrt(error / power), cost = sqrt(part / fine) - 1;
        print_message("%-10s INT4 %.3f %%, Q4_0 %.3f %%; published with fine scales %.2f %%, E4M3 costs %.2f %% of the error\n",
                      cases[c].name, 100 * rms, 100 * sqrt(q4_0 / power), 100 * cases[c].fine, 100 * cost);
        assert_true(rms > cases[c].fine * 0.97 && rms < cases[c].bound);
        assert_true(cost < 0.04);
        assert_true(rms < 0.9 * sqrt(q4_0 / power));
    }
    free(x);
}

/* No scale of the 254 is better than the one that was taken, weighted or not. */
static void best_of_all_scales(void **state)
{
    (void)state;
    float x[ROW], w[ROW], y[ROW];
    struct planes p;
    distribution_state = 42;
    for (int round = 0; round < 6; round++) {
        double taken = 0, least = 0;
        for (int i = 0; i < ROW; i++) {
            x[i] = (float)(round % 3 == 2 ? draw_student_t4() : round % 3 ? draw_laplace() : draw_gauss());
            w[i] = (float)exp(1.5 * draw_gauss());
        }
        const float *weights = round >= 3 ? w : NULL;
        encode(x, weights, &p, y, ROW);
        for (int g = 0; g < ROW; g += GROUP) {
            double best = INFINITY;
            for (int s = 0; s < 256; s++) {
                if ((s & 0x7f) == 0x7f) continue;
                double e = group_error(x + g, weights ? w + g : NULL, (double)p.row_scale * (double)ggl_e4m3_to_f32((uint8_t)s));
                best = fmin(best, e);
            }
            for (int i = g; i < g + GROUP; i++) taken += (weights ? (double)w[i] : 1) * ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
            least += best;
        }
        if (!(taken <= least * 1.0005)) fail_msg("round %d: error %g, the best scales give %g", round, taken, least);
    }
}

/* The least error of a row in this format: the best of all scales for every group, of 16 row scales in an octave (doubling
 * one is what E4M3's exponent does). */
static double least_error(const float *x)
{
    double least = INFINITY;
    float amax = 0;
    for (int i = 0; i < ROW; i++) amax = fmaxf(amax, fabsf(x[i]));
    for (int k = 0; k < 16; k++) {
        double row = (double)amax / (113 * 224) * exp2(k / 16.0), sum = 0;
        for (int g = 0; g < ROW; g += GROUP) {
            double best = INFINITY;
            for (int s = 1; s < 256; s++) {
                double d = row * (double)ggl_e4m3_to_f32((uint8_t)s);
                if ((s & 0x7f) == 0x7f || fabs(d) * 600 < (double)amax / 16 || fabs(d) * 30 > (double)amax) continue; /* hopeless */
                best = fmin(best, group_error(x + g, NULL, d));
            }
            sum += best;
        }
        least = fmin(least, sum);
    }
    return least;
}

/* How far E4M3 is from scales of any precision, however its scales and the row's are chosen: more than 1 %; and the encoder
 * is nearer than that to the best choice, without trying row scales. */
static void bound_of_the_format(void **state)
{
    (void)state;
    double (*const draw[3])(void) = {draw_gauss, draw_laplace, draw_student_t4};
    for (int d = 0; d < 3; d++) {
        double taken = 0, least = 0, fine = 0;
        distribution_state = 31337;
        for (int r = 0; r < 3; r++) {
            float x[ROW], y[ROW];
            struct planes p;
            for (int i = 0; i < ROW; i++) x[i] = (float)draw[d]();
            encode(x, NULL, &p, y, ROW);
            taken += error_between(x, y, ROW);
            least += least_error(x);
            for (int i = 0; i < ROW; i += GROUP) fine += fine_error(x + i);
        }
        print_message("above scales of any precision: the encoder %.2f %%, the best choice of all scales %.2f %%\n",
                      100 * (sqrt(taken / fine) - 1), 100 * (sqrt(least / fine) - 1));
        assert_true(sqrt(taken / least) < 1.01);
        assert_true(sqrt(least / fine) > 1.01);
    }
}

/* Weights steer the search; alike ones do not, nor does what is no weight. */
static void importance(void **state)
{
    (void)state;
    float x[ROW], w[ROW], y[ROW], z[ROW];
    struct planes plain, p;
    double with = 0, without = 0;
    distribution_state = 7;
    for (int i = 0; i < ROW; i++) {
        x[i] = (float)draw_gauss();
        w[i] = (float)exp(2 * draw_gauss());
    }
    encode(x, NULL, &plain, y, ROW);
    encode(x, w, &p, z, ROW);
    for (int i = 0; i < ROW; i++) {
        without += (double)w[i] * ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        with += (double)w[i] * ((double)x[i] - (double)z[i]) * ((double)x[i] - (double)z[i]);
    }
    print_message("weighted error: %.4g with the weights, %.4g without\n", with, without);
    assert_true(with < 0.8 * without);
    static const float alike[] = {1, 0, 3e38f, 1e-40f, -1, NAN, INFINITY};
    for (size_t k = 0; k < sizeof(alike) / sizeof(*alike); k++) {
        for (int i = 0; i < ROW; i++) w[i] = alike[k];
        encode(x, w, &p, z, ROW);
        assert_memory_equal(&p, &plain, sizeof(p));
    }
    /* An element without weight costs nothing; the others get all the care. */
    for (int i = 0; i < ROW; i++) w[i] = (float)(i % GROUP != 5), x[i] = i % GROUP == 5 ? 100.0f : x[i];
    encode(x, w, &p, z, ROW);
    double left = 0;
    for (int i = 0; i < ROW; i++) left += i % GROUP == 5 ? 0 : ((double)x[i] - (double)z[i]) * ((double)x[i] - (double)z[i]);
    assert_true(sqrt(left / ROW) < 0.5);
}

/* The same bytes from every compiler and on every machine. */
static void known_bytes(void **state)
{
    (void)state;
    float x[ROW], w[ROW], y[ROW];
    struct planes p;
    char hex[65];
    fill_random(x, ROW, 11);
    fill_random(w, ROW, 12);
    for (int i = 0; i < ROW; i++) {
        x[i] = ldexpf(x[i], i / 256 - 20);
        w[i] = w[i] * w[i];
    }
    encode(x, NULL, &p, y, ROW);
    sha256_hex(&p, sizeof(p), hex);
    hex[16] = '\0';
    assert_string_equal(hex, "f94dabd9844b286c");
    encode(x, w, &p, y, ROW);
    sha256_hex(&p, sizeof(p), hex);
    hex[16] = '\0';
    assert_string_equal(hex, "8b665d30df82517f");
}

/* Decoded values are exact: no product on the way was rounded. */
static void exact_values(void **state)
{
    (void)state;
    float x[ROW], y[ROW];
    struct planes p;
    for (int e = -100; e <= 100; e += 25) {
        fill_random(x, ROW, (uint64_t)(e + 200));
        for (int i = 0; i < ROW; i++) x[i] = ldexpf(x[i], e);
        encode(x, NULL, &p, y, ROW);
        for (int i = 0; i < ROW; i++) {
            int code = i % GROUP < 16 ? p.codes[i / GROUP * 16 + i % 16] & 15 : p.codes[i / GROUP * 16 + i % 16] >> 4;
            double exact = (double)p.row_scale * (double)ggl_e4m3_to_f32(p.scales[i / GROUP]) * (double)levels[code];
            assert_true((double)y[i] == exact);
        }
        assert_true(sqrt(error_between(x, y, ROW) / (ROW * exp2(2 * e))) < 0.08);
    }
}

static void odd_values(void **state)
{
    (void)state;
    float x[3 * GROUP], y[3 * GROUP];
    struct planes p;
    memset(x, 0, sizeof(x));
    encode(x, NULL, &p, y, 3 * GROUP);
    for (int i = 0; i < 3 * GROUP; i++) assert_true(y[i] == 0);
    assert_true(p.row_scale == 0 && p.scales[0] == 0);

    /* A group far below the others is lost, not blown up; one of zeros stays. */
    for (int i = 0; i < GROUP; i++) x[i] = (float)(i - 16), x[GROUP + i] = 1e-9f;
    encode(x, NULL, &p, y, 3 * GROUP);
    for (int i = GROUP; i < 3 * GROUP; i++) assert_true(y[i] == 0);
    assert_true(y[0] < -14 && y[31] > 13);

    /* The ends of the range. */
    static const float ends[] = {FLT_MAX, -FLT_MAX, FLT_MIN, 0x1p-149f, -0x1p-140f};
    for (size_t k = 0; k < sizeof(ends) / sizeof(*ends); k++) {
        for (int i = 0; i < 3 * GROUP; i++) x[i] = ends[k] * (i % 3 ? 1 : 0.5f);
        encode(x, NULL, &p, y, 3 * GROUP);
        for (int i = 0; i < 3 * GROUP; i++) {
            assert_true(isfinite(y[i]));
            assert_true(fabs((double)y[i] - (double)x[i]) <= fmax(0.12 * fabs((double)ends[k]), 0x1p-126));
        }
    }

    static const float spoilers[] = {INFINITY, -INFINITY, NAN, -NAN};
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 3 * GROUP; i++) x[i] = (float)(i % 7) - 3;
        x[GROUP + 9] = spoilers[k];
        encode(x, NULL, &p, y, 3 * GROUP);
        for (int i = 0; i < 3 * GROUP; i++) assert_true((i / GROUP == 1) == !!isnan(y[i]));
        for (int i = 0; i < 3 * GROUP; i++) x[i] = spoilers[k];
        encode(x, NULL, &p, y, 3 * GROUP);
        for (int i = 0; i < 3 * GROUP; i++) assert_true(isnan(y[i]));
    }
    encode(x, NULL, &p, y, 0);
    assert_true(p.row_scale == 0 && p.scales[0] == 0xa5 && p.codes[0] == 0xa5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_by_definition), cmocka_unit_test(errors),       cmocka_unit_test(best_of_all_scales),
        cmocka_unit_test(importance),           cmocka_unit_test(known_bytes),  cmocka_unit_test(exact_values),
        cmocka_unit_test(odd_values),           cmocka_unit_test(bound_of_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
