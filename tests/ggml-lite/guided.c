/* Guided shares: every item once, whatever the threads, domains and their speed; a domain's own threads first. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>

#include "src/graph_impl.h"

enum { MOST = 3000, MEMBERS = 8 };

struct job {
    struct ggl_domains domains;
    struct ggl_given given[MEMBERS];
    int64_t n, least;
    bool slow_first; /* the first member dawdles */
    bool parts;      /* a member has to have begun before others help it */
    bool ready[MEMBERS];
    atomic_int times[MOST], broken;
};

static struct ggl_run run_of(struct job *j, int ith, int nth)
{
    return (struct ggl_run){.ith = ith, .nth = nth, .domains = &j->domains, .given = j->given};
}

static void check_piece(struct job *j, int nth, int64_t begin, int64_t end)
{
    for (int i = 0; i < nth && j->parts; i++) {
        int64_t from, to;
        ggl_share(j->n, i, nth, &from, &to);
        if (begin < to && from < end && !j->ready[i]) j->broken++;
    }
    if (begin < 0 || begin >= end || end > j->n) j->broken++;
    else
        for (int64_t i = begin; i < end; i++) j->times[i]++;
}

static void member(void *arg, int ith, int nth)
{
    struct job *j = arg;
    struct ggl_run run = run_of(j, ith, nth);
    run.number = 1;
    for (volatile int i = 0; j->slow_first && !ith && i < 20000;) i++;
    j->ready[ith] = true;
    struct ggl_guided guided = (j->parts ? ggl_guided_begin_parts : ggl_guided_begin)(&run, j->n, j->least);
    for (int64_t begin, end; ggl_guided_next(&guided, &begin, &end);) {
        check_piece(j, nth, begin, end);
        for (volatile int i = 0; j->slow_first && !ith && i < 20000;) i++;
    }
    int64_t begin, end;
    if (!j->parts && ggl_guided_next(&guided, &begin, &end)) j->broken++;
}

static void every_item_once(void **state)
{
    (void)state;
    static const int node[][MEMBERS] = {{0}, {0, 0, 0, 0, 1, 1, 1, 1}, {0, 1, 1, 2, 2, 2, 2, 3}, {0, 1, 2, 3, 4, 5, 6, 7}};
    static const int64_t lengths[] = {0, 1, 2, 7, 8, 64, 1000, MOST};
    static struct job job;
    for (int nth = 1; nth <= MEMBERS; nth++) {
        struct ggl_team *team;
        assert_int_equal(ggl_team_new(nth, &team, NULL), GGL_OK);
        for (size_t i = 0; i < 2 * 4 * 8 * 4; i++) {
            memset(&job, 0, sizeof(job));
            job.domains = ggl_domains_find(nth, i % 4 ? node[i % 4] : NULL);
            job.n = lengths[i / 4 % 8];
            job.least = 1 + (int64_t)(i / 32 % 4) * 5;
            job.slow_first = i / 32 & 1;
            job.parts = i >= 4 * 8 * 4;
            assert_int_equal(ggl_team_run(team, member, &job, NULL), GGL_OK);
            assert_int_equal(job.broken, 0);
            for (int64_t k = 0; k < MOST; k++) assert_int_equal(job.times[k], k < job.n);
        }
        ggl_team_free(team);
    }
}

static void expect_piece(struct ggl_guided *g, int64_t *begin, int64_t *end)
{
    assert_true(ggl_guided_next(g, begin, end));
    assert_true(*begin < *end);
}

/* Two nodes of two and three threads: a thread's own share from its beginning, without a gap, then what others have left from
 * its end, those of its node first. */
