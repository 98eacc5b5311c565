/* The type table: which formats exist, their sizes and their codecs. */
#include "quant/quant.h"
#include "codec.h"

#define PLAIN(name, bytes)              {name, 1, bytes, NULL, NULL}
#define BLOCKS(name, elems, bytes, dec) {name, elems, bytes, dec, NULL}

/* By ggml's id; ids that ggml removed (4, 5, 31..33, 36..38) have no name and so do not exist. */
static const struct ggl_type_info table[GGL_TYPE_GGUF_END] = {
    [GGL_TYPE_F32] = {"F32", 1, 4, ggl_f32_decode, ggl_f32_encode},
    [GGL_TYPE_F16] = {"F16", 1, 2, ggl_f16_decode_row, ggl_f16_encode_row},
    [GGL_TYPE_BF16] = {"BF16", 1, 2, ggl_bf16_decode_row, ggl_bf16_encode_row},
    [GGL_TYPE_Q4_0] = {"Q4_0", 32, 18, ggl_q4_0_decode, ggl_q4_0_encode},
    [GGL_TYPE_Q4_1] = {"Q4_1", 32, 20, ggl_q4_1_decode, ggl_q4_1_encode},
    [GGL_TYPE_Q5_0] = {"Q5_0", 32, 22, ggl_q5_0_decode, ggl_q5_0_encode},
    [GGL_TYPE_Q5_1] = {"Q5_1", 32, 24, ggl_q5_1_decode, ggl_q5_1_encode},
    [GGL_TYPE_Q8_0] = {"Q8_0", 32, 34, ggl_q8_0_decode, ggl_q8_0_encode},
    [GGL_TYPE_Q8_1] = BLOCKS("Q8_1", 32, 36, ggl_q8_1_decode),
    [GGL_TYPE_Q2_K] = {"Q2_K", 256, 84, ggl_q2_k_decode, ggl_q2_k_encode},
    [GGL_TYPE_Q3_K] = {"Q3_K", 256, 110, ggl_q3_k_decode, ggl_q3_k_encode},
    [GGL_TYPE_Q4_K] = {"Q4_K", 256, 144, ggl_q4_k_decode, ggl_q4_k_encode},
    [GGL_TYPE_Q5_K] = {"Q5_K", 256, 176, ggl_q5_k_decode, ggl_q5_k_encode},
    [GGL_TYPE_Q6_K] = {"Q6_K", 256, 210, ggl_q6_k_decode, ggl_q6_k_encode},
    [GGL_TYPE_Q8_K] = BLOCKS("Q8_K", 256, 292, ggl_q8_k_decode),
    [GGL_TYPE_IQ1_S] = BLOCKS("IQ1_S", 256, 50, ggl_iq1_s_decode),
    [GGL_TYPE_IQ1_M] = BLOCKS("IQ1_M", 256, 56, ggl_iq1_m_decode),
    [GGL_TYPE_IQ2_XXS] = BLOCKS("IQ2_XXS", 256, 66, ggl_iq2_xxs_decode),
    [GGL_TYPE_IQ2_XS] = BLOCKS("IQ2_XS", 256, 74, ggl_iq2_xs_decode),
    [GGL_TYPE_IQ2_S] = BLOCKS("IQ2_S", 256, 82, ggl_iq2_s_decode),
    [GGL_TYPE_IQ3_XXS] = BLOCKS("IQ3_XXS", 256, 98, ggl_iq3_xxs_decode),
    [GGL_TYPE_IQ3_S] = BLOCKS("IQ3_S", 256, 110, ggl_iq3_s_decode),
    [GGL_TYPE_IQ4_NL] = {"IQ4_NL", 32, 18, ggl_iq4_nl_decode, ggl_iq4_nl_encode},
    [GGL_TYPE_IQ4_XS] = {"IQ4_XS", 256, 136, ggl_iq4_xs_decode, ggl_iq4_xs_encode},
    [GGL_TYPE_I8] = PLAIN("I8", 1),
    [GGL_TYPE_I16] = PLAIN("I16", 2),
    [GGL_TYPE_I32] = PLAIN("I32", 4),
    [GGL_TYPE_I64] = PLAIN("I64", 8),
    [GGL_TYPE_F64] = PLAIN("F64", 8),
    [GGL_TYPE_TQ1_0] = BLOCKS("TQ1_0", 256, 54, ggl_tq1_0_decode),
    [GGL_TYPE_TQ2_0] = BLOCKS("TQ2_0", 256, 66, ggl_tq2_0_decode),
    [GGL_TYPE_MXFP4] = {"MXFP4", 32, 17, ggl_mxfp4_decode, ggl_mxfp4_encode},
    [GGL_TYPE_NVFP4] = BLOCKS("NVFP4", 64, 36, ggl_nvfp4_decode),
    [GGL_TYPE_Q1_0] = BLOCKS("Q1_0", 128, 18, ggl_q1_0_decode),
    [GGL_TYPE_Q2_0] = BLOCKS("Q2_0", 64, 18, ggl_q2_0_decode),
};

/* Code planes; their codecs need the scale planes too and have functions of their own. */
static const struct ggl_type_info fp8 = PLAIN("FP8", 1);
static const struct ggl_type_info fp4 = BLOCKS("FP4", 2, 1, NULL);
static const struct ggl_type_info int4 = BLOCKS("INT4", 32, 16, NULL);

const struct ggl_type_info *ggl_type_info(uint32_t type)
{
    if (type == GGL_TYPE_FP8) return &fp8;
    if (type == GGL_TYPE_FP4) return &fp4;
    if (type == GGL_TYPE_INT4) return &int4;
    return type < GGL_TYPE_GGUF_END && table[type].name ? &table[type] : NULL;
}

/* ASCII only: the locale has no say in what a type is called. */
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && upper(*a) == upper(*b)) a++, b++;
    return upper(*a) == upper(*b);
}

bool ggl_type_from_name(const char *name, enum ggl_type *type)
{
    for (uint32_t t = 0; t <= GGL_TYPE_INT4; t++) {
        const struct ggl_type_info *info = ggl_type_info(t);
        if (!info || !same_name(name, info->name)) continue;
        *type = (enum ggl_type)t;
        return true;
    }
    return false;
}

bool ggl_row_bytes(uint32_t type, int64_t n, uint64_t *bytes)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    if (!info || n < 0 || n % info->block_elems) return false;
    uint64_t n_blocks = (uint64_t)n / info->block_elems;
    if (n_blocks > (uint64_t)INT64_MAX / info->block_bytes) return false;
    *bytes = n_blocks * info->block_bytes;
    return true;
}

bool ggl_decode(enum ggl_type type, const void *blocks, float *y, int64_t n)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    if (!info || !info->decode || n < 0 || n % info->block_elems) return false;
    info->decode(blocks, y, n);
    return true;
}
