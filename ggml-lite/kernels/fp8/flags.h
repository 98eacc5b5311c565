/*
 * Codes that are no number, which the levels that decode by arithmetic would take for +-480: packing looks for them,
 * and such a row's results are overwritten after the multiplication, which so has nothing to do with them.
 */
#ifndef GGL_KERNEL_FP8_FLAGS_H
#define GGL_KERNEL_FP8_FLAGS_H

#include <stdint.h>
#include <string.h>

#include "kernels/fp8/fp8.h"

/* Bit r: row r has such a code, 0x7f or 0xff.  Four at a time: only 0x7f + 1 reaches a byte's upper bit. */
static inline uint32_t ggl_fp8_flags(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n)
{
    uint32_t flags = 0;
    for (int r = 0; r < n_rows; r++, rows += row_bytes) {
        uint32_t found = 0;
        for (int64_t i = 0; i < n; i += 4) {
            uint32_t codes;
            memcpy(&codes, rows + i, 4);
            found |= (codes & 0x7f7f7f7f) + 0x01010101;
        }
        flags |= (uint32_t)((found & 0x80808080) != 0) << r;
    }
    return flags;
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
