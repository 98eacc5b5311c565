/* What an open checkpoint is made of; for the files of this folder. */
#ifndef GGL_CONVERT_CHECKPOINT_IMPL_H
#define GGL_CONVERT_CHECKPOINT_IMPL_H

#include "gguf-convert/checkpoint.h"
#include "gguf-convert/src/config.h"
#include "gguf-convert/src/shards.h"

#define GGL_MAX_MTP      8
#define GGL_MAX_WARNINGS 8

struct ggl_checkpoint {
    char *dir;
    struct ggl_config config;
    struct ggl_shards shards;
    struct ggl_gguf *meta;
    uint32_t n_mtp; /* blocks behind the main layers */
    bool dspark;
    struct ggl_tensor *tensors;
    uint32_t n_tensors;
    struct ggl_names names;  /* GGUF name -> tensors */
    void **owned;            /* slice pointers and aligned copies */
    size_t n_owned, cap_owned;
    char warnings[GGL_MAX_WARNINGS][256];
    uint32_t n_warnings;
};

/* Fill tensors and names from the shards (v4_names.h): every tensor that the config asks for, nothing else. */
enum ggl_status ggl_bind_tensors(struct ggl_checkpoint *c, struct ggl_error *err);

/* Add a sentence; the last slot says that there are more. */
void ggl_checkpoint_warn(struct ggl_checkpoint *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* tokenizer.json as tokenizer.ggml.* keys.  NOT_FOUND: there is no such file. */
enum ggl_status ggl_vocab_load(const char *path, const struct ggl_config *c, struct ggl_gguf *g,
                               struct ggl_error *err);

#endif
