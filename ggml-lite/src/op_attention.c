/*
 * Compressed attention.  Only the rows that a query may see are touched: the
 * window, and the compressed entries that were chosen for it.
 */
#include "graph_impl.h"

#include <math.h>
#include <string.h>

/* From so many on threads help each other. */
enum { TOKENS_A_THREAD = 8 };

/* Of a thread's scratch: a tile of rows (as floats, or with 16 bits twice), two numbers a head, queries with 16 bits. */
static int64_t attention_floats(const struct ggl_attention *a)
{
    int64_t q = a->rounded ? ggl_attention16_queries(a->n_head, a->n_dim) / 2 : 0;
    return ((int64_t)GGL_ATTENTION_TILE * a->n_dim + 2 * (int64_t)a->n_head + q + 15) & ~(int64_t)15;
}

static uint64_t attention_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    (void)n_tokens;
    return (uint64_t)nth * (uint64_t)attention_floats(&node->p.attention) * 4;
}

/* The i-th of the rows that a query at `pos` sees: the window, oldest first, then entries. */
struct visible {
    const struct ggl_node *node;
    const struct ggl_run *run;
    int64_t window_first, n_window, n_rows;
    const int32_t *chosen; /* NULL: all entries */
};

static struct visible visible_rows(const struct ggl_node *node, const struct ggl_run *run, int64_t t)
{
    const struct ggl_attention *a = &node->p.attention;
    int64_t pos = run->pos + t;
    struct visible v = {.node = node, .run = run};
    v.window_first = pos - a->window + 1 > 0 ? pos - a->window + 1 : 0;
    v.n_window = pos + 1 - v.window_first;
    int64_t n_entries = a->ratio ? (pos + 1) / a->ratio : 0;
    if (node->src[2]) {
        const int32_t *chosen = (const int32_t *)(const void *)node->src[2]->data + t * node->src[2]->width;
        n_entries = chosen[0];
        v.chosen = chosen + 1;
    }
    v.n_rows = v.n_window + n_entries;
    return v;
}

static const uint8_t *visible_row(const struct visible *v, int64_t i)
{
    const struct ggl_attention *a = &v->node->p.attention;
    if (i >= v->n_window) {
        i -= v->n_window;
        return ggl_list_row(a->entries, v->chosen ? v->chosen[i] : i);
    }
    int64_t pos = v->window_first + i, t = pos - v->run->pos;
    return t >= 0 ? v->node->src[1]->data + t * v->node->src[1]->width : ggl_ring_row(a->ring, pos);
}

struct tile {
    const uint8_t *rows[GGL_ATTENTION_TILE];
    int n;
};

/* Chosen rows lie anywhere, so nothing but this fetches them ahead. */
static void gather(const struct visible *v, int64_t first, struct tile *tile)
{
    int64_t left = v->n_rows - first, bytes = (int64_t)v->node->p.attention.format.bytes;
    tile->n = (int)(left > GGL_ATTENTION_TILE ? GGL_ATTENTION_TILE : left > 0 ? left : 0);
    for (int j = 0; j < tile->n; j++) {
        tile->rows[j] = visible_row(v, first + j);
        for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(tile->rows[j] + line, 0, 2);
    }
}

static void decode_tile(const struct visible *v, const struct tile *tile, float *rows, int64_t n_dim)
{
    const struct ggl_attention *a = &v->node->p.attention;
    const struct ggl_kernels *k = v->run->k;
    uint16_t *keys = (uint16_t *)(void *)rows;
    if (a->rounded) k->attention16_pack(&a->format, tile->rows, tile->n, keys, keys + ggl_attention16_values(n_dim));
    else
        for (int j = 0; j < tile->n; j++) k->decode_cache(&a->format, tile->rows[j], rows + (int64_t)j * n_dim);
}

static void multiply_tile(const struct visible *v, struct ggl_attention_state *s, const float *q, const uint16_t *q16, const float *rows,
                          int n)
{
    const struct ggl_kernels *k = v->run->k;
    const uint16_t *keys = (const uint16_t *)(const void *)rows;
    if (v->node->p.attention.rounded) k->attention16_tile(s, q16, keys, keys + ggl_attention16_values(s->n_dim), n);
    else k->attention_tile(k, s, q, rows, n);
}

