/*
 * Sixteen rows in file order to a panel, for AVX2: the bytes of unpack.h and expand.h by vectors.  A row's block becomes
 * nibbles, upper bits and scales in a row of this file's own order; then eight rows of words, or sixteen of bytes, are
 * transposed.
 */
#ifndef GGL_KERNEL_KQUANT_X86_EXPAND_H
#define GGL_KERNEL_KQUANT_X86_EXPAND_H

#include "kernels/kquant/unpack.h"
#include "kernels/x86_transpose.h"

struct x86_row {
    _Alignas(32) __m128i low[8]; /* of 32 inputs: nibbles, inputs k and k + 16 in one byte */
    __m128i high[4];             /* [2 * half + v]: a word for each 32 inputs of a half, inputs 16v + 0 .. 15 of them */
    __m128i scale, min;
};

static inline __m128i x86_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __m256i x86_load32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline __m128i x86_pair(uint64_t low, uint64_t high)
{
    return _mm_set_epi64x((long long)high, (long long)low);
}

/* 32 codes, one a byte and at most 15, to nibbles. */
static inline __m128i x86_pack(__m256i c)
{
    return _mm_or_si128(_mm256_castsi256_si128(c), _mm_slli_epi16(_mm256_extracti128_si256(c, 1), 4));
}

static inline __m256i x86_field(__m256i v, int shift, int mask)
{
    return _mm256_and_si256(_mm256_srl_epi16(v, _mm_cvtsi32_si128(shift)), _mm256_set1_epi8((char)mask));
}

static inline void x86_nibbles(const uint8_t *q, __m128i *first, __m128i *second)
{
    __m256i v = x86_load32(q);
    *first = x86_pack(x86_field(v, 0, 15));
    *second = x86_pack(x86_field(v, 4, 15));
}

