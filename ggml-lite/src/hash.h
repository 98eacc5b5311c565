/* Hashes of tensors while they are written; only where the build has xxHash. */
#ifndef GGL_HASH_H
#define GGL_HASH_H

#include "ggml-lite/gguf.h"

#ifdef GGL_HAVE_XXHASH
#include <xxhash.h>
void ggl_hash_text(XXH128_hash_t hash, char hex[33]);
#endif

#endif
