/*
 * --tensor-type REGEX=TYPE: types that the user chooses.  Extended regular expressions of POSIX that match somewhere in
 * a tensor's name; the first that matches counts.
 */
#ifndef GGUF_CONVERT_OVERRIDES_H
#define GGUF_CONVERT_OVERRIDES_H

#include "common/cli.h"
#include "ggml-lite/gguf.h"

struct overrides;

/* ARGUMENT: no '=', a broken expression, a type that nobody knows or can write. */
enum ggl_status overrides_new(const struct cli_list *texts, struct overrides **out, struct ggl_error *err);
void overrides_free(struct overrides *o); /* accepts NULL */
/* *type stays where no expression matches, and of vectors, norms and ids.  ARGUMENT: its blocks do not fill the rows. */
enum ggl_status overrides_apply(struct overrides *o, const struct ggl_tensor *t, enum ggl_type *type, bool *found,
                                struct ggl_error *err);
enum ggl_status overrides_used(const struct overrides *o, struct ggl_error *err); /* ARGUMENT: one changed nothing */
/* A type that an encoder exists for. */
bool can_encode(enum ggl_type type);

#endif
