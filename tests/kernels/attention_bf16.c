/*
 * Attention with BF16 queries and weights: tiles are laid out as the header says, the sums are near a softmax in double
 * over the rounded queries, and every level gives the same bits.
 */
#include "support/checkkernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "quant/quant.h"

/* The level that adds in steps. */
#if GGL_ARCH_X86
#define AMX ggl_attention_tile_bf16_amx
#else
#define AMX NULL
#endif

enum { TILE = GGL_ATTENTION_TILE, MAX_DIM = 576 };

/* ---- layout */

static struct ggl_row_format random_format(int64_t n)
{
    if (n % 4 == 0) return ggl_row_format(GGL_ROW_FLOAT, 2 * (1 + (int32_t)ck_next(100)), 0);
    int32_t n_rope = 2 * (int32_t)ck_next(33);
    if (ck_next(2)) n_rope = 32 * (int32_t)ck_next(3); /* a width that the fast kernels take */
    return ggl_row_format(GGL_ROW_KV, 64 * (1 + (int32_t)(n % 8)) + n_rope, n_rope);
}

static void check_attention_pack(ck_kernel *kernel, int64_t length)
{
    if (length > 130) return;
    struct ggl_row_format f = random_format(length);
    int n = 1 + (int)ck_next(TILE), used = (n + 15) / 16 * 16;
    const uint8_t *rows[TILE];
    uint8_t *all = ck_bytes((uint64_t)n * f.bytes, f.kind == GGL_ROW_FLOAT ? 4 * ck_next(4) : ck_next(64));
    for (uint64_t b = 0; b < (uint64_t)n * f.bytes; b++) all[b] = (uint8_t)ck_next(256);
    for (int i = 0; i < n; i++) rows[i] = all + (uint64_t)(n - 1 - i) * f.bytes;
    uint64_t bytes = (uint64_t)used * (uint64_t)f.n_dim * 2; /* and not a byte more */
    uint16_t *keys = ck_bytes(bytes, 0), *values = ck_bytes(bytes, 0);
    ((ggl_attention_pack_fn *)kernel)(&f, rows, n, keys, values);
    for (int i = 0; i < used; i++) {
        float x[MAX_DIM] = {0};
        if (i < n) ggl_row_decode(&f, rows[i], x);
        for (int d = 0; d < f.n_dim; d++) {
            float want = ggl_bf16_to_f32(ggl_bf16_from_f32(x[d]));
            ck_same("key", d, ggl_bf16_to_f32(keys[((i / 16 * f.n_dim / 2 + d / 2) * 16 + i % 16) * 2 + d % 2]), want);
            ck_same("value", d, ggl_bf16_to_f32(values[(i / 2 * f.n_dim + d) * 2 + i % 2]), want);
        }
    }
}

/* ---- sums */

struct problem {
    int n_head, n_rows, n_dim;
    uint16_t *q;
    uint8_t *rows; /* as floats */
    uint16_t *keys, *values; /* all tiles */
};

static struct problem random_problem(int64_t length)
{
    static const int edges[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 193};
    struct problem p = {.n_head = 1 + (int)ck_next(ck_next(8) ? 6 : 40), .n_rows = edges[ck_next(12)], .n_dim = 2 * (int)length};
    if (ck_next(2)) p.n_dim = 64 * (1 + (int)ck_next(4));
    struct ggl_row_format f = ggl_row_format(GGL_ROW_FLOAT, p.n_dim, 0);
    float *q = ck_random(p.n_head * p.n_dim), magnitude = (float)(1 << ck_next(4));
    for (int i = 0; i < p.n_head * p.n_dim; i++) q[i] *= magnitude;
    p.q = ck_bytes((uint64_t)(p.n_head * p.n_dim) * 2, 0);
    for (int i = 0; i < p.n_head * p.n_dim; i++) p.q[i] = ggl_bf16_from_f32(q[i]);
    float *x = ck_random(p.n_rows * p.n_dim);
    for (int i = 0; i < p.n_rows * p.n_dim; i++) x[i] = ggl_bf16_to_f32(ggl_bf16_from_f32(x[i]));
    p.rows = (uint8_t *)x;
    int tiles = (p.n_rows + TILE - 1) / TILE;
    uint64_t bytes = (uint64_t)(tiles * ggl_attention_pack_values(p.n_dim)) * 2;
    p.keys = ck_bytes(bytes, 0), p.values = ck_bytes(bytes, 0);
    memset(p.keys, 0xff, bytes), memset(p.values, 0xff, bytes); /* NaN where nothing is laid out */
    for (int t = 0; t < tiles; t++) {
        const uint8_t *rows[TILE];
        int n = p.n_rows - t * TILE < TILE ? p.n_rows - t * TILE : TILE;
        for (int i = 0; i < n; i++) rows[i] = p.rows + (uint64_t)(t * TILE + i) * f.bytes;
        ggl_attention_pack_ref(&f, rows, n, p.keys + t * ggl_attention_pack_values(p.n_dim),
                               p.values + t * ggl_attention_pack_values(p.n_dim));
    }
    return p;
}

