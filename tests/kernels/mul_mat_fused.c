/*
 * Products whose multiplications and sums are rounded together: near the double result, and the bits of plain C that does
 * the same (or of mul_mat_f32, where a level has nothing of its own), for one vector and for many, short rows and long ones.
 */
#include "support/checkkernel.h"
#include "support/random_weight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IN = 4352 };

static enum ggl_type type_under_test;

/* Plain C with the bits of a kernel. */
static ggl_mul_mat_fused_fn *twin_of(ck_kernel *kernel)
{
    return kernel == (ck_kernel *)ggl_mul_mat_fused_ref ? ggl_mul_mat_f32_ref : ggl_mul_mat_fused_twin_ref;
}

struct product {
    struct random_weight w;
    int64_t slice, row0, row1, n_tokens, x_stride, y_stride;
    float *x, *y;
    const int32_t *index;
};

/* Long rows seldom meet many vectors here: the twin is slow. */
static void random_product(struct product *p, int64_t length)
{
    const int64_t block = ggl_type_info(type_under_test)->block_elems, n_in = (length + block - 1) / block * block;
    const bool is_long = length > 1000;
    random_weight(&p->w, type_under_test, GGL_SCALE_NONE, n_in, 1 + ck_next(is_long ? 5 : 40), 1 + ck_next(2));
    if (is_long && ck_next(12) == 0) random_weight(&p->w, type_under_test, GGL_SCALE_NONE, n_in, 30 + ck_next(8), 1);
    const struct ggl_tensor *t = &p->w.t;
    p->slice = ck_next((uint32_t)t->ne[2]);
    p->row0 = ck_next((uint32_t)t->ne[1]);
    p->row1 = p->row0 + 1 + ck_next((uint32_t)(t->ne[1] - p->row0));
    if (ck_next(2)) p->row0 = 0, p->row1 = t->ne[1];
    p->n_tokens = 1 + ck_next(16);
    if (ck_next(12) == 0 && p->row1 - p->row0 < 6) p->n_tokens = 60 + ck_next(22);
    const int64_t n_vectors = p->n_tokens > 40 && is_long ? 1 + (int64_t)ck_next(40) : p->n_tokens + ck_next(3); /* what the harness has room for */
    p->x_stride = n_in + ck_next(2) * 3;
    p->y_stride = p->row1 - p->row0 + ck_next(2) * 5;
    p->x = ck_random((n_vectors - 1) * p->x_stride + n_in); /* nothing after the last vector */
    p->y = ck_f32((p->n_tokens - 1) * p->y_stride + p->row1 - p->row0);
    p->index = NULL;
    if (n_vectors >= p->n_tokens && ck_next(2)) return;
    int32_t *index = ck_bytes((uint64_t)p->n_tokens * 4, 0);
    for (int64_t i = 0; i < p->n_tokens; i++) index[i] = (int32_t)ck_next((uint32_t)n_vectors);
    p->index = index;
}

static void check_sums(const struct product *p, const float *same)
{
    static float row[MAX_IN];
    const struct ggl_tensor *t = &p->w.t;
    for (int64_t r = p->row0; r < p->row1; r++) {
        ggl_decode(t->type, ggl_tensor_slice(t, p->slice) + (uint64_t)r * t->row_bytes, row, t->ne[0]);
        for (int64_t token = 0; token < p->n_tokens; token++) {
            const float *v = p->x + (p->index ? p->index[token] : token) * p->x_stride;
            const int64_t at = token * p->y_stride + r - p->row0;
            double want = 0, terms = 0;
            for (int64_t i = 0; i < t->ne[0]; i++) {
                want += (double)row[i] * (double)v[i];
                terms += fabs((double)row[i] * (double)v[i]);
            }
            /* A rounding an input of a lane, or two, which vec.c adds up to no more than this, and the tree. */
            ck_close("y", at, p->y[at], want, ((double)t->ne[0] / GGL_LANES + 6) * CK_U * terms);
            ck_same("bits", at, p->y[at], same[at]);
        }
    }
    for (int64_t at = 0; at < (p->n_tokens - 1) * p->y_stride; at++)
        if (at % p->y_stride >= p->row1 - p->row0 && !isnan(p->y[at])) ck_fail("wrote between the rows of y");
}

