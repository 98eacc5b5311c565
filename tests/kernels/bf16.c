/* BF16 rows against double, for 1 .. 19 and some 50 tokens, 1 .. 40 rows and odd lengths; what is small, infinite or no number;
 * the same bits at every level. */
#include "support/checkkernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"

/* ---- a matrix and tokens */

struct problem {
    int64_t n, rows, row_bytes, tokens, x_stride, y_stride;
    uint8_t *w;
    uint16_t *x;
    float *y, *same;
};

enum kind { ORDINARY, SMALL, ANY_BITS, SOME_INFINITE, KINDS };

static uint16_t random_bf16(enum kind kind)
{
    uint16_t any = (uint16_t)ck_next(65536);
    if (kind == SMALL) return (uint16_t)((any & 0x807f) | (ck_next(16) ? 60 + ck_next(8) : ck_next(3)) << 7); /* around 2^-63 */
    if (kind == ANY_BITS) return any;
    if (kind == SOME_INFINITE && ck_next(400) == 0) return ck_next(3) ? 0x7f80 | (any & 0x8000) : 0x7fc1;
    return ck_next(16) ? ggl_bf16_from_f32((float)(2 * ck_uniform())) : 0;
}

/* One row and token now and then with a few thousand inputs, so that all parts and blocks of the kernels are met. */
static struct problem random_problem(int64_t length, enum kind kind)
{
    struct problem p = {.n = length, .rows = 1 + ck_next(20), .tokens = ck_next(2) ? 1 : 1 + ck_next(19)};
    if (length < 4000 && ck_next(32) == 0) p.rows = 1 + ck_next(40), p.tokens = 45 + ck_next(12);
    if (length < 4000 && ck_next(60) == 0) p.n = ck_next(2) ? 64 * (1 + ck_next(140)) : 4000 + length + ck_next(5000);
    if (p.n > 1000) p.rows = 1 + ck_next(20), p.tokens = ck_next(2) ? 1 : 1 + ck_next(ck_next(3) ? 7 : 16);
    p.row_bytes = 2 * p.n + ck_next(4), p.x_stride = p.n + ck_next(5), p.y_stride = p.rows + ck_next(3);
    p.w = ck_bytes((uint64_t)(p.row_bytes * (p.rows - 1) + 2 * p.n), ck_next(3));
    p.x = ck_bytes(2 * (uint64_t)(p.x_stride * (p.tokens - 1) + p.n), 0);
    p.y = ck_f32(p.y_stride * p.tokens), p.same = ck_f32(p.y_stride * p.tokens);
    for (int64_t r = 0; r < p.rows; r++)
        for (int64_t i = 0; i < p.n; i++) {
            uint16_t h = random_bf16(kind);
            memcpy(p.w + r * p.row_bytes + 2 * i, &h, 2);
        }
    for (int64_t t = 0; t < p.tokens; t++)
        for (int64_t i = 0; i < p.n; i++) p.x[t * p.x_stride + i] = random_bf16(kind);
    return p;
}

static double weight(const struct problem *p, int64_t r, int64_t i)
{
    uint16_t h;
    memcpy(&h, p->w + r * p->row_bytes + 2 * i, 2);
    return (double)ggl_bf16_to_f32(h);
}

/* A lane adds 2 ceil(n / 64) products, then come the halves and the tree: 5; what is taken as zero is below 2^-126, be it
 * a sum (n of them) or a factor, which here meets one below 2^-58. */
static void check_close(const struct problem *p, int64_t t, int64_t r, float y)
{
    double want = 0, terms = 0, roundings = 2 * (double)((p->n + 63) / 64) + 5;
    for (int64_t i = 0; i < p->n; i++) {
        double product = weight(p, r, i) * (double)ggl_bf16_to_f32(p->x[t * p->x_stride + i]);
        want += product, terms += fabs(product);
    }
    ck_close("y", t * p->rows + r, y, want, roundings * CK_U * (1 + roundings * CK_U) * terms + 2 * (double)p->n * 0x1p-126);
}

