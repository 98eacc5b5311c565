/*
 * See random.h.  Everything here is integer arithmetic, or single float operations that IEEE 754 fixes.
 */
#include "ggl-make-model/random.h"
#include <stdlib.h>
#include "quant/quant.h"

uint64_t random_key(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return random_bits(h, random_bits(seed, 0));
}

static int count_bits(uint64_t x)
{
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)((x * 0x0101010101010101u) >> 56);
}

/*
 * 48 coin tosses are binomial with standard deviation sqrt(12); 16 more bits fill the steps between them.  The
 * sum has the variance 12 + 1/12 and, out to 5 sigma, the shape of a normal.  Its double is an integer below
 * 2^23, so it is an exact float and only the product is rounded.
 */
float random_normal(uint64_t bits)
{
    const float unit = 2.19479013e-6f; /* 1 / (2^17 * sqrt(12 + 1/12)) */
    int tosses = count_bits(bits >> 16) - 24, fill = (int)(bits & 0xffff);
    return (float)(tosses * 131072 + 2 * fill - 65535) * unit;
}

void pool_fill(struct pool *p, uint64_t seed, float std)
{
    float x[FP8_TILE * FP8_TILE];
    uint64_t key = random_key(seed, "fp4 pool");
    p->std = std;
    for (uint64_t g = 0; g < FP4_POOL; g++) {
        for (uint64_t i = 0; i < 32; i++) x[i] = random_normal(random_bits(key, g * 32 + i)) * std;
        ggl_fp4_encode_row(x, p->fp4_codes[g], &p->fp4_scales[g], 32);
    }
    key = random_key(seed, "fp8 pool");
    for (uint64_t t = 0; t < FP8_POOL; t++) {
        for (uint64_t i = 0; i < FP8_TILE * FP8_TILE; i++)
            x[i] = random_normal(random_bits(key, t * FP8_TILE * FP8_TILE + i)) * std;
        ggl_fp8_encode(x, FP8_TILE, FP8_TILE, p->fp8_codes[t][0], &p->fp8_scales[t]);
    }
}

/* Draws of a matrix never overlap: the top bits of the counter say what a draw is for. */
enum { FOR_BLOCK, FOR_SIGNS, FOR_TILE };

static uint64_t draw(uint64_t key, int purpose, uint64_t i)
{
    return random_bits(key, ((uint64_t)purpose << 60) | i);
}

void fp4_codes_row(const struct pool *p, uint64_t key, uint64_t row, uint64_t n, uint8_t *out)
{
    uint64_t groups = n / 32;
    for (uint64_t g = 0; g < groups; g++, out += 16) {
        const uint8_t *codes = p->fp4_codes[draw(key, FOR_BLOCK, row * groups + g) % FP4_POOL];
        uint64_t signs = draw(key, FOR_SIGNS, row * groups + g);
        for (int j = 0; j < 8; j++) {
            out[j] = (uint8_t)(codes[j] ^ ((signs >> (8 * j)) & 0x88));
            out[j + 8] = (uint8_t)(codes[j + 8] ^ ((signs >> (8 * j) << 1) & 0x88));
        }
    }
}

void fp4_scales_row(const struct pool *p, uint64_t key, uint64_t row, uint64_t n, uint8_t *out)
{
    uint64_t groups = n / 32;
    for (uint64_t g = 0; g < groups; g++)
        out[g] = p->fp4_scales[draw(key, FOR_BLOCK, row * groups + g) % FP4_POOL];
}

void fp8_codes_row(const struct pool *p, uint64_t key, uint64_t row, uint64_t n, uint8_t *out)
{
    uint64_t tiles = (n + FP8_TILE - 1) / FP8_TILE;
    for (uint64_t t = 0; t < tiles; t++) {
        uint64_t tile = draw(key, FOR_TILE, row / FP8_TILE * tiles + t) % FP8_POOL;
        const uint8_t *codes = p->fp8_codes[tile][draw(key, FOR_BLOCK, row * tiles + t) % FP8_TILE];
        uint64_t left = n - t * FP8_TILE, width = left < FP8_TILE ? left : FP8_TILE, signs = 0;
        for (uint64_t i = 0; i < width; i++) { /* 64 signs a draw: one bit of each byte, then the next bit */
            if (i % 64 == 0) signs = draw(key, FOR_SIGNS, 2 * (row * tiles + t) + i / 64);
            *out++ = (uint8_t)(codes[i] ^ ((signs >> (8 * (i % 8)) << (i / 8 % 8)) & 0x80));
        }
    }
}

void fp8_scales_row(const struct pool *p, uint64_t key, uint64_t tile_row, uint64_t n, uint8_t *out)
{
    uint64_t tiles = (n + FP8_TILE - 1) / FP8_TILE;
    for (uint64_t t = 0; t < tiles; t++)
        out[t] = p->fp8_scales[draw(key, FOR_TILE, tile_row * tiles + t) % FP8_POOL];
}
