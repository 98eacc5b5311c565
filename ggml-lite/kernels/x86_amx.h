/* AMX: how its tiles are set up, for as long as a kernel runs. */
#ifndef GGL_KERNEL_X86_AMX_H
#define GGL_KERNEL_X86_AMX_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* As the processor reads it. */
struct x86_amx_config {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Tiles 0 .. 3: 16 rows of 16 results.  4 and 6: 16 rows of `bytes` bytes.  5 and 7: a quarter as many rows of 16 words of
 * four bytes, which those are multiplied with. */
static inline struct x86_amx_config x86_amx_config(int bytes)
{
    struct x86_amx_config c;
    memset(&c, 0, sizeof(c));
    c.palette = 1;
    for (int i = 0; i < 8; i++) c.rows[i] = 16, c.row_bytes[i] = 64;
    c.row_bytes[4] = c.row_bytes[6] = (uint16_t)bytes;
    c.rows[5] = c.rows[7] = (uint8_t)(bytes / 4);
    return c;
}

static inline void x86_amx_begin(const struct x86_amx_config *c)
{
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig(c);
}

static inline void x86_amx_end(void)
{
    _tile_release();
}

#endif
