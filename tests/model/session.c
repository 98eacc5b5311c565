/*
 * Sessions: whatever happens to one (cancelled, cleared, saved and restored,
 * run beside another), it gives the bits of a session that was left in peace.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "support/failing_alloc.h"
#include "support/model_vectors.h"
#include "support/v4_builder.h"

enum { N = 300 };

static struct ggl_model *model;
static int32_t ids[N];
static struct mv_rows want; /* of an undisturbed session */
static int64_t n_vocab;

static int set_up(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true, .seed = 7});
    v4b_save(b, gb_temp("tiny.gguf"));
    v4b_free(b);
    model = mv_load_file(gb_temp("tiny.gguf"), 2);
    n_vocab = ggl_model_n_vocab(model);
    for (int i = 0; i < N; i++) ids[i] = (int32_t)((uint32_t)i * 2654435761u >> 8) % V4B_VOCAB;
    struct ggl_session_params p = ggl_session_defaults();
    p.mtp = true;
    want = mv_eval(model, &p, ids, N);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mv_free_rows(&want);
    ggl_model_free(model);
    gb_remove_temp();
    return 0;
}

static const float *want_row(int64_t n_past)
{
    return want.logits + (n_past - 1) * n_vocab;
}

/* Evaluate what is missing of the first n tokens: main and draft rows are those of the undisturbed session. */
static void check_continues(struct ggl_session *s, int64_t n, const char *what)
{
    struct mv_rows rows = {.n_vocab = n_vocab};
    int64_t past = ggl_session_n_past(s);
    if (past) assert_memory_equal(ggl_session_tokens(s), ids, (size_t)past * 4);
    mv_collect(&rows, s, N);
    if (past < n) mv_eval_ids(s, ids + past, n - past);
    assert_int_equal(ggl_session_n_past(s), n);
    mv_same_logits(rows.logits + past * n_vocab, want.logits + past * n_vocab, (n - past) * n_vocab, what);
    int64_t draft = past ? past - 1 : 0;
    if (rows.n_draft) mv_same_logits(rows.draft + draft * n_vocab, want.draft + draft * n_vocab, (n - 1 - draft) * n_vocab, what);
    mv_same_logits(ggl_session_logits(s), want_row(n), n_vocab, what);
    ggl_session_set_logits_fn(s, NULL, NULL);
    mv_free_rows(&rows);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- cancelling */

/* Cancels its session when the node `name` has computed a row at or after `pos`. */
struct trigger {
    struct ggl_session *s;
    int64_t pos;
    bool armed, fired;
};

static void fire(struct trigger *t, int64_t pos)
{
    if (!t->armed || pos < t->pos) return;
    t->armed = false;
    t->fired = true;
    ggl_session_cancel(t->s);
}

static void on_row(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    (void)name, (void)row, (void)n;
    fire(user, pos);
}

static void on_logits(void *user, int64_t pos, const float *logits, bool draft)
{
    (void)logits, (void)draft;
    fire(user, pos);
}

/* One session, cancelled at several places one after the other, before it is done. */
static void cancel_at(const char *name, int32_t n_chunk)
{
    static const int64_t places[] = {0, 1, 3, 7, 100, 127, 128, 131, 200, 255, 280};
    char what[128];
    struct ggl_session *s = mv_session(model, n_chunk, true);
    struct trigger t = {.s = s};
    struct ggl_error err;
    if (name) assert_int_equal(ggl_session_dump(s, name, on_row, &t, &err), GGL_OK);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int64_t past = ggl_session_n_past(s), n = least(N, places[i] + 20);
        t = (struct trigger){s, places[i], true, false};
        if (!name) ggl_session_set_logits_fn(s, on_logits, &t);
        if (past >= n) continue;
        enum ggl_status status = ggl_session_eval(s, ids + past, n - past, &err);
        t.armed = false;
        snprintf(what, sizeof(what), "cancelled at %s of %lld, chunks of %d", name ? name : "logits", (long long)places[i], n_chunk);
        if (status != (t.fired ? GGL_ERR_CANCELLED : GGL_OK)) fail_msg("%s: status %d", what, (int)status);
        if (t.fired) {
            assert_int_equal(err.status, GGL_ERR_CANCELLED);
            int64_t done = ggl_session_n_past(s) - past;
            if (done % n_chunk || done >= n - past) fail_msg("%s: %lld tokens done", what, (long long)done);
            if (ggl_session_n_past(s)) mv_same_logits(ggl_session_logits(s), want_row(ggl_session_n_past(s)), n_vocab, what);
        }
        check_continues(s, least(ggl_session_n_past(s) + 3, N), what);
    }
    check_continues(s, N, what);
    ggl_session_free(s);
}

