/*
 * Running out of memory at every allocation of reading, building and writing:
 * the status is NOMEM, nothing leaks, no file stays behind, and the same call
 * works afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "support/failing_alloc.h"
#include "support/gguf_builder.h"

/* Runs operation with the n-th allocation failing, for all n; returns how many allocations there are. */
static long for_each_allocation(enum ggl_status (*operation)(void))
{
    long n = 0;
#ifndef GGL_TEST_WRAPS_ALLOC
    (void)operation;
    skip();
#endif
    for (int forever = 0; forever < 2; forever++) {
        for (n = 1; n < 10000; n++) {
            failing_alloc_begin(n, forever);
            enum ggl_status s = operation();
            if (!failing_alloc_end()) {
                assert_int_equal(s, GGL_OK);
                break;
            }
            if (s != GGL_ERR_NOMEM) fail_msg("allocation %ld: status %d", n, s);
        }
    }
    print_message("%ld allocations\n", n - 1);
    return n - 1;
}

/* ---- reading */

static char file[512];

static enum ggl_status open_file(void)
{
    struct ggl_gguf *g;
    struct ggl_error err = {0};
    enum ggl_status s = ggl_gguf_open(file, NULL, &g, &err);
    assert_int_equal(g != NULL, s == GGL_OK);
    assert_int_equal(err.status, s);
    ggl_gguf_free(g);
    return s;
}

static void split_keys(struct gguf_builder *b, uint32_t no)
{
    gb_kv_u32(b, "split.no", no);
    gb_kv_u32(b, "split.count", 2);
    gb_kv_u32(b, "split.tensors.count", 42);
}

static void many_tensors(struct gguf_builder *b, int first, int n)
{
    char name[16];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "t%d.%s", (first + i) / 2, (first + i) % 2 ? "scale" : "weight");
        gb_tensor(b, name, 1, (int64_t[]){(first + i) % 2 ? 1 : 32}, GGL_TYPE_I8, 32u * (uint64_t)(n - 1 - i));
    }
    gb_pad(b, 32);
    gb_zeros(b, 32 * (size_t)n);
}

static void reading(void **state)
{
    (void)state;
    struct gguf_builder b = {0};
    snprintf(file, sizeof(file), "%s", gb_temp("o-00001-of-00002.gguf"));
    gb_head(&b, 3, 22, 3);
    split_keys(&b, 1);
    many_tensors(&b, 20, 22);
    gb_save(&b, gb_temp("o-00002-of-00002.gguf"));
    gb_head(&b, 3, 20, 8);
    split_keys(&b, 0);
    gb_kv_str(&b, "general.architecture", "test");
    gb_arr(&b, "large", GGL_KV_F32, 100000);
    gb_zeros(&b, 400000);
    gb_kv_u32(&b, "ggl.storage.version", 1);
    gb_arr(&b, "ggl.storage.names", GGL_KV_STR, 2);
    gb_str(&b, "t3.weight");
    gb_str(&b, "t15.weight"); /* in the other part */
    gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, 2);
    gb_str(&b, "fp8_e4m3.ue8m0.t128x128");
    gb_str(&b, "fp8_e4m3.ue8m0.t128x128");
    many_tensors(&b, 0, 20);
    gb_save(&b, file);
    gb_free(&b);
    assert_true(for_each_allocation(open_file) > 10);
}

/* ---- building and writing */

static enum ggl_status build(struct ggl_gguf **out)
{
    char name[16];
    enum ggl_status s = GGL_OK;
    struct ggl_gguf *g = ggl_gguf_new();
    if (!g) return GGL_ERR_NOMEM;
    for (int i = 0; !s && i < 40; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        s = ggl_gguf_set_u32(g, name, (uint32_t)i);
        if (!s) s = ggl_gguf_add_tensor(g, name, GGL_TYPE_I8, 1, (int64_t[]){100}, NULL);
    }
    if (!s) s = ggl_gguf_set_str(g, "s", "text");
    if (!s) s = ggl_gguf_set_arr_str(g, "a", &(struct ggl_str){"text", 4}, 1);
    if (s)
        ggl_gguf_free(g);
    else
        *out = g;
    return s;
}

static enum ggl_status copy_keys(void)
{
    struct ggl_gguf *from = NULL, *to = NULL;
    enum ggl_status s = build(&from);
    if (!s && !(to = ggl_gguf_new())) s = GGL_ERR_NOMEM;
    if (!s) s = ggl_gguf_copy_kv(to, from, "k1");
    if (!s) assert_int_equal(ggl_gguf_n_kv(to), 31);
    ggl_gguf_free(to);
    ggl_gguf_free(from);
    return s;
}

static uint64_t split_bytes;

static enum ggl_status write_file(void)
{
    static const uint8_t data[4000];
    struct ggl_gguf_write_options o = {.split_max_bytes = split_bytes};
    struct ggl_gguf *g = NULL;
    struct ggl_gguf_writer *w = NULL;
    enum ggl_status s = build(&g);
    if (s) return s;
    s = ggl_gguf_write_begin(g, file, &o, &w, NULL);
    if (!s) s = ggl_gguf_write_data(w, data, sizeof(data), NULL);
    if (s)
        ggl_gguf_write_abort(w);
    else
        s = ggl_gguf_write_finish(w, NULL);
    ggl_gguf_free(g);
    struct stat st;
    assert_int_equal(stat(split_bytes ? gb_temp("w-00001-of-00002.gguf") : file, &st) == 0, s == GGL_OK);
    if (s) return s;
    remove(file);
    remove(gb_temp("w-00001-of-00002.gguf"));
    remove(gb_temp("w-00002-of-00002.gguf"));
    return s;
}

static void writing(void **state)
{
    (void)state;
    assert_true(for_each_allocation(copy_keys) > 5);
    snprintf(file, sizeof(file), "%s", gb_temp("w.gguf"));
    assert_true(for_each_allocation(write_file) > 5);
    split_bytes = 6000;
    assert_true(for_each_allocation(write_file) > 5);
}

static int clean(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reading), cmocka_unit_test(writing)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
