/*
 * UTF-8 decoding.  The classes of characters are in unicode_table.c.
 */
#include "model/src/unicode.h"

unsigned ggl_utf8_lead(uint8_t lead, uint8_t *second_min, uint8_t *second_max)
{
    *second_min = 0x80;
    *second_max = 0xBF;
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0; /* a continuation byte, or over-long */
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) {
        if (lead == 0xE0) *second_min = 0xA0; /* below U+0800: over-long */
        if (lead == 0xED) *second_max = 0x9F; /* surrogates */
        return 3;
    }
    if (lead > 0xF4) return 0;
    if (lead == 0xF0) *second_min = 0x90; /* below U+10000: over-long */
    if (lead == 0xF4) *second_max = 0x8F; /* above U+10FFFF */
    return 4;
}

struct ggl_char ggl_utf8_decode_multibyte(const uint8_t *p, const uint8_t *end)
{
    const struct ggl_char invalid = {GGL_INVALID_BYTE, 1};
    uint8_t lo, hi;
    unsigned size = ggl_utf8_lead(*p, &lo, &hi);
    if (size < 2 || (size_t)(end - p) < size || p[1] < lo || p[1] > hi) return invalid;
    uint32_t code = (*p & (0x7Fu >> size)) << 6 | (p[1] & 0x3Fu);
    for (unsigned i = 2; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80) return invalid;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    return (struct ggl_char){code, size};
}
