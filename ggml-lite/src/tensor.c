/*
 * Rows of weights as float, whatever their type and wherever their planes lie.
 */
#include "ggml-lite/tensor.h"

bool ggl_tensor_decode_row(const struct ggl_tensor *t, int64_t slice, int64_t row, float *y)
{
    if (row < 0 || row >= t->ne[1] || slice < 0 || slice >= t->ne[2] * t->ne[3]) return false;
    if (!t->data && !t->slices) return false;
    const uint8_t *codes = ggl_tensor_slice(t, slice) + (uint64_t)row * t->row_bytes;

    if (t->type != GGL_TYPE_FP8 && t->type != GGL_TYPE_FP4 && t->type != GGL_TYPE_INT4)
        return ggl_decode(t->type, codes, y, t->ne[0]);

    if (!t->scale && !t->scale_slices) return false;
    const uint8_t *scales = ggl_tensor_scale_slice(t, slice);
    if (t->type == GGL_TYPE_FP8) {
        ggl_fp8_decode_row(codes, scales + (uint64_t)(row / 128) * t->scale_row_bytes, t->scale_type, y, t->ne[0]);
        return true;
    }
    scales += (uint64_t)row * t->scale_row_bytes;
    if (t->type == GGL_TYPE_FP4) {
        ggl_fp4_decode_row(codes, scales, y, t->ne[0]);
        return true;
    }
    if (!t->row_scale && !t->row_scale_slices) return false;
    ggl_int4_decode_row(codes, scales, ggl_tensor_row_scales(t, slice)[row], y, t->ne[0]);
    return true;
}
