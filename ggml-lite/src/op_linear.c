/*
 * Products with packed matrices.  Activations are rounded once, in a node of
 * their own that all products of the same input share.
 */
#include "graph_impl.h"
#include "pack_impl.h"

#include <string.h>

enum { ROWS = 16 };

/* Of many vectors, BLOCK at a time meet a part's weights of TOGETHER panels, so that the vectors' inputs come from the
 * second-level cache.  Sums wait in the scratch, in rows that do not fight for the same lines of the cache. */
enum { MANY = 64, BLOCK = 512, TOGETHER = 16, TILE_WIDTH = TOGETHER * ROWS + 16 };

/* ---- rounded activations: int8 rows (act_q8.h), BF16, or what FP8 matrices take (fp8.h) */

enum rounding { TO_Q8, TO_BF16, TO_FP8 };

static enum rounding rounding_for(const struct ggl_packed *w)
{
    return w->fp8 ? TO_FP8 : w->bf16 ? TO_BF16 : TO_Q8;
}

/* From one rounded vector of n to the next. */
static int64_t rounded_bytes(enum rounding to, int64_t n)
{
    const int64_t apart = n % 2048 ? 0 : 64; /* vectors a power of two apart would fight for the same lines of the cache */
    switch (to) {
    case TO_BF16: return 2 * n + apart;
    case TO_FP8: return 2 * n + 64; /* with room for the vector's scale */
    default: return ggl_act_q8_bytes(n);
    }
}

static void run_round(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t n = node->p.linear.n_in, repeat = node->src[0]->width / n, stride = node->width / repeat, begin, end;
    ggl_share(run->n_tokens * repeat, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = ggl_f32_row(node->src[0], 0) + i * n;
        uint8_t *out = node->data + i * stride;
        switch ((enum rounding)node->p.linear.rounding) {
        case TO_BF16: run->k->act_bf16(x, n, (uint16_t *)(void *)out); break;
        case TO_FP8: run->k->act_fp8(x, n, (uint16_t *)(void *)out); break;
        default: run->k->act_q8(x, n, (int8_t *)out); break;
        }
    }
}

static const struct ggl_op op_round = {"round", 1, NULL, run_round};

/* The rounded form of x in vectors of n; an earlier node is used again. */
static struct ggl_node *rounded(struct ggl_graph *g, struct ggl_node *x, int64_t n, enum rounding to)
{
    for (int i = g->n_nodes; i-- > x->index;) {
        struct ggl_node *node = g->nodes[i];
        if (node->op == &op_round && node->src[0] == x && node->p.linear.rounding == (int)to && node->p.linear.n_in == n) return node;
    }
    struct ggl_node *node = ggl_node_new(g, &op_round, GGL_ELEM_U8, x->width / n * rounded_bytes(to, n), 1, &x);
    if (node) node->p.linear.n_in = n, node->p.linear.rounding = (int)to, node->parts = x->width / n, node->part_src = 1;
    return node;
}

/* ---- linear */

/* The vectors of a product: `n` of them, `stride` bytes apart. */
struct vectors {
    const uint8_t *data;
    int64_t stride, n;
};

/* Inputs from `begin` on of some rows whose parts follow each other: y goes on, and has n_out results a vector. */
static void multiply_part(const struct ggl_packed *w, const struct ggl_run *run, const uint8_t *panel, int64_t begin, int rows,
                          const struct vectors *x, float *y, int64_t y_stride)
{
    int64_t n = ggl_packed_inputs(w, begin);
    struct ggl_act_q8 q8 = {(const int8_t *)x->data, w->n_in, x->stride, begin, x->n};
    const uint16_t *x16 = (const uint16_t *)(const void *)x->data + begin; /* where they are of 16 bits */
    if (w->bf16) {
        run->k->bf16_mul(panel, 2 * n, rows, n, x16, x->stride / 2, x->n, y, y_stride);
    } else if (w->kquant) {
        run->k->kquant_mul(w->kquant, panel, n, &q8, y, y_stride, rows);
    } else if (!w->fp8) {
        run->k->panel_mul(&w->format, panel, n, &q8, y, y_stride, rows);
    } else {
        run->k->fp8_mul(panel, n, x16, x->stride / 2, x->n, y, y_stride, rows, begin > 0);
    }
}

