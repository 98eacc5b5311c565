/*
 * AVX2: the 16 rows are two vectors of eight.  The byte product of AVX2 saturates at 16 bits, so values above 128 are taken
 * without their bias, as magnitude times (activation with the weight's sign); smaller ones are multiplied as they are.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/kquant/x86_expand.h"
#include "kernels/math/x86_avx2.h"
#include "kernels/x86_bytes.h"

enum { TOKENS = 4 };

typedef struct ggl_act_q8_row tile[TOKENS];

struct shape {
    int bits, parts;
    bool mins, large, each; /* large: values above 128 */
};

static inline __m128i load8(const uint8_t *p)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)p);
}

static inline __m256 load_floats(const uint8_t *p)
{
    return _mm256_loadu_ps((const float *)(const void *)p);
}

/* Values of inputs 4j .. 4j + 3 of 32, of the eight rows from codes on. */
static inline __attribute__((always_inline)) __m256i load_values(const int bits, const uint8_t *codes, const int j, __m256i table)
{
    __m256i v = load(codes + 64 * (j & 3));
    if (j >= 4) v = _mm256_srli_epi16(v, 4);
    v = _mm256_and_si256(v, _mm256_set1_epi8(15));
    if (bits == 4) return _mm256_shuffle_epi8(table, v);
    __m256i high = load(codes + 256 + 64 * (j >> 2));
    switch (j & 3) {
    case 0: high = _mm256_slli_epi16(high, 4); break;
    case 1: high = _mm256_slli_epi16(high, 2); break;
    case 2: break;
    default: high = _mm256_srli_epi16(high, 2); break;
    }
    return _mm256_or_si256(v, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
}

/* dot += the four products of every 32-bit lane, of two vectors of weights: at most 2 * 124 * 127 before they are widened. */
static inline __attribute__((always_inline)) __m256i add_products(const bool large, const bool small, __m256i dot, __m256i w0,
                                                                  __m256i w1, __m256i x0, __m256i x1)
{
    const __m256i one = _mm256_set1_epi16(1);
    if (large) {
        __m256i p0 = _mm256_maddubs_epi16(_mm256_abs_epi8(w0), _mm256_sign_epi8(x0, w0));
        __m256i p1 = _mm256_maddubs_epi16(_mm256_abs_epi8(w1), _mm256_sign_epi8(x1, w1));
        return _mm256_add_epi32(dot, _mm256_add_epi32(_mm256_madd_epi16(p0, one), _mm256_madd_epi16(p1, one)));
    }
    __m256i p0 = _mm256_maddubs_epi16(w0, x0), p1 = _mm256_maddubs_epi16(w1, x1);
    if (small) return _mm256_add_epi32(dot, _mm256_madd_epi16(_mm256_add_epi16(p0, p1), one)); /* at most 4 * 63 * 127 */
    return _mm256_add_epi32(dot, _mm256_add_epi32(_mm256_madd_epi16(p0, one), _mm256_madd_epi16(p1, one)));
}

/* Eight rows of one block of n tokens: the part of the sum that scales weigh, and the one of the minima. */
static inline __attribute__((always_inline)) void run_block(const struct ggl_kquant_format *f, const struct shape shape,
                                                            const bool small, const uint8_t *block, const int half, int64_t i,
                                                            const tile x, const int n, __m256 *s, __m256 *m)
{
    __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)f->table));
    const int parts = shape.parts, code_bytes = shape.bits == 6 ? 384 : 256;
    const int head = (shape.each ? 512 : 64 + 128 * parts) * (shape.mins ? 2 : 1);
    const uint8_t *scales = block + (shape.mins ? 128 : 64) + 8 * half, *mins = scales + 128 * parts;
    const uint8_t *codes = block + head + 32 * half;
    const int32_t bias = shape.large ? 0 : f->bias;
    if (shape.large) table = _mm256_sub_epi8(table, _mm256_set1_epi8((char)f->bias));
    for (int t = 0; t < n; t++) s[t] = m[t] = _mm256_setzero_ps();
    for (int b = 0; b < 8; b++, codes += code_bytes) {
        const int64_t at = 8 * i + b;
        __m256i sum[TOKENS];
        for (int t = 0; t < n; t++) sum[t] = _mm256_setzero_si256();
        for (int p = 0; p < parts; p++) {
            __m256i dot[TOKENS];
            for (int t = 0; t < n; t++) {
                int32_t sum_x = parts == 1 ? x[t].sums[at] : p ? x[t].sums[at] - x[t].halves[at] : x[t].halves[at];
                dot[t] = _mm256_set1_epi32(-bias * sum_x);
            }
            for (int j = 8 / parts * p; j < 8 / parts * (p + 1); j += 2) {
                __m256i w0 = load_values(shape.bits, codes, j, table), w1 = load_values(shape.bits, codes, j + 1, table);
                for (int t = 0; t < n; t++)
                    dot[t] = add_products(shape.large, small, dot[t], w0, w1, broadcast4(x[t].codes + 32 * at + 4 * j),
                                          broadcast4(x[t].codes + 32 * at + 4 * j + 4));
            }
            if (shape.each) {
                __m256 d = load_floats(block + 64 * b + 32 * half);
                __m256 min = shape.mins ? load_floats(block + 512 + 64 * b + 32 * half) : d;
                for (int t = 0; t < n; t++) {
                    const float scale = x[t].scales[at];
                    s[t] = _mm256_add_ps(s[t], _mm256_mul_ps(_mm256_cvtepi32_ps(dot[t]), _mm256_mul_ps(d, _mm256_set1_ps(scale))));
                    if (!shape.mins) continue;
                    m[t] = _mm256_add_ps(m[t], _mm256_mul_ps(min, _mm256_set1_ps((float)x[t].sums[at] * scale)));
                }
                continue;
            }
            __m256i scale = _mm256_cvtepi8_epi32(load8(scales + 16 * (parts * b + p)));
            for (int t = 0; t < n; t++) sum[t] = _mm256_add_epi32(sum[t], _mm256_mullo_epi32(dot[t], scale));
            if (!shape.mins) continue;
            __m256 min = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load8(mins + 16 * (parts * b + p))));
            for (int t = 0; t < n; t++) {
                int32_t sum_x = parts == 1 ? x[t].sums[at] : p ? x[t].sums[at] - x[t].halves[at] : x[t].halves[at];
                m[t] = _mm256_add_ps(m[t], _mm256_mul_ps(min, _mm256_set1_ps((float)sum_x * x[t].scales[at])));
            }
        }
        for (int t = 0; t < n && !shape.each; t++)
            s[t] = _mm256_add_ps(s[t], _mm256_mul_ps(_mm256_cvtepi32_ps(sum[t]), _mm256_set1_ps(x[t].scales[at])));
    }
}

