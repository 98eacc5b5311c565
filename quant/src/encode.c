/* Rows to blocks: which encoder a type has, and whether it can do without weights. */
#include "codec.h"
#include "quant/quant.h"

typedef void row_encoder(const float *x, const float *weights, void *blocks, int64_t n);

/* Encoders that weights steer.  The others are in the type table alone. */
static const struct {
    row_encoder *encode;
    bool needs_weights;
} rows[GGL_TYPE_GGUF_END];

static bool whole_blocks(const struct ggl_type_info *info, int64_t n)
{
    return info && n >= 0 && n % info->block_elems == 0;
}

bool ggl_encode(enum ggl_type type, const float *x, void *blocks, int64_t n)
{
    return ggl_encode_row(type, x, NULL, blocks, n);
}

bool ggl_encode_row(enum ggl_type type, const float *x, const float *weights, void *blocks, int64_t n)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    if (!whole_blocks(info, n)) return false;
    if (weights && (uint32_t)type < GGL_TYPE_GGUF_END && rows[type].encode) rows[type].encode(x, weights, blocks, n);
    else if (info->encode) info->encode(x, blocks, n);
    else return false;
    return true;
}

bool ggl_encode_needs_weights(enum ggl_type type)
{
    return (uint32_t)type < GGL_TYPE_GGUF_END && rows[type].needs_weights;
}
