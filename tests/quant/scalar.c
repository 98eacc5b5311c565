/*
 * Scalars and the rows of F32, F16 and BF16.  Every code is decoded and compared with the definition of the
 * format in double; encoders are compared with the nearest code found by looking, at every code, at every
 * midpoint, and one unit to either side of both.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "support/codec_check.h"

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* A format of one sign, `e` exponent and `m` mantissa bits, by the textbook; infinities and NaN aside. */
static double minifloat(uint32_t code, int e, int m)
{
    int bias = (1 << (e - 1)) - 1, exponent = (int)(code >> m) & ((1 << e) - 1);
    double mantissa = ldexp((double)(code & ((1u << m) - 1)), -m);
    double magnitude = exponent ? ldexp(1 + mantissa, exponent - bias) : ldexp(mantissa, 1 - bias);
    return code >> (e + m) & 1 ? -magnitude : magnitude;
}

static void check_value(float y, double expected)
{
    if ((double)y != expected || !signbit(y) != !signbit(expected))
        fail_msg("decoded %a, expected %a", (double)y, expected);
}

static void decode_f16(void **state)
{
    uint8_t row[2 * 65536];
    static float y[65536];
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = ggl_f16_to_f32((uint16_t)h);
        uint32_t exponent = h >> 10 & 31, mantissa = h & 1023;
        if (exponent < 31)
            check_value(x, minifloat(h, 5, 10));
        else if (mantissa == 0)
            check_value(x, h & 0x8000 ? -INFINITY : INFINITY);
        else /* quiet, payload and sign kept */
            assert_int_equal(to_bits(x), (h & 0x8000) << 16 | 0x7fc00000u | mantissa << 13);
        row[2 * h] = (uint8_t)h;
        row[2 * h + 1] = (uint8_t)(h >> 8);
    }
    assert_true(ggl_decode(GGL_TYPE_F16, row, y, 65536));
    for (uint32_t h = 0; h < 65536; h++)
        assert_int_equal(to_bits(y[h]), to_bits(ggl_f16_to_f32((uint16_t)h)));
}

static void decode_bf16(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = ggl_bf16_to_f32((uint16_t)h);
        assert_int_equal(to_bits(x), h << 16);
        if ((h & 0x7f80) != 0x7f80) check_value(x, minifloat(h, 8, 7));
    }
    check_vectors(GGL_TYPE_BF16);
}

static void decode_small_formats(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 256; c++) {
        float x = ggl_e4m3_to_f32((uint8_t)c);
        if ((c & 0x7f) == 0x7f)
            assert_true(isnan(x));
        else
            check_value(x, minifloat(c, 4, 3));
        float s = ggl_e8m0_to_f32((uint8_t)c);
        if (c == 255)
            assert_true(isnan(s));
        else
            check_value(s, ldexp(1, (int)c - 127));
        check_value(ggl_e2m1_to_f32((uint8_t)c), minifloat(c & 15, 2, 1)); /* only the low nibble counts */
    }
}

/* ---- encoders: codes 0..n-1 are the finite magnitudes in ascending order, value() decodes them, and `over`
 * is the code from the midpoint past the last one on: infinity, or the last one again. */
struct format {
    uint32_t n, over, sign;
    float (*value)(uint32_t code);
    uint32_t (*encode)(float x);
};

static float f16_value(uint32_t c)
{
    return ggl_f16_to_f32((uint16_t)c);
}
static uint32_t f16_encode(float x)
{
    return ggl_f16_from_f32(x);
}
static float bf16_value(uint32_t c)
{
    return ggl_bf16_to_f32((uint16_t)c);
}
static uint32_t bf16_encode(float x)
{
    return ggl_bf16_from_f32(x);
}
static float e4m3_value(uint32_t c)
{
    return ggl_e4m3_to_f32((uint8_t)c);
}
static uint32_t e4m3_encode(float x)
{
    return ggl_e4m3_from_f32(x);
}
static float e2m1_value(uint32_t c)
{
    return ggl_e2m1_to_f32((uint8_t)c);
}
static uint32_t e2m1_encode(float x)
{
    return ggl_e2m1_from_f32(x);
}

static const struct format formats[] = {
    {0x7c00, 0x7c00, 0x8000, f16_value, f16_encode},
    {0x7f80, 0x7f80, 0x8000, bf16_value, bf16_encode},
    {0x7f, 0x7e, 0x80, e4m3_value, e4m3_encode},
    {8, 7, 8, e2m1_value, e2m1_encode},
};

