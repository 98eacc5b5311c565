/* Experts in file order: 16 rows by one token against double on the decoded blocks, and the unpacked panel against its
 * definition; the same bits at every level and on both ways. */
#include "support/checkkernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"

enum { ROWS = 16 };

struct data {
    int64_t n, row_bytes;
    int n_rows;
    uint8_t *rows; /* ends at the unmapped page */
    int8_t *x;
};

static struct data random_data(int64_t length)
{
    struct data d = {.n = (length % 512 + 31) / 32 * 32};
    if (!d.n) d.n = 32;
    if (ck_next(3) == 0) d.n = 512 * (1 + ck_next(4)); /* as in published models */
    d.n_rows = ROWS * (1 + (int)ck_next(3));
    d.row_bytes = d.n / 32 * 17;
    d.rows = ck_bytes((uint64_t)(d.row_bytes * d.n_rows), 0);
    for (int64_t i = 0; i < d.row_bytes * d.n_rows; i++) d.rows[i] = (uint8_t)(i % 17 ? ck_next(256) : 118 + ck_next(12));
    d.rows[0] = (uint8_t)ck_next(3); /* scales so small that they count as nothing */
    d.x = ck_bytes((uint64_t)ggl_act_q8_bytes(d.n), 0);
    ggl_act_q8_ref(ck_random(d.n), d.n, d.x);
    return d;
}

static void check_mxfp4_rows(ck_kernel *kernel, int64_t length)
{
    struct data d = random_data(length);
    float *y = ck_f32(d.n_rows), same[3 * ROWS];
    float *w = ck_f32(d.n);
    ((ggl_mxfp4_rows_fn *)kernel)(d.rows, d.row_bytes, d.n, d.n_rows, d.x, y);
    ggl_mxfp4_rows_ref(d.rows, d.row_bytes, d.n, d.n_rows, d.x, same);
    for (int r = 0; r < d.n_rows; r++) {
        double want = 0, terms = 0;
        ggl_decode(GGL_TYPE_MXFP4, d.rows + r * d.row_bytes, w, d.n);
        for (int64_t i = 0; i < d.n; i++) {
            double p = (double)w[i] * d.x[i] * ggl_act_q8_scales(d.x, d.n)[i / 32];
            want += p;
            terms += fabs(p);
        }
        /* Exact integers a block; a conversion, two products and a sum for each, over n / 32 blocks. */
        ck_close("y", r, y[r], want, ((double)d.n / 32 + 4) * CK_U * terms + 1e-30);
        ck_same("y", r, y[r], same[r]);
    }
}

static void check_mxfp4_expand(ck_kernel *kernel, int64_t length)
{
    struct data d = random_data(length);
    uint64_t bytes = (uint64_t)ggl_panel_bytes(GGL_PANEL_X8, d.n);
    uint8_t *panel = ck_bytes(bytes, 0);
    float *w = ck_f32(d.n);
    ((ggl_mxfp4_expand_fn *)kernel)(d.rows, d.row_bytes, d.n, panel);
    for (int r = 0; r < ROWS; r++) {
        ggl_decode(GGL_TYPE_MXFP4, d.rows + r * d.row_bytes, w, d.n);
        for (int64_t i = 0; i < d.n; i++) {
            const uint8_t *codes = panel + i / 32 * 512;
            float scale;
            memcpy(&scale, panel + d.n / 32 * 512 + i / 32 * 64 + 4 * r, 4);
            float v = (float)(codes[i % 32 / 4 * 64 + 4 * r + i % 4] - GGL_MXFP4_BIAS) * scale;
            if (d.rows[r * d.row_bytes + i / 32 * 17] < 2) w[i] = 0;
            if (v != w[i]) ck_fail("row %d, input %d: %g, not %g", r, (int)i, (double)v, (double)w[i]);
        }
    }
}

