/*
 * Decoding rows of weights and of the cache: every level gives the bits of quant/, whose numbers are tested there.
 */
#include "support/checkkernel.h"
#include "support/random_weight.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum ggl_type type_under_test;
static enum ggl_scale_type scales_under_test;
static bool any_code; /* also those that are no number */

static void check_decode_row(ck_kernel *kernel, int64_t n)
{
    const struct ggl_type_info *info = ggl_type_info(type_under_test);
    int64_t step = type_under_test == GGL_TYPE_INT4 ? 32 : type_under_test == GGL_TYPE_FP4 ? 32 : info->block_elems;
    if (n > 600) return;
    int64_t n_in = step * (step > 1 ? 1 + n % 9 : n), rows = 1 + ck_next(n == 1 ? 300 : 4);
    struct random_weight w;
    random_weight(&w, type_under_test, scales_under_test, n_in, rows, 1 + ck_next(RANDOM_WEIGHT_SLICES));
    int64_t slice = ck_next((uint32_t)w.t.ne[2]), row = ck_next((uint32_t)rows);
    if (any_code) {
        uint8_t *codes = (uint8_t *)(uintptr_t)(ggl_tensor_slice(&w.t, slice) + (uint64_t)row * w.t.row_bytes);
        for (uint64_t i = 0; i < w.t.row_bytes; i++) codes[i] = (uint8_t)ck_next(256);
    }
    float *y = ck_f32(n_in), *want = ck_f32(n_in);
    ggl_tensor_decode_row(&w.t, slice, row, want);
    ((ggl_decode_row_fn *)kernel)(&w.t, slice, row, y);
    for (int64_t i = 0; i < n_in; i++) ck_same("weight", i, y[i], want[i]);
}

static void with_type(enum ggl_type type, enum ggl_scale_type scale_type)
{
    type_under_test = type;
    scales_under_test = scale_type;
    any_code = false;
#define KERNEL(operation, isa, symbol) if (#operation[7] == 'r') ck_run(#symbol, isa, check_decode_row, (ck_kernel *)symbol);
#include "kernels/decode/kernels.def"
#undef KERNEL
    any_code = true;
#define KERNEL(operation, isa, symbol) if (#operation[7] == 'r') ck_run(#symbol, isa, check_decode_row, (ck_kernel *)symbol);
#include "kernels/decode/kernels.def"
#undef KERNEL
}

static void weights(void **state)
{
    (void)state;
    for (int type = 0; type < GGL_TYPE_GGUF_END; type++)
        if (ggl_type_info((uint32_t)type) && ggl_type_info((uint32_t)type)->decode) with_type((enum ggl_type)type, GGL_SCALE_NONE);
    with_type(GGL_TYPE_FP8, GGL_SCALE_E8M0);
    with_type(GGL_TYPE_FP8, GGL_SCALE_F32);
    with_type(GGL_TYPE_FP4, GGL_SCALE_E8M0);
    with_type(GGL_TYPE_INT4, GGL_SCALE_NONE);
}

/* ---- cache rows: any bytes */

static void check_decode_cache(ck_kernel *kernel, int64_t n)
{
    static const enum ggl_row_kind kinds[] = {GGL_ROW_KV, GGL_ROW_KV, GGL_ROW_INDEX, GGL_ROW_FLOAT};
    enum ggl_row_kind kind = kinds[n % 4];
    int32_t n_rope = 2 * (int32_t)ck_next(40), n_dim = kind == GGL_ROW_KV ? 64 * (int32_t)(n % 9) + n_rope : 32 * (int32_t)(1 + n % 16);
    if (n > 130 || !n_dim) return;
    struct ggl_row_format f = ggl_row_format(kind, n_dim, kind == GGL_ROW_KV ? n_rope : 0);
    uint8_t *row = ck_bytes(f.bytes, kind == GGL_ROW_FLOAT ? 4 * ck_next(8) : ck_next(64));
    for (uint32_t i = 0; i < f.bytes; i++) row[i] = (uint8_t)ck_next(256);
    float *y = ck_f32(n_dim), *want = ck_f32(n_dim);
    ggl_row_decode(&f, row, want);
    ((ggl_decode_cache_fn *)kernel)(&f, row, y);
    for (int32_t i = 0; i < n_dim; i++) ck_same("row", i, y[i], want[i]);
}

static void cache_rows(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) if (#operation[7] == 'c') ck_run(#symbol, isa, check_decode_cache, (ck_kernel *)symbol);
#include "kernels/decode/kernels.def"
#undef KERNEL
}

/* ---- broken ones */

static void last_left_out(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    float last = y[w->ne[0] - 1];
    ggl_decode_row_ref(w, slice, row, y);
    y[w->ne[0] - 1] = last;
}

static void first_slice(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    (void)slice;
    ggl_decode_row_ref(w, 0, row, y);
}

static void nan_is_a_number(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    ggl_decode_row_ref(w, slice, row, y);
    for (int64_t i = 0; i < w->ne[0]; i++)
        if (y[i] != y[i]) y[i] = 480;
}

static void positive_zeros(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    ggl_decode_row_ref(w, slice, row, y);
    for (int64_t i = 0; i < w->ne[0]; i++) y[i] = y[i] + 0.0f;
}

static void first_scale_of_a_row(const struct ggl_row_format *f, const uint8_t *row, float *y)
{
    uint8_t copy[4096];
    memcpy(copy, row, f->bytes);
    int nope = f->n_dim - f->n_rope;
    if (f->kind == GGL_ROW_KV && nope) memset(copy + nope, copy[nope], (size_t)nope / 64);
    ggl_decode_cache_ref(f, copy, y);
}

static void reads_beyond(const struct ggl_row_format *f, const uint8_t *row, float *y)
{
    volatile uint8_t beyond = row[f->bytes + 3];
    (void)beyond;
    ggl_decode_cache_ref(f, row, y);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    type_under_test = GGL_TYPE_FP8;
    scales_under_test = GGL_SCALE_F32;
    any_code = true;
    ck_must_fail("last", check_decode_row, (ck_kernel *)last_left_out);
    ck_must_fail("slice", check_decode_row, (ck_kernel *)first_slice);
    ck_must_fail("nan", check_decode_row, (ck_kernel *)nan_is_a_number);
    ck_must_fail("zeros", check_decode_row, (ck_kernel *)positive_zeros);
    ck_must_fail("scales", check_decode_cache, (ck_kernel *)first_scale_of_a_row);
    ck_must_fail("beyond", check_decode_cache, (ck_kernel *)reads_beyond);
}

/* ---- benchmark: a row of the published cache */

static void bench_cache(ck_kernel *kernel, int64_t n)
{
    static uint8_t row[583];
    static float y[512];
    struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, 512, 64);
    ggl_row_random(&f, 1, row);
    for (int64_t i = 0; i < n; i++) ((ggl_decode_cache_fn *)kernel)(&f, row, y);
}

static void bench(void)
{
#define KERNEL(operation, isa, symbol) if (#operation[7] == 'c') ck_bench(#symbol, isa, bench_cache, (ck_kernel *)symbol, 64, 64 * 583);
#include "kernels/decode/kernels.def"
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(weights),
        cmocka_unit_test(cache_rows),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/decode", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
