/*
 * AMX: sixteen keys by sixteen heads by 64 inputs an instruction, two for a panel of heads.  A key's values are signed here
 * and need no bias.  Sums are integers, so these are the bits of the other levels.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/index/x86_unpack.h"
#include "kernels/math/x86_avx512.h"
#include "kernels/x86_amx.h"

enum { HALF = 64, PANEL_BYTES = GGL_LANES * DIM };

/* Dot products of the keys in tiles 4 and 6 and one panel of heads. */
static inline void multiply(const int8_t *panel, int32_t dot[AHEAD][GGL_LANES])
{
    _tile_zero(0);
    _tile_loadd(5, panel, 64);
    _tile_dpbssd(0, 4, 5);
    _tile_loadd(7, panel + PANEL_BYTES / 2, 64);
    _tile_dpbssd(0, 6, 7);
    _tile_stored(0, dot, 64);
}

/* ggl_add_lanes16 of each of sixteen vectors, the sums of two, four, eight and sixteen of them side by side. */
static inline __m512 add_lanes_of_all(__m512 v[16])
{
    for (int i = 0; i < 8; i++)
        v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x44), _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xee));
    for (int i = 0; i < 4; i++)
        v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x88), _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xdd));
    for (int i = 0; i < 2; i++)
        v[i] = _mm512_add_ps(_mm512_shuffle_ps(v[2 * i], v[2 * i + 1], 0x44), _mm512_shuffle_ps(v[2 * i], v[2 * i + 1], 0xee));
    __m512 sums = _mm512_add_ps(_mm512_shuffle_ps(v[0], v[1], 0x88), _mm512_shuffle_ps(v[0], v[1], 0xdd)); /* 4q + r: of vector 4r + q */
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), sums);
}

/* Scores of `n` keys; all AHEAD take part in the products. */
static void scan(const struct ggl_index_scan *q, const struct keys *keys, int n, float *score)
{
    _Alignas(64) int32_t dot[2][AHEAD][GGL_LANES];
    __m512 lane[AHEAD];
    for (int k = 0; k < AHEAD; k++) lane[k] = _mm512_setzero_ps();
    _tile_loadd(4, keys->values, DIM);
    _tile_loadd(6, keys->values[0] + HALF, DIM);
    multiply(q->values, dot[0]);
    for (int p = 0; p < q->n_panels; p++) { /* the next panel's products while this one's are weighed */
        if (p + 1 < q->n_panels) multiply(q->values + (p + 1) * PANEL_BYTES, dot[(p + 1) & 1]);
        __m512 gain = _mm512_loadu_ps(q->gains + p * GGL_LANES);
        for (int k = 0; k < AHEAD; k++) {
            __m512i d = _mm512_max_epi32(_mm512_load_si512(dot[p & 1][k]), _mm512_setzero_si512());
            lane[k] = _mm512_add_ps(lane[k], _mm512_mul_ps(gain, _mm512_cvtepi32_ps(d)));
        }
    }
    __m512 scores = _mm512_mul_ps(add_lanes_of_all(lane), _mm512_loadu_ps(keys->scale));
    _mm512_mask_storeu_ps(score, (__mmask16)((1u << n) - 1), scores);
}

bool ggl_index_scan_amx(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    const struct x86_amx_config config = x86_amx_config(HALF);
    struct keys keys;
    bool good = true;
    memset(&keys, 0, sizeof(keys));
    x86_amx_begin(&config);
    for (; n > 0 && good; n -= AHEAD, rows += AHEAD, score += AHEAD) {
        int count = n < AHEAD ? n : AHEAD;
        for (int k = 0; k < count && good; k++) good = unpack(rows[k], &keys, k, 0);
        for (int t = 0; t < n_queries && good; t++) scan(&q[t], &keys, count, score + t * stride);
    }
    x86_amx_end();
    return good;
}
