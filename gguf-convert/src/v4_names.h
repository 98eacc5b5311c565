/*
 * The tensors of a DeepSeek V4 checkpoint, in the order of our files: official name, GGUF name, kind, shape and
 * when it is there.  The table is the only place that knows them.
 */
#ifndef GGL_CONVERT_V4_NAMES_H
#define GGL_CONVERT_V4_NAMES_H

#include <stddef.h>
#include "gguf-convert/src/config.h"

enum ggl_v4_kind {
    GGL_NAME_FLOAT,   /* BF16 (or F16, F32): stored as it is */
    GGL_NAME_F32,     /* F32 only */
    GGL_NAME_DENSE,   /* a matrix X.weight: FP8 with X.scale, or a float type without */
    GGL_NAME_EXPERTS, /* ffn.experts.<e>.X.weight and .scale: FP4 or FP8 */
    GGL_NAME_IDS,     /* a table of expert ids: I64 or I32 */
};

enum ggl_v4_scope {
    GGL_SCOPE_ROOT,
    GGL_SCOPE_BLOCK,        /* every block, a multi-token-prediction block included */
    GGL_SCOPE_COMPRESSED,   /* blocks with a compressor (ratio 4 or 128) */
    GGL_SCOPE_INDEXED,      /* blocks with an indexer (ratio 4) */
    GGL_SCOPE_HASH,         /* blocks that route by token id */
    GGL_SCOPE_LEARNED,      /* the others */
    GGL_SCOPE_MTP,          /* multi-token-prediction blocks of the preview checkpoints */
    GGL_SCOPE_DSPARK_FIRST, /* the first and the last DSpark stage */
    GGL_SCOPE_DSPARK_LAST,
};

enum ggl_v4_dim {
    GGL_DIM_NONE, GGL_DIM_1, GGL_DIM_3, GGL_DIM_EMBD, GGL_DIM_VOCAB, GGL_DIM_HEADS, GGL_DIM_HEAD, GGL_DIM_Q_RANK,
    GGL_DIM_HEADS_HEAD,    /* heads * head_dim */
    GGL_DIM_GROUP_IN,      /* heads * head_dim / groups */
    GGL_DIM_GROUPS_RANK,   /* groups * o_lora_rank */
    GGL_DIM_RATIO,         /* 4 or 128 */
    GGL_DIM_COMPRESSED,    /* head_dim, doubled for ratio 4 */
    GGL_DIM_INDEX_HEADS, GGL_DIM_INDEX_HEAD,
    GGL_DIM_INDEX_HEADS_HEAD, /* index heads * index dim */
    GGL_DIM_INDEX_COMPRESSED, /* 2 * index dim */
    GGL_DIM_EXPERTS, GGL_DIM_EXPERTS_USED, GGL_DIM_FF,
    GGL_DIM_HC,            /* streams */
    GGL_DIM_HC_MIX,        /* (2 + streams) * streams */
    GGL_DIM_HC_EMBD,       /* streams * hidden */
    GGL_DIM_TARGETS_EMBD,  /* DSpark target layers * hidden */
    GGL_DIM_MARKOV,        /* DSpark markov rank */
    GGL_DIM_EMBD_MARKOV,   /* hidden + markov rank */
};

struct ggl_v4_name {
    const char *official;   /* after "layers.N." or "mtp.N."; DENSE: without .weight; EXPERTS: "w1" */
    const char *gguf;       /* after "blk.N." */
    enum ggl_v4_kind kind;
    enum ggl_v4_scope scope;
    enum ggl_v4_dim dims[2]; /* PyTorch's order, [out, in] or [n] */
};

extern const struct ggl_v4_name ggl_v4_names[];
extern const size_t ggl_n_v4_names;

uint64_t ggl_v4_dim(const struct ggl_config *c, enum ggl_v4_dim dim, int32_t ratio);

/* A sentence for a name that belongs to another kind of checkpoint ("the transformers naming"), or NULL. */
const char *ggl_v4_name_foreign(const char *name);
/* Tensors that a checkpoint may hold and that nothing needs. */
bool ggl_v4_name_harmless(const struct ggl_config *c, const char *name);
/* n of "mtp.<n>.", or -1. */
int ggl_v4_name_mtp(const char *name);

#endif
