/* What the tiles of AVX-512 share. */
#ifndef GGL_KERNEL_ATTENTION_BF16_X86_AVX512_H
#define GGL_KERNEL_ATTENTION_BF16_X86_AVX512_H

#include <immintrin.h>

#include "kernels/attention/attention.h"

enum { GGL_TILE_VECTORS = GGL_ATTENTION_TILE / 16 };

/* The first n scores of a tile -> x, far below where there is none, and which there are -> used.  Returns the largest of
 * them and `max`. */
static inline float ggl_load_scores(const float *score, int n, float max, __m512 x[GGL_TILE_VECTORS], __mmask16 used[GGL_TILE_VECTORS])
{
    const __m512 lowest = _mm512_set1_ps(-3.0e38f);
    __m512 top = lowest;
    for (int g = 0; g < GGL_TILE_VECTORS; g++) {
        int left = n - g * 16;
        used[g] = (__mmask16)(left >= 16 ? 0xffff : left > 0 ? (1 << left) - 1 : 0);
        x[g] = _mm512_mask_loadu_ps(lowest, used[g], score + g * 16);
        top = _mm512_mask_mov_ps(top, _mm512_cmp_ps_mask(x[g], top, _CMP_GT_OQ), x[g]);
    }
    float most = _mm512_reduce_max_ps(top);
    return most > max ? most : max;
}

#endif
