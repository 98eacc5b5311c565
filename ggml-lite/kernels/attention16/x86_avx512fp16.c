/*
 * AVX-512 with FP16: halves, twice as fast as floats.  The order is the one that attention16.h has for it.
 *
 * Scores: lanes are 16 heads and two dimensions, and a pair of a row's numbers is broadcast to them; four vectors of heads meet
 * ROWS rows, 128 dimensions at a time, so that these come from the first-level cache.  Softmax goes on with a head a lane.
 * Sums: lanes are 32 dimensions of a row, and HEADS heads' weights, which lie there twice each, are broadcast to them.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/attention16/halves.h"
#include "kernels/math/x86_avx512.h"
#include "kernels/math/x86_halves.h"

enum { TILE = GGL_ATTENTION_TILE, CHUNK = GGL_ATTENTION16_CHUNK, GROUP = 16, WIDTH = 32 };
enum { VECTORS = 4, ROWS = 4, HEADS = 4, LANES = VECTORS * GROUP };

#define INLINE static inline __attribute__((always_inline))

INLINE __m512h broadcast(const void *pair)
{
    __m512h x = ggl_broadcast_pair(pair);
    __asm__("" : "+v"(x)); /* loaded once */
    return x;
}

/* ---- queries */

/* 16 heads, of which there are `count`, into their vectors. */
static void query_group(const float *q, int count, int n_dim, uint16_t *out, float *factor)
{
    float up[GROUP];
    for (int h = 0; h < GROUP; h++) {
        const struct ggl_act_fp8_scaling none = {0, 0}, scaling = h < count ? ggl_scaling_of(q + (int64_t)h * n_dim, n_dim) : none;
        up[h] = scaling.up, factor[h] = scaling.down;
    }
    for (int d = 0; d < n_dim; d += WIDTH) {
        __m512 v[GROUP];
        for (int h = 0; h < GROUP; h++) {
            const __mmask16 m = up[h] != 0 ? 0xffff : 0;
            const float *from = h < count ? q + (int64_t)h * n_dim + d : q;
            const __m512 by = _mm512_set1_ps(up[h]);
            const __m256i a = ggl_to_halves(_mm512_mul_ps(_mm512_maskz_loadu_ps(m, from), by));
            const __m256i b = ggl_to_halves(_mm512_mul_ps(_mm512_maskz_loadu_ps(m, from + GROUP), by));
            v[h] = _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1));
        }
        ggl_transpose16(v);
        for (int i = 0; i < GROUP; i++) _mm512_storeu_ps(out + (int64_t)(d / 2 + i) * WIDTH, v[i]);
    }
}

void ggl_attention16_query_avx512fp16(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out)
{
    if (n_dim % GGL_KV_BLOCK) { /* no published model */
        ggl_attention16_query_halves_ref(k, q, n_head, n_dim, out);
        return;
    }
    uint16_t *factors = out + ggl_query_factors_at(n_head, n_dim);
    for (int h = 0; h < n_head; h += GROUP) {
        float factor[GROUP];
        query_group(q + (int64_t)h * n_dim, n_head - h < GROUP ? n_head - h : GROUP, n_dim, out + (int64_t)h * n_dim, factor);
        memcpy(factors + 2 * h, factor, sizeof(factor));
    }
}

/* ---- rows */

/* 2^k, k <= 0, as a half. */
static uint16_t half_power(int k)
{
    return (uint16_t)(k < GGL_LEAST_POWER ? 0 : k < -14 ? 1 << (k - GGL_LEAST_POWER) : (15 + k) << 10);
}

