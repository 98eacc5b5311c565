/*
 * Attention against a softmax in double over all rows at once, whatever the tiles they came in.
 */
#include "support/checkkernel.h"

#include <math.h>
#include <string.h>

/* An implementation is three functions that share a state. */
struct kernel {
    ggl_attention_begin_fn *begin;
    ggl_attention_tile_fn *tile;
    ggl_attention_end_fn *end;
};

struct problem {
    int n_head, n_rows;
    int64_t n_dim;
    float *q, *rows, *sinks;
};

static void run(const struct kernel *fn, const struct ggl_kernels *k, const struct problem *p, float *out, float *state)
{
    struct ggl_attention_state s = {p->n_head, (int)p->n_dim, (float)(1 / sqrt((double)p->n_dim)),
                                    out,       state,         state + p->n_head};
    fn->begin(&s);
    for (int i = 0; i < p->n_rows; i += GGL_ATTENTION_TILE) {
        int n = p->n_rows - i < GGL_ATTENTION_TILE ? p->n_rows - i : GGL_ATTENTION_TILE;
        fn->tile(k, &s, p->q, p->rows + i * p->n_dim, n);
    }
    fn->end(&s, p->sinks);
}

/* Head h's output in double, and how far a float one may be from it. */
static void exact(const struct problem *p, int h, double *want, double *bound)
{
    double score[300], max = p->sinks[h], sum = 0, error = 0, scale = 1 / sqrt((double)p->n_dim);
    for (int i = 0; i < p->n_rows; i++) {
        double s = 0, terms = 0;
        for (int64_t d = 0; d < p->n_dim; d++) {
            double t = (double)p->q[h * p->n_dim + d] * p->rows[i * p->n_dim + d];
            s += t;
            terms += fabs(t);
        }
        score[i] = s * scale;
        max = fmax(max, score[i]);
        /* The dot product's error (vec.c), its scaling, the difference to the maximum: an absolute error of
         * the argument of exp is a relative one of the weight. */
        error = fmax(error, (((double)p->n_dim / GGL_LANES + 8) * terms * scale + 2 * fabs(score[i])) * CK_U);
    }
    for (int64_t d = 0; d < p->n_dim; d++)
        want[d] = bound[d] = 0;
    for (int i = 0; i < p->n_rows; i++) {
        double w = exp(score[i] - max);
        sum += w;
        for (int64_t d = 0; d < p->n_dim; d++) {
            want[d] += w * p->rows[i * p->n_dim + d];
            bound[d] += w * fabs((double)p->rows[i * p->n_dim + d]);
        }
    }
    sum += exp(p->sinks[h] - max);
    /* Weights above and below the line; n_rows sums and a rescaling a tile (exp 2 units, difference and
     * product 4) on both; exp of each weight; the ends. */
    int tiles = (p->n_rows + GGL_ATTENTION_TILE - 1) / GGL_ATTENTION_TILE;
    double k = 2 * error + 2 * (p->n_rows + 8 * tiles + 8 + 2 * fabs(max)) * CK_U;
    for (int64_t d = 0; d < p->n_dim; d++) {
        want[d] /= sum;
        bound[d] = bound[d] / sum * k;
    }
}

static const struct kernel *under_test;

static void check(ck_kernel *unused, int64_t n)
{
    (void)unused;
    static const int edges[] = {1, 2, 63, 64, 65, 127, 128, 129, 192, 193};
    if (n > 130) return;
    struct problem p = {.n_head = 1 + (int)ck_next(5), .n_rows = edges[ck_next(10)], .n_dim = n};
    p.q = ck_random(p.n_head * n);
    p.rows = ck_random(p.n_rows * n);
    p.sinks = ck_random(p.n_head);
    float magnitude = (float)(1 << ck_next(4)), far_sink = ck_next(2) ? 40 : -40;
    for (int64_t i = 0; i < p.n_head * n; i++)
        p.q[i] *= magnitude;
    if (ck_next(2)) p.sinks[0] = far_sink; /* above or below every score */
    float *out = ck_f32(p.n_head * n), *state = ck_f32(2 * p.n_head);
    run(under_test, ck_kernels(), &p, out, state);
    for (int h = 0; h < p.n_head; h++) {
        double want[130], bound[130];
        exact(&p, h, want, bound);
        for (int64_t d = 0; d < n; d++)
            ck_close("out", h * n + d, out[h * n + d], want[d], bound[d]);
    }
}

