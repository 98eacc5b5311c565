/* Block codecs of the type table.  Each takes whole blocks; type.c says how many elements and bytes those are. */
#ifndef GGL_QUANT_CODEC_H
#define GGL_QUANT_CODEC_H

#include <stdint.h>

void ggl_f32_decode(const void *blocks, float *y, int64_t n);
void ggl_f16_decode_row(const void *blocks, float *y, int64_t n);
void ggl_bf16_decode_row(const void *blocks, float *y, int64_t n);
void ggl_q8_0_decode(const void *blocks, float *y, int64_t n);
void ggl_q8_1_decode(const void *blocks, float *y, int64_t n);
void ggl_q8_k_decode(const void *blocks, float *y, int64_t n);
void ggl_mxfp4_decode(const void *blocks, float *y, int64_t n);

void ggl_f32_encode(const float *x, void *blocks, int64_t n);
void ggl_f16_encode_row(const float *x, void *blocks, int64_t n);
void ggl_bf16_encode_row(const float *x, void *blocks, int64_t n);
void ggl_q8_0_encode(const float *x, void *blocks, int64_t n);
void ggl_mxfp4_encode(const float *x, void *blocks, int64_t n);

/* E2M1 values times two; code 8 is plain zero. */
static const int8_t ggl_e2m1_doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

#endif
