/*
 * GGUF files that break one rule each.  All must be refused with FORMAT and a
 * message that says what is wrong, header-only or not, within a second, and
 * the whole program must stay small: a file never costs much more memory than
 * it is long.
 */
#include "support/gguf_reject.h"

static size_t n_truncated;

/* ---- the head */

static void head(void **state)
{
    (void)state;
    static const uint32_t versions[] = {0, 1, 4, 5, 255, 0x7fffffff, 0xffffffff};
    gb_head(&b, 3, 0, 0);
    memcpy(b.data, "GGUX", 4);
    reject("\"GGUF\"");
    memcpy(b.data, "gguf", 4);
    reject("\"GGUF\"");
    memcpy(b.data, "FUGG", 4);
    reject("\"GGUF\"");
    for (size_t i = 0; i < N(versions); i++) {
        gb_head(&b, versions[i], 0, 0);
        reject("version");
    }
    gb_head(&b, 0x03000000, 0, 0);
    reject("big-endian");
    gb_head(&b, 0x02000000, 0, 0);
    reject("big-endian");

    static const uint64_t counts[] = {1, 2, 1000000, 1000000000000000, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX,
                                      UINT64_MAX / 24 + 1, UINT64_MAX / 184 + 1, UINT64_MAX / 56 + 1, 1ull << 32};
    for (size_t i = 0; i < N(counts); i++) {
        gb_head(&b, 3, counts[i], 0);
        reject("number of tensors");
        gb_head(&b, 3, 0, counts[i]);
        reject("number of keys");
        gb_head(&b, 2, counts[i], counts[i]);
        gb_zeros(&b, 12); /* not one record */
        reject("number of tensors");
    }
    gb_reset(&b);
    reject("truncated");
}

/* ---- keys */

static void one_key(const char *key, uint64_t n, uint32_t type)
{
    gb_head(&b, 3, 0, 1);
    gb_strn(&b, key, n);
    gb_u32(&b, type);
}

static void bad_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t n;
        const char *text;
    } names[] = {
        {"", 0, "empty"},
        {"\0", 1, "NUL"},
        {"a\0b", 3, "NUL"},
        {"general.name\0", 13, "NUL"},
        {"\0a", 2, "NUL"},
        {"\xff", 1, "UTF-8"},
        {"a\x80", 2, "UTF-8"},
        {"\xc0\xaf", 2, "UTF-8"},         /* overlong '/' */
        {"\xc1\xbf", 2, "UTF-8"},
        {"\xe0\x80\xaf", 3, "UTF-8"},
        {"\xf0\x80\x80\xaf", 4, "UTF-8"},
        {"\xed\xa0\x80", 3, "UTF-8"},     /* surrogate */
        {"\xed\xbf\xbf", 3, "UTF-8"},
        {"\xf4\x90\x80\x80", 4, "UTF-8"}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 4, "UTF-8"},
        {"\xe2\x82", 2, "UTF-8"},         /* cut off */
        {"\xf0\x9f\x98", 3, "UTF-8"},
        {"x\xc3", 2, "UTF-8"},
        {"\xc3(", 2, "UTF-8"},
    };
    for (size_t i = 0; i < N(names); i++) {
        one_key(names[i].name, names[i].n, GGL_KV_U32);
        gb_u32(&b, 1);
        reject(names[i].text);
        gb_head(&b, 3, 1, 0);
        gb_strn(&b, names[i].name, names[i].n);
        gb_u32(&b, 1);
        gb_u64(&b, 1);
        gb_u32(&b, GGL_TYPE_F32);
        gb_u64(&b, 0);
        gb_pad(&b, 32);
        gb_zeros(&b, 32);
        reject(names[i].text);
    }
    static const char too_long[70000] = {0};
    char *key = malloc(sizeof(too_long));
    memset(key, 'k', sizeof(too_long));
    one_key(key, 65536, GGL_KV_U8);
    gb_u8(&b, 1);
    reject("too long");
    one_key(key, sizeof(too_long), GGL_KV_U8);
    gb_u8(&b, 1);
    reject("too long");
    for (uint64_t n = 64; n <= 256; n *= 2) {
        gb_head(&b, 3, 1, 0);
        gb_strn(&b, key, n);
        gb_u32(&b, 0);
        gb_u32(&b, GGL_TYPE_F32);
        gb_u64(&b, 0);
        gb_pad(&b, 32);
        gb_zeros(&b, 32);
        reject("too long");
    }
    free(key);
}