static void check_bf16_mul(ck_kernel *kernel, int64_t length)
{
    enum kind kind = ck_next(2) ? ORDINARY : (enum kind)ck_next(KINDS);
    struct problem p = random_problem(length, kind);
    ((ggl_bf16_mul_fn *)kernel)(p.w, p.row_bytes, p.rows, p.n, p.x, p.x_stride, p.tokens, p.y, p.y_stride);
    ggl_bf16_mul_ref(p.w, p.row_bytes, p.rows, p.n, p.x, p.x_stride, p.tokens, p.same, p.y_stride);
    for (int64_t t = 0; t < p.tokens; t++) {
        const float *y = p.y + t * p.y_stride;
        for (int64_t r = 0; r < p.rows; r++) {
            if (kind == ORDINARY || kind == SMALL) check_close(&p, t, r, y[r]);
            ck_same("y", t * p.rows + r, y[r], p.same[t * p.y_stride + r]);
        }
        for (int64_t r = p.rows; r < p.y_stride; r++)
            if (!isnan(y[r])) ck_fail("wrote beyond row %d", (int)p.rows);
    }
}

/* ---- the contract's words on small, infinite and absent numbers */

enum { ONE = 0x3f80, MINUS = 0x8000, SUBNORMAL = 0x007f, LEAST = 0x0080, INFINITE = 0x7f80 }; /* LEAST is 2^-126 */

static uint16_t power(int e)
{
    return (uint16_t)((e + 127) << 7);
}

/* A pair of inputs, alone in its row, and what it gives; b is added first. */
static void check_pair(ck_kernel *kernel, int64_t n, const uint16_t w[2], const uint16_t x[2], float want)
{
    int64_t even = (n + n % 2) * 2, at = n < 2 ? 0 : (int64_t)ck_next((uint32_t)n / 2) * 2;
    uint16_t *row = ck_bytes((uint64_t)even, 0), *token = ck_bytes((uint64_t)even, 0);
    float *y = ck_f32(1);
    memset(row, 0, (size_t)even), memset(token, 0, (size_t)even);
    memcpy(row + at, w, 4), memcpy(token + at, x, 4);
    ((ggl_bf16_mul_fn *)kernel)((const uint8_t *)row, even, 1, even / 2, token, even / 2, 1, y, 1);
    ck_same("a pair", at, y[0], want);
}

