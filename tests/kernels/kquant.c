/* Panels of types that scale twice: what they hold is what quant/ decodes, and products are the bits that kquant.h
 * prescribes, for any number of tokens and rows, near those with float activations. */
#include "support/checkkernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random_weight.h"

enum { ROWS = 16, BLOCK = 256, N_TYPES = 16 };

static const enum ggl_type types[N_TYPES] = {
    GGL_TYPE_Q2_K,  GGL_TYPE_Q3_K,    GGL_TYPE_Q4_K,  GGL_TYPE_Q5_K,   GGL_TYPE_Q6_K,    GGL_TYPE_IQ4_XS, GGL_TYPE_IQ3_S,
    GGL_TYPE_IQ3_XXS, GGL_TYPE_IQ2_S, GGL_TYPE_IQ2_XS, GGL_TYPE_IQ2_XXS, GGL_TYPE_IQ1_M, GGL_TYPE_IQ1_S,
    GGL_TYPE_Q4_1,  GGL_TYPE_Q5_0,    GGL_TYPE_Q5_1,
};

/* ---- a panel by the words of kquant.h */

struct weight {
    double value, size; /* size: of what it is the difference of */
};

static float float_at(const uint8_t *p, int row)
{
    float f;
    memcpy(&f, p + 4 * row, 4);
    return f;
}

static struct weight weight_at(const struct ggl_kquant_format *f, const uint8_t *panel, int row, int64_t i)
{
    const int in_block = (int)(i % BLOCK), parts = 8 * f->parts, part = in_block / (BLOCK / parts), j = in_block % 32;
    const uint8_t *block = panel + i / BLOCK * ggl_kquant_panel_bytes(f, BLOCK);
    const uint8_t *scales = block + (f->mins ? 128 : 64), *mins = scales + 16 * parts;
    const int head = f->each ? 512 : 64 + 16 * parts;
    const uint8_t *codes = block + (f->mins ? 2 : 1) * head + in_block / 32 * (f->bits == 6 ? 384 : 256);
    int code = codes[j % 16 / 4 * 64 + 4 * row + j % 4] >> (j < 16 ? 0 : 4) & 15;
    if (f->bits == 6) code += (codes[256 + j / 16 * 64 + 4 * row + j % 4] >> 2 * (j % 16 / 4) & 3) * 16;
    else code = f->table[code];
    if (f->each) {
        const uint8_t *d = block + in_block / 32 * 64;
        double value = (double)float_at(d, row) * (code - f->bias), less = f->mins ? (double)float_at(d + 512, row) : 0;
        return (struct weight){value - less, fabs(value) + fabs(less)};
    }
    double w = (double)float_at(block, row) * (int8_t)scales[16 * part + row] * (code - f->bias);
    double min = f->mins ? (double)float_at(block + 64, row) * mins[16 * part + row] : 0;
    if (code > f->most) ck_fail("value %d of %s", code, ggl_type_info((uint32_t)f->type)->name);
    return (struct weight){w - min, fabs(w) + fabs(min)};
}

struct matrix {
    const struct ggl_kquant_format *f;
    int64_t n, row_bytes;
    int n_rows;
    uint8_t *rows;
};

static struct matrix random_matrix(int64_t length, int most_rows)
{
    uint64_t row_bytes = 0;
    struct matrix m = {.f = ggl_kquant_format(types[ck_next(N_TYPES)]), .n = BLOCK * (1 + ck_next(length > 130 ? 5 : 2))};
    m.n_rows = 1 + (int)ck_next((uint32_t)most_rows);
    if (!ggl_row_bytes((uint32_t)m.f->type, m.n, &row_bytes)) ck_fail("row bytes");
    m.row_bytes = (int64_t)row_bytes;
    m.rows = ck_bytes(row_bytes * (uint64_t)m.n_rows, ck_next(2) ? ck_next(64) : 0);
    random_codes(m.f->type, m.rows, row_bytes * (uint64_t)m.n_rows);
    return m;
}

/* ---- expanding */