static const uint64_t lengths[] = {UINT64_MAX,     UINT64_MAX - 7, (uint64_t)INT64_MAX, (uint64_t)INT64_MAX + 1, 1ull << 32,
                                   (1ull << 31),   (1ull << 30) + 1, 1ull << 30,        100000,     33};

static void bad_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(lengths); i++) {
        const char *text = lengths[i] > 1u << 30 ? "length" : "truncated";
        gb_head(&b, 3, 0, 1); /* of a key */
        gb_u64(&b, lengths[i]);
        gb_zeros(&b, 32);
        reject(text);
        one_key("key", 3, GGL_KV_STR); /* of a value */
        gb_u64(&b, lengths[i]);
        gb_zeros(&b, 32);
        reject(text);
        gb_head(&b, 3, 0, 1); /* of a string in an array */
        gb_arr(&b, "key", GGL_KV_STR, 2);
        gb_str(&b, "x");
        gb_u64(&b, lengths[i]);
        gb_zeros(&b, 32);
        reject(text);
        gb_head(&b, 3, 1, 0); /* of a tensor's name */
        gb_u64(&b, lengths[i]);
        gb_zeros(&b, 32);
        reject(text);
    }
}

static void bad_values(void **state)
{
    (void)state;
    static const uint32_t types[] = {13, 14, 100, 255, 256, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < N(types); i++) {
        one_key("key", 3, types[i]);
        gb_zeros(&b, 64);
        reject("type");
        gb_head(&b, 3, 0, 1);
        gb_arr(&b, "key", types[i], 1);
        gb_zeros(&b, 64);
        reject("element type");
    }
    for (int v = 2; v < 256; v += 23) {
        one_key("key", 3, GGL_KV_BOOL);
        gb_u8(&b, (uint8_t)v);
        reject("bool");
        gb_head(&b, 3, 0, 1);
        gb_arr(&b, "key", GGL_KV_BOOL, 3);
        gb_u8(&b, 0);
        gb_u8(&b, 1);
        gb_u8(&b, (uint8_t)v);
        reject("bool");
    }
    gb_head(&b, 3, 0, 1);
    gb_arr(&b, "nested", GGL_KV_ARR, 1);
    gb_u32(&b, GGL_KV_U8);
    gb_u64(&b, 1);
    gb_u8(&b, 1);
    reject("nested");
    gb_head(&b, 3, 0, 1);
    gb_arr(&b, "nested", GGL_KV_ARR, 0);
    reject("nested");
}

/* Every value type, one byte short. */
static void short_values(void **state)
{
    (void)state;
    static const uint32_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
    for (uint32_t type = 0; type < N(bytes); type++) {
        one_key("a key", 5, type);
        gb_zeros(&b, bytes[type] - 1);
        reject("truncated");
        if (type == GGL_KV_ARR) continue;
        gb_head(&b, 3, 0, 1);
        gb_arr(&b, "a key", type, 3);
        gb_zeros(&b, 3 * bytes[type] - 1);
        reject("truncated");
    }
}

static void bad_arrays(void **state)
{
    (void)state;
    static const uint64_t counts[] = {UINT64_MAX, 1ull << 63, 1ull << 62, 1ull << 61, (1ull << 61) + 1, 1ull << 60,
                                      1ull << 32, (1ull << 30) + 1, 1ull << 30, 1000000, 65};
    static const uint32_t elems[] = {GGL_KV_U8, GGL_KV_BOOL, GGL_KV_I16, GGL_KV_F32, GGL_KV_U64, GGL_KV_F64, GGL_KV_STR};
    for (size_t i = 0; i < N(counts); i++)
        for (size_t k = 0; k < N(elems); k++) {
            gb_head(&b, 3, 0, 1);
            gb_arr(&b, "key", elems[k], counts[i]);
            gb_zeros(&b, 64);
            reject(counts[i] > 1u << 30 ? "array length" : "truncated");
        }
}

