/*
 * GGUF files of other programs: those that are no DeepSeek V4 model although they look like one, or belong beside one,
 * and tensors under other names.
 *
 * Thread-safety: pure functions of what they are given.
 */
#ifndef GGL_DIALECT_H
#define GGL_DIALECT_H

#include "ggml-lite/gguf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* UNSUPPORTED, and the message says what the file is and what to open instead. */
GGL_API enum ggl_status ggl_check_dialect(const struct ggl_gguf *g, const char *path, struct ggl_error *err);

/*
 * The next name under which a file may have the tensor `name`; *i starts at 0.  False: no other one.
 *
 *     size_t i = 0;
 *     while (ggl_other_name("blk.1.attn_kv.weight", &i, other)) ...   // blk.1.attn_kv_latent.weight, ...
 */
GGL_API bool ggl_other_name(const char *name, size_t *i, char other[GGL_MAX_NAME]);
/* The name that llama.cpp and this project write for it; false: `other` is none of those names. */
GGL_API bool ggl_usual_name(const char *other, char name[GGL_MAX_NAME]);

#ifdef __cplusplus
}
#endif

#endif
