#include "kernels/kernels.h"

#include <string.h>

#include "quant/quant.h"

static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void ggl_index_unpack_ref(const uint8_t *row, int32_t n_dim, int8_t *out)
{
    const uint8_t *exponents = row + n_dim / 2;
    float *scales = (float *)(void *)(out + n_dim);
    int32_t *sums = (int32_t *)(void *)(out + n_dim + n_dim / GGL_ACT_BLOCK * 4);
    for (int32_t b = 0; b < n_dim / GGL_ACT_BLOCK; b++) {
        sums[b] = 0;
        scales[b] = ggl_e8m0_to_f32(exponents[b]) * 0.5f;
        for (int32_t i = 0; i < GGL_ACT_BLOCK; i++) {
            uint8_t byte = row[b * 16 + i / 2];
            int8_t v = doubled[i % 2 ? byte >> 4 : byte & 15];
            out[b * GGL_ACT_BLOCK + i] = v;
            sums[b] += v;
        }
    }
}

static float add_lanes(float lane[GGL_LANES])
{
    for (int width = GGL_LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) lane[l] += lane[l + width];
    return lane[0];
}

void ggl_index_combine_ref(const float *products, int64_t stride, const float *weights, int n_panels, int n, float *score)
{
    for (int i = 0; i < n; i++) {
        float lane[GGL_LANES] = {0};
        for (int p = 0; p < n_panels; p++) {
            const float *y = products + i * stride + p * GGL_LANES;
            for (int l = 0; l < GGL_LANES; l++) lane[l] += weights[p * GGL_LANES + l] * (y[l] > 0 ? y[l] : 0);
        }
        score[i] = add_lanes(lane);
    }
}

bool ggl_index_level(const uint8_t *row, int8_t *values, float *scale)
{
    const uint8_t *e = row + GGL_INDEX_SCAN_DIM / 2;
    int least = ggl_index_least(e);
    if (least < 0) return false;
    for (int i = 0; i < GGL_INDEX_SCAN_DIM; i++) {
        int q = i / 32, v = doubled[i % 2 ? row[i / 2] >> 4 : row[i / 2] & 15];
        values[i % 32 / 16 * 64 + 16 * q + i % 16] = (int8_t)(v * (1 << (e[q] - least)));
    }
    *scale = ggl_e8m0_to_f32((uint8_t)least) * 0.5f;
    return true;
}

static float score_of(const struct ggl_index_scan *q, const int8_t *key, float scale)
{
    float lane[GGL_LANES] = {0};
    for (int h = 0; h < GGL_LANES * q->n_panels; h++) {
        const int8_t *v = q->values + h / GGL_LANES * GGL_LANES * GGL_INDEX_SCAN_DIM + h % GGL_LANES * 4;
        int32_t dot = q->biased[h];
        for (int d = 0; d < GGL_INDEX_SCAN_DIM; d++) dot += (key[d] + GGL_INDEX_SCAN_BIAS) * v[d / 4 * 64 + d % 4];
        float y = q->gains[h] * (float)(dot > 0 ? dot : 0);
        lane[h % GGL_LANES] += y;
    }
    return add_lanes(lane) * scale;
}

bool ggl_index_scan_ref(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    for (int i = 0; i < n; i++) {
        int8_t key[GGL_INDEX_SCAN_DIM];
        float scale;
        if (!ggl_index_level(rows[i], key, &scale)) return false;
        for (int t = 0; t < n_queries; t++) score[t * stride + i] = score_of(&q[t], key, scale);
    }
    return true;
}

float ggl_index_score_f32_ref(const struct ggl_kernels *k, const float *q, const float *weights,
                              const float *key, int n_head, int n_dim)
{
    float sum = 0;
    for (int h = 0; h < n_head; h++) {
        float s = k->dot_f32(q + (int64_t)h * n_dim, key, n_dim);
        if (s > 0) sum += weights[h] * s;
    }
    return sum;
}