static void attend(const struct ggl_node *node, const struct ggl_run *run, int64_t t, int head, int n_head)
{
    const struct ggl_attention *a = &node->p.attention;
    float *rows = (float *)(void *)run->scratch + (int64_t)run->ith * attention_floats(a);
    float *max = rows + (int64_t)GGL_ATTENTION_TILE * a->n_dim;
    float *out = ggl_f32_out(node, t) + (int64_t)head * a->n_dim; /* where the sums grow */
    struct ggl_attention_state s = {n_head, a->n_dim, (float)(1.0 / sqrt((double)a->n_dim)), out, max, max + a->n_head};
    struct visible v = visible_rows(node, run, t);
    const float *q = ggl_f32_row(node->src[0], t) + (int64_t)head * a->n_dim;
    uint16_t *q16 = (uint16_t *)(void *)(max + 2 * (int64_t)a->n_head);
    if (a->rounded) run->k->attention16_query(run->k, q, n_head, a->n_dim, q16);
    run->k->attention_begin(&s);
    struct tile tile;
    gather(&v, 0, &tile);
    for (int64_t i = 0; tile.n && !ggl_run_cancelled(run); i += GGL_ATTENTION_TILE) {
        int n = tile.n;
        decode_tile(&v, &tile, rows, s.n_dim);
        gather(&v, i + GGL_ATTENTION_TILE, &tile); /* on their way while these are multiplied */
        multiply_tile(&v, &s, q, q16, rows, n);
    }
    run->k->attention_end(&s, a->sinks + head);
    for (int h = 0; node->src[4] && h < n_head; h++)
        run->k->rope_f32(out + (int64_t)(h + 1) * a->n_dim - a->n_rope, ggl_f32_row(node->src[4], t), a->n_rope, true);
}

/* Heads [at, end) of all tokens; those of a token share what is decoded. */
static void attend_heads(const struct ggl_node *node, const struct ggl_run *run, int64_t at, int64_t end)
{
    int64_t n_head = node->p.attention.n_head;
    while (at < end && !ggl_run_cancelled(run)) {
        int64_t head = at % n_head, n = end - at < n_head - head ? end - at : n_head - head;
        attend(node, run, at / n_head, (int)head, (int)n);
        at += n;
    }
}

/* Later tokens have more rows, so many tokens are dealt out as threads get done; few are cut between heads. */
static void run_attention(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t n_head = node->p.attention.n_head, begin, end;
    if (run->n_tokens < (int64_t)TOKENS_A_THREAD * run->nth) {
        ggl_share(run->n_tokens * n_head, run->ith, run->nth, &begin, &end);
        attend_heads(node, run, begin, end);
        return;
    }
    struct ggl_guided guided = ggl_guided_begin_parts(run, run->n_tokens * n_head, n_head);
    while (ggl_guided_next(&guided, &begin, &end)) attend_heads(node, run, begin, end);
}

static const struct ggl_op op_attention = {"attention", 1, attention_scratch, run_attention};

struct ggl_node *ggl_attention(struct ggl_graph *g, struct ggl_node *q, struct ggl_node *rows,
                               struct ggl_node *selected, struct ggl_node *entries, const struct ggl_attention *a)
{
    if (!q || !rows) return NULL;
    if (q->width != (int64_t)a->n_head * a->n_dim || rows->elem != GGL_ELEM_U8 ||
        rows->width != (int64_t)a->format.bytes || a->window < 1 || (a->ratio && (!entries || !a->entries)))
        return ggl_graph_refuse(g, "attention", "shapes");
    if (a->rounded && a->n_dim % 2) return ggl_graph_refuse(g, "attention", "16 bits need an even number of dimensions");
    if (a->angles && (a->n_rope > a->n_dim || a->angles->width != a->n_rope)) return ggl_graph_refuse(g, "attention", "angles");
    struct ggl_node *node = ggl_node_new(g, &op_attention, GGL_ELEM_F32, q->width, 5,
                                         (struct ggl_node *[]){q, rows, selected, entries, a->angles});
    if (!node) return NULL;
    node->p.attention = *a, node->state[0] = a->ring, node->state[1] = a->entries;
    node->p.attention.rounded = a->rounded && a->n_dim <= GGL_ATTENTION16_MAX_DIM;
    node->parts = a->n_head, node->part_src = 1, node->guided = true; /* rows and entries are those of many tokens */
    return node;
}