/* A block of codes under a factor; false where a code is no number. */
static bool decode_block(const uint8_t *codes, uint16_t factor, uint16_t *out)
{
    const __m512h by = _mm512_castsi512_ph(_mm512_set1_epi16((short)factor));
    const __m512i all = _mm512_loadu_si512(codes), top = _mm512_set1_epi8(127);
    for (int i = 0; i < 2; i++) {
        const __m256i half = i ? _mm512_extracti64x4_epi64(all, 1) : _mm512_castsi512_si256(all);
        const __m512i x = _mm512_and_si512(_mm512_slli_epi16(_mm512_cvtepi8_epi16(half), 7), _mm512_set1_epi16((short)0xbf80));
        _mm512_storeu_si512(out + i * WIDTH, _mm512_castph_si512(_mm512_mul_ph(_mm512_castsi512_ph(x), by)));
    }
    return !_mm512_cmpeq_epi8_mask(_mm512_and_si512(all, top), top);
}

static uint16_t largest(const uint8_t *x, int n)
{
    __m512i top = _mm512_setzero_si512();
    for (int i = 0; i < n; i += WIDTH) {
        const __mmask32 m = n - i < WIDTH ? (1u << (n - i)) - 1 : 0xffffffffu;
        top = _mm512_max_epu16(top, _mm512_and_si512(_mm512_maskz_loadu_epi16(m, x + 2 * i), _mm512_set1_epi16(0x7fff)));
    }
    const __m256i a = _mm256_max_epu16(_mm512_castsi512_si256(top), _mm512_extracti64x4_epi64(top, 1));
    const __m512i wide = _mm512_cvtepu16_epi32(a);
    return (uint16_t)_mm512_reduce_max_epu32(wide);
}

/* Where 64 dimensions of a row from d on lie. */
static uint16_t *block_at(const struct ggl_row_format *f, uint16_t *keys, int row, int d)
{
    return keys + ggl_half_row_at(f->n_dim, row, d - d % CHUNK) + d % CHUNK;
}

static void zero_row(const struct ggl_row_format *f, uint16_t *keys, int row)
{
    for (int d = 0; d < f->n_dim; d += GGL_KV_BLOCK) memset(block_at(f, keys, row, d), 0, GGL_KV_BLOCK * 2);
}

/* The row's factor. */
static float halve(const struct ggl_row_format *f, const uint8_t *row, uint16_t *keys, int i)
{
    const int nope = f->n_dim - f->n_rope;
    const uint8_t *scales = row + nope, *rope = scales + nope / GGL_KV_BLOCK;
    const int exponent = ggl_row_exponent(scales, nope / GGL_KV_BLOCK, largest(rope, f->n_rope));
    bool numbers = exponent < GGL_NO_NUMBERS;
    for (int d = 0; d < nope && numbers; d += GGL_KV_BLOCK)
        numbers = decode_block(row + d, half_power(scales[d / GGL_KV_BLOCK] + 8 - exponent), block_at(f, keys, i, d));
    if (!numbers) {
        zero_row(f, keys, i);
        return NAN;
    }
    const __m512 by = _mm512_set1_ps(ggl_power(254 - exponent));
    for (int d = 0; d < f->n_rope; d += GROUP) {
        const __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(rope + 2 * d)));
        const __m512 x = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(v, 16)), by);
        _mm256_storeu_si256((__m256i *)(void *)(block_at(f, keys, i, nope + d - d % GGL_KV_BLOCK) + d % GGL_KV_BLOCK), ggl_to_halves(x));
    }
    return ggl_power(exponent);
}

void ggl_attention16_pack_avx512fp16(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    if (f->kind != GGL_ROW_KV || f->n_dim % GGL_KV_BLOCK) {
        ggl_attention16_pack_halves_ref(f, rows, n, keys, values);
        return;
    }
    for (int i = 0; i < n; i++) ggl_put_row_factor(values, i, halve(f, rows[i], keys, i));
    for (int i = n; i % ROWS; i++) zero_row(f, keys, i);
}

/* ---- tiles */

struct heads {
    _Alignas(64) float score[TILE][LANES];
    _Alignas(64) uint32_t weight[TILE][LANES]; /* twice each */
    float shrink[LANES], rel[TILE], top;
    int n, n_dim;
};

