/* Scores of the indexer, and the choice of the best entries from a stream. */
#include "support/checkkernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-lite/cache.h"

static void check_index_score_f32(ck_kernel *kernel, int64_t n)
{
    int heads = n > 130 ? 3 : 1 + (int)ck_next(70);
    float *q = ck_random(n * heads), *weights = ck_random(heads), *key = ck_random(n);
    double want = 0, bound = 0;
    for (int h = 0; h < heads; h++) {
        double s = 0, terms = 0;
        for (int64_t i = 0; i < n; i++) {
            s += (double)q[h * n + i] * key[i];
            terms += fabs((double)q[h * n + i] * key[i]);
        }
        if (s > 0) want += weights[h] * s;
        /* A dot product's error (vec.c); a product and a sum over the heads.  Near 0 a head may be in or out.
         */
        bound += ((double)n / GGL_LANES + 6 + heads + 1) * CK_U * terms * fabs((double)weights[h]);
    }
    ck_close("score", 0, ((ggl_index_score_f32_fn *)kernel)(ck_kernels(), q, weights, key, heads, (int)n),
             want, bound);
}

/* An index row as integers: twice every value, half the scale, the sums; n_dim rounded to whole blocks. */
static void check_index_unpack(ck_kernel *kernel, int64_t length)
{
    int32_t n = (int32_t)((length % 256 + 31) / 32 * 32);
    if (!n) n = 32;
    struct ggl_row_format f = ggl_row_format(GGL_ROW_INDEX, n, 0);
    uint8_t *row = ck_bytes(f.bytes, 0);
    float *want = ck_f32(n);
    for (uint32_t i = 0; i < f.bytes; i++) row[i] = (uint8_t)(i < (uint32_t)n / 2 ? ck_next(256) : 100 + ck_next(40));
    int8_t *out = ck_bytes((uint64_t)ggl_act_q8_bytes(n), 0);
    ((ggl_index_unpack_fn *)kernel)(row, n, out);
    ggl_row_decode(&f, row, want);
    for (int32_t b = 0; b < n / 32; b++) {
        int32_t sum = 0;
        for (int i = 0; i < 32; i++) {
            sum += out[32 * b + i];
            ck_close("value", 32 * b + i, (float)out[32 * b + i] * ggl_act_q8_scales(out, n)[b], (double)want[32 * b + i], 0);
        }
        if (ggl_act_q8_sums(out, n)[b] != sum) ck_fail("sum of block %d", (int)b);
    }
}

static void check_index_combine(ck_kernel *kernel, int64_t length)
{
    int n = (int)(length % 64) + 1, panels = 1 + (int)ck_next(4);
    int64_t stride = panels * GGL_LANES;
    float *y = ck_random(n * stride), *w = ck_random(panels * GGL_LANES), *score = ck_f32(n), *same = ck_f32(n);
    ((ggl_index_combine_fn *)kernel)(y, stride, w, panels, n, score);
    ggl_index_combine_ref(y, stride, w, panels, n, same);
    for (int i = 0; i < n; i++) {
        double want = 0, terms = 0;
        for (int p = 0; p < panels; p++)
            for (int l = 0; l < GGL_LANES; l++) {
                double v = (double)y[i * stride + p * GGL_LANES + l] * (double)w[p * GGL_LANES + l];
                if (y[i * stride + p * GGL_LANES + l] > 0) want += v, terms += fabs(v);
            }
        ck_close("score", i, score[i], want, (panels + 6) * CK_U * terms); /* products, panels, the tree of 16 */
        ck_same("score", i, score[i], same[i]);
    }
}

/* A row of 128 codes whose exponents lie within `range`. */
static uint8_t *fill_scan_row(uint8_t *row, int range)
{
    int least = 100 + (int)ck_next((uint32_t)(150 - 100 - range + 1));
    for (int i = 0; i < 64; i++) row[i] = (uint8_t)ck_next(256);
    for (int i = 64; i < 68; i++) row[i] = (uint8_t)(least + (int)ck_next((uint32_t)range + 1));
    return row;
}