static void duplicate_keys(void **state)
{
    (void)state;
    gb_head(&b, 3, 0, 2);
    gb_kv_u32(&b, "a", 1);
    gb_kv_u32(&b, "a", 1);
    reject("duplicate");
    gb_head(&b, 3, 0, 3);
    gb_kv_u32(&b, "general.alignment", 32);
    gb_kv_str(&b, "x", "y");
    gb_kv_u32(&b, "general.alignment", 64);
    reject("duplicate");
    gb_head(&b, 3, 0, 3);
    gb_kv_u32(&b, "x", 32);
    gb_kv_u32(&b, "y", 32);
    gb_kv_str(&b, "x", "another type");
    reject("'x'");
}

static void alignments(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 1, 2, 3, 4, 5, 7, 9, 12, 24, 31, 33, 48, 4095, 1u << 21, 1u << 31, 0xffffffff};
    for (size_t i = 0; i < N(values); i++) {
        gb_head(&b, 3, 1, 1);
        gb_kv_u32(&b, "general.alignment", values[i]);
        gb_tensor(&b, "t", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
        gb_pad(&b, 32);
        gb_zeros(&b, 32);
        reject("power of two");
    }
    for (uint32_t type = 0; type <= GGL_KV_F64; type++) {
        if (type == GGL_KV_U32) continue;
        gb_head(&b, 3, 0, 1);
        gb_key(&b, "general.alignment", type);
        gb_zeros(&b, 32);
        reject("u32");
    }
}

/* ---- tensors */

static void one_tensor(uint32_t n_dims, const int64_t *ne, uint32_t type, uint64_t offset, size_t data)
{
    gb_head(&b, 3, 1, 0);
    gb_tensor(&b, "some.weight", n_dims, ne, type, offset);
    gb_pad(&b, 32);
    gb_zeros(&b, data);
}

