/*
 * What the files of the GGUF module share: the struct itself.  A file that is
 * read and one that is built are the same thing, except that only the former
 * has parts and data.
 */
#ifndef GGL_GGUF_INTERNAL_H
#define GGL_GGUF_INTERNAL_H

#include "ggml-lite/gguf.h"
#include "ggml-lite/src/file.h"
#include "ggml-lite/src/names.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF files and the weights in them are little-endian; big-endian hosts are not supported"
#endif

#define GGL_GGUF_DEFAULT_ALIGNMENT 32u
#define GGL_GGUF_MIN_ALIGNMENT     8u
#define GGL_GGUF_MAX_ALIGNMENT     (1u << 20)
#define GGL_GGUF_MAX_KEY           65535u
#define GGL_GGUF_MAX_COUNT         (1u << 31) /* tensors, and keys */
#define GGL_KEY_ALIGNMENT          "general.alignment"
#define GGL_KEY_SPLIT_NO           "split.no"
#define GGL_KEY_SPLIT_COUNT        "split.count"
#define GGL_KEY_SPLIT_TENSORS      "split.tensors.count"
#define GGL_KEY_XXH3               "ggl.tensor.xxh3"

/* Memory that is only ever freed as a whole: keys and values. */
struct ggl_arena {
    struct ggl_arena_chunk *chunks;
};
void *ggl_arena_alloc(struct ggl_arena *a, uint64_t n); /* 8-aligned; NULL: out of memory */
void ggl_arena_free(struct ggl_arena *a);

/* What struct ggl_tensor does not say about a tensor of a file. */
struct ggl_gguf_place {
    uint64_t offset; /* in its part, from byte 0 */
    uint32_t part;
    uint32_t stored_type; /* what the file calls it: I8 for a carrier */
};

struct ggl_gguf {
    char *path;
    uint32_t version;
    uint32_t n_parts;
    uint64_t file_bytes;
    struct ggl_map *maps; /* n_parts of them */
    struct ggl_kv *kv;
    uint64_t n_kv, kv_capacity;
    struct ggl_names kv_names;
    struct ggl_tensor *tensors;
    struct ggl_gguf_place *places;
    uint64_t n_tensors, tensor_capacity;
    struct ggl_names tensor_names;
    struct ggl_arena arena;
};

/* Room for n keys or tensors in all; false: out of memory. */
bool ggl_gguf_reserve_kv(struct ggl_gguf *g, uint64_t n);
bool ggl_gguf_reserve_tensors(struct ggl_gguf *g, uint64_t n);
/* Append one whose name is new; room must have been reserved, and kv's memory belong to g. */
void ggl_gguf_append_kv(struct ggl_gguf *g, const struct ggl_kv *kv);
void ggl_gguf_append_tensor(struct ggl_gguf *g, const struct ggl_tensor *t, const struct ggl_gguf_place *place);
bool ggl_gguf_tensor_index(const struct ggl_gguf *g, const char *name, uint32_t *index);

/* Bytes of an element, 0 for strings, arrays and unknown types. */
uint32_t ggl_kv_type_bytes(uint32_t type);
/* The value of an integer key of any width; false: not an integer. */
bool ggl_kv_integer(const struct ggl_kv *kv, bool *negative, uint64_t *magnitude);

/* Check type, ne and n_dims and fill in the rest of t's layout.  *bytes: of the data.  On failure *found and
 * *expected say what is wrong with `what`, a field's name. */
struct ggl_shape_fault {
    const char *field; /* "type", "dim 1", ... */
    char found[80];
    const char *expected;
};
bool ggl_tensor_layout(struct ggl_tensor *t, uint32_t type, uint64_t *bytes, struct ggl_shape_fault *fault);

/* gguf_foreign.c: a type id that does not exist here, in words; files whose ids mean something else: UNSUPPORTED. */
void ggl_foreign_type(uint32_t id, char *text, size_t n);
enum ggl_status ggl_gguf_check_forks(const struct ggl_gguf *g, struct ggl_error *err);

/* gguf_read.c: one file with everything in it checked, its data mapped. */
enum ggl_status ggl_gguf_read_part(const char *path, struct ggl_gguf **out, struct ggl_error *err);

/* gguf_storage.c: apply the lists `ggl.storage.*` to the tensors (see docs/file-formats.md). */
enum ggl_status ggl_gguf_bind_storage(struct ggl_gguf *g, struct ggl_error *err);

/*
 * gguf_layout.c: what the writer will write, decided and measured before its first byte.
 */
struct ggl_gguf_part {
    uint64_t first, n;     /* its tensors */
    uint64_t header_bytes; /* padded: where its data section starts */
    uint64_t bytes;        /* of the file */
};
struct ggl_gguf_layout {
    const struct ggl_gguf *g;
    uint64_t alignment, bytes;
    bool split, hashes;
    uint32_t n_parts;
    struct ggl_gguf_part *parts;
};
enum ggl_status ggl_gguf_layout_init(struct ggl_gguf_layout *l, const struct ggl_gguf *g,
                                     const struct ggl_gguf_write_options *o, struct ggl_error *err);
void ggl_gguf_layout_deinit(struct ggl_gguf_layout *l);
/* The header of a part, up to the data section; the first part's sets *hash_offset, where the hashes' strings start. */
enum ggl_status ggl_gguf_layout_header(const struct ggl_gguf_layout *l, uint32_t part, struct ggl_output *o,
                                       uint64_t *hash_offset, struct ggl_error *err);
#define GGL_GGUF_HASH_BYTES 40 /* of one hash in the header: a length and 32 digits */

#endif