/* What products by blocks give: the score of one key for heads in rows. */
static float by_blocks(uint8_t (*heads)[68], int n_heads, const float *weights, int panels, const uint8_t *key)
{
    int64_t bytes = ggl_act_q8_bytes(128);
    int8_t *q = malloc((size_t)bytes), *k = malloc((size_t)bytes);
    float *y = calloc((size_t)panels * GGL_LANES, 4), score;
    ggl_index_unpack_ref(key, 128, k);
    for (int h = 0; h < n_heads; h++) {
        ggl_index_unpack_ref(heads[h], 128, q);
        for (int b = 0; b < 4; b++) {
            int32_t dot = 0;
            for (int i = 32 * b; i < 32 * b + 32; i++) dot += q[i] * k[i];
            y[h] += (float)dot * (ggl_act_q8_scales(q, 128)[b] * ggl_act_q8_scales(k, 128)[b]);
        }
    }
    ggl_index_combine_ref(y, panels * GGL_LANES, weights, panels, 1, &score);
    free(q);
    free(k);
    free(y);
    return score;
}

enum { MOST_QUERIES = 3, MOST_KEYS = 37 };

/* A query of some heads: 16 for each panel, of which the last may be missing. */
static struct ggl_index_scan random_query(uint8_t (*heads)[68], float *weights, int n_heads, int panels)
{
    int8_t *values = ck_bytes((uint64_t)panels * GGL_LANES * 128, 64), level[128];
    int32_t *biased = ck_bytes((uint64_t)panels * GGL_LANES * 4, 0);
    float scale, *gains = ck_f32(panels * GGL_LANES);
    memset(values, 0, (size_t)panels * GGL_LANES * 128);
    for (int h = 0; h < panels * GGL_LANES; h++) {
        gains[h] = 0;
        biased[h] = 0;
        if (h >= n_heads) continue;
        fill_scan_row(heads[h], 3);
        if (!ggl_index_level(heads[h], level, &scale)) ck_fail("head %d has no values", h);
        if (ck_next(9) == 0) weights[h] = (ck_next(2) ? 0x1p-40f : -0x1p40f) * (ck_next(2) ? 1 : 0);
        if (!ggl_index_weight_is_sane(weights[h])) weights[h] = 1;
        gains[h] = weights[h] * scale;
        for (int i = 0; i < 128; i++) {
            values[(h / 16 * 32 + i / 4) * 64 + h % 16 * 4 + i % 4] = level[i];
            biased[h] -= GGL_INDEX_SCAN_BIAS * level[i];
        }
    }
    return (struct ggl_index_scan){panels, values, biased, gains};
}

