/*
 * AVX2: the 16 rows are two vectors of eight.  The byte product of AVX2 saturates at 16 bits: two biased weights of 240
 * would already be too much for it.  So weights are taken as magnitude times (activation with the weight's sign), at
 * most 2 * 128 * 127; only X8's are small enough to be multiplied as they are, and four times before they are widened.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/fetch.h"
#include "kernels/math/x86_avx2.h"
#include "kernels/panel/x86_avx2.h"

enum { TOKENS = 4, UNIT = 1 };
#include "kernels/panel/tiles.h"

/* dot += the four products of every 32-bit lane, signed bytes. */
static inline __m256i add_signed(__m256i dot, __m256i magnitude, __m256i weight, __m256i x)
{
    __m256i p = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, weight));
    return _mm256_add_epi32(dot, _mm256_madd_epi16(p, _mm256_set1_epi16(1)));
}

/* The weights of inputs 4j .. 4j + 3 of eight rows (half 0 or 1). */
static inline __m256i table_weights(const uint8_t *codes, int j, int half, __m256i table)
{
    __m256i packed = load(codes + 64 * (j % 4) + 32 * half);
    if (j >= 4) packed = _mm256_srli_epi16(packed, 4);
    return _mm256_shuffle_epi8(table, _mm256_and_si256(packed, _mm256_set1_epi8(15)));
}

/* The scales of eight rows of a block. */
static inline __attribute__((always_inline)) __m256 load_scales(const enum ggl_panel_kind kind, const uint8_t *scales, int half)
{
    if (kind == GGL_PANEL_X8) return _mm256_loadu_ps((const float *)(const void *)(scales + 32 * half));
    if (kind != GGL_PANEL_I4) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(scales + 16 * half)));
    __m128i e4m3 = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(scales + 8 * half)));
    return _mm256_cvtph_ps(_mm_and_si128(_mm_slli_epi16(e4m3, 7), _mm_set1_epi16((short)0xbf80)));
}

static inline __attribute__((always_inline)) void any_tokens(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                             const uint8_t *panel, int64_t n_blocks, const tile x,
                                                             const int n, ggl_rows sum[TOKENS], const struct ggl_fetch fetch)
{
    const bool has_table = kind == GGL_PANEL_T4 || kind == GGL_PANEL_I4;
    const __m256i table = !has_table ? _mm256_setzero_si256()
        : _mm256_sub_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)f->table)),
                          _mm256_set1_epi8((char)f->bias));
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        ggl_fetch_block(fetch, codes, ggl_panel_code_bytes(kind));
        ggl_fetch_step(fetch, scales, ggl_panel_scale_bytes(kind), b);
        for (int half = 0; half < 2; half++) {
            __m256 scale = load_scales(kind, scales, half);
            __m256i dot[TOKENS];
            for (int t = 0; t < n; t++) dot[t] = _mm256_setzero_si256();
            if (kind != GGL_PANEL_X8) {
                for (int j = 0; j < 8; j++) {
                    __m256i w = has_table ? table_weights(codes, j, half, table)
                                          : _mm256_xor_si256(load(codes + 64 * j + 32 * half), _mm256_set1_epi8((char)0x80));
                    __m256i magnitude = _mm256_abs_epi8(w);
                    for (int t = 0; t < n; t++) dot[t] = add_signed(dot[t], magnitude, w, broadcast4(x[t].codes + 32 * b + 4 * j));
                }
            } else {
                for (int j0 = 0; j0 < 8; j0 += 4) { /* four products of at most 2 * 32 * 127 fit in 16 bits */
                    __m256i pairs[TOKENS];
                    for (int t = 0; t < n; t++) pairs[t] = _mm256_setzero_si256();
                    for (int j = j0; j < j0 + 4; j++) {
                        __m256i w = load(codes + 64 * j + 32 * half);
                        for (int t = 0; t < n; t++)
                            pairs[t] = _mm256_add_epi16(pairs[t], _mm256_maddubs_epi16(w, broadcast4(x[t].codes + 32 * b + 4 * j)));
                    }
                    for (int t = 0; t < n; t++)
                        dot[t] = _mm256_add_epi32(dot[t], _mm256_madd_epi16(pairs[t], _mm256_set1_epi16(1)));
                }
                for (int t = 0; t < n; t++) dot[t] = _mm256_sub_epi32(dot[t], _mm256_set1_epi32(f->bias * x[t].sums[b]));
            }
            for (int t = 0; t < n; t++) {
                __m256 p = _mm256_mul_ps(_mm256_cvtepi32_ps(dot[t]), _mm256_set1_ps(x[t].scales[b]));
                sum[t][half] = _mm256_fmadd_ps(p, scale, sum[t][half]);
            }
        }
    }
}

/* ---- one token and weights from a table: magnitudes are those of the activations, taken once for all panels instead of once
 * a weight (no table has -128, whose sign cannot be changed) */

enum { MOST = 8192 }; /* inputs */

/* The four products of low nibbles in every 32-bit lane; x and its magnitudes. */
static inline __m256i add_table(__m256i dot, __m256i packed, __m256i table, const int8_t *x, const int8_t *magnitudes)
{
    __m256i w = _mm256_shuffle_epi8(table, _mm256_and_si256(packed, _mm256_set1_epi8(15)));
    return add_signed(dot, broadcast4(magnitudes), broadcast4(x), w);
}

