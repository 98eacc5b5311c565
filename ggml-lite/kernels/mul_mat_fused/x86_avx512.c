/*
 * AVX-512, in mul_mat_fused.h's order.
 *
 * Twice as many products in a time are more than the second-level cache gives to rows as long as the model's.  So many vectors
 * meet long rows PART inputs at a time: MANY_ROWS rows, decoded there, by MANY vectors, whose sums, 16 lanes each, wait in the
 * scratch for the next part.  A block of four rows by six vectors is then in the first-level cache.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"
#include "quant/quant.h"

enum { ROWS = 4, BLOCK_ROWS = 4, TOKENS = 6, HALVES_AHEAD = 8192 };
#include "kernels/mul_mat/walk.h"

INLINE __m512 add_product(__m512 sum, __m512 a, __m512 b)
{
    return _mm512_fmadd_ps(a, b, sum);
}

#include "kernels/mul_mat/x86_avx512.h"

/* ---- many vectors, long rows */

enum { PART = 512, MANY_ROWS = 32, MANY = 66, FEWEST = 8 };

/* Some rows and vectors, in the scratch. */
struct meeting {
    float w[MANY_ROWS][PART];
    float sums[MANY_ROWS][MANY][GGL_LANES];
};

/* Rows are decoded again for every MANY vectors: of types that this takes little time for. */
static bool in_parts(const struct ggl_tensor *w, int64_t n_tokens)
{
    const bool simple = w->type == GGL_TYPE_F32 || w->type == GGL_TYPE_F16 || w->type == GGL_TYPE_BF16 || w->type == GGL_TYPE_Q8_0;
    return simple && n_tokens >= FEWEST && ggl_mul_mat_scratch(w->ne[0]) >= sizeof(struct meeting);
}

/* n inputs from `begin` on of some rows. */
static void decode(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row, int n_rows, int64_t begin, int64_t n,
                   struct meeting *m)
{
    const struct ggl_type_info *info = ggl_type_info(w->type);
    struct ggl_tensor part = *w; /* the slice's, beginning with those inputs */
    part.ne[0] = n, part.slices = NULL;
    part.data = ggl_tensor_slice(w, slice) + begin / info->block_elems * info->block_bytes;
    for (int r = 0; r < n_rows; r++) k->decode_row(&part, 0, row + r, m->w[r]);
}

/* Their sums go on by n inputs, of which the last may be fewer than 16: then lanes that get none keep theirs. */
INLINE void add_part(struct meeting *m, int row, int vector, const float *const *x, int64_t n, bool first, const int rows, const int vectors)
{
    __m512 sum[TOKENS][ROWS];
    for (int t = 0; t < vectors; t++)
        for (int r = 0; r < rows; r++) sum[t][r] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(m->sums[row + r][vector + t]);
    int64_t i = 0;
    for (; i + GGL_LANES <= n; i += GGL_LANES) {
        __m512 w[ROWS];
        for (int r = 0; r < rows; r++) w[r] = _mm512_loadu_ps(m->w[row + r] + i);
        for (int t = 0; t < vectors; t++) {
            const __m512 v = _mm512_loadu_ps(x[t] + i);
            for (int r = 0; r < rows; r++) sum[t][r] = _mm512_fmadd_ps(w[r], v, sum[t][r]);
        }
    }
    const __mmask16 left = (__mmask16)((1u << (n - i)) - 1);
    for (int t = 0; t < vectors && left; t++) {
        const __m512 v = _mm512_maskz_loadu_ps(left, x[t] + i);
        for (int r = 0; r < rows; r++) sum[t][r] = _mm512_mask3_fmadd_ps(_mm512_loadu_ps(m->w[row + r] + i), v, sum[t][r], left);
    }
    for (int t = 0; t < vectors; t++)
        for (int r = 0; r < rows; r++) _mm512_storeu_ps(m->sums[row + r][vector + t], sum[t][r]);
}

/* All rows of a part by up to TOKENS vectors. */
INLINE void meet(struct meeting *m, int n_rows, int vector, const float *const *x, int64_t n, bool first, const int vectors)
{
    int r = 0;
    for (; r + ROWS <= n_rows; r += ROWS) add_part(m, r, vector, x, n, first, ROWS, vectors);
    for (; r < n_rows; r++) add_part(m, r, vector, x, n, first, 1, vectors);
}

/* y of up to MANY_ROWS rows by up to MANY vectors, which are at x[]. */
static void run_meeting(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row, int n_rows, const float *const *x,
                        int n, float *y, int64_t y_stride, struct meeting *m)
{
    for (int64_t begin = 0; begin < w->ne[0]; begin += PART) {
        const int64_t inputs = w->ne[0] - begin < PART ? w->ne[0] - begin : PART;
        decode(k, w, slice, row, n_rows, begin, inputs, m);
        for (int t = 0; t < n; t += TOKENS) {
            const float *from[TOKENS];
            const int count = n - t < TOKENS ? n - t : TOKENS;
            for (int i = 0; i < count; i++) from[i] = x[t + i] + begin;
            if (count == TOKENS) meet(m, n_rows, t, from, inputs, begin == 0, TOKENS);
            else
                for (int i = 0; i < count; i++) meet(m, n_rows, t + i, from + i, inputs, begin == 0, 1);
        }
    }
    for (int t = 0; t < n; t++)
        for (int r = 0; r < n_rows; r++) y[t * y_stride + r] = ggl_add_lanes16(_mm512_loadu_ps(m->sums[r][t]));
}

void ggl_mul_mat_fused_avx512(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1,
                              const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride,
                              void *scratch)
{
    if (!in_parts(w, n_tokens)) {
        walk(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch, (struct ggl_fetch){4096, 768});
        return;
    }
    for (int64_t r = row0; r < row1; r += MANY_ROWS) {
        const int n_rows = (int)(row1 - r < MANY_ROWS ? row1 - r : MANY_ROWS);
        for (int64_t t = 0; t < n_tokens; t += MANY) {
            const float *from[MANY];
            const int count = (int)(n_tokens - t < MANY ? n_tokens - t : MANY);
            for (int i = 0; i < count; i++) from[i] = x + (index ? index[t + i] : t + i) * x_stride;
            run_meeting(k, w, slice, r, n_rows, from, count, y + t * y_stride + r - row0, y_stride, scratch);
        }
    }
}

void ggl_mul_mat_fused_amx(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1, const float *x,
                           int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride, void *scratch)
{
    ggl_mul_mat_fused_avx512(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}
