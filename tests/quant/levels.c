/*
 * The encoders on every level of the processor: the same bytes, and the bytes that they have always been.  That a search
 * which differs a little would be noticed is tested, too.
 */
#include "ggml-lite/cpu.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/src/codec.h"
#include "quant/src/search.h"
#include "support/codec_check.h"
#include "support/sha256.h"

enum { MOST = 256 * 9, ROWS = 72, ROOM = MOST * 2 };

static const struct {
    enum ggl_type type;
    const char *plain, *weighted; /* SHA-256 of all rows' blocks begins so; NULL: not without weights */
} types[] = {
    {GGL_TYPE_Q4_0, "d378dc17d0a91b2b", "b5dc4fa3a557774b"},
    {GGL_TYPE_Q4_1, "a20a4d3b0908a4a7", "2f2ac58e44f53552"},
    {GGL_TYPE_Q5_0, "9e8b274a69aba185", "577e8751232877a8"},
    {GGL_TYPE_Q5_1, "08a80d423c00f012", "d6da8530f0ab0dcc"},
    {GGL_TYPE_Q2_K, "42d1e42e3b65ad78", "2443e5aa0f57b954"},
    {GGL_TYPE_Q3_K, "733f35fe4b896421", "41bcefef1e5788d6"},
    {GGL_TYPE_Q4_K, "80051977b104cbc8", "2b085d0b6974d778"},
    {GGL_TYPE_Q5_K, "741233586caa947a", "22e9d556699126db"},
    {GGL_TYPE_Q6_K, "fdb89637bfffc8a6", "c002ab7001ec8878"},
    {GGL_TYPE_IQ4_NL, "476b47f68d6f23e1", "c650a36f92e81afd"},
    {GGL_TYPE_IQ4_XS, "93becaa569c8dcbf", "62eb3543dcae9e0d"},
    {GGL_TYPE_IQ2_XXS, NULL, "71da4b0b7930058d"},
};
enum { N_TYPES = sizeof(types) / sizeof(*types) };

static const uint64_t levels[] = {GGL_ISA_AVX2, GGL_ISA_AVX2 | GGL_ISA_AVX512};

static float x[MOST], w[MOST];
static uint8_t expected[ROOM], found[ROOM];

/* One of the values of FP4 experts, which puts many codes exactly between two others. */
static float fp4_like(float v, int i)
{
    static const float values[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    float a = values[(int)(fabsf(v) * 4) & 7];
    return ldexpf(v < 0 ? -a : a, i / 32 % 5 - 7);
}

/* Row r: 1 to 9 blocks of 256, so that lanes stay empty; its kind changes with r. */
static int draw_row(int r)
{
    static const float odd[] = {0, 0x1p-149f, 1e-38f, 1e-30f, 1e-8f, 60000, 1e9f, 3.4e38f, INFINITY, NAN};
    int n = 256 * (1 + r % 9);
    fill_random(x, (size_t)n, (uint64_t)(2 * r + 1));
    fill_random(w, (size_t)n, (uint64_t)(2 * r + 2));
    for (int i = 0; i < n; i++) {
        w[i] = r % 4 == 3 ? (float)(i % 3) : r % 4 == 2 ? 1 : w[i] * w[i];
        switch (r % 8) {
        case 0: break;
        case 1: x[i] = fp4_like(x[i], i); break;
        case 2: x[i] = x[i] * x[i] * x[i]; break;
        case 3: x[i] = 3 + 0.01f * x[i]; break;
        case 4: x[i] = i / 32 % 3 ? x[i] : 0; break;
        case 5: x[i] = i % 32 == 5 ? 100 * x[i] : 1e-3f * x[i]; break;
        case 6: x[i] = i % 61 && i / 256 % 2 ? x[i] : odd[r / 8] * (float)(i % 3 - 1); break;
        default: x[i] = -fabsf(x[i]); break;
        }
    }
    return n;
}

static uint64_t encode(const struct ggl_searches *s, enum ggl_type type, const float *weights, int n, uint8_t *blocks)
{
    uint64_t bytes;
    memset(blocks, 0xa5, ROOM);
    assert_true(ggl_row_bytes(type, n, &bytes) && bytes < ROOM);
    assert_true(ggl_encode_row_with(s, type, x, weights, blocks, n));
    assert_int_equal(blocks[bytes], 0xa5);
    return bytes;
}

/* Whether a search gives the bytes of plain C for all rows. */
static bool is_same(const struct ggl_searches *s, enum ggl_type type, bool weighted)
{
    for (int r = 0; r < ROWS; r++) {
        int n = draw_row(r);
        uint64_t bytes = encode(&ggl_searches_c, type, weighted ? w : NULL, n, expected);
        encode(s, type, weighted ? w : NULL, n, found);
        if (memcmp(expected, found, bytes) != 0) return false;
    }
    return true;
}

static void levels_are_alike(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        if (levels[k] & ~ggl_cpu_isa()) continue;
        const struct ggl_searches *s = ggl_searches_pick(levels[k]);
#ifndef GGL_PLAIN_C
        assert_ptr_not_equal(s, &ggl_searches_c);
#endif
        for (int t = 0; t < N_TYPES; t++)
            for (int weighted = types[t].plain ? 0 : 1; weighted < 2; weighted++)
                if (!is_same(s, types[t].type, weighted))
                    fail_msg("%s%s: other bytes with level %d", ggl_type_info(types[t].type)->name,
                             weighted ? ", weighted" : "", k + 1);
    }
    assert_ptr_equal(ggl_searches_pick(0), &ggl_searches_c);
    assert_ptr_equal(ggl_searches_pick(GGL_ISA_INTEL | GGL_ISA_NEON), &ggl_searches_c);
}

