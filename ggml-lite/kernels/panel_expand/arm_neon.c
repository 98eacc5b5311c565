/* NEON: four rows at a time; four words of each become four vectors of one word a row. */
#include "kernels/kernels.h"

#include <arm_neon.h>
#include <string.h>

enum { QUADS = GGL_PANEL_ROWS / 4 };

/* 16 bytes of four rows to codes, codes + 64, + 128 and + 192; rows that are not there are zeros. */
static inline void put_words(const uint8_t *const at[4], int64_t offset, uint8_t flip, uint8_t *codes)
{
    int32x4_t w[4];
    for (int r = 0; r < 4; r++) {
        uint8x16_t v = at[r] ? veorq_u8(vld1q_u8(at[r] + offset), vdupq_n_u8(flip)) : vdupq_n_u8(0);
        w[r] = vreinterpretq_s32_u8(v);
    }
    int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(w[0], w[1])), b = vreinterpretq_s64_s32(vtrn2q_s32(w[0], w[1]));
    int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(w[2], w[3])), d = vreinterpretq_s64_s32(vtrn2q_s32(w[2], w[3]));
    vst1q_u8(codes, vreinterpretq_u8_s64(vtrn1q_s64(a, c)));
    vst1q_u8(codes + 64, vreinterpretq_u8_s64(vtrn1q_s64(b, d)));
    vst1q_u8(codes + 128, vreinterpretq_u8_s64(vtrn2q_s64(a, c)));
    vst1q_u8(codes + 192, vreinterpretq_u8_s64(vtrn2q_s64(b, d)));
}

void ggl_panel_expand_neon(enum ggl_type type, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    const int bytes = type == GGL_TYPE_Q8_0 ? 32 : 16;
    const uint8_t flip = type == GGL_TYPE_Q8_0 ? 0x80 : 0;
    uint8_t *scales = panel + n / GGL_PANEL_BLOCK * 16 * bytes;
    for (int64_t b = 0; b < n / GGL_PANEL_BLOCK; b++, rows += 2 + bytes, panel += 16 * bytes, scales += 32) {
        for (int q = 0; q < QUADS; q++) {
            const uint8_t *at[4];
            for (int r = 0; r < 4; r++) {
                int row = 4 * q + r;
                at[r] = row < n_rows ? rows + row * row_bytes : NULL;
                if (at[r]) memcpy(scales + 2 * row, at[r], 2);
                else memset(scales + 2 * row, 0, 2);
            }
            for (int i = 0; i < bytes; i += 16) put_words(at, 2 + i, flip, panel + 16 * i + 16 * q);
        }
    }
}
