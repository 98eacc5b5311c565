/*
 * AVX2, bit for bit the reference: two registers are the 16 lanes of a sum, a multiply and an add are never fused.
 * A block of 2 rows by 2 vectors keeps 8 sums in registers for 8 loads.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 4, BLOCK_ROWS = 2, TOKENS = 2, HALF = 8, HALVES_AHEAD = 8192 };
#include "kernels/mul_mat/walk.h"

INLINE __m256 load(const enum ggl_type type, const uint8_t *row, int64_t i)
{
    if (type == GGL_TYPE_F32) return _mm256_loadu_ps((const float *)(const void *)(row + 4 * i));
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(row + 2 * i));
    if (type == GGL_TYPE_F16) return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* One element, for the tail. */
static inline float load_one(const enum ggl_type type, const uint8_t *row, int64_t i)
{
    float y;
    if (type == GGL_TYPE_F32) {
        memcpy(&y, row + 4 * i, 4);
        return y;
    }
    uint16_t half;
    memcpy(&half, row + 2 * i, 2);
    if (type == GGL_TYPE_F16) return _cvtsh_ss(half);
    uint32_t bits = (uint32_t)half << 16;
    memcpy(&y, &bits, 4);
    return y;
}

static inline float add_lanes(__m256 low, __m256 high)
{
    __m256 v8 = _mm256_add_ps(low, high);
    __m128 v4 = _mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
    __m128 v2 = _mm_add_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_add_ss(v2, _mm_movehdup_ps(v2)));
}

static inline float add_tail(const enum ggl_type type, const struct block *b, int r, int t, int64_t i, __m256 low, __m256 high)
{
    float acc[GGL_LANES];
    _mm256_storeu_ps(acc, low);
    _mm256_storeu_ps(acc + HALF, high);
    for (int l = 0; i + l < b->n; l++) acc[l] += load_one(type, b->w + r * b->row_bytes, i + l) * b->x[t][i + l];
    return add_lanes(_mm256_loadu_ps(acc), _mm256_loadu_ps(acc + HALF));
}

INLINE void run_block(const enum ggl_type type, const struct block *b, const int rows,
                                                            const int tokens)
{
    __m256 acc[TOKENS][ROWS][2];
    int64_t i = 0;
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) acc[t][r][0] = acc[t][r][1] = _mm256_setzero_ps();
    for (; i + GGL_LANES <= b->n; i += GGL_LANES) {
        for (int r = 0; r < rows && tokens == 1; r++)
            ggl_fetch_line(b->fetch, b->w + r * b->row_bytes + (type == GGL_TYPE_F32 ? 4 : 2) * i);
        for (int h = 0; h < 2; h++) {
            __m256 w[ROWS];
            for (int r = 0; r < rows; r++) w[r] = load(type, b->w + r * b->row_bytes, i + h * HALF);
            for (int t = 0; t < tokens; t++) {
                __m256 x = _mm256_loadu_ps(b->x[t] + i + h * HALF);
                for (int r = 0; r < rows; r++) acc[t][r][h] = _mm256_add_ps(acc[t][r][h], _mm256_mul_ps(w[r], x));
            }
        }
    }
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++)
            b->y[t * b->y_stride + r] = i == b->n ? add_lanes(acc[t][r][0], acc[t][r][1])
                                                  : add_tail(type, b, r, t, i, acc[t][r][0], acc[t][r][1]);
}

INLINE float dot_q8_0(const uint8_t *row, int64_t n, const float *x, const struct ggl_fetch fetch)
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (int64_t i = 0; i < n; i += Q8_0_BLOCK, row += Q8_0_BYTES) {
        uint16_t half;
        ggl_fetch_line(fetch, row);
        memcpy(&half, row, 2);
        __m256 scale = _mm256_set1_ps(_cvtsh_ss(half));
        for (int h = 0; h < Q8_0_BLOCK; h += HALF) {
            __m128i codes = _mm_loadl_epi64((const __m128i *)(const void *)(row + 2 + h));
            __m256 w = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), scale);
            sum[h / HALF % 2] = _mm256_add_ps(sum[h / HALF % 2], _mm256_mul_ps(w, _mm256_loadu_ps(x + i + h)));
        }
    }
    return add_lanes(sum[0], sum[1]);
}

void ggl_mul_mat_f32_avx2(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0,
                          int64_t row1, const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y,
                          int64_t y_stride, void *scratch)
{
    walk(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch, (struct ggl_fetch){0, 0});
}

void ggl_mul_mat_f32_avx2fetch(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0,
                               int64_t row1, const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y,
                               int64_t y_stride, void *scratch)
{
    walk(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch, (struct ggl_fetch){4096, 768});
}
