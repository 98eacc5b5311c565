/*
 * Attention with queries, rows and weights of 16 bits: queries and tiles are laid out as the header says, the sums are near a
 * softmax in double over what they hold, and every level gives the same bits, or those of its twin in plain C.
 */
#include "support/checkkernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/attention16/halves.h"
#include "quant/quant.h"

enum { TILE = GGL_ATTENTION_TILE, MAX_DIM = 576, MAX_ROWS = 193 };

/* ---- levels */

/* The level of an implementation; broken ones, below, stand for plain C or for halves. */
static bool broken_halves(ck_kernel *kernel);

static uint64_t level_of(ck_kernel *kernel)
{
#define KERNEL(operation, isa, symbol) \
    if (kernel == (ck_kernel *)symbol) return (isa);
#include "kernels/attention16/kernels.def"
#undef KERNEL
    return broken_halves(kernel) ? GGL_ISA_AVX512FP16 : 0;
}

static bool in_halves(ck_kernel *kernel)
{
    return level_of(kernel) & GGL_ISA_AVX512FP16;
}

/* The three operations in plain C, as a level has them. */
struct twins {
    bool halves;
    ggl_attention16_query_fn *query;
    ggl_attention16_pack_fn *pack;
    ggl_attention16_tile_fn *tile;
};

static struct twins twins_of(bool halves)
{
    if (halves)
        return (struct twins){true, ggl_attention16_query_halves_ref, ggl_attention16_pack_halves_ref, ggl_attention16_tile_halves_ref};
    return (struct twins){false, ggl_attention16_query_ref, ggl_attention16_pack_ref, ggl_attention16_tile_ref};
}

/* What head h's query is, dimension d. */
static float query(bool halves, const uint16_t *q, int n_head, int n_dim, int h, int d)
{
    if (!halves) return ggl_bf16_to_f32(q[h * n_dim + d]);
    float factor;
    memcpy(&factor, q + (n_head + 15) / 16 * 16 * n_dim + 2 * h, 4);
    return ggl_f16_to_f32(q[((h / 16 * n_dim / 2 + d / 2) * 16 + h % 16) * 2 + d % 2]) * factor;
}

static float half_in_row(const uint16_t *keys, const uint16_t *values, int n_dim, int row, int d)
{
    return ggl_f16_to_f32(keys[ggl_half_row_at(n_dim, row, d / 128 * 128) + d % 128]) * ggl_row_factor(values, row);
}

/* ---- queries */

static void check_attention16_query(ck_kernel *kernel, int64_t length)
{
    if (length > 130) return;
    const bool halves = in_halves(kernel);
    const int n_dim = ck_next(2) ? 2 * (int)length : 64 * (1 + (int)ck_next(5)), n_head = 1 + (int)ck_next(20);
    const int kind = (int)ck_next(8);
    float *q = ck_random(n_head * n_dim);
    q[0] = (float[]){INFINITY, NAN, 0x1p100f, 0x1p99f, 1e-41f, -0.0f, 1e6f, 1}[kind];
    const uint64_t numbers = halves ? (uint64_t)ggl_attention16_queries(n_head, n_dim) : (uint64_t)(n_head * n_dim);
    uint16_t *out = ck_bytes(2 * numbers, 4 * ck_next(16)), *want = ck_bytes(2 * numbers, 0);
    ((ggl_attention16_query_fn *)kernel)(ck_kernels(), q, n_head, n_dim, out);
    twins_of(halves).query(ck_kernels(), q, n_head, n_dim, want);
    if (memcmp(out, want, 2 * numbers)) ck_fail("not the bits of plain C");
    for (int h = 0; h < n_head; h++) {
        double most = 0;
        for (int d = 0; d < n_dim; d++) most = fmax(most, fabs((double)q[h * n_dim + d]));
        for (int d = 0; d < n_dim && (h || kind > 2); d++) /* half a step, or half of the smallest one; all of what is below 2^-100 */
            ck_close("query", h * n_dim + d, query(halves, out, n_head, n_dim, h, d), (double)q[h * n_dim + d],
                     0x1p-8 * fabs((double)q[h * n_dim + d]) + 0x1p-31 * most + 0x1p-100);
    }
    if (halves && kind < 3 && isfinite(query(halves, out, n_head, n_dim, 0, 0))) ck_fail("what is no number is lost");
}