static void check_encode(const struct format *f, float x, uint32_t code)
{
    uint32_t plus = f->encode(x), minus = f->encode(-x);
    if (plus != code || minus != (code | f->sign))
        fail_msg("+-%a gives %#x and %#x, expected %#x", (double)x, plus, minus, code);
}

static void check_rounding(const struct format *f)
{
    for (uint32_t c = 0; c < f->n; c++) {
        float x = f->value(c);
        check_encode(f, x, c);
        double step =
            c + 1 < f->n ? (double)f->value(c + 1) - (double)x : (double)x - (double)f->value(c - 1);
        double middle = (double)x + step / 2;
        uint32_t next = c + 1 < f->n ? c + 1 : f->over;
        if (middle > 3.402823466e38) continue;
        float m = (float)middle;
        if ((double)m != middle) { /* between two floats: no tie can occur */
            check_encode(f, nextafterf(x, INFINITY), next);
            continue;
        }
        check_encode(f, m, c % 2 ? next : c);
        check_encode(f, nextafterf(m, 0), c);
        check_encode(f, nextafterf(m, INFINITY), next);
    }
    check_encode(f, INFINITY, f->over);
    check_encode(f, 0x1p-149f, 0);
}

static void encoders_round_to_even(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        check_rounding(&formats[i]);
}

/* Rows of random bit patterns: the row codec is the scalar one, NaN included. */
static void rows(void **state)
{
    enum { N = 4099 };
    static float x[N], y[N];
    static uint8_t b[4 * N + 1];
    uint32_t bits = 1;
    (void)state;
    for (int i = 0; i < N; i++) {
        bits = bits * 1664525u + 1013904223u;
        x[i] = from_bits(bits);
    }
    assert_true(ggl_encode(GGL_TYPE_F32, x, b + 1, N));
    assert_true(ggl_decode(GGL_TYPE_F32, b + 1, y, N));
    assert_true(same_bits(x, y, N));
    assert_true(ggl_encode(GGL_TYPE_F16, x, b + 1, N));
    for (int i = 0; i < N; i++)
        assert_int_equal(b[1 + 2 * i] | b[2 + 2 * i] << 8, ggl_f16_from_f32(x[i]));
    assert_true(ggl_encode(GGL_TYPE_BF16, x, b + 1, N));
    for (int i = 0; i < N; i++)
        assert_int_equal(b[1 + 2 * i] | b[2 + 2 * i] << 8, ggl_bf16_from_f32(x[i]));
    check_encoder(GGL_TYPE_F32, 0, true);
    check_encoder(GGL_TYPE_F16, 3e-4, true);
    check_encoder(GGL_TYPE_BF16, 2e-3, true);
}

static void nan_stays_nan(void **state)
{
    static const uint32_t nans[] = {0x7f800001u, 0x7fc00000u, 0x7fffffffu,
                                    0xff800001u, 0xffffffffu, 0x7f80ffffu};
    (void)state;
    for (size_t i = 0; i < sizeof(nans) / sizeof(*nans); i++) {
        float x = from_bits(nans[i]);
        uint16_t sign = (uint16_t)(nans[i] >> 16 & 0x8000);
        uint16_t h = ggl_f16_from_f32(x), b = ggl_bf16_from_f32(x);
        assert_true((h & 0x7e00) == 0x7e00 && (h & 0x8000) == sign);
        assert_true((b & 0x7fc0) == 0x7fc0 && (b & 0x8000) == sign);
        assert_int_equal(ggl_e4m3_from_f32(x), 0x7f);
        assert_int_equal(ggl_e2m1_from_f32(x) & 7, 0);
    }
}

static void pow2_ceil_exponent(void **state)
{
    (void)state;
    for (int e = -126; e <= 127; e++) {
        float x = ldexpf(1, e);
        assert_int_equal(ggl_pow2_ceil_exponent(x), e);
        assert_int_equal(ggl_pow2_ceil_exponent(nextafterf(x, INFINITY)), e + 1);
        if (e > -126) assert_int_equal(ggl_pow2_ceil_exponent(nextafterf(x, 0)), e);
    }
    /* The reciprocals that the official kernels multiply by. */
    assert_int_equal(to_bits((float)(1.0 / 448.0)), 0x3b124925);
    assert_int_equal(to_bits((float)(1.0 / 6.0)), 0x3e2aaaab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_f16),
        cmocka_unit_test(decode_bf16),
        cmocka_unit_test(decode_small_formats),
        cmocka_unit_test(encoders_round_to_even),
        cmocka_unit_test(rows),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(pow2_ceil_exponent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
