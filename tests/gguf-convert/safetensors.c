/*
 * The safetensors container: every rule of the format broken once, and odd files that keep them all.  Each file
 * lies in a block of exactly its size, so that a read too far is seen.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gguf-convert/src/safetensors.h"

#ifdef GGL_HAVE_JANSSON

/* Header and data in one exact block; `length` is what the first eight bytes claim. */
static uint8_t *make_file(const char *header, size_t header_bytes, size_t data_bytes, uint64_t length, size_t *size)
{
    *size = 8 + header_bytes + data_bytes;
    uint8_t *file = malloc(*size);
    assert_non_null(file);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)(length >> (8 * i));
    if (header_bytes) memcpy(file + 8, header, header_bytes);
    memset(file + 8 + header_bytes, 0x40, data_bytes);
    return file;
}

static enum ggl_status parse(const uint8_t *data, size_t size, struct ggl_st_file *f, struct ggl_error *err)
{
    memset(f, 0, sizeof(*f));
    memset(err, 0, sizeof(*err));
    f->path = strdup("x.safetensors");
    assert_non_null(f->path);
    return ggl_st_parse(f, data, size, err);
}

static void expect(const char *what, const uint8_t *data, size_t size, enum ggl_status status, const char *message)
{
    struct ggl_st_file f;
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    enum ggl_status s = parse(data, size, &f, &err);
    ggl_error_line(&err, line, sizeof(line));
    if (s != status || err.status != s) fail_msg("%.200s: status %d, expected %d (%s)", what, s, status, line);
    if (message && !strstr(line, message)) fail_msg("%.200s: \"%s\" does not say \"%s\"", what, line, message);
    if (s && !strstr(line, "x.safetensors: ")) fail_msg("%.200s: \"%s\" does not name the file", what, line);
    ggl_st_close(&f);
}

/* One tensor "a" with the given dtype, shape and offsets. */
#define T(dtype, shape, offsets) "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
/* Two F32 tensors "a" and "b" of one element each. */
#define AB(a, b) \
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" a "}," \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" b "}}"
#define F32 "\"F32\""
#define OK4 "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"