static void run(ggl_attention_tile_bf16_fn *tile, const struct problem *p, const float *sinks, float *out)
{
    float *state = ck_f32(2 * p->n_head);
    struct ggl_attention_state s = {p->n_head, p->n_dim, (float)(1 / sqrt((double)p->n_dim)), out, state, state + p->n_head};
    ggl_attention_begin_ref(&s);
    for (int i = 0; i < p->n_rows; i += TILE) {
        int64_t at = i / TILE * ggl_attention_pack_values(p->n_dim);
        tile(&s, p->q, p->keys + at, p->values + at, p->n_rows - i < TILE ? p->n_rows - i : TILE);
    }
    ggl_attention_end_ref(&s, sinks);
}

static void exact(const struct problem *p, int h, float sink, double *want, double *bound)
{
    const float *rows = (const float *)(const void *)p->rows;
    double score[200], max = sink, sum = 0, error = 0, scale = 1 / sqrt((double)p->n_dim);
    for (int i = 0; i < p->n_rows; i++) {
        double s = 0, terms = 0;
        for (int d = 0; d < p->n_dim; d++) {
            double t = (double)ggl_bf16_to_f32(p->q[h * p->n_dim + d]) * (double)rows[i * p->n_dim + d];
            s += t, terms += fabs(t);
        }
        score[i] = s * scale;
        max = fmax(max, score[i]);
        /* n_dim sums, the scaling, the difference to the maximum: an absolute error of exp's argument. */
        error = fmax(error, ((p->n_dim + 4) * terms * scale + 2 * fabs(score[i])) * CK_U);
    }
    for (int d = 0; d < p->n_dim; d++) want[d] = bound[d] = 0;
    for (int i = 0; i < p->n_rows; i++) {
        double w = exp(score[i] - max);
        sum += w;
        for (int d = 0; d < p->n_dim; d++) {
            want[d] += w * (double)rows[i * p->n_dim + d];
            bound[d] += w * fabs((double)rows[i * p->n_dim + d]);
        }
    }
    sum += exp((double)sink - max);
    /* As in attention.c, and a weight in BF16 is off by 2^-9, above the line and below it. */
    int tiles = (p->n_rows + TILE - 1) / TILE;
    double k = 2 * (error + (p->n_rows + 8 * tiles + 8 + 2 * fabs(max)) * CK_U + 0x1p-9);
    for (int d = 0; d < p->n_dim; d++) {
        want[d] /= sum;
        bound[d] = bound[d] / sum * k + 1e-30;
    }
}

