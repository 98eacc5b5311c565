/*
 * A checkpoint directory in the official layout (config.json, *.safetensors,
 * index, tokenizer.json) seen as GGUF: metadata under GGUF keys and weights
 * under GGUF names, without copying anything.
 *
 *     struct ggl_checkpoint *c;
 *     if (ggl_checkpoint_open("DeepSeek-V4-Flash", &c, &err)) ...
 *     const struct ggl_gguf *meta = ggl_checkpoint_meta(c);
 *     const struct ggl_tensor *t = ggl_checkpoint_find(c, "blk.0.attn_q_a.weight");
 *
 * FP8 matrices keep their two planes (GGL_TYPE_FP8 with E8M0 or F32 scales),
 * FP4 experts their checkpoint order (GGL_TYPE_FP4), the experts of a layer
 * form one tensor with a pointer a slice; BF16, F32 and integers are as stored.
 * tid2eid stays I64 here.
 *
 * Owner: the checkpoint owns its mappings, tensors and metadata until _free.
 * Thread-safety: constant after _open.
 * Errors: FORMAT for a broken file or a wrong shape, UNSUPPORTED for another
 * architecture (the message says which), NOT_FOUND.
 */
#ifndef GGL_CHECKPOINT_H
#define GGL_CHECKPOINT_H

#include "ggml-lite/gguf.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_checkpoint;

/* True when path is a directory (which ggl_checkpoint_open may then still refuse). */
GGL_API bool ggl_checkpoint_is_directory(const char *path);

GGL_API enum ggl_status ggl_checkpoint_open(const char *dir, struct ggl_checkpoint **out, struct ggl_error *err);
GGL_API void ggl_checkpoint_free(struct ggl_checkpoint *c);

/*
 * For whoever reads every weight once, in little memory whatever the checkpoint's size: nothing is mapped, and the
 * pointers in tensors are places, addresses without memory that only _read understands (they can be computed with as
 * usual: row by row, slice by slice).  Scales and expert ids, which _open checks, are the reader's to check.
 */
GGL_API enum ggl_status ggl_checkpoint_open_unmapped(const char *dir, struct ggl_checkpoint **out, struct ggl_error *err);
GGL_API enum ggl_status ggl_checkpoint_read(const struct ggl_checkpoint *c, const uint8_t *place, void *to, uint64_t n,
                                            struct ggl_error *err);
/* The file (for messages, and for hints to the system) that a place is in; NULL: none. */
GGL_API const char *ggl_checkpoint_place(const struct ggl_checkpoint *c, const uint8_t *place, int *fd, uint64_t *offset);
GGL_API uint32_t ggl_checkpoint_n_expert(const struct ggl_checkpoint *c); /* ids are below */

/* Every key of the `native` profile, tokenizer included when the directory has one.  Its tensor list is empty. */
GGL_API const struct ggl_gguf *ggl_checkpoint_meta(const struct ggl_checkpoint *c);

GGL_API uint64_t ggl_checkpoint_n_tensors(const struct ggl_checkpoint *c);
GGL_API const struct ggl_tensor *ggl_checkpoint_tensor(const struct ggl_checkpoint *c, uint64_t i); /* native file order */
GGL_API const struct ggl_tensor *ggl_checkpoint_find(const struct ggl_checkpoint *c, const char *name);

/* What is odd but harmless (an index with a wrong total size, a tensor that nothing needs), one sentence each. */
GGL_API uint32_t ggl_checkpoint_n_warnings(const struct ggl_checkpoint *c);
GGL_API const char *ggl_checkpoint_warning(const struct ggl_checkpoint *c, uint32_t i);

/* The files that hold the weights. */
GGL_API uint32_t ggl_checkpoint_n_files(const struct ggl_checkpoint *c);
GGL_API const char *ggl_checkpoint_file(const struct ggl_checkpoint *c, uint32_t i);

#ifdef __cplusplus
}
#endif
#endif
