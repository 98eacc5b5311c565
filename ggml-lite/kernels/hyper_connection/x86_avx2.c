/*
 * AVX2: eight elements at a time, for four streams (all published models); each element's sum keeps its order, and a
 * multiply and an add are never fused, so that the bits are the reference's.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

enum { LANES = 8, STREAMS = 4 };

void ggl_hc_pre_f32_avx2(float *y, const float *h, const float *mix, int hc, int64_t n, int64_t begin, int64_t end)
{
    if (hc == STREAMS) {
        for (; begin + LANES <= end; begin += LANES) {
            __m256 sum = _mm256_mul_ps(_mm256_set1_ps(mix[0]), _mm256_loadu_ps(h + begin));
            for (int j = 1; j < STREAMS; j++)
                sum = _mm256_add_ps(sum, _mm256_mul_ps(_mm256_set1_ps(mix[j]), _mm256_loadu_ps(h + j * n + begin)));
            _mm256_storeu_ps(y + begin, sum);
        }
    }
    ggl_hc_pre_f32_ref(y, h, mix, hc, n, begin, end);
}

void ggl_hc_post_f32_avx2(float *out, const float *x, const float *h, const float *post, const float *comb, int hc, int64_t n,
                          int64_t begin, int64_t end)
{
    if (hc == STREAMS) {
        for (; begin + LANES <= end; begin += LANES) {
            __m256 v = _mm256_loadu_ps(x + begin), in[STREAMS];
            for (int j = 0; j < STREAMS; j++) in[j] = _mm256_loadu_ps(h + j * n + begin);
            for (int k = 0; k < STREAMS; k++) {
                __m256 sum = _mm256_mul_ps(_mm256_set1_ps(comb[k]), in[0]);
                for (int j = 1; j < STREAMS; j++)
                    sum = _mm256_add_ps(sum, _mm256_mul_ps(_mm256_set1_ps(comb[j * STREAMS + k]), in[j]));
                _mm256_storeu_ps(out + k * n + begin, _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(post[k]), v), sum));
            }
        }
    }
    ggl_hc_post_f32_ref(out, x, h, post, comb, hc, n, begin, end);
}
