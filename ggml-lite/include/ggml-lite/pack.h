/*
 * Matrices rearranged for the kernels of this machine: 16 rows interleaved, so that a product needs no sums across
 * lanes.  Made once, when a model is loaded, for the matrices that every token needs; experts stay as they are.
 *
 *     struct ggl_packed *p;
 *     ggl_pack(w, team, &p, &err);       // p = NULL: this type has no packed form, use ggl_mul_mat
 *     y = ggl_linear(g, p, x, 1);
 *
 * What a product computes depends on the weight's type alone:
 *   Q8_0, Q4_0, IQ4_NL, INT4               activations as int8 in blocks of 32 (kernels/panel/panel.h)
 *   MXFP4, FP4: experts only               the same (kernels/mxfp4/mxfp4.h)
 *   Q2_K .. Q6_K, IQ1 .. IQ4_XS,           the same (kernels/kquant/kquant.h); rows of a multiple of 256
 *   Q4_1, Q5_0, Q5_1
 *   FP8                                    activations as BF16 (kernels/fp8/fp8.h)
 *   BF16                                   the same (kernels/bf16/bf16.h)
 *
 * On a machine with several NUMA nodes, each node holds the rows that the team's threads on it read: graphs should run
 * on the same team.
 *
 * Owner: the caller frees it after the last graph that uses it; the weight may go earlier.
 * Thread-safety: constant after ggl_pack.
 */
#ifndef GGL_PACK_H
#define GGL_PACK_H

#include "ggml-lite/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_packed;

/* Slice 0 of w.  *out is NULL, with GGL_OK, when the type or the shape has no packed form. */
GGL_API enum ggl_status ggl_pack(const struct ggl_tensor *w, struct ggl_team *team, struct ggl_packed **out,
                                 struct ggl_error *err);
GGL_API void ggl_packed_free(struct ggl_packed *p); /* accepts NULL */
GGL_API uint64_t ggl_packed_bytes(const struct ggl_packed *p); /* of memory of its own; NULL: 0 */

/* As ggl_mul_mat and ggl_mul_mat_grouped, with activations rounded as the weight's type asks. */
GGL_API struct ggl_node *ggl_linear(struct ggl_graph *g, const struct ggl_packed *w, struct ggl_node *x, int repeat);
GGL_API struct ggl_node *ggl_linear_grouped(struct ggl_graph *g, const struct ggl_packed *w, struct ggl_node *x, int groups);

/* As ggl_moe, with int8 activations for experts of the types above that have them, INT4 aside.  NULL source errors and
 * shapes as there; experts of another type are computed by ggl_moe itself. */
GGL_API struct ggl_node *ggl_moe_fast(struct ggl_graph *g, struct ggl_node *x, struct ggl_node *experts,
                                      struct ggl_node *gains, struct ggl_node *shared, const struct ggl_tensor *gate,
                                      const struct ggl_tensor *up, const struct ggl_tensor *down, float limit);

#ifdef __cplusplus
}
#endif
#endif