static const struct {
    const char *header;
    size_t data;
    const char *message;
} broken[] = {
    /* JSON */
    {"", 0, "first byte"},
    {"[]", 0, "first byte"},
    {" {}", 0, "first byte"},
    {"\xef\xbb\xbf{}", 0, "first byte"},
    {"null", 0, "first byte"},
    {"{", 0, "JSON text"},
    {"{\"a\"", 0, "JSON text"},
    {"{} x", 0, "JSON text"},
    {"{}{}", 0, "JSON text"},
    {"{\"a\":" OK4 ",}", 4, "JSON text"},
    {"{'a':" OK4 "}", 4, "JSON text"},
    {"{\"a\":" OK4 ",\"a\":" OK4 "}", 4, "duplicate"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "duplicate"},
    {"{\"\\u0061\":" OK4 ",\"a\":" OK4 "}", 4, "duplicate"},
    {"{\"a\\u0000b\":" OK4 "}", 4, "JSON text"},
    {"{\"a\xff\":" OK4 "}", 4, "JSON text"},
    {"{\"a\xc0\x80\":" OK4 "}", 4, "JSON text"},
    {"{\"\\ud800\":" OK4 "}", 4, "JSON text"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", 4, "nesting"},
    {"{\"a\":" OK4 ",\"__metadata__\":{\"k\":{\"l\":[]}}}", 4, "nesting"},
    /* names */
    {"{\"\":" OK4 "}", 4, "length of the name"},
    /* __metadata__ */
    {"{\"__metadata__\":1}", 0, "__metadata__"},
    {"{\"__metadata__\":[\"a\"]}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: k"},
    {"{\"__metadata__\":{\"k\":null}}", 0, "__metadata__: k"},
    /* entries */
    {"{\"a\":1}", 0, "a: type"},
    {"{\"a\":null}", 0, "a: type"},
    {"{\"a\":[]}", 0, "a: type"},
    {"{\"a\":{}}", 0, "dtype is missing"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets is missing"},
    /* dtype */
    {T("\"X\"", "[1]", "[0,4]"), 4, "a: dtype is \"X\""},
    {T("\"f32\"", "[1]", "[0,4]"), 4, "dtype"},
    {T("\"F8\"", "[1]", "[0,1]"), 1, "dtype"},
    {T("3", "[1]", "[0,4]"), 4, "dtype is 3"},
    {T("null", "[1]", "[0,4]"), 4, "dtype is null"},
    {T("\"F32 \"", "[1]", "[0,4]"), 4, "dtype"},
    /* shape */
    {T(F32, "1", "[0,4]"), 4, "shape is 1"},
    {T(F32, "null", "[0,4]"), 4, "shape is null"},
    {T(F32, "\"1\"", "[0,4]"), 4, "shape"},
    {T(F32, "[-1]", "[0,4]"), 4, "shape is -1"},
    {T(F32, "[1.0]", "[0,4]"), 4, "shape"},
    {T(F32, "[1e0]", "[0,4]"), 4, "shape"},
    {T(F32, "[\"1\"]", "[0,4]"), 4, "shape"},
    {T(F32, "[null]", "[0,4]"), 4, "shape"},
    {T(F32, "[+1]", "[0,4]"), 4, "JSON text"},
    {T(F32, "[01]", "[0,4]"), 4, "JSON text"},
    {T(F32, "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "at most 8"},
    {T(F32, "[18446744073709551616]", "[0,4]"), 4, "JSON text"},
    {T(F32, "[4294967296,4294967296]", "[0,0]"), 0, "beyond 64 bits"},
    {T(F32, "[4194304,2097152,2097152]", "[0,0]"), 0, "beyond 64 bits"},
    {T(F32, "[9223372036854775807,2]", "[0,0]"), 0, "beyond 64 bits"},
    {T(F32, "[4611686018427387904,4]", "[0,0]"), 0, "beyond 64 bits"},
    {T(F32, "[9223372036854775807,9223372036854775807,0]", "[0,0]"), 0, "beyond 64 bits"},
    {T("\"I8\"", "[2305843009213693952]", "[0,0]"), 0, "beyond 64 bits"},
    {T(F32, "[2]", "[0,4]"), 4, "dtype and shape"},
    {T(F32, "[0]", "[0,4]"), 4, "dtype and shape"},
    {T(F32, "[]", "[0,0]"), 0, "dtype and shape"},
    {T("\"F64\"", "[1]", "[0,4]"), 4, "dtype and shape"},
    {T("\"F4\"", "[1]", "[0,1]"), 1, "whole bytes"},
    {T("\"F6_E2M3\"", "[3]", "[0,3]"), 3, "whole bytes"},
    /* data_offsets */
    {T(F32, "[1]", "null"), 4, "data_offsets is null"},
    {T(F32, "[1]", "4"), 4, "data_offsets is 4"},
    {T(F32, "[1]", "[]"), 4, "[begin, end]"},
    {T(F32, "[1]", "[4]"), 4, "[begin, end]"},
    {T(F32, "[1]", "[0,4,8]"), 4, "[begin, end]"},
    {T(F32, "[1]", "[-1,3]"), 4, "data_offsets is -1"},
    {T(F32, "[1]", "[0,-4]"), 4, "data_offsets is -4"},
    {T(F32, "[1]", "[4,0]"), 4, "end before begin"},
    {T(F32, "[1]", "[0,5]"), 5, "dtype and shape"},
    {T(F32, "[1]", "[0,8]"), 4, "beyond the data"},
    {T(F32, "[1]", "[4,8]"), 4, "beyond the data"},
    {T(F32, "[1]", "[4,8]"), 8, "a hole"},
    {T(F32, "[1]", "[0.0,4.0]"), 4, "data_offsets"},
    {T(F32, "[1]", "[0,4e0]"), 4, "data_offsets"},
    {T(F32, "[1]", "[0,4.5]"), 4, "data_offsets"},
    {T(F32, "[1]", "[\"0\",\"4\"]"), 4, "data_offsets"},
    {T(F32, "[1]", "[true,4]"), 4, "data_offsets"},
    {T(F32, "[1]", "[9007199254740993,9007199254740997]"), 4, "beyond the data"},
    {T(F32, "[1]", "[9223372036854775803,9223372036854775807]"), 4, "beyond the data"},
    {T(F32, "[1]", "[18446744073709551612,18446744073709551615]"), 4, "JSON text"},
    {T(F32, "[1]", "[1e999,4]"), 4, "JSON text"},
    /* coverage */
    {T(F32, "[1]", "[0,4]"), 5, "end of the last tensor"},
    {T(F32, "[1]", "[0,4]"), 4096, "end of the last tensor"},
    {"{}", 1, "end of the last tensor"},
    {AB("[0,4]", "[0,4]"), 4, "overlap"},
    {AB("[0,4]", "[0,4]"), 8, "overlap"},
    {AB("[0,4]", "[2,6]"), 8, "overlap"},
    {AB("[0,4]", "[6,10]"), 10, "a hole"},
    {AB("[2,6]", "[6,10]"), 10, "a hole"},
    {AB("[0,4]", "[4,8]"), 7, "beyond the data"},
};

static void refuses_broken_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        size_t size, n = strlen(broken[i].header);
        uint8_t *file = make_file(broken[i].header, n, broken[i].data, n, &size);
        expect(broken[i].header, file, size, GGL_ERR_FORMAT, broken[i].message);
        free(file);
    }
    print_message("%zu broken headers\n", sizeof(broken) / sizeof(broken[0]));
}

static const struct {
    const char *header;
    size_t data;
    uint32_t n;
} odd[] = {
    {"{}", 0, 0},
    {"{}      ", 0, 0},
    {"{\"__metadata__\":{}}", 0, 0},
    {"{\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}}", 0, 0},
    {T(F32, "[]", "[0,4]"), 4, 1},
    {T(F32, "[1,1,1,1,1,1,1,1]", "[0,4]"), 4, 1},
    {T(F32, "[0]", "[0,0]"), 0, 1},
    {T(F32, "[7,0,1000000]", "[0,0]"), 0, 1},
    {T("\"F4\"", "[2,3]", "[0,3]"), 3, 1},
    {T("\"F6_E3M2\"", "[4]", "[0,3]"), 3, 1},
    {T("\"BOOL\"", "[3]", "[0,3]"), 3, 1},
    {AB("[4,8]", "[0,4]"), 8, 2}, /* not in the order of the data */
    {"{\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"y\":{\"dtype\":\"I8\",\"shape\":[0,4],"
     "\"data_offsets\":[0,0]},\"a\":" OK4 ",\"x\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[4,4]}}", 4, 4},
    {"{\"a\\/b\\u00e9\":" OK4 "}", 4, 1},
    {"{\"\\u4e2d\\ud83d\\ude00\\t\\\"\\\\\":" OK4 "}", 4, 1},
    {"{\"a\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\",\"note\":\"unknown\"}}", 4, 1},
    {"{ \"a\" : { \"dtype\" : \"F32\" , \"shape\" : [ 1 ] , \"data_offsets\" : [ 0 , 4 ] } } \n", 4, 1},
};

static void accepts_odd_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        size_t size, n = strlen(odd[i].header);
        uint8_t *file = make_file(odd[i].header, n, odd[i].data, n, &size);
        struct ggl_st_file f;
        struct ggl_error err;
        char line[GGL_ERROR_LINE];
        if (parse(file, size, &f, &err)) fail_msg("%s: %s", odd[i].header, ggl_error_line(&err, line, sizeof(line)));
        assert_int_equal(f.n_tensors, odd[i].n);
        ggl_st_close(&f);
        free(file);
    }
}

