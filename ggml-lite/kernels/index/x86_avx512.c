#include "kernels/kernels.h"

#include "kernels/math/x86_avx512.h"

void ggl_index_combine_avx512(const float *products, int64_t stride, const float *weights, int n_panels, int n, float *score)
{
    for (int i = 0; i < n; i++) {
        __m512 lane = _mm512_setzero_ps();
        for (int p = 0; p < n_panels; p++) {
            __m512 y = _mm512_loadu_ps(products + i * stride + p * GGL_LANES);
            y = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), y);
            lane = _mm512_add_ps(lane, _mm512_mul_ps(_mm512_loadu_ps(weights + p * GGL_LANES), y));
        }
        score[i] = ggl_add_lanes16(lane);
    }
}