/* Every implementation of one operation, together with the references of the other two. */
enum { MAX_KERNELS = 16 };
static struct kernel kernels[MAX_KERNELS];
static const char *names[MAX_KERNELS];
static uint64_t levels[MAX_KERNELS];
static int n_kernels;

static void add(uint64_t isa, const char *name, struct kernel k)
{
    assert_true(n_kernels < MAX_KERNELS);
    levels[n_kernels] = isa;
    names[n_kernels] = name;
    kernels[n_kernels++] = k;
}

static void collect(void)
{
    n_kernels = 0;
#define KERNEL_attention_begin(symbol) (struct kernel){symbol, ggl_attention_tile_ref, ggl_attention_end_ref}
#define KERNEL_attention_tile(symbol)  (struct kernel){ggl_attention_begin_ref, symbol, ggl_attention_end_ref}
#define KERNEL_attention_end(symbol)   (struct kernel){ggl_attention_begin_ref, ggl_attention_tile_ref, symbol}
#define KERNEL(operation, isa, symbol) add(isa, #symbol, KERNEL_##operation(symbol));
#include "kernels/attention/kernels.def"
#undef KERNEL
}

static void every_kernel(void **state)
{
    (void)state;
    collect();
    for (int i = 0; i < n_kernels; i++) {
        under_test = &kernels[i];
        ck_run(names[i], levels[i], check, NULL);
    }
}

/* Widths of real heads, where tiles of heads, rows and dimensions are full: the reference's bits. */
static void same_bits_at_real_widths(void **state)
{
    (void)state;
    enum { HEADS = 7, ROWS = 131, MAX_DIM = 512 };
    static float q[HEADS * MAX_DIM], rows[ROWS * MAX_DIM], st[2 * HEADS], out[2][HEADS * MAX_DIM];
    static const int dims[] = {64, 128, 192, 448, 512};
    float sinks[HEADS] = {0, 1, -1, 30, -30, 2, 3};
    const struct kernel reference = {ggl_attention_begin_ref, ggl_attention_tile_ref, ggl_attention_end_ref};
    struct ggl_kernels k;
    ggl_kernels_pick(&k, 0);
    collect();
    for (int i = 0; i < HEADS * MAX_DIM; i++) q[i] = (float)ck_uniform();
    for (int i = 0; i < ROWS * MAX_DIM; i++) rows[i] = (float)ck_uniform();
    for (int i = 0; i < n_kernels; i++) {
        if (levels[i] & ~ggl_cpu_isa()) continue;
        for (int heads = 1; heads <= HEADS; heads++)
            for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++) {
                struct problem p = {heads, ROWS, dims[d], q, rows, sinks};
                run(&reference, &k, &p, out[0], st);
                run(&kernels[i], &k, &p, out[1], st);
                assert_memory_equal(out[0], out[1], sizeof(float) * (size_t)(heads * dims[d]));
            }
    }
}

/* One long row list at the model's width, where the dot products are long. */
static void a_whole_head(void **state)
{
    (void)state;
    enum { DIM = 512, ROWS = 257 };
    static float q[DIM], rows[ROWS * DIM], st[2], out[DIM], sinks[1] = {0.5f};
    static double want[DIM], bound[DIM];
    uint32_t seed = 12345;
    for (int i = 0; i < ROWS * DIM; i++) {
        seed = seed * 1664525 + 1013904223;
        rows[i] = (float)(int32_t)seed * 0x1p-31f;
        if (i < DIM) q[i] = 4 * rows[i];
    }
    struct problem p = {1, ROWS, DIM, q, rows, sinks};
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    const struct kernel best = {k.attention_begin, k.attention_tile, k.attention_end};
    run(&best, &k, &p, out, st);
    exact(&p, 0, want, bound);
    for (int d = 0; d < DIM; d++)
        assert_true(fabs((double)out[d] - want[d]) <= bound[d]);
}

/* A NaN in a row must show in the output, not be skipped. */
static void nan_shows(void **state)
{
    (void)state;
    collect();
    for (int i = 0; i < n_kernels; i++) {
        if (levels[i] & ~ggl_cpu_isa()) continue;
        float q[4] = {1, 1, 1, 1}, rows[12] = {1, 2, 3, 4, 5, NAN, 7, 8, 9, 1, 2, 3}, sinks[1] = {0}, st[2],
              out[4];
        struct problem p = {1, 3, 4, q, rows, sinks};
        struct ggl_kernels k;
        ggl_kernels_pick(&k, ggl_cpu_isa());
        run(&kernels[i], &k, &p, out, st);
        for (int d = 0; d < 4; d++)
            assert_true(isnan(out[d]));
    }
}

