/* AVX2: words of eight rows are transposed; Q8_0 has eight a block, the 4-bit types four, so two blocks go together. */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/x86_transpose.h"

enum { ROWS = GGL_PANEL_ROWS };

static inline void store(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

static inline void put_scales(const uint8_t *block, int64_t row_bytes, uint8_t *scales)
{
    for (int r = 0; r < ROWS; r++) memcpy(scales + 2 * r, block + r * row_bytes, 2);
}

static void expand_q8_0(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    uint8_t *scales = panel + ggl_panel_scales_at(GGL_PANEL_Q8, n);
    for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b++, rows += 34, panel += 512, scales += 32) {
        put_scales(rows, row_bytes, scales);
        for (int half = 0; half < 2; half++) {
            __m256i w[8];
            for (int r = 0; r < 8; r++) {
                __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(rows + (8 * half + r) * row_bytes + 2));
                w[r] = _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80));
            }
            x86_transpose_words(w);
            for (int j = 0; j < 8; j++) store(panel + 64 * j + 32 * half, w[j]);
        }
    }
}

/* An even number of blocks of a row. */
static void expand_4_bits(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel, uint8_t *scales)
{
    for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b += 2, rows += 36, panel += 512, scales += 64) {
        put_scales(rows, row_bytes, scales);
        put_scales(rows + 18, row_bytes, scales + 32);
        for (int half = 0; half < 2; half++) {
            __m256i w[8];
            for (int r = 0; r < 8; r++) {
                const uint8_t *p = rows + (8 * half + r) * row_bytes + 2;
                w[r] = _mm256_loadu2_m128i((const __m128i *)(const void *)(p + 18), (const __m128i *)(const void *)p);
            }
            x86_transpose_words(w);
            for (int j = 0; j < 8; j++) store(panel + 64 * j + 32 * half, w[j]);
        }
    }
}

void ggl_panel_expand_avx2(enum ggl_type type, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    if (n_rows < ROWS) {
        ggl_panel_expand_ref(type, rows, row_bytes, n_rows, n, panel);
    } else if (type == GGL_TYPE_Q8_0) {
        expand_q8_0(rows, row_bytes, n, panel);
    } else {
        int64_t even = n / 64 * 64; /* inputs of whole pairs of blocks */
        uint8_t *scales = panel + ggl_panel_scales_at(GGL_PANEL_T4, n), last[256 + 32];
        expand_4_bits(rows, row_bytes, even, panel, scales);
        if (even == n) return;
        ggl_panel_expand_ref(type, rows + even / 32 * 18, row_bytes, n_rows, 32, last);
        memcpy(panel + even / 32 * 256, last, 256);
        memcpy(scales + even / 32 * 32, last + 256, 32);
    }
}
