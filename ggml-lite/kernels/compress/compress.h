/*
 * Pooling of a group of tokens into one compressed entry: for every channel on its own, a softmax over the
 * candidates' scores weights their values.
 */
#ifndef GGL_KERNEL_COMPRESS_H
#define GGL_KERNEL_COMPRESS_H

#include <stdint.h>

/* values[j], scores[j]: candidate j's channels [n], j < n_candidates.  out [n]; scratch [2 * n] floats. */
typedef void ggl_compress_pool_f32_fn(float *out, const float *const *values, const float *const *scores,
                                      int n_candidates, int64_t n, float *scratch);

#endif