static void tensor_fields(void **state)
{
    (void)state;
    static const uint32_t dims[] = {5, 6, 255, 1u << 16, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < N(dims); i++) {
        gb_head(&b, 3, 1, 0);
        gb_str(&b, "some.weight");
        gb_u32(&b, dims[i]);
        gb_zeros(&b, 128);
        reject("n_dims");
    }
    static const uint32_t types[] = {4,   5,   31,  32,   33,   36,         37,         38,        43,         44,
                                     64,  97,  133, 202,  255,  999,        1000,       1001,      1002,       0x44530001,
                                     256, 512, 298, 65536, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xffffff00};
    for (size_t i = 0; i < N(types); i++) {
        one_tensor(1, (int64_t[]){256}, types[i], 0, 4096);
        reject("'some.weight': type");
    }
    gb_head(&b, 3, 2, 0);
    gb_tensor(&b, "twice", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_tensor(&b, "twice", 1, (int64_t[]){8}, GGL_TYPE_F32, 32);
    gb_pad(&b, 32);
    gb_zeros(&b, 64);
    reject("duplicate");
    /* Rows must be whole blocks, even when the tensor as a whole is. */
    for (uint32_t type = 0; type < GGL_TYPE_GGUF_END; type++) {
        const struct ggl_type_info *info = ggl_type_info(type);
        if (!info || info->block_elems == 1) continue;
        one_tensor(2, (int64_t[]){info->block_elems / 2, 2}, type, 0, 4096);
        reject("whole blocks");
        one_tensor(1, (int64_t[]){info->block_elems + 1}, type, 0, 4096);
        reject("whole blocks");
        one_tensor(0, NULL, type, 0, 4096);
        reject("whole blocks");
    }
}

static void overflowing_shapes(void **state)
{
    (void)state;
    static const struct {
        uint32_t n;
        int64_t ne[4];
    } shapes[] = {
        {2, {1ll << 32, 1ll << 32}},
        {3, {1ll << 22, 1ll << 21, 1ll << 21}},
        {4, {1 << 16, 1 << 16, 1 << 16, 1 << 16}},
        {2, {1ll << 31, 1ll << 32}},
        {2, {1152 * 256, (1ll << 42) + 1}},
        {1, {INT64_MAX}},
        {1, {INT64_MAX - 255}},
        {1, {-1}},
        {1, {INT64_MIN}},
        {2, {256, -1}},
        {3, {256, 1, -256}},
        {4, {256, 1, 1, INT64_MIN}},
        {4, {0, INT64_MAX, INT64_MAX, INT64_MAX}}, /* zero bytes, but not zero trouble */
        {3, {1ll << 40, 1ll << 40, 0}},
        {2, {256, INT64_MAX}},
        {2, {256, (1ll << 55)}},
        {1, {1ll << 62}},
        {2, {1ll << 61, 2}},
    };
    static const uint32_t types[] = {GGL_TYPE_F32, GGL_TYPE_F16, GGL_TYPE_Q4_0, GGL_TYPE_Q6_K, GGL_TYPE_IQ2_XXS, GGL_TYPE_I8,
                                     GGL_TYPE_F64, GGL_TYPE_MXFP4};
    for (size_t i = 0; i < N(shapes); i++)
        for (size_t k = 0; k < N(types); k++) {
            one_tensor(shapes[i].n, shapes[i].ne, types[k], 0, 4096);
            reject("some.weight");
        }
}

static void placement(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {64, 4096, 1ull << 32, 1ull << 62, 1ull << 63, UINT64_MAX - 31, UINT64_MAX - 63, UINT64_MAX - 127};
    for (size_t i = 0; i < N(offsets); i++) {
        one_tensor(1, (int64_t[]){8}, GGL_TYPE_F32, offsets[i], 64);
        reject("some.weight");
        one_tensor(1, (int64_t[]){0}, GGL_TYPE_F32, offsets[i] + 32, 64); /* no bytes, but not anywhere */
        if (offsets[i] + 32 > 64) reject("some.weight");
    }
    for (uint64_t offset = 1; offset < 32; offset += 6) {
        one_tensor(1, (int64_t[]){8}, GGL_TYPE_F32, offset, 64);
        reject("multiple of 32");
    }
    gb_head(&b, 3, 1, 1);
    gb_kv_u32(&b, "general.alignment", 64);
    gb_tensor(&b, "t", 1, (int64_t[]){8}, GGL_TYPE_F32, 32);
    gb_pad(&b, 64);
    gb_zeros(&b, 64);
    reject("multiple of 64");
    for (int64_t n = 17; n < 2000; n = n * 3 + 1) {
        one_tensor(1, &n, GGL_TYPE_F32, 0, 64);
        reject("truncated");
    }
    /* Sizes and padding that wrap only when they are added up. */
    for (int64_t k = 0; k < 4; k++) {
        gb_head(&b, 3, 2, 0);
        gb_tensor(&b, "a", 1, (int64_t[]){INT64_MAX - 31 * k}, GGL_TYPE_I8, 0);
        gb_tensor(&b, "b", 1, (int64_t[]){INT64_MAX - 31 * k}, GGL_TYPE_I8, (1ull << 63) - 32 * (uint64_t)k);
        gb_pad(&b, 32);
        gb_zeros(&b, 64);
        reject("end of data");
    }
}

static void overlaps(void **state)
{
    (void)state;
    static const struct {
        uint64_t a, n_a, b, n_b;
    } pairs[] = {{0, 16, 0, 16}, {0, 16, 32, 8}, {32, 8, 0, 16}, {0, 24, 32, 8}, {64, 8, 32, 9}, {0, 64, 96, 1}, {96, 1, 0, 64}};
    for (size_t i = 0; i < N(pairs); i++) {
        gb_head(&b, 3, 3, 0);
        gb_tensor(&b, "first", 1, (int64_t[]){(int64_t)pairs[i].n_a}, GGL_TYPE_F32, pairs[i].a);
        gb_tensor(&b, "apart", 1, (int64_t[]){8}, GGL_TYPE_F32, 512);
        gb_tensor(&b, "second", 1, (int64_t[]){(int64_t)pairs[i].n_b}, GGL_TYPE_F32, pairs[i].b);
        gb_pad(&b, 32);
        gb_zeros(&b, 544);
        reject("no overlap");
    }
}

/* ---- truncation and damage */

static void small_file(uint32_t version)
{
    gb_head(&b, version, 3, 6);
    gb_kv_str(&b, "general.architecture", "deepseek4");
    gb_kv_u32(&b, "general.alignment", 32);
    gb_arr(&b, "names", GGL_KV_STR, 3);
    gb_str(&b, "a");
    gb_str(&b, "");
    gb_str(&b, "longer");
    gb_arr(&b, "numbers", GGL_KV_I16, 5);
    gb_zeros(&b, 10);
    gb_key(&b, "flag", GGL_KV_BOOL);
    gb_u8(&b, 1);
    gb_key(&b, "f", GGL_KV_F64);
    gb_zeros(&b, 8);
    gb_tensor(&b, "one", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_tensor(&b, "two", 2, (int64_t[]){256, 1}, GGL_TYPE_Q2_K, 32);
    gb_tensor(&b, "three", 3, (int64_t[]){32, 2, 2}, GGL_TYPE_Q8_0, 128);
    gb_pad(&b, 32);
    gb_zeros(&b, 128 + 136);
}

static void every_truncation(void **state)
{
    (void)state;
    struct ggl_gguf *g;
    char line[GGL_ERROR_LINE];
    for (uint32_t version = 2; version <= 3; version++) {
        small_file(version);
        assert_int_equal(gb_open(&b, "x.gguf", false, &g, line), GGL_OK);
        ggl_gguf_free(g);
        for (size_t n = b.n; n-- > 0; n_truncated++) {
            b.n = n;
            reject("truncated");
        }
    }
}

static void every_flip(void **state)
{
    (void)state;
    struct ggl_gguf *g;
    char line[GGL_ERROR_LINE];
    small_file(3);
    size_t header = b.n - 264;
    for (size_t i = 0; i < header; i++) {
        uint8_t old = b.data[i];
        for (int k = 0; k < 12; k++) {
            static const uint8_t bytes[] = {0x00, 0x7f, 0x80, 0xff};
            b.data[i] = k < 8 ? old ^ (uint8_t)(1 << k) : bytes[k - 8];
            enum ggl_status s = gb_open(&b, "x.gguf", k & 1, &g, line);
            assert_true(s == GGL_OK || (s == GGL_ERR_FORMAT && !g && line[0]));
            ggl_gguf_free(g);
        }
        b.data[i] = old;
    }
}

/* ---- split files */

static void part(const char *name, int no, int count, int total, const char *tensor)
{
    gb_head(&b, 3, tensor ? 1 : 0, (uint64_t)((no >= 0) + (count >= 0) + (total >= 0)));
    if (no >= 0) {
        gb_key(&b, "split.no", GGL_KV_U16);
        gb_u16(&b, (uint16_t)no);
    }
    if (count >= 0) {
        gb_key(&b, "split.count", GGL_KV_U16);
        gb_u16(&b, (uint16_t)count);
    }
    if (total >= 0) {
        gb_key(&b, "split.tensors.count", GGL_KV_I32);
        gb_u32(&b, (uint32_t)total);
    }
    if (tensor) gb_tensor(&b, tensor, 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_pad(&b, 32);
    gb_zeros(&b, tensor ? 32 : 0);
    gb_save(&b, gb_temp(name));
}

#define ONE "s-00001-of-00002.gguf"
#define TWO "s-00002-of-00002.gguf"

static void splits(void **state)
{
    (void)state;
    static const struct {
        int no, count, total;
        const char *tensor;
        int no2, count2, total2;
        const char *tensor2, *text;
    } pairs[] = {
        {0, 2, 2, "a", 0, 2, 2, "b", "split.no"},
        {0, 2, 2, "a", 2, 2, 2, "b", "split.no"},
        {0, 2, 2, "a", -1, 2, 2, "b", "split.no"},
        {0, 2, 2, "a", 1, 3, 2, "b", "split.count"},
        {0, 2, 2, "a", 1, -1, 2, "b", "split.count"},
        {0, 2, 2, "a", 1, 2, 3, "b", "split.tensors.count"},
        {0, 2, 2, "a", 1, 2, -1, "b", "split.tensors.count"},
        {0, 2, -1, "a", 1, 2, 2, "b", "split.tensors.count"},
        {0, 2, 3, "a", 1, 2, 3, "b", "what all parts hold"},
        {0, 2, 1, "a", 1, 2, 1, "b", "what all parts hold"},
        {0, 2, 2, "a", 1, 2, 2, NULL, "what all parts hold"},
        {0, 2, 2, "a", 1, 2, 2, "a", "duplicate"},
        {1, 2, 2, "a", 1, 2, 2, "b", "first part"},
        {-1, 2, 2, "a", 1, 2, 2, "b", "split.no"},
        {0, 3, 2, "a", 1, 3, 2, "b", "-00001-of-00003.gguf"},
    };
    for (size_t i = 0; i < N(pairs); i++) {
        part(TWO, pairs[i].no2, pairs[i].count2, pairs[i].total2, pairs[i].tensor2);
        note_file();
        part(ONE, pairs[i].no, pairs[i].count, pairs[i].total, pairs[i].tensor);
        reject_as(ONE, pairs[i].text);
    }
    part(TWO, 1, 2, 2, "b");
    part("whole.gguf", 0, 2, 2, "a");
    reject_as("whole.gguf", "name of a split file");
    part(ONE, 0, 2, 2, "a");
    b.n = 20;
    gb_save(&b, gb_temp(TWO)); /* a broken sibling is named */
    part(ONE, 0, 2, 2, "a");
    reject_as(ONE, TWO);
    remove(gb_temp(TWO));
    reject_as(ONE, "missing");
    gb_head(&b, 3, 0, 2);
    gb_kv_u32(&b, "split.count", 65536);
    gb_kv_u32(&b, "split.no", 0);
    reject_as(ONE, "split.count");
    gb_head(&b, 3, 0, 1);
    gb_kv_str(&b, "split.count", "2");
    reject_as(ONE, "split.count");
}

/* ---- size */

static void many_tensors(int n, bool duplicate)
{
    char name[32];
    gb_head(&b, 3, (uint64_t)n, 0);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "t%d", duplicate && i == n - 1 ? 0 : i);
        gb_tensor(&b, name, 1, (int64_t[]){0}, GGL_TYPE_F32, 0);
    }
    gb_pad(&b, 32);
}

static void many_keys(int n, bool duplicate)
{
    char name[32];
    gb_head(&b, 3, 0, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "k%d", duplicate && i == n - 1 ? 0 : i);
        gb_key(&b, name, GGL_KV_U8);
        gb_u8(&b, 0);
    }
}

