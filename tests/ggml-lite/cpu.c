/* Levels of the processor: what is found, what builds on what, and how tests take levels away. */
#include "ggml-lite/cpu.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t all_levels[] = {GGL_ISA_AVX2,       GGL_ISA_AVX512,     GGL_ISA_AVX512VNNI,
                                      GGL_ISA_AVX512BF16, GGL_ISA_AVX512VBMI, GGL_ISA_AVX512FP16, GGL_ISA_AVXVNNI,
                                      GGL_ISA_INTEL,      GGL_ISA_AMX,
                                      GGL_ISA_NEON,       GGL_ISA_DOTPROD,    GGL_ISA_I8MM};
enum { N = sizeof(all_levels) / sizeof(all_levels[0]) };
static const uint64_t avx512s =
    GGL_ISA_AVX512 | GGL_ISA_AVX512VNNI | GGL_ISA_AVX512BF16 | GGL_ISA_AVX512VBMI | GGL_ISA_AVX512FP16 | GGL_ISA_AMX;
static const uint64_t x86 =
    GGL_ISA_AVX2 | GGL_ISA_AVXVNNI | GGL_ISA_AVX512 |
    GGL_ISA_AVX512VNNI | GGL_ISA_AVX512BF16 | GGL_ISA_AVX512VBMI | GGL_ISA_AVX512FP16 | GGL_ISA_INTEL | GGL_ISA_AMX;
static const uint64_t arm = GGL_ISA_NEON | GGL_ISA_DOTPROD | GGL_ISA_I8MM;

static void names(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        assert_non_null(ggl_isa_name(all_levels[i]));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ggl_isa_name(all_levels[i]), ggl_isa_name(all_levels[j]));
    }
    assert_string_equal(ggl_isa_name(0), "c");
    assert_string_equal(ggl_isa_name(GGL_ISA_AVX512VNNI), "avx512vnni");
    assert_null(ggl_isa_name(GGL_ISA_AVX2 | GGL_ISA_AVX512));
    assert_null(ggl_isa_name(UINT64_C(1) << 63));
}

static void without(void **state)
{
    (void)state;
    const uint64_t all = x86 | arm;
    assert_true(ggl_cpu_without(all, NULL) == all);
    assert_true(ggl_cpu_without(all, "") == all);
    assert_true(ggl_cpu_without(all, "avx512vnni") == (all & ~(GGL_ISA_AVX512VNNI | GGL_ISA_AMX)));
    assert_true(ggl_cpu_without(all, "avx512") == (all & ~avx512s));
    assert_true(ggl_cpu_without(all, "avx2") == arm); /* AVX-512 kernels use AVX2 */
    assert_true(ggl_cpu_without(all, "avxvnni") == (all & ~GGL_ISA_AVXVNNI));
    assert_true(ggl_cpu_without(all, "intel") == (all & ~GGL_ISA_INTEL));
    assert_true(ggl_cpu_without(GGL_ISA_INTEL, NULL) == 0); /* its kernels use AVX2 */
    assert_true(ggl_cpu_without(all, "neon") == x86);
    assert_true(ggl_cpu_without(all, "dotprod,avx512bf16") ==
                (all & ~(GGL_ISA_DOTPROD | GGL_ISA_AVX512BF16 | GGL_ISA_AMX)));
    assert_true(ggl_cpu_without(all, "amx") == (all & ~GGL_ISA_AMX));
    assert_true(ggl_cpu_without(all, ",,avx2,,neon,") == 0);
    assert_true(ggl_cpu_without(all, "avx5120,AVX2, avx2,avx") == all); /* no such names */
    assert_true(ggl_cpu_without(GGL_ISA_AVX512VNNI | GGL_ISA_AVX2, NULL) == GGL_ISA_AVX2);
}