/* `vectors` times 16 heads by ROWS rows, `width` dimensions. */
INLINE void score_rows(const uint16_t *q, int64_t q_stride, const uint16_t *keys, int width, bool first, const int vectors, float (*score)[LANES])
{
    __m512h s[ROWS][VECTORS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < vectors; j++) s[i][j] = _mm512_setzero_ph();
    for (int d = 0; d < width; d += 2) {
        __m512h v[VECTORS];
        for (int j = 0; j < vectors; j++) {
            v[j] = ggl_load_halves(q + j * q_stride + d * GROUP);
            __asm__("" : "+v"(v[j])); /* loaded once */
        }
        for (int i = 0; i < ROWS; i++) {
            const __m512h k = broadcast(keys + i * width + d);
            for (int j = 0; j < vectors; j++) s[i][j] = _mm512_fmadd_ph(v[j], k, s[i][j]);
        }
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < vectors; j++) {
            const __m512h both = _mm512_add_ph(s[i][j], _mm512_castsi512_ph(_mm512_rol_epi32(_mm512_castph_si512(s[i][j]), 16)));
            const __m512 sum = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_castph_si512(both)));
            float *to = score[i] + j * GROUP;
            _mm512_store_ps(to, first ? sum : _mm512_add_ps(_mm512_load_ps(to), sum));
        }
}

INLINE void score(struct heads *t, const uint16_t *q, const uint16_t *keys, const int vectors)
{
    for (int d = 0; d < t->n_dim; d += CHUNK) {
        const int width = t->n_dim - d < CHUNK ? t->n_dim - d : CHUNK;
        for (int i = 0; i < t->n; i += ROWS)
            score_rows(q + (int64_t)d * GROUP, (int64_t)GROUP * t->n_dim, keys + ggl_half_row_at(t->n_dim, i, d), width, d == 0, vectors,
                       t->score + i);
    }
}

/* Scores of up to 16 heads -> weights. */
static void soften(struct ggl_attention_state *s, struct heads *t, int head, int vector, const float *factor, const uint16_t *values)
{
    const __mmask16 m = (__mmask16)(s->n_head - head < GROUP ? (1u << (s->n_head - head)) - 1 : 0xffff);
    const __m512 by = _mm512_mul_ps(_mm512_loadu_ps(factor), _mm512_set1_ps(s->scale)), before = _mm512_maskz_loadu_ps(m, s->max + head);
    __m512 max = before, sum = _mm512_setzero_ps();
    for (int i = 0; i < t->n; i++) {
        float *at = t->score[i] + vector * GROUP;
        const __m512 x = _mm512_mul_ps(_mm512_mul_ps(_mm512_load_ps(at), by), _mm512_set1_ps(ggl_row_factor(values, i)));
        _mm512_store_ps(at, x);
        max = _mm512_mask_mov_ps(max, _mm512_cmp_ps_mask(x, max, _CMP_GT_OQ), x);
    }
    const __m512 shrink = ggl_exp16(_mm512_sub_ps(before, max));
    for (int i = 0; i < t->n; i++) {
        const __m512 p = _mm512_cvtph_ps(ggl_to_halves(ggl_exp16(_mm512_sub_ps(_mm512_load_ps(t->score[i] + vector * GROUP), max))));
        const __m512i w = _mm512_cvtepu16_epi32(ggl_to_halves(_mm512_mul_ps(p, _mm512_set1_ps(t->rel[i]))));
        sum = _mm512_add_ps(sum, p);
        _mm512_store_si512(t->weight[i] + vector * GROUP, _mm512_or_si512(w, _mm512_slli_epi32(w, 16)));
    }
    _mm512_mask_storeu_ps(s->max + head, m, max);
    _mm512_mask_storeu_ps(s->sum + head, m, _mm512_add_ps(_mm512_mul_ps(_mm512_maskz_loadu_ps(m, s->sum + head), shrink), sum));
    _mm512_storeu_ps(t->shrink + vector * GROUP, shrink);
}

