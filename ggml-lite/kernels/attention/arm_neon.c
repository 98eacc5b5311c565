/*
 * NEON, bit for bit the reference: the same lanes in the dot products, the same order over rows in the sums.  Blocks
 * of 2 heads by 2 rows (scores) and 4 heads by 16 dimensions (sums) keep 16 accumulators in registers.
 */
#include "kernels/kernels.h"

#include "kernels/math/arm_neon.h"
#include "kernels/math/math.h"

enum { HEADS = 4, SCORE_HEADS = 2, ROWS = 2, PARTS = GGL_LANES / 4, TILE = GGL_ATTENTION_TILE };

static inline __attribute__((always_inline)) void score_block(const float *q, const float *rows, int n_dim, float scale,
                                                              const int heads, const int n, float (*score)[TILE])
{
    float32x4_t acc[SCORE_HEADS][ROWS][PARTS];
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < PARTS; j++) acc[h][i][j] = vdupq_n_f32(0);
    for (int d = 0; d < n_dim; d += GGL_LANES) {
        for (int j = 0; j < PARTS; j++) {
            float32x4_t row[ROWS];
            for (int i = 0; i < n; i++) row[i] = vld1q_f32(rows + (int64_t)i * n_dim + d + 4 * j);
            for (int h = 0; h < heads; h++) {
                float32x4_t v = vld1q_f32(q + (int64_t)h * n_dim + d + 4 * j);
                for (int i = 0; i < n; i++) acc[h][i][j] = vaddq_f32(acc[h][i][j], vmulq_f32(v, row[i]));
            }
        }
    }
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < n; i++) score[h][i] = ggl_add_lanes16(acc[h][i]) * scale;
}

/* score[h][i] of `heads` heads and n rows. */
static void scores(const struct ggl_attention_state *s, const float *q, const float *rows, int n, int heads,
                   float (*score)[TILE])
{
    for (int h = 0; h < heads; h += SCORE_HEADS, q += SCORE_HEADS * (int64_t)s->n_dim) {
        bool both = h + 1 < heads;
        for (int i = 0; i < n; i += ROWS) {
            const float *r = rows + (int64_t)i * s->n_dim;
            float block[SCORE_HEADS][TILE];
            int count = n - i < ROWS ? n - i : ROWS;
            if (both && count == ROWS) score_block(q, r, s->n_dim, s->scale, SCORE_HEADS, ROWS, block);
            else if (both) score_block(q, r, s->n_dim, s->scale, SCORE_HEADS, 1, block);
            else if (count == ROWS) score_block(q, r, s->n_dim, s->scale, 1, ROWS, block);
            else score_block(q, r, s->n_dim, s->scale, 1, 1, block);
            for (int k = 0; k < (both ? SCORE_HEADS : 1); k++)
                for (int j = 0; j < count; j++) score[h + k][i + j] = block[k][j];
        }
    }
}

/* Scores -> weights against the new maximum; the sums so far shrink to it. */
static void soften(struct ggl_attention_state *s, int head, float *score, int n)
{
    float max = s->max[head], sum = s->sum[head], *acc = s->acc + (int64_t)head * s->n_dim;
    int i = 0;
    for (int j = 0; j < n; j++) max = score[j] > max ? score[j] : max;
    if (max != s->max[head]) {
        float shrink = ggl_expf(s->max[head] - max);
        sum *= shrink;
        for (int d = 0; d < s->n_dim; d += 4) vst1q_f32(acc + d, vmulq_n_f32(vld1q_f32(acc + d), shrink));
        s->max[head] = max;
    }
    for (; i + 4 <= n; i += 4) vst1q_f32(score + i, ggl_exp4(vsubq_f32(vld1q_f32(score + i), vdupq_n_f32(max))));
    for (; i < n; i++) score[i] = ggl_expf(score[i] - max);
    for (int j = 0; j < n; j++) sum += score[j];
    s->sum[head] = sum;
}

/* acc[h] += sum over rows of weight[h][i] * row, 16 dimensions of them. */
static inline __attribute__((always_inline)) void sum_block(float *acc, int n_dim, const float *rows, int n,
                                                            const float (*weight)[TILE], const int heads)
{
    float32x4_t a[HEADS][PARTS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < PARTS; j++) a[h][j] = vld1q_f32(acc + (int64_t)h * n_dim + 4 * j);
    for (int i = 0; i < n; i++) {
        float32x4_t row[PARTS];
        for (int j = 0; j < PARTS; j++) row[j] = vld1q_f32(rows + (int64_t)i * n_dim + 4 * j);
        for (int h = 0; h < heads; h++)
            for (int j = 0; j < PARTS; j++) a[h][j] = vaddq_f32(a[h][j], vmulq_n_f32(row[j], weight[h][i]));
    }
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < PARTS; j++) vst1q_f32(acc + (int64_t)h * n_dim + 4 * j, a[h][j]);
}

void ggl_attention_tile_neon(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q, const float *rows, int n)
{
    if (s->n_dim % GGL_LANES) { /* no published model */
        ggl_attention_tile_ref(k, s, q, rows, n);
        return;
    }
    for (int h = 0; h < s->n_head; h += HEADS) {
        int heads = s->n_head - h < HEADS ? s->n_head - h : HEADS;
        float score[HEADS][TILE], *acc = s->acc + (int64_t)h * s->n_dim;
        scores(s, q + (int64_t)h * s->n_dim, rows, n, heads, score);
        for (int i = 0; i < heads; i++) soften(s, h + i, score[i], n);
        for (int d = 0; d < s->n_dim; d += GGL_LANES) {
            if (heads == HEADS) sum_block(acc + d, s->n_dim, rows + d, n, (const float (*)[TILE])score, HEADS);
            else
                for (int i = 0; i < heads; i++)
                    sum_block(acc + (int64_t)i * s->n_dim + d, s->n_dim, rows + d, n, (const float (*)[TILE])(score + i), 1);
        }
    }
}