static void check_kquant_expand(ck_kernel *kernel, int64_t length)
{
    struct matrix m = random_matrix(length, ROWS);
    const uint64_t bytes = (uint64_t)ggl_kquant_panel_bytes(m.f, m.n);
    uint8_t *panel = ck_bytes(bytes, 0), *want = ck_bytes(bytes, 0);
    float *w = ck_f32(m.n);
    ((ggl_kquant_expand_fn *)kernel)(m.f, m.rows, m.row_bytes, m.n_rows, m.n, panel);
    ggl_kquant_expand_ref(m.f, m.rows, m.row_bytes, m.n_rows, m.n, want);
    if (memcmp(panel, want, bytes) != 0) ck_fail("not the reference's bytes");
    for (int r = 0; r < ROWS; r++) {
        if (r < m.n_rows) ggl_decode(m.f->type, m.rows + r * m.row_bytes, w, m.n);
        else memset(w, 0, (size_t)m.n * 4);
        for (int64_t i = 0; i < m.n; i++) {
            struct weight is = weight_at(m.f, panel, r, i);
            if (!(fabs(is.value - (double)w[i]) <= 4 * CK_U * is.size))
                ck_fail("%s, row %d, input %d: %g, not %g", ggl_type_info((uint32_t)m.f->type)->name, r, (int)i, is.value, (double)w[i]);
        }
    }
}

/* ---- multiplying */

static void check_kquant_mul(ck_kernel *kernel, int64_t length)
{
    struct matrix m = random_matrix(length, 40);
    const int n_tokens = 1 + (int)ck_next(20), n_panels = (m.n_rows + ROWS - 1) / ROWS, gap = (int)ck_next(2) * 5;
    const int64_t begin = ck_next(3) ? 0 : BLOCK, width = begin + m.n + BLOCK * ck_next(2); /* a panel of some of the inputs */
    const int64_t panel_bytes = ggl_kquant_panel_bytes(m.f, m.n), stride = ggl_act_q8_bytes(width) + 64 * ck_next(2);
    uint8_t *panels = ck_bytes((uint64_t)(panel_bytes * n_panels), 0);
    int8_t *x = ck_bytes((uint64_t)(stride * n_tokens), 0);
    const int64_t y_stride = m.n_rows + gap, y_floats = y_stride * (n_tokens - 1) + m.n_rows;
    float *y = ck_f32(y_floats), *want = ck_f32(y_floats), *values = ck_random(width);
    for (int i = 0; i < n_panels; i++)
        ggl_kquant_expand_ref(m.f, m.rows + ROWS * i * m.row_bytes, m.row_bytes, m.n_rows - ROWS * i < ROWS ? m.n_rows - ROWS * i : ROWS,
                              m.n, panels + i * panel_bytes);
    for (int t = 0; t < n_tokens; t++) {
        values[begin + ck_next((uint32_t)m.n)] = (float)ck_uniform() * 100;
        ggl_act_q8_ref(values, width, x + t * stride);
    }
    const struct ggl_act_q8 inputs = {x, width, stride, begin, n_tokens};
    for (int64_t i = 0; i < y_floats && begin; i++)
        if (i % y_stride < m.n_rows) y[i] = want[i] = (float)ck_uniform();
    const float *start = ck_copy(y, y_floats);
    ((ggl_kquant_mul_fn *)kernel)(m.f, panels, m.n, &inputs, y, y_stride, m.n_rows);
    ggl_kquant_mul_ref(m.f, panels, m.n, &inputs, want, y_stride, m.n_rows);
    for (int64_t i = 0; i < y_floats; i++) {
        ck_same(ggl_type_info((uint32_t)m.f->type)->name, i, y[i], want[i]);
        if (i % y_stride >= m.n_rows && y[i] == y[i]) ck_fail("a write between the rows");
    }
    /* One of them in double: exact integers a block; a few roundings for each of its parts, then of the sum. */
    int row = (int)ck_next((uint32_t)m.n_rows), t = (int)ck_next((uint32_t)n_tokens);
    const struct ggl_act_q8_row a = ggl_act_q8_row(&inputs, t);
    double exact = begin ? (double)start[t * y_stride + row] : 0, terms = fabs(exact);
    for (int64_t i = 0; i < m.n; i++) {
        struct weight w = weight_at(m.f, panels + row / ROWS * panel_bytes, row % ROWS, i);
        double v = (double)a.codes[i] * (double)a.scales[i / 32];
        exact += w.value * v;
        terms += w.size * fabs(v);
    }
    ck_close("y", t * y_stride + row, y[t * y_stride + row], exact, ((double)m.n / BLOCK + 20) * CK_U * terms);
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/kquant/kernels.def"
#undef KERNEL
}

/* ---- the checks are checked */

#define MUL_ARGUMENTS \
    const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y, int64_t y_stride, \
        int n_rows
#define MUL() ggl_kquant_mul_ref(f, panel, n, x, y, y_stride, n_rows)

