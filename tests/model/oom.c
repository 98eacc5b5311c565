/*
 * Running out of memory at every allocation of loading, evaluating, saving and
 * restoring: the status is NOMEM, nothing leaks, and the session that an eval
 * failed in goes on as if nothing had happened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/ckpt_builder.h"
#include "support/failing_alloc.h"
#include "support/model_vectors.h"
#include "support/v4_builder.h"

enum { N = 140 };

static char model_path[512], session_path[512], saved_path[512];
static int32_t ids[N];
static float *want;
static int64_t n_rows_seen;
static enum ggl_precision precision;

static void on_row(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    (void)user, (void)name, (void)pos, (void)row, (void)n;
    n_rows_seen++;
}

/* A session's life.  Any failure ends it. */
static enum ggl_status use_session(struct ggl_model *m, struct ggl_error *err)
{
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s = NULL, *again = NULL;
    struct ggl_memory memory;
    enum ggl_status status;
    p.mtp = ggl_model_has_mtp(m);
    p.n_chunk = 100;
    n_rows_seen = 0;
    if ((status = ggl_memory_estimate(m, &p, &memory, err))) return status;
    if ((status = ggl_session_new(m, &p, &s, err))) return status;
    if (!(status = ggl_session_dump(s, "L1.attn.compressed", on_row, NULL, err)) && !(status = ggl_session_eval(s, ids, 3, err)) &&
        !(status = ggl_session_eval(s, ids + 3, N - 3, err)) && !(status = ggl_session_save(s, session_path, err)) &&
        !(status = ggl_session_new(m, &p, &again, err)) && !(status = ggl_session_load(again, session_path, err))) {
        if (want) mv_same_logits(ggl_session_logits(again), want, ggl_model_n_vocab(m), "after all");
        assert_int_equal(n_rows_seen, N / 4);
    }
    ggl_session_free(again);
    ggl_session_free(s);
    return status;
}

static enum ggl_status whole_life(struct ggl_error *err)
{
    struct ggl_model_params mp = ggl_model_defaults();
    struct ggl_model *m = NULL;
    mp.n_threads = 1;
    mp.precision = precision;
    enum ggl_status status = ggl_model_load(model_path, &mp, &m, err);
    assert_int_equal(m != NULL, status == GGL_OK);
    if (status) return status;
    status = use_session(m, err);
    ggl_model_free(m);
    return status;
}

static void check_every_allocation(const char *what)
{
    long n = 0;
#ifndef GGL_TEST_WRAPS_ALLOC
    skip();
#endif
    for (int forever = 0; forever < 2; forever++) {
        for (n = 1; n < 20000; n++) {
            struct ggl_error err = {0};
            failing_alloc_begin(n, forever);
            enum ggl_status s = whole_life(&err);
            bool failed = failing_alloc_end();
            if (!failed && s) fail_msg("%s: status %d without a failure", what, (int)s);
            if (!failed) break;
            if (s != GGL_ERR_NOMEM || err.status != s) fail_msg("%s: allocation %ld: status %d, %s", what, n, (int)s, err.what);
        }
    }
    print_message("%s: %ld allocations\n", what, n - 1);
    assert_true(n > 100);
}

static void a_gguf_model(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true});
    static const char *const names[] = {"token_embd.weight", "output.weight", "blk.0.ffn_gate_tid2eid.weight"};
    for (int i = 0; i < 3; i++) v4b_tensor(b, names[i])->ne[1] = 300;
    v4b_vocabulary(b, 300);
    v4b_retype(b, "output_norm.weight", GGL_TYPE_BF16); /* one that is copied */
    v4b_save(b, model_path);
    v4b_free(b);
    check_every_allocation("GGUF");
}

static void a_packed_model(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true, .matrices = GGL_TYPE_MXFP4});
    v4b_save(b, model_path);
    v4b_free(b);
    precision = GGL_PRECISION_FAST;
    check_every_allocation("GGUF, fast");
    precision = GGL_PRECISION_F32;
}

#ifdef GGL_HAVE_JANSSON
static void a_directory(void **state)
{
    (void)state;
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){.mtp = 1, .shards = 2});
    char *dir = ckpt_temp_dir();
    ck->tokenizer = ckpt_tokenizer_text();
    ckpt_write(ck, dir);
    ckpt_free(ck);
    snprintf(model_path, sizeof(model_path), "%s", dir);
    check_every_allocation("directory");
    ckpt_remove_dir(dir);
    free(dir);
}
#endif

/* An eval that cannot get memory leaves the session at a whole chunk, and the same call then goes through. */
static void an_eval_goes_on(void **state)
{
    (void)state;
#ifndef GGL_TEST_WRAPS_ALLOC
    skip();
#endif
    struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true});
    v4b_save(b, model_path);
    v4b_free(b);
    struct ggl_model *m = mv_load_file(model_path, 1);
    struct ggl_session *s = mv_session(m, 50, true);
    int64_t n_vocab = ggl_model_n_vocab(m);
    want = malloc((size_t)n_vocab * 4);
    assert_non_null(want);
    mv_eval_ids(s, ids, N);
    memcpy(want, ggl_session_logits(s), (size_t)n_vocab * 4);
    assert_int_equal(ggl_session_save(s, saved_path, NULL), GGL_OK);
    ggl_session_free(s);
    int failures = 0;
    for (long n = 1;; n++) {
        struct ggl_error err = {0};
        failing_alloc_begin(0, false);
        s = mv_session(m, 50, true);
        failing_alloc.countdown = n;
        enum ggl_status status = ggl_session_eval(s, ids, N, &err);
        bool failed = failing_alloc.failed;
        failing_alloc.countdown = 0;
        assert_int_equal(status, failed ? GGL_ERR_NOMEM : GGL_OK);
        int64_t past = ggl_session_n_past(s);
        assert_true(past % 50 == 0 || past == N);
        if (past < N) mv_eval_ids(s, ids + past, N - past);
        mv_same_logits(ggl_session_logits(s), want, n_vocab, "after a failed eval");
        /* A restore that fails changes nothing. */
        failing_alloc.failed = false;
        ggl_session_clear(s);
        mv_eval_ids(s, ids, 7);
        failing_alloc.countdown = n;
        status = ggl_session_load(s, saved_path, &err);
        failing_alloc.countdown = 0;
        assert_int_equal(status, failing_alloc.failed ? GGL_ERR_NOMEM : GGL_OK);
        assert_int_equal(ggl_session_n_past(s), status ? 7 : N);
        if (status) mv_eval_ids(s, ids + 7, N - 7);
        mv_same_logits(ggl_session_logits(s), want, n_vocab, "after a failed restore");
        ggl_session_free(s);
        failed |= failing_alloc.failed;
        failing_alloc_end();
        failures += failed;
        if (!failed) break;
    }
    assert_true(failures > 3);
    free(want);
    want = NULL;
    ggl_model_free(m);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(model_path, sizeof(model_path), "%s", gb_temp("model.gguf"));
    snprintf(session_path, sizeof(session_path), "%s", gb_temp("session"));
    snprintf(saved_path, sizeof(saved_path), "%s", gb_temp("saved-session"));
    for (int i = 0; i < N; i++) ids[i] = (11 * i + 3) % V4B_VOCAB;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_eval_goes_on),
        cmocka_unit_test(a_gguf_model),
        cmocka_unit_test(a_packed_model),
#ifdef GGL_HAVE_JANSSON
        cmocka_unit_test(a_directory),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
