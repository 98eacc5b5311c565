/*
 * GGUF files that look odd and are right: all must be accepted, and say what
 * is in them.  Refusing too much is a fault like refusing too little.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "support/gguf_builder.h"

static struct gguf_builder b;
static struct ggl_gguf *g;
static int n_accepted;

/* Open what the builder holds; g is valid until the next call. */
static const struct ggl_gguf *accept_as(const char *name, bool header_only)
{
    char line[GGL_ERROR_LINE];
    ggl_gguf_free(g);
    if (gb_open(&b, name, header_only, &g, line)) fail_msg("file %d: %s", n_accepted, line);
    n_accepted++;
    return g;
}

static const struct ggl_gguf *accept(void)
{
    accept_as("x.gguf", true);
    n_accepted--;
    return accept_as("x.gguf", false);
}

static void one_tensor(uint32_t n_dims, const int64_t *ne, uint32_t type, size_t bytes)
{
    gb_head(&b, 3, 1, 0);
    gb_tensor(&b, "t", n_dims, ne, type, 0);
    gb_pad(&b, 32);
    for (size_t i = 0; i < bytes; i++) gb_u8(&b, (uint8_t)i);
}

static void empty(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        gb_head(&b, version, 0, 0);
        accept(); /* 24 bytes, no padding */
        assert_int_equal(ggl_gguf_version(g), version);
        assert_int_equal(ggl_gguf_n_tensors(g) + ggl_gguf_n_kv(g), 0);
        assert_int_equal(ggl_gguf_alignment(g), 32);
        assert_null(ggl_gguf_tensor(g, 0));
        assert_null(ggl_gguf_find_kv(g, "general.architecture"));
        gb_pad(&b, 32);
        accept();
        gb_zeros(&b, 1000);
        accept();
    }
    gb_head(&b, 3, 0, 1);
    gb_kv_u32(&b, "general.alignment", 1u << 20); /* header-only, and far from the data section */
    accept();
    assert_int_equal(ggl_gguf_alignment(g), 1 << 20);
}

