/* Q4_0, Q4_1, Q5_0, Q5_1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"

static void q4_0(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q4_0);
    static const struct known_answer kat = {
        0, -1, "88e7bf35b6de1814", -0.4375, {-0.1875f, 0.375f, -0.0625f, -0.5f}, 0.375f};
    check_known_answer(GGL_TYPE_Q4_0, &kat);
}

static void q4_0_encode(void **state)
{
    static const uint8_t first[12] = {0x00, 0xb8, 0xcf, 0x37, 0x9d, 0x04, 0x7b, 0xe2, 0x48, 0xbf, 0x26, 0x9d};
    (void)state;
    check_ramp(GGL_TYPE_Q4_0, "b1f037e29307e6c8", first);
    check_encoder(GGL_TYPE_Q4_0, 0.10, false);
}

static void q4_1(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q4_1);
    static const struct known_answer kat = {
        0, 2, "ff0a289ccadeacc5", 15.6875, {0.46875f, 0.03125f, 0.59375f, 0.15625f}, 0.46875f};
    check_known_answer(GGL_TYPE_Q4_1, &kat);
}

static void q4_1_encode(void **state)
{
    static const uint8_t first[12] = {0x33, 0x38, 0xc0, 0xc3, 0x40, 0xd9, 0x62, 0xfb, 0x95, 0x2e, 0xb7, 0x51};
    (void)state;
    check_ramp(GGL_TYPE_Q4_1, "db8c82d66f18a61f", first);
    check_encoder(GGL_TYPE_Q4_1, 0.09, false);
}

static void q5_0(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q5_0);
    static const struct known_answer kat = {
        0, -1, "0ce683ba8034b174", -1.1875, {0.5625f, -0.875f, 0.6875f, -0.75f}, 0.0625f};
    check_known_answer(GGL_TYPE_Q5_0, &kat);
}

static void q5_0_encode(void **state)
{
    static const uint8_t first[12] = {0x00, 0xb4, 0xd5, 0x4a, 0xa5, 0x56, 0x8f, 0x5d, 0x3b, 0x08, 0xe6, 0xb3};
    (void)state;
    check_ramp(GGL_TYPE_Q5_0, "11aad5d9891f45e4", first);
    check_encoder(GGL_TYPE_Q5_0, 0.05, false);
}

static void q5_1(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q5_1);
    static const struct known_answer kat = {
        0, 2, "628ccc7170c837d3", 27.9375, {1.71875f, 1.28125f, 1.84375f, 0.40625f}, 0.65625f};
    check_known_answer(GGL_TYPE_Q5_1, &kat);
}

static void q5_1_encode(void **state)
{
    static const uint8_t first[12] = {0x11, 0x34, 0xc0, 0xc3, 0x2a, 0xb5, 0x5a, 0xa9, 0x80, 0xa2, 0xd5, 0xf7};
    (void)state;
    check_ramp(GGL_TYPE_Q5_1, "a8f64953101b2b2f", first);
    check_encoder(GGL_TYPE_Q5_1, 0.045, false);
}

/* Of two largest magnitudes the first one decides the sign of d. */
static void first_extreme(void **state)
{
    float x[32] = {1, 4, -4, 2};
    uint8_t block[22];
    (void)state;
    assert_true(ggl_encode(GGL_TYPE_Q4_0, x, block, 32));
    assert_int_equal(block[0] | block[1] << 8, ggl_f16_from_f32(-0.5f));
    x[1] = -4;
    assert_true(ggl_encode(GGL_TYPE_Q5_0, x, block, 32));
    assert_int_equal(block[0] | block[1] << 8, ggl_f16_from_f32(0.25f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q4_0),        cmocka_unit_test(q4_0_encode), cmocka_unit_test(q4_1),
        cmocka_unit_test(q4_1_encode), cmocka_unit_test(q5_0),        cmocka_unit_test(q5_0_encode),
        cmocka_unit_test(q5_1),        cmocka_unit_test(q5_1_encode), cmocka_unit_test(first_extreme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
