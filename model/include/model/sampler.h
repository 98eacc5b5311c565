/*
 * From logits to a token: temperature, top-k, top-p, min-p, seeded.
 *
 *     struct ggl_sampler_params p = ggl_sampler_defaults();
 *     struct ggl_sampler *s;
 *     ggl_sampler_new(&p, n_vocab, &s, &err);
 *     ggl_sample(s, logits, &id, &err);
 *
 * temperature 0 is greedy (ties go to the lower id).  The order is top-k, softmax at the temperature, top-p,
 * min-p, draw.  The same seed gives the same draws on every machine.
 *
 * Errors: ARGUMENT for a parameter out of range or NaN; FORMAT when a logit is not finite.
 * Thread-safety: one thread per sampler.
 */
#ifndef GGL_SAMPLER_H
#define GGL_SAMPLER_H

#include "ggml-lite/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_sampler_params {
    uint32_t struct_size; /* sizeof(struct ggl_sampler_params) */
    float temperature;    /* 0..100 */
    float top_p;          /* 0..1; 1: off */
    float min_p;          /* 0..1; 0: off */
    int32_t top_k;        /* 0: off */
    uint64_t seed;
};
GGL_API struct ggl_sampler_params ggl_sampler_defaults(void); /* temperature 1, everything else off, seed 0 */

struct ggl_sampler;
GGL_API enum ggl_status ggl_sampler_new(const struct ggl_sampler_params *p, int32_t n_vocab, struct ggl_sampler **out,
                                        struct ggl_error *err);
GGL_API enum ggl_status ggl_sample(struct ggl_sampler *s, const float *logits, int32_t *id, struct ggl_error *err);
GGL_API void ggl_sampler_free(struct ggl_sampler *s);

#ifdef __cplusplus
}
#endif
#endif
