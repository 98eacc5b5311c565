#include "kernels/kernels.h"

#include "kernels/math/math.h"

void ggl_attention_begin_ref(struct ggl_attention_state *s)
{
    for (int64_t i = 0; i < (int64_t)s->n_head * s->n_dim; i++) s->acc[i] = 0;
    for (int h = 0; h < s->n_head; h++) {
        s->max[h] = -3.0e38f; /* below every score; exp of the difference is 0 */
        s->sum[h] = 0;
    }
}

void ggl_attention_tile_ref(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q,
                            const float *rows, int n)
{
    float score[GGL_ATTENTION_TILE];
    for (int h = 0; h < s->n_head; h++) {
        float *acc = s->acc + (int64_t)h * s->n_dim, max = s->max[h];
        for (int i = 0; i < n; i++) {
            score[i] =
                k->dot_f32(q + (int64_t)h * s->n_dim, rows + (int64_t)i * s->n_dim, s->n_dim) * s->scale;
            if (score[i] > max) max = score[i];
        }
        if (max != s->max[h]) {
            float shrink = ggl_expf(s->max[h] - max);
            s->sum[h] *= shrink;
            for (int i = 0; i < s->n_dim; i++) acc[i] *= shrink;
            s->max[h] = max;
        }
        for (int i = 0; i < n; i++) {
            float p = ggl_expf(score[i] - max);
            s->sum[h] += p;
            k->axpy_f32(acc, p, rows + (int64_t)i * s->n_dim, s->n_dim);
        }
    }
}

void ggl_attention_end_ref(struct ggl_attention_state *s, const float *sinks)
{
    for (int h = 0; h < s->n_head; h++) {
        /* The sink may exceed every score: take it into the maximum. */
        float max = sinks[h] > s->max[h] ? sinks[h] : s->max[h], shrink = ggl_expf(s->max[h] - max);
        float scale = shrink / (s->sum[h] * shrink + ggl_expf(sinks[h] - max));
        for (int i = 0; i < s->n_dim; i++) s->acc[(int64_t)h * s->n_dim + i] *= scale;
    }
}