static void shapes(void **state)
{
    (void)state;
    one_tensor(0, NULL, GGL_TYPE_F32, 4);
    const struct ggl_tensor *t = ggl_gguf_find_tensor(accept(), "t");
    assert_int_equal(t->n_dims, 0);
    assert_int_equal(t->ne[0], 1);
    assert_int_equal(ggl_gguf_tensor_bytes(t), 4); /* and no padding after it */
    static const int64_t none[][4] = {{0}, {0, 5, 5, 5}, {32, 0}, {32, 3, 0}, {32, 3, 7, 0}, {0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        for (uint32_t type = GGL_TYPE_F32; type <= GGL_TYPE_Q4_0; type++) {
            one_tensor(4, none[i], type, 0);
            assert_int_equal(ggl_gguf_tensor_bytes(ggl_gguf_find_tensor(accept(), "t")), 0);
        }
    one_tensor(4, (int64_t[]){1, 1, 1, 1}, GGL_TYPE_I64, 8);
    assert_int_equal(ggl_gguf_find_tensor(accept(), "t")->n_dims, 4);
    /* A name of 63 bytes, of several bytes a character. */
    char name[GGL_MAX_NAME];
    for (int i = 0; i < 63; i += 3) memcpy(name + i, "\xe4\xb8\x80", 3);
    name[63] = '\0';
    gb_head(&b, 3, 1, 0);
    gb_tensor(&b, name, 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_pad(&b, 32);
    gb_zeros(&b, 32);
    accept();
    assert_non_null(ggl_gguf_find_tensor(g, name));
    assert_null(ggl_gguf_find_tensor(g, ""));
}

static void every_type(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < GGL_TYPE_GGUF_END; type++) {
        const struct ggl_type_info *info = ggl_type_info(type);
        if (!info) continue;
        int64_t ne[3] = {2 * (int64_t)info->block_elems, 3, 2};
        one_tensor(3, ne, type, 12 * info->block_bytes);
        const struct ggl_tensor *t = ggl_gguf_find_tensor(accept(), "t");
        uint32_t part;
        uint64_t offset;
        ggl_gguf_tensor_location(g, 0, &part, &offset);
        assert_int_equal(t->type, type);
        assert_int_equal(ggl_gguf_stored_type(g, 0), type);
        assert_int_equal(t->row_bytes, 2 * info->block_bytes);
        assert_int_equal(t->slice_bytes, 6 * info->block_bytes);
        assert_int_equal(part, 0);
        assert_int_equal(offset, 96);
        assert_memory_equal(ggl_tensor_slice(t, 1), b.data + offset + t->slice_bytes, t->slice_bytes);
    }
}

static void values(void **state)
{
    (void)state;
    static const uint32_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    gb_head(&b, 2, 0, 2 * 11 + 4);
    for (uint32_t type = 0; type <= GGL_KV_F64; type++) {
        char key[16] = {(char)('a' + (char)type)};
        if (!bytes[type]) continue;
        gb_key(&b, key, type);
        gb_u8(&b, 1);
        gb_zeros(&b, bytes[type] - 1);
        key[1] = 'a';
        gb_arr(&b, key, type, 3); /* not aligned in the file */
        for (int i = 0; i < 3; i++) {
            gb_u8(&b, (uint8_t)(i % 2));
            gb_zeros(&b, bytes[type] - 1);
        }
    }
    gb_arr(&b, "none", GGL_KV_F64, 0);
    gb_arr(&b, "no strings", GGL_KV_STR, 0);
    gb_kv_str(&b, "empty", "");
    gb_key(&b, "binary", GGL_KV_STR);
    gb_strn(&b, "\xff\0\x80", 3); /* only keys and names must be text */
    accept();
    uint32_t v = 99;
    assert_int_equal(ggl_gguf_get_u32(g, "a", 0, 5, &v, NULL), GGL_OK);
    assert_int_equal(v, 1);
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, "la"); /* arr i64 */
    assert_int_equal(kv->type, GGL_KV_ARR);
    assert_int_equal(kv->elem, GGL_KV_I64);
    assert_int_equal(kv->n, 3);
    assert_int_equal(((const int64_t *)kv->data)[1], 1);
    assert_int_equal(ggl_gguf_find_kv(g, "none")->n, 0);
    assert_int_equal(ggl_gguf_find_kv(g, "no strings")->n, 0);
    assert_string_equal(ggl_gguf_get_str(g, "empty"), "");
    kv = ggl_gguf_find_kv(g, "binary");
    assert_int_equal(kv->str->size, 3);
    assert_memory_equal(kv->str->data, "\xff\0\x80", 4); /* with a terminator */
    gb_head(&b, 3, 0, 1);
    char key[65536];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    gb_kv_u32(&b, key, 7);
    accept();
    assert_non_null(ggl_gguf_find_kv(g, key));
}

static void alignments(void **state)
{
    (void)state;
    for (uint32_t a = 8; a <= 1u << 20; a *= 2) {
        gb_head(&b, 3, 2, 1);
        gb_kv_u32(&b, "general.alignment", a);
        gb_tensor(&b, "a", 1, (int64_t[]){1}, GGL_TYPE_F32, 0);
        gb_tensor(&b, "b", 1, (int64_t[]){1}, GGL_TYPE_F32, a);
        gb_pad(&b, a);
        gb_u32(&b, 11);
        gb_pad(&b, a);
        gb_u32(&b, 22); /* the last one without padding */
        accept();
        assert_int_equal(*(const uint32_t *)(const void *)ggl_gguf_find_tensor(g, "b")->data, 22);
    }
}

static void places(void **state)
{
    (void)state;
    gb_head(&b, 3, 4, 0); /* a gap, the wrong order, an empty tensor between and one at the very end */
    gb_tensor(&b, "late", 1, (int64_t[]){8}, GGL_TYPE_F32, 4096);
    gb_tensor(&b, "early", 1, (int64_t[]){8}, GGL_TYPE_F32, 64);
    gb_tensor(&b, "nothing", 1, (int64_t[]){0}, GGL_TYPE_F32, 4096);
    gb_tensor(&b, "end", 1, (int64_t[]){0}, GGL_TYPE_F32, 4128);
    gb_pad(&b, 32);
    gb_zeros(&b, 4128);
    accept();
    const struct ggl_tensor *late = ggl_gguf_find_tensor(g, "late"), *early = ggl_gguf_find_tensor(g, "early");
    assert_ptr_equal(late->data - early->data, 4032);
    gb_bytes(&b, "PK trailing", 11);
    accept();
    assert_int_equal(ggl_gguf_file_bytes(g), b.n);
}

static void header_only(void **state)
{
    (void)state;
    one_tensor(1, (int64_t[]){8}, GGL_TYPE_F32, 32);
    accept_as("x.gguf", true);
    float y[8];
    assert_null(ggl_gguf_find_tensor(g, "t")->data);
    assert_false(ggl_tensor_decode_row(ggl_gguf_find_tensor(g, "t"), 0, 0, y));
}

/* ---- split */

static void split_keys(uint32_t no, uint32_t count, uint32_t total)
{
    gb_kv_u32(&b, "split.no", no); /* u32 where u16 is usual */
    gb_kv_u32(&b, "split.count", count);
    gb_key(&b, "split.tensors.count", GGL_KV_I32);
    gb_u32(&b, total);
}

static void splits(void **state)
{
    (void)state;
    gb_head(&b, 3, 1, 5); /* its own alignment, and a key that the first part has too */
    split_keys(1, 3, 2);
    gb_kv_u32(&b, "general.alignment", 4096);
    gb_kv_str(&b, "general.architecture", "ignored");
    gb_tensor(&b, "two", 1, (int64_t[]){1}, GGL_TYPE_F32, 4096);
    gb_pad(&b, 4096);
    gb_zeros(&b, 4096);
    gb_u32(&b, 0x22222222);
    gb_save(&b, gb_temp("a-b-00002-of-00003.gguf"));
    gb_head(&b, 2, 1, 3);
    split_keys(2, 3, 2);
    gb_tensor(&b, "three", 1, (int64_t[]){1}, GGL_TYPE_F32, 0);
    gb_pad(&b, 32);
    gb_u32(&b, 0x33333333);
    gb_save(&b, gb_temp("a-b-00003-of-00003.gguf"));
    gb_head(&b, 3, 0, 4); /* metadata only */
    gb_kv_str(&b, "general.architecture", "deepseek4");
    split_keys(0, 3, 2);
    accept_as("a-b-00001-of-00003.gguf", true);
    accept_as("a-b-00001-of-00003.gguf", false);
    assert_int_equal(ggl_gguf_n_parts(g), 3);
    assert_int_equal(ggl_gguf_n_tensors(g), 2);
    assert_int_equal(ggl_gguf_n_kv(g), 4);
    assert_string_equal(ggl_gguf_get_str(g, "general.architecture"), "deepseek4");
    assert_int_equal(*(const uint32_t *)(const void *)ggl_gguf_find_tensor(g, "two")->data, 0x22222222);
    assert_int_equal(*(const uint32_t *)(const void *)ggl_gguf_find_tensor(g, "three")->data, 0x33333333);
    uint32_t part;
    uint64_t offset;
    ggl_gguf_tensor_location(g, 0, &part, &offset);
    assert_int_equal(part, 1);
    assert_int_equal(offset, 8192);
    ggl_gguf_tensor_location(g, 1, &part, &offset);
    assert_int_equal(part, 2);
    /* What merging leaves behind, and a split file of one part. */
    for (uint32_t count = 0; count <= 1; count++) {
        gb_head(&b, 3, 0, 3);
        split_keys(0, count, 5);
        accept_as("merged.gguf", false);
        assert_int_equal(ggl_gguf_n_parts(g), 1);
    }
}

/* ---- FP8 */

static void carriers(void **state)
{
    (void)state;
    const int64_t w[3] = {192, 130, 2}, s[3] = {2, 2, 2};
    for (int f32 = 0; f32 < 2; f32++) {
        gb_head(&b, 3, 3, 3);
        gb_kv_u32(&b, "ggl.storage.version", 1);
        gb_arr(&b, "ggl.storage.names", GGL_KV_STR, 1);
        gb_str(&b, "x.weight");
        gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, 1);
        gb_str(&b, f32 ? "fp8_e4m3.f32.t128x128" : "fp8_e4m3.ue8m0.t128x128");
        gb_tensor(&b, "x.scale", 3, s, f32 ? GGL_TYPE_F32 : GGL_TYPE_I8, 49920);
        gb_tensor(&b, "x.weight", 3, w, GGL_TYPE_I8, 0);
        gb_tensor(&b, "y.weight", 1, (int64_t[]){32}, GGL_TYPE_I8, 49952); /* a plain I8 tensor */
        gb_pad(&b, 32);
        for (int i = 0; i < 192 * 130 * 2; i++) gb_u8(&b, (uint8_t)(0x38 + i / (192 * 130) + (i % 192 == 191))); /* 1, 1.125, 1.25 */
        for (int i = 0; i < 8; i++) {
            float scale = (float)(1 << i);
            if (f32)
                gb_bytes(&b, &scale, 4);
            else
                gb_u8(&b, (uint8_t)(127 + i));
        }
        gb_pad(&b, 32);
        gb_zeros(&b, 32);
        accept();
        const struct ggl_tensor *t = ggl_gguf_find_tensor(g, "x.weight"), *scale = ggl_gguf_find_tensor(g, "x.scale");
        assert_int_equal(ggl_gguf_n_tensors(g), 3);
        assert_int_equal(t->type, GGL_TYPE_FP8);
        assert_int_equal(t->scale_type, f32 ? GGL_SCALE_F32 : GGL_SCALE_E8M0);
        assert_int_equal(ggl_gguf_stored_type(g, 1), GGL_TYPE_I8);
        assert_int_equal(scale->type, f32 ? GGL_TYPE_F32 : GGL_TYPE_I8);
        assert_ptr_equal(t->scale, scale->data);
        assert_int_equal(ggl_gguf_tensor_bytes(t), 192 * 130 * 2);
        assert_int_equal(ggl_gguf_find_tensor(g, "y.weight")->type, GGL_TYPE_I8);
        /* Tile (column, row) of slice s has scale 2^(4 s + 2 row + column). */
        static const struct {
            int slice, row;
            float first, last; /* columns 0 and 191 */
        } rows[] = {{0, 0, 1, 2.25f}, {0, 127, 1, 2.25f}, {0, 128, 4, 9}, {1, 0, 18, 40}, {1, 129, 72, 160}};
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            float y[192];
            assert_true(ggl_tensor_decode_row(t, rows[i].slice, rows[i].row, y));
            assert_true(y[0] == rows[i].first && y[191] == rows[i].last);
        }
        accept_as("x.gguf", true);
        assert_null(ggl_gguf_find_tensor(g, "x.weight")->scale);
    }
    gb_head(&b, 3, 0, 3); /* nothing is declared */
    gb_kv_u32(&b, "ggl.storage.version", 1);
    gb_arr(&b, "ggl.storage.names", GGL_KV_STR, 0);
    gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, 0);
    accept();
}

