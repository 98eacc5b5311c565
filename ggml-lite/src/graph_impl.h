/*
 * Inside of the graph: nodes, operations and what a running operation sees.
 * An operation is one to four phases with a barrier between them; after the last there is one where steps.c finds
 * that a later node needs it.
 */
#ifndef GGL_GRAPH_IMPL_H
#define GGL_GRAPH_IMPL_H

#include "ggml-lite/graph.h"
#include "barrier.h"
#include "guided.h"
#include "kernels/kernels.h"

#define GGL_MAX_SRC 5
#define GGL_MAX_STATE 2

struct ggl_packed;

struct ggl_run {
    int ith, nth;
    int64_t n_tokens;
    int64_t pos;               /* of the first token */
    const atomic_bool *cancel; /* the host's flag; may be NULL */
    atomic_bool *stop;         /* this run's: set by the first thread that saw the host's */
    uint8_t *scratch;          /* shared by the team, as large as the op asked for */
    const struct ggl_kernels *k;
    const struct ggl_domains *domains;
    struct ggl_given *given; /* of this operation and phase: [nth] */
    uint16_t number;         /* of this run, which tells its shares from those of runs before */
};

/* What a thread reads first after `done` phases of a node, for threads to fetch while they wait; *first stays empty where it is not
 * yet known.  False: the phases that are left read little. */
typedef bool ggl_reads_fn(const struct ggl_node *node, const struct ggl_run *run, int done, struct ggl_ahead *first);

struct ggl_op {
    const char *name;
    int n_phases;
    /* Bytes of scratch for a run of up to n_tokens tokens on nth threads; NULL: none. */
    uint64_t (*scratch)(const struct ggl_node *node, int64_t n_tokens, int nth);
    void (*run)(const struct ggl_node *node, const struct ggl_run *run, int phase);
};

union ggl_op_params {
    struct { const struct ggl_tensor *w; int repeat; bool fused; } mat;
    struct { const float *w; int64_t group; float eps; } norm;
    struct { const float *freqs; int n_freq; } table;
    struct { const float *table; int64_t n; } position;
    struct { int n_dim, n_rope; bool inverse; } rope;
    struct { const float *fn, *base, *scale; int hc, iters; float eps, norm_eps; bool fused; } hc;
    struct { struct ggl_row_format format; const struct ggl_row_ring *ring; int64_t keep; } rows;
    struct ggl_compressor compress;
    struct { struct ggl_row_format format; const struct ggl_row_list *keys; int heads, top_k, ratio; float scale; } index;
    struct ggl_attention attention;
    struct { const float *bias; const int32_t *table; int n_used; float scale; } router;
    struct { const struct ggl_tensor *gate, *up, *down; float limit; int n_used; } moe;
    struct { const struct ggl_packed *w; int64_t n_in; int repeat; int rounding; } linear;
    float limit;
};

struct ggl_node {
    const struct ggl_op *op; /* NULL: an input */
    char name[32];
    enum ggl_elem elem;
    int64_t width;
    int n_src;
    struct ggl_node *src[GGL_MAX_SRC]; /* NULL entries are allowed */
    union ggl_op_params p;
    /* What steps.c goes by.  All zero is safe for a node that touches nothing but its sources, rows and scratch. */
    int64_t parts;     /* > 0, one phase: a row is that many equal parts, and ggl_share (guided: at first) deals out those of all tokens */
    unsigned part_src; /* bit s: part i reads part i of src[s] and nothing else of it */
    unsigned late_src; /* bit s: src[s] is read in the last phase alone */
    bool in_place;     /* part i may be written where part i of src[0] lies, which is as wide */
    const void *state[GGL_MAX_STATE]; /* rings and lists that it reads or writes */
    bool guided; /* its phases have shares of guided.h */
    ggl_reads_fn *reads; /* NULL: little */
    /* found by steps.c: it runs in these steps, and a barrier ends every step */
    int first_step, last_step;
    int index;
    const struct ggl_node *next_reader; /* the next node that has it */
    int first_given; /* of its first phase, in the graph's */
    int last_use;  /* index of the last node that reads this one */
    uint64_t offset, scratch_offset;
    uint8_t *data;
};

