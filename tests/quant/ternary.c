/* TQ1_0, TQ2_0, Q1_0, Q2_0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"

static void tq1_0(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_TQ1_0);
    static const struct known_answer kat = {
        52, -1, "802d840e7e48df40", -0.3125, {-0.0625f, 0.0f, 0.0f, 0.0625f}, 0.0f};
    check_known_answer(GGL_TYPE_TQ1_0, &kat);
}

static void tq2_0(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_TQ2_0);
    static const struct known_answer kat = {
        64, -1, "53d73b9638cbbf75", 7.6875, {0.125f, -0.0625f, 0.0f, 0.0625f}, -0.0625f};
    check_known_answer(GGL_TYPE_TQ2_0, &kat);
}

static void q1_0(void **state)
{
    (void)state;
    static const struct known_answer kat = {
        0, -1, "ab305c219d744532", 0.125, {0.0625f, -0.0625f, 0.0625f, -0.0625f}, 0.0625f};
    check_known_answer(GGL_TYPE_Q1_0, &kat);
}

static void q2_0(void **state)
{
    (void)state;
    static const struct known_answer kat = {
        0, -1, "629fc2d3fc7bf0b4", 2.1875, {0.0f, 0.0f, 0.0625f, 0.0625f}, 0.125f};
    check_known_answer(GGL_TYPE_Q2_0, &kat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tq1_0),
        cmocka_unit_test(tq2_0),
        cmocka_unit_test(q1_0),
        cmocka_unit_test(q2_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
