/* FP8: the rounding that the model was trained with, weight tiles, and rows with either kind of scale. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include "support/qat_check.h"

static void trained_rounding(void **state)
{
    (void)state;
    assert_int_equal(check_qat("quant/fp8_qat.bin", ggl_fp8_block_encode, ggl_fp8_block_decode), 2568);
}

/* The examples of the description, worked by hand. */
static void small_examples(void **state)
{
    static const struct {
        float x[5], y[5];
        int exponent;
    } cases[] = {
        {{1, -0.3125f, 0.010009765625f, 3.5f, 7}, {1, -0.3125f, 0.009765625f, 3.5f, 7}, -6},
        {{1, -0.3125f, 0.010009765625f, 3.5f, 7.03125f}, {1, -0.3125f, 0.009765625f, 3.5f, 7}, -5},
        {{1e-6f, 2e-5f, 0, 0, 0}, {9.5367431640625e-07f, 1.9073486328125e-05f, 0, 0, 0}, -22},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t codes[5], scale;
        float y[5];
        ggl_fp8_block_encode(cases[i].x, 5, codes, &scale);
        assert_int_equal(scale, cases[i].exponent + 127);
        ggl_fp8_block_decode(codes, scale, y, 5);
        for (int j = 0; j < 5; j++)
            assert_true(y[j] == cases[i].y[j]);
    }
}

/* Zeros have the scale of the floor, 1e-4, and one rule for every magnitude below it. */
static void zeros(void **state)
{
    static const float x[4] = {0, -0.0f, 0x1p-149f, -1e-5f};
    (void)state;
    for (int i = 0; i < 4; i++) {
        uint8_t code, scale;
        ggl_fp8_block_encode(&x[i], 1, &code, &scale);
        assert_int_equal(scale, 105);
        if (i < 3) assert_int_equal(code & 0x7f, 0);
    }
}

static void spoilt_block(void **state)
{
    static const float spoilers[] = {INFINITY, -INFINITY, NAN, -NAN};
    (void)state;
    for (int s = 0; s < 4; s++) {
        float x[64], y[64];
        uint8_t codes[64], scale;
        fill_random(x, 64, 3);
        x[17] = spoilers[s];
        ggl_fp8_block_encode(x, 64, codes, &scale);
        assert_int_equal(scale, 255);
        ggl_fp8_block_decode(codes, scale, y, 64);
        for (int i = 0; i < 64; i++)
            assert_true(isnan(y[i]));
    }
}

/* Tiles, whole and cut at both edges: each is the block rule over its own elements. */
static void matrix(void **state)
{
    static const int sizes[][2] = {{128, 128}, {1, 1}, {129, 127}, {300, 416}, {256, 130}};
    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        int rows = sizes[s][0], n = sizes[s][1], tiles = (n + 127) / 128;
        size_t total = (size_t)rows * (size_t)n, n_scales = (size_t)tiles * (size_t)((rows + 127) / 128);
        float *x = malloc(total * sizeof(float)), *y = malloc((size_t)n * sizeof(float));
        uint8_t *codes = malloc(total), *scales = malloc(n_scales);
        assert_true(x && y && codes && scales);
        fill_random(x, total, s + 1);
        for (size_t i = 0; i < total; i++)
            x[i] = ldexpf(x[i], (int)(i / 977 % 23) - 12);
        ggl_fp8_encode(x, rows, n, codes, scales);
        for (int r = 0; r < rows; r++) {
            ggl_fp8_decode_row(codes + (size_t)r * (size_t)n, scales + r / 128 * tiles, GGL_SCALE_E8M0, y, n);
            for (int i = 0; i < n; i++) {
                float amax = 0, v = x[(size_t)r * (size_t)n + (size_t)i];
                int r0 = r / 128 * 128, i0 = i / 128 * 128;
                uint8_t scale = scales[r0 / 128 * tiles + i0 / 128];
                /* Half a step of the largest binade of |v|, or of the smallest normal one. */
                float s_value = ldexpf(1, scale - 127), step = fmaxf(fabsf(v) * 0x1p-4f, s_value * 0x1p-10f);
                if (fabsf(y[i] - v) > step)
                    fail_msg("%d x %d: %a became %a", rows, n, (double)v, (double)y[i]);
                if ((r != r0 && r != rows - 1) || i != i0) continue;
                for (int a = r0; a < rows && a < r0 + 128; a++)
                    for (int b = i0; b < n && b < i0 + 128; b++)
                        amax = fmaxf(amax, fabsf(x[(size_t)a * (size_t)n + (size_t)b]));
                assert_int_equal(scale, 127 + (int)ceil(log2(fmax((double)amax, (double)1e-4f) / 448.0)));
            }
        }
        free(scales);
        free(codes);
        free(y);
        free(x);
    }
}

/* Every code under every scale, in rows that end inside a tile. */
static void decode_rows(void **state)
{
    enum { N = 256 + 77 };
    uint8_t codes[N], bytes[3];
    float scales[3] = {0.37f, -1.5e-3f, 1e30f}, y[N + 1];
    uint8_t raw[13];
    (void)state;
    for (int i = 0; i < N; i++)
        codes[i] = (uint8_t)i;
    for (int e = 0; e < 256; e++) {
        bytes[0] = (uint8_t)e;
        bytes[1] = (uint8_t)(255 - e);
        bytes[2] = (uint8_t)(e ^ 0x55);
        y[N] = 42;
        ggl_fp8_decode_row(codes, bytes, GGL_SCALE_E8M0, y, N);
        assert_true(y[N] == 42);
        for (int i = 0; i < N; i++) {
            float expected = ggl_e4m3_to_f32(codes[i]) * ggl_e8m0_to_f32(bytes[i / 128]);
            if (isnan(expected))
                assert_true(isnan(y[i]));
            else
                assert_true(same_bits(&y[i], &expected, 1));
        }
    }
    memcpy(raw + 1, scales, sizeof(scales)); /* a scale row of a file need not be aligned */
    ggl_fp8_decode_row(codes, raw + 1, GGL_SCALE_F32, y, N);
    for (int i = 0; i < N; i++)
        if (!isnan(y[i])) assert_true(y[i] == ggl_e4m3_to_f32(codes[i]) * scales[i / 128]);
    ggl_fp8_decode_row(codes, NULL, GGL_SCALE_NONE, y, N);
    for (int i = 0; i < N; i++)
        if (!isnan(y[i])) assert_true(y[i] == ggl_e4m3_to_f32(codes[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_rounding), cmocka_unit_test(small_examples), cmocka_unit_test(spoilt_block),
        cmocka_unit_test(matrix),           cmocka_unit_test(decode_rows),    cmocka_unit_test(zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
