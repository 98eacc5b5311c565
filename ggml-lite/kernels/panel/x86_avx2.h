/* What the files of levels with vectors of 32 bytes share: a block of a panel is two halves of eight rows. */
#ifndef GGL_KERNEL_PANEL_X86_AVX2_H
#define GGL_KERNEL_PANEL_X86_AVX2_H

#include "kernels/math/x86_avx2.h"
#include "kernels/panel/panel.h"
#include "kernels/x86_bytes.h"

/* Of 16 rows, the scales of a block. */
static inline __attribute__((always_inline)) void load_all_scales(const enum ggl_panel_kind kind, const uint8_t *scales, ggl_rows out)
{
    __m256i halves;
    if (kind == GGL_PANEL_X8) {
        for (int half = 0; half < 2; half++) out[half] = _mm256_loadu_ps((const float *)(const void *)(scales + 32 * half));
        return;
    }
    if (kind == GGL_PANEL_I4) {
        halves = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)scales));
        halves = _mm256_and_si256(_mm256_slli_epi16(halves, 7), _mm256_set1_epi16((short)0xbf80));
    } else {
        halves = load(scales);
    }
    out[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
    out[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
}

#endif