static void cancel_inside(void **state)
{
    static const char *const names[] = {"L0.attn.in", "L1.attn.index_keys", "L1.attn.out", "L2.attn.compressed",
                                        "L2.ffn.experts", "L2.h", "M0.attn.kv", "M0.h", NULL};
    static const int32_t chunks[] = {1, 3, 5, 8, 9, 127, 150, 256};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (size_t k = 0; k < sizeof(chunks) / sizeof(chunks[0]); k++) cancel_at(names[i], chunks[k]);
}

struct canceller {
    struct ggl_session *s;
    long wait_ns;
};

static void *cancel_later(void *p)
{
    struct canceller *c = p;
    nanosleep(&(struct timespec){0, c->wait_ns}, NULL);
    ggl_session_cancel(c->s);
    return NULL;
}

static void cancel_from_thread(void **state)
{
    (void)state;
    int cancelled = 0;
    for (int round = 0; round < 24; round++) {
        int32_t n_chunk = round % 3 == 0 ? 5 : round % 3 == 1 ? 150 : 300;
        struct ggl_session *s = mv_session(model, n_chunk, true);
        struct canceller c = {s, 300000L * (round + 1) * (round + 1)};
        struct ggl_error err;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        enum ggl_status status = ggl_session_eval(s, ids, N, &err);
        pthread_join(thread, NULL);
        assert_true(status == GGL_OK || status == GGL_ERR_CANCELLED);
        cancelled += status == GGL_ERR_CANCELLED;
        if (!status) { /* too late for that one: the next is told */
            assert_int_equal(ggl_session_n_past(s), N);
            enum ggl_status next = ggl_session_eval(s, ids, 1, &err);
            assert_true(next == GGL_ERR_CANCELLED || next == GGL_OK);
        } else {
            assert_true(ggl_session_n_past(s) % n_chunk == 0 && ggl_session_n_past(s) < N);
            check_continues(s, N, "cancelled by another thread");
        }
        ggl_session_free(s);
    }
    print_message("%d of 24 cancelled\n", cancelled);
}

static bool stop_at(void *user, int64_t done, int64_t n)
{
    int64_t *limit = user;
    assert_true(done > 0 && done <= n);
    return done < *limit;
}

static void cancel_from_progress(void **state)
{
    static const int32_t chunks[] = {4, 130};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ggl_session *s = mv_session(model, chunks[i], true);
        int64_t limit = 2 * chunks[i];
        struct ggl_error err;
        ggl_session_set_progress(s, stop_at, &limit);
        assert_int_equal(ggl_session_eval(s, ids, N, &err), GGL_ERR_CANCELLED);
        assert_int_equal(ggl_session_n_past(s), limit);
        mv_same_logits(ggl_session_logits(s), want_row(limit), n_vocab, "stopped by progress");
        limit = N + 1;
        check_continues(s, N, "stopped by progress");
        ggl_session_free(s);
    }
}

static void cancel_before(void **state)
{
    (void)state;
    struct ggl_session *s = mv_session(model, 0, true);
    struct ggl_error err;
    ggl_session_cancel(s);
    assert_int_equal(ggl_session_eval(s, ids, 10, &err), GGL_ERR_CANCELLED);
    assert_int_equal(ggl_session_n_past(s), 0);
    assert_null(ggl_session_logits(s));
    check_continues(s, 10, "cancelled before it began");
    ggl_session_cancel(s);
    assert_int_equal(ggl_session_eval(s, ids + 10, 1, &err), GGL_ERR_CANCELLED);
    assert_int_equal(ggl_session_n_past(s), 10);
    check_continues(s, N, "cancelled before it went on");
    ggl_session_free(s);
}

