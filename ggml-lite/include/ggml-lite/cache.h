/*
 * Rows of the KV cache in the form that the model was trained to store, and the
 * containers that hold them.
 *
 *   attention row  [n_dim - n_rope E4M3 codes][one UE8M0 scale a 64][n_rope BF16]       448 + 7 + 128 = 583 bytes
 *   index row      [n_dim / 2 bytes of E2M1, low nibble first][one UE8M0 scale a 32]    64 + 4 = 68 bytes
 *
 * A float form of each exists for comparison with references that do not round.
 */
#ifndef GGL_CACHE_H
#define GGL_CACHE_H

#include "ggml-lite/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ggl_row_kind { GGL_ROW_KV, GGL_ROW_INDEX, GGL_ROW_FLOAT };

struct ggl_row_format {
    enum ggl_row_kind kind;
    int32_t n_dim;
    int32_t n_rope; /* trailing dimensions kept as BF16 (GGL_ROW_KV) */
    uint32_t bytes;
};

/* KV: n_dim - n_rope must be a multiple of 64; INDEX: n_dim a multiple of 32. */
GGL_API struct ggl_row_format ggl_row_format(enum ggl_row_kind kind, int32_t n_dim, int32_t n_rope);
GGL_API void ggl_row_encode(const struct ggl_row_format *f, const float *x, uint8_t *row);
GGL_API void ggl_row_decode(const struct ggl_row_format *f, const uint8_t *row, float *x);
/* A valid row of values about 1 that depends on the seed alone, for benchmarks that need a full cache. */
GGL_API void ggl_row_random(const struct ggl_row_format *f, uint64_t seed, uint8_t *row);

/* The last `capacity` positions; position p lives at p % capacity. */
struct ggl_row_ring {
    uint8_t *rows;
    int64_t capacity;
    uint32_t row_bytes;
};

static inline uint8_t *ggl_ring_row(const struct ggl_row_ring *r, int64_t pos)
{
    return r->rows + (uint64_t)(pos % r->capacity) * r->row_bytes;
}

/* A list that grows in segments; rows never move. */
#define GGL_SEGMENT_ROWS 4096
struct ggl_row_list {
    uint8_t **segments; /* capacity for the longest context, filled as the list grows */
    int64_t n_segments;
    int64_t max_segments;
    uint32_t row_bytes;
};

static inline uint8_t *ggl_list_row(const struct ggl_row_list *l, int64_t i)
{
    return l->segments[i / GGL_SEGMENT_ROWS] + (uint64_t)(i % GGL_SEGMENT_ROWS) * l->row_bytes;
}

#ifdef __cplusplus
}
#endif
#endif