/* ---- rows */

static struct ggl_row_format random_format(int64_t n)
{
    if (n % 4 == 0) return ggl_row_format(GGL_ROW_FLOAT, 2 * (1 + (int32_t)ck_next(100)), 0);
    int32_t n_rope = 2 * (int32_t)ck_next(33);
    if (ck_next(2)) n_rope = 32 * (int32_t)ck_next(3); /* a width that the fast kernels take */
    return ggl_row_format(GGL_ROW_KV, 64 * (1 + (int32_t)(n % 8)) + n_rope, n_rope);
}

/* Scales and rotary parts as models have them, instead of any; now and then a code that is no number. */
static void make_sane(const struct ggl_row_format *f, uint8_t *row)
{
    const int nope = f->n_dim - f->n_rope, center = 10 + (int)ck_next(240), spread = ck_next(4) ? 6 : 60;
    for (int d = 0; d < nope; d++)
        if ((row[d] & 127) == 127 && ck_next(2000)) row[d]--;
    for (int b = 0; b < nope / 64; b++) {
        const int code = center + (int)ck_next((uint32_t)spread);
        row[nope + b] = (uint8_t)(code > 254 ? 254 : code);
    }
    for (int d = 0; d < f->n_rope; d++) {
        uint16_t h;
        memcpy(&h, row + nope + nope / 64 + 2 * d, 2);
        const int code = center + (int)ck_next(16);
        h = (uint16_t)((h & 0x807f) | (code > 254 ? 254 : code) << 7);
        memcpy(row + nope + nope / 64 + 2 * d, &h, 2);
    }
}

static void check_bf16_rows(const struct ggl_row_format *f, const uint8_t *const *rows, int n, const uint16_t *keys, const uint16_t *values)
{
    for (int i = 0; i < (n + 15) / 16 * 16; i++) {
        float x[MAX_DIM] = {0};
        if (i < n) ggl_row_decode(f, rows[i], x);
        for (int d = 0; d < f->n_dim; d++) {
            float want = ggl_bf16_to_f32(ggl_bf16_from_f32(x[d]));
            ck_same("key", d, ggl_bf16_to_f32(keys[((i / 16 * f->n_dim / 2 + d / 2) * 16 + i % 16) * 2 + d % 2]), want);
            ck_same("value", d, ggl_bf16_to_f32(values[(i / 2 * f->n_dim + d) * 2 + i % 2]), want);
        }
    }
}

/* Codes are exact unless they are far below the row's largest. */
static void check_half_rows(const struct ggl_row_format *f, const uint8_t *const *rows, int n, const uint16_t *keys, const uint16_t *values)
{
    for (int i = 0; i < n; i++) {
        const float factor = ggl_row_factor(values, i);
        float x[MAX_DIM];
        bool finite = true;
        double most = 0;
        ggl_row_decode(f, rows[i], x);
        for (int d = 0; d < f->n_dim; d++) finite &= isfinite(x[d]) != 0, most = fmax(most, fabs((double)x[d]));
        if (!finite && isfinite(factor)) ck_fail("row %d: what is no number is lost", i);
        if (finite && !isfinite(factor) && most < 0x1p100) ck_fail("row %d has no factor", i);
        for (int d = 0; d < f->n_dim && isfinite(factor); d++) {
            const double step = f->kind == GGL_ROW_KV ? 0 : 0x1p-11 * fabs((double)x[d]); /* E4M3 and BF16 have fewer bits */
            ck_close("number", i * MAX_DIM + d, half_in_row(keys, values, f->n_dim, i, d), (double)x[d], step + 0x1p-23 * (double)factor);
        }
    }
    for (int i = n; i % 4; i++)
        for (int d = 0; d < f->n_dim; d++)
            if (keys[ggl_half_row_at(f->n_dim, i, d / 128 * 128) + d % 128]) ck_fail("row %d is not there, and not zero", i);
}

