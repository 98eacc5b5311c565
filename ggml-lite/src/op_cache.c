/*
 * Operations on the KV cache: rows into their stored form, the window ring, and
 * the compressors that pool groups of tokens into entries.
 */
#include "graph_impl.h"

#include <string.h>

enum { MAX_CANDIDATES = 128, MAX_ROPE = 1024 };

/* ---- cache_encode */

static void run_encode(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++)
        ggl_row_encode(&node->p.rows.format, ggl_f32_row(node->src[0], t), node->data + t * node->width);
}

static const struct ggl_op op_encode = {"cache_encode", 1, NULL, run_encode};

struct ggl_node *ggl_cache_encode(struct ggl_graph *g, struct ggl_node *x, struct ggl_row_format format)
{
    if (!x) return NULL;
    if (x->width != format.n_dim) return ggl_graph_refuse(g, "cache_encode", "shape");
    struct ggl_node *node = ggl_node_new(g, &op_encode, GGL_ELEM_U8, format.bytes, 1, &x);
    if (node) node->p.rows.format = format, node->parts = 1, node->part_src = 1;
    return node;
}

/* ---- ring_store */

static void run_store(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_node *rows = node->src[0];
    int64_t keep = node->p.rows.keep < run->n_tokens ? node->p.rows.keep : run->n_tokens, begin, end;
    ggl_share(keep, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t t = run->n_tokens - keep + i;
        memcpy(ggl_ring_row(node->p.rows.ring, run->pos + t), rows->data + t * rows->width, (size_t)rows->width);
    }
}

static const struct ggl_op op_store = {"ring_store", 1, NULL, run_store};

void ggl_ring_store(struct ggl_graph *g, struct ggl_node *rows, const struct ggl_row_ring *ring, int64_t keep,
                    struct ggl_node *after)
{
    if (!rows || !after) return;
    if (rows->elem != GGL_ELEM_U8 || ring->capacity < 2 * keep || ring->row_bytes != (uint32_t)rows->width) {
        ggl_graph_refuse(g, "ring_store", "the ring does not fit");
        return;
    }
    struct ggl_node *node = ggl_node_new(g, &op_store, GGL_ELEM_U8, 0, 2, (struct ggl_node *[]){rows, after});
    if (node) node->p.rows.ring = node->state[0] = ring, node->p.rows.keep = keep;
}

/* ---- add_position: x + table[pos mod n] */

static void run_add_position(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++) {
        const float *x = ggl_f32_row(node->src[0], t);
        const float *a = node->p.position.table + (run->pos + t) % node->p.position.n * node->width;
        float *y = ggl_f32_out(node, t);
        for (int64_t i = 0; i < node->width; i++) y[i] = x[i] + a[i];
    }
}

static const struct ggl_op op_add_position = {"add_position", 1, NULL, run_add_position};

struct ggl_node *ggl_add_position(struct ggl_graph *g, struct ggl_node *x, const float *table, int64_t n)
{
    if (!x) return NULL;
    if (x->elem != GGL_ELEM_F32 || n < 1) return ggl_graph_refuse(g, "add_position", "shape");
    struct ggl_node *node = ggl_node_new(g, &op_add_position, GGL_ELEM_F32, x->width, 1, &x);
    if (node) node->p.position.table = table, node->p.position.n = n, node->parts = 1, node->part_src = 1;
    return node;
}

/* ---- compress */

static int64_t candidates_before(const struct ggl_compressor *c) /* tokens of earlier runs that a group may need */
{
    return c->ratio == 4 ? 8 : c->ratio;
}

static uint64_t compress_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * 3 * (uint64_t)node->p.compress.n_dim * 4;
}

struct token_rows {
    const float *value, *score;
};

/* A token's value and score rows: from this run, or from the state of earlier ones. */
static struct token_rows token_at(const struct ggl_node *node, const struct ggl_run *run, int64_t pos)
{
    int64_t t = pos - run->pos, width = node->src[0]->width;
    if (t >= 0) return (struct token_rows){ggl_f32_row(node->src[0], t), ggl_f32_row(node->src[1], t)};
    const float *row = (const float *)(const void *)ggl_ring_row(node->p.compress.state, pos);
    return (struct token_rows){row, row + width};
}

static void emit(const struct ggl_node *node, const struct ggl_run *run, int64_t entry, float *scratch)
{
    const struct ggl_compressor *c = &node->p.compress;
    const float *values[MAX_CANDIDATES], *scores[MAX_CANDIDATES];
    int n = 0;
    bool overlap = c->ratio == 4;
    for (int64_t j = overlap && entry ? -c->ratio : 0; j < c->ratio; j++, n++) {
        struct token_rows row = token_at(node, run, entry * c->ratio + j);
        /* Overlapping: the group before gives its first half of channels, its own tokens the second. */
        int64_t half = overlap && j >= 0 ? c->n_dim : 0;
        values[n] = row.value + half;
        scores[n] = row.score + half;
    }
    float *e = scratch + 2 * c->n_dim, angles[MAX_ROPE];
    run->k->compress_pool_f32(e, values, scores, n, c->n_dim, scratch);
    run->k->rms_norm_f32(run->k, e, e, c->norm, c->n_dim, c->eps);
    run->k->rope_angles(angles, c->freqs, c->n_rope / 2, entry * c->ratio);
    run->k->rope_f32(e + c->n_dim - c->n_rope, angles, c->n_rope, false);
    if (c->hadamard) run->k->hadamard_f32(e, c->n_dim);
    ggl_row_encode(&c->format, e, ggl_list_row(c->out, entry));
}

static void keep_state(const struct ggl_node *node, const struct ggl_run *run)
{
    const struct ggl_compressor *c = &node->p.compress;
    int64_t keep = candidates_before(c) < run->n_tokens ? candidates_before(c) : run->n_tokens, begin, end;
    size_t bytes = (size_t)node->src[0]->width * 4;
    ggl_share(keep, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t t = run->n_tokens - keep + i;
        uint8_t *row = ggl_ring_row(c->state, run->pos + t);
        memcpy(row, ggl_f32_row(node->src[0], t), bytes);
        memcpy(row + bytes, ggl_f32_row(node->src[1], t), bytes);
    }
}

static void run_compress(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    if (phase == 1) {
        keep_state(node, run);
        return;
    }
    const struct ggl_compressor *c = &node->p.compress;
    float *scratch = (float *)(void *)run->scratch + (int64_t)run->ith * 3 * c->n_dim;
    int64_t first = run->pos / c->ratio, last = (run->pos + run->n_tokens) / c->ratio, begin, end;
    ggl_share(last - first, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end && !ggl_run_cancelled(run); i++) emit(node, run, first + i, scratch);
}

static const struct ggl_op op_compress = {"compress", 2, compress_scratch, run_compress};

struct ggl_node *ggl_compress(struct ggl_graph *g, struct ggl_node *kv, struct ggl_node *score,
                              const struct ggl_compressor *c)
{
    if (!kv || !score) return NULL;
    int64_t width = (int64_t)c->n_dim * (c->ratio == 4 ? 2 : 1);
    if ((c->ratio != 4 && c->ratio != 128) || kv->width != width || score->width != width || c->n_rope > MAX_ROPE ||
        c->state->capacity < 2 * candidates_before(c) || c->state->row_bytes != (uint32_t)width * 8)
        return ggl_graph_refuse(g, "compress", "shapes");
    struct ggl_node *node = ggl_node_new(g, &op_compress, GGL_ELEM_U8, 0, 2, (struct ggl_node *[]){kv, score});
    if (node) node->p.compress = *c, node->state[0] = c->state, node->state[1] = c->out;
    return node;
}
