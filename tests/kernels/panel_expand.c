/* Rows in file order to panels: every weight is what quant/ decodes, and every level writes the same bytes. */
#include "support/checkkernel.h"

#include <stdlib.h>
#include <string.h>

#include "support/random_weight.h"

enum { ROWS = 16, N_TYPES = 3 };

static const enum ggl_type types[N_TYPES] = {GGL_TYPE_Q8_0, GGL_TYPE_Q4_0, GGL_TYPE_IQ4_NL};

static float weight_at(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, int row, int64_t i)
{
    const int j = (int)(i % 32);
    const int64_t block_bytes = f->table ? 256 : 512;
    const uint8_t *block = panel + i / 32 * block_bytes;
    uint16_t scale;
    memcpy(&scale, panel + n / 32 * block_bytes + i / 32 * 32 + 2 * row, 2);
    int code = f->table ? f->table[block[j % 16 / 4 * 64 + 4 * row + j % 4] >> (j < 16 ? 0 : 4) & 15]
                        : block[j / 4 * 64 + 4 * row + j % 4];
    return ggl_f16_to_f32(scale) * (float)(code - f->bias);
}

static void check_panel_expand(ck_kernel *kernel, int64_t length)
{
    const enum ggl_type type = types[ck_next(N_TYPES)];
    const struct ggl_panel_format *f = ggl_panel_format(type);
    const int64_t n = 32 * (1 + (length > 130 ? 40 : 0) + (int64_t)ck_next(6));
    const int n_rows = ck_next(2) ? ROWS : (int)ck_next(ROWS + 1);
    uint64_t row_bytes = 0, bytes = (uint64_t)ggl_panel_bytes(f->kind, n);
    if (!ggl_row_bytes((uint32_t)type, n, &row_bytes)) ck_fail("row bytes");
    uint8_t *rows = ck_bytes(row_bytes * (uint64_t)n_rows, ck_next(2) ? ck_next(64) : 0);
    random_codes(type, rows, row_bytes * (uint64_t)n_rows);
    uint8_t *panel = ck_bytes(bytes, 0), *want = ck_bytes(bytes, 0);
    float *w = ck_f32(n);
    ((ggl_panel_expand_fn *)kernel)(type, rows, (int64_t)row_bytes, n_rows, n, panel);
    ggl_panel_expand_ref(type, rows, (int64_t)row_bytes, n_rows, n, want);
    if (memcmp(panel, want, bytes) != 0) ck_fail("not the reference's bytes");
    for (int r = 0; r < ROWS; r++) {
        if (r < n_rows) ggl_decode(type, rows + (uint64_t)r * row_bytes, w, n);
        for (int64_t i = 0; i < n; i++) {
            float v = weight_at(f, panel, n, r, i);
            if (r < n_rows ? v != w[i] : v != 0) ck_fail("row %d, input %d: %g, not %g", r, (int)i, (double)v, (double)w[i]);
        }
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/panel_expand/kernels.def"
#undef KERNEL
}

#define ARGUMENTS enum ggl_type type, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel

static void a_row_less(ARGUMENTS)
{
    ggl_panel_expand_ref(type, rows, row_bytes, n_rows ? n_rows - 1 : 0, n, panel);
}

static void last_code(ARGUMENTS)
{
    ggl_panel_expand_ref(type, rows, row_bytes, n_rows, n, panel);
    panel[ggl_panel_scales_at(ggl_panel_format(type)->kind, n) - 1] ^= 0x80;
}

static void last_scale(ARGUMENTS)
{
    ggl_panel_expand_ref(type, rows, row_bytes, n_rows, n, panel);
    panel[ggl_panel_bytes(ggl_panel_format(type)->kind, n) - 1] ^= 0x80;
}

static void a_block_less(ARGUMENTS)
{
    ggl_panel_expand_ref(type, rows, row_bytes, n_rows, n - 32, panel);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("a row less", check_panel_expand, (ck_kernel *)a_row_less);
    ck_must_fail("last code", check_panel_expand, (ck_kernel *)last_code);
    ck_must_fail("last scale", check_panel_expand, (ck_kernel *)last_scale);
    ck_must_fail("a block less", check_panel_expand, (ck_kernel *)a_block_less);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/panel_expand", list, NULL, NULL);
}

static enum ggl_type bench_type;
static uint8_t *bench_rows, *bench_panel;

static void bench_expand(ck_kernel *kernel, int64_t n)
{
    uint64_t row_bytes = 0;
    (void)ggl_row_bytes((uint32_t)bench_type, n, &row_bytes);
    ((ggl_panel_expand_fn *)kernel)(bench_type, bench_rows, (int64_t)row_bytes, ROWS, n, bench_panel);
}

static void bench(void)
{
    const int64_t n = 2048;
    bench_rows = calloc(ROWS, (size_t)n * 2);
    bench_panel = aligned_alloc(64, (size_t)n * ROWS * 2);
    for (int i = 0; i < N_TYPES; i++) {
        bench_type = types[i];
#define KERNEL(operation, isa, symbol) \
    ck_bench(#symbol, isa, bench_expand, (ck_kernel *)symbol, n, (double)(n * ROWS) * (i ? 18 : 34) / 32);
#include "kernels/panel_expand/kernels.def"
#undef KERNEL
    }
    free(bench_rows);
    free(bench_panel);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
