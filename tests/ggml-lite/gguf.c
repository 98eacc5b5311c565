/*
 * The struct in memory: setters, getters, look-ups; and rows of tensors whose
 * slices and planes lie apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ggml-lite/gguf.h"

static void getters(void **state)
{
    (void)state;
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    uint32_t v = 77;
    float f = 7;
    bool b = false;
    struct ggl_gguf *g = ggl_gguf_new();
    assert_string_equal(ggl_gguf_path(g), "");
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, 10, &v, &err), GGL_ERR_NOT_FOUND);
    assert_int_equal(v, 77);
    assert_non_null(strstr(ggl_error_line(&err, line, sizeof(line)), "k"));

    assert_int_equal(ggl_gguf_set_u16(g, "k", 9), GGL_OK); /* each width, and replaced each time */
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, 10, &v, &err), GGL_OK);
    assert_int_equal(v, 9);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 10, 20, &v, &err), GGL_ERR_FORMAT);
    assert_string_equal(ggl_error_line(&err, line, sizeof(line)), "k is 9, expected 10 .. 20");
    assert_int_equal(ggl_gguf_set_i32(g, "k", -1), GGL_OK);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, UINT32_MAX, &v, &err), GGL_ERR_FORMAT);
    assert_string_equal(err.found, "-1");
    assert_int_equal(ggl_gguf_set_u64(g, "k", UINT32_MAX), GGL_OK);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, UINT32_MAX, &v, &err), GGL_OK);
    assert_int_equal(v, UINT32_MAX);
    assert_int_equal(ggl_gguf_set_u64(g, "k", 1ull << 32), GGL_OK);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, UINT32_MAX, &v, &err), GGL_ERR_FORMAT);
    assert_int_equal(ggl_gguf_set_f32(g, "k", 1), GGL_OK);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, 10, &v, &err), GGL_ERR_FORMAT);
    assert_int_equal(ggl_gguf_get_f32(g, "k", 0, 1, &f, &err), GGL_OK);
    assert_true(f == 1);
    static const float outside[] = {NAN, INFINITY, -INFINITY, 1.0000001f, -1e-30f};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ggl_gguf_set_f32(g, "k", outside[i]), GGL_OK);
        assert_int_equal(ggl_gguf_get_f32(g, "k", 0, 1, &f, &err), GGL_ERR_FORMAT);
    }
    assert_int_equal(ggl_gguf_get_bool(g, "k", &b, &err), GGL_ERR_FORMAT);
    assert_int_equal(ggl_gguf_set_bool(g, "k", true), GGL_OK);
    assert_int_equal(ggl_gguf_get_bool(g, "k", &b, &err), GGL_OK);
    assert_true(b);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, 10, &v, &err), GGL_ERR_FORMAT);
    assert_null(ggl_gguf_get_str(g, "k"));
    assert_int_equal(ggl_gguf_set_str(g, "k", "text"), GGL_OK);
    assert_string_equal(ggl_gguf_get_str(g, "k"), "text");
    assert_int_equal(ggl_gguf_get_f32(g, "k", 0, 1, &f, &err), GGL_ERR_FORMAT);
    assert_int_equal(ggl_gguf_n_kv(g), 1);
    assert_int_equal(ggl_gguf_set_arr(g, "k", GGL_KV_U32, &v, 1), GGL_OK);
    assert_int_equal(ggl_gguf_get_u32(g, "k", 0, UINT32_MAX, &v, &err), GGL_ERR_FORMAT);
    assert_string_equal(err.found, "of type arr");
    ggl_gguf_free(g);
    ggl_gguf_free(NULL);
}

static void copies(void **state)
{
    (void)state;
    struct ggl_gguf *a = ggl_gguf_new(), *b = ggl_gguf_new();
    char text[] = "before";
    int32_t numbers[] = {1, 2};
    struct ggl_str s = {text, 6};
    assert_int_equal(ggl_gguf_set_str(a, "x.s", text), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr(a, "x.n", GGL_KV_I32, numbers, 2), GGL_OK);
    assert_int_equal(ggl_gguf_set_arr_str(a, "y.a", &s, 1), GGL_OK);
    assert_int_equal(ggl_gguf_set_u32(a, "split.no", 1), GGL_OK);
    memcpy(text, "behind", 6);
    numbers[1] = 5;
    assert_int_equal(ggl_gguf_set_str(b, "x.s", "replaced"), GGL_OK);
    assert_int_equal(ggl_gguf_copy_kv(b, a, "split."), GGL_OK);
    ggl_gguf_free(a);
    assert_int_equal(ggl_gguf_n_kv(b), 3);
    assert_string_equal(ggl_gguf_get_str(b, "x.s"), "before");
    assert_int_equal(((const int32_t *)ggl_gguf_find_kv(b, "x.n")->data)[1], 2);
    assert_string_equal(ggl_gguf_find_kv(b, "y.a")->str[0].data, "before");
    assert_int_equal(ggl_gguf_find_kv(b, "y.a")->type, GGL_KV_ARR);
    ggl_gguf_free(b);
}

