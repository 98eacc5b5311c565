/*
 * Graphs: their memory plan, their refusals, their runs cut and shared out in
 * every way, and how a run is stopped and watched.
 */
#include "ggml-lite/graph.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/graph_impl.h"
#include "support/block_graph.h"

static uint32_t rng = 12345;

static uint32_t below(uint32_t n)
{
    rng = rng * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)rng * n >> 32);
}

static struct ggl_team *team_of(int n)
{
    struct ggl_team *team = NULL;
    assert_int_equal(ggl_team_new(n, &team, NULL), GGL_OK);
    assert_int_equal(ggl_team_size(team), n);
    return team;
}

/* ---- the plan */

static uint64_t odd_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    return (uint64_t)(node->width % 7 * n_tokens * nth);
}

static void run_nothing(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)node, (void)run, (void)phase;
}

static const struct ggl_op op_plain = {"plain", 1, NULL, run_nothing},
                           op_scratch = {"scratch", 1, odd_scratch, run_nothing};

static struct ggl_graph *random_graph(int n_nodes, bool *output)
{
    struct ggl_graph *g = ggl_graph_new(1 + below(9));
    assert_non_null(g);
    for (int i = 0; i < n_nodes; i++) {
        struct ggl_node *src[GGL_MAX_SRC] = {NULL}, *node;
        int n_src = i ? (int)below(GGL_MAX_SRC + 1) : 0;
        for (int s = 0; s < n_src; s++)
            if (below(5)) src[s] = g->nodes[i - 1 - (int)below((uint32_t)(i < 12 ? i : 12))];
        if (below(10) == 0)
            node = ggl_input(g, GGL_ELEM_F32, below(100));
        else
            node = ggl_node_new(g, below(2) ? &op_plain : &op_scratch, (enum ggl_elem)below(3), below(200),
                                n_src, src);
        assert_non_null(node);
        output[i] = below(12) == 0;
        if (output[i]) ggl_graph_output(g, node);
    }
    return g;
}

struct range {
    int node, first, last;
    uint64_t begin, end;
};

/* Which memory is in use when, from the graph's edges alone. */
static int ranges_of(const struct ggl_graph *g, const bool *output, int nth, struct range *r)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct ggl_node *node = g->nodes[i];
        if (!node->op) continue;
        int last = output[i] ? g->n_nodes : i;
        for (int j = i + 1; j < g->n_nodes; j++)
            for (int s = 0; s < g->nodes[j]->n_src; s++)
                if (g->nodes[j]->src[s] == node && j > last) last = j;
        uint64_t bytes = (uint64_t)(node->width * g->n_tokens_max) * (node->elem == GGL_ELEM_U8 ? 1 : 4);
        if (bytes) r[n++] = (struct range){i, i, last, node->offset, node->offset + bytes};
        bytes = node->op->scratch ? node->op->scratch(node, g->n_tokens_max, nth) : 0;
        if (bytes) r[n++] = (struct range){i, i, i, node->scratch_offset, node->scratch_offset + bytes};
    }
    return n;
}

static void plan_never_shares_live_memory(void **state)
{
    (void)state;
    enum { MAX_NODES = 150 };
    static struct range r[2 * MAX_NODES];
    static bool output[MAX_NODES];
    struct ggl_team *team = team_of(3);
    uint64_t planned = 0, separate = 0;
    for (int trial = 0; trial < 200; trial++) {
        struct ggl_graph *g = random_graph(1 + (int)below(MAX_NODES), output);
        assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
        int n = ranges_of(g, output, 3, r);
        for (int i = 0; i < n; i++) {
            assert_int_equal(r[i].begin % 64, 0);
            assert_true(r[i].end <= g->arena_bytes);
            separate += r[i].end - r[i].begin;
            for (int j = 0; j < i; j++) {
                bool together = r[i].first <= r[j].last && r[j].first <= r[i].last;
                if (together && r[i].begin < r[j].end && r[j].begin < r[i].end)
                    fail_msg("trial %d: nodes %d and %d share memory", trial, r[i].node, r[j].node);
            }
        }
        for (int i = 0; i < g->n_nodes; i++)
            if (g->nodes[i]->op) assert_ptr_equal(g->nodes[i]->data, g->arena + g->nodes[i]->offset);
        planned += g->arena_bytes;
        ggl_graph_free(g);
    }
    assert_true(planned * 2 < separate); /* places are used again */
    ggl_team_free(team);
}