/* Fields of 32 bytes, for four times 32 inputs: their upper bits, [v]. */
static inline void x86_high(__m256i q, int shift, int step, int mask, __m128i high[2])
{
    const __m256i places = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    __m256i x[4];
    for (int c = 0; c < 4; c++) x[c] = _mm256_sllv_epi32(x86_field(q, shift + step * c, mask), places);
    __m256i a = _mm256_or_si256(_mm256_unpacklo_epi32(x[0], x[1]), _mm256_unpackhi_epi32(x[0], x[1]));
    __m256i b = _mm256_or_si256(_mm256_unpacklo_epi32(x[2], x[3]), _mm256_unpackhi_epi32(x[2], x[3]));
    __m256i all = _mm256_or_si256(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    high[0] = _mm256_castsi256_si128(all);
    high[1] = _mm256_extracti128_si256(all, 1);
}

/* Eight bytes of two nibbles each, the low one first. */
static inline __m128i x86_split_nibbles(__m128i v)
{
    const __m128i mask = _mm_set1_epi8(15);
    return _mm_unpacklo_epi8(_mm_and_si128(v, mask), _mm_and_si128(_mm_srli_epi16(v, 4), mask));
}

/* ---- types without a grid */

static inline void x86_unpack_scales(const uint8_t *b, struct x86_row *r)
{
    uint32_t s = kquant_u32(b), m = kquant_u32(b + 4), rest = kquant_u32(b + 8);
    uint64_t scale = (s & 0x3f3f3f3fu) | (uint64_t)((rest & 0x0f0f0f0fu) | (s >> 2 & 0x30303030u)) << 32;
    uint64_t min = (m & 0x3f3f3f3fu) | (uint64_t)((rest >> 4 & 0x0f0f0f0fu) | (m >> 2 & 0x30303030u)) << 32;
    r->scale = x86_pair(scale, 0);
    r->min = x86_pair(min, 0);
}

static inline void x86_unpack_q4_k(const uint8_t *b, struct x86_row *r)
{
    x86_unpack_scales(b + 4, r);
    for (int g = 0; g < 4; g++) x86_nibbles(b + 16 + 32 * g, r->low + 2 * g, r->low + 2 * g + 1);
}

static inline void x86_unpack_q5_k(const uint8_t *b, struct x86_row *r)
{
    x86_unpack_scales(b + 4, r);
    for (int g = 0; g < 4; g++) x86_nibbles(b + 48 + 32 * g, r->low + 2 * g, r->low + 2 * g + 1);
    for (int half = 0; half < 2; half++) x86_high(x86_load32(b + 16), 4 * half, 1, 1, r->high + 2 * half);
}

static inline void x86_unpack_q6_k(const uint8_t *b, struct x86_row *r)
{
    r->scale = x86_load(b + 192);
    for (int half = 0; half < 2; half++) {
        x86_nibbles(b + 64 * half, r->low + 4 * half, r->low + 4 * half + 2);
        x86_nibbles(b + 64 * half + 32, r->low + 4 * half + 1, r->low + 4 * half + 3);
        x86_high(x86_load32(b + 128 + 32 * half), 0, 2, 3, r->high + 2 * half);
    }
}

static inline void x86_unpack_q2_k(const uint8_t *b, struct x86_row *r)
{
    __m128i s = x86_load(b), mask = _mm_set1_epi8(15);
    r->scale = _mm_and_si128(s, mask);
    r->min = _mm_and_si128(_mm_srli_epi16(s, 4), mask);
    for (int g = 0; g < 8; g++) r->low[g] = x86_pack(x86_field(x86_load32(b + 16 + 32 * (g / 4)), 2 * (g % 4), 3));
}

static inline void x86_unpack_q3_k(const uint8_t *b, struct x86_row *r)
{
    uint32_t s = kquant_u32(b + 96), t = kquant_u32(b + 100), high = kquant_u32(b + 104);
    uint32_t nibbles[4] = {s, t, s >> 4, t >> 4}, scale[4];
    for (int i = 0; i < 4; i++) scale[i] = (nibbles[i] & 0x0f0f0f0fu) | (high >> 2 * i & 0x03030303u) << 4;
    __m128i all = x86_pair(scale[0] | (uint64_t)scale[1] << 32, scale[2] | (uint64_t)scale[3] << 32);
    r->scale = _mm_sub_epi8(all, _mm_set1_epi8(32));
    __m256i thirds = x86_load32(b);
    for (int g = 0; g < 8; g++) {
        __m256i q = x86_field(x86_load32(b + 32 + 32 * (g / 4)), 2 * (g % 4), 3);
        r->low[g] = x86_pack(_mm256_or_si256(q, _mm256_slli_epi16(x86_field(thirds, g, 1), 2)));
    }
}

static inline void x86_unpack_iq4_xs(const uint8_t *b, struct x86_row *r)
{
    __m128i low = x86_split_nibbles(_mm_cvtsi32_si128((int)kquant_u32(b + 4)));
    __m128i high = x86_pair(kquant_digits(kquant_u16(b + 2)) << 4, 0);
    r->scale = _mm_sub_epi8(_mm_or_si128(low, high), _mm_set1_epi8(32));
    for (int g = 0; g < 8; g++) r->low[g] = x86_load(b + 8 + 16 * g);
}

/* ---- grids: bit i of a byte's code where the source, spread over the bytes, has the byte's own bit */

static inline __m256i x86_bit(__m256i source, __m256i spread, __m256i own, int value)
{
    __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(source, spread), own);
    return _mm256_and_si256(_mm256_cmpeq_epi8(v, own), _mm256_set1_epi8((char)value));
}

/* Which byte of a source holds the bit for elements 0 .. 31: eight elements share `step` bytes; the two lanes of a source
 * are the same. */
static inline __m256i x86_each_byte(void)
{
    return _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
}

static inline __m256i x86_own_bits(void)
{
    return _mm256_set1_epi64x((long long)0x8040201008040201u);
}

/* Four codes of eight 2-bit digits, 16 bits each; `more` as the third bit. */
static inline __m128i x86_digits2(uint64_t codes, __m256i more)
{
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6,
                                            7, 7, 7, 7);
    const __m256i own = _mm256_set1_epi32(0x40100401), source = _mm256_set1_epi64x((long long)codes);
    __m256i c = _mm256_or_si256(x86_bit(source, spread, own, 1), x86_bit(source, spread, _mm256_slli_epi16(own, 1), 2));
    return x86_pack(_mm256_or_si256(c, more));
}

