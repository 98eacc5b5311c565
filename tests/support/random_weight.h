/* Random weights of any type for tests of kernels, their planes at the edge of a page and unaligned. */
#ifndef TESTS_RANDOM_WEIGHT_H
#define TESTS_RANDOM_WEIGHT_H

#include "ggml-lite/tensor.h"

enum { RANDOM_WEIGHT_SLICES = 3 };

struct random_weight {
    struct ggl_tensor t;
    const uint8_t *slices[RANDOM_WEIGHT_SLICES], *scale_slices[RANDOM_WEIGHT_SLICES];
    const float *row_scale_slices[RANDOM_WEIGHT_SLICES];
};

/* Inside a check of checkkernel.h, which owns the memory; n_slices is at most RANDOM_WEIGHT_SLICES. */
void random_weight(struct random_weight *w, enum ggl_type type, enum ggl_scale_type scale_type, int64_t n_in, int64_t n_out,
                   int64_t n_slices);

/* Blocks that decode to numbers of an ordinary size, and scales. */
void random_codes(enum ggl_type type, uint8_t *p, uint64_t bytes);
void random_scales(enum ggl_scale_type type, uint8_t *p, uint64_t bytes);

#endif