static void check_small(ck_kernel *kernel, int64_t n)
{
    const struct {
        uint16_t w[2], x[2];
        float y;
    } cases[] = {
        {{0, SUBNORMAL}, {0, ONE}, 0},                      /* taken as zero: the weight */
        {{0, ONE}, {0, SUBNORMAL}, 0},                      /* the activation */
        {{SUBNORMAL, ONE}, {INFINITE, ONE}, NAN},           /* 0 times infinity */
        {{0, LEAST}, {0, ONE}, 0x1p-126f},
        {{0, power(-64)}, {0, power(-63)}, 0},              /* a sum of 2^-127 */
        {{power(-64), power(-64)}, {power(-63), power(-63)}, 0}, /* each on its own */
        {{MINUS | LEAST, 0x00c0}, {ONE, ONE}, 0},           /* 1.5 * 2^-126 - 2^-126 */
        {{MINUS | power(-76), LEAST}, {power(-76), ONE}, 0x1p-126f}, /* 2^-126 - 2^-152: back up to 2^-126 */
        {{MINUS | power(-75), LEAST}, {power(-76), ONE}, 0x1p-126f}, /* - 2^-151: half way, to the even one */
        {{(uint16_t)(MINUS | power(-75) | 1), LEAST}, {power(-76), ONE}, 0}, /* more: 24 bits have room below 2^-126 */
        {{MINUS | power(-75), LEAST}, {power(-75), ONE}, 0},
        {{power(-100), ONE}, {power(-100), ONE}, 1},        /* a product below 2^-126 goes into the sum as it is */
        {{MINUS | power(64), power(64)}, {power(63), power(64)}, INFINITY}, /* the first sum is too large already */
        {{power(64), MINUS | power(63)}, {power(64), power(64)}, 0x1p127f}, /* 2^128 - 2^127, rounded once */
        {{MINUS | INFINITE, INFINITE}, {ONE, ONE}, NAN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (i % 5 == (size_t)(n % 5)) check_pair(kernel, n, cases[i].w, cases[i].x, cases[i].y);
}

/* All products vanish below zero: -0, unless lanes are absent, which are +0 (of 63 inputs, the last lane has its second
 * sum). */
static void check_zeros(ck_kernel *kernel, int64_t n)
{
    uint16_t *row = ck_bytes(2 * (uint64_t)n, 0), *token = ck_bytes(2 * (uint64_t)n, 0);
    float *y = ck_f32(1);
    for (int64_t i = 0; i < n; i++) row[i] = MINUS | LEAST, token[i] = LEAST;
    ((ggl_bf16_mul_fn *)kernel)((const uint8_t *)row, 2 * n, 1, n, token, n, 1, y, 1);
    ck_same("zeros", n, y[0], n % 64 && n % 64 != 63 ? 0.0f : -0.0f);
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol)                           \
    ck_run(#symbol, isa, check_bf16_mul, (ck_kernel *)symbol);   \
    ck_run(#symbol, isa, check_small, (ck_kernel *)symbol);      \
    ck_run(#symbol, isa, check_zeros, (ck_kernel *)symbol);
#include "kernels/bf16/kernels.def"
#undef KERNEL
}

/* ---- broken ones */

static enum fault {
    NONE,
    FIRST_FIRST,       /* the first of a pair before the second */
    LOSES_TAIL,        /* what the last 64 lack of 64 */
    LOSES_ODD,         /* the last input of an odd number */
    SUMS_IN_ORDER,     /* lane after lane */
    ONE_HALF,          /* s1 is forgotten */
    KEEPS_SMALL,       /* numbers below 2^-126 */
    EARLY_ZERO,        /* below 2^-126 before rounding */
    READS_ON,          /* up to the next multiple of 64 */
    TIGHT_ROWS,        /* rows without anything between them */
    TIGHT_TOKENS,
    FIRST_TOKEN,       /* for all */
    LAST_ROW,          /* is forgotten */
    ONE_ROW_MORE,
    FAULTS
} fault;

static float add(float sum, uint16_t w, uint16_t x)
{
    double a = (double)ggl_bf16_to_f32(w), b = (double)ggl_bf16_to_f32(x);
    if (fault != KEEPS_SMALL && fabs(a) < 0x1p-126) a = copysign(0, a);
    if (fault != KEEPS_SMALL && fabs(b) < 0x1p-126) b = copysign(0, b);
    double s = (double)sum + a * b;
    double least = fault == KEEPS_SMALL ? 0 : fault == EARLY_ZERO ? 0x1p-126 : 0x1.ffffffp-127;
    return (float)(fabs(s) < least ? copysign(0, s) : s);
}

static float faulty_dot(const uint8_t *row, const uint16_t *x, int64_t n)
{
    float s[32] = {0}, all = 0;
    int64_t end = fault == LOSES_TAIL ? n / 64 * 64 : fault == LOSES_ODD ? n / 2 * 2 : n;
    for (int64_t i = 0; i < end; i += 64) {
        uint16_t w[64] = {0}, v[64] = {0};
        size_t bytes = fault == READS_ON || end - i > 64 ? 128 : 2 * (size_t)(end - i);
        memcpy(w, row + 2 * i, bytes), memcpy(v, x + i, bytes);
        if (fault == READS_ON && end - i < 64) memset(v + (end - i), 0, 128 - 2 * (size_t)(end - i));
        for (int l = 0; l < (fault == ONE_HALF ? 16 : 32); l++) {
            int second = fault != FIRST_FIRST;
            s[l] = add(s[l], w[2 * l + second], v[2 * l + second]);
            s[l] = add(s[l], w[2 * l + 1 - second], v[2 * l + 1 - second]);
        }
    }
    for (int l = 0; l < 32; l++) all += s[l];
    if (fault == SUMS_IN_ORDER) return all;
    for (int width = 16; width; width /= 2)
        for (int l = 0; l < width; l++) s[l] += s[l + width];
    return s[0];
}

static void faulty(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                   int64_t n_tokens, float *y, int64_t y_stride)
{
    if (fault == TIGHT_ROWS) row_bytes = 2 * n;
    if (fault == TIGHT_TOKENS) x_stride = n;
    if (fault == FIRST_TOKEN) x_stride = 0;
    if (fault == LAST_ROW && n_rows > 1) n_rows--;
    for (int64_t t = 0; t < n_tokens; t++)
        for (int64_t r = 0; r < n_rows; r++) y[t * y_stride + r] = faulty_dot(rows + r * row_bytes, x + t * x_stride, n);
    if (fault == ONE_ROW_MORE && y_stride > n_rows) y[n_rows] = 0;
}

/* Sums just below 2^-126 are too rare among random ones. */
static void broken_ones_are_caught(void **state)
{
    (void)state;
    fault = NONE;
    ck_run("the one with no fault", 0, check_bf16_mul, (ck_kernel *)faulty);
    ck_run("the one with no fault", 0, check_small, (ck_kernel *)faulty);
    for (fault = NONE + 1; fault < FAULTS; fault++) {
        char name[32];
        snprintf(name, sizeof(name), "fault %d", (int)fault);
        if (fault != EARLY_ZERO) ck_must_fail(name, check_bf16_mul, (ck_kernel *)faulty);
        if (fault == EARLY_ZERO || fault == KEEPS_SMALL) ck_must_fail(name, check_small, (ck_kernel *)faulty);
    }
}

/* ---- benchmark: one token and 32, with rows that fit in the second-level cache */

enum { BENCH_IN = 4096, BENCH_ROWS = 64, BENCH_TOKENS = 32, BENCH_STRIDE = BENCH_IN + 32 };
static uint8_t *bench_w; /* 32 bytes from a line of the cache, as half of the matrices in a file */
static _Alignas(64) uint16_t bench_x[BENCH_STRIDE * BENCH_TOKENS];

static void bench_tokens(ck_kernel *kernel, int64_t n, int64_t n_tokens)
{
    static float y[BENCH_ROWS * BENCH_TOKENS];
    ((ggl_bf16_mul_fn *)kernel)(bench_w, 2 * n, BENCH_ROWS, n, bench_x, BENCH_STRIDE, n_tokens, y, BENCH_ROWS);
}

static void bench_one(ck_kernel *kernel, int64_t n)
{
    bench_tokens(kernel, n, 1);
}

static void bench_many(ck_kernel *kernel, int64_t n)
{
    bench_tokens(kernel, n, BENCH_TOKENS);
}

/* GB/s of "many" are those of 32 single tokens: half of them are GMAC/s. */
static void bench(void)
{
    double bytes = 2.0 * BENCH_ROWS * BENCH_IN;
    uint8_t *memory = aligned_alloc(64, (size_t)bytes + 64);
    if (!memory) return;
    bench_w = memory + 32;
    for (int i = 0; i < BENCH_ROWS * BENCH_IN; i++) {
        uint16_t h = random_bf16(ORDINARY);
        memcpy(bench_w + 2 * i, &h, 2);
    }
    for (int i = 0; i < BENCH_STRIDE * BENCH_TOKENS; i++) bench_x[i] = random_bf16(ORDINARY);
#define KERNEL(operation, isa, symbol) ck_bench(#symbol, isa, bench_one, (ck_kernel *)symbol, BENCH_IN, bytes);
#include "kernels/bf16/kernels.def"
#undef KERNEL
#define KERNEL(operation, isa, symbol) \
    ck_bench(#symbol " many", isa, bench_many, (ck_kernel *)symbol, BENCH_IN, bytes * BENCH_TOKENS);
#include "kernels/bf16/kernels.def"
#undef KERNEL
    free(memory);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/bf16", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
