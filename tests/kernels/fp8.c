/* FP8 panels against double on the decoded codes, for 1 .. 19 tokens and 1 .. 16 rows; BF16 rounding; the same bits at
 * every level. */
#include "support/checkkernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"

static void check_act_bf16(ck_kernel *kernel, int64_t n)
{
    float *x = ck_random(n);
    if (n > 20) x[3] = INFINITY, x[7] = NAN, x[11] = 3.4e38f, x[12] = -NAN, x[13] = 1e-41f;
    uint16_t *out = ck_bytes(2 * (uint64_t)n, 0);
    ((ggl_act_bf16_fn *)kernel)(x, n, out);
    for (int64_t i = 0; i < n; i++)
        if (out[i] != ggl_bf16_from_f32(x[i])) ck_fail("%d: 0x%04x for %g", (int)i, out[i], (double)x[i]);
}

/* Where panel.h of fp8 puts the code of a row and input. */
static int64_t place(int64_t i, int row)
{
    return i / 4 * 64 + row / 4 * 16 + i % 4 / 2 * 8 + row % 4 * 2 + i % 2;
}

static void check_fp8_mul(ck_kernel *kernel, int64_t length)
{
    int64_t n = (length % 600 + 3) / 4 * 4;
    if (!n) n = 4;
    if (ck_next(3) == 0) n = 128 * (1 + ck_next(5)); /* whole tiles have a way of their own for one token */
    if (ck_next(50) == 0) n = 128 * (63 + ck_next(4));
    int rows = 1 + (int)ck_next(16), tokens = ck_next(2) ? 1 : 1 + (int)ck_next(19);
    int64_t tiles = (n + 127) / 128, stride = n + ck_next(5), y_stride = 16 + ck_next(3);
    uint8_t *panel = ck_bytes((uint64_t)(n * 16 + tiles * 4), 0);
    for (int64_t i = 0; i < n * 16; i++) {
        panel[i] = (uint8_t)ck_next(256);
        if ((panel[i] & 127) == 127) panel[i]--;
    }
    for (int64_t t = 0; t < tiles; t++) {
        float scale = ldexpf(1, (int)ck_next(8) - 10);
        memcpy(panel + n * 16 + 4 * t, &scale, 4);
    }
    float *x = ck_random(stride * tokens), *y = ck_f32(y_stride * tokens), *same = ck_f32(y_stride * tokens);
    uint16_t *h = ck_bytes(2 * (uint64_t)(stride * (tokens - 1) + n), 0);
    ggl_act_bf16_ref(x, stride * (tokens - 1) + n, h);
    ((ggl_fp8_mul_fn *)kernel)(panel, n, h, stride, tokens, y, y_stride, rows);
    ggl_fp8_mul_ref(panel, n, h, stride, tokens, same, y_stride, rows);
    for (int t = 0; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
            double want = 0, terms = 0;
            for (int64_t i = 0; i < n; i++) {
                float scale;
                memcpy(&scale, panel + n * 16 + i / 128 * 4, 4);
                double p = (double)ggl_e4m3_to_f32(panel[place(i, r)]) * (double)ggl_bf16_to_f32(h[t * stride + i]) * (double)scale;
                want += p;
                terms += fabs(p);
            }
            /* 64 sums in each half of a tile, the halves, the scale, and a sum a tile. */
            ck_close("y", t * 16 + r, y[t * y_stride + r], want, (67 + (double)tiles) * CK_U * terms);
            ck_same("y", t * 16 + r, y[t * y_stride + r], same[t * y_stride + r]);
        }
        for (int64_t r = rows; r < y_stride; r++)
            if (!isnan(y[t * y_stride + r])) ck_fail("wrote beyond row %d", rows);
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/fp8/kernels.def"
#undef KERNEL
}

static void first_scale_for_all(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens,
                                float *y, int64_t y_stride, int n_rows)
{
    uint8_t *copy = malloc((size_t)ggl_fp8_panel_bytes(n));
    memcpy(copy, panel, (size_t)(n * 16 + (n + 127) / 128 * 4));
    for (int64_t t = 1; t < (n + 127) / 128; t++) memcpy(copy + n * 16 + 4 * t, copy + n * 16, 4);
    ggl_fp8_mul_ref(copy, n, x, x_stride, n_tokens, y, y_stride, n_rows);
    free(copy);
}

static void loses_denormals(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows)
{
    uint8_t *copy = malloc((size_t)ggl_fp8_panel_bytes(n));
    memcpy(copy, panel, (size_t)(n * 16 + (n + 127) / 128 * 4));
    for (int64_t i = 0; i < n * 16; i++)
        if (!(copy[i] & 0x78)) copy[i] = 0;
    ggl_fp8_mul_ref(copy, n, x, x_stride, n_tokens, y, y_stride, n_rows);
    free(copy);
}

static void writes_all_rows(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows)
{
    (void)n_rows;
    ggl_fp8_mul_ref(panel, n, x, x_stride, n_tokens, y, y_stride, 16);
}

static void cuts_instead_of_rounding(const float *x, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        out[i] = (uint16_t)(bits >> 16);
    }
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("one scale", check_fp8_mul, (ck_kernel *)first_scale_for_all);
    ck_must_fail("denormals", check_fp8_mul, (ck_kernel *)loses_denormals);
    ck_must_fail("all rows", check_fp8_mul, (ck_kernel *)writes_all_rows);
    ck_must_fail("cuts", check_act_bf16, (ck_kernel *)cuts_instead_of_rounding);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/fp8", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, NULL);
}
