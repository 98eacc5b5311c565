/* IQ1, IQ2, IQ3: the grids and the blocks that point into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include "quant/src/iq_grids.h"
#include "support/sha256.h"

/* The grids against the fingerprints of their codes and of their expanded form, which is ggml's. */
static void check_grid(const uint16_t *codes, int n, int width, const uint8_t *levels, const char *codes_sha,
                       const char *expanded_sha)
{
    static uint8_t bytes[2048 * 8];
    char hex[65];
    int bits = width == 8 ? 2 : 3;
    for (int i = 0; i < n; i++) {
        bytes[2 * i] = (uint8_t)codes[i];
        bytes[2 * i + 1] = (uint8_t)(codes[i] >> 8);
    }
    sha256_hex(bytes, 2 * (size_t)n, hex);
    assert_string_equal(hex, codes_sha);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < width; j++)
            bytes[i * width + j] = levels[codes[i] >> bits * j & ((1 << bits) - 1)];
    sha256_hex(bytes, (size_t)n * (size_t)width, hex);
    assert_string_equal(hex, expanded_sha);
}

static void grids(void **state)
{
    static const uint8_t iq2[4] = {8, 25, 43, 0}, iq1[4] = {0xff, 0, 1, 0x80};
    static const uint8_t iq3_xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62}, iq3_s[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    (void)state;
    check_grid(ggl_grid_iq2_xxs, 256, 8, iq2,
               "915952ebc4af8ddba8113583ca1316fc818843f7b825bbf1a25ae1c39bf0e16d",
               "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54");
    check_grid(ggl_grid_iq2_xs, 512, 8, iq2,
               "f66435966ca8d64e9e4a6e3c91e64afcf9015e700ec85962f527283ebae207b9",
               "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de");
    check_grid(ggl_grid_iq2_s, 1024, 8, iq2,
               "e6e75e121b65e8afa5c1f92b71463cfbe217b83893f438acde22fd5db06a43f7",
               "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88");
    check_grid(ggl_grid_iq3_xxs, 256, 4, iq3_xxs,
               "c9678803c61b2210fbd8cbbb3f965a835409cd7d88a04d086d236261bd221d11",
               "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d");
    check_grid(ggl_grid_iq3_s, 512, 4, iq3_s,
               "353274c58dd7d8dc5ee960dc8fc54ff9164eaf2b49206b841cd49415cf393f81",
               "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f");
    check_grid(ggl_grid_iq1, 2048, 8, iq1, "e9ffebfc997ad6023063a667c0bf4eedd8ebf7f56b3da399cbc7d1b1f7ea52c6",
               "07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a");
}

static void signs(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 128; k++) {
        int ones = 0;
        for (int j = 0; j < 8; j++)
            ones += ggl_iq_signs(k) >> j & 1;
        assert_int_equal(ones % 2, 0);
        assert_int_equal(ggl_iq_signs(k) & 127, k);
        assert_int_equal(ggl_iq_signs(k | 0xffffff80u), ggl_iq_signs(k));
    }
}

static void iq2_xxs(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ2_XXS);
    static const struct known_answer kat = {
        0, -1, "9158ecaee26e81cd", 10.7734375, {-1.3125f, 1.3125f, 4.1015625f, -1.3125f}, -1.1875f};
    check_known_answer(GGL_TYPE_IQ2_XXS, &kat);
}

static void iq2_xs(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ2_XS);
    static const struct known_answer kat = {
        0, -1, "3c1ba91f4812080a", 64.5, {-0.6875f, -2.1484375f, -2.1484375f, 3.6953125f}, 1.8125f};
    check_known_answer(GGL_TYPE_IQ2_XS, &kat);
}

static void iq2_s(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ2_S);
    static const struct known_answer kat = {
        0, -1, "801f551b06044ccd", 22.90625, {-5.2734375f, 9.0703125f, -1.6875f, 1.6875f}, -1.6796875f};
    check_known_answer(GGL_TYPE_IQ2_S, &kat);
}

static void iq3_xxs(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ3_XXS);
    static const struct known_answer kat = {
        0, -1, "76d14cee440a466f", 78.5625, {-1.5625f, 1.5625f, -17.1875f, 10.9375f}, 10.0625f};
    check_known_answer(GGL_TYPE_IQ3_XXS, &kat);
}

static void iq3_s(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ3_S);
    static const struct known_answer kat = {
        0, -1, "2b3f7e1a835de43d", -45.875, {-11.8125f, 8.4375f, -8.4375f, -18.5625f}, 3.4375f};
    check_known_answer(GGL_TYPE_IQ3_S, &kat);
}

static void iq1_s(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ1_S);
    static const struct known_answer kat = {
        0, -1, "1616346d8d85642a", -2.9375, {-0.0546875f, 0.0703125f, -0.0546875f, 0.0703125f}, 0.0703125f};
    check_known_answer(GGL_TYPE_IQ1_S, &kat);
}

static void iq1_m(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_IQ1_M);
    static const struct known_answer kat = {
        0, -1, "9bb744c128b39e67", -7.875, {0.0546875f, 0.0546875f, 0.0546875f, 0.4921875f}, 0.2109375f};
    uint8_t block[56];
    pattern_block(GGL_TYPE_IQ1_M, -1, -1, block);
    /* d lies in the top nibbles of the four scale words: 0x2c00, lowest nibble first. */
    static const uint8_t nibble[4] = {0x00, 0x00, 0xc0, 0x20};
    for (int k = 0; k < 4; k++)
        block[49 + 2 * k] = (uint8_t)((block[49 + 2 * k] & 0x0f) | nibble[k]);
    check_block(GGL_TYPE_IQ1_M, block, &kat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iq2_xxs), cmocka_unit_test(iq2_xs), cmocka_unit_test(iq2_s),
        cmocka_unit_test(iq3_xxs), cmocka_unit_test(iq3_s),  cmocka_unit_test(iq1_s),
        cmocka_unit_test(iq1_m),   cmocka_unit_test(grids),  cmocka_unit_test(signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