static void accept_fast(const char *what)
{
    struct ggl_gguf *g;
    char line[GGL_ERROR_LINE];
    double start = now();
    enum ggl_status s = gb_open(&b, "x.gguf", false, &g, line);
    double seconds = now() - start;
    ggl_gguf_free(g);
    print_message("%s, %zu bytes: %.3f s\n", what, b.n, seconds);
    if (s || seconds > 1) fail_msg("%s: %d, %.3f s: %s", what, s, seconds, line);
}

static void large(void **state)
{
    (void)state;
    many_tensors(100000, false);
    accept_fast("100,000 tensors");
    many_tensors(80000, true);
    reject("duplicate");
    many_keys(100000, false);
    accept_fast("100,000 keys");
    many_keys(210000, false);
    accept_fast("210,000 keys");
    many_keys(80000, true);
    reject("duplicate");
    gb_head(&b, 3, 80000, 0); /* in descending order, and two that overlap */
    for (int i = 0; i < 80000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "t%d", i);
        gb_tensor(&b, name, 1, (int64_t[]){i == 1 ? 33 : 32}, GGL_TYPE_I8, 32u * (uint64_t)(79999 - i));
    }
    gb_pad(&b, 32);
    gb_zeros(&b, 32 * 80000);
    reject("no overlap");
    /* 4 MiB of the smallest records there are. */
    gb_head(&b, 3, 0, 1);
    gb_arr(&b, "empty strings", GGL_KV_STR, 1 << 19);
    gb_zeros(&b, 1 << 22);
    accept_fast("500,000 empty strings");
}

static void enough_files_in_little_memory(void **state)
{
    (void)state;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    print_message("%zu distinct broken files, %zu of them truncations; peak memory %ld MiB\n", n_seen, n_truncated,
                  usage.ru_maxrss >> 10);
    assert_true(n_seen - n_truncated >= 250);
    assert_true(usage.ru_maxrss < 256l << 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(bad_lengths),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(short_values),
        cmocka_unit_test(bad_arrays),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(alignments),
        cmocka_unit_test(tensor_fields),
        cmocka_unit_test(overflowing_shapes),
        cmocka_unit_test(placement),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(every_flip),
        cmocka_unit_test(splits),
        cmocka_unit_test(large),
        cmocka_unit_test(enough_files_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
