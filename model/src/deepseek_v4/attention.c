/*
 * Compressed attention of one layer: low-rank queries, one shared KV row a
 * token, a window of raw rows and, in layers with a ratio, compressed entries.
 * Queries, raw rows and entries of one layer share one rotary table.
 */
#include "graph.h"

#include <math.h>

/* A compressor's values and scores of every token. */
struct pool {
    struct ggl_node *kv, *score;
};

static struct pool project(struct v4_builder *b, const struct v4_compressor *c, struct ggl_node *x)
{
    struct pool p;
    p.kv = ggl_mul_mat(b->g, c->kv, x, 1);
    p.score = ggl_mul_mat(b->g, c->gate, x, 1);
    return p;
}

/* Pool groups of tokens into entries (compressor) or into index keys. */
static struct ggl_node *compress(struct v4_builder *b, const struct v4_compressor *c, const struct pool *pool, int ratio,
                                 int n_dim, struct ggl_row_format format, bool index, const struct ggl_row_ring *state,
                                 const struct ggl_row_list *out)
{
    struct ggl_compressor p = {.ratio = ratio, .n_dim = n_dim, .n_rope = b->hp->n_rope, .norm = c->norm,
                               .freqs = b->w->freqs_compressed, .eps = b->hp->norm_eps, .hadamard = index,
                               .format = format, .state = state, .out = out};
    return ggl_compress(b->g, pool->kv, pool->score, &p);
}

/* The entries that each query attends to (ratio 4). */
static struct ggl_node *select_entries(struct v4_builder *b, struct v4_layer_cache *cache, struct ggl_node *query,
                                       struct ggl_node *weights, struct ggl_node *keys)
{
    const struct v4_hparams *hp = b->hp;
    /* As in training: dim^-0.5 * heads^-0.5 in double, rounded once. */
    double scale = pow((double)hp->index_dim, -0.5) * pow((double)hp->index_heads, -0.5);
    return ggl_index_select(b->g, query, weights, keys, &cache->index_keys, b->cache->index, hp->index_heads,
                            hp->index_top_k, 4, (float)scale);
}

struct ggl_node *v4_attention(struct v4_builder *b, int i, int ratio, const char *tag, struct ggl_node *x)
{
    const struct v4_hparams *hp = b->hp;
    const struct v4_layer *l = &b->w->layers[i];
    struct v4_layer_cache *cache = &b->cache->layers[i];
    struct ggl_graph *g = b->g;
    struct ggl_node *angles = ratio ? b->angles_compressed : b->angles_plain;
    struct ggl_node *entries = NULL, *keys = NULL, *weights = NULL, *iq = NULL, *selected = NULL;
    struct pool pool, index_pool;

    /* What depends on x alone comes first, then what depends on that: threads wait for each other between these
     * groups and not within them. */
    struct ggl_node *q_latent = v4_linear(g, &l->q_a, x, 1), *kv = v4_linear(g, &l->kv, x, 1);
    if (ratio) pool = project(b, &l->compressor, x);
    if (ratio == 4) index_pool = project(b, &l->index_compressor, x), weights = ggl_mul_mat(g, l->index_proj, x, 1);

    if (ratio) pool.score = ggl_add_position(g, pool.score, l->compressor.ape, ratio);
    if (ratio == 4) index_pool.score = ggl_add_position(g, index_pool.score, l->index_compressor.ape, 4);
    kv = ggl_rope(g, ggl_rms_norm(g, kv, l->kv_norm, 0, hp->norm_eps), angles, hp->n_dim, hp->n_rope, false);
    struct ggl_node *rows = ggl_name(ggl_cache_encode(g, kv, b->cache->kv), "%s.attn.kv", tag);
    q_latent = ggl_rms_norm(g, q_latent, l->q_a_norm, 0, hp->norm_eps);

    struct ggl_node *q = v4_linear(g, &l->q_b, q_latent, 1);
    if (ratio == 4) iq = v4_linear(g, &l->index_q_b, q_latent, 1);
    if (ratio) {
        entries = compress(b, &l->compressor, &pool, ratio, hp->n_dim, b->cache->kv, false, &cache->state, &cache->entries);
        ggl_name(entries, "%s.attn.compressed", tag);
    }

    q = ggl_rms_norm(g, q, NULL, hp->n_dim, hp->norm_eps); /* each head on its own, no weight */
    q = ggl_name(ggl_rope(g, q, angles, hp->n_dim, hp->n_rope, false), "%s.attn.q", tag);
    if (ratio == 4) {
        iq = ggl_rope(g, iq, angles, hp->index_dim, hp->n_rope, false);
        iq = ggl_index_query(g, iq, hp->index_heads, b->cache->index);
        keys = compress(b, &l->index_compressor, &index_pool, 4, hp->index_dim, b->cache->index, true, &cache->index_state,
                        &cache->index_keys);
        ggl_name(keys, "%s.attn.index_keys", tag);
        selected = ggl_name(select_entries(b, cache, iq, weights, keys), "%s.attn.selected", tag);
    }

    struct ggl_attention p = {.n_head = hp->n_head, .n_dim = hp->n_dim, .window = hp->window, .ratio = ratio,
                              .sinks = l->sinks, .format = b->cache->kv, .ring = &cache->window,
                              .entries = ratio ? &cache->entries : NULL, .rounded = hp->fast,
                              /* Values carry the rotation of their position; the sum is turned back by the query's. */
                              .angles = angles, .n_rope = hp->n_rope};
    struct ggl_node *o = ggl_attention(g, q, rows, selected, entries, &p);
    ggl_ring_store(g, rows, &cache->window, hp->window, o);
    struct ggl_node *low = l->out_a.packed ? ggl_linear_grouped(g, l->out_a.packed, o, hp->o_groups)
                                           : ggl_mul_mat_grouped(g, l->out_a.w, o, hp->o_groups);
    o = v4_linear(g, &l->out_b, low, 1);
    return ggl_name(o, "%s.attn.out", tag);
}
