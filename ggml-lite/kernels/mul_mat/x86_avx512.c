/* AVX-512, bit for bit the reference: a multiply and an add are never fused.  A block of 4 rows by 4 vectors keeps 16 sums in
 * registers for 8 loads. */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"

enum { ROWS = 4, BLOCK_ROWS = 4, TOKENS = 4, HALVES_AHEAD = 8192 };
#include "kernels/mul_mat/walk.h"

INLINE __m512 add_product(__m512 sum, __m512 a, __m512 b)
{
    return _mm512_add_ps(sum, _mm512_mul_ps(a, b));
}

#include "kernels/mul_mat/x86_avx512.h"

void ggl_mul_mat_f32_avx512(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0,
                            int64_t row1, const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y,
                            int64_t y_stride, void *scratch)
{
    walk(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch, (struct ggl_fetch){0, 0});
}

void ggl_mul_mat_f32_avx512fetch(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0,
                                 int64_t row1, const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y,
                                 int64_t y_stride, void *scratch)
{
    walk(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch, (struct ggl_fetch){4096, 768});
}
