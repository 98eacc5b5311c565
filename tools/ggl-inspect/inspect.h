/*
 * What ggl-inspect shows: a GGUF file or a checkpoint directory behind one face.
 */
#ifndef GGL_INSPECT_H
#define GGL_INSPECT_H

#include "common/cli.h"
#include "ggml-lite/gguf.h"
#include "gguf-convert/checkpoint.h"

#define MAX_TYPES          64
#define INSPECT_MAX_LAYERS 1024
#define INSPECT_PART_TYPES 4

enum inspect_role {
    ROLE_ATTENTION, ROLE_COMPRESSOR, ROLE_INDEXER, ROLE_HC, ROLE_ROUTER, ROLE_SHARED, ROLE_EXPERTS, ROLE_PREDICTION,
    ROLE_EMBEDDING, ROLE_HEAD, ROLE_OTHER, N_ROLES,
};

/* The tensors of a role in one layer. */
struct inspect_part {
    uint64_t tensors, bytes;
    uint64_t token_bytes; /* of them that a token reads */
    struct inspect_part_type {
        const char *name;
        uint64_t bytes;
    } types[INSPECT_PART_TYPES]; /* most bytes first */
    int n_types;
};

struct inspect_layer {
    int32_t ratio;   /* -1: not known */
    bool prediction; /* not one of the main layers */
    uint64_t bytes;
    struct inspect_part parts[N_ROLES];
};

struct inspect {
    const char *path;
    struct ggl_gguf *gguf; /* one of the two is NULL */
    struct ggl_checkpoint *checkpoint;
    const struct ggl_gguf *meta;
    uint64_t n_tensors, data_bytes;
    uint64_t trailing_bytes; /* after the last tensor and its padding */
    const struct ggl_str *hashes; /* n_tensors of 32 digits, or NULL */
    uint64_t n_verified;
    struct type_total {
        const char *name;
        uint64_t tensors, bytes;
    } types[MAX_TYPES];
    int n_types;
    /* By layer and role; layers is NULL for what is no model. */
    struct inspect_layer *layers, outside;
    int n_layers;
    uint64_t n_expert, n_expert_used; /* 0: not known */
    struct inspect_totals {
        uint64_t hot, routed, routed_token, tables, prediction; /* tables: rows that a token does not read */
    } totals;
    bool list_tensors;
    /* Of the cache in the form that the model was trained with; known: the metadata has what it takes. */
    struct inspect_memory {
        bool known;
        uint64_t ctx;
        double bytes_per_token; /* growth */
        uint64_t rows, index, window, state, weights, total;
    } memory;
};

const struct ggl_tensor *inspect_tensor(const struct inspect *in, uint64_t i);
/* Of all planes of tensor i that are not listed as tensors of their own. */
uint64_t inspect_tensor_bytes(const struct inspect *in, uint64_t i);
const char *inspect_type_name(uint32_t type);

const char *inspect_role_name(enum inspect_role role);
void inspect_layers(struct inspect *in);
bool inspect_same_layer(const struct inspect_layer *a, const struct inspect_layer *b);
void inspect_print_layers(const struct inspect *in, FILE *f);

int32_t inspect_ratio(const struct inspect *in, int layer); /* of a layer's compression; -1: not known */
void inspect_memory(struct inspect *in, uint64_t ctx); /* ctx 0: what the model was trained for */
/* The first tensor whose bytes do not have their hash, n_tensors when there is none. */
uint64_t inspect_verify(struct inspect *in, int threads, bool quiet);
void inspect_print_text(const struct inspect *in, FILE *f);
void inspect_print_json(const struct inspect *in, FILE *f);

#endif
