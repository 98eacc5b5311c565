/*
 * AVX-512 with VNNI.  A tile is one panel by up to TOKENS tokens: codes are unpacked once a tile, activations are broadcast
 * from memory by the dot-product instruction itself.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "kernels/x86_bytes512.h"

enum { TOKENS = 8 };

typedef struct ggl_act_q8_row tile[TOKENS];

/* What a specialised tile knows of its format. */
struct shape {
    int bits, parts;
    bool mins, each;
};

static inline __m128i load16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __m512 load_floats(const uint8_t *p)
{
    return _mm512_loadu_ps((const float *)(const void *)p);
}

/* Values of inputs 4j .. 4j + 3 of 32. */
static inline __attribute__((always_inline)) __m512i load_values(const int bits, const uint8_t *codes, const int j, __m512i table)
{
    __m512i v = _mm512_loadu_si512(codes + 64 * (j & 3));
    if (j >= 4) v = _mm512_srli_epi16(v, 4);
    v = _mm512_and_si512(v, _mm512_set1_epi8(15));
    if (bits == 4) return _mm512_shuffle_epi8(table, v);
    __m512i high = _mm512_loadu_si512(codes + 256 + 64 * (j >> 2));
    switch (j & 3) {
    case 0: high = _mm512_slli_epi16(high, 4); break;
    case 1: high = _mm512_slli_epi16(high, 2); break;
    case 2: break;
    default: high = _mm512_srli_epi16(high, 2); break;
    }
    return _mm512_ternarylogic_epi32(v, high, _mm512_set1_epi8(0x30), 0xf8); /* v | (high & 0x30) */
}

/* The sums of activations of each part of a block, scaled: what minima are multiplied with. */
static inline __attribute__((always_inline)) void scale_sums(const int parts, const tile x, int t, int64_t b, float out[16])
{
    __m256 scale = _mm256_loadu_ps(x[t].scales + b);
    __m256i sum = _mm256_loadu_si256((const __m256i *)(const void *)(x[t].sums + b));
    if (parts == 1) {
        _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale));
        return;
    }
    __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)(x[t].halves + b));
    _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_cvtepi32_ps(half), scale));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(sum, half)), scale));
}

static inline __attribute__((always_inline)) void run_tile(const struct ggl_kquant_format *f, const struct shape shape,
                                                           const uint8_t *panel, int64_t n_blocks, const tile x,
                                                           const int n, __m512 *y)
{
    const __m512i table = _mm512_broadcast_i32x4(load16(f->table));
    const int parts = shape.parts, code_bytes = shape.bits == 6 ? 384 : 256;
    const int head = (shape.each ? 512 : 64 + 128 * parts) * (shape.mins ? 2 : 1);
    const int32_t bias = f->bias;
    for (int64_t i = 0; i < n_blocks; i++, panel += head + 8 * code_bytes) {
        const uint8_t *scales = panel + (shape.mins ? 128 : 64), *mins = scales + 128 * parts, *codes = panel + head;
        __m512 s[TOKENS], m[TOKENS];
        float sums[TOKENS][16];
        for (int t = 0; t < n; t++) {
            s[t] = m[t] = _mm512_setzero_ps();
            if (shape.mins) scale_sums(parts, x, t, 8 * i, sums[t]);
        }
        for (int b = 0; b < 8; b++, codes += code_bytes) {
            const int64_t at = 8 * i + b;
            __m512i dot[TOKENS], sum[TOKENS];
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) {
                if (j == 0)
                    for (int t = 0; t < n; t++) dot[t] = _mm512_set1_epi32(-bias * (parts == 1 ? x[t].sums[at] : x[t].halves[at]));
                if (j == 4 && parts == 2) {
                    __m512i scale = _mm512_cvtepi8_epi32(load16(scales + 32 * b));
                    for (int t = 0; t < n; t++) {
                        sum[t] = _mm512_mullo_epi32(dot[t], scale);
                        dot[t] = _mm512_set1_epi32(-bias * (x[t].sums[at] - x[t].halves[at]));
                    }
                }
                __m512i w = load_values(shape.bits, codes, j, table);
                for (int t = 0; t < n; t++)
                    dot[t] = _mm512_dpbusd_epi32(dot[t], w, broadcast4(x[t].codes + 32 * at + 4 * j));
            }
            if (shape.each) {
                __m512 d = load_floats(panel + 64 * b), min = shape.mins ? load_floats(panel + 512 + 64 * b) : d;
                for (int t = 0; t < n; t++) {
                    __m512 scale_x = _mm512_mul_ps(d, _mm512_set1_ps(x[t].scales[at]));
                    s[t] = _mm512_add_ps(s[t], _mm512_mul_ps(_mm512_cvtepi32_ps(dot[t]), scale_x));
                    if (shape.mins) m[t] = _mm512_add_ps(m[t], _mm512_mul_ps(min, _mm512_set1_ps(sums[t][b])));
                }
                continue;
            }
            __m512i scale = _mm512_cvtepi8_epi32(load16(scales + 16 * (parts * b + parts - 1)));
            for (int t = 0; t < n; t++) {
                dot[t] = _mm512_mullo_epi32(dot[t], scale);
                if (parts == 2) dot[t] = _mm512_add_epi32(dot[t], sum[t]);
                s[t] = _mm512_add_ps(s[t], _mm512_mul_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_set1_ps(x[t].scales[at])));
            }
            for (int p = 0; shape.mins && p < parts; p++) {
                __m512 min = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load16(mins + 16 * (parts * b + p))));
                for (int t = 0; t < n; t++) m[t] = _mm512_add_ps(m[t], _mm512_mul_ps(min, _mm512_set1_ps(sums[t][8 * p + b])));
            }
        }
        __m512 d = load_floats(panel);
        for (int t = 0; t < n; t++) {
            __m512 part = shape.each ? s[t] : _mm512_mul_ps(d, s[t]);
            if (shape.each && shape.mins) part = _mm512_sub_ps(s[t], m[t]);
            else if (shape.mins) part = _mm512_sub_ps(part, _mm512_mul_ps(load_floats(panel + 64), m[t]));
            y[t] = _mm512_add_ps(y[t], part);
        }
    }
}

