/*
 * Decimal text to double and back, correctly rounded and independent of the locale, for chat_json.c.
 *
 * Reading compares the exact decimal with exact doubles as big integers and bisects: no rounding can creep in,
 * and texts with few digits take a short path.  Writing asks printf for n correctly rounded digits and keeps the
 * first n that reads back.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/src/chat_json.h"

/* The largest numbers compared: 780 digits times 2^1075, or 2^54 times 10^1115; both below 4096 bits. */
#define LIMBS 136
#define MAX_DIGITS 780 /* 767 decide every rounding; what follows is only zero or not zero */

struct big {
    uint32_t limb[LIMBS]; /* least first */
    int n;
};

static void big_mul_add(struct big *b, uint32_t factor, uint32_t carry)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t v = (uint64_t)b->limb[i] * factor + carry;
        b->limb[i] = (uint32_t)v;
        carry = (uint32_t)(v >> 32);
    }
    if (carry && b->n < LIMBS) b->limb[b->n++] = carry;
}

static void big_mul_pow10(struct big *b, int k)
{
    for (; k >= 9; k -= 9) big_mul_add(b, 1000000000u, 0);
    for (; k > 0; k--) big_mul_add(b, 10, 0);
}

static void big_shift_left(struct big *b, int bits)
{
    int limbs = bits / 32;
    big_mul_add(b, UINT32_C(1) << (bits % 32), 0);
    if (!b->n || b->n + limbs > LIMBS) return;
    memmove(b->limb + limbs, b->limb, (size_t)b->n * sizeof(b->limb[0]));
    memset(b->limb, 0, (size_t)limbs * sizeof(b->limb[0]));
    b->n += limbs;
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (int i = a->n - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* digits * 10^exponent; no leading zeros. */
struct decimal {
    unsigned char digit[MAX_DIGITS + 1];
    int n, exponent;
};

/* -1, 0, 1: the decimal against m * 2^e. */
static int compare(const struct decimal *d, uint64_t m, int e)
{
    struct big a = {.n = 0}, b = {.n = 0};
    for (int i = 0; i < d->n; i++) big_mul_add(&a, 10, d->digit[i]);
    b.limb[0] = (uint32_t)m;
    b.limb[1] = (uint32_t)(m >> 32);
    b.n = b.limb[1] ? 2 : b.limb[0] ? 1 : 0;
    if (d->exponent >= 0) big_mul_pow10(&a, d->exponent);
    else big_mul_pow10(&b, -d->exponent);
    if (e >= 0) big_shift_left(&b, e);
    else big_shift_left(&a, -e);
    return big_compare(&a, &b);
}

/* The double with these bits as m * 2^e. */
static void split(uint64_t bits, uint64_t *m, int *e)
{
    int biased = (int)(bits >> 52);
    *m = bits & ((UINT64_C(1) << 52) - 1);
    if (biased) *m |= UINT64_C(1) << 52;
    *e = (biased ? biased : 1) - 1075;
}

static bool at_least(const struct decimal *d, uint64_t bits)
{
    uint64_t m;
    int e;
    split(bits, &m, &e);
    return compare(d, m, e) >= 0;
}

static const double small_pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A double near the decimal, finite and positive; only the speed of the search depends on it. */
static uint64_t guess(const struct decimal *d)
{
    double x = 0;
    int n = d->n < 18 ? d->n : 18, e = d->exponent + d->n - n;
    for (int i = 0; i < n; i++) x = x * 10 + d->digit[i];
    for (; e > 22 && x < 1e280; e -= 22) x *= 1e22;
    for (; e < -22 && x > 1e-280; e += 22) x /= 1e22;
    if (e > 0) x *= small_pow10[e < 22 ? e : 22];
    if (e < 0) x /= small_pow10[e > -22 ? -e : 22];
    if (!(x < 1.7e308)) x = 1.7e308;
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

#define LARGEST UINT64_C(0x7fefffffffffffff)

/* The bits of the largest double that is not above the decimal. */
static uint64_t floor_bits(const struct decimal *d)
{
    uint64_t lo = guess(d), hi, step = 1;
    if (at_least(d, lo)) {
        do {
            hi = LARGEST + 1 - lo > step ? lo + step : LARGEST + 1;
            step *= 2;
            if (hi > LARGEST || !at_least(d, hi)) break;
            lo = hi;
        } while (1);
    } else {
        do {
            hi = lo;
            lo = hi > step ? hi - step : 0;
            step *= 2;
        } while (lo && !at_least(d, lo));
    }
    while (hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (at_least(d, mid)) lo = mid;
        else hi = mid;
    }
    return lo;
}

static double round_decimal(const struct decimal *d)
{
    if (!d->n || d->n + d->exponent < -330) return 0;
    if (d->n + d->exponent > 310) return HUGE_VAL;
    if (d->n <= 15 && d->exponent >= -22 && d->exponent <= 22) { /* both exact: one rounding */
        double x = 0;
        for (int i = 0; i < d->n; i++) x = x * 10 + d->digit[i];
        return d->exponent < 0 ? x / small_pow10[-d->exponent] : x * small_pow10[d->exponent];
    }
    uint64_t bits = floor_bits(d), m;
    int e;
    split(bits, &m, &e);
    int half = compare(d, 2 * m + 1, e - 1); /* against the middle to the next double */
    if (half > 0 || (half == 0 && (bits & 1))) bits++;
    double x;
    memcpy(&x, &bits, sizeof(x)); /* LARGEST + 1 is infinity */
    return x;
}

double ggl_chat_decimal_read(const char *s, size_t n)
{
    struct decimal d = {.n = 0};
    bool negative = n && s[0] == '-', point = false, rest = false;
    int64_t exponent = 0;
    size_t i = negative;
    for (; i < n && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.') {
            point = true;
            continue;
        }
        exponent -= point;
        if (d.n == 0 && s[i] == '0') continue;
        if (d.n < MAX_DIGITS) {
            d.digit[d.n++] = (unsigned char)(s[i] - '0');
        } else {
            exponent++;
            rest |= s[i] != '0';
        }
    }
    if (rest) { /* one more digit stands for all that were left out */
        d.digit[d.n++] = 1;
        exponent--;
    }
    if (i < n) {
        bool minus = s[++i] == '-';
        int64_t e = 0;
        if (s[i] == '-' || s[i] == '+') i++;
        for (; i < n; i++)
            if (e < INT64_C(1000000000000000)) e = e * 10 + (s[i] - '0');
        exponent += minus ? -e : e;
    }
    while (d.n && d.digit[d.n - 1] == 0) { /* 100000.0 takes the short path, too */
        d.n--;
        exponent++;
    }
    d.exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : (int)exponent;
    double x = round_decimal(&d);
    return negative ? -x : x;
}

/* n correctly rounded digits of x > 0; returns the exponent of the first. */
static int digits_of(double x, int n, char *digits)
{
    char text[64];
    int k = 0, exponent = 0;
    snprintf(text, sizeof(text), "%.*e", n - 1, x);
    const char *p = text;
    for (; *p && *p != 'e'; p++) /* the decimal point is the locale's: skipped, whatever it is */
        if (*p >= '0' && *p <= '9' && k < n) digits[k++] = *p;
    bool minus = p[1] == '-';
    for (p += 2; *p >= '0' && *p <= '9'; p++) exponent = exponent * 10 + (*p - '0');
    return minus ? -exponent : exponent;
}

/* The decimal lies between the middles to x's neighbours; on a middle the even one of the two gets it. */
static bool reads_back(double x, const char *digits, int n, int exponent)
{
    struct decimal d = {.n = n, .exponent = exponent - (n - 1)};
    uint64_t bits, m;
    int e;
    for (int i = 0; i < n; i++) d.digit[i] = (unsigned char)(digits[i] - '0');
    memcpy(&bits, &x, sizeof(bits));
    split(bits, &m, &e);
    int even = !(m & 1), above = compare(&d, 2 * m + 1, e - 1);
    if (above > 0 || (above == 0 && !even)) return false;
    bool denser = m == UINT64_C(1) << 52 && bits >> 52 > 1; /* below a power of two */
    int below = denser ? compare(&d, 4 * m - 1, e - 2) : compare(&d, 2 * m - 1, e - 1);
    return below > 0 || (below == 0 && even);
}

/* The next decimal of n digits; false when that would need a digit more. */
static bool increment(char *digits, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        if (digits[i]++ != '9') return true;
        digits[i] = '0';
    }
    return false;
}

/* The fewest digits that read back as x > 0, the nearest of those. */
static int shortest(double x, char digits[20], int *exponent)
{
    int n = x < 2.2250738585072014e-308 ? 1 : 15; /* 15 digits always survive, so fewer are 15 with zeros */
    for (; n < 17; n++) {
        *exponent = digits_of(x, n, digits);
        if (reads_back(x, digits, n, *exponent)) break;
        /* Below a power of two doubles are twice as dense: the nearest decimal may miss x when the next hits. */
        int e;
        if (frexp(x, &e) == 0.5 && increment(digits, n) && reads_back(x, digits, n, *exponent)) break;
    }
    if (n == 17) *exponent = digits_of(x, n, digits);
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

size_t ggl_chat_double_repr(double x, char out[32])
{
    char digits[20];
    size_t k = 0;
    int n, exponent;
    if (x != x) return memcpy(out, "NaN", 3), (size_t)3;
    if (signbit(x)) out[k++] = '-', x = -x;
    if (isinf(x)) return memcpy(out + k, "Infinity", 8), k + 8;
    if (x == 0) return memcpy(out + k, "0.0", 3), k + 3;
    n = shortest(x, digits, &exponent);
    if (exponent < 0 && exponent >= -4) { /* 0.0015 */
        out[k++] = '0';
        out[k++] = '.';
        for (int i = -1; i > exponent; i--) out[k++] = '0';
        for (int i = 0; i < n; i++) out[k++] = digits[i];
        return k;
    }
    if (exponent >= 0 && exponent < 16) { /* 1500.0 */
        for (int i = 0; i <= exponent; i++) out[k++] = i < n ? digits[i] : '0';
        out[k++] = '.';
        if (n <= exponent + 1) out[k++] = '0';
        for (int i = exponent + 1; i < n; i++) out[k++] = digits[i];
        return k;
    }
    out[k++] = digits[0];
    if (n > 1) out[k++] = '.';
    for (int i = 1; i < n; i++) out[k++] = digits[i];
    out[k++] = 'e';
    out[k++] = exponent < 0 ? '-' : '+';
    int e = exponent < 0 ? -exponent : exponent;
    if (e >= 100) out[k++] = (char)('0' + e / 100);
    out[k++] = (char)('0' + e / 10 % 10);
    out[k++] = (char)('0' + e % 10);
    return k;
}
