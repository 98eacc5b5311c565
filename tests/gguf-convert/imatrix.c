/*
 * Importance matrices: both formats read, the GGUF one written, and every rule of both broken once.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gguf-convert/imatrix.h"
#include "support/gguf_builder.h"

static struct gguf_builder b;

static int clean(void **state)
{
    (void)state;
    gb_free(&b);
    gb_remove_temp();
    return 0;
}

static struct imatrix *open_ok(const char *path)
{
    struct imatrix *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    if (imatrix_open(path, &m, &err)) fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    assert_non_null(m);
    return m;
}

/* The builder's bytes are refused, and the message says `text` and names the file. */
static void reject(const char *text)
{
    struct imatrix *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE] = "";
    gb_save(&b, gb_temp("x.imatrix"));
    enum ggl_status s = imatrix_open(gb_temp("x.imatrix"), &m, &err);
    if (s) ggl_error_line(&err, line, sizeof(line));
    if (s != GGL_ERR_FORMAT || m || !strstr(line, text) || !strstr(line, "x.imatrix"))
        fail_msg("status %d \"%s\" should be FORMAT, say \"%s\" and name the file", s, line, text);
}

static void assert_weights(const struct imatrix *m, const char *tensor, int64_t slice, int64_t n, const float *expected)
{
    const float *w = imatrix_find(m, tensor, slice, n);
    if (!w) fail_msg("%s slice %d: nothing found", tensor, (int)slice);
    for (int64_t i = 0; i < n; i++)
        if (w[i] != expected[i]) fail_msg("%s slice %d: %g at %d, expected %g", tensor, (int)slice, (double)w[i], (int)i, (double)expected[i]);
}

/* ---- GGUF */

static const float sums[] = {2, 4, 8, 0, 0, 0, 3, 6, 9}, counts[] = {4, 0, 3}, dense[] = {10, 20}, ten[] = {10};

static void written_and_read(void **state)
{
    (void)state;
    struct imatrix_sums entries[] = {{"blk.0.ffn_gate_exps.weight", 3, 3, sums, counts}, {"output.weight", 2, 1, dense, ten}};
    struct imatrix_text text = {"wiki.txt", 7, 512};
    struct ggl_error err = {0};
    const char *path = gb_temp("imatrix.gguf");
    for (int twice = 0; twice < 2; twice++) assert_int_equal(imatrix_write(path, entries, 2, &text, &err), GGL_OK);
    struct imatrix *m = open_ok(path);
    assert_int_equal(imatrix_n_entries(m), 2);
    assert_int_equal(imatrix_n_chunks(m), 7);
    assert_string_equal(imatrix_dataset(m), "wiki.txt");
    assert_weights(m, "blk.0.ffn_gate_exps.weight", 0, 3, (float[]){0.5f, 1, 2});
    assert_weights(m, "blk.0.ffn_gate_exps.weight", 2, 3, (float[]){1, 2, 3});
    assert_weights(m, "output.weight", 0, 2, (float[]){1, 2});
    assert_null(imatrix_find(m, "blk.0.ffn_gate_exps.weight", 1, 3)); /* never active */
    assert_null(imatrix_find(m, "blk.0.ffn_gate_exps.weight", 3, 3));
    assert_null(imatrix_find(m, "blk.0.ffn_gate_exps.weight", -1, 3));
    assert_null(imatrix_find(m, "blk.0.ffn_gate_exps.weight", 0, 9)); /* not cut like that */
    assert_null(imatrix_find(m, "output.weight", 0, 1));
    assert_null(imatrix_find(m, "output.weight", 0, 0));
    assert_null(imatrix_find(m, "blk.1.ffn_gate_exps.weight", 0, 3));
    imatrix_free(m);
}

