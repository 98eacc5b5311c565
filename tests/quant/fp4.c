/* FP4: the rounding that the model was trained with, and rows in checkpoint order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include "support/qat_check.h"

static void trained_rounding(void **state)
{
    (void)state;
    assert_int_equal(check_qat("quant/fp4_qat.bin", ggl_fp4_block_encode, ggl_fp4_block_decode), 2880);
}

static void small_example(void **state)
{
    static const float x[8] = {.25f, .75f, 1.25f, 1.75f, 2.5f, 3.5f, 5, 6};
    static const uint8_t expected[4] = {0x20, 0x42, 0x64, 0x76}; /* 0 1, 1 2, 2 4, 4 6; the even one low */
    uint8_t codes[4], scale;
    (void)state;
    ggl_fp4_block_encode(x, 8, codes, &scale);
    assert_int_equal(scale, 127);
    assert_memory_equal(codes, expected, 4);
}

/* Zeros have the smallest scale that any block has, and denormals share it. */
static void zeros(void **state)
{
    static const float x[4] = {0, -0.0f, 0x1p-149f, -0x1p-127f};
    static const uint8_t expected[4] = {0, 8, 0, 9};
    (void)state;
    for (int i = 0; i < 4; i++) {
        uint8_t code, scale;
        ggl_fp4_block_encode(&x[i], 1, &code, &scale);
        assert_int_equal(scale, 1);
        assert_int_equal(code, expected[i]);
    }
}

/* A row is its groups of 32 one by one, the last one possibly short. */
static void rows(void **state)
{
    enum { N = 32 * 9 + 6 };
    float x[N], y[N + 1], z[32];
    uint8_t codes[N / 2], scales[10];
    (void)state;
    fill_random(x, N, 5);
    for (int i = 0; i < N; i++)
        x[i] = ldexpf(x[i], i / 32 * 20 - 90);
    ggl_fp4_encode_row(x, codes, scales, N);
    y[N] = 42;
    ggl_fp4_decode_row(codes, scales, y, N);
    assert_true(y[N] == 42);
    for (int g = 0; g < 10; g++) {
        int n = g < 9 ? 32 : 6;
        uint8_t block[16], scale;
        ggl_fp4_block_encode(x + 32 * g, n, block, &scale);
        assert_int_equal(scale, scales[g]);
        assert_memory_equal(block, codes + 16 * g, (size_t)n / 2);
        ggl_fp4_block_decode(block, scale, z, n);
        assert_true(same_bits(z, y + 32 * g, (size_t)n));
    }
    /* Values that come from FP4 survive encoding, whatever scale they had. */
    ggl_fp4_encode_row(y, codes, scales, N);
    float again[N];
    ggl_fp4_decode_row(codes, scales, again, N);
    assert_true(same_bits(y, again, N));
}

static void decode_every_code(void **state)
{
    (void)state;
    for (int e = 0; e < 256; e++) {
        uint8_t codes[16];
        float y[32];
        for (int k = 0; k < 16; k++)
            codes[k] = (uint8_t)(k | (15 - k) << 4);
        ggl_fp4_block_decode(codes, (uint8_t)e, y, 32);
        for (int i = 0; i < 32; i++) {
            float expected =
                ggl_e2m1_to_f32((uint8_t)(i % 2 ? 15 - i / 2 : i / 2)) * ggl_e8m0_to_f32((uint8_t)e);
            if (e == 255)
                assert_true(isnan(y[i]));
            else
                assert_true(same_bits(&y[i], &expected, 1));
        }
    }
}

static void spoilt_block(void **state)
{
    static const float spoilers[] = {INFINITY, -INFINITY, NAN, -NAN};
    (void)state;
    for (int s = 0; s < 4; s++) {
        float x[32], y[32];
        uint8_t codes[16], scale;
        fill_random(x, 32, 3);
        x[30] = spoilers[s];
        ggl_fp4_block_encode(x, 32, codes, &scale);
        assert_int_equal(scale, 255);
        ggl_fp4_block_decode(codes, scale, y, 32);
        for (int i = 0; i < 32; i++)
            assert_true(isnan(y[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_rounding),  cmocka_unit_test(small_example), cmocka_unit_test(rows),
        cmocka_unit_test(decode_every_code), cmocka_unit_test(spoilt_block),  cmocka_unit_test(zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