/* ---- clear, limits, bad ids */

static void clear_and_reuse(void **state)
{
    (void)state;
    struct ggl_session *s = mv_session(model, 64, true);
    for (int i = 0; i < 3; i++) {
        int32_t other[N];
        for (int k = 0; k < N; k++) other[k] = ids[(k * 7 + i) % N];
        mv_eval_ids(s, other, i == 0 ? N : i == 1 ? 130 : 2);
        ggl_session_clear(s);
        assert_int_equal(ggl_session_n_past(s), 0);
        assert_null(ggl_session_logits(s));
        check_continues(s, i == 0 ? 1 : N, "after a clear");
        ggl_session_clear(s);
    }
    ggl_session_clear(s);
    check_continues(s, N, "cleared twice");
    ggl_session_free(s);
}

static void context_limit(void **state)
{
    (void)state;
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s = NULL;
    struct ggl_error err;
    p.n_ctx = 10;
    p.mtp = true;
    assert_int_equal(ggl_session_new(model, &p, &s, &err), GGL_OK);
    assert_int_equal(ggl_session_eval(s, ids, 11, &err), GGL_ERR_LIMIT);
    assert_int_equal(ggl_session_n_past(s), 0);
    mv_eval_ids(s, ids, 4);
    assert_int_equal(ggl_session_eval(s, ids, INT64_MAX, &err), GGL_ERR_LIMIT);
    assert_int_equal(ggl_session_eval(s, ids + 4, 7, &err), GGL_ERR_LIMIT);
    assert_non_null(strstr(err.what, "context"));
    assert_int_equal(ggl_session_n_past(s), 4);
    check_continues(s, 10, "a full context");
    assert_int_equal(ggl_session_eval(s, ids, 1, &err), GGL_ERR_LIMIT);
    mv_same_logits(ggl_session_logits(s), want_row(10), n_vocab, "after the limit");
    ggl_session_clear(s);
    check_continues(s, 10, "a full context again");
    ggl_session_free(s);
}

static void bad_params(void **state)
{
    static const struct ggl_session_params bad[] = {
        {.n_ctx = -1}, {.n_ctx = 4097}, {.n_ctx = INT32_MAX}, {.n_chunk = -1}, {.n_chunk = INT32_MAX}};
    (void)state;
    struct ggl_error err;
    struct ggl_memory memory;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ggl_session_params p = bad[i];
        struct ggl_session *s = NULL;
        p.struct_size = sizeof(p);
        assert_int_equal(ggl_session_new(model, &p, &s, &err), GGL_ERR_ARGUMENT);
        assert_int_equal(err.status, GGL_ERR_ARGUMENT);
        assert_null(s);
        assert_int_equal(ggl_memory_estimate(model, &p, &memory, &err), GGL_ERR_ARGUMENT);
    }
    struct ggl_session *s = NULL; /* no parameters: the defaults */
    assert_int_equal(ggl_session_new(model, NULL, &s, NULL), GGL_OK);
    check_continues(s, 20, "default parameters");
    ggl_session_free(s);
    struct ggl_model *m = NULL;
    struct ggl_model_params mp = ggl_model_defaults();
    mp.n_threads = -1;
    assert_int_equal(ggl_model_load(gb_temp("tiny.gguf"), &mp, &m, &err), GGL_ERR_ARGUMENT);
    mp.n_threads = 1;
    mp.precision = (enum ggl_precision)9;
    assert_int_equal(ggl_model_load(gb_temp("tiny.gguf"), &mp, &m, &err), GGL_ERR_ARGUMENT);
    assert_null(m);
}