/* Add a node; NULL (and the graph remembers) when a source failed or memory is short. */
struct ggl_node *ggl_node_new(struct ggl_graph *g, const struct ggl_op *op, enum ggl_elem elem, int64_t width, int n_src,
                              struct ggl_node *const *src);
/* Remember a building error: "op: what"; returns NULL. */
struct ggl_node *ggl_graph_refuse(struct ggl_graph *g, const char *op, const char *what);

struct ggl_graph {
    int64_t n_tokens_max;
    bool fused; /* of products of floats that are added from now on */
    struct ggl_node **nodes;
    int n_nodes, cap;
    int n_steps;
    struct ggl_error err; /* the first building error */
    struct ggl_team *team;
    struct ggl_kernels kernels; /* picked by ggl_graph_plan */
    uint8_t *arena;
    uint64_t arena_bytes;
    struct ggl_domains domains;
    struct ggl_given *given; /* [n_given]: of all phases of guided nodes, one a thread each */
    int n_given;
    uint16_t number; /* of the last run */
    const struct ggl_node *first_reader; /* the first node that has one */
    ggl_tap_fn *tap;
    void *tap_user;
    ggl_inputs_fn *inputs;
    void *inputs_user;
    struct ggl_profile *profile; /* NULL: off */
};

uint64_t ggl_elem_bytes(enum ggl_elem elem);

/* steps.c: number the steps of all nodes. */
void ggl_graph_find_steps(struct ggl_graph *g);

/* plan.c: guided shares of a team with these domains; false: no memory. */
bool ggl_graph_set_domains(struct ggl_graph *g, struct ggl_domains domains);

/* Whether a barrier follows the node's last phase: something after it runs in another step. */
static inline bool ggl_ends_step(const struct ggl_graph *g, const struct ggl_node *node)
{
    int next = node->index + 1;
    while (next < g->n_nodes && !g->nodes[next]->op) next++;
    return next < g->n_nodes && g->nodes[next]->first_step != node->last_step;
}

/* [begin, end) of n items for thread ith of nth. */
static inline void ggl_share(int64_t n, int ith, int nth, int64_t *begin, int64_t *end)
{
    *begin = n * ith / nth;
    *end = n * (ith + 1) / nth;
}

/* The beginning of what a thread reads first: as much as comes while it waits, and as the second-level cache has room for. */
static inline struct ggl_ahead ggl_ahead_from(const void *data, int64_t bytes)
{
    const uint8_t *p = data;
    return (struct ggl_ahead){p, p + (bytes < 256 << 10 ? bytes : 256 << 10)};
}

/* Products of float activations. */
static inline ggl_mul_mat_f32_fn *ggl_products(const struct ggl_kernels *k, bool fused)
{
    return fused ? k->mul_mat_fused : k->mul_mat_f32;
}

static inline const float *ggl_f32_row(const struct ggl_node *node, int64_t t)
{
    return (const float *)(const void *)node->data + t * node->width;
}

static inline float *ggl_f32_out(const struct ggl_node *node, int64_t t)
{
    return (float *)(void *)node->data + t * node->width;
}

/* Whoever sees the host's flag tells the others before it leaves work out, so after the next barrier all know
 * that the rows may be incomplete, even if the host takes the flag back. */
static inline bool ggl_run_cancelled(const struct ggl_run *run)
{
    if (run->cancel && atomic_load_explicit(run->cancel, memory_order_relaxed))
        atomic_store_explicit(run->stop, true, memory_order_relaxed);
    return atomic_load_explicit(run->stop, memory_order_relaxed);
}

#endif
