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
const char *recipe_list(void); /* "MXFP4_MOE, Q8_0" */

/* The type of tensor t (by name and shape) in a file of n_blocks blocks. */
enum ggl_type recipe_type(const struct recipe *r, const struct ggl_tensor *t, uint32_t n_blocks);

/* Whether the values of a tensor may be rounded to another type: those of block types were rounded before. */
bool recipe_may_round(enum ggl_type source);

/* <0, 0, >0: the order of tensors in the file.  First what belongs to no block, then the blocks; by name in each. */
int recipe_compare(const char *a, const char *b);

/* The keys of a native file, or of one that is llama.cpp's already, as llama.cpp wants them. */
enum ggl_status recipe_keys(const struct recipe *r, const struct ggl_gguf *from, struct ggl_gguf *to);

#endif