static void many_names(void **state)
{
    (void)state;
    char name[32];
    struct ggl_gguf *g = ggl_gguf_new();
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(ggl_gguf_set_u32(g, name, (uint32_t)i), GGL_OK);
        assert_int_equal(ggl_gguf_add_tensor(g, name, GGL_TYPE_F32, 1, (int64_t[]){i}, NULL), GGL_OK);
    }
    for (int i = 0; i < 5000; i++) {
        uint32_t v;
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(ggl_gguf_get_u32(g, name, 0, 5000, &v, NULL), GGL_OK);
        assert_int_equal(v, i);
        assert_ptr_equal(ggl_gguf_find_tensor(g, name), ggl_gguf_tensor(g, (uint64_t)i));
        assert_int_equal(ggl_gguf_tensor_bytes(ggl_gguf_find_tensor(g, name)), 4 * i);
    }
    assert_null(ggl_gguf_find_tensor(g, "5000"));
    assert_null(ggl_gguf_find_kv(g, ""));
    ggl_gguf_free(g);
}

/* Names that are equal after 1..40 bytes, and differ in one. */
static void near_names(void **state)
{
    (void)state;
    char name[64];
    struct ggl_gguf *g = ggl_gguf_new();
    for (int n = 1; n <= 40; n++)
        for (int i = 0; i < n; i++) {
            memset(name, 'a', sizeof(name));
            name[n] = '\0';
            name[i] = 'b';
            assert_null(ggl_gguf_find_kv(g, name));
            assert_int_equal(ggl_gguf_set_u32(g, name, 1), GGL_OK);
            assert_non_null(ggl_gguf_find_kv(g, name));
        }
    assert_int_equal(ggl_gguf_n_kv(g), 40 * 41 / 2);
    ggl_gguf_free(g);
}

/* ---- rows */

static void rows_of_every_type(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < GGL_TYPE_GGUF_END; type++) {
        const struct ggl_type_info *info = ggl_type_info(type);
        if (!info) continue;
        int64_t n = 3 * (int64_t)info->block_elems;
        uint64_t row = 3 * (uint64_t)info->block_bytes, bytes = row * 4;
        uint8_t *data = malloc(bytes);
        float *y = malloc((size_t)n * sizeof(float)), *want = malloc((size_t)n * sizeof(float));
        for (uint64_t i = 0; i < bytes; i++) data[i] = (uint8_t)(i * 73 + 19) & 0x3f;
        const uint8_t *slices[] = {data + 2 * row, data}; /* in another order than in memory */
        struct ggl_tensor t = {.type = (enum ggl_type)type, .n_dims = 3, .ne = {n, 2, 2, 1}, .row_bytes = row, .slice_bytes = 2 * row,
                               .data = data};
        for (int s = 0; s < 2; s++)
            for (int r = 0; r < 2; r++)
                for (int apart = 0; apart < 2; apart++) {
                    t.slices = apart ? slices : NULL;
                    const uint8_t *from = (apart ? slices[s] : data + (uint64_t)s * 2 * row) + (uint64_t)r * row;
                    bool ok = ggl_tensor_decode_row(&t, s, r, y);
                    assert_int_equal(ok, info->decode != NULL);
                    if (!ok) continue;
                    info->decode(from, want, n);
                    assert_memory_equal(y, want, (size_t)n * sizeof(float));
                }
        assert_false(ggl_tensor_decode_row(&t, 2, 0, y));
        assert_false(ggl_tensor_decode_row(&t, 0, 2, y));
        assert_false(ggl_tensor_decode_row(&t, -1, 0, y));
        assert_false(ggl_tensor_decode_row(&t, 0, -1, y));
        t.data = NULL;
        t.slices = NULL;
        assert_false(ggl_tensor_decode_row(&t, 0, 0, y));
        free(want);
        free(y);
        free(data);
    }
}

