/*
 * Blocks of walk.h for AVX-512; included by files behind
 *
 *     enum { ROWS, BLOCK_ROWS, TOKENS, HALVES_AHEAD };
 *     #include "kernels/mul_mat/walk.h"
 *     static inline __m512 add_product(__m512 sum, __m512 a, __m512 b);
 *
 * A register is the 16 lanes of a sum.  A block of BLOCK_ROWS rows by TOKENS vectors keeps its sums in registers.
 */
INLINE __m512 load(const enum ggl_type type, const uint8_t *row, int64_t i, __mmask16 m)
{
    if (type == GGL_TYPE_F32) return _mm512_maskz_loadu_ps(m, row + 4 * i);
    __m256i half = _mm256_maskz_loadu_epi16(m, row + 2 * i);
    if (type == GGL_TYPE_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* Lanes of the tail that hold nothing must keep their sums: adding 0 would turn -0 into 0. */
INLINE void step(const enum ggl_type type, const struct block *b, const int rows, const int tokens, int64_t i, __mmask16 m,
                 __m512 acc[TOKENS][ROWS])
{
    __m512 w[ROWS];
    for (int r = 0; r < rows; r++) {
        if (tokens == 1) ggl_fetch_line(b->fetch, b->w + r * b->row_bytes + (type == GGL_TYPE_F32 ? 4 : 2) * i);
        w[r] = load(type, b->w + r * b->row_bytes, i, m);
    }
    for (int t = 0; t < tokens; t++) {
        __m512 x = _mm512_maskz_loadu_ps(m, b->x[t] + i);
        for (int r = 0; r < rows; r++) {
            const __m512 sum = add_product(acc[t][r], w[r], x);
            acc[t][r] = m == 0xffff ? sum : _mm512_mask_mov_ps(acc[t][r], m, sum);
        }
    }
}

INLINE void run_block(const enum ggl_type type, const struct block *b, const int rows, const int tokens)
{
    __m512 acc[TOKENS][ROWS];
    int64_t i = 0;
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) acc[t][r] = _mm512_setzero_ps();
    for (; i + GGL_LANES <= b->n; i += GGL_LANES) step(type, b, rows, tokens, i, 0xffff, acc);
    if (i < b->n) step(type, b, rows, tokens, i, (__mmask16)((1u << (b->n - i)) - 1), acc);
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) b->y[t * b->y_stride + r] = ggl_add_lanes16(acc[t][r]);
}

INLINE float dot_q8_0(const uint8_t *row, int64_t n, const float *x, const struct ggl_fetch fetch)
{
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += Q8_0_BLOCK, row += Q8_0_BYTES) {
        uint16_t half;
        ggl_fetch_line(fetch, row);
        memcpy(&half, row, 2);
        __m512 scale = _mm512_set1_ps(_cvtsh_ss(half));
        for (int h = 0; h < Q8_0_BLOCK; h += GGL_LANES) {
            __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)(row + 2 + h));
            __m512 w = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes)), scale);
            sum = add_product(sum, w, _mm512_loadu_ps(x + i + h));
        }
    }
    return ggl_add_lanes16(sum);
}