/* Four bytes of signs, as bit `value`. */
static inline __m256i x86_signs(uint32_t signs, int value)
{
    return x86_bit(_mm256_set1_epi32((int)signs), x86_each_byte(), x86_own_bits(), value);
}

/* Four times seven bits, each with the eighth that makes their number of ones even. */
static inline uint32_t x86_even_signs(uint32_t a)
{
    uint32_t x = (a & 0x7f) | (a << 1 & 0x7f00) | (a << 2 & 0x7f0000) | (a << 3 & 0x7f000000u);
    uint32_t p = x ^ (x >> 4 & 0x0f0f0f0fu);
    p ^= p >> 2 & 0x3f3f3f3fu;
    p ^= p >> 1 & 0x7f7f7f7fu;
    return x | (p & 0x01010101u) << 7;
}

static inline __m128i x86_odd_scales(__m128i s)
{
    return _mm_add_epi8(_mm_add_epi8(s, s), _mm_set1_epi8(1));
}

static inline void x86_unpack_iq2_xxs(const uint8_t *b, struct x86_row *r)
{
    uint64_t scales = 0;
    for (int g = 0; g < 8; g++) {
        const uint8_t *i = b + 2 + 8 * g;
        const uint16_t *grid = ggl_grid_iq2_xxs;
        uint32_t a = kquant_u32(i + 4);
        scales |= (uint64_t)(a >> 28) << 8 * g;
        uint64_t codes = grid[i[0]] | (uint64_t)grid[i[1]] << 16 | (uint64_t)grid[i[2]] << 32 | (uint64_t)grid[i[3]] << 48;
        r->low[g] = x86_digits2(codes, x86_signs(x86_even_signs(a), 4));
    }
    r->scale = x86_odd_scales(x86_pair(scales, 0));
}

static inline void x86_unpack_iq2_xs(const uint8_t *b, struct x86_row *r)
{
    r->scale = x86_odd_scales(x86_split_nibbles(_mm_loadl_epi64((const __m128i *)(const void *)(b + 66))));
    for (int g = 0; g < 8; g++) {
        uint64_t codes = 0;
        uint32_t signs = 0;
        for (int l = 0; l < 4; l++) {
            uint32_t q = kquant_u16(b + 2 + 8 * g + 2 * l);
            codes |= (uint64_t)ggl_grid_iq2_xs[q & 511] << 16 * l;
            signs |= q >> 9 << 7 * l;
        }
        r->low[g] = x86_digits2(codes, x86_signs(x86_even_signs(signs), 4));
    }
}

static inline void x86_unpack_iq2_s(const uint8_t *b, struct x86_row *r)
{
    r->scale = x86_odd_scales(x86_split_nibbles(_mm_loadl_epi64((const __m128i *)(const void *)(b + 74))));
    for (int g = 0; g < 8; g++) {
        uint64_t codes = 0;
        for (int l = 0; l < 4; l++)
            codes |= (uint64_t)ggl_grid_iq2_s[b[2 + 4 * g + l] | (b[66 + g] >> 2 * l & 3u) << 8] << 16 * l;
        r->low[g] = x86_digits2(codes, x86_signs(kquant_u32(b + 34 + 4 * g), 4));
    }
}

static inline void x86_unpack_iq1_s(const uint8_t *b, struct x86_row *r)
{
    uint64_t scales = 0;
    for (int g = 0; g < 8; g++) {
        uint32_t h = kquant_u16(b + 34 + 2 * g);
        uint64_t codes = 0;
        scales |= (uint64_t)(h >> 12 & 7) << 8 * g;
        for (int l = 0; l < 4; l++) codes |= (uint64_t)ggl_grid_iq1[b[2 + 4 * g + l] | (h >> 3 * l & 7) << 8] << 16 * l;
        r->low[g] = x86_digits2(codes, _mm256_set1_epi8(h & 0x8000 ? 4 : 0));
    }
    r->scale = x86_odd_scales(x86_pair(scales, 0));
}

