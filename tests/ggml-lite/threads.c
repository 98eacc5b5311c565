/*
 * The team: every member runs and meets the others, callers wait their turn, and
 * neither a fork nor the host's floating-point habits reach a kernel.
 */
#include "ggml-lite/threads.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/barrier.h"
#include "src/cores.h"
#include "support/block_graph.h"

static struct ggl_team *team_of(int n)
{
    struct ggl_team *team = NULL;
    struct ggl_error err = {0};
    if (ggl_team_new(n, &team, &err)) fail_msg("%s", err.what);
    if (n) assert_int_equal(ggl_team_size(team), n);
    return team;
}

/* ---- members and barrier */

enum { MAX = 9, ROUNDS = 300 };

struct meeting {
    struct ggl_team *team;
    int visits[MAX];
    int slot[2][MAX]; /* plain memory: the barrier alone orders it */
    atomic_int wrong;
};

static void meet(void *arg, int ith, int nth)
{
    struct meeting *m = arg;
    m->visits[ith]++;
    for (int round = 0; round < ROUNDS; round++) {
        m->slot[round & 1][ith] = round;
        ggl_team_barrier(m->team);
        for (int i = 0; i < nth; i++)
            if (m->slot[round & 1][i] != round) atomic_fetch_add(&m->wrong, 1);
    }
}

static void everyone_meets_at_the_barrier(void **state)
{
    (void)state;
    for (int n = 1; n <= MAX; n += n < 3 ? 1 : 2) {
        struct meeting m = {.team = team_of(n)};
        for (int run = 1; run <= 5; run++) {
            assert_int_equal(ggl_team_run(m.team, meet, &m, NULL), GGL_OK);
            for (int i = 0; i < n; i++)
                assert_int_equal(m.visits[i], run); /* each index once */
        }
        assert_int_equal(m.wrong, 0);
        ggl_team_free(m.team);
    }
}

/* ---- long waits */

static void nap(long us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct waits {
    struct ggl_team *team;
    double cpu[MAX];
};

static void wait_for_the_last(void *arg, int ith, int nth)
{
    struct waits *w = arg;
    if (ith == nth - 1) nap(300000);
    double before = seconds(CLOCK_THREAD_CPUTIME_ID);
    ggl_team_barrier(w->team);
    w->cpu[ith] = seconds(CLOCK_THREAD_CPUTIME_ID) - before;
}

/* Less than a millisecond is meant; a tenth of the time would be wrong on any machine. */
static void a_long_wait_costs_nothing(void **state)
{
    (void)state;
    for (int n = 2; n <= MAX; n += 3) {
        struct waits w = {.team = team_of(n)};
        assert_int_equal(ggl_team_run(w.team, wait_for_the_last, &w, NULL), GGL_OK);
        for (int i = 0; i < n; i++)
            if (w.cpu[i] > 0.03) fail_msg("member %d of %d worked %.3f s while it waited", i, n, w.cpu[i]);
        double before = seconds(CLOCK_PROCESS_CPUTIME_ID);
        nap(300000); /* and between runs */
        double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
        if (cpu > 0.03) fail_msg("%d idle members worked %.3f s", n, cpu);
        ggl_team_free(w.team);
    }
}

struct fetching {
    struct ggl_team *team;
    const uint8_t *data;
    struct ggl_ahead ahead[2];
};

enum { AHEAD = 65536 };

static void fetch_and_wait(void *arg, int ith, int nth)
{
    struct fetching *f = arg;
    (void)nth;
    f->ahead[ith] = (struct ggl_ahead){f->data, f->data + AHEAD};
    if (ith) nap(100000);
    ggl_team_barrier_ahead(f->team, &f->ahead[ith]);
}

/* All of it and no more than a line beyond; the last to come has nothing to wait for. */
static void who_waits_fetches(void **state)
{
    (void)state;
    if (ggl_allowed_cpus() < 2) skip(); /* then nobody waits awake */
    static uint8_t data[AHEAD];
    struct fetching f = {.team = team_of(2), .data = data};
    assert_int_equal(ggl_team_run(f.team, fetch_and_wait, &f, NULL), GGL_OK);
    ptrdiff_t fetched = f.ahead[0].p - data;
    assert_true(fetched >= AHEAD && fetched <= AHEAD + 64);
    assert_ptr_equal(f.ahead[1].p, data);
    ggl_team_free(f.team);
}

/* Members come at all moments of the others' waiting: as they watch, yield, fall asleep and sleep. */
static void meet_late(void *arg, int ith, int nth)
{
    struct meeting *m = arg;
    uint32_t rng = (uint32_t)ith * 7919 + 1;
    for (int round = 0; round < ROUNDS; round++) {
        rng = rng * 1664525 + 1013904223;
        if (rng >> 30 == 0) nap(rng >> 8 & 1023);
        m->slot[round & 1][ith] = round;
        ggl_team_barrier(m->team);
        for (int i = 0; i < nth; i++)
            if (m->slot[round & 1][i] != round) atomic_fetch_add(&m->wrong, 1);
    }
}

struct count {
    long runs[MAX];
};

static void count_run(void *arg, int ith, int nth)
{
    (void)nth;
    ((struct count *)arg)->runs[ith]++;
}

static void nobody_sleeps_on(void **state)
{
    (void)state;
    for (int n = 2; n <= MAX; n += 3) {
        struct meeting m = {.team = team_of(n)};
        struct count c = {{0}};
        assert_int_equal(ggl_team_run(m.team, meet_late, &m, NULL), GGL_OK);
        assert_int_equal(m.wrong, 0);
        for (int i = 0; i < 200; i++) { /* runs that come at all moments of falling asleep */
            if (i % 2) nap(i * 2);
            assert_int_equal(ggl_team_run(m.team, count_run, &c, NULL), GGL_OK);
            for (int j = 0; j < n; j++) assert_int_equal(c.runs[j], i + 1);
        }
        ggl_team_free(m.team);
    }
}

static void many_short_runs(void **state)
{
    (void)state;
    struct count c = {{0}};
    struct ggl_team *team = team_of(3);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(ggl_team_run(team, count_run, &c, NULL), GGL_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(c.runs[i], 5000);
    ggl_team_free(team);
}

static void teams_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct count c = {{0}};
        struct ggl_team *team = team_of(1 + i % 4);
        if (i % 3) ggl_team_run(team, count_run, &c, NULL); /* some are never used */
        ggl_team_free(team);
    }
    ggl_team_free(NULL);
}

