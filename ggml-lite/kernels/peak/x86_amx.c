#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/x86_amx.h"

enum { TILES = 4, BYTES = 64, ROWS = 16 };

uint32_t ggl_int8_tile_peak_amx(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    _Alignas(64) uint8_t x[ROWS * BYTES], y[ROWS * BYTES];
    _Alignas(64) uint32_t sums[TILES][ROWS * 16];
    const struct x86_amx_config config = x86_amx_config(BYTES);
    memset(x, a, sizeof(x));
    memset(y, b, sizeof(y));
    x86_amx_begin(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, x, BYTES);
    _tile_loadd(5, y, BYTES);
    for (int64_t r = 0; r < rounds; r++) {
        _tile_dpbusd(0, 4, 5);
        _tile_dpbusd(1, 4, 5);
        _tile_dpbusd(2, 4, 5);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_stored(0, sums[0], BYTES);
    _tile_stored(1, sums[1], BYTES);
    _tile_stored(2, sums[2], BYTES);
    _tile_stored(3, sums[3], BYTES);
    x86_amx_end();
    uint32_t total = 0;
    for (int t = 0; t < TILES; t++)
        for (int i = 0; i < ROWS * 16; i++) total += sums[t][i];
    *macs = rounds * TILES * ROWS * 16 * BYTES;
    return total;
}
