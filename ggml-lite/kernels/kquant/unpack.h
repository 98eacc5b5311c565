/*
 * One block of 256 weights of every type, from file order to the order of kquant.h, still a row at a time.  Plain C that
 * compilers vectorise: every level includes it and builds it with its own flags.
 */
#ifndef GGL_KERNEL_KQUANT_UNPACK_H
#define GGL_KERNEL_KQUANT_UNPACK_H

#include <string.h>

#include "kernels/kquant/kquant.h"
#include "quant/src/iq_grids.h"

struct kquant_row {
    uint32_t low[32];  /* nibbles: four words for 32 inputs */
    uint32_t high[16]; /* 6 bits: the upper bits, two words for 32 inputs */
    int8_t scale[16];
    uint8_t min[16];
    uint16_t d, dmin; /* halves */
    uint16_t each_d[8], each_min[8]; /* of types with one for 32 inputs; the minimum is what is added */
};

static inline uint16_t kquant_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

static inline uint32_t kquant_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* 32 codes of at most four bits, one a byte, to nibbles: inputs k and k + 16 share a byte. */
static inline void kquant_pack(const uint8_t *c, uint32_t *low)
{
    uint8_t out[16];
    for (int k = 0; k < 16; k++) out[k] = (uint8_t)(c[k] | c[k + 16] << 4);
    memcpy(low, out, 16);
}

/* 64 codes from 32 bytes of nibbles: the low ones are the first 32 inputs, the high ones the others (at `second`). */
static inline void kquant_nibbles(const uint8_t *q, uint32_t *first, uint32_t *second)
{
    uint8_t a[16], b[16];
    for (int k = 0; k < 16; k++) {
        a[k] = (uint8_t)((q[k] & 15) | q[k + 16] << 4);
        b[k] = (uint8_t)(q[k] >> 4 | (q[k + 16] & 0xf0));
    }
    memcpy(first, a, 16);
    memcpy(second, b, 16);
}

/* The fields `mask` of 32 bytes, one of which has come down by `shift`, as the upper bits of 32 inputs. */
static inline void kquant_high(const uint8_t *q, int shift, uint32_t mask, uint32_t *high)
{
    for (int v = 0; v < 2; v++) {
        uint32_t out = 0;
        for (int p = 0; p < 4; p++) out |= (kquant_u32(q + 16 * v + 4 * p) >> shift & mask) << 2 * p;
        high[v] = out;
    }
}

/* Eight 6-bit scales and minima from 12 bytes: the first four lie as they are, the others in two pieces each. */
static inline void kquant_scales(const uint8_t *b, struct kquant_row *r)
{
    uint32_t s = kquant_u32(b), m = kquant_u32(b + 4), rest = kquant_u32(b + 8);
    uint32_t scale[2] = {s & 0x3f3f3f3fu, (rest & 0x0f0f0f0fu) | (s >> 2 & 0x30303030u)};
    uint32_t min[2] = {m & 0x3f3f3f3fu, (rest >> 4 & 0x0f0f0f0fu) | (m >> 2 & 0x30303030u)};
    memcpy(r->scale, scale, 8);
    memcpy(r->min, min, 8);
}

static inline void kquant_unpack_q4_k(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    r->dmin = kquant_u16(b + 2);
    kquant_scales(b + 4, r);
    for (int g = 0; g < 4; g++) kquant_nibbles(b + 16 + 32 * g, r->low + 8 * g, r->low + 8 * g + 4);
}

static inline void kquant_unpack_q5_k(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    r->dmin = kquant_u16(b + 2);
    kquant_scales(b + 4, r);
    for (int g = 0; g < 4; g++) kquant_nibbles(b + 48 + 32 * g, r->low + 8 * g, r->low + 8 * g + 4);
    for (int g = 0; g < 8; g++) kquant_high(b + 16, g, 0x01010101u, r->high + 2 * g);
}

