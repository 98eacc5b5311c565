/*
 * GGUF files: the only reader and the only writer.
 *
 *   offset 0   "GGUF", u32 version (2 or 3), u64 n_tensors, u64 n_kv
 *              n_kv records:      key string, u32 type, value
 *              n_tensors records: name string, u32 n_dims, n_dims x u64 ne, u32 type, u64 offset
 *              zeros up to a multiple of general.alignment (default 32)
 *              the data section; tensor offsets count from its start
 *
 * Everything that a file claims is checked once, when it is opened; a split
 * file is opened by its first part and looks like one.  Gaps between tensors,
 * a last tensor without padding and bytes after it are accepted.
 *
 *     struct ggl_gguf *g;
 *     if (ggl_gguf_open("model.gguf", NULL, &g, &err)) ...
 *     const char *arch = ggl_gguf_get_str(g, "general.architecture");
 *     const struct ggl_tensor *t = ggl_gguf_find_tensor(g, "output.weight");
 *     ggl_gguf_free(g);
 *
 * The same struct is what the writer takes: build one with ggl_gguf_new() and
 * the setters, then write it.  Metadata strings are copied to the heap; tensor
 * data stays in the mapping.
 *
 * Errors: FORMAT names file, byte offset, field, found and expected.
 * Thread-safety: a const struct ggl_gguf may be read from any thread.
 */
#ifndef GGL_GGUF_H
#define GGL_GGUF_H

#include "ggml-lite/status.h"
#include "ggml-lite/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ggl_kv_type {
    GGL_KV_U8 = 0, GGL_KV_I8, GGL_KV_U16, GGL_KV_I16, GGL_KV_U32, GGL_KV_I32, GGL_KV_F32,
    GGL_KV_BOOL, GGL_KV_STR, GGL_KV_ARR, GGL_KV_U64, GGL_KV_I64, GGL_KV_F64,
};

struct ggl_gguf;

/* A byte string; `data` is also terminated by a zero, which `size` does not count. */
struct ggl_str {
    const char *data;
    uint64_t size;
};

struct ggl_kv {
    const char *key;
    enum ggl_kv_type type;
    enum ggl_kv_type elem;  /* of an array */
    uint64_t n;             /* elements of an array, else 1 */
    const void *data;       /* scalars and arrays of numbers: native-endian elements; bool: bytes 0 or 1 */
    const struct ggl_str *str; /* strings and arrays of strings, else NULL */
};

struct ggl_gguf_options {
    bool header_only; /* inspect: parse and check everything but do not keep the data mapped */
};

/* ---- reading */
GGL_API enum ggl_status ggl_gguf_open(const char *path, const struct ggl_gguf_options *options,
                                      struct ggl_gguf **out, struct ggl_error *err);
GGL_API void ggl_gguf_free(struct ggl_gguf *g); /* accepts NULL */

GGL_API const char *ggl_gguf_path(const struct ggl_gguf *g); /* of the first part; "" for one that is being built */
GGL_API uint32_t ggl_gguf_version(const struct ggl_gguf *g);
GGL_API uint32_t ggl_gguf_n_parts(const struct ggl_gguf *g);
GGL_API uint64_t ggl_gguf_alignment(const struct ggl_gguf *g);
GGL_API uint64_t ggl_gguf_file_bytes(const struct ggl_gguf *g); /* all parts */

GGL_API uint64_t ggl_gguf_n_kv(const struct ggl_gguf *g);
GGL_API const struct ggl_kv *ggl_gguf_kv(const struct ggl_gguf *g, uint64_t i);
GGL_API const struct ggl_kv *ggl_gguf_find_kv(const struct ggl_gguf *g, const char *key);

