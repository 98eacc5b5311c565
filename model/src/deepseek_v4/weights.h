/*
 * The weights of a V4 model by their role.  Matrices stay where they are mapped;
 * small vectors are kept as float.
 */
#ifndef GGL_V4_WEIGHTS_H
#define GGL_V4_WEIGHTS_H

#include "../source.h"
#include "ggml-lite/pack.h"
#include "hparams.h"

struct v4_hc {
    const float *fn, *base, *scale;
    const char *name; /* of fn's tensor */
};

/* A matrix that every token meets: in fast mode also in the form that this machine multiplies best. */
struct v4_matrix {
    const struct ggl_tensor *w;
    struct ggl_packed *packed; /* NULL: float activations */
};

struct v4_compressor {
    const struct ggl_tensor *kv, *gate;
    const float *ape, *norm;
};

struct v4_layer {
    struct v4_hc hc_attn, hc_ffn;
    const float *attn_norm, *ffn_norm;
    /* attention */
    struct v4_matrix q_a, q_b, kv, out_a, out_b;
    struct ggl_tensor out_a_view; /* as one matrix, where the file has a slice a group */
    const float *q_a_norm, *kv_norm, *sinks;
    struct v4_compressor compressor;       /* ratio 4 and 128 */
    struct v4_matrix index_q_b;            /* ratio 4 */
    const struct ggl_tensor *index_proj;   /* ratio 4 */
    struct v4_compressor index_compressor; /* ratio 4 */
    /* experts */
    const struct ggl_tensor *router;
    const float *router_bias;   /* NULL in hash layers */
    const int32_t *tid2eid;     /* [n_expert_used, n_vocab]; hash layers only */
    const struct ggl_tensor *gate_exps, *up_exps, *down_exps;
    struct v4_matrix gate_shexp, up_shexp, down_shexp;
};

struct v4_head {
    struct v4_hc hc;
    const float *norm;
};

struct v4_weights {
    const struct ggl_tensor *token_embd;
    struct v4_matrix output;
    struct v4_head head, mtp_head;
    struct v4_layer *layers; /* [n_layer + n_mtp] */
    int n_layers;            /* how many of them may hold packed matrices */
    struct v4_matrix mtp_e_proj, mtp_h_proj;
    const float *mtp_enorm, *mtp_hnorm;
    struct ggl_tensor mtp_view[2]; /* halves of a fused eh_proj */
    float *freqs_plain, *freqs_compressed;
    void **owned; /* float copies */
    size_t n_owned;
    uint64_t packed_bytes;
};

/* Bind and check every tensor; sets hp->n_layer, n_mtp and n_vocab from what the file holds. */
enum ggl_status v4_weights_bind(const struct ggl_source *src, struct v4_hparams *hp, struct v4_weights *w,
                                struct ggl_error *err);
/* Fast mode: pack every v4_matrix whose type has a packed form. */
enum ggl_status v4_weights_pack(const struct v4_hparams *hp, struct v4_weights *w, struct ggl_team *team, struct ggl_error *err);
void v4_weights_free(struct v4_weights *w);

#endif
