/*
 * Number formats: the type table, and the scalar encoders and decoders that
 * every faster kernel is tested against.  A leaf: needs nothing but C.
 *
 *     const struct ggl_type_info *t = ggl_type_info(GGL_TYPE_Q4_K);
 *     ggl_decode(GGL_TYPE_Q4_K, blocks, y, n);            // n elements
 *     ggl_encode(GGL_TYPE_Q8_0, x, blocks, n);
 *     ggl_fp8_decode_row(codes, scales, GGL_SCALE_E8M0, y, n);
 *
 * Layout: a row of n elements is n / block_elems blocks of block_bytes bytes.
 * FP8 and FP4 rows live in two planes, codes and scales, exactly as in the
 * published checkpoints, INT4 rows in three; the functions for them take all.
 *
 * Thread-safety: every function is pure.  Errors: a type that has no encoder
 * or decoder says so in the table; calling it anyway returns false.
 */
#ifndef GGL_QUANT_H
#define GGL_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef GGL_API
#if defined(_WIN32) && defined(GGL_SHARED)
#ifdef GGL_BUILD
#define GGL_API __declspec(dllexport)
#else
#define GGL_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define GGL_API __attribute__((visibility("default")))
#else
#define GGL_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Ids below 1000 are ggml's and appear in GGUF files; the others are ours and
 * never do: a GGUF file carries them as I8 tensors (see docs/file-formats.md). */
enum ggl_type {
    GGL_TYPE_F32 = 0,
    GGL_TYPE_F16 = 1,
    GGL_TYPE_Q4_0 = 2,
    GGL_TYPE_Q4_1 = 3,
    GGL_TYPE_Q5_0 = 6,
    GGL_TYPE_Q5_1 = 7,
    GGL_TYPE_Q8_0 = 8,
    GGL_TYPE_Q8_1 = 9,
    GGL_TYPE_Q2_K = 10,
    GGL_TYPE_Q3_K = 11,
    GGL_TYPE_Q4_K = 12,
    GGL_TYPE_Q5_K = 13,
    GGL_TYPE_Q6_K = 14,
    GGL_TYPE_Q8_K = 15,
    GGL_TYPE_IQ2_XXS = 16,
    GGL_TYPE_IQ2_XS = 17,
    GGL_TYPE_IQ3_XXS = 18,
    GGL_TYPE_IQ1_S = 19,
    GGL_TYPE_IQ4_NL = 20,
    GGL_TYPE_IQ3_S = 21,
    GGL_TYPE_IQ2_S = 22,
    GGL_TYPE_IQ4_XS = 23,
    GGL_TYPE_I8 = 24,
    GGL_TYPE_I16 = 25,
    GGL_TYPE_I32 = 26,
    GGL_TYPE_I64 = 27,
    GGL_TYPE_F64 = 28,
    GGL_TYPE_IQ1_M = 29,
    GGL_TYPE_BF16 = 30,
    GGL_TYPE_TQ1_0 = 34,
    GGL_TYPE_TQ2_0 = 35,
    GGL_TYPE_MXFP4 = 39,
    GGL_TYPE_NVFP4 = 40,
    GGL_TYPE_Q1_0 = 41,
    GGL_TYPE_Q2_0 = 42,
    GGL_TYPE_GGUF_END = 43, /* first id that no GGUF file may hold */

    GGL_TYPE_FP8 = 1000, /* E4M3 codes, one scale a 128x128 tile (two planes) */
    GGL_TYPE_FP4 = 1001, /* E2M1 codes, two a byte, low nibble first; one UE8M0 scale a 32 (two planes) */
    GGL_TYPE_INT4 = 1002, /* codes of 16 levels in split halves; one E4M3 scale a 32, one float a row (three planes) */
};

/* How a scale plane is stored: FP8 has E8M0 or F32, FP4 E8M0, INT4 E4M3. */
enum ggl_scale_type { GGL_SCALE_NONE = 0, GGL_SCALE_E8M0 = 1, GGL_SCALE_F32 = 2, GGL_SCALE_E4M3 = 3 };

struct ggl_type_info {
    const char *name;     /* as in ggml, upper case: "Q4_K" */
    uint32_t block_elems; /* elements in a block, >= 1 */
    uint32_t block_bytes; /* bytes of a block; for FP8, FP4 and INT4 of the code plane (FP4: 2 elements, 1 byte) */
    /* y[0..n) from n / block_elems blocks; n is a whole number of blocks.  NULL: not decodable to float. */
    void (*decode)(const void *blocks, float *y, int64_t n);
    /* Blocks from x[0..n) by the type's reference rounding; NULL: no encoder. */
    void (*encode)(const float *x, void *blocks, int64_t n);
};

/* The table entry, or NULL for an id that does not exist (any value may be asked). */
GGL_API const struct ggl_type_info *ggl_type_info(uint32_t type);

/* Type by name, without regard to case; returns false when there is none. */
GGL_API bool ggl_type_from_name(const char *name, enum ggl_type *type);

/* Bytes of a row of n elements (code plane for FP8, FP4, INT4).  False: unknown type, n < 0,
 * n not a whole number of blocks, or the size does not fit in 63 bits. */
GGL_API bool ggl_row_bytes(uint32_t type, int64_t n, uint64_t *bytes);

/* Decode or encode n elements of a one-plane type; false when the type has no such codec
 * or n is not a whole number of blocks. */
GGL_API bool ggl_decode(enum ggl_type type, const void *blocks, float *y, int64_t n);
GGL_API bool ggl_encode(enum ggl_type type, const float *x, void *blocks, int64_t n);

