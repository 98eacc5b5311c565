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

enum { EMBD = 10944, FF = 2048, TOKENS = 3 };

static uint32_t state = 7;

static uint32_t draw(void)
{
    return (state = state * 1664525u + 1013904223u) >> 8;
}

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

static void run(int threads, const struct ggl_tensor w[3], const float *x, float *out)
{
    static const int32_t experts[TOKENS] = {0, 0, 0};
    static const float gains[TOKENS] = {1.0f, 0.5f, 0.25f};
    struct ggl_error err;
    struct ggl_team *team;
    assert_int_equal(ggl_team_new(threads, &team, &err), GGL_OK);
    struct ggl_graph *g = ggl_graph_new(TOKENS);
    struct ggl_node *in = ggl_input(g, GGL_ELEM_F32, EMBD), *ids = ggl_input(g, GGL_ELEM_I32, 1);
    struct ggl_node *gain = ggl_input(g, GGL_ELEM_F32, 1);
    struct ggl_node *y = ggl_moe(g, in, ids, gain, NULL, &w[0], &w[1], &w[2], 10.0f);
    ggl_graph_output(g, y);
    assert_int_equal(ggl_graph_plan(g, team, &err), GGL_OK);
    ggl_node_bind(in, x);
    ggl_node_bind(ids, experts);
    ggl_node_bind(gain, gains);
    assert_int_equal(ggl_graph_compute(g, TOKENS, 0, NULL, &err), GGL_OK);
    memcpy(out, ggl_node_data(y), sizeof(float) * EMBD * TOKENS);
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
    run(1, w, x, one);
    for (int threads = 2; threads <= 3; threads++)
        for (int repeat = 0; repeat < 3; repeat++) {
            run(threads, w, x, many);
            assert_memory_equal(one, many, sizeof(one));
        }
    for (int i = 0; i < 3; i++) free((void *)(uintptr_t)w[i].data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_for_any_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
