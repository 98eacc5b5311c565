/*
 * Characters of a text that may be any bytes: UTF-8 decoding and the classes that the pre-tokenizer asks for.
 *
 * A byte that is not part of well-formed UTF-8 (Unicode 15.0, table 3-7: no surrogates, no over-long forms,
 * nothing above U+10FFFF) is a character of its own, without any class.  So every byte string is a sequence of
 * characters, and no byte is ever changed.
 */
#ifndef GGL_UNICODE_H
#define GGL_UNICODE_H

#include <stddef.h>
#include <stdint.h>

/* General categories L*, M*, N*, P*, S*, and the property White_Space: what \p{L} ... \p{S} and \s mean. */
enum ggl_char_class {
    GGL_CHAR_L = 1,
    GGL_CHAR_M = 2,
    GGL_CHAR_N = 4,
    GGL_CHAR_P = 8,
    GGL_CHAR_S = 16,
    GGL_CHAR_SPACE = 32,
};

extern const uint8_t ggl_unicode_block[0x110000 / 128];
extern const uint8_t ggl_unicode_class[][128];

#define GGL_INVALID_BYTE UINT32_MAX

struct ggl_char {
    uint32_t code; /* code point, or GGL_INVALID_BYTE */
    uint32_t size; /* bytes, at least 1 */
};

/* Decode a character of two bytes or more, or an invalid byte; p < end. */
struct ggl_char ggl_utf8_decode_multibyte(const uint8_t *p, const uint8_t *end);

/* The character at p < end. */
static inline struct ggl_char ggl_utf8_decode(const uint8_t *p, const uint8_t *end)
{
    if (*p < 0x80) return (struct ggl_char){*p, 1};
    return ggl_utf8_decode_multibyte(p, end);
}

/*
 * How many bytes a character takes whose first byte is `lead` (0: no character starts so), and what its second
 * byte may be.  Third and fourth bytes are always 80..BF.
 */
unsigned ggl_utf8_lead(uint8_t lead, uint8_t *second_min, uint8_t *second_max);

/* A bit set of enum ggl_char_class. */
static inline unsigned ggl_char_class(uint32_t code)
{
    if (code > 0x10FFFF) return 0;
    return ggl_unicode_class[ggl_unicode_block[code >> 7]][code & 127];
}

#endif
