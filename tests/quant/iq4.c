/* IQ4_NL and IQ4_XS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"

static void iq4_nl(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ4_NL);
    static const struct known_answer kat = {
        0, -1, "4bb00e5dc3446cb2", -3.9375, {-2.1875f, 5.5625f, -0.625f, -7.9375f}, 5.5625f};
    check_known_answer(GGL_TYPE_IQ4_NL, &kat);
}

static void iq4_xs(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ4_XS);
    static const struct known_answer kat = {
        0, -1, "41eb3beeebb5d08e", -1390, {-21.375f, 27.5625f, -38.8125f, 12.375f}, 13.8125f};
    check_known_answer(GGL_TYPE_IQ4_XS, &kat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iq4_nl),
        cmocka_unit_test(iq4_xs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
