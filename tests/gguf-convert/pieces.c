/* Work in pieces: each once, in order, none overwritten before it was handed on; the first error ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ggml-lite/threads.h"
#include "gguf-convert/convert.h"

enum { SLOTS = 4, PIECES = 5000 };

struct job {
    _Atomic int64_t slot[SLOTS]; /* the piece that is there, -1: none */
    int64_t next, fails_at;
    atomic_int n_made, n_handing;
    bool overwritten, out_of_order, together;
};

/* Some take a hundred times as long as others. */
static void make(void *user, int64_t piece, int ith)
{
    struct job *j = user;
    (void)ith;
    for (volatile int i = 0; i < (piece * 7919 % 13 ? 200 : 20000); i++) {}
    if (atomic_exchange(&j->slot[piece % SLOTS], piece) != -1) j->overwritten = true;
    atomic_fetch_add(&j->n_made, 1);
}

static enum ggl_status hand_on(void *user, int64_t piece, struct ggl_error *err)
{
    struct job *j = user;
    if (atomic_fetch_add(&j->n_handing, 1)) j->together = true;
    if (piece != j->next++) j->out_of_order = true;
    if (atomic_exchange(&j->slot[piece % SLOTS], -1) != piece) j->overwritten = true;
    atomic_fetch_sub(&j->n_handing, 1);
    return piece == j->fails_at ? ggl_fail(err, GGL_ERR_IO, NULL, GGL_NO_OFFSET, NULL, NULL, "piece") : GGL_OK;
}

static enum ggl_status run(int threads, int64_t n, int64_t fails_at, struct job *j, struct ggl_error *err)
{
    struct ggl_team *team;
    memset(j, 0, sizeof(*j));
    for (int i = 0; i < SLOTS; i++) j->slot[i] = -1;
    j->fails_at = fails_at;
    assert_int_equal(ggl_team_new(threads, &team, err), GGL_OK);
    const struct pieces p = {.n = n, .n_slots = SLOTS, .make = make, .hand_on = hand_on, .user = j};
    enum ggl_status s = pieces_run(team, &p, err);
    ggl_team_free(team);
    assert_false(j->overwritten);
    assert_false(j->out_of_order);
    assert_false(j->together);
    return s;
}

static void all_in_order(void **state)
{
    (void)state;
    struct job j;
    struct ggl_error err;
    for (int threads = 1; threads <= 7; threads++) { /* more than slots, too */
        assert_int_equal(run(threads, PIECES, -1, &j, &err), GGL_OK);
        assert_int_equal(j.next, PIECES);
        assert_int_equal(j.n_made, PIECES);
    }
    assert_int_equal(run(3, 0, -1, &j, &err), GGL_OK);
    assert_int_equal(j.n_made, 0);
    assert_int_equal(run(3, 1, -1, &j, &err), GGL_OK);
    assert_int_equal(j.next, 1);
}

static void errors_end_it(void **state)
{
    (void)state;
    struct job j;
    struct ggl_error err;
    for (int threads = 1; threads <= 7; threads++)
        for (int64_t at = 0; at < 40; at += 13) {
            assert_int_equal(run(threads, PIECES, at, &j, &err), GGL_ERR_IO);
            assert_int_equal(j.next, at + 1); /* none behind it */
            assert_true(j.n_made <= at + SLOTS + 1);
            assert_string_equal(err.what, "piece");
        }
    assert_int_equal(run(2, PIECES, PIECES - 1, &j, &err), GGL_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_in_order),
        cmocka_unit_test(errors_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