/* One row of n elements -> blocks.  weights[n]: the importance of each input (an imatrix row; >= 0, finite), or NULL.
 * Pure; the same result always.  False: the type has no encoder, n is not whole blocks, or the type needs weights and
 * has none (ggl_encode_needs_weights).
 * Without weights rows do not matter: any whole number of blocks gives the bytes that it has as part of a row, and
 * those of ggl_encode.  With weights Q4_0, Q4_1, Q5_0 and Q5_1 look at the variance of the whole row; F32, F16, BF16,
 * Q8_0 and MXFP4 ignore weights.  Weights that are all zero within a group count as all alike. */
GGL_API bool ggl_encode_row(enum ggl_type type, const float *x, const float *weights, void *blocks, int64_t n);
GGL_API bool ggl_encode_needs_weights(enum ggl_type type);
GGL_API bool ggl_encode_uses_weights(enum ggl_type type); /* false: it has no encoder, or that ignores them */
/* The same, and the same bytes, faster with what ggl_cpu_isa() of ggml-lite/cpu.h says that the processor can do. */
GGL_API bool ggl_encode_row_at(uint64_t isa, enum ggl_type type, const float *x, const float *weights, void *blocks, int64_t n);

/* ---- scalars.  All exact; rounding is to nearest, ties to even, unless said otherwise. */
GGL_API float ggl_f16_to_f32(uint16_t h);   /* denormals, infinities and NaN included */
GGL_API uint16_t ggl_f16_from_f32(float x);
GGL_API float ggl_bf16_to_f32(uint16_t h);
GGL_API uint16_t ggl_bf16_from_f32(float x); /* NaN stays NaN (quieted) */
GGL_API float ggl_e4m3_to_f32(uint8_t code); /* 0x7f and 0xff are NaN */
GGL_API uint8_t ggl_e4m3_from_f32(float x);  /* clamps to +-448; NaN gives 0x7f */
GGL_API float ggl_e8m0_to_f32(uint8_t code); /* 2^(code - 127); 255 is NaN */
GGL_API float ggl_e2m1_to_f32(uint8_t code); /* low 4 bits; code 8 is -0 */
GGL_API uint8_t ggl_e2m1_from_f32(float x);  /* ties to the even code; clamps to +-6; NaN gives zero */

/* ceil(log2(x)) from the bits of a positive finite float, as the official kernels take it. */
GGL_API int ggl_pow2_ceil_exponent(float x);

/* ---- FP8 matrices: tiles of 128 x 128.
 * One row: codes[n], and the scale row that covers it (row / 128), ceil(n / 128) scales. */
GGL_API void ggl_fp8_decode_row(const uint8_t *codes, const void *scales, enum ggl_scale_type scale_type,
                                float *y, int64_t n);
/* A whole matrix x[rows][n] -> codes[rows][n], scales[ceil(rows/128)][ceil(n/128)] (UE8M0):
 * scale = 2^ceil(log2(max(amax, 1e-4) / 448)) a tile. */
GGL_API void ggl_fp8_encode(const float *x, int64_t rows, int64_t n, uint8_t *codes, uint8_t *scales);

/* ---- FP4 rows in checkpoint order: codes[n / 2], scales[n / 32] (UE8M0). */
GGL_API void ggl_fp4_decode_row(const uint8_t *codes, const uint8_t *scales, float *y, int64_t n);
GGL_API void ggl_fp4_encode_row(const float *x, uint8_t *codes, uint8_t *scales, int64_t n);

/* FP4 row <-> MXFP4 blocks: a permutation of nibbles, nothing is lost either way. */
GGL_API void ggl_fp4_to_mxfp4(const uint8_t *codes, const uint8_t *scales, void *blocks, int64_t n);
GGL_API void ggl_mxfp4_to_fp4(const void *blocks, uint8_t *codes, uint8_t *scales, int64_t n);

/* ---- INT4 rows: codes[n / 2], scales[n / 32] (E4M3, signed) and one float; n is a multiple of 32.
 * value = row_scale * scale * level[code], the levels of IQ4_NL; byte j of a group's 16 codes holds elements j (low
 * nibble) and j + 16.
 * The encoder minimises the sum of weights * error^2 in every group; weights[n] (the importance of the inputs, >= 0)
 * may be NULL.  A group with an infinity or a NaN gets the scale 0x7f, and so decodes to NaN everywhere. */
GGL_API void ggl_int4_decode_row(const uint8_t *codes, const uint8_t *scales, float row_scale, float *y, int64_t n);
GGL_API void ggl_int4_encode_row(const float *x, const float *weights, uint8_t *codes, uint8_t *scales, float *row_scale,
                                 int64_t n);

/* ---- the rounding that the model was trained with (deepseek-v4: act_quant, fp4_act_quant).
 * One block of n elements in: codes (FP4: two a byte) and one UE8M0 scale byte out.  A block with an infinity
 * or a NaN gets the scale 255, and so decodes to NaN everywhere. */
GGL_API void ggl_fp8_block_encode(const float *x, int n, uint8_t *codes, uint8_t *scale);
GGL_API void ggl_fp8_block_decode(const uint8_t *codes, uint8_t scale, float *y, int n);
GGL_API void ggl_fp4_block_encode(const float *x, int n, uint8_t *codes, uint8_t *scale);
GGL_API void ggl_fp4_block_decode(const uint8_t *codes, uint8_t scale, float *y, int n);

#ifdef __cplusplus
}
#endif
#endif
