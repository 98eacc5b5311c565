/*
 * Matrix products for every type of weight: rows at the edge of a page, slices,
 * gathered vectors, strides.
 */
#include "support/checkkernel.h"
#include "support/random_weight.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IN = 512, MAX_ROWS = 150, MAX_SLICES = RANDOM_WEIGHT_SLICES };

/* Row by the definition of the format, not by ggl_tensor_decode_row: element (row, i) has the scale of its
 * tile. */
static void decode_row(const struct ggl_tensor *t, int64_t slice, int64_t row, float *y)
{
    const uint8_t *codes = ggl_tensor_slice(t, slice) + (uint64_t)row * t->row_bytes;
    if (t->type != GGL_TYPE_FP8 && t->type != GGL_TYPE_FP4 && t->type != GGL_TYPE_INT4) {
        ggl_decode(t->type, codes, y, t->ne[0]);
        return;
    }
    const uint8_t *scales = ggl_tensor_scale_slice(t, slice);
    if (t->type == GGL_TYPE_INT4) {
        ggl_int4_decode_row(codes, scales + (uint64_t)row * t->scale_row_bytes, ggl_tensor_row_scales(t, slice)[row], y, t->ne[0]);
        return;
    }
    for (int64_t i = 0; i < t->ne[0]; i++) {
        if (t->type == GGL_TYPE_FP4) {
            y[i] = ggl_e2m1_to_f32(codes[i / 2] >> (i & 1 ? 4 : 0) & 15) *
                   ggl_e8m0_to_f32(scales[(uint64_t)row * t->scale_row_bytes + (uint64_t)i / 32]);
            continue;
        }
        const uint8_t *at = scales + (uint64_t)(row / 128) * t->scale_row_bytes +
                            (uint64_t)(i / 128) * (t->scale_type == GGL_SCALE_F32 ? 4 : 1);
        float scale;
        if (t->scale_type == GGL_SCALE_F32)
            memcpy(&scale, at, 4);
        else
            scale = ggl_e8m0_to_f32(*at);
        y[i] = ggl_e4m3_to_f32(codes[i]) * scale;
    }
}

struct product {
    int64_t slice, row0, row1, n_tokens, n_vectors, x_stride, y_stride;
    float *x, *y;
    const int32_t *index;
};

static void random_product(struct product *p, const struct ggl_tensor *t)
{
    p->slice = ck_next((uint32_t)t->ne[2]);
    p->row0 = ck_next((uint32_t)t->ne[1]);
    p->row1 = p->row0 + 1 + ck_next((uint32_t)(t->ne[1] - p->row0));
    if (ck_next(3) == 0) p->row0 = 0, p->row1 = t->ne[1];
    p->n_tokens = 1 + ck_next(10);
    p->n_vectors = p->n_tokens + ck_next(3);
    p->x_stride = t->ne[0] + ck_next(2) * 3;
    p->y_stride = p->row1 - p->row0 + ck_next(2) * 5;
    p->x = ck_random((p->n_vectors - 1) * p->x_stride + t->ne[0]); /* nothing after the last vector */
    p->y = ck_f32((p->n_tokens - 1) * p->y_stride + p->row1 - p->row0);
    p->index = NULL;
    if (ck_next(2)) return;
    int32_t *index = ck_bytes((uint64_t)p->n_tokens * 4, 0);
    for (int64_t i = 0; i < p->n_tokens; i++)
        index[i] = (int32_t)ck_next((uint32_t)p->n_vectors);
    p->index = index;
}

