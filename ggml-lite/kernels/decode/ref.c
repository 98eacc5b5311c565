#include "kernels/kernels.h"

void ggl_decode_row_ref(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    ggl_tensor_decode_row(w, slice, row, y);
}

void ggl_decode_cache_ref(const struct ggl_row_format *f, const uint8_t *row, float *y)
{
    ggl_row_decode(f, row, y);
}