static inline __attribute__((always_inline)) void one_token(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                            const uint8_t *panel, int64_t n_blocks, const struct ggl_act_q8_row *x,
                                                            const int8_t *magnitudes, ggl_rows sum, const struct ggl_fetch fetch)
{
    const __m256i table = _mm256_sub_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)f->table)),
                                          _mm256_set1_epi8((char)f->bias));
    const uint8_t *codes = panel, *scales = panel + ggl_panel_scales_at(kind, n_blocks * GGL_PANEL_BLOCK);
    for (int64_t b = 0; b < n_blocks; b++, codes += ggl_panel_code_bytes(kind), scales += ggl_panel_scale_bytes(kind)) {
        const int8_t *v = x->codes + GGL_PANEL_BLOCK * b, *m = magnitudes + GGL_PANEL_BLOCK * b;
        __m256i low[2], high[2];
        ggl_rows scale;
        ggl_fetch_block(fetch, codes, ggl_panel_code_bytes(kind));
        ggl_fetch_step(fetch, scales, ggl_panel_scale_bytes(kind), b);
        for (int half = 0; half < 2; half++) low[half] = high[half] = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            for (int half = 0; half < 2; half++) {
                __m256i packed = load(codes + 64 * j + 32 * half);
                low[half] = add_table(low[half], packed, table, v + 4 * j, m + 4 * j);
                high[half] = add_table(high[half], _mm256_srli_epi16(packed, 4), table, v + 16 + 4 * j, m + 16 + 4 * j);
            }
        }
        load_all_scales(kind, scales, scale);
        for (int half = 0; half < 2; half++) {
            __m256 dot = _mm256_cvtepi32_ps(_mm256_add_epi32(low[half], high[half]));
            __m256 p = _mm256_mul_ps(dot, _mm256_set1_ps(x->scales[b]));
            sum[half] = _mm256_fmadd_ps(p, scale[half], sum[half]);
        }
    }
}

/* Panels of 16 rows and one token. */
static inline __attribute__((always_inline)) void mul_table(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n,
                                                            const struct ggl_act_q8 *x, float *y, int n_rows, const struct ggl_fetch fetch)
{
    const struct ggl_act_q8_row row = ggl_act_q8_row(x, 0);
    int8_t magnitudes[MOST];
    for (int64_t i = 0; i < n; i += 32)
        _mm256_storeu_si256((__m256i *)(void *)(magnitudes + i), _mm256_abs_epi8(load((const uint8_t *)row.codes + i)));
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n)) {
        int rows = n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS;
        ggl_rows sum;
        ggl_load_rows(y + r, x->begin ? rows : 0, sum);
        if (f->kind == GGL_PANEL_I4) one_token(f, GGL_PANEL_I4, panel, n / GGL_PANEL_BLOCK, &row, magnitudes, sum, fetch);
        else one_token(f, GGL_PANEL_T4, panel, n / GGL_PANEL_BLOCK, &row, magnitudes, sum, fetch);
        ggl_store_rows(y + r, rows, sum);
    }
}

static bool is_for_table(const struct ggl_panel_format *f, int64_t n, const struct ggl_act_q8 *x)
{
    return (f->kind == GGL_PANEL_I4 || f->kind == GGL_PANEL_T4) && x->n_tokens == 1 && n <= MOST;
}

static inline __attribute__((always_inline)) void run_tile(const struct ggl_panel_format *f, const enum ggl_panel_kind kind,
                                                           const uint8_t *panel, int64_t n_blocks, const tile x, const int n,
                                                           ggl_rows sum[TOKENS])
{
    any_tokens(f, kind, panel, n_blocks, x, n, sum, (struct ggl_fetch){0, 0});
}

void ggl_panel_mul_avx2(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                        int64_t y_stride, int n_rows)
{
    if (is_for_table(f, n, x)) {
        mul_table(f, panel, n, x, y, n_rows, (struct ggl_fetch){0, 0});
        return;
    }
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n))
        mul_one(f, panel, n, x, y + r, y_stride, n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS);
}

/* ---- one token, fetched ahead */

static const struct ggl_fetch ahead = {16384, 4096};

void ggl_panel_mul_avx2fetch(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                             int64_t y_stride, int n_rows)
{
    if (is_for_table(f, n, x)) {
        mul_table(f, panel, n, x, y, n_rows, ahead);
        return;
    }
    if (x->n_tokens != 1 || (f->kind != GGL_PANEL_Q8 && f->kind != GGL_PANEL_X8)) {
        ggl_panel_mul_avx2(f, panel, n, x, y, y_stride, n_rows);
        return;
    }
    const tile one = {ggl_act_q8_row(x, 0)};
    for (int r = 0; r < n_rows; r += GGL_PANEL_ROWS, panel += ggl_panel_bytes(f->kind, n)) {
        int rows = n_rows - r < GGL_PANEL_ROWS ? n_rows - r : GGL_PANEL_ROWS;
        ggl_rows sum[TOKENS];
        ggl_load_rows(y + r, x->begin ? rows : 0, sum[0]);
        if (f->kind == GGL_PANEL_Q8) any_tokens(f, GGL_PANEL_Q8, panel, n / GGL_PANEL_BLOCK, one, 1, sum, ahead);
        else any_tokens(f, GGL_PANEL_X8, panel, n / GGL_PANEL_BLOCK, one, 1, sum, ahead);
        ggl_store_rows(y + r, rows, sum[0]);
    }
}
