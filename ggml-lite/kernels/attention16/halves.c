/* What AVX512FP16 computes, in plain C (attention16.h). */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/attention16/halves.h"
#include "kernels/math/halves.h"
#include "kernels/math/math.h"

enum { TILE = GGL_ATTENTION_TILE, CHUNK = GGL_ATTENTION16_CHUNK, GROUP = GGL_QUERY_GROUP, LACKING = 4, MAX_DIM = GGL_ATTENTION16_MAX_DIM };

/* ---- queries */

static void put_head(const float *q, int head, int n_head, int n_dim, uint16_t *out)
{
    uint16_t x[MAX_DIM + 2] = {0};
    float factor = 0;
    if (head < n_head) {
        ggl_act_fp8_halves_ref(q + (int64_t)head * n_dim, n_dim, x);
        factor = ggl_act_fp8_scale(x, n_dim);
    }
    for (int d = 0; d < n_dim; d++) out[ggl_query_at(n_dim, head, d)] = x[d];
    memcpy(out + ggl_query_factors_at(n_head, n_dim) + 2 * (int64_t)head, &factor, 4);
}

void ggl_attention16_query_halves_ref(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out)
{
    (void)k;
    for (int h = 0; h < (n_head + GROUP - 1) / GROUP * GROUP; h++) put_head(q, h, n_head, n_dim, out);
}

static double query(const uint16_t *q, int n_dim, int head, int d)
{
    return (double)ggl_f16_to_f32(q[ggl_query_at(n_dim, head, d)]);
}

static float query_factor(const uint16_t *q, int n_head, int n_dim, int head)
{
    float factor;
    memcpy(&factor, q + ggl_query_factors_at(n_head, n_dim) + 2 * (int64_t)head, 4);
    return factor;
}

/* ---- rows */

static uint16_t largest(const float *x, int n) /* as BF16, cut off */
{
    uint32_t top = 0;
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        if ((bits & 0x7fffffffu) > top) top = bits & 0x7fffffffu;
    }
    return (uint16_t)(top >> 16);
}

/* The row's factor. */
static float halve(const struct ggl_row_format *f, const uint8_t *row, uint16_t *out)
{
    const bool kv = f->kind == GGL_ROW_KV;
    const int nope = kv ? f->n_dim - f->n_rope : 0;
    const uint8_t *scales = row + nope;
    float x[MAX_DIM];
    ggl_row_decode(f, row, x);
    int exponent = ggl_row_exponent(scales, nope / GGL_KV_BLOCK, largest(x + nope, f->n_dim - nope));
    for (int d = 0; d < nope; d++)
        if ((row[d] & 127) == 127) exponent = GGL_NO_NUMBERS;
    for (int d = 0; d < f->n_dim; d++) {
        const int block = d < nope ? scales[d / GGL_KV_BLOCK] + 8 : exponent;
        out[d] = exponent < GGL_NO_NUMBERS ? ggl_f16_from_f32(block - exponent < GGL_LEAST_POWER ? 0 * x[d] : x[d] * ggl_power(254 - exponent)) : 0;
    }
    return exponent < GGL_NO_NUMBERS ? ggl_power(exponent) : NAN;
}

void ggl_attention16_pack_halves_ref(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    for (int i = 0; i < (n + LACKING - 1) / LACKING * LACKING; i++) {
        uint16_t x[MAX_DIM] = {0};
        if (i < n) ggl_put_row_factor(values, i, halve(f, rows[i], x));
        for (int d = 0; d < f->n_dim; d += CHUNK)
            memcpy(keys + ggl_half_row_at(f->n_dim, i, d), x + d, (size_t)(f->n_dim - d < CHUNK ? f->n_dim - d : CHUNK) * 2);
    }
}

static double number(const uint16_t *keys, int n_dim, int row, int d)
{
    return (double)ggl_f16_to_f32(keys[ggl_half_row_at(n_dim, row, d - d % CHUNK) + d % CHUNK]);
}

/* ---- tile */

static float score_of(const struct ggl_attention_state *s, const uint16_t *q, int head, const uint16_t *keys, const uint16_t *values, int row)
{
    float score = 0;
    for (int d = 0; d < s->n_dim; d += CHUNK) {
        double sum[2] = {0};
        for (int i = d; i < s->n_dim && i < d + CHUNK; i++)
            sum[i % 2] = ggl_fma_half(query(q, s->n_dim, head, i), number(keys, s->n_dim, row, i), sum[i % 2]);
        score += (float)ggl_to_half(sum[0] + sum[1]);
    }
    return score * (query_factor(q, s->n_head, s->n_dim, head) * s->scale) * ggl_row_factor(values, row);
}

/* Scores -> weights against the new maximum; returns what the sums so far shrink by. */
static float soften(struct ggl_attention_state *s, int head, const float *score, int n, float *weight)
{
    float max = s->max[head], sum = 0;
    for (int i = 0; i < n; i++) max = score[i] > max ? score[i] : max;
    const float shrink = ggl_expf(s->max[head] - max);
    for (int i = 0; i < n; i++) {
        weight[i] = ggl_f16_to_f32(ggl_f16_from_f32(ggl_expf(score[i] - max)));
        sum += weight[i];
    }
    s->max[head] = max;
    s->sum[head] = s->sum[head] * shrink + sum;
    return shrink;
}

void ggl_attention16_tile_halves_ref(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    const float top = ggl_top_factor(values, n);
    for (int h = 0; h < s->n_head; h++) {
        float score[TILE], weight[TILE], *acc = s->acc + (int64_t)h * s->n_dim;
        for (int i = 0; i < n; i++) score[i] = score_of(s, q, h, keys, values, i);
        const float shrink = soften(s, h, score, n, weight);
        for (int i = 0; i < n; i++) weight[i] = ggl_f16_to_f32(ggl_f16_from_f32(weight[i] * (ggl_row_factor(values, i) * (1 / top))));
        for (int d = 0; d < s->n_dim; d++) {
            double sum = 0;
            for (int i = 0; i < n; i++) sum = ggl_fma_half((double)weight[i], number(keys, s->n_dim, i, d), sum);
            acc[d] = acc[d] * shrink + (float)sum * top;
        }
    }
}
