/*
 * The mixture of experts with int8 activations, for experts in MXFP4, Q8_0, Q4_0,
 * IQ4_NL and the types of kernels/kquant (GGUF) or FP4 (checkpoint directories), computed
 * from where they are mapped.
 *
 * Rows of an expert are taken in groups.  For one or two tokens those of MXFP4 are
 * multiplied from the file's blocks, 16 at a time; in every other case they are unpacked
 * once, GROUP rows at a time, and stay in the caches, as does a copy of the expert's
 * inputs side by side.  Both give the same bits (kernels/panel).
 */
#include "graph_impl.h"
#include "moe_impl.h"

#include <string.h>

enum { ROWS = 16, GROUP = 64, FEW = 2, FEW_GROUP = 512 }; /* rows of a panel, of a group, of one for few tokens */
enum { LEAST = GROUP / ROWS };                             /* panels that a thread takes: one group, so that products are wide */

struct fast_scratch {
    struct ggl_moe_groups groups;
    int8_t *x;     /* [n_tokens] rounded inputs */
    int8_t *act_q; /* [pairs] rounded activations between the two products */
    float *act;    /* [pairs][n_ff] */
    float *tile;   /* this thread's: 2 x [n_tokens][GROUP] */
    uint8_t *panel, *rows; /* this thread's: GROUP rows unpacked; GROUP rows in MXFP4 order (FP4 only) */
    int8_t *gathered;      /* this thread's: the rounded inputs of one expert */
};

static uint64_t round64(uint64_t n)
{
    return (n + 63) & ~(uint64_t)63;
}

/* Carve the scratch; returns its bytes. */
static uint64_t carve(const struct ggl_node *node, int64_t n_tokens, int nth, int ith, uint8_t *base, struct fast_scratch *s)
{
    uint64_t pairs = (uint64_t)(n_tokens * node->p.moe.n_used);
    int64_t n_ff = node->p.moe.gate->ne[1], n_embd = node->p.moe.gate->ne[0], widest = n_ff > n_embd ? n_ff : n_embd;
    uint64_t at = ggl_moe_groups_bytes(node, n_tokens);
    uint64_t x = at, act_q = x + (uint64_t)(n_tokens * ggl_act_q8_bytes(n_embd));
    uint64_t act = act_q + pairs * (uint64_t)ggl_act_q8_bytes(n_ff), threads = act + round64(pairs * (uint64_t)n_ff * 4);
    uint64_t few = (uint64_t)FEW * FEW_GROUP, many = (uint64_t)n_tokens * GROUP, tile = round64(2 * (few > many ? few : many) * 4);
    uint64_t panel = (uint64_t)ggl_panel_bytes(GGL_PANEL_X8, widest) * (GROUP / ROWS); /* no other panel is larger */
    uint64_t rows = round64((uint64_t)(widest / 32 * 17 * GROUP) + 64), gathered = (uint64_t)(n_tokens * ggl_act_q8_bytes(n_embd));
    if (s) {
        uint8_t *mine = base + threads + (uint64_t)ith * (tile + panel + rows + gathered);
        ggl_moe_groups_carve(node, n_tokens, base, &s->groups);
        s->x = (int8_t *)(base + x);
        s->act_q = (int8_t *)(base + act_q);
        s->act = (float *)(void *)(base + act);
        s->tile = (float *)(void *)mine;
        s->panel = mine + tile;
        s->rows = mine + tile + panel;
        s->gathered = (int8_t *)mine + tile + panel + rows;
    }
    return threads + (uint64_t)nth * (tile + panel + rows + gathered);
}

static uint64_t fast_scratch_bytes(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    return carve(node, n_tokens, nth, 0, NULL, NULL);
}