static void own_share_then_own_domain(void **state)
{
    (void)state;
    static const int node[] = {0, 0, 1, 1, 1};
    static const int64_t share_of_others[] = {80, 40, 0, 20}; /* of threads 4, 2, 0, 1 */
    static struct job j;
    j = (struct job){.domains = ggl_domains_find(5, node), .n = 100, .least = 1};
    assert_int_equal(j.domains.n, 2);
    assert_int_equal(j.domains.first[1], 2);
    assert_int_equal(j.domains.first[2], 5);
    struct ggl_run run = run_of(&j, 3, 5);
    struct ggl_guided guided = ggl_guided_begin(&run, j.n, j.least);
    int64_t begin, end, at = 60, before = 20;
    for (; at < 80; at = end) {
        expect_piece(&guided, &begin, &end);
        assert_int_equal(begin, at);
        assert_true(end - begin <= before); /* pieces become smaller */
        before = end - begin;
    }
    assert_int_equal(before, 1);
    for (int i = 0; i < 4; i++) {
        for (at = share_of_others[i] + 20; at > share_of_others[i]; at = begin) {
            expect_piece(&guided, &begin, &end);
            assert_int_equal(end, at);
        }
        assert_int_equal(at, share_of_others[i]);
    }
    assert_false(ggl_guided_next(&guided, &begin, &end));
}

/* What a thread has written of its parts others may read once it has begun, and not before. */
static void parts_wait_for_their_owner(void **state)
{
    (void)state;
    static struct job j;
    j = (struct job){.domains = ggl_domains_find(2, NULL), .n = 100, .least = 50};
    struct ggl_run first = run_of(&j, 0, 2), second = run_of(&j, 1, 2);
    first.number = second.number = 1;
    struct ggl_guided own = ggl_guided_begin_parts(&second, j.n, j.least), other = ggl_guided_begin_parts(&first, j.n, 10);
    int64_t begin, end;
    expect_piece(&own, &begin, &end);
    assert_int_equal(begin, 50);
    assert_int_equal(end, 100);
    assert_false(ggl_guided_next(&own, &begin, &end));
    expect_piece(&other, &begin, &end);
    assert_int_equal(begin, 0);
    struct ggl_guided again = ggl_guided_begin_parts(&second, j.n, j.least);
    expect_piece(&again, &begin, &end);
    assert_int_equal(end, 50);
}

/* What was taken in another run counts as nothing. */
static void every_run_begins_anew(void **state)
{
    (void)state;
    static struct job j;
    j = (struct job){.domains = ggl_domains_find(1, NULL), .n = 10, .least = 10};
    for (uint16_t number = 0; number < 3; number++) {
        struct ggl_run run = run_of(&j, 0, 1);
        run.number = number;
        struct ggl_guided guided = ggl_guided_begin(&run, j.n, j.least);
        int64_t begin, end;
        expect_piece(&guided, &begin, &end);
        assert_int_equal(end - begin, 10);
        assert_false(ggl_guided_next(&guided, &begin, &end));
    }
}

/* A thread that gets twice the work done in a time gets twice the work: no share is fixed beforehand. */
static void the_fast_take_more(void **state)
{
    (void)state;
    static struct job j;
    j = (struct job){.domains = ggl_domains_find(2, NULL), .n = 1000, .least = 1};
    struct ggl_run fast = run_of(&j, 0, 2), slow = run_of(&j, 1, 2);
    struct ggl_guided f = ggl_guided_begin(&fast, j.n, j.least), s = ggl_guided_begin(&slow, j.n, j.least);
    double now[2] = {0, 0}; /* when each is free again */
    for (int64_t begin, end;;) {
        int who = now[0] <= now[1] ? 0 : 1;
        if (!ggl_guided_next(who ? &s : &f, &begin, &end)) break;
        now[who] += (double)(end - begin) * (who ? 2 : 1);
    }
    assert_true(now[0] - now[1] < 15 && now[1] - now[0] < 15); /* of 667; equal shares would end at 500 and 1000 */
}

static void many_nodes_are_one(void **state)
{
    (void)state;
    int node[GGL_MAX_SLICES + 1];
    for (int i = 0; i <= GGL_MAX_SLICES; i++) node[i] = i;
    assert_int_equal(ggl_domains_find(GGL_MAX_SLICES, node).n, GGL_MAX_SLICES);
    struct ggl_domains d = ggl_domains_find(GGL_MAX_SLICES + 1, node);
    assert_int_equal(d.n, 1);
    assert_int_equal(d.first[1], GGL_MAX_SLICES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once),
        cmocka_unit_test(own_share_then_own_domain),
        cmocka_unit_test(parts_wait_for_their_owner),
        cmocka_unit_test(every_run_begins_anew),
        cmocka_unit_test(the_fast_take_more),
        cmocka_unit_test(many_nodes_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