/* ---- two callers, one team */

struct caller {
    struct ggl_team *team;
    struct count mine;
    atomic_int *inside;
    int wrong;
};

static void run_alone(void *arg, int ith, int nth)
{
    struct caller *c = arg;
    (void)nth;
    if (ith == 0 && atomic_fetch_add(c->inside, 1) != 0) c->wrong++;
    ggl_team_barrier(c->team);
    c->mine.runs[ith]++;
    ggl_team_barrier(c->team);
    if (ith == 0) atomic_fetch_sub(c->inside, 1);
}

static void *call_often(void *arg)
{
    struct caller *c = arg;
    for (int i = 0; i < 500; i++)
        if (ggl_team_run(c->team, run_alone, c, NULL)) c->wrong++;
    return NULL;
}

static void callers_take_turns(void **state)
{
    (void)state;
    enum { CALLERS = 3 };
    atomic_int inside = 0;
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    struct ggl_team *team = team_of(2);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.team = team, .inside = &inside};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].wrong, 0);
        assert_int_equal(callers[i].mine.runs[0], 500);
        assert_int_equal(callers[i].mine.runs[1], 500);
    }
    ggl_team_free(team);
}

/* ---- sizes */

static void sizes(void **state)
{
    (void)state;
    struct ggl_error err = {0};
    struct ggl_team *team = NULL;
    assert_int_equal(ggl_team_new(-1, &team, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_team_new(1025, &team, &err), GGL_ERR_ARGUMENT);
    assert_null(team);
    assert_non_null(strstr(err.what, "1025"));
    int cores = ggl_physical_cores();
    assert_true(cores >= 1 && cores <= 1024);
    team = team_of(0);
    assert_true(ggl_team_size(team) >= 1 && ggl_team_size(team) <= cores);
    ggl_team_free(team);
}

static void quotas(void **state)
{
    (void)state;
    assert_int_equal(ggl_quota_cpus("max 100000\n"), 0);
    assert_int_equal(ggl_quota_cpus("200000 100000\n"), 2);
    assert_int_equal(ggl_quota_cpus("150000 100000\n"), 2); /* a part of a processor is one more thread */
    assert_int_equal(ggl_quota_cpus("1000 100000"), 1);
    const char *const none[] = {"",         " ",        "100000",    "100000 ",
                                "100000 0", "0 100000", "-1 100000", "99999999999999999999999 1"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(ggl_quota_cpus(none[i]), 0);
}

/* A process that may use one processor has one core, whatever the machine has. */
static void affinity_counts(void **state)
{
    (void)state;
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof(before), &before)) skip();
    size_t first = 0;
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    int cores = ggl_physical_cores();
    sched_setaffinity(0, sizeof(before), &before);
    assert_int_equal(cores, 1);
}