/* n_rows rows as MXFP4 blocks: where they are, or at most GROUP rearranged from a checkpoint's two planes. */
static const uint8_t *mxfp4_rows(const struct ggl_tensor *w, int64_t slice, int64_t row, int n_rows, uint8_t *buffer, int64_t *row_bytes)
{
    if (w->type == GGL_TYPE_MXFP4) {
        *row_bytes = (int64_t)w->row_bytes;
        return ggl_tensor_slice(w, slice) + (uint64_t)row * w->row_bytes;
    }
    *row_bytes = w->ne[0] / 32 * 17;
    for (int64_t r = 0; r < n_rows; r++)
        ggl_fp4_to_mxfp4(ggl_tensor_slice(w, slice) + (uint64_t)(row + r) * w->row_bytes,
                         ggl_tensor_scale_slice(w, slice) + (uint64_t)(row + r) * w->scale_row_bytes,
                         buffer + r * *row_bytes, w->ne[0]);
    return buffer;
}

/* As multiply, for types that are always unpacked: into panels of one kind (kquant) or the other (format). */
static void multiply_unpacked(const struct ggl_run *run, const struct fast_scratch *s, const struct ggl_kquant_format *kquant,
                              const struct ggl_panel_format *format, const struct ggl_tensor *w, int64_t slice, int64_t row,
                              int n_rows, const int8_t *x, int64_t n, float *y, int64_t y_stride)
{
    const int64_t n_in = w->ne[0], row_bytes = (int64_t)w->row_bytes;
    const int64_t panel_bytes = kquant ? ggl_kquant_panel_bytes(kquant, n_in) : ggl_panel_bytes(format->kind, n_in);
    const uint8_t *rows = ggl_tensor_slice(w, slice) + row * row_bytes;
    for (int r = 0; r < n_rows; r += ROWS) {
        uint8_t *panel = s->panel + r / ROWS * panel_bytes;
        if (kquant) run->k->kquant_expand(kquant, rows + r * row_bytes, row_bytes, ROWS, n_in, panel);
        else run->k->panel_expand(w->type, rows + r * row_bytes, row_bytes, ROWS, n_in, panel);
    }
    const struct ggl_act_q8 inputs = {x, n_in, ggl_act_q8_bytes(n_in), 0, n};
    if (kquant) run->k->kquant_mul(kquant, s->panel, n_in, &inputs, y, y_stride, n_rows);
    else run->k->panel_mul(format, s->panel, n_in, &inputs, y, y_stride, n_rows);
}

/* Rows that are taken at a time for n tokens: where they are multiplied in place, more, so that the memory is read in
 * long pieces. */
static int group_of(const struct ggl_tensor *w, int64_t n)
{
    return n <= FEW && w->type == GGL_TYPE_MXFP4 ? FEW_GROUP : GROUP;
}

/* y[i][0 .. n_rows) for n vectors x: rows row .. of a slice, n_rows a multiple of 16 and at most group_of.  y rows are
 * y_stride apart. */
static void multiply(const struct ggl_run *run, const struct fast_scratch *s, const struct ggl_tensor *w, int64_t slice,
                     int64_t row, int n_rows, const int8_t *x, int64_t n, float *y, int64_t y_stride)
{
    const struct ggl_kquant_format *kquant = ggl_kquant_format(w->type);
    const struct ggl_panel_format *unpacked = ggl_panel_format(w->type);
    if (kquant || unpacked) {
        multiply_unpacked(run, s, kquant, unpacked, w, slice, row, n_rows, x, n, y, y_stride);
        return;
    }
    int64_t row_bytes, stride = ggl_act_q8_bytes(w->ne[0]);
    const uint8_t *rows = mxfp4_rows(w, slice, row, n_rows, s->rows, &row_bytes);
    const struct ggl_act_q8 inputs = {x, w->ne[0], stride, 0, n};
    if (n > FEW) run->k->mxfp4_mul(run->k, rows, row_bytes, w->ne[0], n_rows, &inputs, y, y_stride, s->panel);
    for (int64_t i = 0; i < n && n <= FEW; i++)
        run->k->mxfp4_rows(rows, row_bytes, w->ne[0], n_rows, x + i * stride, y + i * y_stride);
}