static void int4_carriers(void **state)
{
    (void)state;
    enum { IN = 96, OUT = 5, SLICES = 2 };
    float x[IN], y[IN], z[IN];
    uint8_t codes[SLICES * OUT][IN / 2], scales[SLICES * OUT][IN / 32];
    float row_scales[SLICES * OUT];
    for (int r = 0; r < SLICES * OUT; r++) {
        for (int i = 0; i < IN; i++) x[i] = (float)((i * 37 + r * 11) % 64 - 31) * (float)(r + 1);
        ggl_int4_encode_row(x, NULL, codes[r], scales[r], &row_scales[r], IN);
    }
    gb_head(&b, 3, 4, 3);
    gb_kv_u32(&b, "ggl.storage.version", 1);
    gb_arr(&b, "ggl.storage.names", GGL_KV_STR, 1);
    gb_str(&b, "x.weight");
    gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, 1);
    gb_str(&b, "i4t.g32.s8");
    gb_tensor(&b, "x.rscale", 2, (int64_t[]){OUT, SLICES}, GGL_TYPE_F32, 544);
    gb_tensor(&b, "x.weight", 3, (int64_t[]){IN / 2, OUT, SLICES}, GGL_TYPE_I8, 0);
    gb_tensor(&b, "y.weight", 1, (int64_t[]){32}, GGL_TYPE_I8, 608);
    gb_tensor(&b, "x.scale", 3, (int64_t[]){IN / 32, OUT, SLICES}, GGL_TYPE_I8, 512);
    gb_pad(&b, 32);
    gb_bytes(&b, codes, sizeof(codes));
    gb_zeros(&b, 512 - sizeof(codes));
    gb_bytes(&b, scales, sizeof(scales));
    gb_zeros(&b, 32 - sizeof(scales));
    gb_bytes(&b, row_scales, sizeof(row_scales));
    gb_zeros(&b, 64 - sizeof(row_scales) + 32);
    accept();
    const struct ggl_tensor *t = ggl_gguf_find_tensor(g, "x.weight");
    assert_int_equal(t->type, GGL_TYPE_INT4);
    assert_int_equal(t->scale_type, GGL_SCALE_E4M3);
    assert_int_equal(t->ne[0], IN);
    assert_int_equal(t->row_bytes, IN / 2);
    assert_int_equal(ggl_gguf_tensor_bytes(t), sizeof(codes));
    assert_int_equal(ggl_gguf_stored_type(g, 1), GGL_TYPE_I8);
    assert_int_equal(ggl_gguf_find_tensor(g, "x.scale")->type, GGL_TYPE_I8);
    assert_int_equal(ggl_gguf_find_tensor(g, "y.weight")->type, GGL_TYPE_I8);
    for (int r = 0; r < SLICES * OUT; r++) {
        assert_true(ggl_tensor_decode_row(t, r / OUT, r % OUT, y));
        ggl_int4_decode_row(codes[r], scales[r], row_scales[r], z, IN);
        assert_memory_equal(y, z, sizeof(y));
    }
    assert_false(ggl_tensor_decode_row(t, SLICES, 0, y));
    accept_as("x.gguf", true);
    t = ggl_gguf_find_tensor(g, "x.weight");
    assert_int_equal(t->ne[0], IN);
    assert_true(!t->data && !t->scale && !t->row_scale);
}

static void enough(void **state)
{
    (void)state;
    print_message("%d odd files accepted\n", n_accepted);
    assert_true(n_accepted >= 30);
}

static int clean(void **state)
{
    (void)state;
    ggl_gguf_free(g);
    gb_free(&b);
    gb_remove_temp();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),      cmocka_unit_test(shapes), cmocka_unit_test(every_type),
        cmocka_unit_test(values),     cmocka_unit_test(alignments), cmocka_unit_test(places),
        cmocka_unit_test(header_only), cmocka_unit_test(splits), cmocka_unit_test(carriers),
        cmocka_unit_test(int4_carriers), cmocka_unit_test(enough),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
