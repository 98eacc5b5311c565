/*
 * What ggl-inspect shows: a GGUF file or a checkpoint directory behind one face.
 */
#ifndef GGL_INSPECT_H
#define GGL_INSPECT_H

#include "common/cli.h"
#include "ggml-lite/gguf.h"
#include "gguf-convert/checkpoint.h"

#define MAX_TYPES 64

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

void inspect_memory(struct inspect *in, uint64_t ctx); /* ctx 0: what the model was trained for */
/* The first tensor whose bytes do not have their hash, n_tensors when there is none. */
uint64_t inspect_verify(struct inspect *in, int threads, bool quiet);
void inspect_print_text(const struct inspect *in, FILE *f);
void inspect_print_json(const struct inspect *in, FILE *f);

#endif
