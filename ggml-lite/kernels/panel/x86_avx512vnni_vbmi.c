/*
 * AVX-512 with VNNI and VBMI: one token, fetched ahead, with as few operations as a core of GGL_ISA_INTEL has time for while
 * a line comes from memory.  A lookup of 64 bytes takes a code with whatever is in the bits above its nibble; what the
 * bias of the weights adds is taken away where a sum starts, once for all panels; and a block's products are one chain,
 * since the next blocks' chains run beside it.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/fetch.h"
#include "kernels/panel/x86_avx512.h"

enum { MOST_BLOCKS = 256 };

#define INLINE static inline __attribute__((always_inline))

/* Of each block: what its sum starts with, and what to add after scaling. */
struct starts {
    int32_t start[MOST_BLOCKS];
    float less[MOST_BLOCKS];
};

/* One panel. */
INLINE __m512 run(const enum ggl_panel_kind kind, __m512i table, const uint8_t *panel, int64_t n_blocks, const struct ggl_act_q8_row *x,
                  const struct starts *s, __m512 sum)
{
    const bool has_table = kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
    const struct ggl_fetch ahead = {16384, 4096};
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    const int8_t *v = x->codes;
    for (int64_t b = 0; b < n_blocks; b++, v += GGL_PANEL_BLOCK) {
        __m512i dot = _mm512_set1_epi32(s->start[b]);
        ggl_fetch_block(ahead, codes, ggl_panel_code_bytes(kind));
        ggl_fetch_step(ahead, scales, ggl_panel_scale_bytes(kind), b);
        for (int j = 0; j < (has_table ? 4 : 8); j++) {
            __m512i w = _mm512_loadu_si512(codes + 64 * j);
            if (!has_table) {
                dot = _mm512_dpbusd_epi32(dot, w, broadcast4(v + 4 * j));
                continue;
            }
            __asm__("" : "+v"(w)); /* loaded once */
            dot = _mm512_dpbusd_epi32(dot, _mm512_permutexvar_epi8(w, table), broadcast4(v + 4 * j));
            dot = _mm512_dpbusd_epi32(dot, _mm512_permutexvar_epi8(_mm512_srli_epi16(w, 4), table), broadcast4(v + 16 + 4 * j));
        }
        __m512 p = scale_sum(dot, _mm512_set1_ps(x->scales[b]), _mm512_set1_ps(s->less[b]));
        sum = _mm512_fmadd_ps(p, load_scales(kind, scales), sum);
        codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind);
    }
    return sum;
}

INLINE void mul_one(const enum ggl_panel_kind kind, const struct ggl_panel_format *f, const uint8_t *panel, int64_t n,
                    const struct ggl_act_q8 *x, float *y, int n_rows)
{
    const bool has_table = kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
    const struct ggl_act_q8_row row = ggl_act_q8_row(x, 0);
    const __m512i table = has_table ? _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)f->table)) : _mm512_setzero_si512();
    struct starts starts;
    const int32_t start = _mm_cvtsi128_si32(_mm512_castsi512_si128(sum_start()));
    for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b++) {
        starts.start[b] = start - f->bias * row.sums[b];
        starts.less[b] = _mm512_cvtss_f32(start_scaled(_mm512_set1_ps(row.scales[b])));
    }
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(kind, n)) {
        __mmask16 rows = (__mmask16)(n_rows - r < GGL_PANEL_ROWS ? (1u << (n_rows - r)) - 1 : 0xffff);
        __m512 sum = _mm512_maskz_loadu_ps(x->begin ? rows : 0, y + r);
        _mm512_mask_storeu_ps(y + r, rows, run(kind, table, panel, n / GGL_PANEL_BLOCK, &row, &starts, sum));
    }
}

void ggl_panel_mul_avx512vbmi(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                              int64_t y_stride, int n_rows)
{
    if (x->n_tokens != 1 || n > MOST_BLOCKS * GGL_PANEL_BLOCK) {
        ggl_panel_mul_avx512(f, panel, n, x, y, y_stride, n_rows);
        return;
    }
    switch (f->kind) {
    case GGL_PANEL_Q8: mul_one(GGL_PANEL_Q8, f, panel, n, x, y, n_rows); break;
    case GGL_PANEL_X8: mul_one(GGL_PANEL_X8, f, panel, n, x, y, n_rows); break;
    case GGL_PANEL_I4: mul_one(GGL_PANEL_I4, f, panel, n, x, y, n_rows); break;
    default: mul_one(GGL_PANEL_T4, f, panel, n, x, y, n_rows); break;
    }
}