/* ---- places: the rules are tested in places.c, here that members go there and nobody else does */

struct seen {
    cpu_set_t cpus[MAX];
};

static void look(void *arg, int ith, int nth)
{
    struct seen *s = arg;
    (void)nth;
    sched_getaffinity(0, sizeof(s->cpus[ith]), &s->cpus[ith]);
}

static void only_members_are_pinned(void **state)
{
    (void)state;
    cpu_set_t before, after;
    if (sched_getaffinity(0, sizeof(before), &before)) skip();
    for (int pinned = 0; pinned < 2; pinned++) {
        struct seen s;
        struct ggl_team *team = NULL;
        int n = ggl_physical_cores() < MAX ? ggl_physical_cores() : MAX;
        assert_int_equal((pinned ? ggl_team_new_pinned : ggl_team_new)(n, &team, NULL), GGL_OK);
        assert_int_equal(ggl_team_run(team, look, &s, NULL), GGL_OK);
        assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
        assert_true(CPU_EQUAL(&before, &after));
        for (int i = 0; i < n; i++) {
            cpu_set_t inside;
            CPU_AND(&inside, &s.cpus[i], &before);
            assert_true(CPU_EQUAL(&inside, &s.cpus[i]) && CPU_COUNT(&inside) > 0);
            if (!pinned) assert_true(CPU_EQUAL(&before, &s.cpus[i]));
#ifdef GGL_HAVE_HWLOC
            bool full = n == CPU_COUNT(&before) && n > 1 && !getenv("OMP_PROC_BIND");
            for (int j = 0; pinned && full && j < i; j++) { /* a processor each */
                CPU_AND(&inside, &s.cpus[i], &s.cpus[j]);
                assert_int_equal(CPU_COUNT(&inside), 0);
            }
#endif
        }
        ggl_team_free(team);
    }
}

/* ---- the end of a program */

/* With a team that has just been made and that nobody frees, as tools end that find a fault in their input.  Members
 * that were not done with OpenMP's runtime crashed in it, in one of a hundred ends of a build with LLVM's. */
static void a_program_may_end_at_any_time(void **state)
{
    (void)state;
    static struct ggl_team *team;
    for (int i = 0; i < 200; i++) {
        int status;
        fflush(NULL); /* or the child writes it once more */
        pid_t child = fork();
        if (!child) exit(ggl_team_new(4, &team, NULL) == GGL_OK ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status) fail_msg("end %d: status %d", i, status);
    }
}

/* ---- fork */

