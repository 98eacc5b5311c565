/*
 * The calibration callback: every matrix of the model shows every vector that it
 * is multiplied with, and these are the vectors that a dump of the same place shows.
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
#include "support/v4_builder.h"

enum { MAX_TENSORS = 256, N_TOKENS = 24 };

struct seen {
    char name[64];
    int64_t n, n_slices, rows[8];
    double sum[8]; /* of squares, a slice each */
};

struct log {
    struct seen seen[MAX_TENSORS];
    int n;
};

static const int32_t ids[N_TOKENS] = {1, 5, 7, 39, 0, 3, 3, 8, 12, 30, 22, 21, 20, 9, 9, 9, 11, 13, 17, 19, 2, 4, 6, 38};

static void on_row(void *user, const char *tensor, int64_t slice, int64_t n_slices, const float *x, int64_t n, float scale)
{
    struct log *l = user;
    int i = 0;
    while (i < l->n && strcmp(l->seen[i].name, tensor) != 0) i++;
    assert_true(i < MAX_TENSORS && slice < n_slices && n_slices <= 8);
    struct seen *s = &l->seen[i];
    if (i == l->n) {
        l->n++;
        snprintf(s->name, sizeof(s->name), "%s", tensor);
        s->n = n, s->n_slices = n_slices;
    }
    assert_true(s->n == n && s->n_slices == n_slices);
    s->rows[slice]++;
    for (int64_t j = 0; j < n; j++) s->sum[slice] += (double)scale * (double)x[j] * (double)scale * (double)x[j];
}

static const struct seen *find(const struct log *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->seen[i].name, name)) return &l->seen[i];
    fail_msg("%s was not seen", name);
    return NULL;
}

static void on_dump(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    (void)name, (void)pos;
    for (int64_t i = 0; i < n; i++) *(double *)user += (double)row[i] * (double)row[i];
}

/* Expert ids of a token, counted; gains are dumped beside them. */
static void on_experts(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    int64_t *count = user;
    (void)name, (void)pos;
    for (int64_t i = 0; i < n; i++) count[(int)row[i]]++;
}

static void same_sum(const char *what, double a, double b)
{
    if (fabs(a - b) > 1e-6 * fabs(b)) fail_msg("%s: %.9g, expected %.9g", what, a, b);
}

static int is_matrix(const struct v4b_tensor *t)
{
    size_t n = strlen(t->name);
    return t->n_dims > 1 && strcmp(t->name, "token_embd.weight") != 0 && !strstr(t->name, "_ape") && !strstr(t->name, "tid2eid") &&
           n > 7 && !strcmp(t->name + n - 7, ".weight");
}

static struct ggl_session *start(struct ggl_model *m, int32_t n_chunk, bool mtp)
{
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s;
    p.n_chunk = n_chunk, p.n_ctx = N_TOKENS, p.mtp = mtp;
    assert_int_equal(ggl_session_new(m, &p, &s, NULL), GGL_OK);
    return s;
}

static struct log collect(struct ggl_model *m, int32_t n_chunk, bool mtp, double *in, double *ffn, int64_t *experts)
{
    struct log l = {.n = 0};
    struct ggl_session *s = start(m, n_chunk, mtp);
    assert_int_equal(ggl_session_set_calibrate_fn(s, on_row, &l, NULL), GGL_OK);
    assert_int_equal(ggl_session_dump(s, "L1.attn.in", on_dump, in, NULL), GGL_OK);
    assert_int_equal(ggl_session_dump(s, "L1.ffn.in", on_dump, ffn, NULL), GGL_OK);
    assert_int_equal(ggl_session_dump(s, "L1.ffn.experts", on_experts, experts, NULL), GGL_OK);
    assert_int_equal(ggl_session_eval(s, ids, N_TOKENS, NULL), GGL_OK);
    ggl_session_free(s);
    return l;
}

static void every_matrix(void **state)
{
    (void)state;
    for (int mtp = 0; mtp < 2; mtp++) {
        struct v4b *b = v4b_new(&(struct v4b_options){.mtp = mtp, .matrices = GGL_TYPE_Q8_0});
        v4b_save(b, gb_temp("m.gguf"));
        struct ggl_model *m = mv_load_file(gb_temp("m.gguf"), 2);
        double in = 0, ffn = 0;
        int64_t experts[8] = {0};
        struct log l = collect(m, 5, mtp, &in, &ffn, experts);
        int n = 0;
        for (int i = 0; i < b->n_tensors; i++) {
            const struct v4b_tensor *t = &b->tensors[i];
            if (!is_matrix(t) || strstr(t->name, "eh_proj")) continue;
            const struct seen *s = find(&l, t->name);
            if (s->n != t->ne[0] || s->n_slices != t->ne[2]) fail_msg("%s: %d inputs", t->name, (int)s->n);
            n++;
        }
        assert_int_equal(n, l.n);
        const struct seen *q = find(&l, "blk.1.attn_q_a.weight"), *gate = find(&l, "blk.1.ffn_gate_exps.weight");
        assert_int_equal(q->rows[0], N_TOKENS);
        assert_int_equal(find(&l, "output.weight")->rows[0], N_TOKENS + (mtp ? N_TOKENS - 1 : 0));
        same_sum("attn_q_a", q->sum[0], in);
        same_sum("attn_compressor_gate", find(&l, "blk.1.attn_compressor_gate.weight")->sum[0], in);
        same_sum("ffn_gate_inp", find(&l, "blk.1.ffn_gate_inp.weight")->sum[0], ffn);
        for (int e = 0; e < gate->n_slices; e++) {
            assert_int_equal(gate->rows[e], experts[e]);
            assert_int_equal(find(&l, "blk.1.ffn_down_exps.weight")->rows[e], experts[e]);
        }
        /* The mixing weights see streams of mean square one. */
        same_sum("hc_attn_fn", find(&l, "blk.1.hc_attn_fn.weight")->sum[0] / (double)(N_TOKENS * find(&l, "blk.1.hc_attn_fn.weight")->n), 1);
        ggl_model_free(m);
        v4b_free(b);
    }
}