/* Asking what another number of threads would need must not move anything. */
static void asking_for_the_size_changes_nothing(void **state)
{
    (void)state;
    static bool output[60];
    struct ggl_team *team = team_of(2);
    struct ggl_graph *g = random_graph(60, output);
    uint64_t bytes, before[60], scratch[60];
    assert_int_equal(ggl_graph_arena_bytes(g, 2, &bytes, NULL), GGL_OK);
    assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
    assert_true(bytes == g->arena_bytes);
    for (int i = 0; i < 60; i++)
        before[i] = g->nodes[i]->offset, scratch[i] = g->nodes[i]->scratch_offset;
    assert_int_equal(ggl_graph_arena_bytes(g, 6400, &bytes, NULL), GGL_OK);
    assert_true(bytes > g->arena_bytes);
    for (int i = 0; i < 60; i++)
        assert_true(before[i] == g->nodes[i]->offset && scratch[i] == g->nodes[i]->scratch_offset);
    ggl_graph_free(g);
    ggl_team_free(team);
}

/* Sanitizers end the program when an allocation is absurd; here it should only fail. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void sizes_that_do_not_fit(void **state)
{
    (void)state;
    struct ggl_error err = {0};
    uint64_t bytes;
    struct ggl_graph *g = ggl_graph_new(INT64_MAX / 2);
    ggl_node_new(g, &op_plain, GGL_ELEM_F32, 1 << 20, 0, NULL);
    assert_int_equal(ggl_graph_arena_bytes(g, 1, &bytes, &err), GGL_ERR_LIMIT);
    ggl_graph_free(g);

    struct ggl_team *team = team_of(1);
    g = ggl_graph_new(INT64_C(1) << 40);
    ggl_node_new(g, &op_plain, GGL_ELEM_F32, 1 << 20, 0, NULL);
    assert_int_equal(ggl_graph_plan(g, team, &err), GGL_ERR_NOMEM);
    assert_int_equal(ggl_graph_compute(g, 1, 0, NULL, &err), GGL_ERR_ARGUMENT); /* not planned */
    ggl_graph_free(g);
    ggl_team_free(team);
}

/* ---- refusals */

/* Everything that a builder of the table may need. */
struct parts {
    struct ggl_graph *g;
    struct ggl_node *f8, *f12, *ids, *i2, *u;
    const struct ggl_tensor *w8x4;
};

static struct ggl_tensor f32_tensor(const char *name, int64_t ne0, int64_t ne1, int64_t ne2)
{
    struct ggl_tensor t = {.type = GGL_TYPE_F32, .n_dims = 3, .ne = {ne0, ne1, ne2, 1}};
    snprintf(t.name, sizeof(t.name), "%s", name);
    t.row_bytes = (uint64_t)ne0 * 4;
    t.slice_bytes = t.row_bytes * (uint64_t)ne1;
    return t;
}

static const struct ggl_row_format kv64 = {GGL_ROW_KV, 64, 0, 65}, index32 = {GGL_ROW_INDEX, 32, 0, 17};
static uint8_t ring_memory[64];
static const struct ggl_row_ring ring = {ring_memory, 4, 8};
static const struct ggl_row_list list;
static struct ggl_tensor gate, up, down;

static const struct ggl_compressor *bad_compressor(int32_t ratio)
{
    static struct ggl_compressor c;
    c = (struct ggl_compressor){.ratio = ratio, .n_dim = 4, .state = &ring};
    return &c;
}

static const struct ggl_attention *heads_of(int32_t n_head, int32_t ratio)
{
    static struct ggl_attention a;
    a = (struct ggl_attention){
        .n_head = n_head, .n_dim = 4, .window = 4, .ratio = ratio, .format = {GGL_ROW_FLOAT, 4, 0, 16}};
    return &a;
}