static void check_mul_mat_fused(ck_kernel *kernel, int64_t length)
{
    if (length > 40 && length < 4000) return;
    struct product p;
    random_product(&p, length < 4000 ? length * 8 - (int64_t)ck_next(8) : length);
    const struct ggl_tensor *t = &p.w.t;
    const int64_t scratch = (int64_t)(ggl_mul_mat_scratch(t->ne[0]) + 3) / 4;
    struct ggl_kernels plain;
    ggl_kernels_pick(&plain, 0);
    float *same = ck_f32(p.n_tokens * p.y_stride);
    twin_of(kernel)(&plain, t, p.slice, p.row0, p.row1, p.x, p.x_stride, p.index, p.n_tokens, same, p.y_stride, ck_f32(scratch));
    ((ggl_mul_mat_fused_fn *)kernel)(ck_kernels(), t, p.slice, p.row0, p.row1, p.x, p.x_stride, p.index, p.n_tokens, p.y, p.y_stride,
                                     ck_f32(scratch));
    check_sums(&p, same);
}

static void every_kernel(void **state)
{
    (void)state;
    static const enum ggl_type types[] = {GGL_TYPE_F32, GGL_TYPE_F16, GGL_TYPE_BF16, GGL_TYPE_Q8_0, GGL_TYPE_Q4_K};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        type_under_test = types[i];
        print_message("        %s\n", ggl_type_info(types[i])->name);
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/mul_mat_fused/kernels.def"
#undef KERNEL
    }
}

/* ---- broken ones */

#define ARGS                                                                                                                           \
    const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1, const float *x, int64_t x_stride, \
        const int32_t *index, int64_t n_tokens, float *y, int64_t y_stride, void *scratch

static void rounds_products(ARGS)
{
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static void last_part_left_out(ARGS)
{
    struct ggl_tensor t = *w;
    if (t.ne[0] > 512) t.ne[0] -= 512;
    ggl_mul_mat_fused_twin_ref(k, &t, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static void later_vectors_left_out(ARGS)
{
    ggl_mul_mat_fused_twin_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens < 66 ? n_tokens : 66, y, y_stride, scratch);
}

static void later_rows_wrong(ARGS)
{
    ggl_mul_mat_fused_twin_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
    if (row1 - row0 > 32) y[32] = y[0];
}

static void too_much_scratch(ARGS)
{
    ggl_mul_mat_fused_twin_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
    ((volatile float *)scratch)[(ggl_mul_mat_scratch(w->ne[0]) + 3) / 4] = 1;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    type_under_test = GGL_TYPE_BF16;
    ck_must_fail("rounds products", check_mul_mat_fused, (ck_kernel *)rounds_products);
    ck_must_fail("last part", check_mul_mat_fused, (ck_kernel *)last_part_left_out);
    ck_must_fail("later vectors", check_mul_mat_fused, (ck_kernel *)later_vectors_left_out);
    ck_must_fail("later rows", check_mul_mat_fused, (ck_kernel *)later_rows_wrong);
    ck_must_fail("scratch", check_mul_mat_fused, (ck_kernel *)too_much_scratch);
}

/* ---- benchmark: a compressor's matrix, one token and 512; GB/s are multiply-adds in disguise where there are 512 */

enum { BENCH_IN = 4096, BENCH_OUT = 64, BENCH_TOKENS = 512 };
static struct ggl_tensor bench_w;
static float *bench_x, *bench_y, *bench_scratch;

static void bench_mul_mat_fused(ck_kernel *kernel, int64_t n)
{
    ((ggl_mul_mat_fused_fn *)kernel)(ck_kernels(), &bench_w, 0, 0, BENCH_OUT, bench_x, BENCH_IN, NULL, n, bench_y, BENCH_OUT, bench_scratch);
}

static void bench(void)
{
    bench_w = (struct ggl_tensor){.name = "w", .type = GGL_TYPE_BF16, .n_dims = 2, .ne = {BENCH_IN, BENCH_OUT, 1, 1}, .row_bytes = 2 * BENCH_IN};
    bench_w.slice_bytes = bench_w.row_bytes * BENCH_OUT;
    bench_w.data = calloc(1, bench_w.slice_bytes);
    bench_x = malloc(BENCH_IN * BENCH_TOKENS * sizeof(float)), bench_y = calloc(BENCH_OUT * BENCH_TOKENS, 4);
    bench_scratch = malloc(ggl_mul_mat_scratch(BENCH_IN));
    for (int64_t i = 0; bench_x && i < BENCH_IN * BENCH_TOKENS; i++) bench_x[i] = 1;
    for (int64_t n = 1; n <= BENCH_TOKENS && bench_w.data && bench_x && bench_y && bench_scratch; n *= BENCH_TOKENS) {
        const double bytes = n == 1 ? (double)bench_w.slice_bytes : (double)BENCH_IN * BENCH_OUT * (double)n;
#define KERNEL(operation, isa, symbol) ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, n, bytes);
#include "kernels/mul_mat_fused/kernels.def"
#undef KERNEL
    }
    free((void *)(uintptr_t)bench_w.data);
    free(bench_x), free(bench_y), free(bench_scratch);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/mul_mat_fused", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