/* What other programs look for in the file. */
static void written_layout(void **state)
{
    (void)state;
    struct imatrix_sums entry = {"blk.0.ffn_gate_exps.weight", 3, 3, sums, counts};
    struct imatrix_text text = {"wiki.txt", 7, 512};
    struct ggl_gguf *g;
    assert_int_equal(imatrix_write(gb_temp("imatrix.gguf"), &entry, 1, &text, NULL), GGL_OK);
    assert_int_equal(ggl_gguf_open(gb_temp("imatrix.gguf"), NULL, &g, NULL), GGL_OK);
    assert_string_equal(ggl_gguf_get_str(g, "general.type"), "imatrix");
    const struct ggl_kv *kv = ggl_gguf_find_kv(g, "imatrix.datasets");
    assert_true(kv && kv->type == GGL_KV_ARR && kv->elem == GGL_KV_STR && kv->n == 1);
    kv = ggl_gguf_find_kv(g, "imatrix.chunk_count");
    assert_true(kv && kv->type == GGL_KV_U32 && *(const uint32_t *)kv->data == 7);
    kv = ggl_gguf_find_kv(g, "imatrix.chunk_size");
    assert_true(kv && kv->type == GGL_KV_U32 && *(const uint32_t *)kv->data == 512);
    assert_int_equal(ggl_gguf_n_tensors(g), 2);
    const struct ggl_tensor *t = ggl_gguf_find_tensor(g, "blk.0.ffn_gate_exps.weight.in_sum2");
    assert_true(t && t->type == GGL_TYPE_F32 && t->ne[0] == 3 && t->ne[1] == 3 && !memcmp(t->data, sums, sizeof(sums)));
    t = ggl_gguf_find_tensor(g, "blk.0.ffn_gate_exps.weight.counts");
    assert_true(t && t->type == GGL_TYPE_F32 && t->ne[0] == 1 && t->ne[1] == 3 && !memcmp(t->data, counts, sizeof(counts)));
    ggl_gguf_free(g);
}

/* A file with one tensor of sums and one of counts; what is odd about it is in the arguments. */
struct odd {
    const char *type, *sums, *counts;
    uint32_t sums_type;
    int64_t sums_ne[2], counts_ne[2];
    float sum, count;
};
static const struct odd plain = {"imatrix", "a.weight.in_sum2", "a.weight.counts", GGL_TYPE_F32, {2, 1}, {1, 1}, 1, 1};

static void build(struct odd o)
{
    gb_head(&b, 3, (o.sums ? 1u : 0u) + (o.counts ? 1u : 0u), 1);
    gb_kv_str(&b, "general.type", o.type);
    if (o.sums) gb_tensor(&b, o.sums, 2, o.sums_ne, o.sums_type, 0);
    if (o.counts) gb_tensor(&b, o.counts, 2, o.counts_ne, GGL_TYPE_F32, o.sums ? 64 : 0);
    gb_pad(&b, 32);
    for (int i = 0; i < 16 && o.sums; i++) gb_bytes(&b, i == 1 ? &o.sum : &plain.sum, 4);
    for (int i = 0; i < 8 && o.counts; i++) gb_bytes(&b, &o.count, 4);
}

static void change_and_reject(struct odd o, const char *text)
{
    build(o);
    reject(text);
}

static void broken_gguf(void **state)
{
    (void)state;
    struct odd o = plain;
    build(o);
    gb_save(&b, gb_temp("ok"));
    imatrix_free(open_ok(gb_temp("ok")));
    o = plain, o.type = "model", change_and_reject(o, "general.type is model, expected imatrix");
    o = plain, o.sums = "a.weight.sum2", change_and_reject(o, "a.weight.sum2");
    o = plain, o.sums = ".in_sum2", change_and_reject(o, ".in_sum2");
    o = plain, o.counts = NULL, change_and_reject(o, "without its .counts");
    o = plain, o.sums = NULL, change_and_reject(o, "without its .in_sum2");
    o = plain, o.counts = "b.weight.counts", change_and_reject(o, "without its");
    o = plain, o.sums_type = GGL_TYPE_F16, change_and_reject(o, "a.weight.in_sum2 is F16, expected F32");
    o = plain, o.sums_ne[1] = 2, change_and_reject(o, "a.weight.counts is of another shape");
    o = plain, o.counts_ne[0] = 2, change_and_reject(o, "a.weight.counts is of another shape");
    o = plain, o.sums_ne[0] = 0, change_and_reject(o, "a.weight.in_sum2 is of another shape");
    o = plain, o.sum = -1, change_and_reject(o, "-1 at 1");
    o = plain, o.sum = NAN, change_and_reject(o, "nan at 1");
    o = plain, o.sum = INFINITY, change_and_reject(o, "inf at 1");
    o = plain, o.count = -2, change_and_reject(o, "-2 at 0");
    o = plain, o.count = 1e-30f, change_and_reject(o, "1e-30 at 0");
    o = plain, o.sums = o.counts = NULL, change_and_reject(o, "without entries");
    build(plain);
    for (size_t n = b.n - 29; n-- > 0;) { /* the last tensor's padding may be missing */
        b.n = n;
        reject("");
    }
}

