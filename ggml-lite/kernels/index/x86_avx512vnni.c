/*
 * AVX-512 with VNNI: four keys by four panels of heads, each key's four bytes broadcast, sums in registers over all 128
 * inputs.  Weighing then comes once a head and key.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/index/x86_unpack.h"
#include "kernels/math/x86_avx512.h"
#include "kernels/x86_bytes512.h"

enum { KEYS = 4, PANELS = 4, PANEL_BYTES = GGL_LANES * DIM };

/* lane[k] += the heads of panels [first, first + n_panels), for keys that follow each other. */
static inline __attribute__((always_inline)) void add_panels(const struct ggl_index_scan *q, int first, const int n_panels,
                                                             const int8_t *keys, const int n, __m512 lane[KEYS])
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

bool ggl_index_scan_avx512(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    struct keys keys;
    for (; n > 0; n -= AHEAD, rows += AHEAD, score += AHEAD) {
        const int count = n < AHEAD ? n : AHEAD;
        for (int k = 0; k < count; k++)
            if (!unpack(rows[k], &keys, k, GGL_INDEX_SCAN_BIAS)) return false;
        for (int t = 0; t < n_queries; t++) {
            int i = 0;
            for (; i + KEYS <= count; i += KEYS) scan(&q[t], &keys, i, KEYS, score + t * stride);
            for (; i < count; i++) scan(&q[t], &keys, i, 1, score + t * stride);
        }
    }
    return true;
}
