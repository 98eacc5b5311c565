/*
 * Detection of processor features, and nothing else does any: cpuid and xgetbv on x86-64; on arm64, where NEON is
 * part of the architecture, the auxiliary vector of Linux or Apple's sysctl.
 */
#include "ggml-lite/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

static const struct {
    uint64_t level, needs; /* needs: the levels it builds on */
    const char *name;
} levels[] = {
    {GGL_ISA_AVX2, 0, "avx2"},
    {GGL_ISA_AVX512, GGL_ISA_AVX2, "avx512"},
    {GGL_ISA_AVX512VNNI, GGL_ISA_AVX512, "avx512vnni"},
    {GGL_ISA_AVX512BF16, GGL_ISA_AVX512, "avx512bf16"},
    {GGL_ISA_AVX512VBMI, GGL_ISA_AVX512, "avx512vbmi"},
    {GGL_ISA_AVX512FP16, GGL_ISA_AVX512, "avx512fp16"},
    {GGL_ISA_AVXVNNI, GGL_ISA_AVX2, "avxvnni"},
    {GGL_ISA_INTEL, GGL_ISA_AVX2, "intel"},
    {GGL_ISA_AMX, GGL_ISA_AVX512VNNI | GGL_ISA_AVX512BF16 | GGL_ISA_AVX512VBMI, "amx"},
    {GGL_ISA_NEON, 0, "neon"},
    {GGL_ISA_DOTPROD, GGL_ISA_NEON, "dotprod"},
    {GGL_ISA_I8MM, GGL_ISA_NEON, "i8mm"},
};
enum { N_LEVELS = sizeof(levels) / sizeof(levels[0]) };

#if defined(__x86_64__)

struct cpuid_regs {
    unsigned a, b, c, d;
};

static struct cpuid_regs cpuid(unsigned leaf, unsigned sub)
{
    struct cpuid_regs r = {0};
    __get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d); /* zeros when the leaf does not exist */
    return r;
}

/* Which register files the system saves; only valid when cpuid says that xgetbv exists. */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool all(uint64_t bits, uint64_t wanted)
{
    return (bits & wanted) == wanted;
}

#define BIT(n) (UINT64_C(1) << (n))

/* "GenuineIntel", four letters each in ebx, edx and ecx of leaf 0. */
static bool is_intel(void)
{
    struct cpuid_regs zero = cpuid(0, 0);
    return zero.b == 0x756e6547 && zero.d == 0x49656e69 && zero.c == 0x6c65746e;
}

/* Linux gives the tiles' registers, 8 KiB a thread, to processes that ask for them; and refuses where a signal's stack
 * would be too small to save them. */
static bool may_use_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

static uint64_t detect(void)
{
    const uint64_t ymm = BIT(1) | BIT(2), zmm = ymm | BIT(5) | BIT(6) | BIT(7), tiles = BIT(17) | BIT(18);
    struct cpuid_regs one = cpuid(1, 0), seven = cpuid(7, 0), seven1 = {0};
    if (seven.a >= 1) seven1 = cpuid(7, 1);
    if (!all(one.c, BIT(26) | BIT(27) | BIT(28))) return 0; /* xsave, xgetbv enabled by the system, AVX */
    uint64_t state = saved_state(), isa = 0;
    if (all(state, ymm) && all(one.c, BIT(12) | BIT(29)) && all(seven.b, BIT(5))) isa |= GGL_ISA_AVX2;
    if (all(state, zmm) && all(seven.b, BIT(16) | BIT(17) | BIT(30) | BIT(31))) isa |= GGL_ISA_AVX512;
    if (all(seven.c, BIT(11))) isa |= GGL_ISA_AVX512VNNI;
    if (all(seven1.a, BIT(5))) isa |= GGL_ISA_AVX512BF16;
    if (all(seven.c, BIT(1) | BIT(8))) isa |= GGL_ISA_AVX512VBMI; /* with GFNI, which only Cannon Lake lacks */
    if (all(seven.d, BIT(23))) isa |= GGL_ISA_AVX512FP16;
    if (all(state, tiles) && all(seven.d, BIT(22) | BIT(24) | BIT(25)) && may_use_tiles()) isa |= GGL_ISA_AMX;
    if (all(seven1.a, BIT(4))) isa |= GGL_ISA_AVXVNNI;
    if (is_intel()) isa |= GGL_ISA_INTEL;
    return isa;
}

#elif defined(__aarch64__) && defined(__linux__)

/* Bits of the kernel's interface; old C libraries do not name all of them. */
enum { CAP_ASIMD = 1 << 1, CAP_ASIMDDP = 1 << 20, CAP2_I8MM = 1 << 13, AUX_HWCAP2 = 26 };

static uint64_t detect(void)
{
    unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AUX_HWCAP2);
    return (cap & CAP_ASIMD ? GGL_ISA_NEON : 0) | (cap & CAP_ASIMDDP ? GGL_ISA_DOTPROD : 0) |
           (cap2 & CAP2_I8MM ? GGL_ISA_I8MM : 0);
}

#elif defined(__aarch64__) && defined(__APPLE__)

static bool has(const char *name)
{
    int value = 0;
    size_t size = sizeof(value);
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value != 0;
}

static uint64_t detect(void)
{
    return GGL_ISA_NEON | (has("hw.optional.arm.FEAT_DotProd") ? GGL_ISA_DOTPROD : 0) |
           (has("hw.optional.arm.FEAT_I8MM") ? GGL_ISA_I8MM : 0);
}

#elif defined(__aarch64__)

static uint64_t detect(void)
{
    return GGL_ISA_NEON;
}

#else

static uint64_t detect(void)
{
    return 0;
}

#endif

/* Levels come after those they build on, so one pass removes whole chains. */
static uint64_t drop_unfounded(uint64_t isa)
{
    for (int i = 0; i < N_LEVELS; i++)
        if ((levels[i].needs & isa) != levels[i].needs) isa &= ~levels[i].level;
    return isa;
}

uint64_t ggl_cpu_without(uint64_t isa, const char *list)
{
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        for (int i = 0; i < N_LEVELS; i++)
            if (strlen(levels[i].name) == n && memcmp(levels[i].name, at, n) == 0) isa &= ~levels[i].level;
        at += n + (at[n] == ',');
    }
    return drop_unfounded(isa);
}

static uint64_t found;

static void find(void)
{
    found = ggl_cpu_without(detect(), getenv("GGL_CPU_DISABLE"));
}

uint64_t ggl_cpu_isa(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return found;
}

const char *ggl_isa_name(uint64_t level)
{
    if (!level) return "c";
    for (int i = 0; i < N_LEVELS; i++)
        if (levels[i].level == level) return levels[i].name;
    return NULL;
}
