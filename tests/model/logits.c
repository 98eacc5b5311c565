/*
 * Logits of whole models against a reference, and the same bits for every
 * number of threads and every way to cut the tokens into chunks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/model_vectors.h"

struct model_case {
    const char *name, *model, *stem; /* stem: of the vectors, without "logits..." */
    int n_slow;                      /* tokens under sanitizers */
};

#define DIRECTORY(name, n_slow) {name, "model/" name "/checkpoint", "model/" name "/", n_slow}
static const struct model_case cases[] = {
    DIRECTORY("micro", 40),
    DIRECTORY("pro-order", 140),
    DIRECTORY("partial-tiles", 140),
    DIRECTORY("index-only", 200),
    DIRECTORY("one-layer", 140),
    DIRECTORY("long-window", 200),
    {"micro Q4_K_M in four parts", "gguf/micro-Q4_K_M-split-00001-of-00004.gguf", "gguf/micro-Q4_K_M.", 40},
    {"micro Q2_K", "gguf/micro-Q2_K.gguf", "gguf/micro-Q2_K.", 40},
    {"micro IQ3_S", "gguf/micro-IQ3_S.gguf", "gguf/micro-IQ3_S.", 40},
};

static bool is_directory(const struct model_case *c)
{
    return !strstr(c->model, ".gguf");
}

static int32_t *tokens_of(const struct model_case *c, int64_t *n)
{
    char path[256];
    snprintf(path, sizeof(path), "%.*stokens.txt", (int)(strrchr(c->stem, '/') + 1 - c->stem), c->stem);
    return mv_tokens(path, n);
}

/* ---- close to the reference */

struct bounds {
    double median_row, overall, greedy; /* greedy: least share of equal best tokens */
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int64_t best_of(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) best = row[i] > row[best] ? i : best;
    return best;
}

/* Normalised squared error, a row at a time and over everything; NaN fails. */
static bool is_close(const float *x, const float *want, int64_t n, int64_t n_vocab, const struct bounds *b, char *text, size_t size)
{
    double *rows = malloc((size_t)n * sizeof(*rows)), error = 0, norm = 0;
    int64_t same = 0;
    assert_non_null(rows);
    for (int64_t i = 0; i < n; i++) {
        double e = 0, w = 0;
        for (int64_t j = 0; j < n_vocab; j++) {
            double d = (double)x[i * n_vocab + j] - (double)want[i * n_vocab + j];
            e += d * d;
            w += (double)want[i * n_vocab + j] * (double)want[i * n_vocab + j];
        }
        rows[i] = e / w;
        error += e;
        norm += w;
        same += best_of(x + i * n_vocab, n_vocab) == best_of(want + i * n_vocab, n_vocab);
    }
    qsort(rows, (size_t)n, sizeof(*rows), compare_doubles);
    double median = rows[n / 2], overall = error / norm, greedy = (double)same / (double)n;
    free(rows);
    snprintf(text, size, "median row %.2g, overall %.2g, greedy %.1f %%", median, overall, 100 * greedy);
    return median <= b->median_row && overall <= b->overall && greedy >= b->greedy;
}

/* n counts rows that were computed; the reference may hold more. */
static void check_close(const struct model_case *c, const char *file, const float *x, int64_t n, int64_t n_vocab,
                        const struct bounds *b)
{
    char path[256], text[128];
    int64_t n_want;
    snprintf(path, sizeof(path), "%s%s.f32", c->stem, file);
    float *want = mv_floats(path, &n_want);
    if (!want) return;
    assert_true(n > 0 && n * n_vocab <= n_want);
    bool ok = is_close(x, want, n, n_vocab, b, text, sizeof(text));
    print_message("%-26s %-32s %s\n", c->name, file, text);
    if (!ok) fail_msg("%s: %s: too far from the reference: %s", c->name, file, text);
    free(want);
}