/* llama.cpp sees that matrix as one a group; in the model it is one. */
static void groups_are_folded(void **state)
{
    (void)state;
    static const float s[] = {2, 4, 6, 8, 50, 50}, c[] = {2, 2, 0};
    struct imatrix_sums entry = {"blk.0.attn_output_a.weight", 2, 3, s, c};
    assert_int_equal(imatrix_write(gb_temp("g.gguf"), &entry, 1, &(struct imatrix_text){"t", 1, 2}, NULL), GGL_OK);
    struct imatrix *m = open_ok(gb_temp("g.gguf"));
    assert_weights(m, "blk.0.attn_output_a.weight", 0, 2, (float[]){2, 3});
    assert_null(imatrix_find(m, "blk.0.attn_output_a.weight", 1, 2));
    imatrix_free(m);
}

static void failing_writes(void **state)
{
    (void)state;
    struct imatrix_sums entry = {"output.weight", 2, 1, dense, ten};
    struct imatrix_text text = {"t", 1, 2};
    struct ggl_error err = {0};
    assert_int_equal(imatrix_write(gb_temp("no/such/folder.gguf"), &entry, 1, &text, &err), GGL_ERR_CREATE);
    static const float nan_sums[] = {1, NAN};
    entry.sums = nan_sums;
    assert_int_equal(imatrix_write(gb_temp("x.gguf"), &entry, 1, &text, &err), GGL_ERR_FORMAT);
    entry.tensor = "a_name_that_leaves_no_room_for_what_is_appended_to_it_here";
    assert_int_equal(imatrix_write(gb_temp("x.gguf"), &entry, 1, &text, &err), GGL_ERR_ARGUMENT);
}

static void collected(void **state)
{
    (void)state;
    struct imatrix_sink *c = imatrix_sink_new();
    struct imatrix_text text = {"t", 1, 2};
    struct ggl_error err = {0};
    char name[32];
    assert_non_null(c);
    for (int i = 0; i < 200; i++) { /* the table grows */
        snprintf(name, sizeof(name), "blk.%d.attn_q_a.weight", i);
        imatrix_sink_add(c, name, 0, 1, (float[]){(float)i, 1}, 2, 1);
    }
    imatrix_sink_add(c, "e", 1, 3, (float[]){1, 2}, 2, 2);
    imatrix_sink_add(c, "e", 1, 3, (float[]){3, 0}, 2, 1);
    imatrix_sink_add(c, "e", 3, 3, (float[]){9, 9}, 2, 1);
    imatrix_sink_add(c, "e", 0, 3, (float[]){9, 9, 9}, 3, 1);
    assert_int_equal(imatrix_sink_write(c, gb_temp("c.gguf"), &text, &err), GGL_OK);
    imatrix_sink_free(c);
    imatrix_sink_free(NULL);
    struct imatrix *m = open_ok(gb_temp("c.gguf"));
    assert_int_equal(imatrix_n_entries(m), 201);
    assert_weights(m, "blk.199.attn_q_a.weight", 0, 2, (float[]){199 * 199, 1});
    assert_weights(m, "e", 1, 2, (float[]){6.5f, 8}); /* (2 * 2 + 3 * 3) / 2, 4 * 4 / 2 */
    assert_null(imatrix_find(m, "e", 0, 2));
    assert_null(imatrix_find(m, "e", 2, 2));
    imatrix_free(m);
}

/* ---- .dat */

static void dat_entry(const char *name, uint32_t n_calls, uint32_t n, const float *values)
{
    gb_u32(&b, (uint32_t)strlen(name));
    gb_bytes(&b, name, strlen(name));
    gb_u32(&b, n_calls);
    gb_u32(&b, n);
    gb_bytes(&b, values, n * sizeof(float));
}

static void dat_begin(uint32_t n)
{
    gb_reset(&b);
    gb_u32(&b, n);
}

static void dat_trailer(void)
{
    gb_u32(&b, 12);
    gb_u32(&b, 4);
    gb_bytes(&b, "wiki", 4);
}

