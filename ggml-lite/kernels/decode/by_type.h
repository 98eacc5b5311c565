/*
 * Which decoder a row meets, for the levels that have their own; included by their files behind
 *
 *     enum { GROUP, TILE, KV_BLOCK };    of INT4 and FP4; of FP8; of cache rows
 *     decode_bf16, decode_f16, decode_q8_0, decode_mxfp4, decode_int4, decode_fp4, decode_fp8
 *
 * What they do not take is decoded by the reference.
 */
static float tile_scale(const struct ggl_tensor *w, const uint8_t *scales, int64_t tile)
{
    float s;
    if (w->scale_type == GGL_SCALE_E8M0) return ggl_e8m0_to_f32(scales[tile]);
    memcpy(&s, scales + 4 * tile, 4);
    return s;
}

static void decode_row(const struct ggl_tensor *w, int64_t slice, int64_t row, float *y)
{
    const uint8_t *codes = ggl_tensor_slice(w, slice) + (uint64_t)row * w->row_bytes;
    int64_t n = w->ne[0];
    switch (w->type) {
    case GGL_TYPE_BF16: decode_bf16(codes, y, n); return;
    case GGL_TYPE_F16: decode_f16(codes, y, n); return;
    case GGL_TYPE_Q8_0: decode_q8_0(codes, y, n); return;
    case GGL_TYPE_MXFP4: decode_mxfp4(codes, y, n); return;
    case GGL_TYPE_INT4:
        decode_int4(codes, ggl_tensor_scale_slice(w, slice) + (uint64_t)row * w->scale_row_bytes,
                    ggl_tensor_row_scales(w, slice)[row], y, n);
        return;
    case GGL_TYPE_FP4:
        if (n % GROUP) break; /* a last short group */
        decode_fp4(codes, ggl_tensor_scale_slice(w, slice) + (uint64_t)row * w->scale_row_bytes, y, n);
        return;
    case GGL_TYPE_FP8: {
        if (w->scale_type == GGL_SCALE_NONE) break;
        const uint8_t *scales = ggl_tensor_scale_slice(w, slice) + (uint64_t)(row / TILE) * w->scale_row_bytes;
        for (int64_t i = 0; i < n; i += TILE)
            decode_fp8(codes + i, tile_scale(w, scales, i / TILE), y + i, n - i < TILE ? n - i : TILE);
        return;
    }
    default: break;
    }
    ggl_decode_row_ref(w, slice, row, y);
}

static void decode_cache(const struct ggl_row_format *f, const uint8_t *row, float *y)
{
    if (f->kind != GGL_ROW_KV) {
        ggl_decode_cache_ref(f, row, y);
        return;
    }
    int nope = f->n_dim - f->n_rope;
    for (int i = 0; i < nope; i += KV_BLOCK)
        decode_fp8(row + i, ggl_e8m0_to_f32(row[nope + i / KV_BLOCK]), y + i, KV_BLOCK);
    decode_bf16(row + nope + nope / KV_BLOCK, y + nope, f->n_rope);
}