static void bad_ids(void **state)
{
    static const int32_t bad[] = {-1, V4B_VOCAB, INT32_MAX, INT32_MIN};
    (void)state;
    struct ggl_session *s = mv_session(model, 4, true);
    struct ggl_error err;
    char where[32];
    mv_eval_ids(s, ids, 6);
    for (size_t i = 0; i < 4; i++) {
        for (int at = 0; at < 20; at += 19) {
            int32_t x[20];
            memcpy(x, ids, sizeof(x));
            x[at] = bad[i];
            assert_int_equal(ggl_session_eval(s, x, 20, &err), GGL_ERR_FORMAT);
            snprintf(where, sizeof(where), "token %d: id %d", at, bad[i]);
            assert_non_null(strstr(err.what, where));
            assert_int_equal(ggl_session_n_past(s), 6);
        }
    }
    assert_int_equal(ggl_session_eval(s, ids, 0, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_session_eval(s, ids, -1, &err), GGL_ERR_ARGUMENT);
    check_continues(s, N, "after bad ids");
    ggl_session_free(s);
}

/* ---- several sessions */

static void interleaved(void **state)
{
    (void)state;
    struct ggl_session *a = mv_session(model, 7, true), *b = mv_session(model, 150, false);
    for (int64_t n = 10; n <= N; n += 29) {
        check_continues(a, n, "the first of two sessions");
        check_continues(b, least(2 * n, N), "the second of two sessions");
    }
    ggl_session_free(b);
    check_continues(a, N, "the one that is left");
    ggl_session_free(a);
}

struct runner {
    int32_t n_chunk;
    float last[V4B_VOCAB];
    enum ggl_status status;
};

static void *run_alone(void *p)
{
    struct runner *r = p;
    struct ggl_session_params sp = ggl_session_defaults();
    struct ggl_session *s = NULL;
    sp.n_chunk = r->n_chunk;
    sp.mtp = true;
    if ((r->status = ggl_session_new(model, &sp, &s, NULL))) return NULL;
    for (int64_t i = 0; i < N && !r->status; i += 50) r->status = ggl_session_eval(s, ids + i, 50, NULL);
    if (!r->status) memcpy(r->last, ggl_session_logits(s), sizeof(r->last));
    ggl_session_free(s);
    return NULL;
}

static void at_once(void **state)
{
    (void)state;
    struct runner r[3] = {{.n_chunk = 1}, {.n_chunk = 9}, {.n_chunk = 50}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, run_alone, &r[i]), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].status, GGL_OK);
        mv_same_logits(r[i].last, want_row(N), n_vocab, "sessions on threads of their own");
    }
}

static void forked_child(void **state)
{
    (void)state;
    struct ggl_session *s = mv_session(model, 0, true);
    mv_eval_ids(s, ids, 5);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        struct ggl_error err = {0};
        enum ggl_status status = ggl_session_eval(s, ids + 5, 1, &err);
        bool good = status == GGL_ERR_STATE && err.status == status && ggl_session_n_past(s) == 5;
        ggl_session_free(s);
        ggl_model_free(model);
        _exit(good ? 0 : 1);
    }
    int code;
    assert_int_equal(waitpid(pid, &code, 0), pid);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
    check_continues(s, N, "the parent of a fork");
    ggl_session_free(s);
}

/* ---- save and restore */

static void save(struct ggl_session *s, const char *path)
{
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    if (ggl_session_save(s, path, &err)) fail_msg("save: %s", ggl_error_line(&err, line, sizeof(line)));
}

static void restore(struct ggl_session *s, const char *path)
{
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    if (ggl_session_load(s, path, &err)) fail_msg("load: %s", ggl_error_line(&err, line, sizeof(line)));
}

static void save_and_restore(void **state)
{
    static const int64_t lengths[] = {0, 1, 2, 3, 4, 5, 127, 128, 129, 200};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int mtp = 0; mtp < 2; mtp++) {
            const char *path = gb_temp("session");
            struct ggl_session *s = mv_session(model, 30, mtp);
            if (lengths[i]) mv_eval_ids(s, ids, lengths[i]);
            save(s, path);
            check_continues(s, N, "the session that was saved");
            /* Into a fresh session and into a used one. */
            struct ggl_session *fresh = mv_session(model, 64, mtp);
            restore(fresh, path);
            restore(s, path);
            struct ggl_session *both[] = {fresh, s};
            for (int k = 0; k < 2; k++) {
                assert_int_equal(ggl_session_n_past(both[k]), lengths[i]);
                if (lengths[i]) mv_same_logits(ggl_session_logits(both[k]), want_row(lengths[i]), n_vocab, "restored logits");
                else assert_null(ggl_session_logits(both[k]));
                if (lengths[i]) assert_memory_equal(ggl_session_tokens(both[k]), ids, (size_t)lengths[i] * 4);
                check_continues(both[k], lengths[i] + 1, "a restored session, one token");
                check_continues(both[k], N, "a restored session");
            }
            ggl_session_free(fresh);
            ggl_session_free(s);
        }
    }
}

