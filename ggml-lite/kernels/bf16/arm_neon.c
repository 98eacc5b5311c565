/*
 * NEON: a word of two BF16 is the float of its second half once the first is masked away, and that of its first half when
 * shifted; products are exact, so that fused multiply-adds round as they must.  Eight inputs (four lanes) are a strip, eight
 * strips the 64; where the sums of all would not fit into the registers, tiles go strip by strip.
 *
 * FPCR.FZ takes small inputs as zeros, but its results are zeros below 2^-126 before they are rounded, not after.  Whether
 * there were any is in FPSR.UFC; then, which no model should see, the block is the reference's.
 */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/math/arm_neon.h"

enum { REGISTERS = 16, ROWS = 4, TOKENS = 4, FEW = 2 };
enum { GROUP = 8, CHUNK = 16, PART = 1024, COPY_FOR = INT32_MAX, BLOCK_BYTES = 1 << 17 };
enum { STRIP = 8, STRIPS = 8, LANES = 4, SMALL_AS_ZERO = 1 << 24, WAS_SMALL = 1 << 3 };
#include "kernels/bf16/walk.h"

INLINE uint32x4_t load_w(const uint8_t *p)
{
    return vreinterpretq_u32_u8(vld1q_u8(p));
}

INLINE uint32x4_t load_x(const uint16_t *p)
{
    return vreinterpretq_u32_u16(vld1q_u16(p));
}

INLINE float32x4_t odd(uint32x4_t pairs)
{
    return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}

INLINE float32x4_t even(uint32x4_t pairs)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
}

INLINE void run_strips(const struct tile *t, const int first, const int end, const int rows, const int tokens)
{
    float32x4_t sum[STRIPS][TOKENS][ROWS];
    for (int j = first; j < end; j++)
        for (int k = 0; k < tokens; k++)
            for (int r = 0; r < rows; r++) sum[j][k][r] = vld1q_f32(t->s + k * t->pitch + r * SUMS + LANES * j);
    for (int64_t i = 0; i < t->n; i += STEP)
        for (int j = first; j < end; j++) {
            const uint8_t *row = t->w + 2 * (i + j * STRIP);
            const uint16_t *x = t->x + i + j * STRIP;
            float32x4_t w[ROWS];
            for (int r = 0; r < rows; r++) w[r] = odd(load_w(row + r * t->row_bytes));
            for (int k = 0; k < tokens; k++) {
                float32x4_t v = odd(load_x(x + k * t->x_stride));
                for (int r = 0; r < rows; r++) sum[j][k][r] = vfmaq_f32(sum[j][k][r], w[r], v);
            }
            for (int r = 0; r < rows; r++) w[r] = even(load_w(row + r * t->row_bytes));
            for (int k = 0; k < tokens; k++) {
                float32x4_t v = even(load_x(x + k * t->x_stride));
                for (int r = 0; r < rows; r++) sum[j][k][r] = vfmaq_f32(sum[j][k][r], w[r], v);
            }
        }
    for (int j = first; j < end; j++)
        for (int k = 0; k < tokens; k++)
            for (int r = 0; r < rows; r++) vst1q_f32(t->s + k * t->pitch + r * SUMS + LANES * j, sum[j][k][r]);
}

INLINE void run_tile(const struct tile *t, const int rows, const int tokens)
{
    if (rows * tokens * STRIPS <= REGISTERS) { /* all strips at once */
        run_strips(t, 0, STRIPS, rows, tokens);
        return;
    }
    run_strips(t, 0, 1, rows, tokens);
    run_strips(t, 1, 2, rows, tokens);
    run_strips(t, 2, 3, rows, tokens);
    run_strips(t, 3, 4, rows, tokens);
    run_strips(t, 4, 5, rows, tokens);
    run_strips(t, 5, 6, rows, tokens);
    run_strips(t, 6, 7, rows, tokens);
    run_strips(t, 7, 8, rows, tokens);
}

/* Whether a sum was taken as zero for being small. */
static bool add_block_of_normal_numbers(const struct block *b)
{
    uint64_t control, status, after;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(status)::"memory");
    uint64_t zeroing = control | SMALL_AS_ZERO, clear = status & ~(uint64_t)WAS_SMALL;
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" ::"r"(zeroing), "r"(clear) : "memory");
    add_block(b);
    __asm__ volatile("mrs %0, fpsr\n\tmsr fpcr, %1\n\tmsr fpsr, %2" : "=&r"(after) : "r"(control), "r"(status) : "memory");
    return (after & WAS_SMALL) != 0;
}

static void multiply(const struct block *b, float *y, int64_t y_stride)
{
    const float *s = b->s;
    if (add_block_of_normal_numbers(b)) {
        ggl_bf16_mul_ref(b->w, b->row_bytes, b->rows, b->n, b->x, b->x_stride, b->tokens, y, y_stride);
        return;
    }
    for (int t = 0; t < b->tokens; t++)
        for (int r = 0; r < b->rows; r++, s += SUMS) {
            float32x4_t lanes[4];
            for (int j = 0; j < 4; j++) lanes[j] = vaddq_f32(vld1q_f32(s + LANES * j), vld1q_f32(s + GGL_LANES + LANES * j));
            y[t * y_stride + r] = ggl_add_lanes16(lanes);
        }
}

void ggl_bf16_mul_neon(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                       int64_t n_tokens, float *y, int64_t y_stride)
{
    walk(rows, row_bytes, n_rows, n, x, x_stride, n_tokens, y, y_stride);
}
