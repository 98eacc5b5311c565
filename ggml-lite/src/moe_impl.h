/* What both forms of the mixture of experts share: (token, gain) pairs grouped by expert. */
#ifndef GGL_MOE_IMPL_H
#define GGL_MOE_IMPL_H

#include "graph_impl.h"

struct ggl_moe_groups {
    int32_t *first; /* [n_expert + 1] where an expert's pairs begin */
    int32_t *used;  /* how many experts have pairs, then which, ascending */
    int32_t *token; /* [n_tokens * n_used] */
    float *gain;    /* [n_tokens * n_used] */
};

uint64_t ggl_moe_groups_bytes(const struct ggl_node *node, int64_t n_tokens); /* a multiple of 64 */
void ggl_moe_groups_carve(const struct ggl_node *node, int64_t n_tokens, uint8_t *base, struct ggl_moe_groups *g);
void ggl_moe_group(const struct ggl_node *node, const struct ggl_run *run, struct ggl_moe_groups *g);

#endif
