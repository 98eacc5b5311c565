/* MXFP4, NVFP4, and the way between MXFP4 blocks and published FP4 rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include <math.h>
#include <string.h>

/* Every scale byte and every code against ldexp. */
static void mxfp4_scales(void **state)
{
    static const float doubled[8] = {0, 1, 2, 3, 4, 6, 8, 12};
    (void)state;
    for (int e = 0; e < 256; e++) {
        uint8_t block[17] = {(uint8_t)e};
        float y[32];
        for (int j = 0; j < 16; j++)
            block[1 + j] = (uint8_t)(j | (15 - j) << 4);
        assert_true(ggl_decode(GGL_TYPE_MXFP4, block, y, 32));
        for (int i = 0; i < 32; i++) {
            int code = i < 16 ? i : 31 - i;
            float expected = ldexpf(doubled[code & 7], e - 128);
            if (code > 8) expected = -expected;
            assert_true(same_bits(&y[i], &expected, 1));
        }
    }
}

/* Every scale byte of NVFP4: bit 7 is ignored, NaN counts as zero. */
static void nvfp4_scales(void **state)
{
    (void)state;
    for (int s = 0; s < 256; s++) {
        uint8_t block[36] = {0, (uint8_t)s};
        float y[64];
        memset(block + 4, 0x97, 32); /* low 6 (doubled: 12), high -0.5 (doubled: -1) */
        assert_true(ggl_decode(GGL_TYPE_NVFP4, block, y, 64));
        int e = s >> 3 & 15, m = s & 7;
        float scale = (s & 0x7f) == 0x7f ? 0 : e ? ldexpf(1 + (float)m / 8, e - 7) : ldexpf((float)m, -9);
        for (int i = 0; i < 64; i++)
            assert_true(y[i] == (i / 16 != 1 ? 0.0f : i % 16 < 8 ? 6 * scale : -0.5f * scale));
    }
}

/* Rounding at the ties and beside them, under scale 1: e = 127 since the block's maximum is 4. */
static void mxfp4_ties(void **state)
{
    static const float tie[7] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    (void)state;
    for (int k = 0; k < 7; k++)
        for (int side = -1; side <= 1; side++) {
            float x[32] = {4.0f, 0};
            uint8_t block[17];
            float v = side < 0 ? nextafterf(tie[k], 0) : side > 0 ? nextafterf(tie[k], 9) : tie[k];
            x[1] = v;
            x[2] = -v;
            assert_true(ggl_encode(GGL_TYPE_MXFP4, x, block, 32));
            int code = k + (side > 0);
            assert_int_equal(block[0], 127);
            assert_int_equal(block[2] & 15, code);
            assert_int_equal(block[3] & 15, code ? code | 8 : 0);
        }
}

/* The scale is the exact floor of log2: just below and at powers of two, from denormals up. */
static void mxfp4_floor(void **state)
{
    (void)state;
    for (int e = -120; e <= 127; e++) {
        float x[32] = {0};
        uint8_t block[17];
        x[31] = -ldexpf(1, e);
        assert_true(ggl_encode(GGL_TYPE_MXFP4, x, block, 32));
        assert_int_equal(block[0], e + 125);
        assert_int_equal(block[16] >> 4, 8 | 6);
        x[31] = nextafterf(x[31], 0);
        assert_true(ggl_encode(GGL_TYPE_MXFP4, x, block, 32));
        assert_int_equal(block[0], e + 124);
        assert_int_equal(block[16] >> 4, 8 | 7);
    }
}

/* Published rows to GGUF blocks and back. */
static void permutation(void **state)
{
    static const uint8_t out[16] = {0xb3, 0x51, 0x4c, 0xa5, 0xd5, 0xea, 0x6e, 0x3e,
                                    0xf7, 0x73, 0x80, 0xc8, 0x19, 0x1c, 0xa2, 0x51};
    enum { N = 32 * 257 };
    static uint8_t codes[N / 2], scales[N / 32], blocks[N / 32 * 17], codes_back[N / 2], scales_back[N / 32];
    static float y[N], z[N];
    (void)state;
    for (int k = 0; k < N / 2; k++)
        codes[k] = (uint8_t)(73 * k + 19 + k / 256);
    for (int g = 0; g < N / 32; g++)
        scales[g] = (uint8_t)(g % 255);
    ggl_fp4_to_mxfp4(codes, scales, blocks, N);
    assert_memory_equal(blocks + 1, out, 16);
    ggl_mxfp4_to_fp4(blocks, codes_back, scales_back, N);
    assert_memory_equal(codes, codes_back, sizeof(codes));
    assert_memory_equal(scales, scales_back, sizeof(scales));

    ggl_fp4_decode_row(codes, scales, y, N);
    assert_true(ggl_decode(GGL_TYPE_MXFP4, blocks, z, N));
    for (int i = 0; i < N; i++)
        if (!(y[i] == z[i])) fail_msg("element %d: %a and %a", i, (double)y[i], (double)z[i]);
}

static void mxfp4(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_MXFP4);
    static const struct known_answer kat = {
        0, -1, "f493cdee7263ca80", 0.03125, {-0.015625f, 0.0234375f, -0.03125f, 0.046875f}, -0.0078125f};
    uint8_t block[17];
    pattern_block(GGL_TYPE_MXFP4, -1, -1, block);
    block[0] = 120;
    check_block(GGL_TYPE_MXFP4, block, &kat);
}

static void mxfp4_encode(void **state)
{
    static const uint8_t first[12] = {0x7f, 0xce, 0x51, 0x9d, 0x64, 0x1b, 0xd5, 0x40, 0xbd, 0x52, 0x0c, 0xe4};
    (void)state;
    check_ramp(GGL_TYPE_MXFP4, "d08959203ac87b9e", first);
    check_encoder(GGL_TYPE_MXFP4, 0.13, true);
}

static void nvfp4(void **state)
{
    (void)state;
    check_vectors(GGL_TYPE_NVFP4);
    static const struct known_answer kat = {
        0, -1, "e13392a655526da6", -453.646484, {0.2578125f, 0.0f, -0.021484375f, 0.04296875f}, 0.0f};
    uint8_t block[36];
    pattern_block(GGL_TYPE_NVFP4, -1, -1, block);
    for (int k = 0; k < 4; k++)
        block[k] &= 0x7f;
    check_block(GGL_TYPE_NVFP4, block, &kat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mxfp4),        cmocka_unit_test(mxfp4_encode), cmocka_unit_test(nvfp4),
        cmocka_unit_test(mxfp4_scales), cmocka_unit_test(nvfp4_scales), cmocka_unit_test(mxfp4_ties),
        cmocka_unit_test(mxfp4_floor),  cmocka_unit_test(permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
