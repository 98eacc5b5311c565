/*
 * Q8_0 (32 elements, 34 bytes): d half, 32 signed bytes; y = q * d.
 * Q8_1 (36 bytes): d half, s = d * sum(q) half, 32 signed bytes.  Q8_K (256 elements, 292 bytes): d float,
 * 256 signed bytes, 16 sums.  The last two are activations inside ggml and are only decoded here.
 */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

enum { QK = 32 };

static void decode_block(float d, const uint8_t *qs, float *restrict y, int n)
{
    for (int j = 0; j < n; j++) y[j] = (float)(int8_t)qs[j] * d;
}

void ggl_q8_0_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 34) decode_block(ggl_load_f16(b), b + 2, y + i, QK);
}

void ggl_q8_1_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 36) decode_block(ggl_load_f16(b), b + 4, y + i, QK);
}

void ggl_q8_k_decode(const void *blocks, float *restrict y, int64_t n)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 292)
        decode_block(ggl_float_of(ggl_load_u32(b)), b + 4, y + i, 256);
}

/* roundf: half away from zero.  Truncation and the exact remainder decide, which vectorises. */
static int round_away(float v)
{
    int t = (int)v;
    float rest = v - (float)t;
    return t + (rest >= 0.5f) - (rest <= -0.5f);
}

/* Codes are rounded with the unrounded scale, the half is stored: that is ggml's reference.  A block with
 * an infinity or a NaN gets a NaN scale; one too small for a half decodes to zeros. */
void ggl_q8_0_encode(const float *x, void *blocks, int64_t n)
{
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += QK, b += 34) {
        uint32_t amax = ggl_amax_bits(x + i, QK);
        float d = ggl_float_of(amax) / 127.0f;
        float id = amax < GGL_F32_INF_BITS && d > 0.0f ? 1.0f / d : 0.0f;
        if (id > 0x1p127f) id = 0.0f; /* the inverse of a denormal; the half is 0 in any case */
        ggl_store_u16(b, amax < GGL_F32_INF_BITS ? ggl_f16_from_f32(d) : 0x7e00u);
        for (int j = 0; j < QK; j++) {
            float v = x[i + j] * id;
            v = v > -127.0f ? v : -127.0f; /* of a finite block |v| passes 127 by no more than rounding */
            v = v < 127.0f ? v : 127.0f;
            b[2 + j] = (uint8_t)round_away(v);
        }
    }
}
