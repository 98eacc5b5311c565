/* Checks that every block format has to pass. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/codec_check.h"
#include "support/sha256.h"

enum { MAX_BLOCK_ELEMS = 256, MAX_BLOCK_BYTES = 292 };

uint8_t *vector_read(const char *name, size_t *n)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", GGL_TEST_VECTORS, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    assert_true(size > 0);
    rewind(f);
    uint8_t *bytes = malloc((size_t)size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
    fclose(f);
    *n = (size_t)size;
    return bytes;
}

bool same_bits(const float *a, const float *b, size_t n)
{
    return memcmp(a, b, n * sizeof(*a)) == 0;
}

void fill_random(float *x, size_t n, uint64_t seed)
{
    uint64_t s = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        float sum = 0; /* of four uniform numbers: bell-shaped enough */
        for (int k = 0; k < 4; k++) {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            sum += (float)(int32_t)(s >> 40) * 0x1p-24f - 0.5f;
        }
        x[i] = sum * 1.7320508f;
    }
}

/* Whether some bit of byte i changes some value of this block. */
static bool byte_counts(const struct ggl_type_info *info, const uint8_t *block, uint32_t i)
{
    uint8_t changed[MAX_BLOCK_BYTES];
    float y[MAX_BLOCK_ELEMS], z[MAX_BLOCK_ELEMS];
    info->decode(block, y, info->block_elems);
    memcpy(changed, block, info->block_bytes);
    for (int bit = 0; bit < 8; bit++) {
        changed[i] = (uint8_t)(block[i] ^ 1 << bit);
        info->decode(changed, z, info->block_elems);
        if (!same_bits(y, z, info->block_elems)) return true;
    }
    return false;
}

/* A decoder that ignores a byte could pass by luck.  Some blocks are zero whatever their codes, so any may do. */
static void check_every_byte_counts(const struct ggl_type_info *info, const uint8_t *blocks, size_t n_blocks)
{
    for (uint32_t i = 0; i < info->block_bytes; i++) {
        bool counts = false;
        for (size_t k = 0; k < n_blocks && !counts; k++)
            counts = byte_counts(info, blocks + k * info->block_bytes, i);
        if (!counts) fail_msg("%s: byte %u of a block changes nothing", info->name, i);
    }
}

void check_vectors(enum ggl_type type)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    assert_non_null(info);
    char name[64];
    size_t n_blocks, n_values;
    snprintf(name, sizeof(name), "quant/%s.blocks", info->name);
    uint8_t *blocks = vector_read(name, &n_blocks);
    snprintf(name, sizeof(name), "quant/%s.f32", info->name);
    uint8_t *values = vector_read(name, &n_values);
    size_t n = n_values / sizeof(float);
    assert_int_equal(n_blocks % info->block_bytes, 0);
    assert_int_equal(n, n_blocks / info->block_bytes * info->block_elems);

    float *expected = malloc(n_values), *y = malloc(n_values);
    uint8_t *odd = malloc(n_blocks + 1);
    assert_non_null(expected);
    assert_non_null(y);
    assert_non_null(odd);
    memcpy(expected, values, n_values);
    memcpy(odd + 1, blocks, n_blocks);

    assert_true(ggl_decode(type, odd + 1, y, (int64_t)n));
    for (size_t i = 0; i < n; i++)
        if (!same_bits(y + i, expected + i, 1))
            fail_msg("%s: element %zu is %a, expected %a", info->name, i, (double)y[i], (double)expected[i]);
    /* The comparison sees one unit in the last place. */
    y[n - 1] = nextafterf(y[n - 1], INFINITY);
    assert_false(same_bits(y, expected, n));

    float one[MAX_BLOCK_ELEMS + 1];
    for (size_t k = 0; k < n / info->block_elems; k++) {
        one[info->block_elems] = 1234.5f;
        assert_true(ggl_decode(type, blocks + k * info->block_bytes, one, info->block_elems));
        assert_true(same_bits(one, expected + k * info->block_elems, info->block_elems));
        assert_true(one[info->block_elems] == 1234.5f);
    }
    check_every_byte_counts(info, blocks, n / info->block_elems);
    free(odd);
    free(y);
    free(expected);
    free(values);
    free(blocks);
}

static void put_half(uint8_t *block, int at, uint16_t half)
{
    if (at < 0) return;
    block[at] = (uint8_t)half;
    block[at + 1] = (uint8_t)(half >> 8);
}

void pattern_block(enum ggl_type type, int d_at, int m_at, uint8_t *block)
{
    for (uint32_t k = 0; k < ggl_type_info(type)->block_bytes; k++) block[k] = (uint8_t)(73 * k + 19);
    put_half(block, d_at, 0x2c00);
    put_half(block, m_at, 0x2800);
}

