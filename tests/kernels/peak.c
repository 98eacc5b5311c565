/*
 * The peak loops: every level of this machine gives the reference's results, so
 * none was thrown away by a compiler; and a measurement gives numbers that can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ggml-lite/peak.h"
#include "kernels/kernels.h"

enum { BYTES = 64 * 512 };

static void check_read(const char *name, ggl_read_bandwidth_fn *fn)
{
    uint64_t *data = aligned_alloc(64, BYTES), state = 1;
    assert_non_null(data);
    for (int i = 0; i < BYTES / 8; i++) data[i] = state = state * 6364136223846793005u + 1442695040888963407u;
    for (int64_t n = 0; n <= BYTES; n += 512) {
        uint64_t want = 0, got = fn(data, n);
        for (int64_t i = 0; i < n / 8; i++) want += data[i];
        if (got != want) fail_msg("%s: another sum over %lld bytes", name, (long long)n);
    }
    free(data);
}

static void check_int8(const char *name, ggl_int8_peak_fn *fn)
{
    static const struct {
        uint8_t a;
        int8_t b;
    } values[] = {{3, -5}, {127, -128}, {127, 127}, {1, 1}, {0, 9}};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        for (int64_t rounds = 0; rounds < 40000; rounds = rounds * 3 + 1) {
            int64_t macs = -1;
            uint32_t got = fn(values[i].a, values[i].b, rounds, &macs);
            uint32_t want = (uint32_t)((uint64_t)macs * (uint64_t)(values[i].a * values[i].b));
            if (macs < 64 * rounds || (!rounds && macs)) fail_msg("%s: %lld multiply-adds", name, (long long)macs);
            if (got != want) fail_msg("%s: %u, expected %u (%lld rounds)", name, got, want, (long long)rounds);
        }
}

static void check_bf16(const char *name, ggl_bf16_peak_fn *fn)
{
    for (int64_t rounds = 0; rounds < 1500; rounds = rounds * 3 + 1) { /* sums stay exact below 2^24 quarters */
        int64_t macs = -1;
        float got = fn(1.5f, -0.5f, rounds, &macs), want = (float)macs * -0.75f;
        if (macs < 64 * rounds || (!rounds && macs)) fail_msg("%s: %lld multiply-adds", name, (long long)macs);
        if (got != want) fail_msg("%s: %g, expected %g (%lld rounds)", name, (double)got, (double)want, (long long)rounds);
    }
}

#define check_read_bandwidth check_read
#define check_int8_peak      check_int8
#define check_int8_tile_peak check_int8
#define check_bf16_peak      check_bf16

static void same_results(void **state)
{
    (void)state;
    uint64_t isa = ggl_cpu_isa();
#define KERNEL(operation, levels, symbol) \
    if (((levels) & ~isa) == 0) check_##operation(#symbol, symbol);
#include "kernels/peak/kernels.def"
#undef KERNEL
}

static void levels_of_the_pick(void **state)
{
    (void)state;
    struct ggl_kernels k;
    ggl_kernels_pick(&k, 0);
    assert_true(ggl_kernels_levels(&k) == 0);
    ggl_kernels_pick(&k, ggl_cpu_isa());
    assert_true((ggl_kernels_levels(&k) & ~ggl_cpu_isa()) == 0);
#if GGL_ARCH_X86
    if (ggl_cpu_isa() & GGL_ISA_AVX512) assert_true(ggl_kernels_levels(&k) & GGL_ISA_AVX512);
#endif
}

/* Wide bounds: a slow emulator and a large server both fit. */
static void measured(void **state)
{
    (void)state;
    struct ggl_team *team;
    struct ggl_peak peak;
    struct ggl_error err;
    assert_int_equal(ggl_team_new(2, &team, &err), GGL_OK);
    assert_int_equal(ggl_peak_measure(team, &peak, &err), GGL_OK);
    assert_true(peak.read_bytes_per_s > 1e7 && peak.read_bytes_per_s < 1e14);
    assert_true(peak.int8_macs_per_s > 1e6 && peak.int8_macs_per_s < 1e16);
    assert_true(peak.bf16_macs_per_s > 1e6 && peak.bf16_macs_per_s < 1e16);
    assert_true((peak.isa & ~ggl_cpu_isa()) == 0);
    ggl_team_free(team);
}

static void readers_take_samples(void **state)
{
    (void)state;
    struct ggl_team *team;
    struct ggl_reader *r;
    struct ggl_error err;
    double rate;
    assert_int_equal(ggl_team_new(2, &team, &err), GGL_OK);
    assert_int_equal(ggl_reader_new(team, &r, &err), GGL_OK);
    assert_true(ggl_reader_bytes(r) >= 2 << 20 && ggl_reader_bytes(r) % (2 << 20) == 0);
    for (int i = 0; i < 3; i++) {
        rate = 0;
        assert_int_equal(ggl_reader_sample(r, &rate, &err), GGL_OK);
        assert_true(rate > 1e7 && rate < 1e14);
    }
    ggl_reader_free(r);
    ggl_reader_free(NULL);
    ggl_team_free(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_results),
        cmocka_unit_test(levels_of_the_pick),
        cmocka_unit_test(measured),
        cmocka_unit_test(readers_take_samples),
    };
    return cmocka_run_group_tests_name("kernels/peak", tests, NULL, NULL);
}
