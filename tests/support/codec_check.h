/*
 * What the tests of block formats share: vectors against the decoder, the known answers of a patterned block,
 * and the encoders on a fixed ramp.  Every function fails the running cmocka test.
 */
#ifndef TESTS_CODEC_CHECK_H
#define TESTS_CODEC_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "quant/quant.h"

/* A file of tests/vectors, for the caller to free. */
uint8_t *vector_read(const char *name, size_t *n);

/* quant/TYPE.blocks decodes to quant/TYPE.f32 bit for bit, whole and block by block, from any alignment,
 * writing nothing past the end; and every byte of a block has a say. */
void check_vectors(enum ggl_type type);

/* The block of bytes (73 k + 19) & 255 with d = 1/16 at byte d_at, and dmin or m = 1/32 at m_at (-1: none) decodes
 * to values whose SHA-256 begins with sha, with this sum, beginning and end. */
struct known_answer {
    int d_at, m_at;
    const char *sha;
    double sum;
    float first[4], last;
};
void check_known_answer(enum ggl_type type, const struct known_answer *kat);
void pattern_block(enum ggl_type type, int d_at, int m_at, uint8_t *block);
void check_block(enum ggl_type type, const uint8_t *block, const struct known_answer *kat);

/* Encoding ((37 k mod 64) - 31) / 8 for k = 0..255 gives blocks with this SHA-256 and these first bytes. */
void check_ramp(enum ggl_type type, const char *sha, const uint8_t first[12]);

/* Encoding stays finite and near on ordinary data, is repeatable on what it decoded to (`stable`), makes zeros
 * of zeros, and cannot hide an infinity or a NaN. */
void check_encoder(enum ggl_type type, double relative_rms, bool stable);

/* Standard-normal-like numbers, the same on every machine. */
void fill_random(float *x, size_t n, uint64_t seed);

bool same_bits(const float *a, const float *b, size_t n);

#endif