static void check_attention_tile_bf16(ck_kernel *kernel, int64_t length)
{
    if (length > 130 || (length > 20 && length % 9)) return; /* the reference is slow */
    struct problem p = random_problem(length);
    float *sinks = ck_random(p.n_head), *out = ck_f32(p.n_head * p.n_dim), *same = ck_f32(p.n_head * p.n_dim);
    if (ck_next(2)) sinks[0] = ck_next(2) ? 40 : -40; /* above or below every score */
    run((ggl_attention_tile_bf16_fn *)kernel, &p, sinks, out);
    run(kernel == (ck_kernel *)AMX ? ggl_attention_tile_steps_ref : ggl_attention_tile_bf16_ref, &p, sinks, same);
    for (int h = 0; h < p.n_head; h++) {
        double want[MAX_DIM], bound[MAX_DIM];
        exact(&p, h, sinks[h], want, bound);
        for (int d = 0; d < p.n_dim; d++) {
            ck_close("out", h * p.n_dim + d, out[h * p.n_dim + d], want[d], bound[d]);
            ck_same("bits", h * p.n_dim + d, out[h * p.n_dim + d], same[h * p.n_dim + d]);
        }
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/attention_bf16/kernels.def"
#undef KERNEL
}

/* ---- broken ones */

static void second_layout_missing(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    uint16_t first = values[0];
    ggl_attention_pack_ref(f, rows, n, keys, values);
    values[0] = (uint16_t)(first ^ 1);
}

static void lacking_rows_left(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    uint16_t last = values[(n + 15) / 16 * 16 * f->n_dim - 1];
    ggl_attention_pack_ref(f, rows, n, keys, values);
    if (n % 16) values[(n + 15) / 16 * 16 * f->n_dim - 1] = (uint16_t)(last | 1);
}

static void last_row_left_out(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    ggl_attention_tile_bf16_ref(s, q, keys, values, n > 1 ? n - 1 : n);
}

static void never_shrinks(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    float max[8];
    memcpy(max, s->max, sizeof(float) * (size_t)s->n_head);
    for (int h = 0; h < s->n_head; h++)
        if (s->sum[h] > 0) s->max[h] = -3.0e38f;
    float sum[8];
    memcpy(sum, s->sum, sizeof(float) * (size_t)s->n_head);
    ggl_attention_tile_bf16_ref(s, q, keys, values, n);
    for (int h = 0; h < s->n_head; h++) s->sum[h] += sum[h];
}

static void one_head_less(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    struct ggl_attention_state less = *s;
    less.n_head--;
    ggl_attention_tile_bf16_ref(&less, q, keys, values, n);
}

static void values_swapped(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    (void)values;
    ggl_attention_tile_bf16_ref(s, q, keys, keys, n);
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("second layout", check_attention_pack, (ck_kernel *)second_layout_missing);
    ck_must_fail("lacking rows", check_attention_pack, (ck_kernel *)lacking_rows_left);
    ck_must_fail("last row", check_attention_tile_bf16, (ck_kernel *)last_row_left_out);
    ck_must_fail("shrink", check_attention_tile_bf16, (ck_kernel *)never_shrinks);
    ck_must_fail("head", check_attention_tile_bf16, (ck_kernel *)one_head_less);
    ck_must_fail("values", check_attention_tile_bf16, (ck_kernel *)values_swapped);
}

/* ---- benchmark: one tile of the published model; GB/s of the sums are multiply-adds in disguise */

enum { BENCH_DIM = 512, BENCH_HEADS = 64 };
static uint8_t bench_rows[TILE][583];
static _Alignas(64) uint16_t bench_keys[TILE * BENCH_DIM], bench_values[TILE * BENCH_DIM], bench_q[BENCH_HEADS * BENCH_DIM];
static _Alignas(64) float bench_acc[BENCH_HEADS * BENCH_DIM], bench_state[2 * BENCH_HEADS];

static void bench_attention_pack(ck_kernel *kernel, int64_t n)
{
    const struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, BENCH_DIM, 64);
    const uint8_t *rows[TILE];
    for (int i = 0; i < TILE; i++) rows[i] = bench_rows[i];
    ((ggl_attention_pack_fn *)kernel)(&f, rows, (int)n, bench_keys, bench_values);
}

static void bench_attention_tile_bf16(ck_kernel *kernel, int64_t n)
{
    struct ggl_attention_state s = {BENCH_HEADS, BENCH_DIM, 0.04f, bench_acc, bench_state, bench_state + BENCH_HEADS};
    ggl_attention_begin_ref(&s);
    ((ggl_attention_tile_bf16_fn *)kernel)(&s, bench_q, bench_keys, bench_values, (int)n);
}

static void bench(void)
{
    const struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, BENCH_DIM, 64);
    for (int i = 0; i < TILE; i++) ggl_row_random(&f, (uint64_t)i, bench_rows[i]);
    for (int i = 0; i < BENCH_HEADS * BENCH_DIM; i++) bench_q[i] = ggl_bf16_from_f32((float)ck_uniform());
#define BYTES_attention_pack      (TILE * 583.0)
#define BYTES_attention_tile_bf16 (2.0 * TILE * BENCH_DIM * BENCH_HEADS)
#define KERNEL(operation, isa, symbol) ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, TILE, BYTES_##operation);
#include "kernels/attention_bf16/kernels.def"
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/attention_bf16", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
