/*
 * AVX-512: rows of the cache into the two layouts.  E4M3 codes under a power of two are exact in BF16.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/math/x86_avx512.h"
#include "quant/quant.h"

enum { GROUP = 16, KV_BLOCK = 64, MAX_DIM = 1024, TINY = 10 };

/* Sixteen floats that BF16 holds exactly -> BF16: their upper halves. */
static inline __m256i upper_halves(__m512 x)
{
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(x), 16));
}

/* Sixteen E4M3 codes under a scale.  A half with a code's exponent and fraction is worth a 256th of it. */
static inline __m512 e4m3(const uint8_t *p, __m512 scale)
{
    __m256i half = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p)), 7);
    half = _mm256_and_si256(half, _mm256_set1_epi16((short)0xbf80));
    __m256i magnitude = _mm256_and_si256(half, _mm256_set1_epi16(0x3f80));
    __mmask16 top = _mm256_cmpeq_epi16_mask(magnitude, _mm256_set1_epi16(0x3f80)); /* 0x7f and 0xff are NaN */
    half = _mm256_mask_mov_epi16(half, top, _mm256_set1_epi16(0x7e00));
    return _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256)), scale);
}


/* A block under so small a scale that its values are denormal and BF16 rounds them. */
static void decode_tiny(const uint8_t *codes, uint8_t scale, uint16_t *out)
{
    float y[KV_BLOCK];
    ggl_fp8_block_decode(codes, scale, y, KV_BLOCK);
    for (int i = 0; i < KV_BLOCK; i++) out[i] = ggl_bf16_from_f32(y[i]);
}

static void decode(const struct ggl_row_format *f, const uint8_t *row, uint16_t *out)
{
    int nope = f->n_dim - f->n_rope;
    for (int i = 0; i < nope; i += KV_BLOCK) {
        uint8_t code = row[nope + i / KV_BLOCK];
        if (code < TINY) {
            decode_tiny(row + i, code, out + i);
            continue;
        }
        __m512 scale = _mm512_set1_ps(ggl_e8m0_to_f32(code));
        for (int j = i; j < i + KV_BLOCK; j += GROUP)
            _mm256_storeu_si256((__m256i *)(void *)(out + j), upper_halves(e4m3(row + j, scale)));
    }
    memcpy(out + nope, row + nope + nope / KV_BLOCK, (size_t)f->n_rope * 2);
}

/* 16 rows of x -> their part of `keys`. */
static void pack_keys(uint16_t (*x)[MAX_DIM], int n_dim, uint16_t *keys)
{
    for (int d = 0; d < n_dim; d += 2 * GROUP) {
        __m512 v[GROUP];
        for (int r = 0; r < GROUP; r++) v[r] = _mm512_loadu_ps(x[r] + d);
        ggl_transpose16(v);
        for (int i = 0; i < GROUP; i++) _mm512_storeu_ps(keys + (int64_t)(d / 2 + i) * 2 * GROUP, v[i]);
    }
}

static void pack_values(uint16_t (*x)[MAX_DIM], int n_dim, uint16_t *values)
{
    for (int r = 0; r < GROUP; r += 2, values += 2 * n_dim)
        for (int d = 0; d < n_dim; d += GROUP) {
            __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(x[r] + d)));
            __m512i b = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(x[r + 1] + d)));
            _mm512_storeu_si512(values + 2 * d, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
        }
}

void ggl_attention_pack_avx512(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    uint16_t x[GROUP][MAX_DIM];
    if (f->kind != GGL_ROW_KV || f->n_dim % (2 * GROUP) || f->n_dim > MAX_DIM) {
        ggl_attention_pack_ref(f, rows, n, keys, values);
        return;
    }
    for (int g = 0; g < n; g += GROUP, keys += GROUP * f->n_dim, values += GROUP * f->n_dim) {
        for (int r = 0; r < GROUP; r++) {
            if (g + r < n) decode(f, rows[g + r], x[r]);
            else memset(x[r], 0, (size_t)f->n_dim * 2);
        }
        pack_keys(x, f->n_dim, keys);
        pack_values(x, f->n_dim, values);
    }
}