static void two_planes(void **state)
{
    (void)state;
    enum { N = 64, ROWS = 300, SLICES = 2 };
    static uint8_t codes[SLICES][ROWS][N], fp4[SLICES][ROWS][N / 2], scales[SLICES][3], fp4_scales[SLICES][ROWS][N / 32];
    memset(codes, 0x38, sizeof(codes)); /* 1 */
    memset(fp4, 0x22, sizeof(fp4));     /* 1 */
    for (int s = 0; s < SLICES; s++)
        for (int r = 0; r < ROWS; r++) {
            scales[s][r / 128] = (uint8_t)(127 + 3 * s + r / 128);
            fp4_scales[s][r][0] = (uint8_t)(100 + r % 50 + s);
            fp4_scales[s][r][1] = 127;
        }
    struct ggl_tensor t = {.type = GGL_TYPE_FP8, .scale_type = GGL_SCALE_E8M0, .n_dims = 3, .ne = {N, ROWS, SLICES, 1},
                           .row_bytes = N, .slice_bytes = N * ROWS, .scale_row_bytes = 1, .scale_slice_bytes = 3,
                           .data = codes[0][0], .scale = scales[0]};
    struct ggl_tensor u = {.type = GGL_TYPE_FP4, .scale_type = GGL_SCALE_E8M0, .n_dims = 3, .ne = {N, ROWS, SLICES, 1},
                           .row_bytes = N / 2, .slice_bytes = N / 2 * ROWS, .scale_row_bytes = N / 32, .scale_slice_bytes = N / 32 * ROWS,
                           .data = fp4[0][0], .scale = fp4_scales[0][0]};
    const uint8_t *code_slices[] = {codes[0][0], codes[1][0]}, *scale_slices[] = {scales[1], scales[0]};
    float y[N];
    for (int s = 0; s < SLICES; s++)
        for (int r = 0; r < ROWS; r++) {
            t.slices = NULL;
            t.scale_slices = NULL;
            assert_true(ggl_tensor_decode_row(&t, s, r, y));
            assert_true(y[0] == ldexpf(1, 3 * s + r / 128) && y[N - 1] == y[0]);
            t.slices = code_slices;
            t.scale_slices = scale_slices;
            assert_true(ggl_tensor_decode_row(&t, s, r, y));
            assert_true(y[0] == ldexpf(1, 3 * (1 - s) + r / 128));
            assert_true(ggl_tensor_decode_row(&u, s, r, y));
            assert_true(y[0] == ldexpf(1, r % 50 + s - 27) && y[N - 1] == 1);
        }
    t.scale = NULL;
    t.scale_slices = NULL;
    assert_false(ggl_tensor_decode_row(&t, 0, 0, y));
}

/* INT4 rows, their planes one after the other or each slice somewhere. */
static void three_planes(void **state)
{
    (void)state;
    enum { N = 64, ROWS = 3, SLICES = 2 };
    static uint8_t codes[SLICES][ROWS][N / 2], scales[SLICES][ROWS][N / 32];
    static float row_scales[SLICES][ROWS];
    memset(codes, 0x88, sizeof(codes));   /* level 1 */
    memset(scales, 0x38, sizeof(scales)); /* 1 */
    for (int s = 0; s < SLICES; s++)
        for (int r = 0; r < ROWS; r++) {
            row_scales[s][r] = (float)(1 + 10 * s + r);
            scales[s][r][1] = (uint8_t)(s ? 0xc0 : 0x40); /* 2 */
        }
    struct ggl_tensor t = {.type = GGL_TYPE_INT4, .scale_type = GGL_SCALE_E4M3, .n_dims = 3, .ne = {N, ROWS, SLICES, 1},
                           .row_bytes = N / 2, .slice_bytes = N / 2 * ROWS, .scale_row_bytes = N / 32, .scale_slice_bytes = N / 32 * ROWS,
                           .data = codes[0][0], .scale = scales[0][0], .row_scale = row_scales[0]};
    const float *row_slices[] = {row_scales[1], row_scales[0]};
    float y[N];
    for (int s = 0; s < SLICES; s++)
        for (int r = 0; r < ROWS; r++) {
            t.row_scale_slices = NULL;
            assert_true(ggl_tensor_decode_row(&t, s, r, y));
            assert_true(y[0] == row_scales[s][r] && y[N - 1] == row_scales[s][r] * (s ? -2 : 2));
            t.row_scale_slices = row_slices;
            assert_true(ggl_tensor_decode_row(&t, s, r, y));
            assert_true(y[31] == row_scales[1 - s][r]);
        }
    t.row_scale_slices = NULL;
    t.row_scale = NULL;
    assert_false(ggl_tensor_decode_row(&t, 0, 0, y));
    t.row_scale = row_scales[0];
    t.scale = NULL;
    assert_false(ggl_tensor_decode_row(&t, 0, 0, y));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(getters),    cmocka_unit_test(copies),             cmocka_unit_test(many_names),
        cmocka_unit_test(near_names), cmocka_unit_test(rows_of_every_type), cmocka_unit_test(two_planes),
        cmocka_unit_test(three_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
