/*
 * AVX-512 with VNNI: four keys by four panels of heads, each key's four bytes broadcast, sums in registers over all 128
 * inputs.  Weighing then comes once a head and key.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"

enum { KEYS = 4, AHEAD = 16, PANELS = 4, DIM = GGL_INDEX_SCAN_DIM, PANEL_BYTES = GGL_LANES * DIM };

struct keys { /* unpacked some time before they are read in pieces of four bytes, which would have to wait */
    _Alignas(64) uint8_t values[AHEAD][DIM]; /* biased */
    float scale[AHEAD];
};

/* 96 + (twice a code's value << row) */
static const uint8_t tables[4][16] = {
    {96, 97, 98, 99, 100, 102, 104, 108, 96, 95, 94, 93, 92, 90, 88, 84},
    {96, 98, 100, 102, 104, 108, 112, 120, 96, 94, 92, 90, 88, 84, 80, 72},
    {96, 100, 104, 108, 112, 120, 128, 144, 96, 92, 88, 84, 80, 72, 64, 48},
    {96, 104, 112, 120, 128, 144, 160, 192, 96, 88, 80, 72, 64, 48, 32, 0},
};

static inline __m128i table(int shift)
{
    return _mm_loadu_si128((const __m128i *)(const void *)tables[shift]);
}

static inline bool unpack(const uint8_t *row, struct keys *keys, int k)
{
    const uint8_t *e = row + DIM / 2;
    int least = ggl_index_least(e);
    if (least < 0) return false;
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(table(e[0] - least)), table(e[1] - least), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(table(e[2] - least)), table(e[3] - least), 1);
    __m512i lookup = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    __m512i codes = _mm512_loadu_si512(row), nibble = _mm512_set1_epi8(15);
    __m512i even = _mm512_shuffle_epi8(lookup, _mm512_and_si512(codes, nibble));
    __m512i odd = _mm512_shuffle_epi8(lookup, _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble));
    _mm512_store_si512(keys->values[k], _mm512_unpacklo_epi8(even, odd));
    _mm512_store_si512(keys->values[k] + 64, _mm512_unpackhi_epi8(even, odd));
    uint32_t bits = (uint32_t)(least - 1) << 23; /* 2^(least - 128) */
    memcpy(&keys->scale[k], &bits, 4);
    return true;
}

static inline __m512i broadcast4(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/* lane[k] += the heads of panels [first, first + n_panels), for keys that follow each other. */
static inline __attribute__((always_inline)) void add_panels(const struct ggl_index_scan *q, int first, const int n_panels,
                                                             const uint8_t *keys, const int n, __m512 lane[KEYS])
{
    const int8_t *values = q->values + first * PANEL_BYTES;
    __m512i dot[KEYS][PANELS];
    for (int k = 0; k < n; k++)
        for (int p = 0; p < n_panels; p++) dot[k][p] = _mm512_loadu_si512(q->biased + (first + p) * GGL_LANES);
    for (int j = 0; j < DIM / 4; j++, values += 64) {
        __m512i v[PANELS];
        for (int p = 0; p < n_panels; p++) v[p] = _mm512_loadu_si512(values + p * PANEL_BYTES);
        for (int k = 0; k < n; k++) {
            __m512i key = broadcast4(keys + k * DIM + 4 * j);
            for (int p = 0; p < n_panels; p++) dot[k][p] = _mm512_dpbusd_epi32(dot[k][p], key, v[p]);
        }
    }
    for (int p = 0; p < n_panels; p++) {
        __m512 gain = _mm512_loadu_ps(q->gains + (first + p) * GGL_LANES);
        for (int k = 0; k < n; k++) {
            __m512 y = _mm512_cvtepi32_ps(_mm512_max_epi32(dot[k][p], _mm512_setzero_si512()));
            lane[k] = _mm512_add_ps(lane[k], _mm512_mul_ps(gain, y));
        }
    }
}

/* Keys [at, at + n) of those that are unpacked. */
static inline __attribute__((always_inline)) void scan(const struct ggl_index_scan *q, const struct keys *keys, int at, const int n,
                                                       float *score)
{
    __m512 lane[KEYS];
    int p = 0;
    for (int k = 0; k < n; k++) lane[k] = _mm512_setzero_ps();
    for (; p + PANELS <= q->n_panels; p += PANELS) add_panels(q, p, PANELS, keys->values[at], n, lane);
    for (; p < q->n_panels; p++) add_panels(q, p, 1, keys->values[at], n, lane);
    for (int k = 0; k < n; k++) score[at + k] = ggl_add_lanes16(lane[k]) * keys->scale[at + k];
}

bool ggl_index_scan_avx512(const struct ggl_index_scan *q, const uint8_t *const *rows, int n, float *score)
{
    struct keys keys;
    for (; n > 0; n -= AHEAD, rows += AHEAD, score += AHEAD) {
        int count = n < AHEAD ? n : AHEAD, i = 0;
        for (int k = 0; k < count; k++)
            if (!unpack(rows[k], &keys, k)) return false;
        for (; i + KEYS <= count; i += KEYS) scan(q, &keys, i, KEYS, score);
        for (; i < count; i++) scan(q, &keys, i, 1, score);
    }
    return true;
}
