/*
 * With VBMI and GFNI: plain panels, and how their E4M3 codes become BF16; included by the files of such levels.
 *
 * Two lookups of 128 bytes decode every code.  On Intel's cores each of them is three operations, and where no code's exponent
 * is zero two products of bits are enough, one operation each: 19 to 27 GB/s a core from its second-level cache.
 */
#ifndef GGL_KERNEL_FP8_X86_VBMI_H
#define GGL_KERNEL_FP8_X86_VBMI_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/fp8/flags.h"

/* BF16 of every positive E4M3 code, exact: upper and lower bytes, eight codes a line.  The first line's are denormal as
 * E4M3 and normal as BF16; the last code is no number. */
#define EIGHT(x) x, x, x, x, x, x, x, x
#define UPPER(x) EIGHT(x), EIGHT(x)
#define STEPS(x) x, x + 0x10, x + 0x20, x + 0x30, x + 0x40, x + 0x50, x + 0x60, x + 0x70
#define LOWER STEPS(0), STEPS(0x80)
static const uint8_t upper_bytes[128] = {0, 0x3b, 0x3b, 0x3b, 0x3c, 0x3c, 0x3c, 0x3c, EIGHT(0x3c),
                                         UPPER(0x3d), UPPER(0x3e), UPPER(0x3f), UPPER(0x40), UPPER(0x41), UPPER(0x42),
                                         EIGHT(0x43), 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x7f};
static const uint8_t lower_bytes[128] = {0, 0, 0x80, 0xc0, 0, 0x20, 0x40, 0x60, STEPS(0x80),
                                         LOWER, LOWER, LOWER, LOWER, LOWER, LOWER,
                                         STEPS(0), 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0, 0xe0, 0xc0};

struct tables {
    __m512i high[2], low[2];
};

static inline struct tables load_tables(void)
{
    struct tables t;
    for (int i = 0; i < 2; i++) {
        t.high[i] = _mm512_loadu_si512(upper_bytes + 64 * i);
        t.low[i] = _mm512_loadu_si512(lower_bytes + 64 * i);
    }
    return t;
}

/* A group of 64 codes -> both pairs of inputs of 16 rows. */
static inline __attribute__((always_inline)) void decode(const struct tables *t, const uint8_t *group, __m512i w[2])
{
    __m512i codes = _mm512_loadu_si512(group);
    __asm__("" : "+v"(codes)); /* loaded once, not once a lookup */
    __m512i high = _mm512_permutex2var_epi8(t->high[0], codes, t->high[1]);
    __m512i low = _mm512_permutex2var_epi8(t->low[0], codes, t->low[1]);
    high = _mm512_ternarylogic_epi32(high, codes, _mm512_set1_epi8((char)0x80), 0xf8); /* high | (codes & sign) */
    w[0] = _mm512_unpacklo_epi8(low, high);
    w[1] = _mm512_unpackhi_epi8(low, high);
}

/* The same where no code is denormal, zero or no number.  The exponent is 120 more: of its bits the first is that of the
 * code, the next four are its opposite, the last three those of the code. */
static inline __attribute__((always_inline)) void decode_normal(const uint8_t *group, __m512i w[2])
{
    /* Bytes from the upper one on: of which of the code's bits the result's bits 0, 1, .. are the sum. */
    const __m512i to_high = _mm512_set1_epi64(0x1020404040404080), to_low = _mm512_set1_epi64(0x0000000001020408);
    __m512i codes = _mm512_loadu_si512(group);
    __asm__("" : "+v"(codes)); /* loaded once */
    __m512i high = _mm512_gf2p8affine_epi64_epi8(codes, to_high, 0x3c), low = _mm512_gf2p8affine_epi64_epi8(codes, to_low, 0);
    w[0] = _mm512_unpacklo_epi8(low, high);
    w[1] = _mm512_unpackhi_epi8(low, high);
}

/* Either. */
static inline __attribute__((always_inline)) void decode_group(const struct tables *t, const uint8_t *group, const bool normal, __m512i w[2])
{
    if (normal) decode_normal(group, w);
    else decode(t, group, w);
}

/* Whether decode_normal() decodes the step that begins with input i, a multiple of GGL_FP8_STEP. */
static inline bool is_normal(const uint8_t *panel, int64_t n, int64_t i)
{
    return !(panel[ggl_fp8_steps_at(n) + i / GGL_FP8_TILE] >> i % GGL_FP8_TILE / GGL_FP8_STEP & 1);
}

/* The scale of input i of a panel of n. */
static inline float scale_of(const uint8_t *panel, int64_t n, int64_t i)
{
    float scale;
    memcpy(&scale, panel + n * GGL_FP8_ROWS + i / GGL_FP8_TILE * 4, 4);
    return scale;
}

/* What follows a panel's codes is needed from its first tile on, before fetching ahead has come there. */
static inline __attribute__((always_inline)) void fetch_end(const uint8_t *panel, int64_t n)
{
    __builtin_prefetch(panel + n * GGL_FP8_ROWS, 0, 3);
}

/* How many rows the panel from row r on has, and which lanes these are. */
static inline int rows_of(int n_rows, int r)
{
    return n_rows - r < GGL_FP8_ROWS ? n_rows - r : GGL_FP8_ROWS;
}

static inline __mmask16 mask_of(int n_rows)
{
    return (__mmask16)((1u << n_rows) - 1);
}

/* Four rows by four inputs -> 16 bytes of a group: the first pair of each row, then the second. */
static inline __m128i four_rows(const uint8_t *rows, int64_t row_bytes)
{
    int32_t v[4];
    for (int r = 0; r < 4; r++) memcpy(&v[r], rows + r * row_bytes, 4);
    return _mm_shuffle_epi8(_mm_set_epi32(v[3], v[2], v[1], v[0]), _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
}

static inline void pack(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    if (n_rows < GGL_FP8_ROWS) {
        ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
        return;
    }
    for (int64_t i = 0; i < n; i += 4)
        for (int l = 0; l < 4; l++)
            _mm_storeu_si128((__m128i *)(void *)(panel + 16 * i + 16 * l), four_rows(rows + 4 * l * row_bytes + i, row_bytes));
    ggl_fp8_write_flags(rows, row_bytes, n_rows, n, panel);
}

#endif
