/*
 * Tiny V4 models as GGUF files for tests: made in memory, changed at will, then
 * written byte by byte without the writer under test.
 *
 *     struct v4b *b = v4b_new(&(struct v4b_options){.mtp = true});
 *     v4b_u32(b, "expert_count", 0);
 *     v4b_tensor(b, "output.weight")->ne[1]++;     // its data is cut or filled up when it is written
 *     v4b_save(b, path);
 *     v4b_free(b);
 *
 * Three layers (ratios 0, 4, 128; the first routes by token id), 32 wide, two streams, three experts, 40 tokens.
 * Memory failures end the test program.
 */
#ifndef TESTS_V4_BUILDER_H
#define TESTS_V4_BUILDER_H

#include "ggml-lite/gguf.h"
#include "support/gguf_builder.h"

enum { V4B_VOCAB = 40, V4B_LAYERS = 3, V4B_EMBD = 32 };

struct v4b_options {
    bool mtp;
    enum ggl_type matrices; /* F32 (0), F16, BF16, Q8_0, MXFP4, ...; rows are multiples of 32 */
    uint32_t seed;
};

struct v4b_tensor {
    char name[64];
    uint32_t type, n_dims;
    int64_t ne[4];
    float *values; /* as made; NULL for integers */
    int64_t n;     /* elements as made */
    uint8_t *data;
    size_t bytes;
};

struct v4b_kv {
    char key[96];
    uint32_t type, elem;
    uint64_t n;
    struct gguf_builder value; /* elements as in the file */
};

struct v4b {
    struct v4b_tensor *tensors;
    int n_tensors;
    struct v4b_kv *kvs;
    int n_kvs;
    uint32_t rng;
    size_t alignment; /* of tensor data; 0: 32 */
    size_t gap;       /* unused bytes after each tensor, a multiple of the alignment */
};

struct v4b *v4b_new(const struct v4b_options *options);
void v4b_free(struct v4b *b);

/* Keys: without "." they get the architecture's prefix, with "=" in front they are taken as they are. */
void v4b_u32(struct v4b *b, const char *key, uint32_t v);
void v4b_f32(struct v4b *b, const char *key, float v);
void v4b_bool(struct v4b *b, const char *key, bool v);
void v4b_str(struct v4b *b, const char *key, const char *v);
void v4b_arr(struct v4b *b, const char *key, uint32_t elem, const void *data, uint64_t n); /* numbers */
/* Any scalar type from a number. */
void v4b_number(struct v4b *b, const char *key, uint32_t type, double v);
void v4b_drop_kv(struct v4b *b, const char *key);
struct v4b_kv *v4b_kv(struct v4b *b, const char *key); /* NULL: none */
/* A byte-level vocabulary of n >= 257 tokens with one merge. */
void v4b_vocabulary(struct v4b *b, int n);

struct v4b_tensor *v4b_tensor(struct v4b *b, const char *name); /* must exist */
struct v4b_tensor *v4b_add(struct v4b *b, const char *name, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2, float scale,
                           float mean);
void v4b_drop(struct v4b *b, const char *name);
void v4b_rename(struct v4b *b, const char *from, const char *to); /* in the names of all tensors that have `from` */
void v4b_retype(struct v4b *b, const char *name, uint32_t type); /* the same values in another type */

/* The whole file; the builder's bytes are the caller's to free with gb_free. */
struct gguf_builder v4b_bytes(const struct v4b *b);
void v4b_save(const struct v4b *b, const char *path);

#endif