/* Many vectors: those of one vector, bit for bit, and nothing else. */
static void check_mxfp4_mul(ck_kernel *kernel, int64_t length)
{
    struct data d = random_data(length);
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    const int n_rows = ROWS * (1 + (int)ck_next(6)), tokens = 1 + (int)ck_next(ck_next(2) ? 20 : 50);
    const int64_t bytes = ggl_act_q8_bytes(d.n), stride = bytes + 64 * (int64_t)ck_next(3), y_stride = n_rows + (int64_t)ck_next(3);
    uint8_t *rows = ck_bytes((uint64_t)(n_rows * d.row_bytes), 0);
    for (int r = 0; r < n_rows; r++) memcpy(rows + r * d.row_bytes, d.rows + ck_next((uint32_t)d.n_rows) * d.row_bytes, (size_t)(d.n / 32 * 17));
    int8_t *x = ck_bytes((uint64_t)(tokens * stride), 0);
    const float *v = ck_random(d.n * tokens);
    for (int t = 0; t < tokens; t++) ggl_act_q8_ref(v + t * d.n, d.n, x + t * stride);
    const struct ggl_act_q8 inputs = {x, d.n, stride, 0, tokens};
    float *y = ck_f32(y_stride * tokens), *want = ck_f32(n_rows);
    uint8_t *panels = ck_bytes((uint64_t)(n_rows / ROWS * ggl_panel_bytes(GGL_PANEL_X8, d.n)), 0);
    ((ggl_mxfp4_mul_fn *)kernel)(&k, rows, d.row_bytes, d.n, n_rows, &inputs, y, y_stride, panels);
    for (int t = 0; t < tokens; t++) {
        ggl_mxfp4_rows_ref(rows, d.row_bytes, d.n, n_rows, x + t * stride, want);
        for (int r = 0; r < n_rows; r++) ck_same("y", t * 96 + r, y[t * y_stride + r], want[r]);
        for (int64_t r = n_rows; r < y_stride; r++)
            if (!isnan(y[t * y_stride + r])) ck_fail("wrote beyond row %d", n_rows);
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/mxfp4/kernels.def"
#undef KERNEL
}

/* Unpacking to a panel and multiplying there gives the bits of multiplying from the blocks. */
static void both_ways_agree(void **state)
{
    (void)state;
    static const struct ggl_panel_format format = {GGL_PANEL_X8, GGL_MXFP4_BIAS, NULL};
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    for (int64_t n = 32; n <= 512; n += 32) {
        int64_t row_bytes = n / 32 * 17;
        uint8_t *rows = malloc((size_t)(row_bytes * ROWS)), *panel = aligned_alloc(64, (size_t)(n / 32 * 576));
        int8_t *x = aligned_alloc(64, (size_t)ggl_act_q8_bytes(n));
        float v[512], a[ROWS], b[ROWS];
        for (int64_t i = 0; i < row_bytes * ROWS; i++) rows[i] = (uint8_t)(i % 17 ? ck_next(256) : 110 + ck_next(20));
        for (int64_t i = 0; i < n; i++) v[i] = (float)ck_uniform();
        k.act_q8(v, n, x);
        k.mxfp4_rows(rows, row_bytes, n, ROWS, x, a);
        k.mxfp4_expand(rows, row_bytes, n, panel);
        k.panel_mul(&format, panel, n, &(struct ggl_act_q8){x, n, ggl_act_q8_bytes(n), 0, 1}, b, ROWS, ROWS);
        assert_memory_equal(a, b, sizeof(a));
        free(rows);
        free(panel);
        free(x);
    }
}

static void swaps_nibbles(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    uint8_t *copy = malloc((size_t)(row_bytes * n_rows));
    for (int64_t i = 0; i < row_bytes * n_rows; i++) copy[i] = i % 17 ? (uint8_t)(rows[i] << 4 | rows[i] >> 4) : rows[i];
    ggl_mxfp4_rows_ref(copy, row_bytes, n, n_rows, x, y);
    free(copy);
}

static void skips_last_block(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    int8_t *copy = aligned_alloc(64, (size_t)ggl_act_q8_bytes(n));
    memcpy(copy, x, (size_t)ggl_act_q8_bytes(n));
    memset(copy + n - 32, 0, 32);
    ggl_mxfp4_rows_ref(rows, row_bytes, n, n_rows, copy, y);
    free(copy);
}

static void last_row_is_nan(const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows, const int8_t *x, float *y)
{
    ggl_mxfp4_rows_ref(rows, row_bytes, n, n_rows, x, y);
    y[n_rows - 1] = NAN;
}

static void twice_the_scale(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    ggl_mxfp4_expand_ref(rows, row_bytes, n, panel);
    float s;
    memcpy(&s, panel + 4, 4);
    s *= 2;
    memcpy(panel + 4, &s, 4);
}

static void forgets_the_stride(const struct ggl_kernels *k, const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows,
                              const struct ggl_act_q8 *x, float *y, int64_t y_stride, uint8_t *panels)
{
    struct ggl_act_q8 plain = *x;
    plain.stride = ggl_act_q8_bytes(n);
    ggl_mxfp4_mul_ref(k, rows, row_bytes, n, n_rows, &plain, y, y_stride, panels);
}

static void first_panel_for_all(const struct ggl_kernels *k, const uint8_t *rows, int64_t row_bytes, int64_t n, int n_rows,
                                const struct ggl_act_q8 *x, float *y, int64_t y_stride, uint8_t *panels)
{
    for (int r = 0; r < n_rows; r += ROWS) ggl_mxfp4_mul_ref(k, rows, row_bytes, n, ROWS, x, y + r, y_stride, panels);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("stride", check_mxfp4_mul, (ck_kernel *)forgets_the_stride);
    ck_must_fail("panels", check_mxfp4_mul, (ck_kernel *)first_panel_for_all);
    ck_must_fail("nibbles", check_mxfp4_rows, (ck_kernel *)swaps_nibbles);
    ck_must_fail("last block", check_mxfp4_rows, (ck_kernel *)skips_last_block);
    ck_must_fail("nan", check_mxfp4_rows, (ck_kernel *)last_row_is_nan);
    ck_must_fail("scale", check_mxfp4_expand, (ck_kernel *)twice_the_scale);
}

/* ---- benchmark: gate rows of one expert of the smaller model, which fit in the second-level cache */

enum { BENCH_IN = 4096, BENCH_ROWS = 192, BENCH_TOKENS = 48, BENCH_ROW_BYTES = BENCH_IN / 32 * 17 };
static uint8_t bench_rows[BENCH_ROWS * BENCH_ROW_BYTES + 64], *bench_panel;
static int8_t *bench_x;

static void bench_mxfp4_rows(ck_kernel *kernel, int64_t n)
{
    float y[BENCH_ROWS];
    ((ggl_mxfp4_rows_fn *)kernel)(bench_rows, BENCH_ROW_BYTES, n, BENCH_ROWS, bench_x, y);
}

static void bench_mxfp4_expand(ck_kernel *kernel, int64_t n)
{
    for (int r = 0; r < BENCH_ROWS; r += ROWS)
        ((ggl_mxfp4_expand_fn *)kernel)(bench_rows + r * BENCH_ROW_BYTES, BENCH_ROW_BYTES, n, bench_panel);
}

/* GB/s count the rows once, not once a token. */
static void bench_mxfp4_mul(ck_kernel *kernel, int64_t n)
{
    static float y[BENCH_TOKENS * BENCH_ROWS];
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    const struct ggl_act_q8 x = {bench_x, n, 0, 0, BENCH_TOKENS};
    for (int r = 0; r < BENCH_ROWS; r += 64)
        ((ggl_mxfp4_mul_fn *)kernel)(&k, bench_rows + r * BENCH_ROW_BYTES, BENCH_ROW_BYTES, n, 64, &x, y + r, BENCH_ROWS, bench_panel);
}

static void bench(void)
{
    float *x = calloc(BENCH_IN, 4);
    bench_x = aligned_alloc(64, (size_t)ggl_act_q8_bytes(BENCH_IN));
    bench_panel = aligned_alloc(64, 4 * BENCH_IN / 32 * 576);
    memset(bench_rows, 0x7b, sizeof(bench_rows)); /* untouched, all pages would be the one page of zeros */
    if (x && bench_x && bench_panel) {
        ggl_act_q8_ref(x, BENCH_IN, bench_x);
#define KERNEL(operation, isa, symbol) \
    ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, BENCH_IN, BENCH_ROWS * BENCH_ROW_BYTES);
#include "kernels/mxfp4/kernels.def"
#undef KERNEL
    }
    free(x), free(bench_x), free(bench_panel);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(both_ways_agree),
                                      cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/mxfp4", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