void check_block(enum ggl_type type, const uint8_t *block, const struct known_answer *kat)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    float y[MAX_BLOCK_ELEMS];
    assert_true(ggl_decode(type, block, y, info->block_elems));

    double sum = 0;
    for (uint32_t i = 0; i < info->block_elems; i++) sum += (double)y[i];
    if (fabs(sum - kat->sum) > 1e-6 * (1 + fabs(kat->sum)))
        fail_msg("%s: sum %.9g, expected %.9g", info->name, sum, kat->sum);
    for (int i = 0; i < 4; i++)
        if (fabsf(y[i] - kat->first[i]) > 1e-6f * fabsf(kat->first[i]))
            fail_msg("%s: y[%d] = %.9g, expected %.9g", info->name, i, (double)y[i], (double)kat->first[i]);
    assert_true(y[info->block_elems - 1] == kat->last);

    char hex[65];
    sha256_hex(y, info->block_elems * sizeof(*y), hex);
    hex[16] = 0;
    assert_string_equal(hex, kat->sha);
}

void check_known_answer(enum ggl_type type, const struct known_answer *kat)
{
    uint8_t block[MAX_BLOCK_BYTES];
    pattern_block(type, kat->d_at, kat->m_at, block);
    check_block(type, block, kat);
}

void check_ramp(enum ggl_type type, const char *sha, const uint8_t first[12])
{
    float x[256];
    uint8_t blocks[256 * sizeof(float)];
    uint64_t n_bytes;
    for (int k = 0; k < 256; k++) x[k] = (float)(37 * k % 64 - 31) / 8.0f;
    assert_true(ggl_row_bytes(type, 256, &n_bytes));
    assert_true(ggl_encode(type, x, blocks, 256));
    assert_memory_equal(blocks, first, 12);
    char hex[65];
    sha256_hex(blocks, (size_t)n_bytes, hex);
    hex[16] = 0;
    assert_string_equal(hex, sha);
}

enum { N = 1024 };

static void round_trip(enum ggl_type type, const float *x, float *y)
{
    uint8_t blocks[N * sizeof(float)];
    assert_true(ggl_encode(type, x, blocks, N));
    assert_true(ggl_decode(type, blocks, y, N));
}

static void check_error(enum ggl_type type, double relative_rms, bool stable)
{
    float x[N], y[N], z[N];
    for (int scale = -8; scale <= 8; scale += 4) {
        double error = 0, power = 0;
        fill_random(x, N, (uint64_t)(scale + 100));
        for (int i = 0; i < N; i++) x[i] = ldexpf(x[i], scale);
        round_trip(type, x, y);
        for (int i = 0; i < N; i++) {
            error += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
            power += (double)x[i] * (double)x[i];
        }
        if (!(sqrt(error / power) <= relative_rms))
            fail_msg("%s: relative error %g, expected %g at most", ggl_type_info(type)->name, sqrt(error / power),
                     relative_rms);
        round_trip(type, y, z);
        if (stable) assert_true(same_bits(y, z, N));
    }
}

void check_encoder(enum ggl_type type, double relative_rms, bool stable)
{
    static const float spoilers[] = {INFINITY, -INFINITY, NAN, -NAN};
    float x[N], y[N];
    check_error(type, relative_rms, stable);

    for (int i = 0; i < N; i++) x[i] = i % 3 ? 0.0f : -0.0f;
    round_trip(type, x, y);
    for (int i = 0; i < N; i++) assert_true(y[i] == 0.0f);

    /* The smallest numbers and the largest: any value will do, but there must be one. */
    for (int i = 0; i < N; i++) x[i] = i < N / 2 ? 0x1p-149f * (float)(i % 7 - 3) : 3.4e38f * (i % 2 ? 1.0f : -1.0f);
    round_trip(type, x, y);
    for (int i = 0; i < N / 2; i++) assert_true(fabsf(y[i]) < 1e-30f);

    for (size_t s = 0; s < sizeof(spoilers) / sizeof(*spoilers); s++)
        for (int at = 0; at < 33; at += 8) {
            fill_random(x, N, s);
            x[at] = spoilers[s];
            round_trip(type, x, y);
            bool seen = false;
            for (int i = 0; i < N; i++) seen |= !isfinite(y[i]) || fabsf(y[i]) > 1e38f;
            if (!seen) fail_msg("%s: %g at %d is gone", ggl_type_info(type)->name, (double)spoilers[s], at);
        }
}
