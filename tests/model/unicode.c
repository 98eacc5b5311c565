/* UTF-8 decoding of every code point and of what is not one, and the class table against Unicode 15.0's counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "model/src/unicode.h"

static size_t encode(uint32_t c, uint8_t *p)
{
    if (c < 0x80) return p[0] = (uint8_t)c, 1;
    if (c < 0x800) return p[0] = (uint8_t)(0xC0 | c >> 6), p[1] = (uint8_t)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return p[0] = (uint8_t)(0xE0 | c >> 12), p[1] = (uint8_t)(0x80 | (c >> 6 & 63)),
               p[2] = (uint8_t)(0x80 | (c & 63)), 3;
    p[0] = (uint8_t)(0xF0 | c >> 18), p[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    p[2] = (uint8_t)(0x80 | (c >> 6 & 63)), p[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static void every_code_point(void **state)
{
    (void)state;
    uint8_t buf[4];
    for (uint32_t c = 0; c < 0x110800; c++) {
        size_t n = encode(c, buf);
        struct ggl_char got = ggl_utf8_decode(buf, buf + n);
        if ((c >= 0xD800 && c < 0xE000) || c > 0x10FFFF) {
            assert_int_equal(got.code, GGL_INVALID_BYTE);
            assert_int_equal(got.size, 1);
            continue;
        }
        assert_int_equal(got.code, c);
        assert_int_equal(got.size, n);
        for (size_t cut = 1; cut < n; cut++) /* truncated */
            assert_int_equal(ggl_utf8_decode(buf, buf + cut).code, GGL_INVALID_BYTE);
        for (size_t i = 1; i < n; i++) { /* a byte that does not continue */
            uint8_t bad[4];
            memcpy(bad, buf, 4);
            bad[i] ^= 0x80;
            assert_int_equal(ggl_utf8_decode(bad, bad + n).code, GGL_INVALID_BYTE);
        }
    }
}

/* Every sequence of up to three bytes decodes to what encodes back to it, or is invalid. */
static void every_sequence(void **state)
{
    (void)state;
    size_t valid[5] = {0};
    for (uint32_t x = 0; x < 1u << 24; x++) {
        uint8_t in[3] = {(uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x}, back[4];
        struct ggl_char c = ggl_utf8_decode(in, in + 3);
        if (c.code == GGL_INVALID_BYTE) continue;
        if (c.size != encode(c.code, back) || memcmp(in, back, c.size)) fail_msg("%06x", x);
        valid[c.size]++;
    }
    assert_int_equal(valid[1], 128u << 16);
    assert_int_equal(valid[2], 1920u << 8);
    assert_int_equal(valid[3], 0x10000 - 0x800 - 0x800);
}

/* Counts of general categories in UnicodeData.txt 15.0.0 (ranges included), and of White_Space. */
static void class_counts(void **state)
{
    (void)state;
    size_t n[6] = {0};
    for (uint32_t c = 0; c < 0x110000; c++) {
        unsigned class = ggl_char_class(c), major = class & 31;
        assert_int_equal(major & (major - 1), 0); /* one category at most */
        for (int i = 0; i < 6; i++) n[i] += class >> i & 1;
    }
    assert_int_equal(n[0], 136104); /* L */
    assert_int_equal(n[1], 2450);   /* M */
    assert_int_equal(n[2], 1831);   /* N */
    assert_int_equal(n[3], 842);    /* P */
    assert_int_equal(n[4], 7770);   /* S */
    assert_int_equal(n[5], 25);     /* White_Space */
}

static void single_classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        unsigned class;
    } cases[] = {
        {'a', GGL_CHAR_L}, {0x4E00, GGL_CHAR_L}, {0x9FFF, GGL_CHAR_L}, {0x3400, GGL_CHAR_L}, {0x31350, GGL_CHAR_L},
        {0xD7A3, GGL_CHAR_L}, {0x323AF, GGL_CHAR_L}, {0x323B0, 0}, /* the last of 15.0 */
        {0x301, GGL_CHAR_M}, {0xE0100, GGL_CHAR_M}, {'7', GGL_CHAR_N}, {0x2167, GGL_CHAR_N}, {0xBD, GGL_CHAR_N},
        {'!', GGL_CHAR_P}, {'_', GGL_CHAR_P}, {0x3002, GGL_CHAR_P}, {0x30FB, GGL_CHAR_P}, {'~', GGL_CHAR_S},
        {'$', GGL_CHAR_S}, {'+', GGL_CHAR_S}, {'<', GGL_CHAR_S}, {'^', GGL_CHAR_S}, {'`', GGL_CHAR_S},
        {'|', GGL_CHAR_S}, {0x1F600, GGL_CHAR_S}, {0x2581, GGL_CHAR_S}, {0xFF5C, GGL_CHAR_S},
        {' ', GGL_CHAR_SPACE}, {'\n', GGL_CHAR_SPACE}, {0x0B, GGL_CHAR_SPACE}, {0x85, GGL_CHAR_SPACE},
        {0xA0, GGL_CHAR_SPACE}, {0x1680, GGL_CHAR_SPACE}, {0x2028, GGL_CHAR_SPACE}, {0x3000, GGL_CHAR_SPACE},
        {0x180E, 0}, {0x200B, 0}, {0x1C, 0}, {0, 0}, {0x378, 0}, {0xE000, 0}, {0x10FFFF, 0}, {GGL_INVALID_BYTE, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (ggl_char_class(cases[i].code) != cases[i].class) fail_msg("U+%04X", cases[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(every_sequence),
        cmocka_unit_test(class_counts),
        cmocka_unit_test(single_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