static void ignores_the_stride(MUL_ARGUMENTS)
{
    struct ggl_act_q8 first = *x;
    first.stride = ggl_act_q8_bytes(x->width);
    x = &first;
    MUL();
}

static void skips_a_row(MUL_ARGUMENTS)
{
    n_rows--;
    MUL();
}

static void writes_past_the_rows(MUL_ARGUMENTS)
{
    MUL();
    if (x->n_tokens > 1) y[n_rows] = y_stride > n_rows ? 0 : y[n_rows];
}

static void begins_anew(MUL_ARGUMENTS)
{
    for (int64_t t = 0; t < x->n_tokens; t++) memset(y + t * y_stride, 0, (size_t)n_rows * 4);
    MUL();
}

static void last_bit(MUL_ARGUMENTS)
{
    MUL();
    y[0] = nextafterf(y[0], INFINITY);
}

static void without_minima(MUL_ARGUMENTS)
{
    MUL();
    struct ggl_kquant_format other = *f;
    if (!f->mins || f->each) return;
    other.mins = false; /* and so takes minima for codes */
    ggl_kquant_mul_ref(&other, panel, n, x, y, y_stride, n_rows);
}

static void without_bias(MUL_ARGUMENTS)
{
    struct ggl_kquant_format other = *f;
    other.bias = 0;
    ggl_kquant_mul_ref(&other, panel, n, x, y, y_stride, n_rows);
}

#define EXPAND_ARGUMENTS \
    const struct ggl_kquant_format *f, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel

static void forgets_the_last_code(EXPAND_ARGUMENTS)
{
    ggl_kquant_expand_ref(f, rows, row_bytes, n_rows, n, panel);
    panel[ggl_kquant_panel_bytes(f, n) - 1] ^= 0x40;
}

static void leaves_rows(EXPAND_ARGUMENTS)
{
    ggl_kquant_expand_ref(f, rows, row_bytes, n_rows > 1 ? n_rows - 1 : 0, n, panel);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("stride", check_kquant_mul, (ck_kernel *)ignores_the_stride);
    ck_must_fail("a row", check_kquant_mul, (ck_kernel *)skips_a_row);
    ck_must_fail("past the rows", check_kquant_mul, (ck_kernel *)writes_past_the_rows);
    ck_must_fail("last bit", check_kquant_mul, (ck_kernel *)last_bit);
    ck_must_fail("a new sum", check_kquant_mul, (ck_kernel *)begins_anew);
    ck_must_fail("minima", check_kquant_mul, (ck_kernel *)without_minima);
    ck_must_fail("bias", check_kquant_mul, (ck_kernel *)without_bias);
    ck_must_fail("last code", check_kquant_expand, (ck_kernel *)forgets_the_last_code);
    ck_must_fail("rows", check_kquant_expand, (ck_kernel *)leaves_rows);
}

/* ---- how much the rounding of activations costs */

enum { WIDE = 4096, TOKENS = 128 }; /* so many that a row of large blocks does not decide */

/* Numbers as activations have them: most are small, a few a hundred times larger. */
static float heavy_tailed(void)
{
    double u = ck_uniform();
    return (float)(u / (1.02 - fabs(u)));
}

static void near_float_activations(void **state)
{
    (void)state;
    static float v[TOKENS][WIDE], w[WIDE], y[TOKENS][ROWS];
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    const int64_t stride = ggl_act_q8_bytes(WIDE);
    int8_t *x = aligned_alloc(64, (size_t)(TOKENS * stride));
    for (int i = 0; i < N_TYPES; i++) {
        const struct ggl_kquant_format *f = ggl_kquant_format(types[i]);
        uint64_t row_bytes;
        double error = 0, power = 0;
        assert_true(ggl_row_bytes((uint32_t)types[i], WIDE, &row_bytes));
        uint8_t *rows = malloc((size_t)row_bytes * ROWS), *panel = aligned_alloc(64, (size_t)ggl_kquant_panel_bytes(f, WIDE));
        random_codes(types[i], rows, row_bytes * ROWS);
        for (int t = 0; t < TOKENS; t++) {
            for (int j = 0; j < WIDE; j++) v[t][j] = heavy_tailed();
            k.act_q8(v[t], WIDE, x + t * stride);
        }
        k.kquant_expand(f, rows, (int64_t)row_bytes, ROWS, WIDE, panel);
        k.kquant_mul(f, panel, WIDE, &(struct ggl_act_q8){x, WIDE, stride, 0, TOKENS}, y[0], ROWS, ROWS);
        for (int r = 0; r < ROWS; r++) {
            ggl_decode(types[i], rows + (uint64_t)r * row_bytes, w, WIDE);
            for (int t = 0; t < TOKENS; t++) {
                double want = 0;
                for (int j = 0; j < WIDE; j++) want += (double)w[j] * (double)v[t][j];
                error += ((double)y[t][r] - want) * ((double)y[t][r] - want);
                power += want * want;
            }
        }
        print_message("%-8s NMSE %.2g\n", ggl_type_info((uint32_t)types[i])->name, error / power);
        assert_true(error / power <= 2e-4);
        free(rows);
        free(panel);
    }
    free(x);
}

