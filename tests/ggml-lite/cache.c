/*
 * Cache rows bit for bit against the rules that the model was trained with, and
 * where the ring and the list keep them.
 */
#include "ggml-lite/cache.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 512, ROPE = 64, NOPE = DIM - ROPE, KV_BYTES = 583, INDEX_DIM = 128, INDEX_BYTES = 68 };

static uint32_t rng = 1;

static float random_value(void)
{
    rng = rng * 1664525 + 1013904223;
    float v = (float)(int32_t)rng * 0x1p-31f;
    rng = rng * 1664525 + 1013904223;
    return v * ldexpf(1, (int)(rng >> 28) - 8);
}

/* The smallest e with amax <= top * 2^e. */
static int scale_exponent(double amax, double top)
{
    int e = -130;
    while (amax > top * ldexp(1, e))
        e++;
    return e;
}

/* The nearest of the format's values to v; of two equally near ones that with the even code. */
static double nearest(double v, const double *values, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        double a = fabs(values[i] - fabs(v)), b = fabs(values[best] - fabs(v));
        if (a < b || (a == b && i % 2 == 0)) best = i;
    }
    return v < 0 ? -values[best] : values[best];
}

/* The 127 sizes of E4M3: 3 bits of fraction, exponents -6 .. 8, subnormals below. */
static void e4m3_values(double values[127])
{
    for (int code = 0; code < 127; code++)
        values[code] = code < 8 ? ldexp(code, -9) : ldexp(8 + code % 8, code / 8 - 10);
}

static double bf16(double v) /* nearest even, 8 bits of precision; v is in the normal range */
{
    if (v == 0) return v;
    int e;
    double m = frexp(v, &e);
    return ldexp(nearbyint(ldexp(m, 8)), e - 8);
}

static void attention_rows(void **state)
{
    (void)state;
    double values[127];
    e4m3_values(values);
    assert_true(values[126] == 448);
    struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, DIM, ROPE);
    assert_int_equal(f.bytes, KV_BYTES);
    for (int trial = 0; trial < 50; trial++) {
        float x[DIM], y[DIM];
        uint8_t row[KV_BYTES + 1], again[KV_BYTES];
        for (int i = 0; i < DIM; i++)
            x[i] = random_value();
        if (trial == 0) memset(x, 0, sizeof(x));
        if (trial == 1)
            for (int i = 0; i < DIM; i++)
                x[i] *= 1e-9f; /* below the smallest scale */
        row[KV_BYTES] = 0xa5;
        ggl_row_encode(&f, x, row);
        assert_int_equal(row[KV_BYTES], 0xa5);
        ggl_row_decode(&f, row, y);
        for (int block = 0; block < NOPE / 64; block++) {
            double amax = (double)1e-4f;
            for (int i = 0; i < 64; i++)
                amax = fmax(amax, fabs((double)x[64 * block + i]));
            int e = scale_exponent(amax, 448);
            assert_int_equal(row[NOPE + block], e + 127);
            for (int i = 64 * block; i < 64 * block + 64; i++)
                assert_true((double)y[i] == ldexp(nearest(ldexp((double)x[i], -e), values, 127), e));
        }
        for (int i = NOPE; i < DIM; i++)
            assert_true((double)y[i] == bf16((double)x[i]));
        ggl_row_encode(&f, y, again); /* what was stored once is stored without a change */
        assert_memory_equal(row + NOPE + NOPE / 64, again + NOPE + NOPE / 64, 2 * ROPE);
        float z[DIM];
        ggl_row_decode(&f, again, z);
        for (int i = 0; i < DIM; i++)
            assert_true(y[i] == z[i]);
    }
}

static void known_blocks(void **state)
{
    (void)state;
    struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, 64, 0);
    assert_int_equal(f.bytes, 65);
    float x[64] = {1, -0.3125f, 0.010009765625f, 3.5f, 7}, y[64];
    const float want[5] = {1, -0.3125f, 0.009765625f, 3.5f, 7};
    uint8_t row[65];
    ggl_row_encode(&f, x, row);
    ggl_row_decode(&f, row, y);
    assert_int_equal(row[64], 127 - 6);
    assert_memory_equal(y, want, sizeof(want));
    x[4] = 7.03125f;
    ggl_row_encode(&f, x, row);
    ggl_row_decode(&f, row, y);
    assert_int_equal(row[64], 127 - 5);
    assert_true(y[4] == 7);
    float tiny[64] = {1e-6f, 2e-5f};
    ggl_row_encode(&f, tiny, row);
    ggl_row_decode(&f, row, y);
    assert_int_equal(row[64], 105);
    assert_true(y[0] == 9.5367431640625e-07f && y[1] == 1.9073486328125e-05f);

    struct ggl_row_format index = ggl_row_format(GGL_ROW_INDEX, 32, 0);
    assert_int_equal(index.bytes, 17);
    const float fours[32] = {.25f, .75f, 1.25f, 1.75f, 2.5f, 3.5f, 5, 6},
                rounded[8] = {0, 1, 1, 2, 2, 4, 4, 6};
    ggl_row_encode(&index, fours, row);
    ggl_row_decode(&index, row, y);
    assert_int_equal(row[16], 127);
    assert_memory_equal(y, rounded, sizeof(rounded));
    assert_int_equal(row[1],
                     4 << 4 | 2); /* 1.25 and 1.75 became 1 and 2: codes 2 and 4, the low nibble first */
}

