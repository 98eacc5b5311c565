/*
 * FP8, FP4 and INT4, whose scales lie in planes of their own behind the codes of all rows: an encoder holds scales
 * back until the end, a decoder has to read everything before the first value.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ggl-quant/ggl-quant.h"

enum { TILE = 128, GROUP = 32 };

struct bytes {
    uint8_t *data;
    uint64_t n, cap;
};

/* Room for `more` bytes at the end. */
static uint8_t *extend(struct bytes *b, uint64_t more)
{
    if (more > b->cap - b->n) {
        uint64_t cap = b->cap + more < 65536 ? 65536 : 2 * (b->cap + more);
        uint8_t *data = cap <= SIZE_MAX ? realloc(b->data, (size_t)cap) : NULL;
        if (!data) cli_die(&cli, EXIT_INTERNAL, "out of memory: %" PRIu64 " bytes of scales", cap);
        b->data = data;
        b->cap = cap;
    }
    b->n += more;
    return b->data + b->n - more;
}

static _Noreturn void die_partial_row(uint64_t row, size_t rest, uint64_t row_bytes)
{
    cli_die(&cli, EXIT_DATA, "standard input: row %" PRIu64 " has %zu of %" PRIu64 " bytes", row, rest, row_bytes);
}

/* Rows of float32, `most` at a time; returns how many were read. */
static uint64_t read_rows(float *x, uint64_t n, uint64_t most, uint64_t done)
{
    uint64_t row_bytes = n * sizeof(float);
    size_t got = quant_read(x, (size_t)(most * row_bytes));
    if (got % row_bytes) die_partial_row(done + got / row_bytes, (size_t)(got % row_bytes), row_bytes);
    return got / row_bytes;
}

void fp8_encode(uint64_t n)
{
    uint64_t rows, done = 0, tiles = (n - 1) / TILE + 1;
    static struct bytes scales;
    float *x = quant_alloc(n, TILE * sizeof(float));
    uint8_t *codes = quant_alloc(n, TILE);
    while ((rows = read_rows(x, n, TILE, done))) {
        ggl_fp8_encode(x, (int64_t)rows, (int64_t)n, codes, extend(&scales, tiles));
        quant_write(codes, (size_t)(rows * n));
        done += rows;
    }
    quant_write(scales.data, (size_t)scales.n);
}

void fp4_encode(uint64_t n)
{
    uint64_t done = 0;
    static struct bytes scales;
    float *x = quant_alloc(n, sizeof(float));
    uint8_t *codes = quant_alloc(n / 2, 1);
    for (; read_rows(x, n, 1, done); done++) {
        ggl_fp4_encode_row(x, codes, extend(&scales, n / GROUP), (int64_t)n);
        quant_write(codes, (size_t)(n / 2));
    }
    quant_write(scales.data, (size_t)scales.n);
}

void int4_encode(uint64_t n, const char *imatrix)
{
    uint64_t done = 0;
    static struct bytes scales, row_scales;
    const float *importance = imatrix ? quant_read_importance(imatrix, n) : NULL;
    float row_scale;
    float *x = quant_alloc(n, sizeof(float));
    uint8_t *codes = quant_alloc(n / 2, 1);
    for (; read_rows(x, n, 1, done); done++) {
        ggl_int4_encode_row(x, importance, codes, extend(&scales, n / GROUP), &row_scale, (int64_t)n);
        memcpy(extend(&row_scales, sizeof(row_scale)), &row_scale, sizeof(row_scale));
        quant_write(codes, (size_t)(n / 2));
    }
    quant_write(scales.data, (size_t)scales.n);
    quant_write(row_scales.data, (size_t)row_scales.n);
}

static _Noreturn void die_size(const char *type, size_t size, uint64_t n)
{
    cli_die(&cli, EXIT_DATA, "standard input: %zu bytes are not the codes and scales of whole %s rows of %" PRIu64,
            size, type, n);
}

/* Rows of an FP8 matrix of `size` bytes: 128 rows share a row of scales, and so do the last few. */
static uint64_t fp8_rows(size_t size, uint64_t n, uint64_t tiles)
{
    uint64_t band; /* bytes of 128 rows with their scales */
    if (!ggl_mul_u64(n, TILE, &band) || !ggl_add_u64(band, tiles, &band)) die_size("FP8", size, n);
    uint64_t rows = size / band * TILE, rest = size % band;
    if (!rest) return rows;
    if (rest <= tiles || (rest - tiles) % n) die_size("FP8", size, n);
    return rows + (rest - tiles) / n;
}

void fp8_decode(uint64_t n)
{
    size_t size;
    uint64_t tiles = (n - 1) / TILE + 1;
    static uint8_t *codes; /* the whole input: codes, then scales */
    codes = (uint8_t *)cli_read_file(&cli, "-", &size);
    uint64_t rows = fp8_rows(size, n, tiles);
    const uint8_t *scales = codes + rows * n;
    float *y = rows ? quant_alloc(n, sizeof(float)) : NULL;
    for (uint64_t r = 0; r < rows; r++) {
        ggl_fp8_decode_row(codes + r * n, scales + r / TILE * tiles, GGL_SCALE_E8M0, y, (int64_t)n);
        quant_write(y, (size_t)n * sizeof(float));
    }
}

void fp4_decode(uint64_t n)
{
    size_t size;
    uint64_t row_bytes = n / 2 + n / GROUP;
    static uint8_t *codes; /* the whole input: codes, then scales */
    codes = (uint8_t *)cli_read_file(&cli, "-", &size);
    if (size % row_bytes) die_size("FP4", size, n);
    uint64_t rows = size / row_bytes;
    const uint8_t *scales = codes + rows * (n / 2);
    float *y = rows ? quant_alloc(n, sizeof(float)) : NULL;
    for (uint64_t r = 0; r < rows; r++) {
        ggl_fp4_decode_row(codes + r * (n / 2), scales + r * (n / GROUP), y, (int64_t)n);
        quant_write(y, (size_t)n * sizeof(float));
    }
}

void int4_decode(uint64_t n)
{
    size_t size;
    uint64_t row_bytes = n / 2 + n / GROUP + sizeof(float);
    static uint8_t *codes; /* the whole input: codes, then scales, then the rows' scales */
    codes = (uint8_t *)cli_read_file(&cli, "-", &size);
    if (size % row_bytes) die_size("INT4", size, n);
    uint64_t rows = size / row_bytes;
    const uint8_t *scales = codes + rows * (n / 2), *row_scales = scales + rows * (n / GROUP);
    float *y = rows ? quant_alloc(n, sizeof(float)) : NULL;
    for (uint64_t r = 0; r < rows; r++) {
        float row_scale;
        memcpy(&row_scale, row_scales + r * sizeof(row_scale), sizeof(row_scale));
        ggl_int4_decode_row(codes + r * (n / 2), scales + r * (n / GROUP), row_scale, y, (int64_t)n);
        quant_write(y, (size_t)n * sizeof(float));
    }
}