static void check_product(const struct product *p, const struct ggl_tensor *t)
{
    float row[MAX_IN];
    for (int64_t at = 0; at < p->n_tokens * p->y_stride - (p->y_stride - (p->row1 - p->row0)); at++)
        if (at % p->y_stride >= p->row1 - p->row0 && p->y[at] == p->y[at])
            ck_fail("wrote between the rows of y");
    for (int64_t r = p->row0; r < p->row1; r++) {
        decode_row(t, p->slice, r, row);
        for (int64_t token = 0; token < p->n_tokens; token++) {
            const float *v = p->x + (p->index ? p->index[token] : token) * p->x_stride;
            double want = 0, terms = 0;
            for (int64_t i = 0; i < t->ne[0]; i++) {
                want += (double)row[i] * v[i];
                terms += fabs((double)row[i] * v[i]);
            }
            int64_t at = token * p->y_stride + r - p->row0;
            /* Decoding is exact (quant.h); then a dot product as in vec.c. */
            ck_close("y", at, p->y[at], want, ((double)t->ne[0] / GGL_LANES + 6) * CK_U * terms);
        }
    }
}

/* Results do not depend on the level: the bits are those of the plain C kernels. */
static void check_same_bits(const struct product *p, const struct ggl_tensor *t)
{
    struct ggl_kernels plain;
    ggl_kernels_pick(&plain, 0);
    float *y = ck_f32(p->n_tokens * p->y_stride), *scratch = ck_f32((int64_t)(ggl_mul_mat_scratch(t->ne[0]) + 3) / 4);
    ggl_mul_mat_f32_ref(&plain, t, p->slice, p->row0, p->row1, p->x, p->x_stride, p->index, p->n_tokens, y, p->y_stride, scratch);
    for (int64_t token = 0; token < p->n_tokens; token++)
        for (int64_t r = 0; r < p->row1 - p->row0; r++)
            ck_same("bits", r, p->y[token * p->y_stride + r], y[token * p->y_stride + r]);
}

static enum ggl_type type_under_test;
static enum ggl_scale_type scales_under_test;

static void check_mul_mat_f32(ck_kernel *kernel, int64_t n)
{
    int64_t step = type_under_test == GGL_TYPE_FP4 || type_under_test == GGL_TYPE_INT4 ? 32 : ggl_type_info(type_under_test)->block_elems;
    if (n > 40) return;
    int64_t n_in = step == 1 ? n * 8 - (int64_t)ck_next(8) : (1 + n % (MAX_IN / step)) * step;
    struct random_weight w;
    struct product p;
    random_weight(&w, type_under_test, scales_under_test, n_in, 1 + ck_next(n == 1 ? MAX_ROWS : 20),
                1 + ck_next(MAX_SLICES));
    random_product(&p, &w.t);
    uint64_t bytes = (ggl_mul_mat_scratch(n_in) + 3) / 4;
    ((ggl_mul_mat_f32_fn *)kernel)(ck_kernels(), &w.t, p.slice, p.row0, p.row1, p.x, p.x_stride, p.index,
                                   p.n_tokens, p.y, p.y_stride, ck_f32((int64_t)bytes));
    check_product(&p, &w.t);
    check_same_bits(&p, &w.t);
}

static void with_type(enum ggl_type type, enum ggl_scale_type scale_type)
{
    type_under_test = type;
    scales_under_test = scale_type;
    print_message("        %s\n", ggl_type_info(type)->name);
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/mul_mat/kernels.def"
#undef KERNEL
}

static void every_type(void **state)
{
    (void)state;
    int n_types = 0;
    for (int type = 0; type < GGL_TYPE_GGUF_END; type++) {
        const struct ggl_type_info *info = ggl_type_info((uint32_t)type);
        if (!info || !info->decode) continue;
        with_type((enum ggl_type)type, GGL_SCALE_NONE);
        n_types++;
    }
    assert_true(n_types >= 20);
    with_type(GGL_TYPE_FP8, GGL_SCALE_E8M0);
    with_type(GGL_TYPE_FP8, GGL_SCALE_F32);
    with_type(GGL_TYPE_FP4, GGL_SCALE_E8M0);
    with_type(GGL_TYPE_INT4, GGL_SCALE_NONE);
}