static void other_types_have_none(void **state)
{
    (void)state;
    int n = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        const struct ggl_kquant_format *f = ggl_kquant_format((enum ggl_type)i);
        n += f != NULL;
        if (f) assert_int_equal(ggl_kquant_panel_bytes(f, BLOCK) % 64, 0);
    }
    assert_int_equal(n, N_TYPES);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught),
                                      cmocka_unit_test(near_float_activations), cmocka_unit_test(other_types_have_none)};
    return cmocka_run_group_tests_name("kernels/kquant", list, NULL, NULL);
}

/* ---- speed: 64 rows, from cache */

enum { BENCH_ROWS = 64 };

static struct {
    const struct ggl_kquant_format *f;
    uint8_t *rows, *panels;
    int8_t *x;
    float *y;
    int64_t row_bytes;
    int tokens;
} bench;

static void bench_mul(ck_kernel *kernel, int64_t n)
{
    const struct ggl_act_q8 x = {bench.x, n, ggl_act_q8_bytes(n), 0, bench.tokens};
    ((ggl_kquant_mul_fn *)kernel)(bench.f, bench.panels, n, &x, bench.y, BENCH_ROWS, BENCH_ROWS);
}

static void bench_expand(ck_kernel *kernel, int64_t n)
{
    for (int i = 0; i < BENCH_ROWS / ROWS; i++)
        ((ggl_kquant_expand_fn *)kernel)(bench.f, bench.rows + i * ROWS * bench.row_bytes, bench.row_bytes, ROWS, n,
                                         bench.panels + i * ggl_kquant_panel_bytes(bench.f, n));
}

static void bench_all(void)
{
    static const int tokens[] = {1, 2, 8, 64};
    const int64_t n = 2048;
    bench.x = aligned_alloc(64, (size_t)(64 * ggl_act_q8_bytes(n)));
    bench.y = malloc(64 * BENCH_ROWS * 4);
    float *v = malloc((size_t)n * 4);
    for (int t = 0; t < 64; t++) {
        for (int64_t i = 0; i < n; i++) v[i] = (float)ck_uniform();
        ggl_act_q8_ref(v, n, bench.x + t * ggl_act_q8_bytes(n));
    }
    for (int i = 0; i < N_TYPES; i++) {
        uint64_t row_bytes;
        bench.f = ggl_kquant_format(types[i]);
        if (!ggl_row_bytes((uint32_t)types[i], n, &row_bytes)) continue;
        bench.row_bytes = (int64_t)row_bytes;
        bench.rows = malloc((size_t)row_bytes * BENCH_ROWS);
        bench.panels = aligned_alloc(64, (size_t)(ggl_kquant_panel_bytes(bench.f, n) * BENCH_ROWS / ROWS));
        random_codes(types[i], bench.rows, row_bytes * BENCH_ROWS);
        printf("%s, %d rows: expand, then products with", ggl_type_info((uint32_t)types[i])->name, BENCH_ROWS);
        for (int t = 0; t < 4; t++) printf(" %d", tokens[t]);
        printf(" tokens; bytes are the file's\n");
        for (int t = -1; t < 4; t++) {
            const double bytes = (double)row_bytes * BENCH_ROWS * (t < 0 ? 1 : tokens[t]);
            bench.tokens = t < 0 ? 0 : tokens[t];
#define KERNEL(operation, isa, symbol)                                                                                 \
    if ((strcmp(#operation, "kquant_mul") == 0) == (t >= 0))                                                           \
        ck_bench(#symbol, isa, t < 0 ? bench_expand : bench_mul, (ck_kernel *)symbol, n, bytes);
#include "kernels/kquant/kernels.def"
#undef KERNEL
        }
        free(bench.rows);
        free(bench.panels);
    }
    free(v);
    free(bench.x);
    free(bench.y);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench_all);
}