static void save_after_cancel(void **state)
{
    (void)state;
    const char *path = gb_temp("session");
    for (int32_t n_chunk = 3; n_chunk < 200; n_chunk += 147) {
        struct ggl_session *s = mv_session(model, n_chunk, true), *other = mv_session(model, 0, true);
        struct trigger t = {s, 160, true, false};
        struct ggl_error err;
        assert_int_equal(ggl_session_dump(s, "L2.h", on_row, &t, &err), GGL_OK);
        assert_int_equal(ggl_session_eval(s, ids, N, &err), GGL_ERR_CANCELLED);
        save(s, path);
        restore(other, path);
        check_continues(other, N, "saved after a cancel");
        ggl_session_free(s);
        ggl_session_free(other);
    }
}

struct bytes {
    uint8_t *data;
    size_t n;
};

static struct bytes read_file(const char *path)
{
    struct bytes b = {malloc(1 << 22), 0};
    FILE *f = fopen(path, "rb");
    assert_true(b.data && f);
    b.n = fread(b.data, 1, 1 << 22, f);
    fclose(f);
    assert_true(b.n > 0 && b.n < 1 << 22);
    return b;
}

/* The model without compressed layers, whose sessions are small. */
static struct ggl_model *small_model(uint32_t seed)
{
    struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true, .seed = seed});
    v4b_arr(b, "attention.compress_ratios", GGL_KV_I32, (int32_t[]){0, 0, 0, 0}, 4);
    v4b_save(b, gb_temp("small.gguf"));
    v4b_free(b);
    return mv_load_file(gb_temp("small.gguf"), 1);
}

static void rejected(struct ggl_session *s, const uint8_t *data, size_t n, const float *before, const char *what, size_t at)
{
    struct ggl_error err = {0};
    const char *path = gb_temp("damaged");
    struct gguf_builder file = {0};
    gb_bytes(&file, data, n);
    gb_save(&file, path);
    gb_free(&file);
    enum ggl_status status = ggl_session_load(s, path, &err);
    bool known = status == GGL_ERR_FORMAT || status == GGL_ERR_LIMIT || (!n && status == GGL_ERR_IO);
    if (!known || err.status != status || strcmp(err.path, path) != 0) fail_msg("%s %zu: status %d", what, at, (int)status);
    if (ggl_session_n_past(s) != 9 || memcmp(ggl_session_tokens(s), ids, 9 * 4) != 0 ||
        memcmp(ggl_session_logits(s), before, (size_t)n_vocab * 4) != 0)
        fail_msg("%s %zu: the session changed", what, at);
}