/* Sums of vector t and some rows to results, which may take their place. */
static void finish(const struct ggl_packed *w, const struct vectors *x, int64_t t, int64_t row, int64_t rows, const float *sums, float *y)
{
    const float scale = w->fp8 ? ggl_act_fp8_scale((const uint16_t *)(const void *)(x->data + t * x->stride), w->n_in) : 1;
    if (w->row_scales) {
        for (int64_t r = 0; r < rows; r++) y[r] = sums[r] * w->row_scales[row + r];
    } else if (scale != 1) {
        for (int64_t r = 0; r < rows; r++) y[r] = sums[r] * scale;
    } else if (y != sums) {
        memcpy(y, sums, (size_t)rows * sizeof(float));
    }
}

/* Panels [begin, end), of one group. */
static void run_group(const struct ggl_packed *w, const struct ggl_run *run, int64_t begin, int64_t end, const struct vectors *x, float *y)
{
    int rows = (int)(end * ROWS < w->n_out ? (end - begin) * ROWS : w->n_out - begin * ROWS);
    for (int64_t input = 0; input < w->n_in; input += w->part)
        multiply_part(w, run, ggl_packed_part(w, begin, input), input, rows, x, y + begin * ROWS, w->n_out);
    y += begin * ROWS;
    for (int64_t t = 0; t < x->n; t++, y += w->n_out) finish(w, x, t, begin * ROWS, rows, y, y);
}

/* The end of panel i's group, of which a grouped product may have a part. */
static int64_t end_of_group(const struct ggl_packed *w, int64_t i, int64_t end)
{
    int64_t last = (i / w->group + 1) * w->group;
    return last < end ? last : end;
}

/* Panels [begin, end), at most TOGETHER of them, part by part. */
static void run_together(const struct ggl_packed *w, const struct ggl_run *run, int64_t begin, int64_t end, const struct vectors *x,
                         float *tile, float *y)
{
    const int64_t row = begin * ROWS, rows = (end * ROWS < w->n_out ? end * ROWS : w->n_out) - row;
    for (int64_t input = 0; input < w->n_in && !ggl_run_cancelled(run); input += w->part) {
        for (int64_t i = begin, last; i < end; i = last) {
            last = end_of_group(w, i, end);
            int64_t left = rows - (i - begin) * ROWS, all = (last - i) * ROWS;
            multiply_part(w, run, ggl_packed_part(w, i, input), input, (int)(all < left ? all : left), x, tile + (i - begin) * ROWS,
                          TILE_WIDTH);
        }
    }
    for (int64_t t = 0; t < x->n; t++, tile += TILE_WIDTH, y += w->n_out) finish(w, x, t, row, rows, tile, y + row);
}

/* Panels [begin, end), in the order in which they lie; with a tile, if there are many vectors, BLOCK after BLOCK.  BF16's
 * kernel sees to that itself. */
static void run_panels(const struct ggl_packed *w, const struct ggl_run *run, int64_t begin, int64_t end, const struct vectors *x,
                       float *tile, float *y)
{
    if (x->n < MANY || w->bf16) {
        for (int64_t i = begin, last; i < end && !ggl_run_cancelled(run); i = last)
            run_group(w, run, i, last = end_of_group(w, i, end), x, y);
        return;
    }
    for (int64_t i = begin, last; i < end; i = last) {
        last = i + TOGETHER < end ? (i / w->group + TOGETHER / w->group) * w->group : end;
        for (int64_t t = 0; t < x->n && !ggl_run_cancelled(run); t += BLOCK) {
            struct vectors block = {x->data + t * x->stride, x->stride, x->n - t < BLOCK ? x->n - t : BLOCK};
            run_together(w, run, i, last, &block, tile, y + t * w->n_out);
        }
    }
}

/* This thread's sums of a block. */
static float *tile_of(const struct ggl_node *node, const struct ggl_run *run)
{
    int64_t most = run->n_tokens * node->p.linear.repeat < BLOCK ? run->n_tokens * node->p.linear.repeat : BLOCK;
    return (float *)(void *)run->scratch + run->ith * most * TILE_WIDTH;
}