/* One function a shape: tiles of 1, 2, 4 and 8 tokens. */
#define RUN(name, ...)                                                                                                 \
    static void run_##name(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, \
                           int n, __m512 *y)                                                                           \
    {                                                                                                                  \
        const struct shape shape = {__VA_ARGS__};                                                                      \
        if (n == 1) run_tile(f, shape, panel, n_blocks, x, 1, y);                                                      \
        else if (n == 2) run_tile(f, shape, panel, n_blocks, x, 2, y);                                                 \
        else if (n == 4) run_tile(f, shape, panel, n_blocks, x, 4, y);                                                 \
        else run_tile(f, shape, panel, n_blocks, x, 8, y);                                                             \
    }

RUN(4_1, 4, 1, false, false)
RUN(4_1_min, 4, 1, true, false)
RUN(4_2, 4, 2, false, false)
RUN(4_2_min, 4, 2, true, false)
RUN(6_1_min, 6, 1, true, false)
RUN(6_2, 6, 2, false, false)
RUN(4_each_min, 4, 1, true, true)
RUN(6_each, 6, 1, false, true)
RUN(6_each_min, 6, 1, true, true)

typedef void run_fn(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, int n,
                    __m512 *y);

static run_fn *choose(const struct ggl_kquant_format *f)
{
    if (f->each) return f->bits == 4 ? run_4_each_min : f->mins ? run_6_each_min : run_6_each;
    if (f->bits == 6) return f->parts == 1 ? run_6_1_min : run_6_2;
    if (f->parts == 1) return f->mins ? run_4_1_min : run_4_1;
    return f->mins ? run_4_2_min : run_4_2;
}

static void mul_one(const struct ggl_kquant_format *f, run_fn *run, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x,
                    float *y, int64_t y_stride, int n_rows)
{
    __mmask16 rows = (__mmask16)((1u << n_rows) - 1), old = x->begin ? rows : 0;
    for (int64_t t = 0, count; t < x->n_tokens; t += count, y += count * y_stride) {
        int64_t left = x->n_tokens - t;
        tile v;
        __m512 sum[TOKENS];
        count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        for (int64_t i = 0; i < count; i++) {
            v[i] = ggl_act_q8_row(x, t + i);
            sum[i] = _mm512_maskz_loadu_ps(old, y + i * y_stride);
        }
        run(f, panel, n / GGL_KQUANT_BLOCK, v, (int)count, sum);
        for (int64_t i = 0; i < count; i++) _mm512_mask_storeu_ps(y + i * y_stride, rows, sum[i]);
    }
}

void ggl_kquant_mul_avx512(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                           int64_t y_stride, int n_rows)
{
    run_fn *run = choose(f);
    for (int r = 0; r < n_rows; r += GGL_KQUANT_ROWS, panel += ggl_kquant_panel_bytes(f, n))
        mul_one(f, run, panel, n, x, y + r, y_stride, n_rows - r < GGL_KQUANT_ROWS ? n_rows - r : GGL_KQUANT_ROWS);
}