/* One wrong call a line: the operation, and the call. */
#define REFUSALS(X)                                                                                       \
    X("embed", ggl_embed(p.g, p.w8x4, p.f8, 1))                                                           \
    X("embed", ggl_embed(p.g, p.w8x4, p.i2, 1))                                                           \
    X("embed", ggl_embed(p.g, p.w8x4, p.ids, 0))                                                          \
    X("rms_norm", ggl_rms_norm(p.g, p.f8, NULL, 3, 1e-6f))                                                \
    X("rms_norm", ggl_rms_norm(p.g, p.f8, NULL, -4, 1e-6f))                                               \
    X("mul_mat", ggl_mul_mat(p.g, p.w8x4, p.f12, 1))                                                      \
    X("mul_mat", ggl_mul_mat(p.g, p.w8x4, p.f8, 2))                                                       \
    X("mul_mat", ggl_mul_mat(p.g, p.w8x4, p.f8, 0))                                                       \
    X("mul_mat", ggl_mul_mat(p.g, p.w8x4, ggl_input(p.g, GGL_ELEM_I32, 8), 1))                            \
    X("mul_mat_grouped", ggl_mul_mat_grouped(p.g, p.w8x4, p.f8, 2))                                       \
    X("mul_mat_grouped", ggl_mul_mat_grouped(p.g, p.w8x4, p.f8, 0))                                       \
    X("mul_mat_grouped", ggl_mul_mat_grouped(p.g, p.w8x4, ggl_input(p.g, GGL_ELEM_F32, 24), 3))           \
    X("add", ggl_add(p.g, p.f12, p.f8))                                                                   \
    X("swiglu", ggl_swiglu(p.g, p.f8, p.f12, 0))                                                          \
    X("rope", ggl_rope(p.g, p.f8, ggl_rope_table(p.g, NULL, 2), 3, 2, false))                             \
    X("rope", ggl_rope(p.g, p.f8, ggl_rope_table(p.g, NULL, 2), 0, 4, false))                             \
    X("rope", ggl_rope(p.g, p.f8, ggl_rope_table(p.g, NULL, 2), 8, 6, false))                             \
    X("rope", ggl_rope(p.g, p.f8, ggl_rope_table(p.g, NULL, 4), 4, 8, false))                             \
    X("hc_mix", ggl_hc_mix(p.g, p.f8, NULL, NULL, NULL, 3, 20, 0, 0))                                     \
    X("hc_mix", ggl_hc_mix(p.g, p.f8, NULL, NULL, NULL, 9, 20, 0, 0))                                     \
    X("hc_mix", ggl_hc_mix(p.g, p.f8, NULL, NULL, NULL, 2, 0, 0, 0))                                      \
    X("hc_mix", ggl_hc_head_mix(p.g, p.f8, NULL, NULL, NULL, 0, 0, 0))                                    \
    X("hc_pre", ggl_hc_pre(p.g, p.f8, p.f12, 3))                                                          \
    X("hc_pre", ggl_hc_pre(p.g, p.f8, p.f12, 0))                                                          \
    X("hc_pre", ggl_hc_pre(p.g, ggl_input(p.g, GGL_ELEM_F32, 64), p.f12, 16))                             \
    X("hc_post", ggl_hc_post(p.g, p.f8, p.f12, p.f8, 2))                                                  \
    X("hc_post", ggl_hc_post(p.g, ggl_input(p.g, GGL_ELEM_F32, 4), p.f8, p.f12, 2))                       \
    X("cache_encode", ggl_cache_encode(p.g, p.f8, kv64))                                                  \
    X("ring_store", (ggl_ring_store(p.g, p.u, &ring, 3, p.f8), NULL))                                     \
    X("ring_store", (ggl_ring_store(p.g, p.f8, &ring, 2, p.f12), NULL))                                   \
    X("add_position", ggl_add_position(p.g, p.u, NULL, 4))                                                \
    X("add_position", ggl_add_position(p.g, p.f8, NULL, 0))                                               \
    X("compress", ggl_compress(p.g, p.f8, p.f8, bad_compressor(5)))                                       \
    X("compress", ggl_compress(p.g, p.f8, p.f12, bad_compressor(4)))                                      \
    X("compress", ggl_compress(p.g, p.f8, p.f8, bad_compressor(4)))                                       \
    X("index_query", ggl_index_query(p.g, p.f8, 2, index32))                                              \
    X("index_select", ggl_index_select(p.g, p.u, p.f8, p.f8, &list, index32, 2, 4, 4, 1))                 \
    X("attention", ggl_attention(p.g, p.f8, p.u, NULL, NULL, heads_of(3, 0)))                             \
    X("attention", ggl_attention(p.g, p.f8, p.u, NULL, NULL, heads_of(2, 0)))                             \
    X("attention", ggl_attention(p.g, p.f8, ggl_input(p.g, GGL_ELEM_U8, 16), NULL, NULL, heads_of(2, 4))) \
    X("router_select", ggl_router_select(p.g, p.f8, NULL, NULL, p.ids, 9))                                \
    X("router_select", ggl_router_select(p.g, p.f8, NULL, NULL, p.ids, 0))                                \
    X("router_gains", ggl_router_gains(p.g, p.f8, p.f12, 1))                                              \
    X("moe", ggl_moe(p.g, p.f8, p.i2, p.f8, NULL, &gate, &up, &down, 0))                                  \
    X("moe", ggl_moe(p.g, p.f8, p.f12, p.f12, NULL, &gate, &up, &down, 0))                                \
    X("moe", ggl_moe(p.g, p.f12, p.i2, ggl_input(p.g, GGL_ELEM_F32, 2), NULL, &gate, &up, &down, 0))      \
    X("moe", ggl_moe(p.g, p.f8, p.i2, ggl_input(p.g, GGL_ELEM_F32, 2), p.f12, &gate, &up, &down, 0))      \
    X("moe", ggl_moe(p.g, p.f8, p.i2, ggl_input(p.g, GGL_ELEM_F32, 2), NULL, &gate, &up, &up, 0))