static void copy_row(void *user, const char *name, int64_t pos, const float *row, int64_t n)
{
    (void)name, (void)pos;
    memcpy(user, row, (size_t)n * sizeof(*row));
}

/* Down's inputs: recomputed here in double from the matrices of one expert, for the first layer's first token. */
static void down_inputs(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.seed = 3});
    v4b_save(b, gb_temp("m.gguf"));
    struct ggl_model *m = mv_load_file(gb_temp("m.gguf"), 2);
    struct log l = {.n = 0};
    struct ggl_session *s = start(m, 1, false);
    static float x[V4B_EMBD], experts[8], gains[8];
    assert_int_equal(ggl_session_set_calibrate_fn(s, on_row, &l, NULL), GGL_OK);
    float *outs[] = {x, experts, gains};
    const char *names[] = {"L0.ffn.in", "L0.ffn.experts", "L0.ffn.gains"};
    for (int i = 0; i < 3; i++) assert_int_equal(ggl_session_dump(s, names[i], copy_row, outs[i], NULL), GGL_OK);
    assert_int_equal(ggl_session_eval(s, ids, 1, NULL), GGL_OK);
    const struct v4b_tensor *gate = v4b_tensor(b, "blk.0.ffn_gate_exps.weight"), *up = v4b_tensor(b, "blk.0.ffn_up_exps.weight");
    int e = (int)experts[0];
    double sum = 0, limit = 10;
    for (int64_t r = 0; r < gate->ne[1]; r++) {
        double g = 0, u = 0;
        for (int64_t i = 0; i < V4B_EMBD; i++) {
            g += (double)gate->values[(e * gate->ne[1] + r) * V4B_EMBD + i] * (double)x[i];
            u += (double)up->values[(e * gate->ne[1] + r) * V4B_EMBD + i] * (double)x[i];
        }
        g = fmin(g, limit), u = fmax(fmin(u, limit), -limit);
        double a = (double)gains[0] * u * g / (1 + exp(-g));
        sum += a * a;
    }
    const struct seen *down = find(&l, "blk.0.ffn_down_exps.weight");
    assert_int_equal(down->rows[e], 1);
    if (fabs(down->sum[e] - sum) > 1e-4 * sum) fail_msg("%.9g, expected %.9g", down->sum[e], sum);
    ggl_session_free(s);
    ggl_model_free(m);
    v4b_free(b);
}

/* Watching changes no bit, and the sums do not depend on how tokens are cut or on threads. */
static void nothing_changes(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.matrices = GGL_TYPE_F16});
    struct log logs[2];
    float *plain = NULL;
    v4b_save(b, gb_temp("m.gguf"));
    for (int i = 0; i < 3; i++) {
        struct ggl_model *m = mv_load_file(gb_temp("m.gguf"), i == 1 ? 3 : 1);
        struct ggl_session *s = start(m, i == 2 ? N_TOKENS : 7, false);
        int64_t bytes = ggl_model_n_vocab(m) * 4;
        if (i) logs[i - 1].n = 0, memset(logs[i - 1].seen, 0, sizeof(logs[i - 1].seen));
        if (i) assert_int_equal(ggl_session_set_calibrate_fn(s, on_row, &logs[i - 1], NULL), GGL_OK);
        assert_int_equal(ggl_session_eval(s, ids, N_TOKENS, NULL), GGL_OK);
        if (!plain) plain = memcpy(malloc((size_t)bytes), ggl_session_logits(s), (size_t)bytes);
        mv_same_logits(plain, ggl_session_logits(s), bytes / 4, "calibration");
        ggl_session_free(s);
        ggl_model_free(m);
    }
    free(plain);
    assert_int_equal(logs[0].n, logs[1].n);
    for (int i = 0; i < logs[0].n; i++) {
        const struct seen *x = &logs[0].seen[i], *y = find(&logs[1], x->name);
        for (int64_t e = 0; e < x->n_slices; e++) {
            assert_int_equal(x->rows[e], y->rows[e]);
            same_sum(x->name, x->sum[e] + 1, y->sum[e] + 1);
        }
    }
    v4b_free(b);
}

static void not_fast(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.matrices = GGL_TYPE_Q8_0});
    struct ggl_error err = {0};
    struct log l = {.n = 0};
    v4b_save(b, gb_temp("m.gguf"));
    mv_precision = GGL_PRECISION_FAST;
    struct ggl_model *m = mv_load_file(gb_temp("m.gguf"), 1);
    mv_precision = GGL_PRECISION_F32;
    struct ggl_session *s = start(m, 4, false);
    assert_int_equal(ggl_session_set_calibrate_fn(s, on_row, &l, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_session_set_calibrate_fn(s, NULL, NULL, &err), GGL_OK);
    ggl_session_free(s);
    ggl_model_free(m);
    v4b_free(b);
}

static int clean(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_matrix), cmocka_unit_test(down_inputs), cmocka_unit_test(nothing_changes),
                                       cmocka_unit_test(not_fast)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