static void check_case(const struct model_case *c, bool rounding)
{
    static const struct bounds close = {1e-10, 1e-3, 0}, loose = {1e-4, 5e-3, 0.96};
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_model *m = mv_load(c->model, 0);
    int64_t n, n_vocab = ggl_model_n_vocab(m);
    int32_t *ids = tokens_of(c, &n);
    if (MV_SLOW && n > c->n_slow) n = c->n_slow;
    p.cache_rounding_off = !rounding;
    p.mtp = ggl_model_has_mtp(m);
    struct mv_rows rows = mv_eval(m, &p, ids, n);
    assert_int_equal(rows.n, n);
    assert_int_equal(rows.n_draft, p.mtp ? n - 1 : 0);
    check_close(c, rounding ? "logits" : "logits_no_cache_rounding", rows.logits, n, n_vocab, rounding ? &loose : &close);
    if (p.mtp)
        check_close(c, rounding ? "draft_logits" : "draft_logits_no_cache_rounding", rows.draft, n - 1, n_vocab,
                    rounding ? &loose : &close);
    mv_free_rows(&rows);
    free(ids);
    ggl_model_free(m);
}

static void check_cases(bool rounding)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (MV_HAS_DIRECTORIES || !is_directory(&cases[i])) check_case(&cases[i], rounding);
}

static void reference_without_rounding(void **state)
{
    (void)state;
    check_cases(false);
}

static void reference_with_rounding(void **state)
{
    (void)state;
    check_cases(true);
}

/* The check itself can fail: one wrong row of many, a constant factor, a NaN. */
static void the_check_catches(void **state)
{
    enum { N = 9, V = 16 };
    static const struct bounds b = {1e-4, 5e-3, 0.96};
    float x[N * V], y[N * V];
    char text[128];
    (void)state;
    for (int i = 0; i < N * V; i++) x[i] = y[i] = (float)((i * 37) % 101) - 50;
    assert_true(is_close(x, y, N, V, &b, text, sizeof(text)));
    for (int i = 0; i < V; i++) x[i] = -y[i];
    assert_false(is_close(x, y, N, V, &b, text, sizeof(text)));
    for (int i = 0; i < N * V; i++) x[i] = 1.02f * y[i];
    assert_false(is_close(x, y, N, V, &b, text, sizeof(text)));
    memcpy(x, y, sizeof(x));
    x[5] = NAN;
    assert_false(is_close(x, y, N, V, &b, text, sizeof(text)));
}

/* ---- the same bits */

static struct mv_rows eval_split(struct ggl_model *m, const int32_t *ids, int64_t n, int32_t n_chunk, int64_t call)
{
    struct mv_rows rows = {.n_vocab = ggl_model_n_vocab(m)};
    struct ggl_session *s = mv_session(m, n_chunk, ggl_model_has_mtp(m));
    mv_collect(&rows, s, n);
    for (int64_t i = 0; i < n; i += call) mv_eval_ids(s, ids + i, n - i < call ? n - i : call);
    assert_int_equal(ggl_session_n_past(s), n);
    mv_same_logits(ggl_session_logits(s), rows.logits + (n - 1) * rows.n_vocab, rows.n_vocab, "the last row");
    ggl_session_free(s);
    return rows;
}

static void check_bits(const struct model_case *c, int64_t n_max, const int32_t *threads, int n_threads,
                       const int32_t *chunks, int n_chunks)
{
    struct mv_rows first = {0};
    int64_t n;
    int32_t *ids = tokens_of(c, &n);
    if (n > n_max) n = n_max;
    for (int t = 0; t < n_threads; t++) {
        struct ggl_model *m = mv_load(c->model, threads[t]);
        for (int i = 0; i < n_chunks; i++) {
            char what[128];
            int32_t chunk = chunks[i] > 0 && chunks[i] < n ? chunks[i] : (int32_t)n;
            /* Every other time the caller cuts the tokens, too, and not where the chunks end. */
            struct mv_rows rows = eval_split(m, ids, n, chunk, i % 2 ? n : 2 * (int64_t)chunk + 1);
            snprintf(what, sizeof(what), "%s: %d threads, chunks of %d", c->name, threads[t], chunk);
            if (!first.logits) {
                first = rows;
                continue;
            }
            mv_same_rows(&first, &rows, what);
            mv_free_rows(&rows);
        }
        ggl_model_free(m);
    }
    mv_free_rows(&first);
    free(ids);
}

