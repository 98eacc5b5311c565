/*
 * A weight: a named, typed, read-only array of up to four dimensions that some
 * file mapping owns.  Kernels read weights through this struct only, so a
 * matrix of a GGUF file and one of a checkpoint directory look the same.
 *
 * ne[0] is the contiguous dimension (the row length, the input width), ne[1]
 * the rows (outputs), ne[2] the slices (experts).
 *
 * Slices of a GGUF tensor follow each other; those of a checkpoint directory
 * are separate tensors, so each slice has its own pointer.
 *
 * Owner: whoever mapped the file; a tensor is valid until that is closed.
 * Thread-safety: constant after it was bound.
 */
#ifndef GGL_TENSOR_H
#define GGL_TENSOR_H

#include "quant/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GGL_MAX_DIMS 4
#define GGL_MAX_NAME 64 /* with the terminating zero */

struct ggl_tensor {
    char name[GGL_MAX_NAME];        /* GGUF name */
    enum ggl_type type;             /* FP8, FP4 and INT4 have a scale plane, INT4 also a scale a row */
    enum ggl_scale_type scale_type; /* of the scale plane, or GGL_SCALE_NONE */
    uint32_t n_dims;                /* 0..4 */
    int64_t ne[GGL_MAX_DIMS];       /* missing dimensions are 1 */
    uint64_t row_bytes;             /* of the (code) plane */
    uint64_t slice_bytes;           /* row_bytes * ne[1] */
    uint64_t scale_row_bytes;       /* FP8: one row of tiles, that is 128 rows; FP4, INT4: one row */
    uint64_t scale_slice_bytes;
    /* Slice s starts at slices ? slices[s] : data + s * slice_bytes; the same for the scale plane. */
    const uint8_t *data;
    const uint8_t *scale;
    const uint8_t *const *slices;
    const uint8_t *const *scale_slices;
    const float *row_scale; /* INT4: [ne[1]] a slice, slices follow each other */
    const float *const *row_scale_slices;
};

static inline const uint8_t *ggl_tensor_slice(const struct ggl_tensor *t, int64_t s)
{
    return t->slices ? t->slices[s] : t->data + (uint64_t)s * t->slice_bytes;
}

static inline const uint8_t *ggl_tensor_scale_slice(const struct ggl_tensor *t, int64_t s)
{
    return t->scale_slices ? t->scale_slices[s] : t->scale + (uint64_t)s * t->scale_slice_bytes;
}

/* INT4: the scales of a slice's rows. */
static inline const float *ggl_tensor_row_scales(const struct ggl_tensor *t, int64_t s)
{
    return t->row_scale_slices ? t->row_scale_slices[s] : t->row_scale + s * t->ne[1];
}

/* Row `row` of slice `slice` as float: y[ne[0]].  Exact for every type.  False: integer types. */
GGL_API bool ggl_tensor_decode_row(const struct ggl_tensor *t, int64_t slice, int64_t row, float *y);

#ifdef __cplusplus
}
#endif
#endif