static uint64_t tile_bytes(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    int64_t n = n_tokens * node->p.linear.repeat;
    if (n < MANY || node->p.linear.w->bf16) return 0;
    return (uint64_t)((n < BLOCK ? n : BLOCK) * TILE_WIDTH * nth) * sizeof(float);
}

/* The next groups for this thread, as panels. */
static bool next_panels(struct ggl_guided *guided, const struct ggl_packed *w, int64_t *begin, int64_t *end)
{
    if (!ggl_guided_next(guided, begin, end)) return false;
    *begin *= w->group;
    *end = *end * w->group < w->n_panels ? *end * w->group : w->n_panels;
    return true;
}

static void run_linear(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_packed *w = node->p.linear.w;
    const struct ggl_node *x = node->src[0];
    int64_t repeat = node->p.linear.repeat;
    struct vectors vectors = {x->data, x->width / repeat, run->n_tokens * repeat};
    struct ggl_guided guided = ggl_guided_begin(run, w->n_groups, 1);
    for (int64_t begin, end; next_panels(&guided, w, &begin, &end);)
        run_panels(w, run, begin, end, &vectors, tile_of(node, run), ggl_f32_out(node, 0));
}

static const struct ggl_op op_linear = {"linear", 1, tile_bytes, run_linear};

static bool reads(const struct ggl_node *node, const struct ggl_run *run, int done, struct ggl_ahead *first)
{
    const struct ggl_packed *w = node->p.linear.w;
    int64_t begin, end;
    ggl_share(w->n_groups, run->ith, run->nth, &begin, &end);
    if (done) return false;
    int64_t bytes = (end - begin) * w->group * (int64_t)w->panel_bytes;
    if (bytes) *first = ggl_ahead_from(ggl_packed_part(w, begin * w->group, 0), bytes);
    return true;
}

static struct ggl_node *linear_node(struct ggl_graph *g, const struct ggl_op *op, const struct ggl_packed *w,
                                    struct ggl_node *x, int64_t parts, int64_t width)
{
    if (!x) return NULL;
    if (x->elem != GGL_ELEM_F32 || x->width != w->n_in * parts) return ggl_graph_refuse(g, "linear", w->name);
    struct ggl_node *r = rounded(g, x, w->n_in, rounding_for(w));
    if (!r) return NULL;
    struct ggl_node *node = ggl_node_new(g, op, GGL_ELEM_F32, width, 1, &r);
    if (node) node->p.linear.w = w, node->p.linear.repeat = (int)parts, node->guided = true, node->reads = reads;
    return node;
}

struct ggl_node *ggl_linear(struct ggl_graph *g, const struct ggl_packed *w, struct ggl_node *x, int repeat)
{
    return linear_node(g, &op_linear, w, x, repeat, w->n_out * repeat);
}

/* Rows j * R .. of the matrix meet part j of x; a panel lies in one group because R is a multiple of 16. */
static void run_grouped(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    const struct ggl_packed *w = node->p.linear.w;
    const struct ggl_node *x = node->src[0];
    int64_t groups = node->p.linear.repeat, panels = w->n_panels / groups;
    struct ggl_guided guided = ggl_guided_begin(run, w->n_groups, 1);
    for (int64_t begin, end; next_panels(&guided, w, &begin, &end);) {
        for (int64_t last; begin < end; begin = last) {
            int64_t group = begin / panels;
            last = (group + 1) * panels < end ? (group + 1) * panels : end;
            struct vectors vectors = {x->data + group * (x->width / groups), x->width, run->n_tokens};
            run_panels(w, run, begin, last, &vectors, tile_of(node, run), ggl_f32_out(node, 0));
        }
    }
}

static const struct ggl_op op_grouped = {"linear_grouped", 1, tile_bytes, run_grouped};

struct ggl_node *ggl_linear_grouped(struct ggl_graph *g, const struct ggl_packed *w, struct ggl_node *x, int groups)
{
    if (w->n_out % ((int64_t)groups * ROWS)) return ggl_graph_refuse(g, "linear_grouped", w->name);
    return linear_node(g, &op_grouped, w, x, groups, w->n_out);
}
