/* AVX2: pairs of byte products in 16 bits, widened by a product with ones; floats with fused multiply-add. */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/fetch.h"

enum { SUMS = 10 };

static inline __attribute__((always_inline)) uint64_t read_all(const void *data, int64_t bytes, const struct ggl_fetch fetch)
{
    const __m256i *p = data;
    __m256i sum[4];
    for (int l = 0; l < 4; l++) sum[l] = _mm256_setzero_si256();
    for (int64_t i = 0; i < bytes / 32; i += 4) {
        ggl_fetch_block(fetch, (const uint8_t *)(p + i), 128);
        for (int l = 0; l < 4; l++) sum[l] = _mm256_add_epi64(sum[l], _mm256_load_si256(p + i + l));
    }
    sum[0] = _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
    uint64_t word[4];
    _mm256_storeu_si256((__m256i *)(void *)word, sum[0]);
    return word[0] + word[1] + word[2] + word[3];
}

uint64_t ggl_read_bandwidth_avx2(const void *data, int64_t bytes)
{
    return read_all(data, bytes, (struct ggl_fetch){0, 0});
}

/* As fast as the loop of AVX-512, so that no level's kernels are held against less than the machine can do. */
uint64_t ggl_read_bandwidth_avx2fetch(const void *data, int64_t bytes)
{
    return read_all(data, bytes, (struct ggl_fetch){12288, 4096});
}

uint32_t ggl_int8_peak_avx2(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    const __m256i ones = _mm256_set1_epi16(1), y = _mm256_set1_epi8((char)b);
    __m256i x = _mm256_set1_epi8((char)a), sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_si256();
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < SUMS; i++) {
            GGL_PEAK_HIDE(x); /* each product is a new one */
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
        }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    uint32_t word[8], total = 0;
    _mm256_storeu_si256((__m256i *)(void *)word, sum[0]);
    for (int i = 0; i < 8; i++) total += word[i];
    *macs = rounds * SUMS * 32;
    return total;
}

float ggl_bf16_peak_avx2(float a, float b, int64_t rounds, int64_t *macs)
{
    const __m256 y = _mm256_set1_ps(b);
    __m256 x = _mm256_set1_ps(a), sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_ps();
    for (int64_t r = 0; r < rounds; r++) {
        GGL_PEAK_HIDE(x);
        for (int i = 0; i < SUMS; i++) sum[i] = _mm256_fmadd_ps(x, y, sum[i]);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    float word[8], total = 0;
    _mm256_storeu_ps(word, sum[0]);
    for (int i = 0; i < 8; i++) total += word[i];
    *macs = rounds * SUMS * 8;
    return total;
}
