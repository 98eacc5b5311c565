/*
 * The weights of a checkpoint directory: model.safetensors.index.json and the files it names, or, without an
 * index, model.safetensors or a complete model-0000i-of-0000n.safetensors set.  Every tensor is in exactly one
 * file, and the index and the files agree.
 */
#ifndef GGL_CONVERT_SHARDS_H
#define GGL_CONVERT_SHARDS_H

#include "ggml-lite/src/names.h"
#include "gguf-convert/src/safetensors.h"

#define GGL_MAX_SHARDS 4096

#define GGL_FIRST_PLACE 65536u

struct ggl_shards {
    struct ggl_st_file *files; /* by name */
    uint32_t n_files;
    struct ggl_st_tensor **tensors; /* of all files, in order */
    uint32_t n_tensors;
    uint64_t tensor_bytes;
    uintptr_t next_place; /* not 0: the files are not mapped (safetensors.h) */
    struct ggl_names names; /* -> index into tensors */
    char *index_path;        /* NULL: there is no index */
    int64_t index_total_size; /* what it claims, or -1 */
};

/* model.safetensors.index.json: {"metadata": {"total_size": n}, "weight_map": {"tensor": "file", ...}}. */
struct ggl_shard_index {
    void *json, *weight_map; /* jansson's */
    char **files;            /* the distinct ones, by name; each a plain *.safetensors name */
    uint32_t n_files;
    int64_t total_size; /* -1: it does not say */
};
enum ggl_status ggl_shard_index_load(const char *path, struct ggl_shard_index *index, struct ggl_error *err);
enum ggl_status ggl_shard_index_parse(const char *path, const void *text, size_t n, struct ggl_shard_index *index,
                                      struct ggl_error *err);
void ggl_shard_index_free(struct ggl_shard_index *index);

/* s must be zeroed, but for next_place: GGL_FIRST_PLACE keeps files unmapped; after a failure it may be half filled: close it. */
enum ggl_status ggl_shards_open(const char *dir, struct ggl_shards *s, struct ggl_error *err);
void ggl_shards_close(struct ggl_shards *s);
struct ggl_st_tensor *ggl_shards_find(const struct ggl_shards *s, const char *name);

/* Bytes at a place of some file. */
enum ggl_status ggl_shards_read(const struct ggl_shards *s, const uint8_t *place, void *to, uint64_t n,
                                struct ggl_error *err);
const char *ggl_shards_place(const struct ggl_shards *s, const uint8_t *place, int *fd, uint64_t *offset); /* NULL: none */

/* "dir/name", to be freed; NULL: out of memory. */
char *ggl_join_path(const char *dir, const char *name);

#endif