static void index_rows(void **state)
{
    (void)state;
    static const double values[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    struct ggl_row_format f = ggl_row_format(GGL_ROW_INDEX, INDEX_DIM, 0);
    assert_int_equal(f.bytes, INDEX_BYTES);
    for (int trial = 0; trial < 200; trial++) {
        float x[INDEX_DIM], y[INDEX_DIM];
        uint8_t row[INDEX_BYTES + 1];
        for (int i = 0; i < INDEX_DIM; i++)
            x[i] = trial ? random_value() : 0;
        row[INDEX_BYTES] = 0xa5;
        ggl_row_encode(&f, x, row);
        assert_int_equal(row[INDEX_BYTES], 0xa5);
        ggl_row_decode(&f, row, y);
        for (int block = 0; block < INDEX_DIM / 32; block++) {
            double amax = 6 * 0x1p-126;
            for (int i = 0; i < 32; i++)
                amax = fmax(amax, fabs((double)x[32 * block + i]));
            int e = scale_exponent(amax, 6);
            assert_int_equal(row[INDEX_DIM / 2 + block], e + 127);
            for (int i = 32 * block; i < 32 * block + 32; i++)
                assert_true((double)y[i] == ldexp(nearest(ldexp((double)x[i], -e), values, 8), e));
        }
    }
}

static void float_rows(void **state)
{
    (void)state;
    struct ggl_row_format f = ggl_row_format(GGL_ROW_FLOAT, 7, 0);
    assert_int_equal(f.bytes, 28);
    const float x[7] = {1, -0.0f, 3e-42f, INFINITY, -5, 1e30f, 0.1f};
    float y[7];
    uint8_t row[29]; /* rows lie at any address */
    ggl_row_encode(&f, x, row + 1);
    ggl_row_decode(&f, row + 1, y);
    assert_memory_equal(x, y, sizeof(x));
}

/* A number that is none must not become one. */
static void nan_and_infinity_stay(void **state)
{
    (void)state;
    struct ggl_row_format kv = ggl_row_format(GGL_ROW_KV, 128, 64),
                          index = ggl_row_format(GGL_ROW_INDEX, 64, 0);
    for (int at = 0; at < 128; at += 9) {
        float x[128] = {1}, y[128];
        uint8_t row[256];
        x[at] = at % 2 ? NAN : INFINITY;
        ggl_row_encode(&kv, x, row);
        ggl_row_decode(&kv, row, y);
        assert_true(!isfinite(y[at]));
        if (at >= 64) continue;
        ggl_row_encode(&index, x, row);
        ggl_row_decode(&index, row, y);
        assert_true(!isfinite(y[at]));
    }
}

static void ring_addresses(void **state)
{
    (void)state;
    uint8_t rows[7 * 5];
    const struct ggl_row_ring ring = {rows, 7, 5};
    for (int64_t pos = 0; pos < 100; pos++)
        assert_ptr_equal(ggl_ring_row(&ring, pos), rows + pos % 7 * 5);
    /* A million tokens of the largest row: no 32-bit product. */
    const struct ggl_row_ring large = {NULL, INT64_C(1) << 40, 583};
    assert_true((uintptr_t)ggl_ring_row(&large, (INT64_C(1) << 33) + 3) == ((UINT64_C(1) << 33) + 3) * 583);
}

static void list_addresses(void **state)
{
    (void)state;
    uint8_t *segments[3];
    for (int i = 0; i < 3; i++)
        assert_non_null(segments[i] = malloc(GGL_SEGMENT_ROWS * 3));
    const struct ggl_row_list list = {segments, 3, 3, 3};
    for (int64_t i = 0; i < 3 * GGL_SEGMENT_ROWS; i++) {
        uint8_t value[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
        memcpy(ggl_list_row(&list, i), value, 3);
    }
    for (int64_t i = 0; i < 3 * GGL_SEGMENT_ROWS; i++) {
        const uint8_t *row = segments[i / GGL_SEGMENT_ROWS] + i % GGL_SEGMENT_ROWS * 3;
        assert_true(row[0] == (uint8_t)i && row[1] == (uint8_t)(i >> 8) && row[2] == 7);
    }
    for (int i = 0; i < 3; i++)
        free(segments[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_rows),
        cmocka_unit_test(known_blocks),
        cmocka_unit_test(index_rows),
        cmocka_unit_test(float_rows),
        cmocka_unit_test(nan_and_infinity_stay),
        cmocka_unit_test(ring_addresses),
        cmocka_unit_test(list_addresses),
    };
    return cmocka_run_group_tests_name("ggml-lite/cache", tests, NULL, NULL);
}
