/* Block codecs of the type table.  Each takes whole blocks; type.c says how many elements and bytes those are. */
#ifndef GGL_QUANT_CODEC_H
#define GGL_QUANT_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include "quant/quant.h"

void ggl_f32_decode(const void *blocks, float *y, int64_t n);
void ggl_f16_decode_row(const void *blocks, float *y, int64_t n);
void ggl_bf16_decode_row(const void *blocks, float *y, int64_t n);
void ggl_q8_0_decode(const void *blocks, float *y, int64_t n);
void ggl_q8_1_decode(const void *blocks, float *y, int64_t n);
void ggl_q8_k_decode(const void *blocks, float *y, int64_t n);
void ggl_mxfp4_decode(const void *blocks, float *y, int64_t n);
void ggl_q4_0_decode(const void *blocks, float *y, int64_t n);
void ggl_q4_1_decode(const void *blocks, float *y, int64_t n);
void ggl_q5_0_decode(const void *blocks, float *y, int64_t n);
void ggl_q5_1_decode(const void *blocks, float *y, int64_t n);
void ggl_q2_k_decode(const void *blocks, float *y, int64_t n);
void ggl_q3_k_decode(const void *blocks, float *y, int64_t n);
void ggl_q4_k_decode(const void *blocks, float *y, int64_t n);
void ggl_q5_k_decode(const void *blocks, float *y, int64_t n);
void ggl_q6_k_decode(const void *blocks, float *y, int64_t n);
void ggl_iq1_s_decode(const void *blocks, float *y, int64_t n);
void ggl_iq1_m_decode(const void *blocks, float *y, int64_t n);
void ggl_iq2_xxs_decode(const void *blocks, float *y, int64_t n);
void ggl_iq2_xs_decode(const void *blocks, float *y, int64_t n);
void ggl_iq2_s_decode(const void *blocks, float *y, int64_t n);
void ggl_iq3_xxs_decode(const void *blocks, float *y, int64_t n);
void ggl_iq3_s_decode(const void *blocks, float *y, int64_t n);
void ggl_iq4_nl_decode(const void *blocks, float *y, int64_t n);
void ggl_iq4_xs_decode(const void *blocks, float *y, int64_t n);
void ggl_tq1_0_decode(const void *blocks, float *y, int64_t n);
void ggl_tq2_0_decode(const void *blocks, float *y, int64_t n);
void ggl_nvfp4_decode(const void *blocks, float *y, int64_t n);
void ggl_q1_0_decode(const void *blocks, float *y, int64_t n);
void ggl_q2_0_decode(const void *blocks, float *y, int64_t n);

void ggl_f32_encode(const float *x, void *blocks, int64_t n);
void ggl_f16_encode_row(const float *x, void *blocks, int64_t n);
void ggl_bf16_encode_row(const float *x, void *blocks, int64_t n);
void ggl_q8_0_encode(const float *x, void *blocks, int64_t n);
void ggl_mxfp4_encode(const float *x, void *blocks, int64_t n);
void ggl_q4_0_encode(const float *x, void *blocks, int64_t n);
void ggl_q4_1_encode(const float *x, void *blocks, int64_t n);
void ggl_q5_0_encode(const float *x, void *blocks, int64_t n);
void ggl_q5_1_encode(const float *x, void *blocks, int64_t n);
void ggl_q2_k_encode(const float *x, void *blocks, int64_t n);
void ggl_q3_k_encode(const float *x, void *blocks, int64_t n);
void ggl_q4_k_encode(const float *x, void *blocks, int64_t n);
void ggl_q5_k_encode(const float *x, void *blocks, int64_t n);
void ggl_q6_k_encode(const float *x, void *blocks, int64_t n);
void ggl_iq4_nl_encode(const float *x, void *blocks, int64_t n);
void ggl_iq4_xs_encode(const float *x, void *blocks, int64_t n);

/* Rows with the importance of the inputs, which is not NULL for Q4_0 to Q5_1 and IQ2_XXS; `s` searches. */
struct ggl_searches;
bool ggl_encode_row_with(const struct ggl_searches *s, enum ggl_type type, const float *x, const float *weights, void *blocks,
                         int64_t n);
typedef void ggl_row_encoder(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n);
ggl_row_encoder ggl_q4_0_encode_row;
ggl_row_encoder ggl_q4_1_encode_row;
ggl_row_encoder ggl_q5_0_encode_row;
ggl_row_encoder ggl_q5_1_encode_row;
ggl_row_encoder ggl_q2_k_encode_row;
ggl_row_encoder ggl_q3_k_encode_row;
ggl_row_encoder ggl_q4_k_encode_row;
ggl_row_encoder ggl_q5_k_encode_row;
ggl_row_encoder ggl_q6_k_encode_row;
ggl_row_encoder ggl_iq2_xxs_encode_row;
ggl_row_encoder ggl_iq4_nl_encode_row;
ggl_row_encoder ggl_iq4_xs_encode_row;

/* 32 codes of 4 bits as 16 bytes of nibbles, elements 0..15 low; of 5 bits as four bytes of the highest, then nibbles. */
void ggl_q4_put_codes(const uint8_t *codes, uint8_t *b);
void ggl_q5_put_codes(const uint8_t *codes, uint8_t *b);

/* The levels of IQ4_NL, IQ4_XS and INT4, and 32 elements d * level from 16 bytes of nibbles, low ones first. */
extern const int8_t ggl_iq4_levels[16];
void ggl_iq4_decode_run(float d, const uint8_t *qs, float *y);

/* Plain rounding of a block to codes 0..top: the truncation of (x - min) / d + bias. */
struct ggl_rounding {
    float inverse, min, bias;
    uint16_t d_half, m_half;
    bool spoilt; /* the block holds an infinity or a NaN */
};
/* Codes around `levels`, the element of largest magnitude at code 0. */
struct ggl_rounding ggl_rounding_signed(const float *x, int n, int levels);
/* Codes from the block's minimum (0) to its maximum (top). */
struct ggl_rounding ggl_rounding_min(const float *x, int n, int top);
uint8_t ggl_round_code(const struct ggl_rounding *r, float x, int top);

#endif
