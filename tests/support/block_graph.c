#include "support/block_graph.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>

enum {
    EMBD = 48,
    HC = 2,
    VOCAB = 20,
    HEADS = 3,
    DIM = 80,
    ROPE = 16,
    GROUPS = 3,
    LOW = 8,
    WINDOW = 6,
    RATIO = 4,
    INDEX_HEADS = 2,
    INDEX_DIM = 32,
    INDEX_ROPE = 16,
    TOP_K = 3,
    EXPERTS = 5,
    USED = 2,
    FF = 24,
    MAX_TOKENS = 256,
    N_MIX = (2 + HC) * HC,
    MAX_BLOCKS = 64
};

struct block_parts {
    void *memory[MAX_BLOCKS]; /* everything that the weights and caches lie in */
    int n_memory;
    uint32_t rng;
    struct ggl_tensor tensors[32];
    int n_tensors;
    int32_t tokens[MAX_TOKENS];
    struct ggl_row_ring ring, state, index_state;
    struct ggl_row_list entries, keys;
};

static void *keep(struct block_parts *p, size_t bytes)
{
    void *m = calloc(1, bytes);
    if (!m || p->n_memory == MAX_BLOCKS) fail_msg("block graph: no memory");
    return p->memory[p->n_memory++] = m;
}

/* Exact, in any rounding mode: 24 bits times a power of two. */
static float *numbers(struct block_parts *p, int64_t n, float size)
{
    float *x = keep(p, (size_t)n * 4);
    for (int64_t i = 0; i < n; i++) {
        p->rng = p->rng * 1664525 + 1013904223;
        x[i] = (float)((int32_t)p->rng >> 8) * size * 0x1p-23f;
    }
    return x;
}

static const struct ggl_tensor *weight(struct block_parts *p, int64_t n_in, int64_t n_out, int64_t n_slices)
{
    struct ggl_tensor *t = &p->tensors[p->n_tensors++];
    *t = (struct ggl_tensor){
        .name = "weight", .type = GGL_TYPE_F32, .n_dims = 3, .ne = {n_in, n_out, n_slices, 1}};
    t->row_bytes = (uint64_t)n_in * 4;
    t->slice_bytes = t->row_bytes * (uint64_t)n_out;
    t->data = (const uint8_t *)numbers(p, n_in * n_out * n_slices, 0.25f);
    return t;
}

static struct ggl_row_ring ring_of(struct block_parts *p, int64_t capacity, uint32_t row_bytes)
{
    return (struct ggl_row_ring){keep(p, (size_t)capacity * row_bytes), capacity, row_bytes};
}

static struct ggl_row_list list_of(struct block_parts *p, uint32_t row_bytes)
{
    uint8_t **segments = keep(p, sizeof(*segments));
    segments[0] = keep(p, (size_t)GGL_SEGMENT_ROWS * row_bytes);
    return (struct ggl_row_list){segments, 1, 1, row_bytes};
}

static struct ggl_node *compressor(struct block_parts *p, struct ggl_graph *g, struct ggl_node *x, int n_dim,
                                   int n_rope, bool index, struct ggl_row_format format,
                                   struct ggl_row_ring *state, struct ggl_row_list *out)
{
    *state = ring_of(p, 16, (uint32_t)n_dim * 2 * 8);
    *out = list_of(p, format.bytes);
    const struct ggl_compressor c = {
        .ratio = RATIO,
        .n_dim = n_dim,
        .n_rope = n_rope,
        .norm = numbers(p, n_dim, 1),
        .freqs = numbers(p, n_rope / 2, 1),
        .eps = 1e-6f,
        .hadamard = index,
        .format = format,
        .state = state,
        .out = out,
    };
    struct ggl_node *kv = ggl_mul_mat(g, weight(p, EMBD, 2 * n_dim, 1), x, 1);
    struct ggl_node *score = ggl_mul_mat(g, weight(p, EMBD, 2 * n_dim, 1), x, 1);
    return ggl_compress(g, kv, ggl_add_position(g, score, numbers(p, 2 * n_dim * RATIO, 1), RATIO), &c);
}

static struct ggl_node *attention(struct block_parts *p, struct ggl_graph *g, struct ggl_node *x)
{
    struct ggl_row_format kv = ggl_row_format(GGL_ROW_KV, DIM, ROPE),
                          index = ggl_row_format(GGL_ROW_INDEX, INDEX_DIM, 0);
    struct ggl_node *angles = ggl_rope_table(g, numbers(p, ROPE / 2, 1), ROPE / 2);
    struct ggl_node *index_angles = ggl_rope_table(g, numbers(p, INDEX_ROPE / 2, 1), INDEX_ROPE / 2);
    p->ring = ring_of(p, 2 * WINDOW, kv.bytes);

    struct ggl_node *q =
        ggl_rms_norm(g, ggl_mul_mat(g, weight(p, EMBD, HEADS * DIM, 1), x, 1), NULL, DIM, 1e-6f);
    q = ggl_name(ggl_rope(g, q, angles, DIM, ROPE, false), "q");
    struct ggl_node *row =
        ggl_rms_norm(g, ggl_mul_mat(g, weight(p, EMBD, DIM, 1), x, 1), numbers(p, DIM, 1), 0, 1e-6f);
    row = ggl_cache_encode(g, ggl_rope(g, row, angles, DIM, ROPE, false), kv);
    struct ggl_node *entries = compressor(p, g, x, DIM, ROPE, false, kv, &p->state, &p->entries);
    struct ggl_node *keys =
        compressor(p, g, x, INDEX_DIM, INDEX_ROPE, true, index, &p->index_state, &p->keys);

