/*
 * The cost of a token against sums made by hand from the shapes of the micro model,
 * and how it grows with tokens and depth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "model/model.h"

static struct ggl_model *load(enum ggl_precision precision)
{
    struct ggl_model_params p = ggl_model_defaults();
    struct ggl_model *m = NULL;
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    p.n_threads = 2;
    p.precision = precision;
    if (ggl_model_load(GGL_TEST_VECTORS "/model/micro/checkpoint", &p, &m, &err)) {
#ifdef GGL_HAVE_JANSSON
        fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
#else
        (void)line;
        skip();
#endif
    }
    return m;
}

/* micro: 3 layers of ratio 0, 4 and 128; n_embd 256 in 4 streams, 4 heads of 128 (64 rotary), ranks 256 and 2 x 128,
 * 32 index heads of 128, 2 of 8 experts of 256, 512 tokens, window 32, index top-k 16. */
enum {
    FP8_256_256 = 256 * 256 + 4, /* a scale byte for each 128 x 128 */
    EXPERT = 3 * (256 * 256 / 2 + 256 * 256 / 32),
    HC = 1024 * 24 + 24 + 3, /* floats */
    ATTENTION = FP8_256_256 + (256 * 512 + 8) + (256 * 128 + 2) + 2 * FP8_256_256 + 4 * (256 + 256 + 128 + 4),
    SHARED = 3 * FP8_256_256 + 2 * 256 * 8 + 4 * 256, /* experts' router and norm too */
    EVERY_LAYER = 2 * 4 * HC + ATTENTION + SHARED,
    POOL_4 = 2 * 2 * 256 * 256 + 4 * (4 * 256 + 128),
    RATIO_4 = 2 * POOL_4 + (256 * 4096 + 64) + 2 * 256 * 32,
    RATIO_128 = 2 * 2 * 256 * 128 + 4 * (128 * 128 + 128),
    HEAD = 4 * (1024 * 4 + 4 + 1) + 4 * 256 + 2 * 256 * 512,
    OTHERS = 3 * EVERY_LAYER + RATIO_4 + RATIO_128 + 2 * 4 * 8 + HEAD, /* 8 biases in two layers */
    PER_TOKEN = 2 * 256 + 2 * 4,                                        /* embedding, experts by token id */
    ROW = 64 + 1 + 2 * 64,
    KEY = 64 + 4,
};

static void one_token(void **state)
{
    (void)state;
    struct ggl_model *m = load(GGL_PRECISION_F32);
    struct ggl_cost c;
    ggl_model_cost(m, 0, 1, &c);
    assert_int_equal(c.weight_bytes, OTHERS + PER_TOKEN + 3 * 2 * EXPERT);
    assert_int_equal(ggl_model_active_bytes(m), c.weight_bytes);
    assert_int_equal(c.cache_bytes, 3 * ROW);
    assert_int_equal(c.cache_macs, 3 * 4 * 128 * 2);
    uint64_t layer = 2 * 1024 * 24 + 256 * (256 + 512 + 128 + 256 + 256) + 3 * 256 * 256 + 256 * 8 + 2 * 3 * 256 * 256;
    uint64_t ratio_4 = 4 * 256 * 256 + 256 * 4096 + 256 * 32, ratio_128 = 2 * 256 * 128;
    assert_int_equal(c.weight_macs, 3 * layer + ratio_4 + ratio_128 + 1024 * 4 + 256 * 512);
    ggl_model_free(m);
}

static void depth(void **state)
{
    (void)state;
    struct ggl_model *m = load(GGL_PRECISION_F32);
    struct ggl_cost c;
    ggl_model_cost(m, 1000, 1, &c); /* 250 keys for 16 entries; 7 entries of 128 tokens */
    assert_int_equal(c.weight_bytes, ggl_model_active_bytes(m));
    assert_int_equal(c.cache_bytes, (3 * 32 + 16 + 7) * ROW + 250 * KEY);
    assert_int_equal(c.cache_macs, (3 * 32 + 16 + 7) * 4 * 128 * 2 + 250 * 32 * 128);
    ggl_model_cost(m, 62, 1, &c); /* 15 entries: all are chosen, no keys are read */
    assert_int_equal(c.cache_bytes, (3 * 32 + 15) * ROW);
    ggl_model_free(m);
}

/* Several tokens: dense weights once, more experts, and in the end all of them. */
static void many_tokens(void **state)
{
    (void)state;
    struct ggl_model *m = load(GGL_PRECISION_F32);
    struct ggl_cost one, two, all, c;
    ggl_model_cost(m, 0, 1, &one);
    ggl_model_cost(m, 0, 2, &two);
    ggl_model_cost(m, 0, 2000, &all);
    assert_int_equal(two.weight_bytes, OTHERS + 2 * PER_TOKEN + 3 * (7 * EXPERT / 2)); /* 8 (1 - (6/8)^2) = 3.5 experts */
    assert_int_equal(all.weight_bytes, OTHERS + 2000 * PER_TOKEN + 3 * 8 * EXPERT);
    uint64_t head = 1024 * 4 + 256 * 512;
    assert_int_equal(all.weight_macs - head, 2000 * (one.weight_macs - head));
    assert_int_equal(all.cache_bytes, (3 * 2000 + 500 + 15) * ROW + 500 * KEY); /* rows of the run itself count, too */
    uint64_t macs = 0;
    for (int64_t pos = 0; pos < 2000; pos++) {
        ggl_model_cost(m, pos, 1, &c);
        macs += c.cache_macs;
    }
    assert_int_equal(all.cache_macs, macs);
    ggl_model_free(m);
}

/* Packing rearranges: about as many bytes, as many multiply-adds. */
static void packed(void **state)
{
    (void)state;
    struct ggl_model *f32 = load(GGL_PRECISION_F32), *fast = load(GGL_PRECISION_FAST);
    struct ggl_cost a, b;
    ggl_model_cost(f32, 100, 1, &a);
    ggl_model_cost(fast, 100, 1, &b);
    assert_true(b.weight_bytes >= a.weight_bytes && (double)b.weight_bytes < 1.01 * (double)a.weight_bytes);
    assert_int_equal(a.weight_macs, b.weight_macs);
    assert_int_equal(a.cache_bytes, b.cache_bytes);
    assert_int_equal(ggl_model_n_params(f32), ggl_model_n_params(fast));
    assert_true(ggl_model_n_params(f32) > 8 * 3 * 3 * 256 * 256);
    ggl_model_free(f32);
    ggl_model_free(fast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token),
        cmocka_unit_test(depth),
        cmocka_unit_test(many_tokens),
        cmocka_unit_test(packed),
    };
    return cmocka_run_group_tests_name("model/cost", tests, NULL, NULL);
}