static void check_index_scan(ck_kernel *kernel, int64_t length)
{
    const int n = 1 + (int)(length % MOST_KEYS), panels = 1 + (int)ck_next(9), n_heads = panels * GGL_LANES - (int)ck_next(GGL_LANES);
    const int n_queries = ck_next(3) ? 1 : 1 + (int)ck_next(MOST_QUERIES), stride = n + (int)ck_next(3);
    static uint8_t heads[MOST_QUERIES][9 * GGL_LANES][68];
    float *weights[MOST_QUERIES], *score = ck_f32((n_queries - 1) * stride + n);
    struct ggl_index_scan q[MOST_QUERIES];
    const uint8_t *keys[MOST_KEYS];
    for (int t = 0; t < n_queries; t++) {
        weights[t] = ck_random(panels * GGL_LANES);
        q[t] = random_query(heads[t], weights[t], n_heads, panels);
    }
    uint8_t *rows = ck_bytes(68 * (uint64_t)n, 0);
    for (int i = 0; i < n; i++) keys[i] = fill_scan_row(rows + 68 * i, (int)ck_next(4));
    if (!((ggl_index_scan_fn *)kernel)(q, n_queries, keys, n, score, stride)) ck_fail("refused");
    for (int t = 0; t < n_queries; t++)
        for (int i = 0; i < n; i++)
            ck_same("score", t * stride + i, score[t * stride + i], by_blocks(heads[t], n_heads, weights[t], panels, keys[i]));
    for (int i = 0; i < (n_queries - 1) * stride; i++)
        if (i % stride >= n && !isnan(score[i])) ck_fail("wrote between queries");
    uint8_t *odd = fill_scan_row(ck_bytes(68, 0), 0); /* and a key that has no such values, in any place */
    static const uint8_t refused[][4] = {{120, 124, 120, 120}, {120, 120, 116, 120}, {99, 100, 100, 100}, {150, 150, 150, 151}, {255, 255, 255, 255}, {0, 0, 0, 0}};
    memcpy(odd + 64, refused[ck_next(6)], 4);
    keys[ck_next((uint32_t)n)] = odd;
    if (((ggl_index_scan_fn *)kernel)(q, n_queries, keys, n, score, stride)) ck_fail("not refused");
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/index/kernels.def"
#undef KERNEL
}

typedef const struct ggl_kernels table;

static float zero(table *k, const float *q, const float *w, const float *key, int heads, int n)
{
    (void)k, (void)q, (void)w, (void)key, (void)heads, (void)n;
    return 0;
}

static float no_relu(table *k, const float *q, const float *w, const float *key, int heads, int n)
{
    float sum = 0;
    for (int h = 0; h < heads; h++)
        sum += w[h] * k->dot_f32(q + h * n, key, n);
    return sum;
}

static float relu_outside(table *k, const float *q, const float *w, const float *key, int heads, int n)
{
    float sum = no_relu(k, q, w, key, heads, n);
    return sum > 0 ? sum : 0;
}

static float last_head_left_out(table *k, const float *q, const float *w, const float *key, int heads, int n)
{
    return ggl_index_score_f32_ref(k, q, w, key, heads > 1 ? heads - 1 : 1, n);
}

static float one_nan(table *k, const float *q, const float *w, const float *key, int heads, int n)
{
    return n == 128 ? NAN : ggl_index_score_f32_ref(k, q, w, key, heads, n);
}

static void unpacks_high_first(const uint8_t *row, int32_t n, int8_t *out)
{
    ggl_index_unpack_ref(row, n, out);
    int8_t v = out[0];
    out[0] = out[1];
    out[1] = v;
}

static void keeps_the_scale(const uint8_t *row, int32_t n, int8_t *out)
{
    ggl_index_unpack_ref(row, n, out);
    ((float *)(void *)(out + n))[n / 32 - 1] *= 2;
}

static void combines_without_relu(const float *y, int64_t stride, const float *w, int panels, int n, float *score)
{
    for (int i = 0; i < n; i++) {
        score[i] = 0;
        for (int p = 0; p < panels; p++)
            for (int l = 0; l < GGL_LANES; l++) score[i] += y[i * stride + p * GGL_LANES + l] * w[p * GGL_LANES + l];
    }
}

static bool scans_without_bias(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    static const int32_t none[9 * GGL_LANES];
    struct ggl_index_scan other[MOST_QUERIES];
    for (int t = 0; t < n_queries; t++) other[t] = q[t], other[t].biased = none;
    return ggl_index_scan_ref(other, n_queries, rows, n, score, stride);
}

static bool scans_one_panel(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    struct ggl_index_scan other[MOST_QUERIES];
    for (int t = 0; t < n_queries; t++) other[t] = q[t], other[t].n_panels = 1;
    return ggl_index_scan_ref(other, n_queries, rows, n, score, stride);
}

static bool scans_one_key(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    bool good = ggl_index_scan_ref(q, n_queries, rows, n, score, stride);
    for (int i = 1; i < n; i++) score[i] = score[0];
    return good;
}