GGL_API uint64_t ggl_gguf_n_tensors(const struct ggl_gguf *g);
GGL_API const struct ggl_tensor *ggl_gguf_tensor(const struct ggl_gguf *g, uint64_t i); /* file order */
GGL_API const struct ggl_tensor *ggl_gguf_find_tensor(const struct ggl_gguf *g, const char *name);
GGL_API uint64_t ggl_gguf_tensor_bytes(const struct ggl_tensor *t); /* of the data, without padding */
/* Where a tensor lies: part index and absolute byte offset in that part's file. */
GGL_API void ggl_gguf_tensor_location(const struct ggl_gguf *g, uint64_t i, uint32_t *part, uint64_t *offset);
/* The type id in the file: I8 where `ggl.storage.*` makes the tensor GGL_TYPE_FP8 or GGL_TYPE_INT4 (whose ne[0] is
 * then twice that in the file); i < n_tensors, here and above. */
GGL_API uint32_t ggl_gguf_stored_type(const struct ggl_gguf *g, uint64_t i);

/* Typed getters.  Any integer type whose value fits is accepted.  They return GGL_OK, GGL_ERR_NOT_FOUND
 * (key absent; *out untouched; err filled) or GGL_ERR_FORMAT (wrong type or out of [lo, hi]). */
GGL_API enum ggl_status ggl_gguf_get_u32(const struct ggl_gguf *g, const char *key, uint32_t lo, uint32_t hi,
                                         uint32_t *out, struct ggl_error *err);
GGL_API enum ggl_status ggl_gguf_get_f32(const struct ggl_gguf *g, const char *key, float lo, float hi,
                                         float *out, struct ggl_error *err); /* NaN is out of range */
GGL_API enum ggl_status ggl_gguf_get_bool(const struct ggl_gguf *g, const char *key, bool *out, struct ggl_error *err);
GGL_API const char *ggl_gguf_get_str(const struct ggl_gguf *g, const char *key); /* NULL: absent or not a string */
GGL_API const char *ggl_kv_type_name(uint32_t type); /* "u32", "arr", ...; "unknown" */

/* ---- building and writing */
GGL_API struct ggl_gguf *ggl_gguf_new(void); /* NULL: out of memory */
/* Setters copy; setting a key again replaces its value, whose memory comes back when g is freed.  NOMEM or ARGUMENT.
 * Adding a key or tensor moves the tables: pointers to keys and tensors of g are then stale. */
GGL_API enum ggl_status ggl_gguf_set_u32(struct ggl_gguf *g, const char *key, uint32_t v);
GGL_API enum ggl_status ggl_gguf_set_i32(struct ggl_gguf *g, const char *key, int32_t v);
GGL_API enum ggl_status ggl_gguf_set_u16(struct ggl_gguf *g, const char *key, uint16_t v);
GGL_API enum ggl_status ggl_gguf_set_u64(struct ggl_gguf *g, const char *key, uint64_t v);
GGL_API enum ggl_status ggl_gguf_set_f32(struct ggl_gguf *g, const char *key, float v);
GGL_API enum ggl_status ggl_gguf_set_bool(struct ggl_gguf *g, const char *key, bool v);
GGL_API enum ggl_status ggl_gguf_set_str(struct ggl_gguf *g, const char *key, const char *v);
GGL_API enum ggl_status ggl_gguf_set_arr(struct ggl_gguf *g, const char *key, enum ggl_kv_type elem,
                                         const void *data, uint64_t n); /* numbers, bool */
GGL_API enum ggl_status ggl_gguf_set_arr_str(struct ggl_gguf *g, const char *key, const struct ggl_str *v, uint64_t n);
/* The value of a key, perhaps of another file, under the name `key`. */
GGL_API enum ggl_status ggl_gguf_set_kv(struct ggl_gguf *g, const char *key, const struct ggl_kv *kv);
/* Copy every key of `from` whose name does not start with `skip_prefix` (may be NULL). */
GGL_API enum ggl_status ggl_gguf_copy_kv(struct ggl_gguf *to, const struct ggl_gguf *from, const char *skip_prefix);

/* Add a tensor's description (name, type, n_dims, ne; a GGUF type); its data comes at writing time. */
GGL_API enum ggl_status ggl_gguf_add_tensor(struct ggl_gguf *g, const char *name, enum ggl_type type,
                                            uint32_t n_dims, const int64_t *ne, struct ggl_error *err);