static void a_forked_child_is_told(void **state)
{
    (void)state;
    struct count c = {{0}};
    struct ggl_team *team = team_of(2);
    ggl_team_run(team, count_run, &c, NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ggl_error err = {0};
        alarm(20); /* a hang is a failure */
        bool ok = ggl_team_run(team, count_run, &c, &err) == GGL_ERR_STATE && strstr(err.what, "forked");
        ggl_team_free(team);
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(ggl_team_run(team, count_run, &c, NULL), GGL_OK); /* the parent goes on */
    assert_int_equal(c.runs[0], 2);
    ggl_team_free(team);
}

/* ---- the host's floating-point environment */

enum { TOKENS = 9 };

static void run_block(struct ggl_team *team, float *out)
{
    struct block_graph *b = block_graph_new(TOKENS, team);
    assert_int_equal(block_graph_run(b, TOKENS, 0, NULL), GGL_OK);
    memcpy(out, ggl_node_data(b->out), TOKENS * BLOCK_OUT * 4);
    block_graph_free(b);
}

#if defined(__x86_64__)
enum { FTZ_AND_DAZ = 0x8040 };

static void set_flush(bool on)
{
    unsigned csr = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(on ? csr | FTZ_AND_DAZ : csr & ~(unsigned)FTZ_AND_DAZ);
}
#else
static void set_flush(bool on)
{
    (void)on;
}
#endif

struct sums {
    float tiny[MAX], third[MAX];
};

static volatile float smallest = 0x1p-126f, one = 1, three = 3;

static void subnormal_and_rounding(void *arg, int ith, int nth)
{
    struct sums *s = arg;
    (void)nth;
    s->tiny[ith] = smallest * 0.25f;
    s->third[ith] = one / three; /* 0x1.555556p-2 to nearest, ...554 downward */
}

static void check_members(struct ggl_team *team, int n)
{
    struct sums s = {{0}, {0}};
    assert_int_equal(ggl_team_run(team, subnormal_and_rounding, &s, NULL), GGL_OK);
    for (int i = 0; i < n; i++) {
        uint32_t bits; /* not compared as a float: this thread may take a subnormal for zero */
        memcpy(&bits, &s.tiny[i], 4);
        assert_int_equal(bits, 1 << 21);
        assert_true(s.third[i] == 0x1.555556p-2f);
    }
}

static void with_environment(int rounding, bool flush, const float *expected)
{
    static float out[TOKENS * BLOCK_OUT];
    fesetround(rounding);
    set_flush(flush);
    struct ggl_team *made_here = team_of(3); /* its threads are born in this environment */
    check_members(made_here, 3);
    run_block(made_here, out);
    bool still = fegetround() == rounding; /* and ours is as we left it */
#if defined(__x86_64__)
    still = still && ((__builtin_ia32_stmxcsr() & FTZ_AND_DAZ) != 0) == flush;
#endif
    set_flush(false);
    fesetround(FE_TONEAREST);
    assert_true(still);
    assert_memory_equal(out, expected, sizeof(out));
    ggl_team_free(made_here);
}

static void the_hosts_rounding_stays_outside(void **state)
{
    (void)state;
    static float expected[TOKENS * BLOCK_OUT];
    struct ggl_team *team = team_of(3);
    run_block(team, expected);
    with_environment(FE_DOWNWARD, false, expected);
    with_environment(FE_UPWARD, false, expected);
    with_environment(FE_TOWARDZERO, true, expected);
    with_environment(FE_TONEAREST, true, expected);
    fesetround(FE_DOWNWARD); /* an old team, a host that changes its mind */
    set_flush(true);
    check_members(team, 3);
    set_flush(false);
    fesetround(FE_TONEAREST);
    ggl_team_free(team);
}

/* ---- OpenMP's own limits */

static const char *self;

/* The library is started anew under a limit that leaves one thread; it must say so and not wait for the
 * others. */
static void limits_of_the_environment(void **state)
{
    (void)state;
    static const char *const limits[][2] = {
        {"OMP_MAX_ACTIVE_LEVELS", "0"}, {"OMP_THREAD_LIMIT", "1"}, {"OMP_DYNAMIC", "true"}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setenv(limits[i][0], limits[i][1], 1);
            execl(self, self, "--limited", (char *)NULL);
            _exit(errno == ENOEXEC ? 77 : 3);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) skip(); /* an emulated processor: the system cannot start us */
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            fail_msg("%s=%s: status %d", limits[i][0], limits[i][1], status);
    }
}

static int limited(void)
{
    alarm(60);
    struct meeting m = {.team = NULL};
    if (ggl_team_new(4, &m.team, NULL)) return 1;
    int n = ggl_team_size(m.team);
    if (n < 1 || n > 4 || ggl_team_run(m.team, meet, &m, NULL) || m.wrong) return 2;
    for (int i = 0; i < n; i++)
        if (m.visits[i] != 1) return 2;
    ggl_team_free(m.team);
    return 0;
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "--limited") == 0) return limited();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_may_end_at_any_time), /* before this one has a team */
        cmocka_unit_test(everyone_meets_at_the_barrier),
        cmocka_unit_test(a_long_wait_costs_nothing),
        cmocka_unit_test(who_waits_fetches),
        cmocka_unit_test(nobody_sleeps_on),
        cmocka_unit_test(many_short_runs),
        cmocka_unit_test(teams_come_and_go),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(sizes),
        cmocka_unit_test(quotas),
        cmocka_unit_test(affinity_counts),
        cmocka_unit_test(only_members_are_pinned),
        cmocka_unit_test(a_forked_child_is_told),
        cmocka_unit_test(the_hosts_rounding_stays_outside),
        cmocka_unit_test(limits_of_the_environment),
    };
    return cmocka_run_group_tests_name("ggml-lite/threads", tests, NULL, NULL);
}