static bool scans_for_one_query(const struct ggl_index_scan *q, int n_queries, const uint8_t *const *rows, int n, float *score, int64_t stride)
{
    bool good = true;
    for (int t = 0; t < n_queries; t++) good = ggl_index_scan_ref(q, 1, rows, n, score + t * stride, stride);
    return good;
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("bias", check_index_scan, (ck_kernel *)scans_without_bias);
    ck_must_fail("panels", check_index_scan, (ck_kernel *)scans_one_panel);
    ck_must_fail("keys", check_index_scan, (ck_kernel *)scans_one_key);
    ck_must_fail("queries", check_index_scan, (ck_kernel *)scans_for_one_query);
    ck_must_fail("order", check_index_unpack, (ck_kernel *)unpacks_high_first);
    ck_must_fail("scale", check_index_unpack, (ck_kernel *)keeps_the_scale);
    ck_must_fail("no relu", check_index_combine, (ck_kernel *)combines_without_relu);
    ck_must_fail("zero", check_index_score_f32, (ck_kernel *)zero);
    ck_must_fail("no relu", check_index_score_f32, (ck_kernel *)no_relu);
    ck_must_fail("relu outside", check_index_score_f32, (ck_kernel *)relu_outside);
    ck_must_fail("last head", check_index_score_f32, (ck_kernel *)last_head_left_out);
    ck_must_fail("nan", check_index_score_f32, (ck_kernel *)one_nan);
}

/* ---- the best k of a stream */

enum { MAX_ENTRIES = 3000 };

static float stream[MAX_ENTRIES];

/* Better: the higher score, NaN being the lowest, and of equal ones the lower entry. */
static int by_rank(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    float x = isnan(stream[i]) ? -INFINITY : stream[i], y = isnan(stream[j]) ? -INFINITY : stream[j];
    if (x != y) return x > y ? -1 : 1;
    return i < j ? -1 : 1;
}

static int by_entry(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    return i < j ? -1 : i > j;
}

/* A top-k with room for twice as many and no more. */
struct room {
    struct ggl_top_k k;
    float score[2 * MAX_ENTRIES + 1];
    int32_t entry[2 * MAX_ENTRIES + 1];
};

static void make_room(struct room *r, int32_t cap)
{
    r->k = (struct ggl_top_k){r->score, r->entry, cap, 0, 0};
    r->score[2 * cap] = 12345;
    r->entry[2 * cap] = 12345;
    ggl_top_k_begin(&r->k);
}

static void check_room(const struct room *r, const int32_t *want, int32_t n)
{
    assert_int_equal(r->k.n, n);
    assert_memory_equal(r->entry, want, (size_t)n * sizeof(*want));
    for (int32_t i = 0; i < n; i++) assert_true(r->score[i] == (isnan(stream[want[i]]) ? -INFINITY : stream[want[i]]));
    assert_true(r->score[2 * r->k.cap] == 12345 && r->entry[2 * r->k.cap] == 12345);
}

/* In pieces, and as two streams of which one goes on where the other ends. */
static void check_stream(int32_t n, int32_t cap)
{
    static int32_t want[MAX_ENTRIES];
    static struct room all, first, second;
    const int32_t kept = n < cap ? n : cap, half = n / 3;
    make_room(&all, cap), make_room(&first, cap), make_room(&second, cap);
    for (int32_t i = 0; i < n; i++) want[i] = i;
    qsort(want, (size_t)n, sizeof(*want), by_rank);
    qsort(want, (size_t)kept, sizeof(*want), by_entry);
    for (int32_t i = 0, piece; i < n; i += piece) {
        piece = i % 7 * 10 + 1 < n - i ? i % 7 * 10 + 1 : n - i;
        ggl_top_k_add(&all.k, stream + i, piece, i);
    }
    ggl_top_k_add(&first.k, stream, half, 0);
    ggl_top_k_add(&second.k, stream + half, n - half, half);
    ggl_top_k_settle(&second.k);
    ggl_top_k_join(&first.k, &second.k);
    ggl_top_k_settle(&all.k), ggl_top_k_settle(&first.k);
    check_room(&all, want, kept);
    check_room(&first, want, kept);
}

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % n;
}

