/*
 * A made-up depth for benchmarks, and the profile of a session: evaluation goes on
 * from there with numbers, always the same ones, and memory grows as estimated.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "ggml-lite/graph.h"
#include "model/model.h"

#if defined(__SANITIZE_ADDRESS__)
enum { DEEP = 20000 }; /* evaluation is slow there, and freed memory stays */
#define MEMORY_IS_OBSERVABLE 0
#else
enum { DEEP = 262144 };
#define MEMORY_IS_OBSERVABLE 1
#endif

static struct ggl_model *model;

static int load(void **state)
{
    (void)state;
    struct ggl_model_params p = ggl_model_defaults();
    struct ggl_error err;
    p.n_threads = 2;
    return ggl_model_load(GGL_TEST_VECTORS "/gguf/micro-Q4_K_M-split-00001-of-00004.gguf", &p, &model, &err) ? -1 : 0;
}

static int unload(void **state)
{
    (void)state;
    ggl_model_free(model);
    return 0;
}

static struct ggl_session *session(int32_t n_ctx, bool float_rows)
{
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s = NULL;
    struct ggl_error err;
    p.n_ctx = n_ctx;
    p.n_chunk = 16;
    p.cache_rounding_off = float_rows;
    p.mtp = ggl_model_has_mtp(model);
    assert_int_equal(ggl_session_new(model, &p, &s, &err), GGL_OK);
    return s;
}

static void must(enum ggl_status status, const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    if (status) fail_msg("%s", ggl_error_line(err, line, sizeof(line)));
}

/* Logits after 24 tokens, in one call or one by one; the caller frees them. */
static float *continue_from(struct ggl_session *s, bool one_by_one)
{
    enum { N = 24 };
    size_t n_vocab = (size_t)ggl_model_n_vocab(model);
    int32_t ids[N];
    struct ggl_error err;
    for (int i = 0; i < N; i++) ids[i] = 7 * i % (int32_t)n_vocab;
    for (int i = 0; i < N; i += one_by_one ? 1 : N) must(ggl_session_eval(s, ids + i, one_by_one ? 1 : N, &err), &err);
    float *logits = malloc(n_vocab * sizeof(*logits));
    assert_non_null(logits);
    memcpy(logits, ggl_session_logits(s), n_vocab * sizeof(*logits));
    for (size_t i = 0; i < n_vocab; i++) assert_true(isfinite(logits[i]));
    return logits;
}

/* The same numbers in every session, after anything, and however the tokens are cut. */
static void deterministic(void **state)
{
    (void)state;
    size_t bytes = (size_t)ggl_model_n_vocab(model) * sizeof(float);
    const int64_t depths[] = {1, 5, 100, 1003, DEEP};
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        struct ggl_session *a = session((int32_t)depths[i] + 24, false), *b = session((int32_t)depths[i] + 24, false);
        struct ggl_error err;
        must(ggl_session_set_synthetic_depth(a, depths[i], &err), &err);
        assert_int_equal(ggl_session_n_past(a), depths[i]);
        assert_null(ggl_session_logits(a));
        float *one = continue_from(a, false);
        must(ggl_session_set_synthetic_depth(b, depths[i], &err), &err);
        float *two = continue_from(b, true);
        assert_memory_equal(one, two, bytes);
        free(two);
        must(ggl_session_set_synthetic_depth(a, depths[i], &err), &err); /* again, where tokens were */
        two = continue_from(a, false);
        assert_memory_equal(one, two, bytes);
        free(one);
        free(two);
        ggl_session_free(a);
        ggl_session_free(b);
    }
}

/* Rows matter: another depth gives other logits, and depth 0 is an empty context. */
static void depth_matters(void **state)
{
    (void)state;
    size_t bytes = (size_t)ggl_model_n_vocab(model) * sizeof(float);
    struct ggl_session *s = session(2000, false);
    struct ggl_error err;
    float *empty = continue_from(s, false);
    must(ggl_session_set_synthetic_depth(s, 1000, &err), &err);
    float *deep = continue_from(s, false);
    assert_memory_not_equal(empty, deep, bytes);
    must(ggl_session_set_synthetic_depth(s, 0, &err), &err);
    assert_int_equal(ggl_session_n_past(s), 0);
    float *again = continue_from(s, false);
    assert_memory_equal(empty, again, bytes);
    free(empty);
    free(deep);
    free(again);
    ggl_session_free(s);
    s = session(2000, true); /* float rows */
    must(ggl_session_set_synthetic_depth(s, 1000, &err), &err);
    free(continue_from(s, false));
    ggl_session_free(s);
}

