#include "support/checkkernel.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 16, SLOT_BYTES = 1 << 20, FENCE = 256, POISON = 0xff }; /* four bytes of 0xff are a NaN */

struct slot {
    uint8_t *memory; /* SLOT_BYTES between two unmapped pages */
    uint8_t *begin, *end;
};

static struct {
    struct slot slots[SLOTS];
    int n_slots; /* in use by this case */
    uint64_t seed, rng;
    int64_t n;
    int gap; /* bytes between a buffer and the unmapped page; -1: it begins after one */
    char message[256];
    sigjmp_buf out;
} ck;

static uint64_t extra_seed;
static bool quick;

/* ---- buffers */

static void map_slot(struct slot *s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mmap(NULL, SLOT_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, SLOT_BYTES, PROT_READ | PROT_WRITE)) abort();
    s->memory = p + page;
}

static void *place(uint64_t n, bool front, uint64_t gap)
{
    if (ck.n_slots == SLOTS || n + gap + FENCE > SLOT_BYTES)
        ck_fail("the harness has no room for %d buffers, %llu bytes", ck.n_slots, (unsigned long long)n);
    struct slot *s = &ck.slots[ck.n_slots++];
    if (!s->memory) map_slot(s);
    s->begin = front ? s->memory + gap : s->memory + SLOT_BYTES - gap - n;
    s->end = s->begin + n;
    uint8_t *from = s->begin - s->memory > FENCE ? s->begin - FENCE : s->memory;
    uint8_t *to = s->memory + SLOT_BYTES - s->end > FENCE ? s->end + FENCE : s->memory + SLOT_BYTES;
    memset(from, POISON, (size_t)(to - from));
    return s->begin;
}

static void check_fences(void)
{
    for (int i = 0; i < ck.n_slots; i++) {
        const struct slot *s = &ck.slots[i];
        for (const uint8_t *p = s->begin; p > s->memory && s->begin - p < FENCE;)
            if (*--p != POISON) ck_fail("wrote %td bytes before buffer %d", s->begin - p, i);
        for (const uint8_t *p = s->end; p < s->memory + SLOT_BYTES && p - s->end < FENCE; p++)
            if (*p != POISON) ck_fail("wrote %td bytes after the end of buffer %d", p - s->end, i);
    }
}

void *ck_bytes(uint64_t n, uint64_t gap)
{
    return place(n, ck.gap < 0, gap);
}

float *ck_f32(int64_t n)
{
    return place((uint64_t)n * 4, ck.gap < 0, ck.gap < 0 ? 0 : (uint64_t)ck.gap);
}

float *ck_random(int64_t n)
{
    float *x = ck_f32(n);
    for (int64_t i = 0; i < n; i++) {
        uint32_t kind = ck_next(16);
        double v = 2 * ck_uniform();
        x[i] = (float)(kind == 0 ? 0 : kind == 1 ? v * 0x1p-12 : v);
    }
    return x;
}

float *ck_copy(const float *x, int64_t n)
{
    float *y = ck_f32(n);
    memcpy(y, x, (size_t)n * 4);
    return y;
}

/* ---- random numbers: splitmix64 */

static uint64_t next64(void)
{
    uint64_t z = ck.rng += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t ck_next(uint32_t below)
{
    return (uint32_t)((next64() >> 32) * below >> 32);
}

double ck_uniform(void)
{
    return (double)(int64_t)next64() * 0x1p-63;
}

const struct ggl_kernels *ck_kernels(void)
{
    static struct ggl_kernels best, plain;
    if (!plain.dot_f32) {
        ggl_kernels_pick(&best, ggl_cpu_isa());
        ggl_kernels_pick(&plain, 0);
    }
    return ck.seed & 1 ? &best : &plain;
}

/* ---- verdicts */

void ck_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ck.message, sizeof(ck.message), format, args);
    va_end(args);
    siglongjmp(ck.out, 1);
}

void ck_close(const char *what, int64_t i, float y, double want, double bound)
{
    bound += 0x1p-149; /* results below the normal range are rounded to its steps */
    if (!(fabs((double)y - want) <= bound))
        ck_fail("%s[%lld] is %.9g, expected %.9g +- %.3g", what, (long long)i, (double)y, want, bound);
}