static void check_attention16_pack(ck_kernel *kernel, int64_t length)
{
    if (length > 130) return;
    const struct twins twins = twins_of(in_halves(kernel));
    struct ggl_row_format f = random_format(length);
    int n = 1 + (int)ck_next(TILE);
    const uint8_t *rows[TILE];
    uint8_t *all = ck_bytes((uint64_t)n * f.bytes, f.kind == GGL_ROW_FLOAT ? 4 * ck_next(4) : ck_next(64));
    for (uint64_t b = 0; b < (uint64_t)n * f.bytes; b++) all[b] = (uint8_t)ck_next(256);
    for (int i = 0; i < n && f.kind == GGL_ROW_KV && ck_next(8); i++) make_sane(&f, all + (uint64_t)i * f.bytes);
    for (int i = 0; i < n; i++) rows[i] = all + (uint64_t)(n - 1 - i) * f.bytes;
    /* And not a byte more. */
    const uint64_t used = (uint64_t)((n + 15) / 16 * 16 * f.n_dim) * 2, whole = (uint64_t)(TILE * f.n_dim) * 2;
    const uint64_t key_bytes = twins.halves ? whole : used, value_bytes = twins.halves ? (uint64_t)n * 4 : used;
    uint16_t *keys = ck_bytes(key_bytes, 0), *values = ck_bytes(value_bytes, 0), *same = ck_bytes(key_bytes, 0), *factors = ck_bytes(value_bytes, 0);
    memset(keys, 0xff, key_bytes), memset(same, 0xff, key_bytes);
    ((ggl_attention16_pack_fn *)kernel)(&f, rows, n, keys, values);
    if (!twins.halves) {
        check_bf16_rows(&f, rows, n, keys, values);
        return;
    }
    check_half_rows(&f, rows, n, keys, values);
    twins.pack(&f, rows, n, same, factors);
    if (memcmp(keys, same, key_bytes)) ck_fail("keys are not the bits of plain C");
    for (int i = 0; i < n; i++) ck_same("factor", i, ggl_row_factor(values, i), ggl_row_factor(factors, i));
}

/* ---- sums */

struct problem {
    struct twins twins;
    int n_head, n_rows, n_dim;
    float *q, *rows; /* what is rounded for the kernels */
    uint16_t *q16;
    uint16_t *keys, *values; /* all tiles */
};

/* 16 bits of queries and of all tiles, by the plain C of a level. */
static void round_problem(struct problem *p, struct twins twins)
{
    const struct ggl_row_format f = ggl_row_format(GGL_ROW_FLOAT, p->n_dim, 0);
    const int tiles = (p->n_rows + TILE - 1) / TILE;
    const uint64_t bytes = (uint64_t)(tiles * ggl_attention16_values(p->n_dim)) * 2;
    p->twins = twins;
    p->q16 = ck_bytes(2 * (uint64_t)(twins.halves ? ggl_attention16_queries(p->n_head, p->n_dim) : p->n_head * p->n_dim), 0);
    twins.query(ck_kernels(), p->q, p->n_head, p->n_dim, p->q16);
    p->keys = ck_bytes(bytes, 0), p->values = ck_bytes(bytes, 0);
    memset(p->keys, 0xff, bytes), memset(p->values, 0xff, bytes); /* NaN where nothing is laid out */
    for (int t = 0; t < tiles; t++) {
        const uint8_t *rows[TILE];
        int n = p->n_rows - t * TILE < TILE ? p->n_rows - t * TILE : TILE;
        for (int i = 0; i < n; i++) rows[i] = (const uint8_t *)(p->rows + (int64_t)(t * TILE + i) * p->n_dim);
        twins.pack(&f, rows, n, p->keys + t * ggl_attention16_values(p->n_dim), p->values + t * ggl_attention16_values(p->n_dim));
    }
}

static struct problem random_problem(int64_t length, struct twins twins)
{
    static const int edges[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, MAX_ROWS};
    struct problem p = {.n_head = 1 + (int)ck_next(ck_next(8) ? 6 : 40), .n_rows = edges[ck_next(12)], .n_dim = 2 * (int)length};
    if (ck_next(2)) p.n_dim = 64 * (1 + (int)ck_next(4));
    p.q = ck_random(p.n_head * p.n_dim), p.rows = ck_random(p.n_rows * p.n_dim);
    float magnitude = (float)(1 << ck_next(4));
    for (int i = 0; i < p.n_head * p.n_dim; i++) p.q[i] *= magnitude;
    for (int i = 0; i < p.n_rows; i++) { /* BF16 as the cache has it, of several magnitudes */
        magnitude = ck_next(4) ? 1 : ldexpf(1, (int)ck_next(6) - 5);
        for (int d = 0; d < p.n_dim; d++)
            p.rows[i * p.n_dim + d] = ggl_bf16_to_f32(ggl_bf16_from_f32(p.rows[i * p.n_dim + d] * magnitude));
    }
    if (ck_next(12) == 0) p.rows[ck_next((uint32_t)(p.n_rows * p.n_dim))] = NAN;
    round_problem(&p, twins);
    return p;
}