static inline __attribute__((always_inline)) void run_tile(const struct ggl_kquant_format *f, const struct shape shape,
                                                           const uint8_t *panel, int64_t n_blocks, const tile x,
                                                           const int n, ggl_rows y[TOKENS])
{
    const bool small = shape.bits == 6 || shape.mins; /* 63 and 15: no other format of theirs has more */
    for (int64_t i = 0; i < n_blocks; i++, panel += ggl_kquant_panel_bytes(f, GGL_KQUANT_BLOCK)) {
        for (int half = 0; half < 2; half++) {
            __m256 s[TOKENS], m[TOKENS], d = load_floats(panel + 32 * half);
            run_block(f, shape, small, panel, half, i, x, n, s, m);
            for (int t = 0; t < n; t++) {
                __m256 part = shape.each ? s[t] : _mm256_mul_ps(d, s[t]);
                if (shape.each && shape.mins) part = _mm256_sub_ps(s[t], m[t]);
                else if (shape.mins) part = _mm256_sub_ps(part, _mm256_mul_ps(load_floats(panel + 64 + 32 * half), m[t]));
                y[t][half] = _mm256_add_ps(y[t][half], part);
            }
        }
    }
}

/* One function a shape: tiles of 1, 2 and 4 tokens. */
#define RUN(name, ...)                                                                                                 \
    static void run_##name(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, \
                           int n, ggl_rows y[TOKENS])                                                                 \
    {                                                                                                                  \
        const struct shape shape = {__VA_ARGS__};                                                                      \
        if (n == 1) run_tile(f, shape, panel, n_blocks, x, 1, y);                                                      \
        else if (n == 2) run_tile(f, shape, panel, n_blocks, x, 2, y);                                                 \
        else run_tile(f, shape, panel, n_blocks, x, 4, y);                                                             \
    }