static struct parts new_parts(const struct ggl_tensor *w)
{
    struct parts p = {.g = ggl_graph_new(4), .w8x4 = w};
    assert_non_null(p.g);
    p.f8 = ggl_input(p.g, GGL_ELEM_F32, 8);
    p.f12 = ggl_input(p.g, GGL_ELEM_F32, 12);
    p.ids = ggl_input(p.g, GGL_ELEM_I32, 1);
    p.i2 = ggl_input(p.g, GGL_ELEM_I32, 2);
    p.u = ggl_input(p.g, GGL_ELEM_U8, 8);
    return p;
}

static void check_refusal(struct parts *p, const char *op, const char *call, const struct ggl_node *node,
                          struct ggl_team *team)
{
    struct ggl_error err = {0};
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "%s: ", op);
    if (node) fail_msg("%s was not refused", call);
    if (ggl_graph_plan(p->g, team, &err) != GGL_ERR_ARGUMENT || strncmp(err.what, prefix, strlen(prefix)))
        fail_msg("%s: status %d, '%s'", call, (int)err.status, err.what);
    assert_null(ggl_input(p->g, GGL_ELEM_F32, 1)); /* after a refusal nothing is added */
    ggl_graph_free(p->g);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    struct ggl_tensor w = f32_tensor("w", 8, 4, 1);
    struct ggl_team *team = team_of(1);
    gate = f32_tensor("gate", 8, 4, 3), up = f32_tensor("up", 8, 4, 3), down = f32_tensor("down", 4, 8, 3);
#define X(op, call)                               \
    {                                             \
        struct parts p = new_parts(&w);           \
        const struct ggl_node *node = call;       \
        check_refusal(&p, op, #call, node, team); \
    }
    REFUSALS(X)
#undef X
    struct ggl_error err = {0};
    struct ggl_graph *g = ggl_graph_new(0);
    assert_non_null(g);
    assert_int_equal(ggl_graph_plan(g, team, &err), GGL_ERR_ARGUMENT);
    ggl_graph_free(g);
    ggl_team_free(team);
}