static void damaged_files(void **state)
{
    (void)state;
    struct ggl_model *m = small_model(8);
    struct ggl_session *s = mv_session(m, 0, true), *saved = mv_session(m, 0, true);
    mv_eval_ids(saved, ids, 12);
    save(saved, gb_temp("session"));
    mv_eval_ids(s, ids, 9);
    struct bytes b = read_file(gb_temp("session"));
    float *before = malloc((size_t)n_vocab * 4), *after = malloc((size_t)n_vocab * 4);
    assert_true(before && after);
    memcpy(before, ggl_session_logits(s), (size_t)n_vocab * 4);
    size_t step = MV_SLOW ? 11 : 3;
    print_message("a session file of %zu bytes\n", b.n);
    for (size_t i = 0; i < b.n; i += i < 200 || i + 40 > b.n ? 1 : step) {
        rejected(s, b.data, i, before, "truncated to", i);
        uint8_t kept = b.data[i];
        b.data[i] ^= (uint8_t)(1u << i % 8);
        rejected(s, b.data, b.n, before, "bit flipped in byte", i);
        b.data[i] = (uint8_t)~kept;
        rejected(s, b.data, b.n, before, "all bits flipped in byte", i);
        b.data[i] = kept;
    }
    uint8_t *longer = malloc(b.n + 8);
    assert_non_null(longer);
    memcpy(longer, b.data, b.n);
    memset(longer + b.n, 0, 8);
    for (size_t more = 1; more <= 8; more++) rejected(s, longer, b.n + more, before, "longer by", more);
    memcpy(longer + b.n - 8, longer, 8);
    rejected(s, longer, b.n, before, "another checksum", 0);
    free(longer);
    /* Nothing of all this left a trace. */
    mv_eval_ids(s, ids + 9, 3);
    mv_same_logits(ggl_session_logits(s), ggl_session_logits(saved), n_vocab, "after damaged files");
    free(before);
    free(after);
    free(b.data);
    ggl_session_free(s);
    ggl_session_free(saved);
    ggl_model_free(m);
}

static void refuse(struct ggl_model *m, const struct ggl_session_params *p, const char *path, enum ggl_status want_status,
                   const char *words)
{
    struct ggl_session *s = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    assert_int_equal(ggl_session_new(m, p, &s, &err), GGL_OK);
    enum ggl_status status = ggl_session_load(s, path, &err);
    ggl_error_line(&err, line, sizeof(line));
    if (status != want_status || !strstr(line, words)) fail_msg("%s, expected %s", line, words);
    assert_int_equal(ggl_session_n_past(s), 0);
    ggl_session_free(s);
}

static void other_sessions(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", gb_temp("kept-session"));
    struct ggl_session *s = mv_session(model, 0, true);
    mv_eval_ids(s, ids, 20);
    save(s, path);
    ggl_session_free(s);
    struct ggl_session_params p = ggl_session_defaults();
    p.mtp = true;
    struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true, .seed = 7});
    for (int i = 0; i < 3; i++) { /* another weight, another hyper-parameter, and the same again */
        if (i == 0) v4b_tensor(b, "blk.1.attn_q_b.weight")->data[0] ^= 1;
        if (i == 1) v4b_tensor(b, "blk.1.attn_q_b.weight")->data[0] ^= 1;
        v4b_f32(b, "attention.compress_rope_freq_base", i == 1 ? 150000 : 160000);
        v4b_save(b, gb_temp("other.gguf"));
        struct ggl_model *m = mv_load_file(gb_temp("other.gguf"), 1);
        if (i < 2) {
            refuse(m, &p, path, GGL_ERR_FORMAT, "another model");
        } else {
            s = mv_session(m, 0, true);
            restore(s, path);
            check_continues(s, 60, "restored with the same model, loaded again");
            ggl_session_free(s);
        }
        ggl_model_free(m);
    }
    v4b_free(b);
    p.mtp = false;
    refuse(model, &p, path, GGL_ERR_FORMAT, "options");
    p.mtp = p.cache_rounding_off = true;
    refuse(model, &p, path, GGL_ERR_FORMAT, "options");
    p.cache_rounding_off = false;
    p.n_ctx = 19;
    refuse(model, &p, path, GGL_ERR_LIMIT, "20 tokens");
    p.n_ctx = 0;
    refuse(model, &p, gb_temp("tiny.gguf"), GGL_ERR_FORMAT, "not a session file");
    refuse(model, &p, gb_temp("missing"), GGL_ERR_NOT_FOUND, "missing");
    s = mv_session(model, 0, true);
    struct ggl_error err = {0};
    assert_int_equal(ggl_session_save(s, gb_temp("no-folder/session"), &err), GGL_ERR_CREATE);
    ggl_session_free(s);
}

/* ---- memory, dumps */