RUN(4_1, 4, 1, false, false, false)
RUN(4_1_large, 4, 1, false, true, false)
RUN(4_1_min, 4, 1, true, false, false)
RUN(4_2, 4, 2, false, false, false)
RUN(4_2_min, 4, 2, true, false, false)
RUN(6_1_min, 6, 1, true, false, false)
RUN(6_2, 6, 2, false, false, false)
RUN(4_each_min, 4, 1, true, false, true)
RUN(6_each, 6, 1, false, false, true)
RUN(6_each_min, 6, 1, true, false, true)

typedef void run_fn(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, int n,
                    ggl_rows y[TOKENS]);

static run_fn *choose(const struct ggl_kquant_format *f)
{
    if (f->each) return f->bits == 4 ? run_4_each_min : f->mins ? run_6_each_min : run_6_each;
    if (f->bits == 6) return f->parts == 1 ? run_6_1_min : run_6_2;
    if (f->parts == 1) return f->mins ? run_4_1_min : f->most > 128 ? run_4_1_large : run_4_1;
    return f->mins ? run_4_2_min : run_4_2;
}

#include "kernels/kquant/tiles.h"

void ggl_kquant_mul_avx2(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                         int64_t y_stride, int n_rows)
{
    mul(f, panel, n, x, y, y_stride, n_rows);
}

/* ---- expanding */

#define X86_EXPAND(name, bytes, d_at) \
    x86_expand(f, x86_unpack_##name, bytes, d_at, rows, row_bytes, n_rows, n, panel); \
    break

void ggl_kquant_expand_avx2(const struct ggl_kquant_format *f, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n,
                            uint8_t *panel)
{
    switch (f->type) {
    case GGL_TYPE_Q2_K: X86_EXPAND(q2_k, 84, 80);
    case GGL_TYPE_Q3_K: X86_EXPAND(q3_k, 110, 108);
    case GGL_TYPE_Q4_K: X86_EXPAND(q4_k, 144, 0);
    case GGL_TYPE_Q5_K: X86_EXPAND(q5_k, 176, 0);
    case GGL_TYPE_Q6_K: X86_EXPAND(q6_k, 210, 208);
    case GGL_TYPE_IQ4_XS: X86_EXPAND(iq4_xs, 136, 0);
    case GGL_TYPE_IQ3_S: X86_EXPAND(iq3_s, 110, 0);
    case GGL_TYPE_IQ3_XXS: X86_EXPAND(iq3_xxs, 98, 0);
    case GGL_TYPE_IQ2_S: X86_EXPAND(iq2_s, 82, 0);
    case GGL_TYPE_IQ2_XS: X86_EXPAND(iq2_xs, 74, 0);
    case GGL_TYPE_IQ2_XXS: X86_EXPAND(iq2_xxs, 66, 0);
    case GGL_TYPE_IQ1_M: X86_EXPAND(iq1_m, 56, -1);
    case GGL_TYPE_IQ1_S: X86_EXPAND(iq1_s, 50, 0);
    default: ggl_kquant_expand_ref(f, rows, row_bytes, n_rows, n, panel); break; /* blocks of 32 */
    }
}
