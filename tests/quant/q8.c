/* Q8_0, and the activation types Q8_1 and Q8_K. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include <math.h>
#include <string.h>

static void q8_1(void **state)
{
    uint8_t block[36] = {0x00, 0x2c, 0xff, 0xff}; /* d = 1/16; s is no input of decoding */
    float y[32];
    (void)state;
    for (int j = 0; j < 32; j++)
        block[4 + j] = (uint8_t)(17 * j - 128);
    assert_true(ggl_decode(GGL_TYPE_Q8_1, block, y, 32));
    for (int j = 0; j < 32; j++)
        assert_true(y[j] == (float)(int8_t)(17 * j - 128) / 16);
}

static void q8_k(void **state)
{
    uint8_t block[292];
    float d = -0.0123f, y[256];
    (void)state;
    memset(block, 0xff, sizeof(block));
    memcpy(block, &d, 4);
    for (int j = 0; j < 256; j++)
        block[4 + j] = (uint8_t)(j * 3);
    assert_true(ggl_decode(GGL_TYPE_Q8_K, block, y, 256));
    for (int j = 0; j < 256; j++)
        assert_true(y[j] == (float)(int8_t)(j * 3) * d);
}

/* Codes round halves away from zero, after scaling by the unrounded scale. */
static void q8_0_ties(void **state)
{
    float x[32] = {127.0f, 0.5f, -0.5f, 1.5f, -2.5f, 0x1.fffffep-2f, -0x1.fffffep-2f, 126.5f, -126.5f};
    static const int8_t expected[9] = {127, 1, -1, 2, -3, 0, 0, 127, -127};
    uint8_t block[34];
    (void)state;
    assert_true(ggl_encode(GGL_TYPE_Q8_0, x, block, 32));
    for (int j = 0; j < 9; j++)
        assert_int_equal((int8_t)block[2 + j], expected[j]);

    /* d = 1/3 is no half: the stored one is rounded, the codes are not made with it. */
    x[0] = 127.0f / 3.0f;
    for (int j = 1; j < 32; j++)
        x[j] = (float)j / 3.0f;
    assert_true(ggl_encode(GGL_TYPE_Q8_0, x, block, 32));
    assert_int_equal(block[0] | block[1] << 8, ggl_f16_from_f32(1.0f / 3.0f));
    for (int j = 1; j < 32; j++)
        assert_int_equal(block[2 + j], j);
}

static void q8_0(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_Q8_0);
    static const struct known_answer kat = {
        0, -1, "1d7a0ef7f070dc17", 17, {-5.6875f, -1.125f, 3.4375f, -8.0f}, 7.75f};
    check_known_answer(GGL_TYPE_Q8_0, &kat);
}

static void q8_0_encode(void **state)
{
    static const uint8_t first[12] = {0x08, 0x28, 0x85, 0x18, 0xad, 0x40, 0xd4, 0x67, 0xfc, 0x91, 0x24, 0xb9};
    (void)state;
    check_ramp(GGL_TYPE_Q8_0, "82cc5ab1aeab9f37", first);
    check_encoder(GGL_TYPE_Q8_0, 0.008, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q8_0), cmocka_unit_test(q8_0_encode), cmocka_unit_test(q8_1),
        cmocka_unit_test(q8_k), cmocka_unit_test(q8_0_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