/* The rows of a group of a share that ends before row `end`. */
static int rows_of(int64_t row, int64_t end, int group)
{
    return end - row < group ? (int)(end - row) : group;
}

static void round_inputs(const struct ggl_node *node, const struct ggl_run *run, struct fast_scratch *s)
{
    int64_t n = node->src[0]->width, begin, end;
    ggl_share(run->n_tokens, run->ith, run->nth, &begin, &end);
    for (int64_t t = begin; t < end; t++) run->k->act_q8(ggl_f32_row(node->src[0], t), n, s->x + t * ggl_act_q8_bytes(n));
}

/* The rounded inputs of the n tokens from pair `from`, side by side. */
static const int8_t *gather(const struct ggl_node *node, const struct fast_scratch *s, int64_t from, int64_t n)
{
    const int64_t stride = ggl_act_q8_bytes(node->src[0]->width);
    if (n == 1) return s->x + s->groups.token[from] * stride;
    for (int64_t i = 0; i < n; i++) memcpy(s->gathered + i * stride, s->x + s->groups.token[from + i] * stride, (size_t)stride);
    return s->gathered;
}

/* Rows [row, end) of gate and up of one expert, for the n tokens from pair `from`. */
static void gate_and_up_of(const struct ggl_node *node, const struct ggl_run *run, struct fast_scratch *s, int64_t e,
                           int64_t from, int64_t n, int64_t row, int64_t end)
{
    const struct ggl_tensor *gate = node->p.moe.gate, *up = node->p.moe.up;
    int group = gate->type == up->type ? group_of(gate, n) : GROUP;
    const int8_t *x = gather(node, s, from, n);
    float *g = s->tile, *u = s->tile + n * group;
    for (int rows; row < end; row += rows) {
        rows = rows_of(row, end, group);
        if (ggl_run_cancelled(run)) return;
        multiply(run, s, gate, e, row, rows, x, n, g, group);
        multiply(run, s, up, e, row, rows, x, n, u, group);
        for (int64_t j = 0; j < n; j++)
            run->k->swiglu_f32(s->act + (from + j) * gate->ne[1] + row, g + j * group, u + j * group, node->p.moe.limit,
                               s->groups.gain[from + j], rows);
    }
}

/* The rows of all experts in use are one list, of panels. */
static void gate_and_up(const struct ggl_node *node, const struct ggl_run *run, struct fast_scratch *s)
{
    int64_t panels = node->p.moe.gate->ne[1] / ROWS;
    struct ggl_guided guided = ggl_guided_begin(run, s->groups.used[0] * panels, LEAST);
    for (int64_t at, end; ggl_guided_next(&guided, &at, &end);) {
        for (int64_t last; at < end; at = last) {
            int64_t i = at / panels, e = s->groups.used[1 + i], from = s->groups.first[e], n = s->groups.first[e + 1] - from;
            last = (i + 1) * panels < end ? (i + 1) * panels : end;
            gate_and_up_of(node, run, s, e, from, n, (at - i * panels) * ROWS, (last - i * panels) * ROWS);
        }
    }
}

static void round_activations(const struct ggl_node *node, const struct ggl_run *run, struct fast_scratch *s)
{
    int64_t n = node->p.moe.gate->ne[1], begin, end;
    ggl_share(run->n_tokens * node->p.moe.n_used, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) run->k->act_q8(s->act + i * n, n, s->act_q + i * ggl_act_q8_bytes(n));
}

