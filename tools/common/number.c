/*
 * Numbers on a command line, read by hand: the whole string counts, a value out of range is refused instead of
 * cut, and neither blanks, a leading '+' nor the locale change anything.
 */
#include <math.h>
#include "common/cli.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from *s on; false when there are none or the value is above `max`. */
static bool read_digits(const char **s, uint64_t max, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;
    if (!is_digit(*p)) return false;
    for (; is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (max - digit) / 10) return false;
        v = v * 10 + digit;
    }
    *s = p;
    *out = v;
    return true;
}

bool cli_number_int(const char *s, int64_t *out)
{
    bool negative = *s == '-';
    uint64_t v;
    if (negative) s++;
    if (!read_digits(&s, INT64_MAX, &v) || *s) return false;
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

bool cli_number_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    uint64_t v;
    if (!read_digits(&s, UINT64_MAX, &v)) return false;
    if (*s) {
        char unit = *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;
        unsigned shift = 0;
        for (unsigned i = 0; units[i]; i++)
            if (units[i] == unit) shift = 10 * (i + 1);
        if (!shift || s[1] || v > UINT64_MAX >> shift) return false;
        v <<= shift;
    }
    *out = v;
    return true;
}

/* mantissa * 10^exponent; 19 significant digits are kept, which is more than a double holds. */
bool cli_number_float(const char *s, double *out)
{
    bool negative = *s == '-', any = false, point = false;
    uint64_t mantissa = 0;
    int64_t exponent = 0, written = 0;
    if (negative) s++;
    for (; is_digit(*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        any = true;
        if (mantissa < UINT64_MAX / 10 - 1) {
            mantissa = mantissa * 10 + (uint64_t)(*s - '0');
            exponent -= point;
        } else {
            exponent += !point;
        }
    }
    if (!any) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        bool below = *s == '-';
        uint64_t digits;
        if (*s == '-' || *s == '+') s++;
        if (!read_digits(&s, 9999, &digits)) return false;
        written = below ? -(int64_t)digits : (int64_t)digits;
    }
    if (*s) return false;
    exponent += written;
    /* Powers of ten up to 10^22 are exact doubles, so usual numbers are rounded once, correctly. */
    double v = (double)mantissa, divisor = 1;
    for (; exponent > 0 && v != 0 && isfinite(v); exponent--) v *= 10;
    for (; exponent < -300 && v != 0; exponent++) v /= 10;
    for (; exponent < 0 && v != 0; exponent++) divisor *= 10;
    v /= divisor;
    if (!isfinite(v)) return false;
    *out = negative ? -v : v;
    return true;
}
