/*
 * Random weights that are the same on every machine: counter-based bits, normals made from integer sums instead
 * of libm, and pools of encoded blocks for the quantised types.
 *
 * Element i of a tensor depends on the tensor's key and on i alone, so rows can be made in any order, by any
 * number of threads.
 */
#ifndef MAKE_MODEL_RANDOM_H
#define MAKE_MODEL_RANDOM_H

#include <stdint.h>

/* The key of the stream `name` under a seed. */
uint64_t random_key(uint64_t seed, const char *name);

/* 64 random bits: number i of the stream. */
static inline uint64_t random_bits(uint64_t key, uint64_t i)
{
    uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15u; /* SplitMix64: Steele, Lea, Flood 2014 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Mean 0, standard deviation 1. */
float random_normal(uint64_t bits);

/*
 * Quantised matrices are put together from encoded blocks with fresh signs, which is a hundred times faster than
 * drawing and encoding every element: an FP4 group is one of FP4_POOL groups of 32, a row of an FP8 tile one of
 * the 128 rows of one of FP8_POOL tiles.  A pool belongs to one standard deviation.
 */
enum { FP4_POOL = 4096, FP8_POOL = 4, FP8_TILE = 128 };

struct pool {
    float std;
    uint8_t fp4_codes[FP4_POOL][16], fp4_scales[FP4_POOL];
    uint8_t fp8_codes[FP8_POOL][FP8_TILE][FP8_TILE], fp8_scales[FP8_POOL];
};

void pool_fill(struct pool *p, uint64_t seed, float std);

/* Row `row` of a matrix with n columns: codes, or the scales beside them (FP8: row is a row of tiles). */
void fp4_codes_row(const struct pool *p, uint64_t key, uint64_t row, uint64_t n, uint8_t *out);
void fp4_scales_row(const struct pool *p, uint64_t key, uint64_t row, uint64_t n, uint8_t *out);
void fp8_codes_row(const struct pool *p, uint64_t key, uint64_t row, uint64_t n, uint8_t *out);
void fp8_scales_row(const struct pool *p, uint64_t key, uint64_t tile_row, uint64_t n, uint8_t *out);

#endif
