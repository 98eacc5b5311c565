/*
 * AVX-512: rows of the cache into the two layouts (E4M3 codes under a power of two are exact in BF16); and tiles by float
 * products, for processors that multiply floats twice as fast as pairs of BF16.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/attention16/x86_avx512.h"
#include "kernels/math/math.h"
#include "kernels/math/x86_avx512.h"
#include "quant/quant.h"

enum { GROUP = 16, KV_BLOCK = 64, MAX_DIM = 1024, TINY = 10 };
enum { HEADS = 8, VECTORS = 2, TILE = GGL_ATTENTION_TILE }; /* 16 sums in registers */

#define INLINE static inline __attribute__((always_inline))

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

void ggl_attention16_pack_avx512(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    uint16_t x[GROUP][MAX_DIM];
    if (f->kind != GGL_ROW_KV || f->n_dim % (2 * GROUP) || f->n_dim > MAX_DIM) {
        ggl_attention16_pack_ref(f, rows, n, keys, values);
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

/* ---- tiles */

/* n values (a multiple of 16) as floats. */
static void widen(const uint16_t *x, int n, float *out)
{
    for (int i = 0; i < n; i += GROUP) {
        __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(x + i)));
        _mm512_storeu_ps(out + i, _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)));
    }
}

/* acc[h][j] takes the pair at x + h * x_stride times the 16 pairs of BF16 at y + j * y_step, second values first. */
INLINE void step(const float *x, int64_t x_stride, const uint16_t *y, int64_t y_step, const int heads, const int vectors,
                 __m512 acc[HEADS][VECTORS])
{
    __m512 first[VECTORS], second[VECTORS];
    for (int j = 0; j < vectors; j++) {
        __m512i pairs = _mm512_loadu_si512(y + j * y_step);
        first[j] = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
        second[j] = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)));
    }
    for (int h = 0; h < heads; h++) {
        __m512 x1 = _mm512_set1_ps(x[h * x_stride + 1]);
        for (int j = 0; j < vectors; j++) acc[h][j] = _mm512_fmadd_ps(x1, second[j], acc[h][j]);
    }
    for (int h = 0; h < heads; h++) {
        __m512 x0 = _mm512_set1_ps(x[h * x_stride]);
        for (int j = 0; j < vectors; j++) acc[h][j] = _mm512_fmadd_ps(x0, first[j], acc[h][j]);
    }
}

/* `vectors` times 16 rows from row `row` on. */
INLINE void score_block(const float *q, const uint16_t *keys, int n_dim, float scale, int row, const int heads, const int vectors,
                        float (*score)[TILE])
{
    __m512 acc[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < vectors; j++) acc[h][j] = _mm512_setzero_ps();
    keys += (int64_t)row * n_dim;
    for (int d = 0; d < n_dim; d += 2) step(q + d, n_dim, keys + d * GROUP, (int64_t)GROUP * n_dim, heads, vectors, acc);
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < vectors; j++)
            _mm512_storeu_ps(score[h] + row + j * GROUP, _mm512_mul_ps(acc[h][j], _mm512_set1_ps(scale)));
}

INLINE void sum_block(float *acc, int n_dim, const uint16_t *values, int n, const float (*weight)[TILE], const float *shrink, const int heads)
{
    __m512 a[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++)
            a[h][j] = _mm512_mul_ps(_mm512_loadu_ps(acc + (int64_t)h * n_dim + j * GROUP), _mm512_set1_ps(shrink[h]));
    for (int i = 0; i < n; i += 2) step(weight[0] + i, TILE, values + (int64_t)i * n_dim, 2 * GROUP, heads, VECTORS, a);
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < VECTORS; j++) _mm512_storeu_ps(acc + (int64_t)h * n_dim + j * GROUP, a[h][j]);
}

/* `heads` heads from `head` on; q [heads][n_dim]. */
INLINE void run_heads(struct ggl_attention_state *s, int head, const float *q, const uint16_t *keys, const uint16_t *values, int n,
                      const int heads)
{
    float score[HEADS][TILE], weight[HEADS][TILE], shrink[HEADS], *acc = s->acc + (int64_t)head * s->n_dim;
    int row = 0;
    for (; n - row > GROUP; row += VECTORS * GROUP) score_block(q, keys, s->n_dim, s->scale, row, heads, VECTORS, score);
    if (row < n) score_block(q, keys, s->n_dim, s->scale, row, heads, 1, score);
    for (int i = 0; i < heads; i++) shrink[i] = ggl_soften(s, head + i, score[i], n, weight[i]);
    for (int d = 0; d < s->n_dim; d += VECTORS * GROUP)
        sum_block(acc + d, s->n_dim, values + 2 * d, n, (const float (*)[TILE])weight, shrink, heads);
}

void ggl_attention16_tile_avx512fma(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    float wide[HEADS * MAX_DIM];
    if (s->n_dim % (VECTORS * GROUP) || s->n_dim > MAX_DIM) { /* no published model */
        ggl_attention16_tile_ref(s, q, keys, values, n);
        return;
    }
    for (int h = 0; h < s->n_head; h += HEADS) {
        int heads = s->n_head - h < HEADS ? s->n_head - h : HEADS;
        widen(q + (int64_t)h * s->n_dim, heads * s->n_dim, wide);
        if (heads == HEADS) run_heads(s, h, wide, keys, values, n, HEADS);
        else
            for (int i = 0; i < heads; i++) run_heads(s, h + i, wide + i * s->n_dim, keys, values, n, 1);
    }
}
