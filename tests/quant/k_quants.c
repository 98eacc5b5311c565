/* Q2_K to Q6_K. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"

static void q2_k(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q2_K);
    static const struct known_answer kat = {
        80, 82, "2bc1fcf8ba162123", 119.5, {0.53125f, -0.03125f, 0.15625f, 0.34375f}, 1.09375f};
    check_known_answer(GGL_TYPE_Q2_K, &kat);
}

static void q3_k(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q3_K);
    static const struct known_answer kat = {
        108, -1, "68da16b4b613d844", 38, {3.5625f, -4.75f, 1.1875f, -2.375f}, 0.0f};
    check_known_answer(GGL_TYPE_Q3_K, &kat);
}

static void q4_k(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q4_K);
    static const struct known_answer kat = {
        0, 2, "7355c86d60be29aa", 2580.5, {9.46875f, 40.40625f, 16.34375f, 47.28125f}, 7.96875f};
    check_known_answer(GGL_TYPE_Q4_K, &kat);
}

static void q5_k(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q5_K);
    static const struct known_answer kat = {
        0, 2, "99f3fb0af12c80b7", 5944.5, {64.46875f, 40.40625f, 71.34375f, 47.28125f}, 9.21875f};
    check_known_answer(GGL_TYPE_Q5_K, &kat);
}

static void q6_k(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q6_K);
    static const struct known_answer kat = {
        208, -1, "5c570cf844859995", 768.75, {-53.4375f, 56.25f, 30.9375f, -39.375f}, 6.5f};
    check_known_answer(GGL_TYPE_Q6_K, &kat);
}

static void q2_k_encode(void **state)
{
    static const uint8_t first[12] = {0xef, 0xef, 0xff, 0xff, 0xef, 0xef, 0xff, 0xff, 0xef, 0xef, 0xff, 0xff};
    (void)state;
    check_ramp(GGL_TYPE_Q2_K, "c9a4cc45c9db8b51", first);
    check_encoder(GGL_TYPE_Q2_K, 0.4, false);
}

static void q3_k_encode(void **state)
{
    static const uint8_t first[12] = {0xaa, 0xff, 0x00, 0xff, 0x00, 0xff, 0x55, 0xaa, 0xff, 0x00, 0xff, 0x00};
    (void)state;
    check_ramp(GGL_TYPE_Q3_K, "cf6a31c8a0b3c1fb", first);
    check_encoder(GGL_TYPE_Q3_K, 0.2, false);
}

static void q4_k_encode(void **state)
{
    static const uint8_t first[12] = {0x4d, 0x20, 0xbb, 0x2b, 0xff, 0xfc, 0xff, 0xfc, 0xff, 0xfd, 0xff, 0xfd};
    (void)state;
    check_ramp(GGL_TYPE_Q4_K, "5b3accfbeb54e211", first);
    check_encoder(GGL_TYPE_Q4_K, 0.09, false);
}

static void q5_k_encode(void **state)
{
    static const uint8_t first[12] = {0x16, 0x1c, 0xcb, 0x2b, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfe};
    (void)state;
    check_ramp(GGL_TYPE_Q5_K, "00355365fcf29fd2", first);
    check_encoder(GGL_TYPE_Q5_K, 0.045, false);
}

static void q6_k_encode(void **state)
{
    static const uint8_t first[12] = {0x11, 0x66, 0xbb, 0x00, 0x55, 0xaa, 0xff, 0x44, 0x99, 0xee, 0x33, 0x88};
    (void)state;
    check_ramp(GGL_TYPE_Q6_K, "7bf914ee039bab2d", first);
    check_encoder(GGL_TYPE_Q6_K, 0.025, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q2_k), cmocka_unit_test(q2_k_encode),
        cmocka_unit_test(q3_k), cmocka_unit_test(q3_k_encode),
        cmocka_unit_test(q4_k), cmocka_unit_test(q4_k_encode),
        cmocka_unit_test(q5_k), cmocka_unit_test(q5_k_encode),
        cmocka_unit_test(q6_k), cmocka_unit_test(q6_k_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