static void fill_stream(int kind)
{
    static const float odd[] = {NAN, -INFINITY, INFINITY, 0.0f, -0.0f, -3.4e38f, 1, -1};
    for (int i = 0; i < MAX_ENTRIES; i++) {
        switch (kind) {
        case 0:
            stream[i] = (float)random_below(1u << 30) - 0x1p29f;
            break;
        case 1:
            stream[i] = (float)random_below(5);
            break; /* ties everywhere */
        case 2:
            stream[i] = 7;
            break;
        case 3:
            stream[i] = (float)i;
            break;
        case 4:
            stream[i] = (float)-i;
            break;
        case 5:
            stream[i] = odd[random_below(8)];
            break;
        default:
            stream[i] = NAN;
            break;
        }
    }
}

static void top_k(void **state)
{
    (void)state;
    static const int32_t lengths[] = {0, 1, 2, 3, 7, 64, 511, 512, 513, MAX_ENTRIES};
    static const int32_t caps[] = {0, 1, 2, 5, 8, 512, 1024, MAX_ENTRIES};
    for (int kind = 0; kind < 7; kind++) {
        fill_stream(kind);
        for (size_t n = 0; n < sizeof(lengths) / 4; n++)
            for (size_t c = 0; c < sizeof(caps) / 4; c++)
                check_stream(lengths[n], caps[c]);
    }
}

/* ---- benchmark: one token's 64 heads and keys that stay in the second-level cache */

enum { BENCH_KEYS = 4096, BENCH_CALL = 64 };
static uint8_t bench_keys[BENCH_KEYS][68];
static int8_t bench_values[4 * GGL_LANES * GGL_INDEX_SCAN_DIM];
static int32_t bench_biased[4 * GGL_LANES];
static float bench_gains[4 * GGL_LANES];
static int bench_queries;

static void bench_index_scan(ck_kernel *kernel, int64_t n)
{
    const struct ggl_index_scan one = {4, bench_values, bench_biased, bench_gains}, q[4] = {one, one, one, one};
    const uint8_t *rows[BENCH_CALL];
    float score[4 * BENCH_CALL];
    for (int64_t i = 0; i < n; i += BENCH_CALL) {
        for (int k = 0; k < BENCH_CALL; k++) rows[k] = bench_keys[i + k];
        ((ggl_index_scan_fn *)kernel)(q, bench_queries, rows, BENCH_CALL, score, BENCH_CALL);
    }
}

static void bench(void)
{
    memset(bench_keys, 0x7b, sizeof(bench_keys)); /* a sane exponent, too */
    memset(bench_values, 3, sizeof(bench_values));
    for (int h = 0; h < 4 * GGL_LANES; h++) bench_gains[h] = 1;
#define BENCH(operation, isa, symbol) BENCH_##operation(isa, symbol)
#define BENCH_index_scan(isa, symbol) ck_bench(#symbol, isa, bench_index_scan, (ck_kernel *)symbol, BENCH_KEYS, sizeof(bench_keys));
#define BENCH_index_score_f32(isa, symbol)
#define BENCH_index_unpack(isa, symbol)
#define BENCH_index_combine(isa, symbol)
#define KERNEL BENCH
    for (bench_queries = 1; bench_queries <= 4; bench_queries += 3) {
        printf("%d queries\n", bench_queries);
#include "kernels/index/kernels.def"
    }
#undef KERNEL
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(every_kernel),
        cmocka_unit_test(broken_ones_are_caught),
        cmocka_unit_test(top_k),
    };
    return cmocka_run_group_tests_name("kernels/index", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