static float row_number(const struct problem *p, int row, int d)
{
    const int64_t at = row / TILE * ggl_attention16_values(p->n_dim);
    return p->twins.halves ? half_in_row(p->keys + at, p->values + at, p->n_dim, row % TILE, d) : p->rows[row * p->n_dim + d];
}

static void run(ggl_attention16_tile_fn *tile, const struct problem *p, const float *sinks, float *out)
{
    float *state = ck_f32(2 * p->n_head);
    struct ggl_attention_state s = {p->n_head, p->n_dim, (float)(1 / sqrt((double)p->n_dim)), out, state, state + p->n_head};
    ggl_attention_begin_ref(&s);
    for (int i = 0; i < p->n_rows; i += TILE) {
        int64_t at = i / TILE * ggl_attention16_values(p->n_dim);
        tile(&s, p->q16, p->keys + at, p->values + at, p->n_rows - i < TILE ? p->n_rows - i : TILE);
    }
    ggl_attention_end_ref(&s, sinks);
}

/* Of what 16 bits hold. */
static void exact(const struct problem *p, int h, float sink, double *want, double *bound)
{
    const bool halves = p->twins.halves;
    static double rows[MAX_ROWS][MAX_DIM];
    double score[MAX_ROWS], max = (double)sink, sum = 0, error = 0, scale = 1 / sqrt((double)p->n_dim), largest = 0;
    /* Of a score: n_dim sums, the scaling, the difference to the maximum; with halves 64 sums and one more of 11 bits. */
    const double unit = (p->n_dim + 4) * CK_U + (halves ? 65 * 0x1p-11 : 0);
    for (int i = 0; i < p->n_rows; i++) {
        double s = 0, terms = 0;
        for (int d = 0; d < p->n_dim; d++) {
            rows[i][d] = (double)row_number(p, i, d), largest = fmax(largest, fabs(rows[i][d]));
            double t = (double)query(halves, p->q16, p->n_head, p->n_dim, h, d) * rows[i][d];
            s += t, terms += fabs(t);
        }
        score[i] = s * scale;
        max = fmax(max, score[i]);
        error = fmax(error, unit * terms * scale + 2 * fabs(score[i]) * CK_U);
    }
    for (int d = 0; d < p->n_dim; d++) want[d] = bound[d] = 0;
    for (int i = 0; i < p->n_rows; i++) {
        double w = exp(score[i] - max);
        sum += w;
        for (int d = 0; d < p->n_dim; d++) {
            want[d] += w * rows[i][d];
            bound[d] += w * fabs(rows[i][d]);
        }
    }
    sum += exp((double)sink - max);
    /* As in attention.c, and a weight in BF16 is off by 2^-9, above the line and below it; one in halves by 2^-12, twice above it, or
     * by all of the smallest ones, and there are 64 sums of 11 bits. */
    int tiles = (p->n_rows + TILE - 1) / TILE;
    double k = 2 * (expm1(error) + (p->n_rows + 8 * tiles + 8 + 2 * fabs(max)) * CK_U + (halves ? 68 * 0x1p-11 : 0x1p-9));
    double lost = halves ? (p->n_rows + 8) * 0x1p-22 * largest / fmin(sum, 1) : 0;
    for (int d = 0; d < p->n_dim; d++) {
        want[d] /= sum;
        bound[d] = bound[d] / sum * k + lost + 1e-30;
    }
}