/* Rows [begin, end) of the result: the experts in ascending order, then the shared one. */
static void sum_rows(const struct ggl_node *node, const struct ggl_run *run, struct fast_scratch *s, int64_t begin, int64_t end)
{
    const struct ggl_tensor *down = node->p.moe.down;
    int64_t stride = ggl_act_q8_bytes(down->ne[0]);
    for (int64_t t = 0; t < run->n_tokens; t++) memset(ggl_f32_out(node, t) + begin, 0, (size_t)(end - begin) * 4);
    for (int32_t i = 0; i < s->groups.used[0]; i++) {
        int64_t e = s->groups.used[1 + i], from = s->groups.first[e], n = s->groups.first[e + 1] - from;
        int group = group_of(down, n);
        int rows;
        for (int64_t row = begin; row < end; row += rows) {
            rows = rows_of(row, end, group);
            if (ggl_run_cancelled(run)) return;
            multiply(run, s, down, e, row, rows, s->act_q + from * stride, n, s->tile, group);
            for (int64_t j = 0; j < n; j++) {
                float *y = ggl_f32_out(node, s->groups.token[from + j]) + row;
                for (int r = 0; r < rows; r++) y[r] += s->tile[j * group + r];
            }
        }
    }
    for (int64_t t = 0; node->src[3] && t < run->n_tokens; t++) {
        const float *shared = ggl_f32_row(node->src[3], t);
        float *y = ggl_f32_out(node, t);
        for (int64_t i = begin; i < end; i++) y[i] += shared[i];
    }
}

static void down_and_sum(const struct ggl_node *node, const struct ggl_run *run, struct fast_scratch *s)
{
    struct ggl_guided guided = ggl_guided_begin(run, node->width / ROWS, LEAST);
    for (int64_t begin, end; ggl_guided_next(&guided, &begin, &end);) sum_rows(node, run, s, begin * ROWS, end * ROWS);
}

static void run_moe_fast(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    struct fast_scratch s;
    carve(node, run->n_tokens, run->nth, run->ith, run->scratch, &s);
    switch (phase) {
    case 0:
        if (run->ith == 0) ggl_moe_group(node, run, &s.groups);
        round_inputs(node, run, &s);
        break;
    case 1: gate_and_up(node, run, &s); break;
    case 2: round_activations(node, run, &s); break;
    default: down_and_sum(node, run, &s); break;
    }
}

static const struct ggl_op op_moe_fast = {"moe_fast", 4, fast_scratch_bytes, run_moe_fast};

/* Nobody knows the experts beforehand; the second matrices follow the phases that know them. */
static bool reads(const struct ggl_node *node, const struct ggl_run *run, int done, struct ggl_ahead *first)
{
    const struct ggl_tensor *down = node->p.moe.down;
    struct fast_scratch s;
    int64_t begin, end;
    if (done < 2 || done == op_moe_fast.n_phases) return done < 2;
    carve(node, run->n_tokens, run->nth, run->ith, run->scratch, &s);
    ggl_share(node->width / ROWS, run->ith, run->nth, &begin, &end);
    *first = ggl_ahead_from(ggl_tensor_slice(down, s.groups.used[1]) + (uint64_t)(begin * ROWS) * down->row_bytes,
                            (end - begin) * ROWS * (int64_t)down->row_bytes);
    return true;
}

static bool suits(const struct ggl_tensor *w)
{
    if (w->ne[1] % ROWS) return false;
    if (ggl_kquant_format(w->type)) return w->ne[0] % GGL_KQUANT_BLOCK == 0;
    return (w->type == GGL_TYPE_MXFP4 || w->type == GGL_TYPE_FP4 || ggl_panel_format(w->type)) && w->ne[0] % 32 == 0;
}

struct ggl_node *ggl_moe_fast(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *experts, struct ggl_node *gains,
                              struct ggl_node *shared, const struct ggl_tensor *gate, const struct ggl_tensor *up,
                              const struct ggl_tensor *down, float limit)
{
    struct ggl_node *node = ggl_moe(g, x, experts, gains, shared, gate, up, down, limit);
    if (node && suits(gate) && suits(up) && suits(down)) node->op = &op_moe_fast, node->guided = true, node->reads = reads;
    return node;
}