static void reads_what_is_there(void **state)
{
    (void)state;
    static const char header[] = "{\"b\\u002fc\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},\"a\":" OK4 "}";
    size_t size;
    uint8_t *file = make_file(header, sizeof(header) - 1, 16, sizeof(header) - 1, &size);
    struct ggl_st_file f;
    struct ggl_error err;
    assert_int_equal(parse(file, size, &f, &err), GGL_OK);
    assert_int_equal(f.n_tensors, 2);
    assert_string_equal(f.tensors[0].name, "b/c");
    assert_int_equal(f.tensors[0].dtype, GGL_ST_BF16);
    assert_int_equal(f.tensors[0].rank, 2);
    assert_int_equal(f.tensors[0].shape[0], 2);
    assert_int_equal(f.tensors[0].shape[1], 3);
    assert_int_equal(f.tensors[0].bytes, 12);
    assert_int_equal(f.tensors[0].offset, size - 12);
    assert_ptr_equal(f.tensors[0].data, file + size - 12);
    assert_ptr_equal(f.tensors[1].data, file + size - 16);
    ggl_st_close(&f);
    free(file);
}

/* S4: what the first eight bytes may claim. */
static void refuses_broken_lengths(void **state)
{
    (void)state;
    static const char header[] = T(F32, "[1]", "[0,4]");
    const size_t n = sizeof(header) - 1;
    const uint64_t total = 8 + n + 4;
    const uint64_t lengths[] = {0, 1, 7, n - 1, n + 1, n + 3, n + 4, total - 8 + 1, total - 7, total, 100000000, 100000001,
                                (64u << 20) + 1, INT64_MAX, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 4, UINT64_MAX - 6,
                                UINT64_MAX - 7, UINT64_MAX - 8};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char what[64];
        size_t size;
        uint8_t *file = make_file(header, n, 4, lengths[i], &size);
        snprintf(what, sizeof(what), "length %" PRIu64, lengths[i]);
        expect(what, file, size, GGL_ERR_FORMAT, NULL);
        free(file);
    }
}

static void refuses_long_headers(void **state)
{
    (void)state;
    size_t n = GGL_ST_MAX_HEADER + 1, size;
    char *header = malloc(n);
    assert_non_null(header);
    memset(header, ' ', n);
    memcpy(header, "{}", 2);
    uint8_t *file = make_file(header, n, 0, n, &size);
    expect("a header of 64 MiB and a byte", file, size, GGL_ERR_FORMAT, "at most");
    free(file);
    free(header);
}

