/*
 * AVX2: eight numbers at a time, for the types that models are made of; the others are decoded by the reference.
 * Each product is the reference's, so the bits are, too; where that is exact, its factors are grouped otherwise.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "quant/quant.h"

enum { LANES = 8, GROUP = 32, TILE = 128, KV_BLOCK = 64 };

static inline __m128i load8(const uint8_t *p)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)p);
}

/* Eight E4M3 codes.  A half with the code's exponent and fraction is worth a 256th of it, denormals included. */
static inline __m256 e4m3(const uint8_t *p)
{
    __m128i wide = _mm_cvtepi8_epi16(load8(p)), half = _mm_and_si128(_mm_slli_epi16(wide, 7), _mm_set1_epi16((short)0xbf80));
    __m128i top = _mm_cmpeq_epi16(_mm_and_si128(half, _mm_set1_epi16(0x3f80)), _mm_set1_epi16(0x3f80));
    half = _mm_or_si128(half, _mm_and_si128(top, _mm_set1_epi16(0x7e00))); /* 0x7f and 0xff are NaN */
    return _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256));
}

static void decode_fp8(const uint8_t *codes, float scale, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) _mm256_storeu_ps(y + i, _mm256_mul_ps(e4m3(codes + i), _mm256_set1_ps(scale)));
    for (; i < n; i++) y[i] = ggl_e4m3_to_f32(codes[i]) * scale;
}

static void decode_bf16(const uint8_t *p, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i)));
        _mm256_storeu_ps(y + i, _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16)));
    }
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        y[i] = ggl_bf16_to_f32(h);
    }
}

static void decode_f16(const uint8_t *p, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i))));
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        y[i] = ggl_f16_to_f32(h);
    }
}

static void decode_q8_0(const uint8_t *block, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP, block += 2 + GROUP) {
        uint16_t h;
        memcpy(&h, block, 2);
        __m256 d = _mm256_set1_ps(ggl_f16_to_f32(h));
        for (int j = 0; j < GROUP; j += LANES)
            _mm256_storeu_ps(y + i + j, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load8(block + 2 + j))), d));
    }
}

/* Eight entries of a table of 16 signed bytes times d. */
static inline void scaled_entries(__m128i table, __m128i codes, __m256 d, float *y)
{
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_shuffle_epi8(table, codes))), d));
}

/* 16 bytes: low nibbles are elements 0..15, high ones 16..31. */
static inline void halves(__m128i table, const uint8_t *packed, float d, float *y)
{
    __m128i both = _mm_loadu_si128((const __m128i *)(const void *)packed), mask = _mm_set1_epi8(15);
    __m128i low = _mm_and_si128(both, mask), high = _mm_and_si128(_mm_srli_epi16(both, 4), mask);
    __m256 scale = _mm256_set1_ps(d);
    scaled_entries(table, low, scale, y);
    scaled_entries(table, _mm_srli_si128(low, 8), scale, y + 8);
    scaled_entries(table, high, scale, y + 16);
    scaled_entries(table, _mm_srli_si128(high, 8), scale, y + 24);
}

static void decode_mxfp4(const uint8_t *block, float *y, int64_t n)
{
    const __m128i doubled = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    for (int64_t i = 0; i < n; i += GROUP, block += 17) {
        uint32_t bits = block[0] < 2 ? 0x00200000u << block[0] : (uint32_t)(block[0] - 1) << 23; /* 2^(e - 128) */
        float d;
        memcpy(&d, &bits, 4);
        halves(doubled, block + 1, d, y + i);
    }
}

static void decode_int4(const uint8_t *codes, const uint8_t *scales, float row_scale, float *y, int64_t n)
{
    const __m128i levels = _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    for (int64_t i = 0; i < n; i += GROUP)
        halves(levels, codes + i / 2, row_scale * ggl_e4m3_to_f32(scales[i / GROUP]), y + i);
}

/* Neighbours share a byte, and code 8 is -0: the sign is put back as a bit. */
static void decode_fp4(const uint8_t *codes, const uint8_t *scales, float *y, int64_t n)
{
    const __m128i doubled = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, 1, 2, 3, 4, 6, 8, 12), mask = _mm_set1_epi8(15);
    for (int64_t i = 0; i < n; i += LANES) {
        int32_t packed;
        memcpy(&packed, codes + i / 2, 4);
        __m128i v = _mm_cvtsi32_si128(packed), nibbles = _mm_unpacklo_epi8(_mm_and_si128(v, mask), _mm_and_si128(_mm_srli_epi16(v, 4), mask));
        __m256 magnitude = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_shuffle_epi8(doubled, nibbles))), _mm256_set1_ps(0.5f));
        __m256i sign = _mm256_slli_epi32(_mm256_cvtepu8_epi32(_mm_srli_epi16(_mm_and_si128(nibbles, _mm_set1_epi8(8)), 3)), 31);
        __m256 value = _mm256_or_ps(magnitude, _mm256_castsi256_ps(sign));
        _mm256_storeu_ps(y + i, _mm256_mul_ps(value, _mm256_set1_ps(ggl_e8m0_to_f32(scales[i / GROUP]))));
    }
}

#include "kernels/decode/by_type.h"

void ggl_decode_row_avx2(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    decode_row(w, slice, row, y);
}

void ggl_decode_cache_avx2(const struct ggl_row_format *f, const uint8_t *row, float *y)
{
    decode_cache(f, row, y);
}
