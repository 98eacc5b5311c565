/*
 * llama.cpp's recipes: which type each tensor of a file of that name has, and the names and order of what is in it.
 * Only what is written down here decides; plan.c asks, encode.c rounds.
 *
 *     const struct recipe *r = recipe_find("mxfp4_moe");
 *     enum ggl_type type = recipe_type(r, tensor);
 */
#ifndef GGUF_CONVERT_RECIPE_H
#define GGUF_CONVERT_RECIPE_H

#include "ggml-lite/gguf.h"

struct recipe;

const struct recipe *recipe_find(const char *name); /* without regard to case; NULL: none */
const char *recipe_name(const struct recipe *r);
const char *recipe_list(void); /* "compat, MXFP4_MOE, Q8_0, ..." */
bool recipe_is_lossless(const struct recipe *r); /* every number of a checkpoint stays what it is */

/* The type of tensor t (by name and shape) in a file of n_blocks blocks. */
enum ggl_type recipe_type(const struct recipe *r, const struct ggl_tensor *t, uint32_t n_blocks, bool has_imatrix);
/* Vectors, norms, ids: parts that have one type whatever is asked for; the reason, or NULL. */
const char *recipe_fixed(const struct ggl_tensor *t, enum ggl_type type);

/* Whether the values of a tensor may be rounded to another type: those of block types were rounded before. */
bool recipe_may_round(enum ggl_type source);

/* <0, 0, >0: the order of tensors in the file.  First what belongs to no block, then the blocks; by name in each. */
int recipe_compare(const char *a, const char *b);

/* The keys of a native file, or of one that is llama.cpp's already, as llama.cpp wants them. */
enum ggl_status recipe_keys(const struct recipe *r, const struct ggl_gguf *from, struct ggl_gguf *to);

#endif
