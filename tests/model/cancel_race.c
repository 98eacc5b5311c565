/*
 * Cancelling at any moment, with more threads than processors: no thread is left
 * waiting at a barrier, and what was not cancelled has the right logits.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "model/model.h"

enum { RUNS = 600, SECONDS = 300 };

static atomic_bool quit;

static void *cancel_often(void *session)
{
    for (uint32_t r = 1; !atomic_load(&quit);) {
        r = r * 1664525u + 1013904223u;
        nanosleep(&(struct timespec){.tv_nsec = (r >> 16) * 64}, NULL); /* up to 4 ms */
        ggl_session_cancel(session);
    }
    return NULL;
}

static void never_hangs(void **state)
{
    (void)state;
    struct ggl_model_params mp = ggl_model_defaults();
    struct ggl_session_params sp = ggl_session_defaults();
    struct ggl_model *m;
    struct ggl_session *s;
    struct ggl_error err;
    pthread_t thread;
    const int32_t ids[2] = {1, 2};
    mp.n_threads = 4;
    sp.n_ctx = 64;
    alarm(SECONDS); /* a run that hangs ends the test */
    assert_int_equal(ggl_model_load(GGL_TEST_VECTORS "/gguf/micro-Q4_K_M-split-00001-of-00004.gguf", &mp, &m, &err), GGL_OK);
    assert_int_equal(ggl_session_new(m, &sp, &s, &err), GGL_OK);
    assert_int_equal(ggl_session_eval(s, ids, 2, &err), GGL_OK);
    size_t bytes = (size_t)ggl_model_n_vocab(m) * sizeof(float);
    float *logits = malloc(bytes);
    assert_non_null(logits);
    memcpy(logits, ggl_session_logits(s), bytes);

    assert_int_equal(pthread_create(&thread, NULL, cancel_often, s), 0);
    for (int i = 0; i < RUNS; i++) {
        ggl_session_clear(s);
        enum ggl_status status = ggl_session_eval(s, ids, 2, &err);
        if (status) assert_int_equal(status, GGL_ERR_CANCELLED);
        else assert_memory_equal(logits, ggl_session_logits(s), bytes);
    }
    atomic_store(&quit, true);
    pthread_join(thread, NULL);
    alarm(0);
    free(logits);
    ggl_session_free(s);
    ggl_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(never_hangs)};
    return cmocka_run_group_tests_name("model/cancel_race", tests, NULL, NULL);
}
