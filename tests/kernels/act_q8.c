/* Activations as 8-bit integers: each code the nearest to x / scale, the scale amax / 127, the sums; the same bits at
 * every level. */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

static void check_act_q8(ck_kernel *kernel, int64_t length)
{
    int64_t n = (length + 31) / 32 * 32;
    float *x = ck_random(n);
    if (n > 64) x[40] = 1e30f, memset(x + 64, 0, 32 * 4); /* one large value; a block of zeros */
    int8_t *row = ck_bytes((uint64_t)ggl_act_q8_bytes(n), 0), *want = ck_bytes((uint64_t)ggl_act_q8_bytes(n), 0);
    ((ggl_act_q8_fn *)kernel)(x, n, row);
    ggl_act_q8_ref(x, n, want);
    for (int64_t b = 0; b < n / 32; b++) {
        double amax = 0, sum = 0;
        for (int i = 0; i < 32; i++) amax = fmax(amax, fabs((double)x[32 * b + i]));
        float scale = ggl_act_q8_scales(row, n)[b];
        uint32_t bits;
        memcpy(&bits, &scale, 4);
        if (bits & 3) ck_fail("a scale of more than 22 bits: %a", (double)scale);
        ck_close("scale", b, scale, amax / 127, 2 * CK_U * amax);
        for (int i = 0; i < 32; i++) {
            /* Half a step, and the roundings of 127 / amax and of the product. */
            ck_close("value", 32 * b + i, (float)row[32 * b + i] * scale, (double)x[32 * b + i], amax / 127 * 0.50002);
            sum += row[32 * b + i];
            if (i == 15 && ggl_act_q8_halves(row, n)[b] != (int)sum) ck_fail("sum of half of block %d", (int)b);
        }
        if (ggl_act_q8_sums(row, n)[b] != (int)sum) ck_fail("sum of block %d", (int)b);
    }
    if (memcmp(row, want, (size_t)(n + n / 32 * 12))) ck_fail("not the reference's bits");
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/act_q8/kernels.def"
#undef KERNEL
}

static void values_that_are_no_numbers(void **state)
{
    (void)state;
    float x[96] = {1, NAN, 2};
    x[32] = INFINITY, x[64] = -0x1p100f;
    _Alignas(64) int8_t row[192];
#define KERNEL(operation, isa, symbol)                                                                                 \
    if (((uint64_t)(isa) & ~ggl_cpu_isa()) == 0) {                                                                             \
        symbol(x, 96, row);                                                                                            \
        for (int b = 0; b < 3; b++)                                                                                    \
            if (isfinite(ggl_act_q8_scales(row, 96)[b])) fail_msg(#symbol);                                            \
    }
#include "kernels/act_q8/kernels.def"
#undef KERNEL
}

static void zeros(const float *x, int64_t n, int8_t *row)
{
    (void)x;
    memset(row, 0, (size_t)ggl_act_q8_bytes(n));
}

/* amax / 127 as it comes, and codes for it. */
static void longer_scales(const float *x, int64_t n, int8_t *row)
{
    ggl_act_q8_ref(x, n, row);
    float *scales = (float *)(void *)(row + n);
    for (int64_t b = 0; b < n / 32; b++) scales[b] = nextafterf(scales[b], INFINITY);
}

static void truncates(const float *x, int64_t n, int8_t *row)
{
    ggl_act_q8_ref(x, n, row);
    for (int64_t i = 0; i < n; i++) row[i] = (int8_t)(x[i] / ggl_act_q8_scales(row, n)[i / 32]);
}

static void no_sums(const float *x, int64_t n, int8_t *row)
{
    ggl_act_q8_ref(x, n, row);
    memset(row + n + n / 8, 0, (size_t)(n / 8));
}

static void no_halves(const float *x, int64_t n, int8_t *row)
{
    ggl_act_q8_ref(x, n, row);
    memset(row + n + n / 4, 0, (size_t)(n / 8));
}

static void skips_tail(const float *x, int64_t n, int8_t *row)
{
    ggl_act_q8_ref(x, n, row);
    row[n - 1] = 0;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("zeros", check_act_q8, (ck_kernel *)zeros);
    ck_must_fail("longer scales", check_act_q8, (ck_kernel *)longer_scales);
    ck_must_fail("truncates", check_act_q8, (ck_kernel *)truncates);
    ck_must_fail("no sums", check_act_q8, (ck_kernel *)no_sums);
    ck_must_fail("no halves", check_act_q8, (ck_kernel *)no_halves);
    ck_must_fail("skips tail", check_act_q8, (ck_kernel *)skips_tail);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(values_that_are_no_numbers),
                                      cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/act_q8", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
