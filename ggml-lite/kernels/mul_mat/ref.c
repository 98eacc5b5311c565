/*
 * A tile of rows is decoded once and then meets every token, so that a large
 * prefill reads its activations once a tile and not once a row.
 */
#include "kernels/kernels.h"

enum { TILE_BYTES = 256 * 1024, TILE_ROWS = 16 };

int64_t ggl_mul_mat_tile_rows(int64_t n_in)
{
    int64_t rows = TILE_BYTES / (4 * n_in);
    return rows < 1 ? 1 : rows > TILE_ROWS ? TILE_ROWS : rows;
}

uint64_t ggl_mul_mat_scratch(int64_t n_in)
{
    return (uint64_t)(ggl_mul_mat_tile_rows(n_in) * n_in) * 4;
}

void ggl_mul_mat_f32_ref(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0,
                         int64_t row1, const float *x, int64_t x_stride, const int32_t *index,
                         int64_t n_tokens, float *y, int64_t y_stride, void *scratch)
{
    int64_t n_in = w->ne[0], rows = n_tokens == 1 ? 1 : ggl_mul_mat_tile_rows(n_in);
    float *tile = scratch;
    for (int64_t r = row0; r < row1; r += rows) {
        int64_t n = row1 - r < rows ? row1 - r : rows;
        for (int64_t i = 0; i < n; i++) k->decode_row(w, slice, r + i, tile + i * n_in);
        for (int64_t t = 0; t < n_tokens; t++) {
            const float *v = x + (index ? index[t] : t) * x_stride;
            for (int64_t i = 0; i < n; i++)
                y[t * y_stride + r - row0 + i] = k->dot_f32(tile + i * n_in, v, n_in);
        }
    }
}
