/* Rows to blocks: which encoder a type has, and whether it can do without weights. */
#include "codec.h"
#include "quant/quant.h"
#include "search.h"

/* Encoders that weights steer.  The others are in the type table alone. */
static const struct {
    ggl_row_encoder *encode;
    bool needs_weights, searches; /* searches: without weights, too */
} rows[GGL_TYPE_GGUF_END] = {
    [GGL_TYPE_Q4_0] = {ggl_q4_0_encode_row, false, false},
    [GGL_TYPE_Q4_1] = {ggl_q4_1_encode_row, false, false},
    [GGL_TYPE_Q5_0] = {ggl_q5_0_encode_row, false, false},
    [GGL_TYPE_Q5_1] = {ggl_q5_1_encode_row, false, false},
    [GGL_TYPE_Q2_K] = {ggl_q2_k_encode_row, false, true},
    [GGL_TYPE_Q3_K] = {ggl_q3_k_encode_row, false, true},
    [GGL_TYPE_Q4_K] = {ggl_q4_k_encode_row, false, true},
    [GGL_TYPE_Q5_K] = {ggl_q5_k_encode_row, false, true},
    [GGL_TYPE_Q6_K] = {ggl_q6_k_encode_row, false, true},
    [GGL_TYPE_IQ2_XXS] = {ggl_iq2_xxs_encode_row, true, false},
    [GGL_TYPE_IQ4_NL] = {ggl_iq4_nl_encode_row, false, true},
    [GGL_TYPE_IQ4_XS] = {ggl_iq4_xs_encode_row, false, true},
};

static bool whole_blocks(const struct ggl_type_info *info, int64_t n)
{
    return info && n >= 0 && n % info->block_elems == 0;
}

/* Encoders without a search are in the type table alone, and are no others without weights. */
bool ggl_encode_row_with(const struct ggl_searches *s, enum ggl_type type, const float *x, const float *weights, void *blocks,
                         int64_t n)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    if (!whole_blocks(info, n)) return false;
    bool searches = (uint32_t)type < GGL_TYPE_GGUF_END && rows[type].encode && (weights || rows[type].searches);
    if (searches) rows[type].encode(s, x, weights, blocks, n);
    else if (info->encode) info->encode(x, blocks, n);
    else return false;
    return true;
}

bool ggl_encode_row_at(uint64_t isa, enum ggl_type type, const float *x, const float *weights, void *blocks, int64_t n)
{
    return ggl_encode_row_with(ggl_searches_pick(isa), type, x, weights, blocks, n);
}

bool ggl_encode_row(enum ggl_type type, const float *x, const float *weights, void *blocks, int64_t n)
{
    return ggl_encode_row_at(0, type, x, weights, blocks, n);
}

bool ggl_encode(enum ggl_type type, const float *x, void *blocks, int64_t n)
{
    return ggl_encode_row_at(0, type, x, NULL, blocks, n);
}

bool ggl_encode_uses_weights(enum ggl_type type)
{
    return (uint32_t)type < GGL_TYPE_GGUF_END && rows[type].encode;
}

bool ggl_encode_needs_weights(enum ggl_type type)
{
    return (uint32_t)type < GGL_TYPE_GGUF_END && rows[type].needs_weights;
}
