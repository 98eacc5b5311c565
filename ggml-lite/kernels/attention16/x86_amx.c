/*
 * AMX: 16 heads by 16 rows by 32 dimensions, then 16 heads by 16 dimensions by 32 rows, in the order of
 * attention16.h's second half.  Keys and values lie as tiles want them.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/attention16/x86_avx512.h"
#include "kernels/math/steps.h"
#include "kernels/x86_amx.h"

enum { STRIP = 16, STEP = GGL_STEP, TILE = GGL_ATTENTION_TILE, MAX_DIM = 1024 };

#define INLINE static inline __attribute__((always_inline))

/* 16 heads: sums [STRIP][n_dim] and queries, where they are or, if there are fewer heads, in a copy. */
struct strip {
    float *acc;
    const uint16_t *q;
    int heads;
};

/* Tiles: 0 .. 3 results, 4 and 5 whole steps, 6 and 7 half of one. */
#define MULTIPLY(c, at)                                                                                                \
    do {                                                                                                               \
        _tile_loadd(5, at, 64);                                                                                        \
        _tile_dpbf16ps(c, 4, 5);                                                                                       \
    } while (0)

/* Of all TILE rows, of which the last may hold anything. */
static void score_rows(const uint16_t *q, const uint16_t *keys, int n_dim, float scores[TILE / 16][STRIP][16])
{
    const int64_t group = 16 * (int64_t)n_dim;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int d = 0; d < n_dim; d += STEP) {
        _tile_loadd(4, q + d, 2 * (size_t)n_dim);
        MULTIPLY(0, keys + 16 * d);
        MULTIPLY(1, keys + 16 * d + group);
        MULTIPLY(2, keys + 16 * d + 2 * group);
        MULTIPLY(3, keys + 16 * d + 3 * group);
    }
    _tile_stored(0, scores[0], 64);
    _tile_stored(1, scores[1], 64);
    _tile_stored(2, scores[2], 64);
    _tile_stored(3, scores[3], 64);
}

/* The last groups of 16 rows may not lie in memory that can be read: one after the other. */
static void score_few_rows(const uint16_t *q, const uint16_t *keys, int n_dim, int n, float scores[TILE / 16][STRIP][16])
{
    for (int g = 0; g * 16 < n; g++, keys += 16 * (int64_t)n_dim) {
        _tile_zero(0);
        for (int d = 0; d < n_dim; d += STEP) {
            _tile_loadd(4, q + d, 2 * (size_t)n_dim);
            MULTIPLY(0, keys + 16 * d);
        }
        _tile_stored(0, scores[g], 64);
    }
}

/* Scores of one head, one group of 16 rows after the other, -> its weights, and its sums shrink. */
static void soften_head(struct ggl_attention_state *s, int head, const float scores[TILE / 16][STRIP][16], int i, int n, float *acc,
                        uint16_t weights[TILE])
{
    float score[TILE], weight[TILE];
    for (int g = 0; g * 16 < n; g++)
        _mm512_storeu_ps(score + g * 16, _mm512_mul_ps(_mm512_loadu_ps(scores[g][i]), _mm512_set1_ps(s->scale)));
    const __m512 shrink = _mm512_set1_ps(ggl_soften(s, head, score, n, weight));
    for (int g = 0; g < TILE; g += 16) {
        __m512i bits = _mm512_srli_epi32(_mm512_castps_si512(_mm512_loadu_ps(weight + g)), 16);
        _mm256_storeu_si256((__m256i *)(void *)(weights + g), _mm512_cvtepi32_epi16(bits));
    }
    for (int d = 0; d < s->n_dim; d += 16) _mm512_storeu_ps(acc + d, _mm512_mul_ps(_mm512_loadu_ps(acc + d), shrink));
}