static void null_passes_through(void **state)
{
    (void)state;
    struct ggl_tensor w = f32_tensor("w", 8, 4, 1);
    struct parts p = new_parts(&w);
    struct ggl_compressor c = {0};
    assert_null(ggl_embed(p.g, &w, NULL, 1));
    assert_null(ggl_rms_norm(p.g, NULL, NULL, 0, 0));
    assert_null(ggl_mul_mat(p.g, &w, NULL, 1));
    assert_null(ggl_mul_mat_grouped(p.g, &w, NULL, 1));
    assert_null(ggl_add(p.g, NULL, p.f8));
    assert_null(ggl_add(p.g, p.f8, NULL));
    assert_null(ggl_swiglu(p.g, p.f8, NULL, 0));
    assert_null(ggl_rope(p.g, NULL, p.f8, 8, 8, false));
    assert_null(ggl_hc_mix(p.g, NULL, NULL, NULL, NULL, 2, 20, 0, 0));
    assert_null(ggl_hc_head_mix(p.g, NULL, NULL, NULL, NULL, 2, 0, 0));
    assert_null(ggl_hc_pre(p.g, NULL, p.f8, 2));
    assert_null(ggl_hc_post(p.g, p.f8, p.f8, NULL, 2));
    assert_null(ggl_cache_encode(p.g, NULL, kv64));
    ggl_ring_store(p.g, NULL, &ring, 1, p.f8);
    ggl_ring_store(p.g, p.u, &ring, 1, NULL);
    assert_null(ggl_add_position(p.g, NULL, NULL, 1));
    assert_null(ggl_compress(p.g, NULL, p.f8, &c));
    assert_null(ggl_index_query(p.g, NULL, 1, index32));
    assert_null(ggl_index_select(p.g, NULL, p.f8, p.f8, &list, index32, 1, 1, 4, 1));
    assert_null(ggl_attention(p.g, p.f8, NULL, NULL, NULL, heads_of(2, 0)));
    assert_null(ggl_router_score(p.g, NULL));
    assert_null(ggl_router_select(p.g, NULL, NULL, NULL, p.ids, 1));
    assert_null(ggl_router_gains(p.g, p.f8, NULL, 1));
    assert_null(ggl_moe(p.g, p.f8, NULL, p.f8, NULL, &gate, &up, &down, 0));
    assert_null(ggl_name(NULL, "x"));
    ggl_node_bind(NULL, NULL);
    ggl_graph_output(p.g, NULL);
    uint64_t bytes;
    assert_int_equal(ggl_graph_arena_bytes(p.g, 1, &bytes, NULL), GGL_OK); /* no error of their own */
    assert_int_equal(ggl_graph_n_nodes(p.g), 5);
    ggl_graph_free(p.g);
    ggl_graph_free(NULL);
}

static void runs_that_cannot_be(void **state)
{
    (void)state;
    struct ggl_team *team = team_of(1);
    struct ggl_error err = {0};
    struct ggl_tensor w = f32_tensor("w", 8, 4, 1);
    struct parts p = new_parts(&w);
    struct ggl_node *y = ggl_rms_norm(p.g, p.f8, NULL, 0, 1e-6f);
    const float x[32] = {1};
    assert_int_equal(ggl_graph_plan(p.g, team, NULL), GGL_OK);
    assert_int_equal(ggl_graph_compute(p.g, 1, 0, NULL, &err), GGL_ERR_ARGUMENT);
    assert_string_equal(err.what, "graph: input 0 has no data");
    ggl_node_bind(p.f8, x); /* the other inputs have no reader */
    ggl_node_bind(y, x);    /* not an input: nothing happens */
    assert_int_equal(ggl_graph_compute(p.g, 0, 0, NULL, NULL), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_graph_compute(p.g, 5, 0, NULL, NULL), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_graph_compute(p.g, 1, -1, NULL, NULL), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_graph_compute(p.g, 4, 0, NULL, NULL), GGL_OK);
    assert_ptr_not_equal(ggl_node_data(y), x);
    ggl_graph_free(p.g);
    ggl_team_free(team);
}

/* ---- runs: the operations of a whole block (support/block_graph.h) */

enum { TOKENS = 43 };
static float expected[TOKENS * BLOCK_OUT];

static void compute(struct block_graph *b, struct ggl_team *team, const int *chunks, float *out)
{
    int64_t pos = 0;
    for (int i = 0; pos < TOKENS; i++) {
        int64_t n = chunks[i] < TOKENS - pos ? chunks[i] : TOKENS - pos;
        assert_int_equal(block_graph_run(b, n, pos, NULL), GGL_OK);
        memcpy(out + pos * BLOCK_OUT, ggl_node_data(b->out), (size_t)n * BLOCK_OUT * 4);
        pos += n;
    }
    (void)team;
}

