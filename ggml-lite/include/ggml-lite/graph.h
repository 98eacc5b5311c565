/*
 * A graph of operations on rows of activations, its memory plan and its executor.
 *
 * Every node yields one row of `width` elements a token; the number of tokens is given when the graph runs, up to
 * the capacity that it was planned for.  So one graph serves decode, prefill and every chunk size, and running it
 * allocates nothing.
 *
 *     struct ggl_graph *g = ggl_graph_new(n_tokens_max);
 *     struct ggl_node *x = ggl_input(g, GGL_ELEM_F32, n_embd);
 *     struct ggl_node *y = ggl_mul_mat(g, w, ggl_rms_norm(g, x, gamma, 0, 1e-6f), 1);
 *     ggl_graph_output(g, y);
 *     if (ggl_graph_plan(g, team, &err)) ...            // also reports what went wrong while building
 *     ggl_node_bind(x, data);
 *     ggl_graph_compute(g, n_tokens, pos, NULL, &err);
 *     const float *out = ggl_node_data(y);
 *
 * Reproducible: the order of every sum is fixed by shapes alone.  Work is split over threads along outputs only, so
 * results do not depend on the number of threads or on how tokens are cut into chunks.
 *
 * Errors: builders return NULL on failure and accept NULL sources; the first failure is kept and returned by
 * ggl_graph_plan.  Owner: the graph owns its nodes and its arena; weights, tables and cache rows must outlive it.
 * Thread-safety: one thread a graph; separate graphs are independent (they share the team, which serialises).
 *
 * Square brackets are our order, dimension 0 contiguous; T is the number of tokens of a run.
 */
#ifndef GGL_GRAPH_H
#define GGL_GRAPH_H

#include "ggml-lite/cache.h"
#include "ggml-lite/tensor.h"
#include "ggml-lite/threads.h"

