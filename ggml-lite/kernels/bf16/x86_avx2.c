/*
 * AVX2: a word of two BF16 is the float of its second half once the first is masked away, and that of its first half when
 * shifted; products are exact, so that fused multiply-adds round as vdpbf16ps does.  As it does, too, the processor is told
 * to take small numbers as zeros; the tree of lanes comes after that.  16 inputs (8 lanes) are a strip, four strips
 * the 64; where the sums of all would not fit into the registers, tiles go strip by strip.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx2.h"

enum { ROWS = 2, TOKENS = 5, FEW = 3, GROUP = 8, CHUNK = 20, PART = 2048 };
enum { COPY_FOR = INT32_MAX, BLOCK_BYTES = 1 << 19 };
enum { STRIP = 16, STRIPS = 4, LANES = 8, AHEAD = 4096, ZERO_INPUTS = 0x40, ZERO_RESULTS = 0x8000 };
#include "kernels/bf16/walk.h"

INLINE __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE __m256 odd(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}

INLINE __m256 even(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

/* All strips of one row at once.  They are more instructions than AVX-512's, so that a processor that looks ahead sees less
 * of the row, and has to be told what comes. */
INLINE void run_row(const struct tile *t, const int tokens)
{
    __m256 sum[FEW][STRIPS];
    for (int k = 0; k < tokens; k++)
        for (int j = 0; j < STRIPS; j++) sum[k][j] = _mm256_loadu_ps(t->s + k * t->pitch + LANES * j);
    for (int64_t i = 0; i < t->n; i += STEP) {
        _mm_prefetch((const char *)t->w + 2 * i + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)t->w + 2 * i + AHEAD + STEP, _MM_HINT_T0);
        for (int j = 0; j < STRIPS; j++) {
            __m256i w = load(t->w + 2 * (i + j * STRIP));
            __asm__("" : "+x"(w)); /* one load, not one for each use */
            for (int k = 0; k < tokens; k++) {
                __m256i x = load(t->x + k * t->x_stride + i + j * STRIP);
                __asm__("" : "+x"(x));
                sum[k][j] = _mm256_fmadd_ps(even(w), even(x), _mm256_fmadd_ps(odd(w), odd(x), sum[k][j]));
            }
        }
    }
    for (int k = 0; k < tokens; k++)
        for (int j = 0; j < STRIPS; j++) _mm256_storeu_ps(t->s + k * t->pitch + LANES * j, sum[k][j]);
}

INLINE void run_strip(const struct tile *t, const int j, const int rows, const int tokens)
{
    __m256 sum[TOKENS][ROWS];
    for (int k = 0; k < tokens; k++)
        for (int r = 0; r < rows; r++) sum[k][r] = _mm256_loadu_ps(t->s + k * t->pitch + r * SUMS + LANES * j);
    for (int64_t i = 0; i < t->n; i += STEP) {
        const uint8_t *row = t->w + 2 * (i + j * STRIP);
        const uint16_t *x = t->x + i + j * STRIP;
        __m256 w[ROWS];
        for (int r = 0; r < rows; r++) {
            w[r] = odd(load(row + r * t->row_bytes));
            if (rows == ROWS && j % 2 == 0) /* a line is two strips */
                _mm_prefetch((const char *)t->next + r * t->next_bytes + 2 * (i + j * STRIP), _MM_HINT_T1);
        }
        for (int k = 0; k < tokens; k++) {
            __m256 v = odd(load(x + k * t->x_stride));
            for (int r = 0; r < rows; r++) sum[k][r] = _mm256_fmadd_ps(w[r], v, sum[k][r]);
        }
        for (int r = 0; r < rows; r++) w[r] = even(load(row + r * t->row_bytes));
        for (int k = 0; k < tokens; k++) {
            __m256 v = even(load(x + k * t->x_stride));
            for (int r = 0; r < rows; r++) sum[k][r] = _mm256_fmadd_ps(w[r], v, sum[k][r]);
        }
    }
    for (int k = 0; k < tokens; k++)
        for (int r = 0; r < rows; r++) _mm256_storeu_ps(t->s + k * t->pitch + r * SUMS + LANES * j, sum[k][r]);
}

INLINE void run_tile(const struct tile *t, const int rows, const int tokens)
{
    if (rows == 1 && tokens <= FEW) {
        run_row(t, tokens);
        return;
    }
    for (int j = 0; j < STRIPS; j++) run_strip(t, j, rows, tokens);
}

static void multiply(const struct block *b, float *y, int64_t y_stride)
{
    const float *s = b->s;
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | ZERO_INPUTS | ZERO_RESULTS);
    add_block(b);
    _mm_setcsr(before);
    __asm__ volatile("" ::: "memory"); /* the trees come after it */
    for (int t = 0; t < b->tokens; t++)
        for (int r = 0; r < b->rows; r++, s += SUMS) {
            __m256 low = _mm256_add_ps(_mm256_loadu_ps(s), _mm256_loadu_ps(s + 16));
            __m256 high = _mm256_add_ps(_mm256_loadu_ps(s + 8), _mm256_loadu_ps(s + 24));
            y[t * y_stride + r] = ggl_add_lanes8x2(low, high);
        }
}

void ggl_bf16_mul_avx2(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                       int64_t n_tokens, float *y, int64_t y_stride)
{
    walk(rows, row_bytes, n_rows, n, x, x_stride, n_tokens, y, y_stride);
}