static inline void x86_unpack_iq1_m(const uint8_t *b, struct x86_row *r)
{
    uint64_t scales[2] = {0, 0};
    for (int g = 0; g < 16; g++) scales[g / 8] |= (uint64_t)(kquant_u16(b + 48 + 2 * (g / 4)) >> 3 * (g % 4) & 7) << 8 * (g % 8);
    r->scale = x86_odd_scales(x86_pair(scales[0], scales[1]));
    for (int g = 0; g < 8; g++) {
        uint32_t h = kquant_u16(b + 32 + 2 * g);
        uint64_t codes = 0;
        for (int l = 0; l < 4; l++) codes |= (uint64_t)ggl_grid_iq1[b[4 * g + l] | (h >> 4 * l & 7) << 8] << 16 * l;
        /* A nibble a group; its top bit decides about eight elements. */
        const __m256i own = _mm256_setr_epi64x(0x0808080808080808, (long long)0x8080808080808080u, 0x0808080808080808,
                                               (long long)0x8080808080808080u);
        const __m256i spread = _mm256_setr_epi64x(0, 0, 0x0101010101010101, 0x0101010101010101);
        r->low[g] = x86_digits2(codes, x86_bit(_mm256_set1_epi16((short)h), spread, own, 4));
    }
}

/* Eight codes of four 3-bit digits, 16 bits each, in two halves; signs as the fourth bit. */
static inline __m128i x86_digits3(uint64_t first, uint64_t second, uint32_t signs)
{
    /* Digit j's bits are 3j, 3j + 1 and 3j + 2 of 16: the third digit lies in both bytes. */
    const __m256i pairs = _mm256_setr_epi8(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6, 8, 8, 8, 8, 10, 10, 10, 10, 12, 12, 12, 12,
                                           14, 14, 14, 14);
    const __m256i source = _mm256_broadcastsi128_si256(x86_pair(first, second));
    __m256i c = x86_bit(source, _mm256_add_epi8(pairs, _mm256_set1_epi32(0x01000000)), _mm256_set1_epi32(0x02400801), 1);
    c = _mm256_or_si256(c, x86_bit(source, _mm256_add_epi8(pairs, _mm256_set1_epi32(0x01000000)), _mm256_set1_epi32(0x04801002), 2));
    c = _mm256_or_si256(c, x86_bit(source, _mm256_add_epi8(pairs, _mm256_set1_epi32(0x01010000)), _mm256_set1_epi32(0x08012004), 4));
    return x86_pack(_mm256_or_si256(c, x86_signs(signs, 8)));
}

static inline void x86_unpack_iq3_xxs(const uint8_t *b, struct x86_row *r)
{
    uint64_t scales = 0;
    for (int g = 0; g < 8; g++) {
        const uint8_t *i = b + 2 + 8 * g;
        uint32_t a = kquant_u32(b + 66 + 4 * g);
        uint64_t codes[2] = {0, 0};
        scales |= (uint64_t)(a >> 28) << 8 * g;
        for (int l = 0; l < 8; l++) codes[l / 4] |= (uint64_t)ggl_grid_iq3_xxs[i[l]] << 16 * (l % 4);
        r->low[g] = x86_digits3(codes[0], codes[1], x86_even_signs(a));
    }
    r->scale = x86_odd_scales(x86_pair(scales, 0));
}

static inline void x86_unpack_iq3_s(const uint8_t *b, struct x86_row *r)
{
    r->scale = x86_odd_scales(x86_split_nibbles(_mm_cvtsi32_si128((int)kquant_u32(b + 106))));
    for (int g = 0; g < 8; g++) {
        const uint8_t *i = b + 2 + 8 * g;
        uint32_t high = b[66 + g];
        uint64_t codes[2] = {0, 0};
        for (int l = 0; l < 8; l++) codes[l / 4] |= (uint64_t)ggl_grid_iq3_s[i[l] | (high >> l & 1) << 8] << 16 * (l % 4);
        r->low[g] = x86_digits3(codes[0], codes[1], kquant_u32(b + 74 + 4 * g));
    }
}

/* ---- to the panel */

