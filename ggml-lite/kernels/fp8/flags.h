/*
 * What packing notes of a panel's codes behind its scales, for levels that decode by arithmetic: the same at every level.
 *
 * Codes that are no number they would take for +-480; such a row's results are overwritten after the multiplication,
 * which so has nothing to do with them.  And codes whose exponent is zero, that is denormal numbers and zeros, have a form
 * of their own, which makes arithmetic longer than lookups: steps of 32 inputs that have none, most of a model's, are known.
 */
#ifndef GGL_KERNEL_FP8_FLAGS_H
#define GGL_KERNEL_FP8_FLAGS_H

#include <stdint.h>
#include <string.h>

#include "kernels/fp8/fp8.h"

/* Of n <= GGL_FP8_STEP codes, a multiple of 4: whether one is no number (bit 0), and whether one is that or has an exponent
 * of zero (bit 1).  Four at a time: only 0x7f + 1 and 8 + 0x78 reach a byte's upper bit. */
static inline uint32_t ggl_fp8_kinds(const uint8_t *codes, int64_t n)
{
    uint32_t no_number = 0, normal = 0xffffffff;
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t four;
        memcpy(&four, codes + i, 4);
        no_number |= (four & 0x7f7f7f7f) + 0x01010101;
        normal &= (four & 0x78787878) + 0x78787878;
    }
    const uint32_t any = (no_number & 0x80808080) != 0, all_normal = (normal & 0x80808080) == 0x80808080;
    return any | (any | !all_normal) << 1;
}

static inline void ggl_fp8_write_flags(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    uint32_t no_numbers = 0;
    uint8_t *steps = panel + ggl_fp8_steps_at(n);
    for (int64_t i = 0; i < n; i += GGL_FP8_TILE) steps[i / GGL_FP8_TILE] = n_rows < GGL_FP8_ROWS ? 0x0f : 0; /* missing rows are zeros */
    for (int r = 0; r < n_rows; r++, rows += row_bytes) {
        for (int64_t i = 0; i < n; i += GGL_FP8_STEP) {
            uint32_t kinds = ggl_fp8_kinds(rows + i, n - i < GGL_FP8_STEP ? n - i : GGL_FP8_STEP);
            no_numbers |= (kinds & 1) << r;
            steps[i / GGL_FP8_TILE] |= (uint8_t)(kinds >> 1 << i % GGL_FP8_TILE / GGL_FP8_STEP);
        }
    }
    memcpy(panel + ggl_fp8_flags_at(n), &no_numbers, 4);
}

static inline void ggl_fp8_spoil(const uint8_t *panel, int64_t n, int64_t n_tokens, float *y, int64_t y_stride, int n_rows)
{
    static const uint32_t not_a_number = 0x7fc00000;
    uint32_t flags;
    memcpy(&flags, panel + ggl_fp8_flags_at(n), 4);
    if (!flags) return;
    for (int64_t t = 0; t < n_tokens; t++)
        for (int r = 0; r < n_rows; r++)
            if (flags >> r & 1) memcpy(y + t * y_stride + r, &not_a_number, 4);
}

#endif