static void same_bits(void **state)
{
    static const int32_t threads[] = {1, 2, 3, 5}, chunks[] = {0, 1, 2, 3, 7, 32, 127, 128, 129};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct model_case *c = &cases[i];
        if (is_directory(c) && !MV_HAS_DIRECTORIES) continue;
        if (!strcmp(c->name, "one-layer")) {
            check_bits(c, 140, threads, 4, chunks, 9);
        } else if (!strcmp(c->name, "pro-order")) { /* beyond two HCA entries; the product costs most at one token a chunk */
            check_bits(c, MV_SLOW ? 135 : 277, &(int32_t){2}, 1, chunks, 9);
            check_bits(c, MV_SLOW ? 20 : 135, threads, 4, chunks, 6);
        } else if (!MV_SLOW || !strcmp(c->name, "partial-tiles")) {
            check_bits(c, 140, (int32_t[]){1, 3}, 2, (int32_t[]){0, 3, 129}, 3);
        }
    }
}

/* Integer activations are another number, but the same one for every split. */
static void same_bits_fast(void **state)
{
    static const int32_t threads[] = {1, 2, 3, 5}, chunks[] = {0, 1, 2, 3, 7, 32, 127, 128, 129};
    (void)state;
    mv_precision = GGL_PRECISION_FAST;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct model_case *c = &cases[i];
        if (is_directory(c) && !MV_HAS_DIRECTORIES) continue;
        if (!strcmp(c->name, "pro-order")) {
            check_bits(c, MV_SLOW ? 20 : 135, threads, 4, chunks, 6);
            check_bits(c, MV_SLOW ? 135 : 277, &(int32_t){2}, 1, chunks, 9);
        } else if (!MV_SLOW || !strcmp(c->name, "partial-tiles") || !strcmp(c->name, "micro Q2_K")) {
            check_bits(c, MV_SLOW ? 20 : 140, (int32_t[]){1, 3}, 2, (int32_t[]){0, 3, 129}, 3);
        }
    }
    mv_precision = GGL_PRECISION_F32;
}

/* Rounded activations: loosely near the reference, and not by being the same; no draft, whose cache is always rounded. */
static void reference_fast(void **state)
{
    static const struct bounds bounds = {5e-3, 2e-2, 0.9};
    struct ggl_session_params p = ggl_session_defaults();
    (void)state;
    p.cache_rounding_off = true;
    mv_precision = GGL_PRECISION_FAST;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct model_case *c = &cases[i];
        int64_t n;
        char text[128];
        if (is_directory(c)) continue;
        struct ggl_model *m = mv_load(c->model, 0);
        int32_t *ids = tokens_of(c, &n);
        if (MV_SLOW && n > c->n_slow) n = c->n_slow;
        struct mv_rows fast = mv_eval(m, &p, ids, n);
        check_close(c, "logits_no_cache_rounding", fast.logits, n, ggl_model_n_vocab(m), &bounds);
        mv_precision = GGL_PRECISION_F32;
        struct ggl_model *exact = mv_load(c->model, 0);
        struct mv_rows f32 = mv_eval(exact, &p, ids, n);
        assert_false(is_close(fast.logits, f32.logits, n, ggl_model_n_vocab(m), &(struct bounds){1e-6, 1, 0}, text, sizeof(text)));
        mv_precision = GGL_PRECISION_FAST;
        mv_free_rows(&f32);
        mv_free_rows(&fast);
        free(ids);
        ggl_model_free(exact);
        ggl_model_free(m);
    }
    mv_precision = GGL_PRECISION_F32;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_catches),
        cmocka_unit_test(reference_without_rounding),
        cmocka_unit_test(reference_with_rounding),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(same_bits_fast),
        cmocka_unit_test(reference_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