/* The bits of an element depend on its row and vector alone: not on the other tokens, nor on where the rows
 * begin. */
static void bits_do_not_depend_on_company(void **state)
{
    (void)state;
    enum { IN = 300, OUT = 37, TOKENS = 9 };
    static float data[IN * OUT], x[IN * TOKENS], all[OUT * TOKENS], one[OUT], scratch[1 << 16];
    for (int i = 0; i < IN * OUT; i++)
        data[i] = (float)(i * 7919 % 2003 - 1001) / 777;
    for (int i = 0; i < IN * TOKENS; i++)
        x[i] = (float)(i * 104729 % 1999 - 999) / 555;
    struct ggl_tensor t = {.name = "w",
                           .type = GGL_TYPE_F32,
                           .n_dims = 2,
                           .ne = {IN, OUT, 1, 1},
                           .row_bytes = IN * 4,
                           .slice_bytes = IN * OUT * 4,
                           .data = (const uint8_t *)data};
    struct ggl_kernels k;
    assert_true(ggl_mul_mat_scratch(IN) <= sizeof(scratch));
#define KERNEL(operation, isa, symbol)                                                         \
    if (!((isa) & ~ggl_cpu_isa())) {                                                           \
        ggl_kernels_pick(&k, isa);                                                             \
        symbol(&k, &t, 0, 0, OUT, x, IN, NULL, TOKENS, all, OUT, scratch);                     \
        for (int token = 0; token < TOKENS; token++) {                                         \
            for (int r = 0; r < OUT; r++)                                                      \
                symbol(&k, &t, 0, r, r + 1, x + token * IN, IN, NULL, 1, one + r, 1, scratch); \
            assert_memory_equal(one, all + token * OUT, sizeof(one));                          \
        }                                                                                      \
    }
#include "kernels/mul_mat/kernels.def"
#undef KERNEL
}

/* ---- broken ones: all F32 */

#define ARGS                                                                                            \
    const struct ggl_kernels *k, const struct ggl_tensor *w, int64_t slice, int64_t row0, int64_t row1, \
        const float *x, int64_t x_stride, const int32_t *index, int64_t n_tokens, float *y,             \
        int64_t y_stride, void *scratch

static void zeros(ARGS)
{
    (void)k, (void)w, (void)slice, (void)x, (void)x_stride, (void)index, (void)scratch;
    for (int64_t t = 0; t < n_tokens; t++)
        memset(y + t * y_stride, 0, (size_t)(row1 - row0) * 4);
}

static void one_nan(ARGS)
{
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
    y[0] = NAN;
}

static void last_row_left_out(ARGS)
{
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1 - 1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static void last_token_left_out(ARGS)
{
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens > 1 ? n_tokens - 1 : 1, y,
                        y_stride, scratch);
}

static void first_slice_always(ARGS)
{
    (void)slice;
    ggl_mul_mat_f32_ref(k, w, 0, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static void no_index(ARGS)
{
    (void)index;
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, NULL, n_tokens, y, y_stride, scratch);
}

static void dense_y(ARGS)
{
    (void)y_stride;
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, row1 - row0, scratch);
}