static void memory_estimate(void **state)
{
    (void)state;
#if !defined(GGL_TEST_WRAPS_ALLOC) || !FAILING_ALLOC_COUNTS_BYTES
    skip();
#endif
    for (int i = 0; i < 8; i++) {
        struct ggl_session_params p = ggl_session_defaults();
        struct ggl_memory estimate;
        struct ggl_session *s = NULL;
        p.n_ctx = i & 4 ? 4096 : 300;
        p.mtp = i & 1;
        p.cache_rounding_off = i & 2;
        assert_int_equal(ggl_memory_estimate(model, &p, &estimate, NULL), GGL_OK);
        failing_alloc_begin(0, false);
        assert_int_equal(ggl_session_new(model, &p, &s, NULL), GGL_OK);
        for (int64_t at = 0; at < p.n_ctx; at += 100) mv_eval_ids(s, ids, least(100, p.n_ctx - at));
        double used = (double)failing_alloc.peak, said = (double)(estimate.cache + estimate.activations);
        ggl_session_free(s);
        failing_alloc_end();
        print_message("context %d, mtp %d, rounding off %d: estimated %.0f, used %.0f bytes\n", p.n_ctx, p.mtp,
                      p.cache_rounding_off, said, used);
        if (used > 1.05 * said || used < 0.95 * said) fail_msg("estimated %.0f, used %.0f bytes", said, used);
        assert_true(estimate.weights == ggl_model_weight_bytes(model) && estimate.weights > 100000);
    }
}

struct dump_count {
    int64_t rows, width, next;
};

static void count_row(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    struct dump_count *c = user;
    (void)name;
    assert_int_equal(pos, c->next);
    assert_non_null(row);
    c->next = pos + 1;
    c->rows++;
    c->width = n;
}

static void dumps(void **state)
{
    static const struct {
        const char *name;
        int64_t rows, width;
    } known[] = {{"L0.attn.in", 50, 32}, {"L0.attn.q", 50, 192}, {"L0.attn.kv", 50, 96}, {"L1.attn.compressed", 12, 96},
                 {"L1.attn.index_keys", 12, 32}, {"L1.attn.selected", 50, 3}, {"L2.attn.compressed", 0, 0},
                 {"L2.attn.out", 50, 32}, {"L2.ffn.experts", 50, 2}, {"L2.ffn.gains", 50, 2}, {"L2.ffn.out", 50, 32},
                 {"L2.h", 50, 64}, {"M0.h", 49, 64}};
    static const char *const unknown[] = {"", "L3.h", "L0", "L0.attn.compressed", "L1.attn.in ", "M1.h", "l0.h",
                                          "L0.attn.in.in.in.in.in.in.in.in.in.in.in"};
    (void)state;
    struct dump_count counts[13] = {{0}};
    struct ggl_session *s = mv_session(model, 7, true), *plain = mv_session(model, 7, false);
    struct ggl_error err;
    for (int i = 0; i < 13; i++) assert_int_equal(ggl_session_dump(s, known[i].name, count_row, &counts[i], &err), GGL_OK);
    for (int i = 0; i < 8; i++) assert_int_equal(ggl_session_dump(s, unknown[i], count_row, NULL, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_session_dump(plain, "M0.h", count_row, NULL, &err), GGL_ERR_ARGUMENT);
    check_continues(s, 50, "with dumps");
    for (int i = 0; i < 13; i++) {
        if (counts[i].rows != known[i].rows || counts[i].width != known[i].width)
            fail_msg("%s: %lld rows of %lld", known[i].name, (long long)counts[i].rows, (long long)counts[i].width);
    }
    ggl_session_free(s);
    ggl_session_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_inside),
        cmocka_unit_test(cancel_from_thread),
        cmocka_unit_test(cancel_from_progress),
        cmocka_unit_test(cancel_before),
        cmocka_unit_test(clear_and_reuse),
        cmocka_unit_test(context_limit),
        cmocka_unit_test(bad_params),
        cmocka_unit_test(bad_ids),
        cmocka_unit_test(interleaved),
        cmocka_unit_test(at_once),
        cmocka_unit_test(forked_child),
        cmocka_unit_test(save_and_restore),
        cmocka_unit_test(save_after_cancel),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(other_sessions),
        cmocka_unit_test(memory_estimate),
        cmocka_unit_test(dumps),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
