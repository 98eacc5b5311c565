#include "kernels/kernels.h"

#include <string.h>

#include "kernels/math/math.h"
#include "kernels/math/steps.h"
#include "quant/quant.h"

enum { TILE = GGL_ATTENTION_TILE, GROUP = 16, MAX_DIM = GGL_ATTENTION16_MAX_DIM };

void ggl_attention16_query_ref(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out)
{
    k->act_bf16(q, (int64_t)n_head * n_dim, out);
}

void ggl_attention16_pack_ref(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    float x[MAX_DIM];
    int n_dim = f->n_dim;
    size_t bytes = (size_t)((n + GROUP - 1) / GROUP * GROUP * n_dim) * 2;
    memset(keys, 0, bytes);
    memset(values, 0, bytes);
    for (int i = 0; i < n; i++) {
        ggl_row_decode(f, rows[i], x);
        for (int d = 0; d < n_dim; d++) {
            uint16_t h = ggl_bf16_from_f32(x[d]);
            keys[(int64_t)(i / GROUP * (n_dim / 2) + d / 2) * 2 * GROUP + i % GROUP * 2 + d % 2] = h;
            values[(int64_t)(i / 2 * n_dim + d) * 2 + i % 2] = h;
        }
    }
}

static float score_of(const uint16_t *q, const uint16_t *keys, int n_dim, int row)
{
    const uint16_t *k = keys + (int64_t)(row / GROUP) * n_dim * GROUP + row % GROUP * 2;
    float score = 0;
    for (int d = 0; d < n_dim; d += 2, k += 2 * GROUP) {
        score += ggl_bf16_to_f32(q[d + 1]) * ggl_bf16_to_f32(k[1]);
        score += ggl_bf16_to_f32(q[d]) * ggl_bf16_to_f32(k[0]);
    }
    return score;
}

/* Scores -> BF16 weights against the new maximum, zero from n on; returns what the sums so far shrink by. */
static float soften(struct ggl_attention_state *s, int head, const float *score, int n, float *weight)
{
    float max = s->max[head], lanes[GGL_LANES] = {0};
    for (int i = 0; i < n; i++) max = score[i] > max ? score[i] : max;
    float shrink = max != s->max[head] ? ggl_expf(s->max[head] - max) : 1.0f;
    for (int i = 0; i < TILE; i++) {
        float p = i < n ? ggl_expf(score[i] - max) : 0.0f;
        weight[i] = p < 0x1p-126f ? 0.0f : ggl_bf16_to_f32(ggl_bf16_from_f32(p));
        lanes[i % GGL_LANES] += weight[i];
    }
    for (int width = GGL_LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) lanes[l] += lanes[l + width];
    s->max[head] = max;
    s->sum[head] = s->sum[head] * shrink + lanes[0];
    return shrink;
}

void ggl_attention16_tile_ref(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    for (int h = 0; h < s->n_head; h++) {
        float score[TILE], weight[TILE], *acc = s->acc + (int64_t)h * s->n_dim;
        for (int i = 0; i < n; i++) score[i] = score_of(q + (int64_t)h * s->n_dim, keys, s->n_dim, i) * s->scale;
        float shrink = soften(s, h, score, n, weight);
        for (int d = 0; d < s->n_dim; d++) {
            float a = acc[d] * shrink;
            for (int i = 0; i < n; i += 2) {
                const uint16_t *v = values + (int64_t)(i / 2 * s->n_dim + d) * 2;
                a += weight[i + 1] * ggl_bf16_to_f32(v[1]);
                a += weight[i] * ggl_bf16_to_f32(v[0]);
            }
            acc[d] = a;
        }
    }
}

/* ---- the order of AMX */

static float score_in_steps(const uint16_t *q, const uint16_t *keys, int n_dim, int row)
{
    const uint16_t *k = keys + (int64_t)(row / GROUP) * n_dim * GROUP + row % GROUP * 2;
    float score = 0;
    for (int d = 0; d < n_dim; d += GGL_STEP) {
        float a[GGL_STEP], b[GGL_STEP];
        int n = n_dim - d < GGL_STEP ? n_dim - d : GGL_STEP;
        for (int i = 0; i < n; i++) a[i] = ggl_bf16_to_f32(q[d + i]), b[i] = ggl_bf16_to_f32(k[(d + i) / 2 * 2 * GROUP + i % 2]);
        score = ggl_add_step(score, a, b, n);
    }
    return score;
}

/* acc and dimension d of n rows under their weights, those that make n even being zero. */
static float add_rows(float acc, const float *weight, const uint16_t *values, int n_dim, int d, int n)
{
    for (int i = 0; i < n; i += GGL_STEP) {
        float v[GGL_STEP];
        int rows = (n - i < GGL_STEP ? n - i + 1 : GGL_STEP) / 2 * 2;
        for (int j = 0; j < rows; j++) v[j] = ggl_bf16_to_f32(values[((int64_t)((i + j) / 2) * n_dim + d) * 2 + j % 2]);
        acc = ggl_add_step(acc, weight + i, v, rows);
    }
    return acc;
}

void ggl_attention16_tile_steps_ref(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    for (int h = 0; h < s->n_head; h++) {
        float score[TILE], weight[TILE], *acc = s->acc + (int64_t)h * s->n_dim;
        for (int i = 0; i < n; i++) score[i] = score_in_steps(q + (int64_t)h * s->n_dim, keys, s->n_dim, i) * s->scale;
        float shrink = soften(s, h, score, n, weight);
        for (int d = 0; d < s->n_dim; d++) acc[d] = add_rows(acc[d] * shrink, weight, values, s->n_dim, d, n);
    }
}