static void check_attention16_tile(ck_kernel *kernel, int64_t length)
{
    if (length > 130 || (length > 20 && length % 9)) return; /* the reference is slow */
    struct problem p = random_problem(length, twins_of(in_halves(kernel)));
    float *sinks = ck_random(p.n_head), *out = ck_f32(p.n_head * p.n_dim), *same = ck_f32(p.n_head * p.n_dim);
    if (ck_next(2)) sinks[0] = ck_next(2) ? 40 : -40; /* above or below every score */
    run((ggl_attention16_tile_fn *)kernel, &p, sinks, out);
    run(level_of(kernel) & GGL_ISA_AMX ? ggl_attention16_tile_steps_ref : p.twins.tile, &p, sinks, same);
    for (int h = 0; h < p.n_head; h++) {
        double want[MAX_DIM], bound[MAX_DIM];
        exact(&p, h, sinks[h], want, bound);
        for (int d = 0; d < p.n_dim; d++) {
            if (!isnan(want[d])) ck_close("out", h * p.n_dim + d, out[h * p.n_dim + d], want[d], bound[d]);
            else if (!isnan(out[h * p.n_dim + d])) ck_fail("a row is not all numbers, and a result is one");
            ck_same("bits", h * p.n_dim + d, out[h * p.n_dim + d], same[h * p.n_dim + d]);
        }
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/attention16/kernels.def"
#undef KERNEL
}

/* ---- broken ones */

static void second_layout_missing(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    uint16_t first = values[0];
    ggl_attention16_pack_ref(f, rows, n, keys, values);
    values[0] = (uint16_t)(first ^ 1);
}

static void lacking_rows_left(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    uint16_t last = values[(n + 15) / 16 * 16 * f->n_dim - 1];
    ggl_attention16_pack_ref(f, rows, n, keys, values);
    if (n % 16) values[(n + 15) / 16 * 16 * f->n_dim - 1] = (uint16_t)(last | 1);
}

static void last_row_left_out(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    ggl_attention16_tile_ref(s, q, keys, values, n > 1 ? n - 1 : n);
}

static void never_shrinks(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    float max[8];
    memcpy(max, s->max, sizeof(float) * (size_t)s->n_head);
    for (int h = 0; h < s->n_head; h++)
        if (s->sum[h] > 0) s->max[h] = -3.0e38f;
    float sum[8];
    memcpy(sum, s->sum, sizeof(float) * (size_t)s->n_head);
    ggl_attention16_tile_ref(s, q, keys, values, n);
    for (int h = 0; h < s->n_head; h++) s->sum[h] += sum[h];
}

static void one_head_less(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    struct ggl_attention_state less = *s;
    less.n_head--;
    ggl_attention16_tile_ref(&less, q, keys, values, n);
}

static void values_swapped(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    (void)values;
    ggl_attention16_tile_ref(s, q, keys, keys, n);
}

/* The same of halves, and what else can go wrong there. */

static void first_factor_for_all(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    ggl_attention16_pack_halves_ref(f, rows, n, keys, values);
    for (int i = 1; i < n; i++) ggl_put_row_factor(values, i, ggl_row_factor(values, 0));
}

static void lacking_halves_left(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    ggl_attention16_pack_halves_ref(f, rows, n, keys, values);
    if (n % 4) keys[ggl_half_row_at(f->n_dim, n, 0)] = 1;
}

static void heads_unscaled(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out)
{
    ggl_attention16_query_halves_ref(k, q, n_head, n_dim, out);
    const float one = 1;
    for (int h = 0; h < n_head; h++) memcpy(out + (n_head + 15) / 16 * 16 * n_dim + 2 * h, &one, 4);
}

static void rounds_twice(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out)
{
    float x[64 * MAX_DIM];
    for (int i = 0; i < n_head * n_dim; i++) x[i] = ggl_bf16_to_f32(ggl_bf16_from_f32(q[i]));
    ggl_attention16_query_halves_ref(k, x, n_head, n_dim, out);
}

static void last_half_left_out(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    ggl_attention16_tile_halves_ref(s, q, keys, values, n > 1 ? n - 1 : n);
}

static void top_forgotten(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    float before[8 * MAX_DIM];
    const size_t bytes = (size_t)(s->n_head * s->n_dim) * sizeof(float);
    memcpy(before, s->acc, bytes);
    ggl_attention16_tile_halves_ref(s, q, keys, values, n);
    for (int64_t i = 0; i < s->n_head * s->n_dim && s->max[0] > 0; i++) s->acc[i] += (s->acc[i] - before[i]) * (ggl_top_factor(values, n) - 1);
}

static bool broken_halves(ck_kernel *kernel)
{
    return kernel == (ck_kernel *)first_factor_for_all || kernel == (ck_kernel *)lacking_halves_left || kernel == (ck_kernel *)heads_unscaled ||
           kernel == (ck_kernel *)rounds_twice || kernel == (ck_kernel *)last_half_left_out || kernel == (ck_kernel *)top_forgotten;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("second layout", check_attention16_pack, (ck_kernel *)second_layout_missing);
    ck_must_fail("lacking rows", check_attention16_pack, (ck_kernel *)lacking_rows_left);
    ck_must_fail("last row", check_attention16_tile, (ck_kernel *)last_row_left_out);
    ck_must_fail("shrink", check_attention16_tile, (ck_kernel *)never_shrinks);
    ck_must_fail("head", check_attention16_tile, (ck_kernel *)one_head_less);
    ck_must_fail("values", check_attention16_tile, (ck_kernel *)values_swapped);
    ck_must_fail("factors", check_attention16_pack, (ck_kernel *)first_factor_for_all);
    ck_must_fail("lacking halves", check_attention16_pack, (ck_kernel *)lacking_halves_left);
    ck_must_fail("unscaled", check_attention16_query, (ck_kernel *)heads_unscaled);
    ck_must_fail("rounded twice", check_attention16_query, (ck_kernel *)rounds_twice);
    ck_must_fail("last half", check_attention16_tile, (ck_kernel *)last_half_left_out);
    ck_must_fail("top", check_attention16_tile, (ck_kernel *)top_forgotten);
}

/* ---- all three together */

/* Whatever a processor has: a tile knows what query and pack have laid out. */
static void the_pick_takes_all_of_one_layout(void **state)
{
    (void)state;
    uint64_t every = 0;
    bool seen[2] = {false};
#define KERNEL(operation, isa, symbol) every |= (isa);
#include "kernels/attention16/kernels.def"
#undef KERNEL
    for (uint64_t isa = every;; isa = (isa - 1) & every) {
        struct ggl_kernels k;
        ggl_kernels_pick(&k, isa);
        const bool halves = in_halves((ck_kernel *)k.attention16_tile);
        if (in_halves((ck_kernel *)k.attention16_query) != halves || in_halves((ck_kernel *)k.attention16_pack) != halves)
            fail_msg("levels %llx: a tile of %s for others", (unsigned long long)isa, halves ? "halves" : "BF16");
        seen[halves] = true;
        if (!isa) break;
    }
    assert_true(seen[0]);
    assert_int_equal(seen[1], GGL_ARCH_X86_FP16);
}

/* About normal, and the same on every machine. */
static float about_normal(uint32_t *state)
{
    double x = 0;
    for (int i = 0; i < 4; i++) *state = *state * 1664525u + 1013904223u, x += (double)*state * 0x1p-31 - 1;
    return (float)x;
}

/* Against a softmax in double of what was not rounded: 640 rows of 512 normal numbers, queries alike. */
static void halves_lose_no_more_than_bf16(void **state)
{
    (void)state;
    enum { HEADS = 16, ROWS = 640, DIM = 512 };
    static float q[HEADS * DIM], rows[ROWS * DIM], out[2][HEADS * DIM];
    static uint16_t q16[HEADS * (DIM + 2)], keys[TILE * DIM], values[TILE * DIM];
    const struct ggl_row_format f = ggl_row_format(GGL_ROW_FLOAT, DIM, 0);
    struct ggl_kernels k;
    ggl_kernels_pick(&k, 0);
    uint32_t random = 1;
    for (int i = 0; i < HEADS * DIM; i++) q[i] = about_normal(&random);
    for (int i = 0; i < ROWS * DIM; i++) rows[i] = ggl_bf16_to_f32(ggl_bf16_from_f32(about_normal(&random)));
    double error[2] = {0}, power = 0, scale = 1 / sqrt((double)DIM);
    for (int halves = 0; halves < 2; halves++) {
        const struct twins twins = twins_of(halves);
        float max[HEADS], sum[HEADS], sinks[HEADS] = {0};
        struct ggl_attention_state s = {HEADS, DIM, (float)scale, out[halves], max, sum};
        twins.query(&k, q, HEADS, DIM, q16);
        ggl_attention_begin_ref(&s);
        for (int t = 0; t < ROWS; t += TILE) {
            const uint8_t *tile[TILE];
            for (int i = 0; i < TILE; i++) tile[i] = (const uint8_t *)(rows + (int64_t)(t + i) * DIM);
            twins.pack(&f, tile, TILE, keys, values);
            twins.tile(&s, q16, keys, values, TILE);
        }
        ggl_attention_end_ref(&s, sinks);
    }
    for (int h = 0; h < HEADS; h++) {
        double want[DIM] = {0}, sum = 1; /* the sink's */
        for (int i = 0; i < ROWS; i++) {
            double score = 0;
            for (int d = 0; d < DIM; d++) score += (double)q[h * DIM + d] * (double)rows[i * DIM + d];
            const double w = exp(score * scale);
            sum += w;
            for (int d = 0; d < DIM; d++) want[d] += w * (double)rows[i * DIM + d];
        }
        for (int d = 0; d < DIM; d++) {
            power += want[d] / sum * want[d] / sum;
            for (int i = 0; i < 2; i++) {
                const double e = (double)out[i][h * DIM + d] - want[d] / sum;
                error[i] += e * e;
            }
        }
    }
    printf("NMSE of attention: BF16 %.2e, halves %.2e\n", error[0] / power, error[1] / power);
    assert_true(error[0] < 1e-5 * power);
    assert_true(error[1] < error[0]);
}

/* ---- benchmark: one tile of the published model; GB/s of the sums are multiply-adds in disguise */

enum { BENCH_DIM = 512, BENCH_HEADS = 64 };
static uint8_t bench_rows[TILE][583];
static _Alignas(64) uint16_t bench_keys[TILE * BENCH_DIM], bench_values[TILE * BENCH_DIM], bench_q[BENCH_HEADS * (BENCH_DIM + 2)];
static float bench_floats[BENCH_HEADS * BENCH_DIM];
static _Alignas(64) float bench_acc[BENCH_HEADS * BENCH_DIM], bench_state[2 * BENCH_HEADS];

static void bench_attention16_query(ck_kernel *kernel, int64_t n)
{
    (void)n;
    ((ggl_attention16_query_fn *)kernel)(ck_kernels(), bench_floats, BENCH_HEADS, BENCH_DIM, bench_q);
}

static void bench_attention16_pack(ck_kernel *kernel, int64_t n)
{
    const struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, BENCH_DIM, 64);
    const uint8_t *rows[TILE];
    for (int i = 0; i < TILE; i++) rows[i] = bench_rows[i];
    ((ggl_attention16_pack_fn *)kernel)(&f, rows, (int)n, bench_keys, bench_values);
}

