/*
 * AVX-512 with BF16: the 16 lanes of a sum are a register, and 32 inputs an instruction.  24 sums are in registers at a
 * time: of 4 rows by 6 tokens, all s0 are added up first, then all s1.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"
#include "kernels/fetch.h"

enum { REGISTERS = 24, ROWS = 4, TOKENS = 6, FEW = 1 };
enum { GROUP = 8, CHUNK = 24, PART = 4096, COPY_FOR = 12, BLOCK_BYTES = 1 << 18 };
#include "kernels/bf16/walk.h"

INLINE __m512bh load(const void *p)
{
    return (__m512bh)_mm512_loadu_si512(p);
}

/* s0 and s1, or one of both. */
INLINE void run_halves(const struct tile *t, const int first, const int end, const int rows, const int tokens)
{
    __m512 sum[2][TOKENS][ROWS];
    for (int h = first; h < end; h++)
        for (int k = 0; k < tokens; k++)
            for (int r = 0; r < rows; r++) sum[h][k][r] = _mm512_loadu_ps(t->s + k * t->pitch + r * SUMS + h * GGL_LANES);
    for (int64_t i = 0; i < t->n; i += STEP)
        for (int h = first; h < end; h++) {
            __m512bh w[ROWS];
            for (int r = 0; r < rows; r++) {
                w[r] = load(t->w + r * t->row_bytes + 2 * i + h * STEP);
                if (rows == ROWS) _mm_prefetch((const char *)t->next + r * t->next_bytes + 2 * i + h * STEP, _MM_HINT_T1);
            }
            for (int k = 0; k < tokens; k++) {
                __m512bh x = load(t->x + k * t->x_stride + i + h * STEP / 2);
                for (int r = 0; r < rows; r++) sum[h][k][r] = _mm512_dpbf16_ps(sum[h][k][r], x, w[r]);
            }
        }
    for (int h = first; h < end; h++)
        for (int k = 0; k < tokens; k++)
            for (int r = 0; r < rows; r++) _mm512_storeu_ps(t->s + k * t->pitch + r * SUMS + h * GGL_LANES, sum[h][k][r]);
}

INLINE void run_tile(const struct tile *t, const int rows, const int tokens)
{
    if (2 * rows * tokens <= REGISTERS) {
        run_halves(t, 0, 2, rows, tokens);
        return;
    }
    run_halves(t, 0, 1, rows, tokens);
    run_halves(t, 1, 2, rows, tokens);
}

static void multiply(const struct block *b, float *y, int64_t y_stride)
{
    const float *s = b->s;
    add_block(b);
    for (int t = 0; t < b->tokens; t++)
        for (int r = 0; r < b->rows; r++, s += SUMS)
            y[t * y_stride + r] = ggl_add_lanes16(_mm512_add_ps(_mm512_loadu_ps(s), _mm512_loadu_ps(s + GGL_LANES)));
}

void ggl_bf16_mul_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                         int64_t n_tokens, float *y, int64_t y_stride)
{
    walk(rows, row_bytes, n_rows, n, x, x_stride, n_tokens, y, y_stride);
}

/* One token meets row after row, fetched ahead. */
void ggl_bf16_mul_avx512fetch(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                              int64_t n_tokens, float *y, int64_t y_stride)
{
    const struct ggl_fetch ahead = {12288, 6144};
    if (n_tokens != 1 || n % STEP) {
        walk(rows, row_bytes, n_rows, n, x, x_stride, n_tokens, y, y_stride);
        return;
    }
    for (int64_t r = 0; r < n_rows; r++, rows += row_bytes) {
        __m512 s0 = _mm512_setzero_ps(), s1 = s0;
        for (int64_t i = 0; i < n; i += STEP) {
            ggl_fetch_line(ahead, rows + 2 * i);
            ggl_fetch_line(ahead, rows + 2 * i + STEP);
            s0 = _mm512_dpbf16_ps(s0, load(x + i), load(rows + 2 * i));
            s1 = _mm512_dpbf16_ps(s1, load(x + i + STEP / 2), load(rows + 2 * i + STEP));
        }
        y[r] = ggl_add_lanes16(_mm512_add_ps(s0, s1));
    }
}