/* Depth bombs of every size, and names of every length. */
static void refuses_bombs(void **state)
{
    (void)state;
    static const size_t depths[] = {4, 65, 2048, 2049, 10000, 1000000};
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        for (int object = 0; object < 2; object++) {
            size_t n = 5 + depths[i] * (object ? 5 : 1), size, k = 5;
            char *header = malloc(n);
            assert_non_null(header);
            memcpy(header, "{\"a\":", 5);
            for (size_t d = 0; d < depths[i]; d++) {
                memcpy(header + k, object ? "{\"a\":" : "[", object ? 5 : 1);
                k += object ? 5 : 1;
            }
            uint8_t *file = make_file(header, n, 0, n, &size);
            expect("a depth bomb", file, size, GGL_ERR_FORMAT, "nesting");
            free(file);
            free(header);
        }
    }
    char header[2000];
    for (size_t length = GGL_ST_MAX_NAME - 1; length <= GGL_ST_MAX_NAME + 1; length++) {
        size_t size, n = (size_t)snprintf(header, sizeof(header), "{\"%0*d\":%s}", (int)length, 7, OK4);
        uint8_t *file = make_file(header, n, 4, n, &size);
        bool ok = length <= GGL_ST_MAX_NAME;
        expect("a long name", file, size, ok ? GGL_OK : GGL_ERR_FORMAT, ok ? NULL : "length of the name");
        free(file);
    }
}

/* Every prefix of a good file, and every byte of it replaced. */
static void survives_truncation_and_flips(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},\"a\":" OK4 ",\"b\":{\"dtype\":\"I8\",\"shape\":[2,3],"
                                 "\"data_offsets\":[4,10]}}  ";
    static const uint8_t values[] = {0x00, 0x7f, 0x80, 0xff, '{', '}', '"', '\\', '9'};
    size_t n = sizeof(header) - 1, size;
    uint8_t *file = make_file(header, n, 10, n, &size);
    expect("the good file", file, size, GGL_OK, NULL);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *prefix = malloc(cut ? cut : 1);
        assert_non_null(prefix);
        memcpy(prefix, file, cut);
        expect("a prefix", prefix, cut, GGL_ERR_FORMAT, NULL);
        free(prefix);
    }
    for (size_t i = 0; i < 8 + n; i++) {
        uint8_t was = file[i];
        for (size_t k = 0; k < sizeof(values) + 8; k++) {
            struct ggl_st_file f;
            struct ggl_error err;
            file[i] = (uint8_t)(k < sizeof(values) ? values[k] : was ^ 1u << (k - sizeof(values)));
            enum ggl_status s = parse(file, size, &f, &err);
            assert_true(s == GGL_OK || s == GGL_ERR_FORMAT);
            for (uint32_t t = 0; !s && t < f.n_tensors; t++) {
                assert_true(f.tensors[t].data >= file && f.tensors[t].data + f.tensors[t].bytes <= file + size);
            }
            ggl_st_close(&f);
        }
        file[i] = was;
    }
    free(file);
}

/* 100,000 tensors in well under a second: nothing is quadratic. */
static void reads_many_tensors(void **state)
{
    (void)state;
    const uint32_t n = 100000;
    size_t cap = (size_t)n * 96 + 16, at = 1, size;
    char *header = malloc(cap);
    assert_non_null(header);
    header[0] = '{';
    for (uint32_t i = 0; i < n; i++) {
        at += (size_t)snprintf(header + at, cap - at,
                               "%s\"layers.%u.ffn.experts.w\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[%u,%u]}",
                               i ? "," : "", i, n - 1 - i, n - i);
    }
    header[at++] = '}';
    uint8_t *file = make_file(header, at, n, at, &size);
    struct ggl_st_file f;
    struct ggl_error err;
    assert_int_equal(parse(file, size, &f, &err), GGL_OK);
    assert_int_equal(f.n_tensors, n);
    ggl_st_close(&f);
    free(file);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_broken_headers),
        cmocka_unit_test(accepts_odd_headers),
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(refuses_broken_lengths),
        cmocka_unit_test(refuses_long_headers),
        cmocka_unit_test(refuses_bombs),
        cmocka_unit_test(survives_truncation_and_flips),
        cmocka_unit_test(reads_many_tensors),
    };
    return cmocka_run_group_tests_name("gguf-convert/safetensors", tests, NULL, NULL);
}

#else

static void needs_jansson(void **state)
{
    (void)state;
    struct ggl_st_file f = {.path = strdup("x.safetensors")};
    struct ggl_error err;
    assert_int_equal(ggl_st_parse(&f, (const uint8_t *)"", 0, &err), GGL_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.what, "jansson"));
    ggl_st_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(needs_jansson)};
    return cmocka_run_group_tests_name("gguf-convert/safetensors", tests, NULL, NULL);
}

#endif