static void reads_a_row_too_much(ARGS)
{
    volatile uint8_t beyond = ggl_tensor_slice(w, slice)[(uint64_t)row1 * w->row_bytes];
    (void)beyond;
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static void first_tile_row_always(ARGS) /* FP8: the scales of rows 128 and later */
{
    struct ggl_tensor t = *w;
    t.scale_row_bytes = 0;
    ggl_mul_mat_f32_ref(k, &t, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
}

static void too_much_scratch(ARGS)
{
    ggl_mul_mat_f32_ref(k, w, slice, row0, row1, x, x_stride, index, n_tokens, y, y_stride, scratch);
    ((volatile float *)scratch)[(ggl_mul_mat_scratch(w->ne[0]) + 3) / 4] = 1;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    type_under_test = GGL_TYPE_F32;
    scales_under_test = GGL_SCALE_NONE;
    ck_must_fail("zeros", check_mul_mat_f32, (ck_kernel *)zeros);
    ck_must_fail("nan", check_mul_mat_f32, (ck_kernel *)one_nan);
    ck_must_fail("last row", check_mul_mat_f32, (ck_kernel *)last_row_left_out);
    ck_must_fail("last token", check_mul_mat_f32, (ck_kernel *)last_token_left_out);
    ck_must_fail("slice", check_mul_mat_f32, (ck_kernel *)first_slice_always);
    ck_must_fail("index", check_mul_mat_f32, (ck_kernel *)no_index);
    ck_must_fail("stride", check_mul_mat_f32, (ck_kernel *)dense_y);
    ck_must_fail("a row too much", check_mul_mat_f32, (ck_kernel *)reads_a_row_too_much);
    ck_must_fail("scratch", check_mul_mat_f32, (ck_kernel *)too_much_scratch);
    type_under_test = GGL_TYPE_FP8;
    scales_under_test = GGL_SCALE_E8M0;
    ck_must_fail("tile row", check_mul_mat_f32, (ck_kernel *)first_tile_row_always);
}

/* ---- benchmark: one token and 16, on a matrix that does not fit in the second cache */

static struct ggl_tensor bench_w;
static float *bench_x, *bench_y, *bench_scratch;

static void bench_mul_mat_f32(ck_kernel *kernel, int64_t n)
{
    ((ggl_mul_mat_f32_fn *)kernel)(ck_kernels(), &bench_w, 0, 0, bench_w.ne[1], bench_x, bench_w.ne[0], NULL,
                                   n, bench_y, bench_w.ne[1], bench_scratch);
}

static void bench_type(enum ggl_type type, enum ggl_scale_type scale_type)
{
    enum { IN = 2048, OUT = 512 };
    bench_w = (struct ggl_tensor){
        .name = "w", .type = type, .scale_type = scale_type, .n_dims = 2, .ne = {IN, OUT, 1, 1}};
    if (!ggl_row_bytes(type, IN, &bench_w.row_bytes)) return;
    bench_w.slice_bytes = bench_w.row_bytes * OUT;
    bench_w.scale_row_bytes = type == GGL_TYPE_FP8 ? IN / 128 : IN / 32;
    uint8_t *codes = malloc(bench_w.slice_bytes), *scales = malloc(bench_w.scale_row_bytes * OUT);
    if (codes && scales) {
        random_codes(type, codes, bench_w.slice_bytes);
        random_scales(GGL_SCALE_E8M0, scales, bench_w.scale_row_bytes * OUT);
        bench_w.data = codes;
        bench_w.scale = scales;
        for (int64_t n = 1; n <= 16; n *= 16) {
            printf("%s, %lld tokens\n", ggl_type_info(type)->name, (long long)n);
#define KERNEL(operation, isa, symbol) \
    ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, n, (double)bench_w.slice_bytes);
#include "kernels/mul_mat/kernels.def"
#undef KERNEL
        }
    }
    free(codes), free(scales);
}

static void bench(void)
{
    bench_x = calloc(2048 * 16, 4);
    bench_y = calloc(512 * 16, 4);
    bench_scratch = malloc(ggl_mul_mat_scratch(2048));
    for (int type = 0; bench_x && bench_y && bench_scratch && type < GGL_TYPE_GGUF_END; type++)
        if (ggl_type_info((uint32_t)type) && ggl_type_info((uint32_t)type)->decode)
            bench_type((enum ggl_type)type, GGL_SCALE_NONE);
    bench_type(GGL_TYPE_FP8, GGL_SCALE_E8M0);
    bench_type(GGL_TYPE_FP4, GGL_SCALE_E8M0);
    free(bench_x), free(bench_y), free(bench_scratch);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(bits_do_not_depend_on_company),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/mul_mat", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
