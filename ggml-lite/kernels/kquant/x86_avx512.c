#include "kernels/kernels.h"
#include "kernels/kquant/expand.h"

void ggl_kquant_expand_avx512(const struct ggl_kquant_format *f, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n,
                              uint8_t *panel)
{
    kquant_expand(f, rows, row_bytes, n_rows, n, panel);
}