static void same_bits_however_cut_and_shared(void **state)
{
    (void)state;
    static float out[TOKENS * BLOCK_OUT];
    static const int teams[] = {1, 2, 3, 5, 8};
    int whole[] = {TOKENS}, ones[TOKENS], odd[] = {1, 7, 3, 12, 2, 18}, fours[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        ones[i] = 1, fours[i] = 4;
    const int *cuts[] = {whole, ones, odd, fours};
    for (int t = 0; t < 5; t++) {
        struct ggl_team *team = team_of(teams[t]);
        for (int c = 0; c < 4; c++) {
            struct block_graph *b = block_graph_new(TOKENS, team);
            compute(b, team, cuts[c], out);
            if (t == 0 && c == 0) memcpy(expected, out, sizeof(out));
            for (int i = 0; i < TOKENS * BLOCK_OUT; i++)
                if (memcmp(&out[i], &expected[i], 4))
                    fail_msg("%d threads, cut %d: token %d, element %d: %a, expected %a", teams[t], c,
                             i / BLOCK_OUT, i % BLOCK_OUT, (double)out[i], (double)expected[i]);
            block_graph_free(b);
        }
        ggl_team_free(team);
    }
    bool varied = false; /* the comparison is worth something */
    for (int i = 0; i < TOKENS * BLOCK_OUT; i++) {
        assert_true(expected[i] == expected[i]);
        varied = varied || expected[i] != expected[0];
    }
    assert_true(varied);
}

/* Rows that are longer than kernels with 16 bits take are attended to in floats, and crash nothing. */
static void very_long_rows(void **state)
{
    (void)state;
    enum { DIM = 4160, HEADS = 2, MANY = 20 };
    static float q[MANY * HEADS * DIM], out[2][MANY * HEADS * DIM], sinks[HEADS];
    struct ggl_attention a = {.n_head = HEADS, .n_dim = DIM, .window = 4, .sinks = sinks, .format = ggl_row_format(GGL_ROW_KV, DIM, 64)};
    uint8_t *rows = malloc(MANY * a.format.bytes);
    for (int i = 0; i < MANY * HEADS * DIM; i++) q[i] = (float)below(1 << 20) / (1 << 19) - 1;
    for (int i = 0; i < MANY; i++) ggl_row_random(&a.format, (uint64_t)i, rows + (size_t)i * a.format.bytes);
    struct ggl_team *team = team_of(2);
    for (int rounded = 0; rounded < 2; rounded++) {
        struct ggl_graph *g = ggl_graph_new(MANY);
        struct ggl_node *query = ggl_input(g, GGL_ELEM_F32, HEADS * DIM), *row = ggl_input(g, GGL_ELEM_U8, (int64_t)a.format.bytes), *y;
        a.rounded = rounded;
        ggl_graph_output(g, y = ggl_attention(g, query, row, NULL, NULL, &a));
        assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
        ggl_node_bind(query, q);
        ggl_node_bind(row, rows);
        assert_int_equal(ggl_graph_compute(g, MANY, 0, NULL, NULL), GGL_OK);
        memcpy(out[rounded], ggl_node_data(y), sizeof(out[0]));
        ggl_graph_free(g);
    }
    assert_memory_equal(out[0], out[1], sizeof(out[0]));
    assert_true(out[0][0] == out[0][0]);
    ggl_team_free(team);
    free(rows);
}

/* Nodes that are added behind ggl_graph_fuse have the kernel's fused products, and those before it do not. */
static void fused_from_there_on(void **state)
{
    (void)state;
    enum { IN = 4096, OUT = 20, MANY = 17 };
    static float w[IN * OUT], x[IN * MANY], want[2][OUT * MANY];
    const struct ggl_tensor t = {.name = "w", .type = GGL_TYPE_F32, .n_dims = 2, .ne = {IN, OUT, 1, 1}, .row_bytes = IN * 4,
                                 .slice_bytes = sizeof(w), .data = (const uint8_t *)w};
    for (int i = 0; i < IN * OUT; i++) w[i] = (float)below(1 << 20) / (1 << 19) - 1;
    for (int i = 0; i < IN * MANY; i++) x[i] = (float)below(1 << 20) / (1 << 19) - 1;
    struct ggl_kernels k;
    ggl_kernels_pick(&k, ggl_cpu_isa());
    void *scratch = malloc(ggl_mul_mat_scratch(IN));
    k.mul_mat_f32(&k, &t, 0, 0, OUT, x, IN, NULL, MANY, want[0], OUT, scratch);
    k.mul_mat_fused(&k, &t, 0, 0, OUT, x, IN, NULL, MANY, want[1], OUT, scratch);
    free(scratch);
    struct ggl_team *team = team_of(2);
    struct ggl_graph *g = ggl_graph_new(MANY);
    struct ggl_node *in = ggl_input(g, GGL_ELEM_F32, IN), *y[2];
    ggl_graph_output(g, y[0] = ggl_mul_mat(g, &t, in, 1));
    ggl_graph_fuse(g);
    ggl_graph_output(g, y[1] = ggl_mul_mat(g, &t, in, 1));
    assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
    static const int64_t runs[][2] = {{0, MANY}, {0, 1}, {1, 7}, {8, 9}}; /* first token, how many */
    for (int r = 0; r < 4; r++) {
        ggl_node_bind(in, x + runs[r][0] * IN);
        assert_int_equal(ggl_graph_compute(g, runs[r][1], runs[r][0], NULL, NULL), GGL_OK);
        for (int i = 0; i < 2; i++) assert_memory_equal(ggl_node_data(y[i]), want[i] + runs[r][0] * OUT, (size_t)(runs[r][1] * OUT) * 4);
    }
    ggl_graph_free(g);
    ggl_team_free(team);
}

/* Rows of different lengths before and after the experts' inner width: the tile of the shorter one is the
 * larger. */
static void experts_with_a_narrow_inner_width(void **state)
{
    (void)state;
    enum { EMBD = 2112, FF = 2048, N = 3 };
    static float weights[EMBD > FF ? EMBD : FF], x[N * EMBD], first[N * EMBD];
    static int32_t experts[N];
    static float gains[N] = {1, 2, 3};
    for (int i = 0; i < EMBD; i++)
        weights[i] = (float)(i * 37 % 101 - 50) / 500;
    for (int i = 0; i < N * EMBD; i++)
        x[i] = (float)(i * 31 % 97 - 48) / 48;
    gate = f32_tensor("gate", EMBD, FF, 1), up = f32_tensor("up", EMBD, FF, 1),
    down = f32_tensor("down", FF, EMBD, 1);
    gate.row_bytes = up.row_bytes = down.row_bytes =
        0; /* every row is the same one: small, but as wide as it gets */
    gate.data = up.data = down.data = (const uint8_t *)weights;
    for (int n = 1; n <= 3; n++) {
        struct ggl_team *team = team_of(n);
        struct ggl_graph *g = ggl_graph_new(N);
        struct ggl_node *in = ggl_input(g, GGL_ELEM_F32, EMBD), *e = ggl_input(g, GGL_ELEM_I32, 1),
                        *w = ggl_input(g, GGL_ELEM_F32, 1);
        struct ggl_node *y = ggl_moe(g, in, e, w, NULL, &gate, &up, &down, 0);
        assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
        ggl_node_bind(in, x), ggl_node_bind(e, experts), ggl_node_bind(w, gains);
        assert_int_equal(ggl_graph_compute(g, N, 0, NULL, NULL), GGL_OK);
        if (n == 1) memcpy(first, ggl_node_data(y), sizeof(first));
        assert_memory_equal(first, ggl_node_data(y), sizeof(first));
        for (int i = 1; i < EMBD; i++)
            assert_true(first[i] == first[0]); /* every row is the same one */
        ggl_graph_free(g);
        ggl_team_free(team);
    }
}

/* ---- cancelling */

static atomic_bool flag;

static void raise_at_fifth(void *user, const struct ggl_node *node, int64_t n_tokens, int64_t pos)
{
    (void)node, (void)n_tokens, (void)pos;
    if (++*(int *)user == 5) atomic_store(&flag, true);
}

static void a_flag_stops_the_run(void **state)
{
    (void)state;
    struct ggl_error err = {0};
    struct ggl_team *team = team_of(3);
    struct block_graph *b = block_graph_new(TOKENS, team);
    int taps = 0;
    atomic_store(&flag, true);
    ggl_graph_set_tap(b->g, raise_at_fifth, &taps);
    assert_int_equal(block_graph_run(b, TOKENS, 0, &flag), GGL_ERR_CANCELLED);
    assert_int_equal(taps, 0);
    atomic_store(&flag, false);
    ggl_node_bind(b->ids, b->tokens);
    assert_int_equal(ggl_graph_compute(b->g, TOKENS, 0, &flag, &err), GGL_ERR_CANCELLED);
    assert_int_equal(err.status, GGL_ERR_CANCELLED);
    assert_int_equal(taps, 5); /* no node was watched after that */
    block_graph_free(b);
    ggl_team_free(team);
}

static atomic_bool quit;

static void *raise_now_and_then(void *unused)
{
    (void)unused;
    for (unsigned delay = 1; !atomic_load(&quit); delay = delay * 7 % 1009 + 1) {
        usleep(20 * delay);
        atomic_store(&flag, true); /* whoever runs takes it back */
    }
    return NULL;
}

/* At any moment: the run either says that it was cancelled, or its results are right; and it comes back. */
static void any_moment_is_a_good_one_to_cancel(void **state)
{
    (void)state;
    struct ggl_team *team = team_of(3);
    struct block_graph *b = block_graph_new(TOKENS, team);
    pthread_t other;
    int done = 0, cancelled = 0;
    atomic_store(&quit, false);
    assert_int_equal(pthread_create(&other, NULL, raise_now_and_then, NULL), 0);
    for (int i = 0; i < 150 && (done < 10 || cancelled < 40); i++) {
        enum ggl_status s = block_graph_run(b, TOKENS, 0, &flag);
        atomic_store(&flag, false);
        if (s == GGL_OK) {
            assert_memory_equal(ggl_node_data(b->out), expected, sizeof(expected));
            done++;
        } else {
            assert_int_equal(s, GGL_ERR_CANCELLED);
            cancelled++;
        }
    }
    atomic_store(&quit, true);
    pthread_join(other, NULL);
    print_message("            %d runs done, %d cancelled\n", done, cancelled);
    assert_true(cancelled > 0);
    assert_int_equal(block_graph_run(b, TOKENS, 0, NULL), GGL_OK); /* and the cache is as good as before */
    assert_memory_equal(ggl_node_data(b->out), expected, sizeof(expected));
    block_graph_free(b);
    ggl_team_free(team);
}

/* ---- watching */

struct watched {
    char names[8][32];
    int n;
    int64_t n_tokens, pos;
};

static void watch(void *user, const struct ggl_node *node, int64_t n_tokens, int64_t pos)
{
    struct watched *w = user;
    assert_true(w->n < 8);
    snprintf(w->names[w->n++], sizeof(w->names[0]), "%s", ggl_node_name(node));
    w->n_tokens = n_tokens;
    w->pos = pos;
    const float *y = ggl_node_data(node);
    for (int64_t i = 0; i < ggl_node_width(node) * n_tokens; i++)
        assert_true(y[i] == (float)w->n);
}

static void the_tap_sees_named_nodes_in_order(void **state)
{
    (void)state;
    struct ggl_team *team = team_of(2);
    struct ggl_graph *g = ggl_graph_new(3);
    const float ones[] = {1, 1, 1, 1, 1, 1};
    struct watched w = {.n = 0};
    struct ggl_node *x = ggl_input(g, GGL_ELEM_F32, 2);
    struct ggl_node *a = ggl_name(ggl_rms_norm(g, x, NULL, 0, 0), "first.%d", 7); /* 1 */
    struct ggl_node *hidden = ggl_add(g, a, a);                                   /* 2, without a name */
    struct ggl_node *b = ggl_name(ggl_rms_norm(g, hidden, NULL, 0, 0), "unused");
    ggl_name(b, "%s", ""); /* a name can be taken back */
    ggl_name(ggl_add(g, a, x), "second");
    ggl_node_bind(x, ones);
    assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
    ggl_graph_set_tap(g, watch, &w);
    assert_int_equal(ggl_graph_compute(g, 2, 40, NULL, NULL), GGL_OK);
    assert_int_equal(w.n, 2);
    assert_string_equal(w.names[0], "first.7");
    assert_string_equal(w.names[1], "second");
    assert_true(w.n_tokens == 2 && w.pos == 40);
    assert_ptr_equal(ggl_graph_find(g, "first.7"), a);
    assert_null(ggl_graph_find(g, "third"));
    assert_ptr_equal(ggl_graph_node(g, 0), x);
    assert_null(ggl_graph_node(g, 99));
    ggl_graph_free(g);
    ggl_team_free(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_never_shares_live_memory),
        cmocka_unit_test(asking_for_the_size_changes_nothing),
        cmocka_unit_test(sizes_that_do_not_fit),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(null_passes_through),
        cmocka_unit_test(runs_that_cannot_be),
        cmocka_unit_test(same_bits_however_cut_and_shared),
        cmocka_unit_test(very_long_rows),
        cmocka_unit_test(fused_from_there_on),
        cmocka_unit_test(experts_with_a_narrow_inner_width),
        cmocka_unit_test(a_flag_stops_the_run),
        cmocka_unit_test(any_moment_is_a_good_one_to_cancel),
        cmocka_unit_test(the_tap_sees_named_nodes_in_order),
    };
    return cmocka_run_group_tests_name("ggml-lite/graph", tests, NULL, NULL);
}
