/* What the levels with AVX-512 read a panel's blocks and activations with; included by their files. */
#ifndef GGL_KERNEL_PANEL_X86_AVX512_H
#define GGL_KERNEL_PANEL_X86_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/panel/panel.h"
#include "kernels/x86_bytes512.h"

/* The scales of a block. */
static inline __attribute__((always_inline)) __m512 load_scales(const enum ggl_panel_kind kind, const uint8_t *scales)
{
    if (kind == GGL_PANEL_X8) return _mm512_loadu_ps((const float *)(const void *)scales);
    if (kind != GGL_PANEL_I4) return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)scales));
    __m256i e4m3 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)scales));
    return _mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(e4m3, 7), _mm256_set1_epi16((short)0xbf80)));
}

#endif