static void refusals(void **state)
{
    (void)state;
    struct ggl_session *s = session(100, false);
    struct ggl_error err;
    free(continue_from(s, false));
    assert_int_equal(ggl_session_set_synthetic_depth(s, 101, &err), GGL_ERR_LIMIT);
    assert_int_equal(ggl_session_set_synthetic_depth(s, -1, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_session_n_past(s), 24);
    assert_non_null(ggl_session_logits(s));
    must(ggl_session_set_synthetic_depth(s, 100, &err), &err);
    assert_int_equal(ggl_session_eval(s, (int32_t[]){1}, 1, &err), GGL_ERR_LIMIT);
    ggl_session_free(s);
}

/* Resident bytes now; 0: the system does not tell. */
static uint64_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long long size, pages = 0;
    if (!f) return 0;
    if (fscanf(f, "%llu %llu", &size, &pages) != 2) pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The rows of the depth become resident, and no more than the estimate says. */
static void memory(void **state)
{
    (void)state;
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_memory estimate;
    struct ggl_error err;
    p.n_ctx = DEEP + 24;
    if (!MEMORY_IS_OBSERVABLE || !resident()) skip();
    must(ggl_memory_estimate(model, &p, &estimate, &err), &err);
    struct ggl_session *s = session(DEEP + 24, false);
    uint64_t before = resident();
    must(ggl_session_set_synthetic_depth(s, DEEP, &err), &err);
    uint64_t grown = resident() - before, rows = DEEP / 4 * (193 + 68) + DEEP / 128 * 193, slack = 1 << 20;
    if (grown + slack < rows) fail_msg("%llu bytes for %llu of rows", (unsigned long long)grown, (unsigned long long)rows);
    uint64_t most = estimate.cache + DEEP * sizeof(int32_t) + slack;
    if (grown > most) fail_msg("%llu bytes, estimated %llu", (unsigned long long)grown, (unsigned long long)most);
    ggl_session_free(s);
}

/* ---- profile */

static double seconds(const struct ggl_profile *p)
{
    double sum = 0;
    for (int i = 0; i < p->n_ops; i++) {
        assert_true(p->ops[i].calls > 0 && p->ops[i].run_s >= 0 && p->ops[i].wait_s >= 0);
        for (int j = 0; j < i; j++) assert_string_not_equal(p->ops[i].name, p->ops[j].name);
        sum += p->ops[i].run_s + p->ops[i].wait_s;
    }
    return sum;
}

static uint64_t calls(const struct ggl_profile *p, const char *name)
{
    for (int i = 0; i < p->n_ops; i++)
        if (strcmp(p->ops[i].name, name) == 0) return p->ops[i].calls;
    return 0;
}

static void profile(void **state)
{
    (void)state;
    struct ggl_profile p = {0}, copy;
    struct ggl_session *s = session(2000, false);
    float *plain = continue_from(s, true);
    ggl_session_clear(s);
    ggl_session_set_profile(s, &p);
    float *timed = continue_from(s, true);
    assert_memory_equal(plain, timed, (size_t)ggl_model_n_vocab(model) * sizeof(float));
    assert_true(seconds(&p) > 0);
    assert_int_equal(calls(&p, "embed"), ggl_model_has_mtp(model) ? 24 + 23 : 24);
    assert_int_equal(calls(&p, "attention"), (uint64_t)ggl_model_n_layer(model) * 24 + (ggl_model_has_mtp(model) ? 23 : 0));
    ggl_session_set_profile(s, NULL);
    copy = p;
    ggl_session_clear(s);
    free(continue_from(s, true));
    assert_memory_equal(&p, &copy, sizeof(p));
    free(plain);
    free(timed);
    ggl_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory), /* first: later there is freed memory to be used again */
        cmocka_unit_test(deterministic), cmocka_unit_test(depth_matters), cmocka_unit_test(refusals),
        cmocka_unit_test(profile),
    };
    return cmocka_run_group_tests_name("model/synthetic", tests, load, unload);
}
