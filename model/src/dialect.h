/* Files that are no DeepSeek V4 model although they look like one, or belong beside one. */
#ifndef GGL_DIALECT_H
#define GGL_DIALECT_H

#include "source.h"

/* UNSUPPORTED, and the message says what the file is and what to open instead. */
enum ggl_status ggl_check_dialect(const struct ggl_source *src, struct ggl_error *err);

#endif
