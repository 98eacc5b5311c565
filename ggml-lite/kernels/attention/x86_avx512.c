/*
 * AVX-512, bit for bit the reference: the same lanes in the dot products, the same order over rows in the sums.
 * Blocks of 4 heads by 4 rows (scores) and 4 heads by 64 dimensions (sums) keep 16 accumulators in registers, so
 * that every row and query is loaded once a block.
 */
#include "kernels/kernels.h"

#include "kernels/math/math.h"
#include "kernels/math/x86_avx512.h"

enum { HEADS = 4, ROWS = 4, WIDE = 64, TILE = GGL_ATTENTION_TILE };

static inline __attribute__((always_inline)) void score_block(const float *q, const float *rows, int n_dim, float scale,
                                                              const int heads, const int n, float (*score)[TILE])
{
    __m512 acc[HEADS][ROWS];
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < n; i++) acc[h][i] = _mm512_setzero_ps();
    for (int d = 0; d < n_dim; d += GGL_LANES) {
        __m512 row[ROWS];
        for (int i = 0; i < n; i++) row[i] = _mm512_loadu_ps(rows + (int64_t)i * n_dim + d);
        for (int h = 0; h < heads; h++) {
            __m512 v = _mm512_loadu_ps(q + (int64_t)h * n_dim + d);
            for (int i = 0; i < n; i++) acc[h][i] = _mm512_add_ps(acc[h][i], _mm512_mul_ps(v, row[i]));
        }
    }
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < n; i++) score[h][i] = ggl_add_lanes16(acc[h][i]) * scale;
}

static void scores(const struct ggl_attention_state *s, const float *q, const float *rows, int n, int heads,
                   float score[HEADS][TILE])
{
    int i = 0;
    if (heads == HEADS) {
        for (; i + ROWS <= n; i += ROWS) {
            float block[HEADS][TILE];
            score_block(q, rows + (int64_t)i * s->n_dim, s->n_dim, s->scale, HEADS, ROWS, block);
            for (int h = 0; h < HEADS; h++)
                for (int j = 0; j < ROWS; j++) score[h][i + j] = block[h][j];
        }
    }
    for (; i < n; i++)
        for (int h = 0; h < heads; h++) {
            float one[1][TILE];
            score_block(q + (int64_t)h * s->n_dim, rows + (int64_t)i * s->n_dim, s->n_dim, s->scale, 1, 1, one);
            score[h][i] = one[0][0];
        }
}

/* Scores -> weights against the new maximum; the sums so far shrink to it. */
static void soften(struct ggl_attention_state *s, int head, float *score, int n)
{
    float max = s->max[head], sum = s->sum[head], *acc = s->acc + (int64_t)head * s->n_dim;
    for (int i = 0; i < n; i++) max = score[i] > max ? score[i] : max;
    if (max != s->max[head]) {
        float shrink = ggl_expf(s->max[head] - max);
        sum *= shrink;
        for (int d = 0; d < s->n_dim; d += GGL_LANES)
            _mm512_storeu_ps(acc + d, _mm512_mul_ps(_mm512_loadu_ps(acc + d), _mm512_set1_ps(shrink)));
        s->max[head] = max;
    }
    for (int i = 0; i < n; i += GGL_LANES) {
        __mmask16 m = (__mmask16)(n - i < GGL_LANES ? (1u << (n - i)) - 1 : 0xffffu);
        __m512 p = ggl_exp16(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, score + i), _mm512_set1_ps(max)));
        _mm512_mask_storeu_ps(score + i, m, p);
    }
    for (int i = 0; i < n; i++) sum += score[i];
    s->sum[head] = sum;
}

static inline __attribute__((always_inline)) void sum_block(float *acc, int n_dim, const float *rows, int n,
                                                            const float (*weight)[TILE], const int heads)
{
    __m512 a[HEADS][WIDE / GGL_LANES];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < WIDE / GGL_LANES; j++) a[h][j] = _mm512_loadu_ps(acc + (int64_t)h * n_dim + j * GGL_LANES);
    for (int i = 0; i < n; i++) {
        __m512 row[WIDE / GGL_LANES];
        for (int j = 0; j < WIDE / GGL_LANES; j++) row[j] = _mm512_loadu_ps(rows + (int64_t)i * n_dim + j * GGL_LANES);
        for (int h = 0; h < heads; h++) {
            __m512 w = _mm512_set1_ps(weight[h][i]);
            for (int j = 0; j < WIDE / GGL_LANES; j++) a[h][j] = _mm512_add_ps(a[h][j], _mm512_mul_ps(w, row[j]));
        }
    }
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < WIDE / GGL_LANES; j++) _mm512_storeu_ps(acc + (int64_t)h * n_dim + j * GGL_LANES, a[h][j]);
}

void ggl_attention_tile_avx512(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q, const float *rows, int n)
{
    if (s->n_dim % WIDE) { /* no published model */
        ggl_attention_tile_ref(k, s, q, rows, n);
        return;
    }
    for (int h = 0; h < s->n_head; h += HEADS) {
        int heads = s->n_head - h < HEADS ? s->n_head - h : HEADS;
        float score[HEADS][TILE], *acc = s->acc + (int64_t)h * s->n_dim;
        scores(s, q + (int64_t)h * s->n_dim, rows, n, heads, score);
        for (int i = 0; i < heads; i++) soften(s, h + i, score[i], n);
        for (int d = 0; d < s->n_dim; d += WIDE) {
            if (heads == HEADS) sum_block(acc + d, s->n_dim, rows + d, n, (const float (*)[TILE])score, HEADS);
            else
                for (int i = 0; i < heads; i++)
                    sum_block(acc + (int64_t)i * s->n_dim + d, s->n_dim, rows + d, n, (const float (*)[TILE])(score + i), 1);
        }
    }
}
