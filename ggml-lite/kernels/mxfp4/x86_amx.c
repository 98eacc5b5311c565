/*
 * AMX (kernels/panel/x86_amx_strips.h): 64 rows of an expert at a time, unpacked part by part into the first-level cache and
 * multiplied there.
 */
#include "kernels/kernels.h"

#include "kernels/mxfp4/x86_vbmi.h"
#include "kernels/panel/x86_amx_strips.h"

/* Twice the value of a nibble, four times over, so that the two bits above an index do not matter. */
static inline __m512i signed_table(void)
{
    return _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
}

/* n_blocks blocks of 16 rows. */
static void unpack(const uint8_t *rows, int64_t row_bytes, int n_blocks, struct amx_weights *w, int p)
{
    const __m512i table = signed_table(), offsets = row_offsets(row_bytes);
    struct quarters q = make_quarters(rows, row_bytes);
    for (int b = 0; b < n_blocks; b++) {
        __m512i v[4];
        load_codes(&q, v);
        transpose(v);
        for (int j = 0; j < 4; j++) {
            _mm512_store_si512(w->codes[p][b] + 64 * j, _mm512_permutexvar_epi8(v[j], table));
            _mm512_store_si512(w->codes[p][b] + 64 * (4 + j), _mm512_permutexvar_epi8(_mm512_srli_epi16(v[j], 4), table));
        }
        _mm512_store_ps(w->scales[p][b], half_scales(q.p[0], offsets));
        next_block(&q);
    }
}

/* Up to AMX_PANELS panels, all inputs.  Their rows are read piece by piece, each from another place; so those of the next
 * panels, which follow these, are fetched from end to end meanwhile, and the next pieces of these once more. */
static void mul_panels(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const struct ggl_act_q8 *x, float *y, int64_t y_stride)
{
    const int64_t runs = amx_runs(x->n_tokens, n_rows);
    struct amx_ahead ahead = {.far = rows + n_rows * row_bytes, .row_bytes = row_bytes, .near_rows = (int)((n_rows + runs - 1) / runs)};
    for (int64_t i = 0; i < n; i += AMX_PART) {
        const int n_blocks = (int)((n - i < AMX_PART ? n - i : AMX_PART) / BLOCK);
        const uint8_t *piece = rows + i / BLOCK * BLOCK_BYTES;
        struct amx_weights w;
        struct ggl_act_q8 part = *x;
        part.begin += i;
        ahead.far_lines = (int)((n_blocks * BLOCK_BYTES * n_rows / LINE + runs - 1) / runs);
        ahead.near = i + AMX_PART < n ? piece + n_blocks * BLOCK_BYTES : rows + n_rows * row_bytes;
        for (int r = 0; r < n_rows; r += ROWS) unpack(piece + r * row_bytes, row_bytes, n_blocks, &w, r / ROWS);
        amx_mul_part(&w, n_blocks, &part, y, y_stride, n_rows, &ahead);
    }
}

void ggl_mxfp4_mul_amx(const struct ggl_kernels *k, const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows,
                       const struct ggl_act_q8 *x, float *y, int64_t y_stride, uint8_t *panels)
{
    (void)k, (void)panels;
    amx_begin_strips();
    for (int r = 0; r < n_rows; r += AMX_PANELS * ROWS) {
        int left = n_rows - r;
        mul_panels(rows + r * row_bytes, row_bytes, n, left < AMX_PANELS * ROWS ? left : AMX_PANELS * ROWS, x, y + r, y_stride);
    }
    x86_amx_end();
}
