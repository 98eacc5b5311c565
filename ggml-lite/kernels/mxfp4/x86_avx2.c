/* AVX2: products of two bytes in 16 bits, four times added there before they are widened. */
#include "kernels/kernels.h"

#include "kernels/mxfp4/x86_avx2.h"

static inline __m256i dot_block(const __m256i v[4], __m256i table, const int8_t *x, int32_t start)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i low = _mm256_setzero_si256(), high = low; /* 4 x 2 x 24 x 127 is 24384 */
    for (int j = 0; j < 4; j++) {
        low = _mm256_add_epi16(low, _mm256_maddubs_epi16(low_weights(v[j], table), broadcast4(x + 4 * j)));
        high = _mm256_add_epi16(high, _mm256_maddubs_epi16(high_weights(v[j], table), broadcast4(x + 16 + 4 * j)));
    }
    __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(low, ones), _mm256_madd_epi16(high, ones));
    return _mm256_add_epi32(dot, _mm256_set1_epi32(start));
}

/* Into the left or the right half of a panel. */
static void expand_eight(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel, uint8_t *scales)
{
    const __m256i table = biased_table();
    const uint8_t *next = rows + ROWS * row_bytes;
    struct halves h = make_halves(rows, row_bytes);
    for (int64_t b = 0; b < n / BLOCK; b++, panel += 2 * ROWS * BLOCK, scales += 8 * ROWS, next += ROWS * BLOCK_BYTES) {
        __m256i v[4];
        uint8_t e[ROWS];
        fetch(next);
        gather_scales(&h, 0, e);
        load_codes(&h, v);
        for (int j = 0; j < 4; j++) {
            _mm256_storeu_si256((__m256i *)(void *)(panel + 64 * j), low_weights(v[j], table));
            _mm256_storeu_si256((__m256i *)(void *)(panel + 64 * (4 + j)), high_weights(v[j], table));
        }
        _mm256_storeu_ps((float *)(void *)scales, half_scales(e));
        next_block(&h);
    }
}

void ggl_mxfp4_rows_avx2(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    all_rows(rows, row_bytes, n, n_rows, x, y, false);
}

void ggl_mxfp4_rows_avx2fetch(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    all_rows(rows, row_bytes, n, n_rows, x, y, true);
}

void ggl_mxfp4_expand_avx2(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    uint8_t *scales = panel + ggl_panel_scales_at(GGL_PANEL_X8, n);
    for (int i = 0; i < 2; i++) expand_eight(rows + i * ROWS * row_bytes, row_bytes, n, panel + i * 32, scales + i * 32);
}
