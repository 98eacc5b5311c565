/*
 * Which rows meet which vectors, for the levels that multiply in blocks; included by their files behind
 *
 *     enum { ROWS, BLOCK_ROWS, TOKENS };     rows that one vector meets at a time; a block of several rows and vectors
 *     enum { HALVES_AHEAD };                 bytes that 16-bit rows are fetched ahead where nothing else is
 *     struct block {...};                    below
 *     static inline void run_block(type, const struct block *, rows, tokens);    type F32, F16 or BF16
 *     static inline float dot_q8_0(row, n, x, fetch);                            a row of Q8_0 by a vector
 *
 * One vector meets rows of F32, F16, BF16 and Q8_0 where they are, one after the other: several at a time would be faster in a
 * cache, but the processor fetches one long piece of memory ahead better than four (42 GB/s against 35 where reading
 * alone comes to 52).  But a vector of LONG floats comes from the second-level cache, row after row, which costs more
 * than that (69 % of the memory's speed against 96 for rows of 16384, which the hyper-connections have): of F32, which has
 * so long rows, several meet it at a time.  Other types are decoded first.  Several vectors meet a tile of decoded rows.
 *
 * Rows of F16 and BF16 take so many instructions a line that x86 processors have too few reads under way, all of them: 25
 * GB/s became 32 where reading alone comes to 34, and 24 became 40 at another moment's 61.
 */
#include "kernels/fetch.h"

enum { LONG = 4096 };
enum { Q8_0_BLOCK = 32, Q8_0_BYTES = 34 }; /* half scale, 32 codes */

#define INLINE static inline __attribute__((always_inline))

struct block {
    const uint8_t *w; /* first row */
    int64_t row_bytes, n;
    const float *x[TOKENS];
    float *y; /* y[t * y_stride + r] */
    int64_t y_stride;
    struct ggl_fetch fetch; /* where one vector meets rows in memory */
};

INLINE void run_block(enum ggl_type type, const struct block *b, int rows, int tokens);
INLINE float dot_q8_0(const uint8_t *row, int64_t n, const float *x, struct ggl_fetch fetch);

INLINE void stream(const enum ggl_type type, const uint8_t *row, int64_t row_bytes, int64_t n_rows, int64_t n, const float *x, float *y,
                   const struct ggl_fetch fetch)
{
    struct block b = {row, row_bytes, n, {x}, y, 0, fetch};
    if (type == GGL_TYPE_F32 && n >= LONG)
        for (; n_rows >= ROWS; n_rows -= ROWS, b.w += ROWS * row_bytes, b.y += ROWS) run_block(type, &b, ROWS, 1);
    for (; n_rows > 0; n_rows--, b.w += row_bytes, b.y++) run_block(type, &b, 1, 1);
}

static void from_cache(const float *tile, int64_t n_rows, int64_t n, const float *x, float *y)
{
    struct block b = {(const uint8_t *)tile, 4 * n, n, {x}, y, 0, {0, 0}};
    for (; n_rows >= ROWS; n_rows -= ROWS, b.w += ROWS * b.row_bytes, b.y += ROWS) run_block(GGL_TYPE_F32, &b, ROWS, 1);
    for (; n_rows > 0; n_rows--, b.w += b.row_bytes, b.y++) run_block(GGL_TYPE_F32, &b, 1, 1);
}

INLINE void one_vector(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1,
                       const float *x, float *y, float *tile, const struct ggl_fetch fetch)
{
    const uint8_t *row = ggl_tensor_slice(w, slice) + (uint64_t)row0 * w->row_bytes;
    int64_t bytes = (int64_t)w->row_bytes, n_rows = row1 - row0, n = w->ne[0];
    const struct ggl_fetch halves = fetch.far ? fetch : (struct ggl_fetch){HALVES_AHEAD, 0};
    switch (w->type) {
    case GGL_TYPE_F32: stream(GGL_TYPE_F32, row, bytes, n_rows, n, x, y, fetch); return;
    case GGL_TYPE_F16: stream(GGL_TYPE_F16, row, bytes, n_rows, n, x, y, halves); return;
    case GGL_TYPE_BF16: stream(GGL_TYPE_BF16, row, bytes, n_rows, n, x, y, halves); return;
    case GGL_TYPE_Q8_0:
        for (int64_t r = 0; r < n_rows; r++) y[r] = dot_q8_0(row + r * bytes, n, x, fetch);
        return;
    default: break;
    }
    int64_t few = ggl_mul_mat_tile_rows(n) < ROWS ? ggl_mul_mat_tile_rows(n) : ROWS; /* near enough for the first cache */
    for (int64_t r = 0; r < n_rows; r += few) {
        int64_t count = n_rows - r < few ? n_rows - r : few;
        for (int64_t i = 0; i < count; i++) k->decode_row(w, slice, row0 + r + i, tile + i * n);
        from_cache(tile, count, n, x, y + r);
    }
}

static void several_vectors(const float *tile, int64_t n_rows, int64_t n, const float *x, int64_t x_stride,
                            const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride)
{
    for (int64_t t = 0; t < n_tokens;) {
        int tokens = n_tokens - t < TOKENS ? 1 : TOKENS;
        struct block b = {.row_bytes = 4 * n, .n = n, .y_stride = y_stride};
        for (int i = 0; i < tokens; i++) b.x[i] = x + (index ? index[t + i] : t + i) * x_stride;
        for (int64_t r = 0; r < n_rows;) {
            int rows = n_rows - r < BLOCK_ROWS ? 1 : BLOCK_ROWS;
            b.w = (const uint8_t *)(tile + r * n);
            b.y = y + t * y_stride + r;
            if (rows == BLOCK_ROWS && tokens == TOKENS) run_block(GGL_TYPE_F32, &b, BLOCK_ROWS, TOKENS);
            else if (rows == BLOCK_ROWS) run_block(GGL_TYPE_F32, &b, BLOCK_ROWS, 1);
            else if (tokens == TOKENS) run_block(GGL_TYPE_F32, &b, 1, TOKENS);
            else run_block(GGL_TYPE_F32, &b, 1, 1);
            r += rows;
        }
        t += tokens;
    }
}

static void many_vectors(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1,
                         const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride,
                         float *tile)
{
    int64_t n = w->ne[0], tile_rows = ggl_mul_mat_tile_rows(n);
    for (int64_t r = row0; r < row1; r += tile_rows) {
        int64_t n_rows = row1 - r < tile_rows ? row1 - r : tile_rows;
        for (int64_t i = 0; i < n_rows; i++) k->decode_row(w, slice, r + i, tile + i * n);
        several_vectors(tile, n_rows, n, x, x_stride, index, n_tokens, y + r - row0, y_stride);
    }
}

INLINE void walk(const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1, const float *x,
                 int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride, float *tile,
                 const struct ggl_fetch fetch)
{
    if (n_tokens == 1) {
        one_vector(k, w, slice, row0, row1, x + (index ? index[0] : 0) * x_stride, y, tile, fetch);
        return;
    }
    many_vectors(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, tile);
}