static void dat_is_read(void **state)
{
    (void)state;
    static const float experts[] = {4, 8, 0, 0, 12, 16};
    for (int trailer = 0; trailer < 2; trailer++) {
        dat_begin(3);
        dat_entry("blk.0.ffn_up_exps.weight", 4, 6, experts);
        dat_entry("output.weight", 0, 2, dense);
        dat_entry("empty.weight", 1, 0, dense);
        if (trailer) dat_trailer();
        gb_save(&b, gb_temp("x.dat"));
        struct imatrix *m = open_ok(gb_temp("x.dat"));
        assert_int_equal(imatrix_n_entries(m), 3);
        assert_int_equal(imatrix_n_chunks(m), trailer ? 12 : 0);
        assert_string_equal(imatrix_dataset(m), trailer ? "wiki" : "");
        assert_weights(m, "blk.0.ffn_up_exps.weight", 0, 2, (float[]){1, 2});
        assert_null(imatrix_find(m, "blk.0.ffn_up_exps.weight", 1, 2));
        assert_weights(m, "blk.0.ffn_up_exps.weight", 2, 2, (float[]){3, 4});
        assert_null(imatrix_find(m, "blk.0.ffn_up_exps.weight", 3, 2));
        assert_null(imatrix_find(m, "blk.0.ffn_up_exps.weight", 0, 4));
        assert_weights(m, "output.weight", 0, 2, dense); /* no calls: as they are */
        assert_null(imatrix_find(m, "empty.weight", 0, 1));
        imatrix_free(m);
    }
}

static void broken_dat(void **state)
{
    (void)state;
    static const float bad[] = {1, NAN};
    dat_begin(0), reject("neither a GGUF file nor a .dat");
    dat_begin(0x80000000), reject("number of entries");
    dat_begin(1u << 30), reject("number of entries");
    gb_reset(&b), reject("cut off");
    dat_begin(1), gb_u32(&b, 0), reject("length of its name is 0, expected 1..4096");
    dat_begin(1), gb_u32(&b, 4097), reject("length of its name is 4097");
    dat_begin(1), gb_u32(&b, 0xffffffff), reject("length of its name is -1");
    dat_begin(1), gb_u32(&b, 3), gb_bytes(&b, "a\0b", 3), reject("NUL");
    dat_begin(1), gb_u32(&b, 2), gb_bytes(&b, "\xff\xff", 2), reject("UTF-8");
    dat_begin(1), dat_entry("a", 0xfffffff0, 2, dense), reject("number of calls is -16");
    dat_begin(1), gb_u32(&b, 1), gb_bytes(&b, "a", 1), gb_u32(&b, 1), gb_u32(&b, 0xffffffff), reject("number of values is -1");
    dat_begin(1), gb_u32(&b, 1), gb_bytes(&b, "a", 1), gb_u32(&b, 1), gb_u32(&b, 0x1fffffff), reject("its values is cut off");
    dat_begin(1), dat_entry("a", 1, 2, bad), reject("a mean of squares is nan");
    dat_begin(2), dat_entry("a", 1, 2, dense), dat_entry("a", 1, 2, dense), reject("there twice");
    dat_begin(1), dat_entry("a", 1, 2, dense), dat_trailer(), gb_u8(&b, 0), reject("more bytes");
    dat_begin(1), dat_entry("a", 1, 2, dense), gb_u32(&b, 0xffffffff), gb_u32(&b, 0), reject("number of chunks");
    dat_begin(1), dat_entry("a", 1, 2, dense), gb_u32(&b, 1), gb_u32(&b, 0x7fffffff), reject("cut off");
    dat_begin(2), dat_entry("a", 1, 2, dense), dat_entry("b", 1, 2, dense);
    size_t whole = b.n;
    dat_trailer();
    for (size_t n = b.n; n-- > 0;) {
        b.n = n;
        if (n != whole) reject("");
    }
}

static void no_file(void **state)
{
    (void)state;
    struct imatrix *m;
    struct ggl_error err = {0};
    assert_int_equal(imatrix_open(gb_temp("none"), &m, &err), GGL_ERR_NOT_FOUND);
    imatrix_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read), cmocka_unit_test(written_layout), cmocka_unit_test(broken_gguf),
        cmocka_unit_test(groups_are_folded), cmocka_unit_test(failing_writes), cmocka_unit_test(collected), cmocka_unit_test(dat_is_read),
        cmocka_unit_test(broken_dat), cmocka_unit_test(no_file),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