static inline void kquant_unpack_q6_k(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b + 208);
    memcpy(r->scale, b + 192, 16);
    for (int half = 0; half < 2; half++) {
        uint32_t *low = r->low + 16 * half;
        kquant_nibbles(b + 64 * half, low, low + 8);
        kquant_nibbles(b + 64 * half + 32, low + 4, low + 12);
        for (int g = 0; g < 4; g++) kquant_high(b + 128 + 32 * half, 2 * g, 0x03030303u, r->high + 8 * half + 2 * g);
    }
}

static inline void kquant_unpack_q2_k(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b + 80);
    r->dmin = kquant_u16(b + 82);
    for (int g = 0; g < 16; g++) {
        r->scale[g] = (int8_t)(b[g] & 15);
        r->min[g] = b[g] >> 4;
    }
    for (int g = 0; g < 8; g++) {
        uint8_t c[32];
        for (int k = 0; k < 32; k++) c[k] = (uint8_t)(b[16 + 32 * (g / 4) + k] >> 2 * (g % 4) & 3);
        kquant_pack(c, r->low + 4 * g);
    }
}

static inline void kquant_unpack_q3_k(const uint8_t *b, struct kquant_row *r)
{
    const uint8_t *s = b + 96;
    r->d = kquant_u16(b + 108);
    for (int g = 0; g < 16; g++)
        r->scale[g] = (int8_t)(((s[g % 8] >> 4 * (g / 8) & 15) | (s[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32);
    for (int g = 0; g < 8; g++) {
        uint8_t c[32];
        for (int k = 0; k < 32; k++)
            c[k] = (uint8_t)((b[32 + 32 * (g / 4) + k] >> 2 * (g % 4) & 3) | (b[k] >> g & 1) << 2);
        kquant_pack(c, r->low + 4 * g);
    }
}

static inline void kquant_unpack_iq4_xs(const uint8_t *b, struct kquant_row *r)
{
    uint32_t high = kquant_u16(b + 2);
    r->d = kquant_u16(b);
    for (int g = 0; g < 8; g++)
        r->scale[g] = (int8_t)(((b[4 + g / 2] >> 4 * (g % 2) & 15) | (int)(high >> 2 * g & 3) << 4) - 32);
    memcpy(r->low, b + 8, 128);
}

/* ---- grids: magnitudes and signs become one index of the format's table */

/* Eight 2-bit digits, or eight bits, to a byte each. */
static inline uint64_t kquant_digits(uint32_t code)
{
    uint64_t x = code;
    x = (x | x << 24) & 0x000000ff000000ffu;
    x = (x | x << 12) & 0x000f000f000f000fu;
    return (x | x << 6) & 0x0303030303030303u;
}

static inline uint64_t kquant_bits(uint32_t eight)
{
    uint64_t x = eight;
    x = (x | x << 28) & 0x0000000f0000000fu;
    x = (x | x << 14) & 0x0003000300030003u;
    return (x | x << 7) & 0x0101010101010101u;
}

/* Four groups of eight codes, one a byte, to nibbles. */
static inline void kquant_pack_groups(const uint64_t c[4], uint32_t *low)
{
    uint64_t out[2] = {c[0] | c[2] << 4, c[1] | c[3] << 4};
    memcpy(low, out, 16);
}

/* IQ2: digit, and 4 for a negative weight. */
static inline uint64_t kquant_iq2(uint32_t code, uint32_t signs)
{
    return kquant_digits(code) | kquant_bits(signs & 255) << 2;
}

static inline void kquant_unpack_iq2_xxs(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = b + 2 + 8 * g;
        uint32_t a = kquant_u32(index + 4);
        uint64_t c[4];
        r->scale[g] = (int8_t)(2 * (a >> 28) + 1);
        for (int l = 0; l < 4; l++) c[l] = kquant_iq2(ggl_grid_iq2_xxs[index[l]], ggl_iq_signs(a >> 7 * l));
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

/* 16 four-bit scales in 8 bytes, each a half more than it says. */
static inline void kquant_odd_scales(const uint8_t *b, struct kquant_row *r)
{
    for (int g = 0; g < 16; g++) r->scale[g] = (int8_t)(2 * (b[g / 2] >> 4 * (g % 2) & 15) + 1);
}

static inline void kquant_unpack_iq2_xs(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    kquant_odd_scales(b + 66, r);
    for (int g = 0; g < 8; g++) {
        uint64_t c[4];
        for (int l = 0; l < 4; l++) {
            uint32_t q = kquant_u16(b + 2 + 8 * g + 2 * l);
            c[l] = kquant_iq2(ggl_grid_iq2_xs[q & 511], ggl_iq_signs(q >> 9));
        }
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

static inline void kquant_unpack_iq2_s(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    kquant_odd_scales(b + 74, r);
    for (int g = 0; g < 8; g++) {
        uint64_t c[4];
        for (int l = 0; l < 4; l++) {
            uint32_t high = b[66 + g] >> 2 * l & 3;
            c[l] = kquant_iq2(ggl_grid_iq2_s[b[2 + 4 * g + l] | high << 8], b[34 + 4 * g + l]);
        }
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

/* IQ3: two grid entries of four 3-bit digits, and 8 for a negative weight. */
static inline uint64_t kquant_iq3(uint32_t first, uint32_t second, uint32_t signs)
{
    uint64_t x = first | (uint64_t)second << 32;
    x = (x | x << 10) & 0x003f003f003f003fu;
    x = (x | x << 5) & 0x0707070707070707u;
    return x | kquant_bits(signs & 255) << 3;
}

static inline void kquant_unpack_iq3_xxs(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = b + 2 + 8 * g;
        uint32_t a = kquant_u32(b + 66 + 4 * g);
        uint64_t c[4];
        r->scale[g] = (int8_t)(2 * (a >> 28) + 1);
        for (int l = 0; l < 4; l++)
            c[l] = kquant_iq3(ggl_grid_iq3_xxs[index[2 * l]], ggl_grid_iq3_xxs[index[2 * l + 1]], ggl_iq_signs(a >> 7 * l));
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

static inline void kquant_unpack_iq3_s(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = b + 2 + 8 * g;
        uint32_t high = b[66 + g];
        uint64_t c[4];
        r->scale[g] = (int8_t)(2 * (b[106 + g / 2] >> 4 * (g % 2) & 15) + 1);
        for (int l = 0; l < 4; l++)
            c[l] = kquant_iq3(ggl_grid_iq3_s[index[2 * l] | (high >> 2 * l & 1) << 8],
                              ggl_grid_iq3_s[index[2 * l + 1] | (high >> (2 * l + 1) & 1) << 8], b[74 + 4 * g + l]);
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

/* IQ1: digit, and 4 for a negative shift. */
static inline uint64_t kquant_iq1(uint32_t code, uint32_t negative)
{
    return kquant_digits(code) | (negative ? 0x0404040404040404u : 0);
}

static inline void kquant_unpack_iq1_s(const uint8_t *b, struct kquant_row *r)
{
    r->d = kquant_u16(b);
    for (int g = 0; g < 8; g++) {
        uint32_t h = kquant_u16(b + 34 + 2 * g);
        uint64_t c[4];
        r->scale[g] = (int8_t)(2 * (h >> 12 & 7) + 1);
        for (int l = 0; l < 4; l++) c[l] = kquant_iq1(ggl_grid_iq1[b[2 + 4 * g + l] | (h >> 3 * l & 7) << 8], h & 0x8000);
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

static inline void kquant_unpack_iq1_m(const uint8_t *b, struct kquant_row *r)
{
    uint32_t s[4], half = 0;
    for (int k = 0; k < 4; k++) {
        s[k] = kquant_u16(b + 48 + 2 * k);
        half |= s[k] >> 12 << 4 * k;
    }
    r->d = (uint16_t)half;
    for (int g = 0; g < 16; g++) r->scale[g] = (int8_t)(2 * (s[g / 4] >> 3 * (g % 4) & 7) + 1);
    for (int g = 0; g < 8; g++) {
        uint64_t c[4];
        for (int l = 0; l < 4; l++) {
            uint32_t nibble = b[32 + 2 * g + l / 2] >> 4 * (l % 2) & 15;
            c[l] = kquant_iq1(ggl_grid_iq1[b[4 * g + l] | (nibble & 7) << 8], nibble & 8);
        }
        kquant_pack_groups(c, r->low + 4 * g);
    }
}

/* ---- eight blocks of 32 */

static inline void kquant_unpack_q4_1(const uint8_t *b, struct kquant_row *r)
{
    for (int g = 0; g < 8; g++, b += 20) {
        r->each_d[g] = kquant_u16(b);
        r->each_min[g] = kquant_u16(b + 2);
        memcpy(r->low + 4 * g, b + 4, 16);
    }
}

/* 32 fifth bits in a word. */
static inline void kquant_fifth_bits(uint32_t bits, uint32_t *high)
{
    uint64_t c[4];
    for (int l = 0; l < 4; l++) c[l] = kquant_bits(bits >> 8 * l & 255);
    kquant_high((const uint8_t *)c, 0, 0x01010101u, high);
}

static inline void kquant_unpack_q5_0(const uint8_t *b, struct kquant_row *r)
{
    for (int g = 0; g < 8; g++, b += 22) {
        r->each_d[g] = kquant_u16(b);
        kquant_fifth_bits(kquant_u32(b + 2), r->high + 2 * g);
        memcpy(r->low + 4 * g, b + 6, 16);
    }
}

static inline void kquant_unpack_q5_1(const uint8_t *b, struct kquant_row *r)
{
    for (int g = 0; g < 8; g++, b += 24) {
        r->each_d[g] = kquant_u16(b);
        r->each_min[g] = kquant_u16(b + 2);
        kquant_fifth_bits(kquant_u32(b + 4), r->high + 2 * g);
        memcpy(r->low + 4 * g, b + 8, 16);
    }
}

/* Block i of n_rows rows; what is behind them is zeros. */
#define KQUANT_UNPACK(name, bytes)                                                                                     \
    for (int r = 0; r < n_rows; r++) kquant_unpack_##name(rows + r * row_bytes + i * (bytes), &out[r]);                \
    break

static inline void kquant_unpack(enum ggl_type type, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t i,
                                 struct kquant_row out[GGL_KQUANT_ROWS])
{
    if (n_rows < GGL_KQUANT_ROWS) memset(out + n_rows, 0, (size_t)(GGL_KQUANT_ROWS - n_rows) * sizeof(*out));
    switch (type) {
    case GGL_TYPE_Q4_1: KQUANT_UNPACK(q4_1, 8 * 20);
    case GGL_TYPE_Q5_0: KQUANT_UNPACK(q5_0, 8 * 22);
    case GGL_TYPE_Q5_1: KQUANT_UNPACK(q5_1, 8 * 24);
    case GGL_TYPE_Q2_K: KQUANT_UNPACK(q2_k, 84);
    case GGL_TYPE_Q3_K: KQUANT_UNPACK(q3_k, 110);
    case GGL_TYPE_Q4_K: KQUANT_UNPACK(q4_k, 144);
    case GGL_TYPE_Q5_K: KQUANT_UNPACK(q5_k, 176);
    case GGL_TYPE_Q6_K: KQUANT_UNPACK(q6_k, 210);
    case GGL_TYPE_IQ4_XS: KQUANT_UNPACK(iq4_xs, 136);
    case GGL_TYPE_IQ3_S: KQUANT_UNPACK(iq3_s, 110);
    case GGL_TYPE_IQ3_XXS: KQUANT_UNPACK(iq3_xxs, 98);
    case GGL_TYPE_IQ2_S: KQUANT_UNPACK(iq2_s, 82);
    case GGL_TYPE_IQ2_XS: KQUANT_UNPACK(iq2_xs, 74);
    case GGL_TYPE_IQ2_XXS: KQUANT_UNPACK(iq2_xxs, 66);
    case GGL_TYPE_IQ1_M: KQUANT_UNPACK(iq1_m, 56);
    case GGL_TYPE_IQ1_S: KQUANT_UNPACK(iq1_s, 50);
    default: break;
    }
}

#endif