static void what_is_found_is_founded(void **state)
{
    (void)state;
    uint64_t isa = ggl_cpu_isa();
    assert_true(ggl_cpu_without(isa, NULL) == isa);
    assert_true(!(isa & x86) || !(isa & arm));
    for (int i = 0; i < N; i++)
        if (isa & all_levels[i]) print_message("            %s\n", ggl_isa_name(all_levels[i]));
    assert_true(ggl_cpu_isa() == isa);
}

static char line[16384];

/* The first line of /proc/cpuinfo that begins with `word`, spaces around its words. */
static bool system_says(const char *word)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    bool found = false;
    while (f && !found && fgets(line, sizeof(line) - 1, f)) found = strncmp(line, word, strlen(word)) == 0;
    if (f) fclose(f);
    line[strcspn(line, "\n")] = ' ';
    return found;
}

/* Linux lists what it lets programs use: its word against ours, unless a test took something away. */
static void as_the_system_says(void **state)
{
    (void)state;
    static const struct {
        const char *flags[6];
        uint64_t level;
    } rules[] = {
        {{" avx2 ", " fma ", " f16c "}, GGL_ISA_AVX2},
        {{" avx2 ", " fma ", " f16c ", " avx512f ", " avx512bw ", " avx512vl "}, GGL_ISA_AVX512},
        {{" avx512f ", " avx512_vnni "}, GGL_ISA_AVX512VNNI},
        {{" avx512f ", " avx512_bf16 "}, GGL_ISA_AVX512BF16},
        {{" avx512f ", " avx512vbmi "}, GGL_ISA_AVX512VBMI},
        {{" avx512f ", " avx512_fp16 "}, GGL_ISA_AVX512FP16},
        {{" avx2 ", " avx_vnni "}, GGL_ISA_AVXVNNI},
        {{" asimd "}, GGL_ISA_NEON},
        {{" asimd ", " asimddp "}, GGL_ISA_DOTPROD},
        {{" asimd ", " i8mm "}, GGL_ISA_I8MM},
    };
#if defined(__aarch64__)
    const char *const word = "Features"; /* not in the list of the machine that emulates this one */
#else
    const char *const word = "flags";
#endif
    if (getenv("GGL_CPU_DISABLE") || !system_says(word)) skip();
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        bool all = true;
        for (int j = 0; j < 6 && rules[i].flags[j]; j++)
            all = all && strstr(line, rules[i].flags[j]);
        if (all != !!(ggl_cpu_isa() & rules[i].level))
            fail_msg("%s: the system %s", ggl_isa_name(rules[i].level), all ? "has it" : "does not have it");
    }
}

static void the_maker(void **state)
{
    (void)state;
    if (getenv("GGL_CPU_DISABLE") || !(ggl_cpu_isa() & GGL_ISA_AVX2) || !system_says("vendor_id")) skip();
    assert_int_equal(strstr(line, " GenuineIntel ") != NULL, (ggl_cpu_isa() & GGL_ISA_INTEL) != 0);
}

/* Detection happens once a process, so each case is a child that has not asked yet. */
static void disabled(const char *list, uint64_t forbidden)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("GGL_CPU_DISABLE", list, 1);
        uint64_t isa = ggl_cpu_isa();
        setenv("GGL_CPU_DISABLE", "", 1); /* too late to have a say */
        _exit((isa & forbidden) == 0 && ggl_cpu_isa() == isa ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void environment(void **state) /* the first test: this process has not asked either */
{
    (void)state;
    disabled("avx512", avx512s);
    disabled("avx2", x86);
    disabled("avx2,avx512", x86);
    disabled("neon", arm);
    disabled("avx2,neon", x86 | arm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment),
        cmocka_unit_test(names),
        cmocka_unit_test(without),
        cmocka_unit_test(what_is_found_is_founded),
        cmocka_unit_test(as_the_system_says),
        cmocka_unit_test(the_maker),
    };
    return cmocka_run_group_tests_name("ggml-lite/cpu", tests, NULL, NULL);
}
