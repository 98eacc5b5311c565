/* The type table: ids, names, sizes, and the arithmetic of row sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/quant.h"

/* The published table of ids, with which codecs this library has: d, e. */
static const struct {
    uint32_t id;
    const char *name;
    uint32_t elems, bytes;
    const char *codecs;
} published[] = {
    {0, "F32", 1, 4, "de"},        {1, "F16", 1, 2, "de"},        {2, "Q4_0", 32, 18, "de"},
    {3, "Q4_1", 32, 20, "de"},     {6, "Q5_0", 32, 22, "de"},     {7, "Q5_1", 32, 24, "de"},
    {8, "Q8_0", 32, 34, "de"},     {9, "Q8_1", 32, 36, "d"},      {10, "Q2_K", 256, 84, "de"},
    {11, "Q3_K", 256, 110, "de"},   {12, "Q4_K", 256, 144, "de"},   {13, "Q5_K", 256, 176, "de"},
    {14, "Q6_K", 256, 210, "de"},   {15, "Q8_K", 256, 292, "d"},   {16, "IQ2_XXS", 256, 66, "d"},
    {17, "IQ2_XS", 256, 74, "d"},  {18, "IQ3_XXS", 256, 98, "d"}, {19, "IQ1_S", 256, 50, "d"},
    {20, "IQ4_NL", 32, 18, "de"},   {21, "IQ3_S", 256, 110, "d"},  {22, "IQ2_S", 256, 82, "d"},
    {23, "IQ4_XS", 256, 136, "de"}, {24, "I8", 1, 1, ""},          {25, "I16", 1, 2, ""},
    {26, "I32", 1, 4, ""},         {27, "I64", 1, 8, ""},         {28, "F64", 1, 8, ""},
    {29, "IQ1_M", 256, 56, "d"},   {30, "BF16", 1, 2, "de"},      {34, "TQ1_0", 256, 54, "d"},
    {35, "TQ2_0", 256, 66, "d"},   {39, "MXFP4", 32, 17, "de"},   {40, "NVFP4", 64, 36, "d"},
    {41, "Q1_0", 128, 18, "d"},    {42, "Q2_0", 64, 18, "d"},     {1000, "FP8", 1, 1, ""},
    {1001, "FP4", 2, 1, ""},      {1002, "INT4", 32, 16, ""},
};
enum { N_PUBLISHED = sizeof(published) / sizeof(*published) };

static void table(void **state)
{
    (void)state;
    for (int i = 0; i < N_PUBLISHED; i++) {
        const struct ggl_type_info *t = ggl_type_info(published[i].id);
        enum ggl_type type;
        char lower[16] = "";
        assert_non_null(t);
        assert_string_equal(t->name, published[i].name);
        assert_int_equal(t->block_elems, published[i].elems);
        assert_int_equal(t->block_bytes, published[i].bytes);
        assert_int_equal(t->decode != NULL, strchr(published[i].codecs, 'd') != NULL);
        assert_int_equal(t->encode != NULL, strchr(published[i].codecs, 'e') != NULL);

        assert_true(ggl_type_from_name(published[i].name, &type));
        assert_int_equal(type, published[i].id);
        for (size_t k = 0; published[i].name[k]; k++) {
            char c = published[i].name[k];
            lower[k] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        assert_true(ggl_type_from_name(lower, &type));
        assert_int_equal(type, published[i].id);
    }
}

static void no_other_types(void **state)
{
    int found = 0;
    (void)state;
    for (uint32_t id = 0; id < 70000; id++)
        found += ggl_type_info(id) != NULL;
    assert_int_equal(found, N_PUBLISHED);
    static const uint32_t wild[] = {0x44530001u, 0x7fffffffu, 0x80000000u, 0xffffffffu};
    for (int i = 0; i < 4; i++)
        assert_null(ggl_type_info(wild[i]));
    static const char *const names[] = {"", "Q4", "Q4_", "Q4_KK", "Q4_K ", " Q4_K", "F", "INT", "INT44", "q4-k"};
    enum ggl_type type = GGL_TYPE_I64;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_false(ggl_type_from_name(names[i], &type));
    assert_int_equal(type, GGL_TYPE_I64);
}

static void row_bytes(void **state)
{
    uint64_t n = 7;
    (void)state;
    for (int i = 0; i < N_PUBLISHED; i++) {
        uint32_t id = published[i].id, elems = published[i].elems, bytes = published[i].bytes;
        assert_true(ggl_row_bytes(id, 0, &n));
        assert_int_equal(n, 0);
        assert_true(ggl_row_bytes(id, 7 * (int64_t)elems, &n));
        assert_int_equal(n, 7 * (uint64_t)bytes);
        n = 7;
        assert_false(ggl_row_bytes(id, -(int64_t)elems, &n));
        assert_false(ggl_row_bytes(id, INT64_MIN, &n));
        if (elems > 1) assert_false(ggl_row_bytes(id, 7 * (int64_t)elems + 1, &n));
        if (elems > 1) assert_false(ggl_row_bytes(id, elems - 1, &n));
        if (bytes > elems) assert_false(ggl_row_bytes(id, INT64_MAX / elems * elems, &n));
        assert_int_equal(n, 7);
    }
    /* The last row that fits in 63 bits, and the first that does not. */
    assert_true(ggl_row_bytes(GGL_TYPE_F32, INT64_MAX / 4, &n));
    assert_int_equal(n, INT64_MAX / 4 * 4);
    assert_false(ggl_row_bytes(GGL_TYPE_F32, INT64_MAX / 4 + 1, &n));
    assert_true(ggl_row_bytes(GGL_TYPE_FP8, INT64_MAX, &n));
    assert_int_equal(n, INT64_MAX);
    assert_false(ggl_row_bytes(4, 32, &n));
    assert_false(ggl_row_bytes(43, 32, &n));
}

static void codec_refusals(void **state)
{
    float y[256] = {0};
    uint8_t blocks[2048] = {0};
    (void)state;
    for (uint32_t id = 0; id < 1100; id++) {
        const struct ggl_type_info *t = ggl_type_info(id);
        int64_t n = t ? t->block_elems : 32;
        assert_int_equal(ggl_decode((enum ggl_type)id, blocks, y, n), t && t->decode);
        assert_int_equal(ggl_encode((enum ggl_type)id, y, blocks, n), t && t->encode);
        assert_false(ggl_decode((enum ggl_type)id, blocks, y, -n));
        assert_false(ggl_encode((enum ggl_type)id, y, blocks, -n));
        if (n == 1) continue;
        assert_false(ggl_decode((enum ggl_type)id, blocks, y, n - 1));
        assert_false(ggl_encode((enum ggl_type)id, y, blocks, n - 1));
    }
    assert_true(ggl_decode(GGL_TYPE_F32, NULL, NULL, 0));
    assert_true(ggl_encode(GGL_TYPE_F32, NULL, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(no_other_types),
        cmocka_unit_test(row_bytes),
        cmocka_unit_test(codec_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