#ifdef __cplusplus
extern "C" {
typedef struct ggl_atomic_bool ggl_atomic_bool; /* C++ only passes it on: the flag lives in a C object */
#else
#include <stdatomic.h>
typedef atomic_bool ggl_atomic_bool;
#endif

struct ggl_graph;
struct ggl_node;

enum ggl_elem { GGL_ELEM_F32, GGL_ELEM_I32, GGL_ELEM_U8 };

GGL_API struct ggl_graph *ggl_graph_new(int64_t n_tokens_max);
GGL_API void ggl_graph_free(struct ggl_graph *g); /* accepts NULL */

/* Products of floats that are added from now on (ggl_mul_mat, ggl_mul_mat_grouped, ggl_hc_mix) may round product and sum together
 * where that is faster: their last bits then depend on the processor, though not on threads or chunks. */
GGL_API void ggl_graph_fuse(struct ggl_graph *g);

/* Lay out the arena for the largest run and allocate it.  `team` runs the graph and must outlive it. */
GGL_API enum ggl_status ggl_graph_plan(struct ggl_graph *g, struct ggl_team *team, struct ggl_error *err);
/* Only the size that ggl_graph_plan would allocate for n_threads threads. */
GGL_API enum ggl_status ggl_graph_arena_bytes(struct ggl_graph *g, int n_threads, uint64_t *bytes, struct ggl_error *err);
GGL_API uint64_t ggl_graph_n_nodes(const struct ggl_graph *g);

/* Run n_tokens tokens whose first has position pos.  `cancel` may be NULL; when it becomes true the run stops
 * within a tile of work and returns CANCELLED; outputs are then undefined. */
GGL_API enum ggl_status ggl_graph_compute(struct ggl_graph *g, int64_t n_tokens, int64_t pos, const ggl_atomic_bool *cancel,
                                          struct ggl_error *err);

/* Different graphs of one team, one after the other as if each were computed on its own; but the threads are woken once, and
 * fetch the next graph's weights while they wait for the end of the one before. */
struct ggl_pass {
    struct ggl_graph *g;
    int64_t n_tokens, pos;
};
GGL_API enum ggl_status ggl_graphs_compute(const struct ggl_pass *passes, int n, const ggl_atomic_bool *cancel, struct ggl_error *err);

/* Where the output's rows go instead of into the arena, for as many tokens as there is room for there; NULL: the arena again.  It must
 * stay valid while the graph runs. */
GGL_API void ggl_node_place(struct ggl_graph *g, struct ggl_node *output, void *data);

/* Called by the executor, on one thread, after a node with a name has run. */
typedef void ggl_tap_fn(void *user, const struct ggl_node *node, int64_t n_tokens, int64_t pos);
GGL_API void ggl_graph_set_tap(struct ggl_graph *g, ggl_tap_fn *fn, void *user);

/* One vector that a matrix was multiplied with, times `scale`; float products only. */
struct ggl_input_row {
    const struct ggl_tensor *w; /* the matrix; NULL: */
    const float *fn;            /* mixing weights of hyper-connections */
    int64_t slice;              /* of w: the expert */
    const float *x;             /* [n] */
    int64_t n;
    float scale;
};
/* FOR CALIBRATION: called by the executor, on one thread, for each of them after the product has run.  NULL: off. */
typedef void ggl_inputs_fn(void *user, const struct ggl_input_row *row);
GGL_API void ggl_graph_set_inputs_fn(struct ggl_graph *g, ggl_inputs_fn *fn, void *user);

/* Where the time of runs goes, by operation, seen from one thread: its own work, and its waits for the others. */
#define GGL_PROFILE_OPS 64
struct ggl_profile {
    uint64_t runs, nodes, barriers; /* times the team was woken; nodes that ran; times that all threads met, taps left out */
    int n_ops;
    struct ggl_profile_op {
        const char *name;
        uint64_t calls; /* nodes that ran */
        double run_s, wait_s;
    } ops[GGL_PROFILE_OPS]; /* in order of first use */
};
/* Later runs add to *profile, which the caller owns and zeroes; NULL: off, which costs nothing. */
GGL_API void ggl_graph_set_profile(struct ggl_graph *g, struct ggl_profile *profile);

GGL_API struct ggl_node *ggl_name(struct ggl_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
GGL_API const char *ggl_node_name(const struct ggl_node *node);
GGL_API enum ggl_elem ggl_node_elem(const struct ggl_node *node);
GGL_API int64_t ggl_node_width(const struct ggl_node *node);
GGL_API const void *ggl_node_data(const struct ggl_node *node);
GGL_API const struct ggl_node *ggl_graph_find(const struct ggl_graph *g, const char *name);
GGL_API const struct ggl_node *ggl_graph_node(const struct ggl_graph *g, uint64_t i);
GGL_API void ggl_graph_output(struct ggl_graph *g, struct ggl_node *node); /* keep its data until the next run */

/* ---- inputs */

/* Rows that the caller provides: bind [width, T] before each run. */
GGL_API struct ggl_node *ggl_input(struct ggl_graph *g, enum ggl_elem elem, int64_t width);
GGL_API void ggl_node_bind(struct ggl_node *input, const void *data);

/* Row ids[t] of `table` [n, n_rows], any type, written `repeat` times: [n * repeat, T].  ids: i32 [1, T], in range. */
GGL_API struct ggl_node *ggl_embed(struct ggl_graph *g, const struct ggl_tensor *table, struct ggl_node *ids, int repeat);

/* cos and sin of pos * freq, interleaved: [2 * n_freq, T].  The product is rounded to float first, as in training. */
GGL_API struct ggl_node *ggl_rope_table(struct ggl_graph *g, const float *freqs, int n_freq);

/* ---- general operations */

/* y = w * x / sqrt(mean(x * x) + eps) over each group of `group` elements (0: the whole row); w [group] or NULL. */
GGL_API struct ggl_node *ggl_rms_norm(struct ggl_graph *g, struct ggl_node *x, const float *w, int64_t group, float eps);

/* W x for each of the `repeat` vectors of a row: x [n_in * repeat, T], w [n_in, n_out], any type -> [n_out * repeat, T]. */
GGL_API struct ggl_node *ggl_mul_mat(struct ggl_graph *g, const struct ggl_tensor *w, struct ggl_node *x, int repeat);

/* Block-diagonal: rows j * R .. (j+1) * R - 1 of w see only part j of x.  x [n_in * groups, T], w [n_in, R * groups]. */
GGL_API struct ggl_node *ggl_mul_mat_grouped(struct ggl_graph *g, const struct ggl_tensor *w, struct ggl_node *x, int groups);

/* x + row pos mod n of table [width, n]. */
GGL_API struct ggl_node *ggl_add_position(struct ggl_graph *g, struct ggl_node *x, const float *table, int64_t n);

/* a + b; b may be narrower by a whole factor and is then repeated. */
GGL_API struct ggl_node *ggl_add(struct ggl_graph *g, struct ggl_node *a, struct ggl_node *b);

/* silu(min(gate, limit)) * clamp(up, -limit, limit); limit <= 0: no clamp. */
GGL_API struct ggl_node *ggl_swiglu(struct ggl_graph *g, struct ggl_node *gate, struct ggl_node *up, float limit);

/* Rotate the last n_rope elements of every head of n_dim by the table (neighbours form a pair); inverse: backwards. */
GGL_API struct ggl_node *ggl_rope(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *table, int n_dim, int n_rope,
                                  bool inverse);

/* ---- hyper-connections (mHC): `hc` residual streams of n_embd */

/* Mixing weights from the streams h [n_embd * hc, T]: fn [n_embd * hc, (2 + hc) * hc], base, scale [3].
 * -> [pre hc | post hc | comb hc x hc (source row, destination column)], comb balanced by `iters` Sinkhorn steps. */
GGL_API struct ggl_node *ggl_hc_mix(struct ggl_graph *g, struct ggl_node *h, const float *fn, const float *base,
                                    const float *scale, int hc, int iters, float eps, float norm_eps);
/* The head's: fn [n_embd * hc, hc], base [hc], scale [1] -> [hc, T]. */
GGL_API struct ggl_node *ggl_hc_head_mix(struct ggl_graph *g, struct ggl_node *h, const float *fn, const float *base,
                                         const float *scale, int hc, float eps, float norm_eps);
/* sum_j mix[j] * stream j: [n_embd, T]. */
GGL_API struct ggl_node *ggl_hc_pre(struct ggl_graph *g, struct ggl_node *h, struct ggl_node *mix, int hc);
/* Stream k becomes post[k] * x + sum_j comb[j][k] * stream j: [n_embd * hc, T]. */
GGL_API struct ggl_node *ggl_hc_post(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *h, struct ggl_node *mix, int hc);

/* ---- the cache and compressed attention */

/* Rows in cache form: x [n_dim, T] -> u8 [format->bytes, T]. */
GGL_API struct ggl_node *ggl_cache_encode(struct ggl_graph *g, struct ggl_node *x, struct ggl_row_format format);

/* Copy the rows to their places in the ring (the last `keep` tokens of the run), after `after` has used the ring.
 * The ring's capacity must be at least twice `keep`, so that a cancelled run leaves the window before it intact. */
GGL_API void ggl_ring_store(struct ggl_graph *g, struct ggl_node *rows, const struct ggl_row_ring *ring, int64_t keep,
                            struct ggl_node *after);

struct ggl_compressor {
    int32_t ratio;       /* 4 (overlapping, twice as wide) or 128 */
    int32_t n_dim;       /* of an entry */
    int32_t n_rope;
    const float *norm;   /* [n_dim] */
    const float *freqs;  /* [n_rope / 2] */
    float eps;
    bool hadamard;       /* index keys: rotate by the Walsh-Hadamard matrix before storing */
    struct ggl_row_format format;
    const struct ggl_row_ring *state; /* recent tokens' (value, score) rows: 2 * width floats; capacity >= 2 * window */
    const struct ggl_row_list *out;   /* entry i pools tokens i * ratio .. */
};

/* Append an entry for every group of `ratio` tokens that this run completes.  kv, score (its position added already):
 * [width, T], width = n_dim * (ratio == 4 ? 2 : 1).
 * Returns a node of width 0 that attention takes as a dependency. */
GGL_API struct ggl_node *ggl_compress(struct ggl_graph *g, struct ggl_node *kv, struct ggl_node *score,
                                      const struct ggl_compressor *c);

/* Hadamard rotation of every head, then index-row form: x [n_dim * heads, T] -> u8 [bytes * heads, T]. */
GGL_API struct ggl_node *ggl_index_query(struct ggl_graph *g, struct ggl_node *x, int heads, struct ggl_row_format format);

/* The min(top_k, n) entries i < n = (t + 1) / ratio with the largest sum_h weight[h] * scale * relu(q[h] . k[i]);
 * ties go to the lower entry.  -> i32 [1 + top_k, T]: how many, then the entries in ascending order. */
GGL_API struct ggl_node *ggl_index_select(struct ggl_graph *g, struct ggl_node *query, struct ggl_node *weights,
                                          struct ggl_node *entries, const struct ggl_row_list *keys,
                                          struct ggl_row_format format, int heads, int top_k, int ratio, float scale);

struct ggl_attention {
    int32_t n_head, n_dim, window;
    int32_t ratio;                    /* 0: no compressed entries */
    const float *sinks;               /* [n_head] */
    struct ggl_row_format format;
    const struct ggl_row_ring *ring;  /* rows of earlier runs */
    const struct ggl_row_list *entries; /* compressed rows, when ratio > 0 */
    bool rounded;                     /* queries and weights are rounded to 16 bits, for speed; n_dim even (and above 4096 they are not) */
    struct ggl_node *angles;          /* a rope table: each head's last n_rope results are turned back by it; or NULL */
    int32_t n_rope;
};

/* One shared KV row a position, n_head queries: softmax over the last `window` positions (itself included), the
 * chosen compressed entries (selected, or all visible ones when NULL) and the head's sink.
 * q [n_dim * n_head, T], rows u8 [format.bytes, T] of this run -> [n_dim * n_head, T]. */
GGL_API struct ggl_node *ggl_attention(struct ggl_graph *g, struct ggl_node *q, struct ggl_node *rows,
                                       struct ggl_node *selected, struct ggl_node *entries, const struct ggl_attention *a);

/* ---- mixture of experts */

/* sqrt(softplus(x)). */
GGL_API struct ggl_node *ggl_router_score(struct ggl_graph *g, struct ggl_node *logits);

/* Which experts: the n_used largest of score + bias (ties: lower id), or row ids[t] of table [n_used, n_vocab].
 * -> i32 [n_used, T] */
GGL_API struct ggl_node *ggl_router_select(struct ggl_graph *g, struct ggl_node *score, const float *bias,
                                           const int32_t *table, struct ggl_node *ids, int n_used);
/* scale * score[e] / sum of the chosen scores: [n_used, T]. */
GGL_API struct ggl_node *ggl_router_gains(struct ggl_graph *g, struct ggl_node *score, struct ggl_node *experts, float scale);

/* sum over the chosen experts, in ascending id, of down(gain * swiglu(gate x, up x)), plus `shared` (last).
 * gate, up [n_embd, n_ff, n_expert], down [n_ff, n_embd, n_expert]; shared [n_embd, T] or NULL. */
GGL_API struct ggl_node *ggl_moe(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *experts, struct ggl_node *gains,
                                 struct ggl_node *shared, const struct ggl_tensor *gate, const struct ggl_tensor *up,
                                 const struct ggl_tensor *down, float limit);

#ifdef __cplusplus
}
#endif
#endif
