/*
 * The mixture of experts on shapes where the wider rows take the smaller scratch: threads must not share any.
 * (Rows of 2,048 floats make tiles of 16 and take 128 KiB, rows of 10,944 tiles of 2 and take 86 KiB.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ggml-lite/graph.h"
#include "ggml-lite/pack.h"

enum { EMBD = 10944, FF = 2048, TOKENS = 3 };

static uint32_t state = 7;

static uint32_t draw(void)
{
    return (state = state * 1664525u + 1013904223u) >> 8;
}

typedef struct ggl_node *moe_fn(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *experts, struct ggl_node *gains,
                                struct ggl_node *shared, const struct ggl_tensor *gate, const struct ggl_tensor *up,
                                const struct ggl_tensor *down, float limit);

/* A Q8_0 matrix of small random weights. */
static void fill(struct ggl_tensor *t, const char *name, int64_t n_in, int64_t n_out)
{
    *t = (struct ggl_tensor){.type = GGL_TYPE_Q8_0, .n_dims = 3, .ne = {n_in, n_out, 1, 1}};
    memcpy(t->name, name, strlen(name));
    t->row_bytes = (uint64_t)(n_in / 32 * 34);
    t->slice_bytes = t->row_bytes * (uint64_t)n_out;
    uint8_t *data = malloc(t->slice_bytes);
    assert_non_null(data);
    for (uint64_t i = 0; i < t->slice_bytes; i++) data[i] = (uint8_t)draw();
    for (uint64_t i = 0; i < t->slice_bytes; i += 34) data[i] = 0, data[i + 1] = 0x10; /* 2^-11 */
    t->data = data;
}

static void run(moe_fn *moe, int threads, const struct ggl_tensor w[3], const float *x, float *out)
{
    const int64_t n_embd = w[0].ne[0];
    static const int32_t experts[TOKENS] = {0, 0, 0};
    static const float gains[TOKENS] = {1.0f, 0.5f, 0.25f};
    struct ggl_error err;
    struct ggl_team *team;
    assert_int_equal(ggl_team_new(threads, &team, &err), GGL_OK);
    struct ggl_graph *g = ggl_graph_new(TOKENS);
    struct ggl_node *in = ggl_input(g, GGL_ELEM_F32, n_embd), *ids = ggl_input(g, GGL_ELEM_I32, 1);
    struct ggl_node *gain = ggl_input(g, GGL_ELEM_F32, 1);
    struct ggl_node *y = moe(g, in, ids, gain, NULL, &w[0], &w[1], &w[2], 10.0f);
    ggl_graph_output(g, y);
    assert_int_equal(ggl_graph_plan(g, team, &err), GGL_OK);
    ggl_node_bind(in, x);
    ggl_node_bind(ids, experts);
    ggl_node_bind(gain, gains);
    assert_int_equal(ggl_graph_compute(g, TOKENS, 0, NULL, &err), GGL_OK);
    memcpy(out, ggl_node_data(y), sizeof(float) * (size_t)n_embd * TOKENS);
    ggl_graph_free(g);
    ggl_team_free(team);
}

static void same_for_any_threads(void **unused)
{
    (void)unused;
    static float x[TOKENS * EMBD], one[TOKENS * EMBD], many[TOKENS * EMBD];
    struct ggl_tensor w[3];
    fill(&w[0], "gate", EMBD, FF);
    fill(&w[1], "up", EMBD, FF);
    fill(&w[2], "down", FF, EMBD);
    for (int i = 0; i < TOKENS * EMBD; i++) x[i] = (float)(draw() % 2001) / 1000.0f - 1.0f;
    run(ggl_moe, 1, w, x, one);
    for (int threads = 2; threads <= 3; threads++)
        for (int repeat = 0; repeat < 3; repeat++) {
            run(ggl_moe, threads, w, x, many);
            assert_memory_equal(one, many, sizeof(one));
        }
    for (int i = 0; i < 3; i++) free((void *)(uintptr_t)w[i].data);
}

/* Rows of random floats, rounded to the type. */
static void encode(struct ggl_tensor *t, enum ggl_type type, const char *name, int64_t n_in, int64_t n_out)
{
    float *row = malloc((size_t)n_in * sizeof(*row));
    *t = (struct ggl_tensor){.type = type, .n_dims = 3, .ne = {n_in, n_out, 1, 1}};
    memcpy(t->name, name, strlen(name));
    assert_true(ggl_row_bytes((uint32_t)type, n_in, &t->row_bytes));
    t->slice_bytes = t->row_bytes * (uint64_t)n_out;
    uint8_t *data = malloc(t->slice_bytes);
    assert_true(row && data);
    for (int64_t r = 0; r < n_out; r++) {
        for (int64_t i = 0; i < n_in; i++) row[i] = ((float)draw() / 0x1p23f - 1) * 0.1f;
        assert_true(ggl_encode(type, row, data + (uint64_t)r * t->row_bytes, n_in));
    }
    t->data = data;
    free(row);
}

/* Rounded activations: near the float ones, not the same, for types of every kind of panel and for the shortest rows of
 * each. */
static void fast_is_near(void **unused)
{
    (void)unused;
    static const struct {
        enum ggl_type type;
        int n, m;
    } cases[] = {{GGL_TYPE_Q8_0, 96, 160},  {GGL_TYPE_Q4_0, 96, 160},  {GGL_TYPE_MXFP4, 96, 160},
                 {GGL_TYPE_Q4_1, 256, 512}, {GGL_TYPE_Q5_0, 512, 256}, {GGL_TYPE_Q5_1, 256, 512}};
    enum { MOST = 512 };
    static float x[TOKENS * MOST], exact[TOKENS * MOST], fast[TOKENS * MOST], again[TOKENS * MOST];
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        const int n = cases[k].n, m = cases[k].m;
        struct ggl_tensor w[3];
        double error = 0, power = 0;
        encode(&w[0], cases[k].type, "gate", n, m);
        encode(&w[1], cases[k].type, "up", n, m);
        encode(&w[2], cases[k].type, "down", m, n);
        for (int i = 0; i < TOKENS * n; i++) x[i] = (float)(draw() % 2001) / 1000.0f - 1.0f;
        run(ggl_moe, 1, w, x, exact);
        run(ggl_moe_fast, 1, w, x, fast);
        run(ggl_moe_fast, 3, w, x, again);
        assert_memory_equal(fast, again, sizeof(fast));
        for (int i = 0; i < TOKENS * n; i++) {
            error += ((double)fast[i] - (double)exact[i]) * ((double)fast[i] - (double)exact[i]);
            power += (double)exact[i] * (double)exact[i];
        }
        if (!(error / power > 1e-7 && error / power < 1e-3))
            fail_msg("%s: NMSE %g", ggl_type_info((uint32_t)cases[k].type)->name, error / power);
        for (int i = 0; i < 3; i++) free((void *)(uintptr_t)w[i].data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_for_any_threads), cmocka_unit_test(fast_is_near)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