/* ---- broken ones */

static void end_without_sink(struct ggl_attention_state *s, const float *sinks)
{
    (void)sinks;
    for (int64_t i = 0; i < (int64_t)s->n_head * s->n_dim; i++)
        s->acc[i] /= s->sum[i / s->n_dim];
}

static void end_scaled_sink(struct ggl_attention_state *s, const float *sinks)
{
    float scaled[8];
    for (int h = 0; h < s->n_head; h++)
        scaled[h] = sinks[h] * s->scale;
    ggl_attention_end_ref(s, scaled);
}

static void end_overflows(struct ggl_attention_state *s, const float *sinks)
{
    for (int h = 0; h < s->n_head; h++)
        for (int i = 0; i < s->n_dim; i++)
            s->acc[h * s->n_dim + i] /= s->sum[h] + expf(3 * (sinks[h] - s->max[h]));
}

static void tile_keeps_maximum(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q,
                               const float *rows, int n)
{
    float sum[8];
    memcpy(sum, s->sum, (size_t)s->n_head * 4);
    ggl_attention_tile_ref(k, s, q, rows, n);
    for (int h = 0; h < s->n_head; h++)
        s->sum[h] += sum[h] * 1e-3f; /* not shrunk enough */
}

static void tile_drops_row_64(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q,
                              const float *rows, int n)
{
    ggl_attention_tile_ref(k, s, q, rows, n == GGL_ATTENTION_TILE ? n - 1 : n);
}

static void tile_one_past(const struct ggl_kernels *k, struct ggl_attention_state *s, const float *q,
                          const float *rows, int n)
{
    volatile float beyond = rows[(int64_t)n * s->n_dim];
    (void)beyond;
    ggl_attention_tile_ref(k, s, q, rows, n);
}

static void must_fail(const char *what, ggl_attention_tile_fn *tile, ggl_attention_end_fn *end)
{
    const struct kernel broken = {ggl_attention_begin_ref, tile, end};
    under_test = &broken;
    ck_must_fail(what, check, NULL);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    must_fail("no sink", ggl_attention_tile_ref, end_without_sink);
    must_fail("scaled sink", ggl_attention_tile_ref, end_scaled_sink);
    must_fail("overflow", ggl_attention_tile_ref, end_overflows);
    must_fail("maximum", tile_keeps_maximum, ggl_attention_end_ref);
    must_fail("row 64", tile_drops_row_64, ggl_attention_end_ref);
    must_fail("one past", tile_one_past, ggl_attention_end_ref);
}

enum { BENCH_HEADS = 8, BENCH_DIM = 512 };
static _Alignas(64) float bench_rows[GGL_ATTENTION_TILE * BENCH_DIM], bench_acc[BENCH_HEADS * BENCH_DIM];

static void bench_tile(ck_kernel *kernel, int64_t n)
{
    static float st[2 * BENCH_HEADS];
    struct ggl_attention_state s = {BENCH_HEADS, BENCH_DIM, 0.04419417f, bench_acc, st, st + BENCH_HEADS};
    ((ggl_attention_tile_fn *)kernel)(ck_kernels(), &s, bench_rows, bench_rows, (int)n);
}

static void bench(void)
{
    for (int i = 0; i < GGL_ATTENTION_TILE * BENCH_DIM; i++)
        bench_rows[i] = (float)(i % 17) * 0.0625f - 0.5f;
    /* bytes: each head reads the rows twice */
#undef KERNEL_attention_tile
#define KERNEL_attention_tile(isa, symbol)                                                                             \
    ck_bench(#symbol, isa, bench_tile, (ck_kernel *)symbol, GGL_ATTENTION_TILE, 2.0 * BENCH_HEADS * sizeof(bench_rows));
#undef KERNEL_attention_begin
#undef KERNEL_attention_end
#define KERNEL_attention_begin(isa, symbol)
#define KERNEL_attention_end(isa, symbol)
#define KERNEL(operation, isa, symbol) KERNEL_##operation(isa, symbol)
#include "kernels/attention/kernels.def"
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(same_bits_at_real_widths),
        cmocka_unit_test(a_whole_head),
        cmocka_unit_test(nan_shows),
        cmocka_unit_test(broken_ones_are_caught),
    };
    return cmocka_run_group_tests_name("kernels/attention", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
