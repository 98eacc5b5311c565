/*
 * Panels (panel.h) from rows in file order, for types whose blocks of 32 have one half as scale: Q8_0, Q4_0 and IQ4_NL.
 */
#ifndef GGL_KERNEL_PANEL_EXPAND_H
#define GGL_KERNEL_PANEL_EXPAND_H

#include <stdint.h>

#include "kernels/panel/panel.h"
#include "quant/quant.h"

/* NULL: another type. */
const struct ggl_panel_format *ggl_panel_format(enum ggl_type type);

/* The panel of 16 rows of n inputs (a multiple of 32) of a type that has a format, row_bytes apart; rows from n_rows on are
 * zeros. */
typedef void ggl_panel_expand_fn(enum ggl_type type, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n,
                                 uint8_t *panel);

#endif