/*
 * Writing, streamed: the header first, then each tensor's bytes in order, in as many pieces as the caller
 * likes.  Output goes to PATH.tmp.<pid>, is fsynced and renamed by _finish; _abort removes it.  XXH3-128 of
 * every tensor's bytes is kept on the way and stored in `ggl.tensor.xxh3` (arr str of 32 hex digits, in tensor
 * order) when the build has xxHash: the header reserves the room and _finish fills it in.
 * With split_max_bytes > 0 the output is PREFIX-%05d-of-%05d.gguf (PREFIX: path without .gguf), each part at most
 * that long (one tensor always fits), keys as in llama.cpp; parts repeat general.alignment, and the first lists the
 * hashes of all.  `split.*` and `ggl.tensor.xxh3` keys of g are not copied: the writer makes its own.
 * All parts get their names in _finish, the first one last.  _begin refuses a disk without room for everything.
 */
struct ggl_gguf_writer;
enum ggl_gguf_write_mode {
    GGL_GGUF_WRITE_ONCE,     /* as above */
    GGL_GGUF_WRITE_KEPT,     /* temporary names are PATH.part; CREATE: there is one */
    GGL_GGUF_WRITE_RESUME,   /* PATH.part of an earlier run may be there: see _skip */
    GGL_GGUF_WRITE_RENAMING, /* everything was sealed: what is not PATH.part any more is complete */
};
struct ggl_gguf_write_options {
    uint64_t split_max_bytes; /* 0: one file */
    bool overwrite;           /* replace an existing file; else it is an ARGUMENT error */
    enum ggl_gguf_write_mode mode;
};
/* Bytes of the finished file(s), exactly, before anything is written. */
GGL_API enum ggl_status ggl_gguf_write_size(const struct ggl_gguf *g, const struct ggl_gguf_write_options *o,
                                            uint64_t *bytes, struct ggl_error *err);
GGL_API enum ggl_status ggl_gguf_write_begin(const struct ggl_gguf *g, const char *path,
                                             const struct ggl_gguf_write_options *o,
                                             struct ggl_gguf_writer **out, struct ggl_error *err);
GGL_API enum ggl_status ggl_gguf_write_data(struct ggl_gguf_writer *w, const void *data, size_t n, struct ggl_error *err);
GGL_API enum ggl_status ggl_gguf_write_finish(struct ggl_gguf_writer *w, struct ggl_error *err); /* frees w, also on error */
GGL_API void ggl_gguf_write_abort(struct ggl_gguf_writer *w); /* accepts NULL */

/*
 * Going on after an interruption.  Who writes keeps a record of how much data is on disk (_flush, fdatasync) and what
 * it was; the same file is begun again with WRITE_RESUME, _skip takes over that much (in order, before the first
 * _data), and _data goes on.  The result is what an uninterrupted run gives, byte for byte.  With a mode other than
 * ONCE a failing _finish leaves the parts; _seal before it brings all to disk under their temporary names, after
 * which a record makes WRITE_RENAMING possible.
 */
typedef enum ggl_status ggl_gguf_look(void *user, const void *data, size_t n, struct ggl_error *err);
/* The next n bytes of the data are in the files: read, hashed and shown to `look` (or NULL).  FORMAT: they are not. */
GGL_API enum ggl_status ggl_gguf_write_skip(struct ggl_gguf_writer *w, uint64_t n, ggl_gguf_look *look, void *user,
                                            struct ggl_error *err);
/* Hand everything so far to the system.  *fd: the caller's, fdatasync brings the current part to disk (earlier ones
 * are there) and close ends it; -1: nothing to be done. */
GGL_API enum ggl_status ggl_gguf_write_flush(struct ggl_gguf_writer *w, int *fd, struct ggl_error *err);
GGL_API enum ggl_status ggl_gguf_write_seal(struct ggl_gguf_writer *w, struct ggl_error *err); /* then only _finish */
GGL_API void ggl_gguf_write_suspend(struct ggl_gguf_writer *w); /* like _abort, but the files stay; accepts NULL */

/* XXH3-128 of a tensor's bytes as 32 hex digits; false when the build has no xxHash. */
GGL_API bool ggl_hash_hex(const void *data, size_t n, char hex[33]);

#ifdef __cplusplus
}
#endif
#endif
