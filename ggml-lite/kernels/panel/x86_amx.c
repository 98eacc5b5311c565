/*
 * AMX (x86_amx_strips.h).  Panels are decoded a part at a time; what few tokens there are go to AVX-512, which has the same bits.
 */
#include "kernels/kernels.h"

#include "kernels/panel/x86_amx_strips.h"
#include "kernels/panel/x86_avx512.h"

enum { LEAST = 5 }; /* fewer tokens go to AVX-512 */

/* Blocks of one panel: signed codes, and scales. */
AMX_INLINE void decode(const struct ggl_panel_format *f, const enum ggl_panel_kind kind, const uint8_t *from, const uint8_t *from_scales, int n_blocks,
                   int8_t codes[AMX_BLOCKS][AMX_BLOCK * AMX_ROWS], float scales[AMX_BLOCKS][AMX_ROWS])
{
    const bool has_table = kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
    const __m512i bias = _mm512_set1_epi8((char)f->bias), low = _mm512_set1_epi8(15);
    const __m512i table = has_table ? _mm512_sub_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)f->table)), bias)
                                    : _mm512_setzero_si512();
    for (int b = 0; b < n_blocks; b++, from += ggl_panel_code_bytes(kind), from_scales += ggl_panel_scale_bytes(kind)) {
        _mm512_store_ps(scales[b], load_scales(kind, from_scales));
        for (int j = 0; j < (has_table ? 4 : 8); j++) {
            __m512i v = _mm512_loadu_si512(from + 64 * j);
            if (has_table) {
                _mm512_store_si512(codes[b] + 64 * j, _mm512_shuffle_epi8(table, _mm512_and_si512(v, low)));
                _mm512_store_si512(codes[b] + 64 * (j + 4), _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), low)));
            } else {
                _mm512_store_si512(codes[b] + 64 * j, _mm512_sub_epi8(v, bias));
            }
        }
    }
}

/* n_blocks of a panel of n inputs, from input i on. */
static void decode_panel(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, int64_t i, int n_blocks, struct amx_weights *w,
                         int p)
{
    const uint8_t *codes = panel + i / AMX_BLOCK * ggl_panel_code_bytes(f->kind);
    const uint8_t *scales = panel + ggl_panel_scales_at(f->kind, n) + i / AMX_BLOCK * ggl_panel_scale_bytes(f->kind);
    switch (f->kind) {
    case GGL_PANEL_Q8: decode(f, GGL_PANEL_Q8, codes, scales, n_blocks, w->codes[p], w->scales[p]); break;
    case GGL_PANEL_X8: decode(f, GGL_PANEL_X8, codes, scales, n_blocks, w->codes[p], w->scales[p]); break;
    case GGL_PANEL_I4: decode(f, GGL_PANEL_I4, codes, scales, n_blocks, w->codes[p], w->scales[p]); break;
    default: decode(f, GGL_PANEL_T4, codes, scales, n_blocks, w->codes[p], w->scales[p]); break;
    }
}

/* What inputs from i on add. */
static void mul_part(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, int64_t i, const struct ggl_act_q8 *x, float *y,
                     int64_t y_stride, int n_rows)
{
    const int n_blocks = (int)((n - i < AMX_PART ? n - i : AMX_PART) / AMX_BLOCK);
    struct amx_weights w;
    struct ggl_act_q8 part = *x;
    part.begin += i;
    for (int r = 0; r < n_rows; r += AMX_ROWS, panel += ggl_panel_bytes(f->kind, n)) decode_panel(f, panel, n, i, n_blocks, &w, r / AMX_ROWS);
    amx_mul_part(&w, n_blocks, &part, y, y_stride, n_rows, NULL);
}

void ggl_panel_mul_amx(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                       int64_t y_stride, int n_rows)
{
    if (x->n_tokens < LEAST) {
        ggl_panel_mul_avx512vbmi(f, panel, n, x, y, y_stride, n_rows);
        return;
    }
    const int64_t stride = ggl_panel_bytes(f->kind, n);
    amx_begin_strips();
    for (int r = 0; r < n_rows; r += AMX_PANELS * AMX_ROWS, panel += AMX_PANELS * stride) {
        const int rows = n_rows - r < AMX_PANELS * AMX_ROWS ? n_rows - r : AMX_PANELS * AMX_ROWS;
        for (int64_t i = 0; i < n; i += AMX_PART) mul_part(f, panel, n, i, x, y + r, y_stride, rows);
    }
    x86_amx_end();
}
