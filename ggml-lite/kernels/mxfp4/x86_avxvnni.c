/* AVX2 with AVX-VNNI: the dot product of bytes, into a chain for each nibble. */
#include "kernels/kernels.h"

#include "kernels/mxfp4/x86_avx2.h"

static inline __m256i dot_block(const __m256i v[4], __m256i table, const int8_t *x, int32_t start)
{
    __m256i low = _mm256_set1_epi32(start), high = _mm256_setzero_si256();
    for (int j = 0; j < 4; j++) {
        low = _mm256_dpbusd_avx_epi32(low, low_weights(v[j], table), broadcast4(x + 4 * j));
        high = _mm256_dpbusd_avx_epi32(high, high_weights(v[j], table), broadcast4(x + 16 + 4 * j));
    }
    return _mm256_add_epi32(low, high);
}

void ggl_mxfp4_rows_avxvnni(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    all_rows(rows, row_bytes, n, n_rows, x, y, false);
}

void ggl_mxfp4_rows_avxvnnifetch(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    all_rows(rows, row_bytes, n, n_rows, x, y, true);
}