/* The public function picks by the levels that it is given. */
static void by_level(void **state)
{
    (void)state;
    int n = draw_row(8);
    uint64_t bytes = encode(&ggl_searches_c, GGL_TYPE_Q4_K, NULL, n, expected);
    assert_true(ggl_encode_row_at(ggl_cpu_isa(), GGL_TYPE_Q4_K, x, NULL, found, n));
    assert_memory_equal(expected, found, bytes);
    assert_true(ggl_encode_row(GGL_TYPE_Q4_K, x, NULL, found, n));
    assert_memory_equal(expected, found, bytes);
    assert_true(ggl_encode_row_at(ggl_cpu_isa(), GGL_TYPE_Q8_0, x, w, found, n)); /* without a search of its own */
    assert_false(ggl_encode_row_at(ggl_cpu_isa(), GGL_TYPE_IQ2_XXS, x, NULL, found, n));
    assert_false(ggl_encode_row_at(ggl_cpu_isa(), GGL_TYPE_Q4_K, x, NULL, found, 255));
}

/* Compilers and processors that no level is for have these bytes as well. */
static void bytes_stay(void **state)
{
    (void)state;
    for (int t = 0; t < N_TYPES; t++)
        for (int weighted = types[t].plain ? 0 : 1; weighted < 2; weighted++) {
            const char *sha = weighted ? types[t].weighted : types[t].plain;
            static uint8_t all[ROWS * ROOM];
            size_t bytes = 0;
            for (int r = 0; r < ROWS; r++) {
                int n = draw_row(r);
                bytes += encode(&ggl_searches_c, types[t].type, weighted ? w : NULL, n, all + bytes);
            }
            char hex[65];
            sha256_hex(all, bytes, hex);
            if (strncmp(hex, sha, 16) != 0 || strlen(sha) != 16)
                fail_msg("%s%s: %.16s, expected %s", ggl_type_info(types[t].type)->name, weighted ? ", weighted" : "", hex, sha);
        }
}

/* ---- what must not pass */

static void other_affine(const struct ggl_lanes *lanes, const struct ggl_affine_search *how, struct ggl_found *f)
{
    struct ggl_affine_search other = *how;
    other.step *= 1.01f;
    ggl_searches_c.affine(lanes, &other, f);
}

/* One group's scale a little off. */
static void rough_symmetric(const struct ggl_lanes *lanes, int top, struct ggl_found *f)
{
    ggl_searches_c.symmetric(lanes, top, f);
    f->scale[lanes->n_groups - 1] *= 1.001f;
}

static void fewer_levels(const struct ggl_lanes *lanes, const float *places, int n_places, struct ggl_found *f)
{
    ggl_searches_c.levels(lanes, places + 1, n_places - 1, f);
}

static void broken_searches_are_found(void **state)
{
    (void)state;
    const struct ggl_searches broken = {rough_symmetric, other_affine, fewer_levels};
    static const enum ggl_type plain[] = {GGL_TYPE_Q2_K, GGL_TYPE_Q4_K, GGL_TYPE_Q5_K, GGL_TYPE_Q6_K, GGL_TYPE_IQ4_NL, GGL_TYPE_IQ4_XS};
    for (size_t k = 0; k < sizeof(plain) / sizeof(*plain); k++) assert_false(is_same(&broken, plain[k], false));
    for (int t = 0; t < N_TYPES; t++)
        if (types[t].type != GGL_TYPE_IQ2_XXS) assert_false(is_same(&broken, types[t].type, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_alike),
        cmocka_unit_test(by_level),
        cmocka_unit_test(bytes_stay),
        cmocka_unit_test(broken_searches_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
