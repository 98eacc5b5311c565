/*
 * The V4 forward pass as graphs.  Start reading at v4_build_trunk.
 *
 *   trunk   ids -> h, the residual streams after the last layer      [n_embd * n_hc, T]
 *   head    h -> logits                                              [n_vocab, T]
 *   mtp     h of position p and token p + 1 -> logits for p + 2      [n_vocab, T]
 */
#ifndef GGL_V4_GRAPH_H
#define GGL_V4_GRAPH_H

#include "cache.h"
#include "ggml-lite/graph.h"
#include "weights.h"

struct v4_graph {
    struct ggl_graph *g;
    struct ggl_node *ids, *h; /* inputs: ids (trunk, mtp), h (head, mtp) */
    struct ggl_node *out;
};

/* What the builders of one graph share. */
struct v4_builder {
    struct ggl_graph *g;
    const struct v4_hparams *hp;
    const struct v4_weights *w;
    struct v4_cache *cache;
    struct ggl_node *ids;
    struct ggl_node *angles_plain, *angles_compressed; /* rope tables of this run's positions */
};

/* Build (not plan) a graph for up to n_tokens tokens a run.  out->g is NULL when memory is short; other failures
 * come out of ggl_graph_plan. */
void v4_build_trunk(const struct v4_hparams *hp, const struct v4_weights *w, struct v4_cache *cache, int64_t n_tokens,
                    struct v4_graph *out);
void v4_build_head(const struct v4_hparams *hp, const struct v4_weights *w, int64_t n_tokens, struct v4_graph *out);
void v4_build_mtp(const struct v4_hparams *hp, const struct v4_weights *w, struct v4_cache *cache, int64_t n_tokens,
                  struct v4_graph *out);

/* W x, with the activations that the model's precision asks for: packed matrices where there are, else float. */
static inline struct ggl_node *v4_linear(struct ggl_graph *g, const struct v4_matrix *m, struct ggl_node *x, int repeat)
{
    return m->packed ? ggl_linear(g, m->packed, x, repeat) : ggl_mul_mat(g, m->w, x, repeat);
}

/* attention.c: y [n_embd, T] of layer i; `tag` starts its names ("L3", "M0"). */
struct ggl_node *v4_attention(struct v4_builder *b, int i, int ratio, const char *tag, struct ggl_node *x);
/* moe.c */
struct ggl_node *v4_moe(struct v4_builder *b, int i, const char *tag, struct ggl_node *x);

#endif