/* 16 sums of 16 heads take n rows, in steps of 32 and perhaps half a step. */
INLINE void sum_dims(float *acc, int n_dim, const uint16_t *values, const uint16_t weights[STRIP][TILE], int n)
{
    int i = 0;
    _tile_loadd(0, acc, 4 * (size_t)n_dim);
    for (; n - i > STEP / 2; i += STEP) {
        _tile_loadd(4, &weights[0][i], 2 * TILE);
        _tile_loadd(5, values + i * (int64_t)n_dim, 4 * (size_t)n_dim);
        _tile_dpbf16ps(0, 4, 5);
    }
    if (i < n) {
        _tile_loadd(6, &weights[0][i], 2 * TILE);
        _tile_loadd(7, values + i * (int64_t)n_dim, 4 * (size_t)n_dim);
        _tile_dpbf16ps(0, 6, 7);
    }
    _tile_stored(0, acc, 4 * (size_t)n_dim);
}

static void run_strip(struct ggl_attention_state *s, int head, const struct strip *strip, const uint16_t *keys, const uint16_t *values, int n)
{
    _Alignas(64) float scores[TILE / 16][STRIP][16];
    _Alignas(64) uint16_t weights[STRIP][TILE] = {0};
    __asm__ volatile("" ::: "memory"); /* tiles are loaded from what has been written */
    if (n > TILE - 16) score_rows(strip->q, keys, s->n_dim, scores);
    else score_few_rows(strip->q, keys, s->n_dim, n, scores);
    for (int i = 0; i < strip->heads; i++)
        soften_head(s, head + i, (const float (*)[STRIP][16])scores, i, n, strip->acc + (int64_t)i * s->n_dim, weights[i]);
    __asm__ volatile("" ::: "memory");
    for (int d = 0; d < s->n_dim; d += 16)
        sum_dims(strip->acc + d, s->n_dim, values + 2 * d, (const uint16_t (*)[TILE])weights, n);
}

/* Fewer than 16 heads, in memory of their own. */
static void run_rest(struct ggl_attention_state *s, int head, int heads, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    float acc[STRIP * MAX_DIM];
    uint16_t copy[STRIP * MAX_DIM];
    const size_t used = (size_t)heads * (size_t)s->n_dim, all = STRIP * (size_t)s->n_dim;
    float *mine = s->acc + (int64_t)head * s->n_dim;
    memcpy(acc, mine, used * sizeof(float));
    memset(acc + used, 0, (all - used) * sizeof(float));
    memcpy(copy, q, used * sizeof(uint16_t));
    memset(copy + used, 0, (all - used) * sizeof(uint16_t));
    const struct strip strip = {acc, copy, heads};
    run_strip(s, head, &strip, keys, values, n);
    memcpy(mine, acc, used * sizeof(float));
}

/* Queries and rows are laid out as by other levels. */
void ggl_attention16_query_amx(const struct ggl_kernels *k, const float *q, int n_head, int n_dim, uint16_t *out)
{
    ggl_attention16_query_ref(k, q, n_head, n_dim, out);
}

void ggl_attention16_pack_amx(const struct ggl_row_format *f, const uint8_t *const *rows, int n, uint16_t *keys, uint16_t *values)
{
    ggl_attention16_pack_avx512(f, rows, n, keys, values);
}

void ggl_attention16_tile_amx(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    if (s->n_dim % STEP || s->n_dim > MAX_DIM) { /* no published model */
        ggl_attention16_tile_steps_ref(s, q, keys, values, n);
        return;
    }
    struct x86_amx_config config = x86_amx_config(2 * STEP);
    config.row_bytes[6] = STEP, config.rows[7] = STEP / 4; /* half a step */
    x86_amx_begin(&config);
    for (int h = 0; h < s->n_head; h += STRIP, q += STRIP * (int64_t)s->n_dim) {
        const struct strip strip = {s->acc + (int64_t)h * s->n_dim, q, STRIP};
        if (s->n_head - h >= STRIP) run_strip(s, h, &strip, keys, values, n);
        else run_rest(s, h, s->n_head - h, q, keys, values, n);
    }
    x86_amx_end();
}