    struct ggl_node *iq = ggl_rope(g, ggl_mul_mat(g, weight(p, EMBD, INDEX_HEADS * INDEX_DIM, 1), x, 1),
                                   index_angles, INDEX_DIM, INDEX_ROPE, false);
    struct ggl_node *chosen = ggl_index_select(g, ggl_index_query(g, iq, INDEX_HEADS, index),
                                               ggl_mul_mat(g, weight(p, EMBD, INDEX_HEADS, 1), x, 1), keys,
                                               &p->keys, index, INDEX_HEADS, TOP_K, RATIO, 0.1f);
    const struct ggl_attention a = {HEADS, DIM,      WINDOW,     RATIO, numbers(p, HEADS, 1),
                                    kv,    &p->ring, &p->entries, false, NULL, 0};
    struct ggl_node *o = ggl_attention(g, q, row, chosen, entries, &a);
    struct ggl_node *sum = o;
    o = ggl_name(ggl_rope(g, o, angles, DIM, ROPE, true), "heads");
    ggl_ring_store(g, row, &p->ring, WINDOW, sum);
    o = ggl_mul_mat_grouped(g, weight(p, DIM, LOW * GROUPS, 1), o, GROUPS);
    return ggl_mul_mat(g, weight(p, LOW * GROUPS, EMBD, 1), o, 1);
}

static struct ggl_node *experts(struct block_parts *p, struct ggl_graph *g, struct ggl_node *x,
                                struct ggl_node *ids)
{
    struct ggl_node *score = ggl_router_score(g, ggl_mul_mat(g, weight(p, EMBD, EXPERTS, 1), x, 1));
    struct ggl_node *chosen = ggl_router_select(g, score, numbers(p, EXPERTS, 0.125f), NULL, ids, USED);
    struct ggl_node *gains = ggl_name(ggl_router_gains(g, score, chosen, 1.5f), "gains");
    struct ggl_node *act = ggl_swiglu(g, ggl_mul_mat(g, weight(p, EMBD, FF, 1), x, 1),
                                      ggl_mul_mat(g, weight(p, EMBD, FF, 1), x, 1), 10);
    struct ggl_node *shared = ggl_mul_mat(g, weight(p, FF, EMBD, 1), act, 1);
    return ggl_moe(g, x, chosen, gains, shared, weight(p, EMBD, FF, EXPERTS), weight(p, EMBD, FF, EXPERTS),
                   weight(p, FF, EMBD, EXPERTS), 10);
}

static struct ggl_node *mix(struct block_parts *p, struct ggl_graph *g, struct ggl_node *h)
{
    return ggl_hc_mix(g, h, numbers(p, EMBD * HC * N_MIX, 0.25f), numbers(p, N_MIX, 1), numbers(p, 3, 1), HC,
                      20, 1e-6f, 1e-6f);
}

struct block_graph *block_graph_new(int64_t n_tokens_max, struct ggl_team *team)
{
    struct block_graph *b = calloc(1, sizeof(*b));
    struct block_parts *p = calloc(1, sizeof(*p));
    if (!b || !p) fail_msg("block graph: no memory");
    b->parts = p;
    p->rng = 2026;
    for (int i = 0; i < MAX_TOKENS; i++)
        p->tokens[i] = i * i % VOCAB;
    b->tokens = p->tokens;
    struct ggl_graph *g = b->g = ggl_graph_new(n_tokens_max);
    b->ids = ggl_input(g, GGL_ELEM_I32, 1);

    struct ggl_node *h = ggl_name(ggl_embed(g, weight(p, EMBD, VOCAB, 1), b->ids, HC), "h0"),
                    *m = mix(p, g, h);
    struct ggl_node *x = ggl_rms_norm(g, ggl_hc_pre(g, h, m, HC), numbers(p, EMBD, 1), 0, 1e-6f);
    h = ggl_name(ggl_hc_post(g, attention(p, g, ggl_name(x, "x0")), h, m, HC), "h1");
    m = mix(p, g, h);
    x = ggl_rms_norm(g, ggl_hc_pre(g, h, m, HC), numbers(p, EMBD, 1), 0, 1e-6f);
    h = ggl_name(ggl_hc_post(g, experts(p, g, ggl_name(x, "x1"), b->ids), h, m, HC), "h2");
    m = ggl_hc_head_mix(g, h, numbers(p, EMBD * HC * HC, 0.25f), numbers(p, HC, 1), numbers(p, 1, 1), HC,
                        1e-6f, 1e-6f);
    b->out = ggl_add(g, ggl_hc_pre(g, h, m, HC), x);
    ggl_graph_output(g, b->out);
    struct ggl_error err = {0};
    if (ggl_graph_plan(g, team, &err)) fail_msg("block graph: %s", err.what);
    return b;
}

void block_graph_free(struct block_graph *b)
{
    ggl_graph_free(b->g);
    for (int i = 0; i < b->parts->n_memory; i++)
        free(b->parts->memory[i]);
    free(b->parts);
    free(b);
}

enum ggl_status block_graph_run(struct block_graph *b, int64_t n, int64_t pos, const atomic_bool *cancel)
{
    ggl_node_bind(b->ids, b->tokens + pos);
    return ggl_graph_compute(b->g, n, pos, cancel, NULL);
}
