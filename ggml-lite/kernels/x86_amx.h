/* AMX: how its tiles are set up, for as long as a kernel runs. */
#ifndef GGL_KERNEL_X86_AMX_H
#define GGL_KERNEL_X86_AMX_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Tiles 0 .. 3: 16 rows of 16 results.  4 and 6: 16 rows of `bytes` and of `bytes6` bytes.  5 and 7: a quarter as many rows
 * of 16 words of four bytes, which those are multiplied with. */
static inline void x86_amx_begin(int bytes, int bytes6)
{
    struct {
        uint8_t palette, start_row, zero[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config;
    memset(&config, 0, sizeof(config));
    config.palette = 1;
    for (int i = 0; i < 8; i++) config.rows[i] = 16, config.row_bytes[i] = 64;
    config.row_bytes[4] = (uint16_t)bytes, config.rows[5] = (uint8_t)(bytes / 4);
    config.row_bytes[6] = (uint16_t)bytes6, config.rows[7] = (uint8_t)(bytes6 / 4);
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig(&config);
}

static inline void x86_amx_end(void)
{
    _tile_release();
}

#endif
