/*
 * AVX-512 with BF16 and VBMI: 64 codes become 64 BF16 by two lookups of 128 bytes (upper and lower byte), the
 * sign is put back, and the dot-product instruction adds two products a lane.  For one token the two chains of sums limit
 * what comes from a cache (38 GB/s a core), but not from memory, where reading two tiles at a time was slower.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/fp8/x86_vbmi.h"

enum { TOKENS = 8 };

static inline __m512bh pair_of(const uint16_t *x)
{
    int32_t v;
    memcpy(&v, x, 4);
    return (__m512bh)_mm512_set1_epi32(v);
}

static inline __attribute__((always_inline)) void run_tokens(const struct tables *t, const uint8_t *panel, int64_t n,
                                                             const uint16_t *x, int64_t x_stride, const int count,
                                                             __m512 *sum)
{
    const uint8_t *scales = panel + n * GGL_FP8_ROWS;
    for (int64_t i = 0; i < n; scales += 4) {
        __m512 s0[TOKENS], s1[TOKENS];
        int64_t end = i + GGL_FP8_TILE < n ? i + GGL_FP8_TILE : n;
        for (int k = 0; k < count; k++) s0[k] = s1[k] = _mm512_setzero_ps();
        for (; i < end; i += 4) {
            __m512i w[2];
            decode(t, panel + i * GGL_FP8_ROWS, w);
            for (int k = 0; k < count; k++) {
                s0[k] = _mm512_dpbf16_ps(s0[k], (__m512bh)w[0], pair_of(x + k * x_stride + i));
                s1[k] = _mm512_dpbf16_ps(s1[k], (__m512bh)w[1], pair_of(x + k * x_stride + i + 2));
            }
        }
        float scale;
        memcpy(&scale, scales, 4);
        for (int k = 0; k < count; k++)
            sum[k] = _mm512_add_ps(sum[k], _mm512_mul_ps(_mm512_add_ps(s0[k], s1[k]), _mm512_set1_ps(scale)));
    }
}

static void mul_panel(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                      int64_t y_stride, int n_rows, bool more)
{
    const struct tables t = load_tables();
    __mmask16 rows = (__mmask16)((1u << n_rows) - 1), old = more ? rows : 0;
    for (int64_t k = 0; k < n_tokens;) {
        const uint16_t *v = x + k * x_stride;
        int64_t left = n_tokens - k;
        int count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        __m512 sum[TOKENS];
        for (int i = 0; i < count; i++) sum[i] = _mm512_maskz_loadu_ps(old, y + (k + i) * y_stride);
        if (count == 8) run_tokens(&t, panel, n, v, x_stride, 8, sum);
        else if (count == 4) run_tokens(&t, panel, n, v, x_stride, 4, sum);
        else if (count == 2) run_tokens(&t, panel, n, v, x_stride, 2, sum);
        else run_tokens(&t, panel, n, v, x_stride, 1, sum);
        for (int i = 0; i < count; i++) _mm512_mask_storeu_ps(y + (k + i) * y_stride, rows, sum[i]);
        k += count;
    }
}

void ggl_fp8_mul_avx512(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                        int64_t y_stride, int n_rows, bool more)
{
    for (int r = 0; r < n_rows; r += GGL_FP8_ROWS, panel += ggl_fp8_panel_bytes(n))
        mul_panel(panel, n, x, x_stride, n_tokens, y + r, y_stride, n_rows - r < GGL_FP8_ROWS ? n_rows - r : GGL_FP8_ROWS, more);
}

void ggl_fp8_pack_avx512(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    pack(rows, row_bytes, n_rows, n, panel);
}