void ck_same(const char *what, int64_t i, float y, float want)
{
    if (memcmp(&y, &want, 4) && (y == y || want == want))
        ck_fail("%s[%lld] is %.9g (%a), the reference has %.9g (%a)", what, (long long)i, (double)y,
                (double)y, (double)want, (double)want);
}

static void on_fault(int number)
{
    (void)number;
    snprintf(ck.message, sizeof(ck.message), "touched memory outside its buffers");
    siglongjmp(ck.out, 1);
}

static bool one_case(ck_check *check, ck_kernel *kernel)
{
    ck.n_slots = 0;
    ck.rng = ((ck.seed << 20) + (uint64_t)ck.n) * 128 + (uint64_t)(ck.gap + 4);
    if (sigsetjmp(ck.out, 1)) return false;
    check(kernel, ck.n);
    check_fences();
    return true;
}

/* False: failed, and ck.message and the case say how. */
static bool all_cases(ck_check *check, ck_kernel *kernel, bool few)
{
    struct sigaction fault = {.sa_handler = on_fault}, old_segv, old_bus;
    sigaction(SIGSEGV, &fault, &old_segv);
    sigaction(SIGBUS, &fault, &old_bus);
    const uint64_t seeds[] = {1, 2, 3, extra_seed};
    bool ok = true;
    for (int s = 0; ok && s < (few ? 1 : 4) && seeds[s]; s++) {
        ck.seed = seeds[s];
        for (int i = 1; ok && i <= 133; i++) {
            ck.n = i <= 130 ? i : 4095 + i - 131;
            /* Every place for the short ones, the two that fault for the long ones. */
            for (int gap = -4; ok && gap <= (i <= 130 ? 60 : 0); gap += few && gap >= 0 ? 20 : 4) {
                ck.gap = gap;
                ok = one_case(check, kernel);
            }
        }
    }
    sigaction(SIGSEGV, &old_segv, NULL);
    sigaction(SIGBUS, &old_bus, NULL);
    return ok;
}

void ck_run(const char *symbol, uint64_t isa, ck_check *check, ck_kernel *kernel)
{
    if (isa & ~ggl_cpu_isa()) {
        print_message("            %s: not on this machine\n", symbol);
        return;
    }
    if (!all_cases(check, kernel, quick))
        fail_msg("%s: n %lld, %d bytes from the page, seed %llu: %s", symbol, (long long)ck.n, ck.gap,
                 (unsigned long long)ck.seed, ck.message);
    print_message("            %s: %s\n", symbol, quick ? "seed 1, five places" : "seeds 1, 2, 3");
}

void ck_must_fail(const char *what, ck_check *check, ck_kernel *kernel)
{
    if (all_cases(check, kernel, false)) fail_msg("%s: the broken kernel was not caught", what);
}

/* ---- main and benchmarks */

int ck_main(int argc, char **argv, int (*tests)(void), void (*bench)(void))
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0) {
            ck.seed = 1;
            if (bench) bench();
            return 0;
        }
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) extra_seed = strtoull(argv[++i], NULL, 10);
    }
    quick = getenv("GGL_TEST_QUICK") != NULL;
    return tests();
}

static struct {
    const char *symbol;
    double ns;
} results[8];
static int n_results;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double time_call(ck_check *body, ck_kernel *kernel, int64_t n)
{
    long calls = 1;
    double best = 1e30;
    for (int round = 0; round < 60;) { /* the best of many short rounds: others may use the machine */
        double t = seconds();
        for (long i = 0; i < calls; i++)
            body(kernel, n);
        t = seconds() - t;
        if (t < 2e-4) {
            calls *= 2;
            continue;
        }
        if (t / (double)calls < best) best = t / (double)calls;
        round++;
    }
    return best * 1e9;
}

void ck_bench(const char *symbol, uint64_t isa, ck_check *body, ck_kernel *kernel, int64_t n, double bytes)
{
    if ((isa & ~ggl_cpu_isa()) || n_results == 8) return;
    results[n_results].symbol = symbol;
    results[n_results++].ns = time_call(body, kernel, n);
    if (isa) return;
    double reference = results[n_results - 1].ns;
    for (int i = 0; i < n_results; i++)
        printf("%-32s n %6lld %11.1f ns %7.2f GB/s %6.2f x\n", results[i].symbol, (long long)n, results[i].ns,
               bytes / results[i].ns, reference / results[i].ns);
    n_results = 0;
}