/* Words 8i .. 8i + 7 of eight rows; word j goes to place[j], its rows next to each other. */
static inline void x86_put_words(const struct x86_row *rows, bool high, int i, uint8_t *const place[8])
{
    __m256i w[8];
    for (int r = 0; r < 8; r++) w[r] = _mm256_load_si256((const __m256i *)(const void *)(high ? rows[r].high : rows[r].low) + i);
    x86_transpose_words(w);
    for (int j = 0; j < 8; j++) _mm256_storeu_si256((__m256i *)(void *)place[j], w[j]);
}

static inline void x86_put_codes(const struct ggl_kquant_format *f, const struct x86_row *rows, uint8_t *codes)
{
    const int64_t bytes = ggl_kquant_code_bytes(f);
    for (int r = 0; r < GGL_KQUANT_ROWS; r += 8, codes += 32) {
        uint8_t *place[8];
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < 8; j++) place[j] = codes + (2 * i + j / 4) * bytes + 64 * (j % 4);
            x86_put_words(rows + r, false, i, place);
        }
        for (int half = 0; half < 2 && f->bits == 6; half++) {
            for (int j = 0; j < 8; j++) place[j] = codes + (4 * half + j % 4) * bytes + 256 + 64 * (j / 4);
            x86_put_words(rows + r, true, half, place);
        }
    }
}

/* Byte p of 16 rows to out + 16p, for the first n. */
static inline void x86_put_bytes(__m128i v[16], int n, uint8_t *out)
{
    for (int step = 0; step < 4; step++) { /* pairs of a row and the one eight further: four times, and it is done */
        __m128i t[16];
        for (int i = 0; i < 8; i++) {
            t[2 * i] = _mm_unpacklo_epi8(v[i], v[i + 8]);
            t[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + 8]);
        }
        memcpy(v, t, sizeof(t));
    }
    for (int p = 0; p < n; p++) _mm_storeu_si128((__m128i *)(void *)(out + 16 * p), v[p]);
}

static inline void x86_put_halves(const uint16_t h[16], float factor, uint8_t *out)
{
    for (int i = 0; i < 2; i++) {
        __m256 v = _mm256_cvtph_ps(x86_load((const uint8_t *)(h + 8 * i)));
        _mm256_storeu_ps((float *)(void *)(out + 32 * i), _mm256_mul_ps(v, _mm256_set1_ps(factor)));
    }
}

static inline __attribute__((always_inline)) void x86_expand(const struct ggl_kquant_format *f,
                                                             void unpack(const uint8_t *, struct x86_row *), int block_bytes,
                                                             int d_at, const uint8_t *rows, int64_t row_bytes, int n_rows,
                                                             int64_t n, uint8_t *panel)
{
    struct x86_row out[GGL_KQUANT_ROWS];
    memset(out, 0, sizeof(out));
    for (int64_t i = 0; i < n / GGL_KQUANT_BLOCK; i++, rows += block_bytes) {
        const int n_parts = 8 * f->parts;
        uint8_t *scales = panel + (f->mins ? 128 : 64);
        uint16_t d[16] = {0}, dmin[16] = {0};
        __m128i bytes[16];
        for (int r = 0; r < n_rows; r++) {
            const uint8_t *block = rows + r * row_bytes;
            unpack(block, &out[r]);
            if (d_at >= 0) {
                d[r] = kquant_u16(block + d_at);
                if (f->mins) dmin[r] = kquant_u16(block + d_at + 2);
            } else { /* the top nibbles of four words */
                for (int k = 0; k < 4; k++) d[r] = (uint16_t)(d[r] | block[49 + 2 * k] >> 4 << 4 * k);
            }
        }
        x86_put_halves(d, f->factor, panel);
        for (int r = 0; r < 16; r++) bytes[r] = out[r].scale;
        x86_put_bytes(bytes, n_parts, scales);
        if (f->mins) {
            x86_put_halves(dmin, 1, panel + 64);
            for (int r = 0; r < 16; r++) bytes[r] = out[r].min;
            x86_put_bytes(bytes, n_parts, scales + 16 * n_parts);
        }
        x86_put_codes(f, out, panel + ggl_kquant_head_bytes(f));
        panel += ggl_kquant_panel_bytes(f, GGL_KQUANT_BLOCK);
    }
}

#endif
