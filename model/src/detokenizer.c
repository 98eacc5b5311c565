/*
 * Bytes of tokens -> text that is always valid UTF-8.
 *
 * What is held back is a prefix of one character.  As soon as a byte shows that it can never be completed, the
 * prefix as a whole becomes one U+FFFD (Unicode's "maximal subpart" practice) and the byte is looked at anew.
 */
#include <string.h>
#include "model/src/unicode.h"
#include "model/tokenizer.h"

static size_t put_replacement(char *out)
{
    memcpy(out, "\xEF\xBF\xBD", 3);
    return 3;
}

/* Can `byte` follow what is held? */
static bool continues(const struct ggl_detokenizer *d, uint8_t byte)
{
    uint8_t lo, hi;
    ggl_utf8_lead(d->held[0], &lo, &hi);
    if (d->n_held > 1) lo = 0x80, hi = 0xBF;
    return byte >= lo && byte <= hi;
}

static size_t feed_byte(struct ggl_detokenizer *d, uint8_t byte, char *out)
{
    size_t n = 0;
    uint8_t lo, hi;
    if (d->n_held > 0 && !continues(d, byte)) {
        n = put_replacement(out);
        d->n_held = 0;
    }
    if (d->n_held == 0 && !ggl_utf8_lead(byte, &lo, &hi)) return n + put_replacement(out + n);
    d->held[d->n_held++] = byte;
    if ((unsigned)d->n_held < ggl_utf8_lead(d->held[0], &lo, &hi)) return n;
    memcpy(out + n, d->held, (size_t)d->n_held);
    n += (size_t)d->n_held;
    d->n_held = 0;
    return n;
}

size_t ggl_detokenizer_feed(struct ggl_detokenizer *d, const char *bytes, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) n += feed_byte(d, (uint8_t)bytes[i], out + n);
    return n;
}

size_t ggl_detokenizer_flush(struct ggl_detokenizer *d, char *out)
{
    if (d->n_held == 0) return 0;
    d->n_held = 0;
    return put_replacement(out);
}