/* `vectors` times 32 dimensions of some heads. */
INLINE void sum_rows(const struct heads *t, int head, float *acc, const uint16_t *rows, int width, const int heads, const int vectors)
{
    __m512h s[HEADS][VECTORS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < vectors; j++) s[h][j] = _mm512_setzero_ph();
    for (int i = 0; i < t->n; i++) {
        __m512h v[VECTORS];
        for (int j = 0; j < vectors; j++) {
            v[j] = ggl_load_halves(rows + (int64_t)i * width + j * WIDTH);
            __asm__("" : "+v"(v[j]));
        }
        for (int h = 0; h < heads; h++) {
            const __m512h w = broadcast(&t->weight[i][head + h]);
            for (int j = 0; j < vectors; j++) s[h][j] = _mm512_fmadd_ph(w, v[j], s[h][j]);
        }
    }
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < 2 * vectors; j++) {
            const __m512i all = _mm512_castph_si512(s[h][j / 2]);
            const __m512 sum = _mm512_cvtph_ps(j % 2 ? _mm512_extracti64x4_epi64(all, 1) : _mm512_castsi512_si256(all));
            float *to = acc + (int64_t)h * t->n_dim + j * GROUP;
            const __m512 old = _mm512_mul_ps(_mm512_loadu_ps(to), _mm512_set1_ps(t->shrink[head + h]));
            _mm512_storeu_ps(to, _mm512_add_ps(old, _mm512_mul_ps(sum, _mm512_set1_ps(t->top))));
        }
}

static void sum_heads(const struct heads *t, float *acc, const uint16_t *keys, int n_heads)
{
    for (int d = 0; d < t->n_dim; d += CHUNK) {
        const uint16_t *rows = keys + ggl_half_row_at(t->n_dim, 0, d);
        const int width = t->n_dim - d < CHUNK ? t->n_dim - d : CHUNK;
        for (int h = 0; h < n_heads;) {
            float *to = acc + (int64_t)h * t->n_dim + d;
            if (width == CHUNK && n_heads - h >= HEADS) sum_rows(t, h, to, rows, CHUNK, HEADS, VECTORS), h += HEADS;
            else if (width == CHUNK) sum_rows(t, h, to, rows, CHUNK, 1, VECTORS), h++;
            else if (n_heads - h >= HEADS) sum_rows(t, h, to, rows, CHUNK / 2, HEADS, VECTORS / 2), h += HEADS;
            else sum_rows(t, h, to, rows, CHUNK / 2, 1, VECTORS / 2), h++;
        }
    }
}

/* Up to LANES heads from `head` on. */
static void run_heads(struct ggl_attention_state *s, struct heads *t, int head, const uint16_t *q, const uint16_t *keys, const uint16_t *values)
{
    const uint16_t *factors = q + ggl_query_factors_at(s->n_head, s->n_dim), *mine = q + (int64_t)head * s->n_dim;
    const int n_heads = s->n_head - head < LANES ? s->n_head - head : LANES, vectors = (n_heads + GROUP - 1) / GROUP;
    switch (vectors) {
    case 1: score(t, mine, keys, 1); break;
    case 2: score(t, mine, keys, 2); break;
    case 3: score(t, mine, keys, 3); break;
    default: score(t, mine, keys, 4); break;
    }
    for (int v = 0; v < vectors; v++) {
        float factor[GROUP];
        memcpy(factor, factors + 2 * (head + v * GROUP), sizeof(factor));
        soften(s, t, head + v * GROUP, v, factor, values);
    }
    sum_heads(t, s->acc + (int64_t)head * s->n_dim, keys, n_heads);
}

void ggl_attention16_tile_avx512fp16(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    if (s->n_dim % GGL_KV_BLOCK) { /* no published model */
        ggl_attention16_tile_halves_ref(s, q, keys, values, n);
        return;
    }
    struct heads t; /* all of it is written before it is read */
    t.top = ggl_top_factor(values, n), t.n = n, t.n_dim = s->n_dim;
    for (int i = 0; i < n; i++) t.rel[i] = ggl_row_factor(values, i) * (1 / t.top);
    for (int h = 0; h < s->n_head; h += LANES) run_heads(s, &t, h, q, keys, values);
}
