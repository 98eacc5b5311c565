/*
 * AVX-512 with VBMI: an expert's rows for many tokens, unpacked once.
 *
 * A lookup a nibble makes the codes of x86_vbmi.h biased weights, in the order of a panel.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/mxfp4/x86_vbmi.h"

/* 12 + twice the value of a nibble, four times over, so that the two bits above an index do not matter. */
static inline __m512i biased_table(void)
{
    return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

/* Rows are read side by side, so the processor sees 16 short streams and guesses badly: fetch the next 16 rows, which
 * follow these, while these are unpacked.  Fetching beyond the end of a mapping does nothing. */
static inline __attribute__((always_inline)) void fetch(const uint8_t *next)
{
    for (int i = 0; i < ROWS * BLOCK_BYTES; i += LINE) _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

void ggl_mxfp4_expand_avx512(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    const __m512i table = biased_table(), offsets = row_offsets(row_bytes);
    const uint8_t *next = rows + ROWS * row_bytes;
    struct quarters q = make_quarters(rows, row_bytes);
    uint8_t *scales = panel + ggl_panel_scales_at(GGL_PANEL_X8, n);
    for (int64_t b = 0; b < n / BLOCK; b++, panel += ROWS * BLOCK, scales += 4 * ROWS, next += ROWS * BLOCK_BYTES) {
        __m512i v[4];
        fetch(next);
        load_codes(&q, v);
        transpose(v);
        for (int j = 0; j < 4; j++) {
            _mm512_storeu_si512(panel + 64 * j, _mm512_permutexvar_epi8(v[j], table));
            _mm512_storeu_si512(panel + 64 * (4 + j), _mm512_permutexvar_epi8(_mm512_srli_epi16(v[j], 4), table));
        }
        _mm512_storeu_ps((float *)(void *)scales, half_scales(q.p[0], offsets));
        next_block(&q);
    }
}