static void bench_attention16_tile(ck_kernel *kernel, int64_t n)
{
    struct ggl_attention_state s = {BENCH_HEADS, BENCH_DIM, 0.04f, bench_acc, bench_state, bench_state + BENCH_HEADS};
    ggl_attention_begin_ref(&s);
    ((ggl_attention16_tile_fn *)kernel)(&s, bench_q, bench_keys, bench_values, (int)n);
}

static void bench(void)
{
    const struct ggl_row_format f = ggl_row_format(GGL_ROW_KV, BENCH_DIM, 64);
    for (int i = 0; i < TILE; i++) ggl_row_random(&f, (uint64_t)i, bench_rows[i]);
    for (int i = 0; i < BENCH_HEADS * BENCH_DIM; i++) bench_floats[i] = (float)ck_uniform();
#define BYTES_attention16_query   (BENCH_HEADS * BENCH_DIM * 4.0)
#define BYTES_attention16_pack      (TILE * 583.0)
#define BYTES_attention16_tile (2.0 * TILE * BENCH_DIM * BENCH_HEADS)
#define KERNEL(operation, isa, symbol) ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, TILE, BYTES_##operation);
#include "kernels/attention16/kernels.def"
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(broken_ones_are_caught),
                                       cmocka_unit_test(the_pick_takes_all_of_one_layout), cmocka_unit_test(halves_lose_no_more_than_bf16)};
    return cmocka_run_group_tests_name("kernels/attention16", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
