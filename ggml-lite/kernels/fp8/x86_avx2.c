/*
 * AVX2 with F16C: an E4M3 code moved up by seven bits is a half 2^8 too small, denormals included, so the processor's
 * own conversion decodes it.  The factor goes into the tile's scale, which stays exact.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { TOKENS = 4 };

/* Sixteen codes: rows 4l .. 4l + 3, pair 0 in w[0], pair 1 in w[1]; inputs alternate. */
static inline void decode(const uint8_t *codes, __m256 w[2])
{
    __m256i c = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)codes));
    __m256i sign = _mm256_and_si256(_mm256_slli_epi16(c, 8), _mm256_set1_epi16((short)0x8000));
    __m256i rest = _mm256_slli_epi16(_mm256_and_si256(c, _mm256_set1_epi16(0x7f)), 7);
    __m256i half = _mm256_or_si256(sign, rest);
    w[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(half));
    w[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1));
}

/* x_a, x_b, x_a, x_b, ... as float. */
static inline __m256 pair_of(const uint16_t *x)
{
    int32_t v;
    memcpy(&v, x, 4);
    __m256i both = _mm256_set1_epi32(v);
    __m256i a = _mm256_slli_epi32(both, 16), b = _mm256_and_si256(both, _mm256_set1_epi32((int)0xffff0000));
    return _mm256_castsi256_ps(_mm256_blend_epi32(a, b, 0xaa));
}

/* s += products of the odd inputs, then of the even ones.  p0, p1: (row, input) products of rows 0..3 and 4..7. */
static inline __m256 add_pairs(__m256 s, __m256 p0, __m256 p1)
{
    s = _mm256_add_ps(s, _mm256_shuffle_ps(p0, p1, 0xdd));
    return _mm256_add_ps(s, _mm256_shuffle_ps(p0, p1, 0x88));
}

/* Rows come out as 0 1 4 5 | 2 3 6 7 within eight. */
static inline __m256 in_order(__m256 s)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(s), 0xd8));
}

static inline __attribute__((always_inline)) void run_tokens(const uint8_t *panel, int64_t n, const uint16_t *x,
                                                             int64_t x_stride, const int count, __m256 sum[TOKENS][2])
{
    const uint8_t *scales = panel + n * GGL_FP8_ROWS;
    for (int k = 0; k < count; k++) sum[k][0] = sum[k][1] = _mm256_setzero_ps();
    for (int64_t start = 0; start < n; start += GGL_FP8_TILE, scales += 4) {
        int64_t end = start + GGL_FP8_TILE < n ? start + GGL_FP8_TILE : n;
        float scale;
        memcpy(&scale, scales, 4);
        for (int half = 0; half < 2; half++) {
            __m256 s0[TOKENS], s1[TOKENS];
            for (int k = 0; k < count; k++) s0[k] = s1[k] = _mm256_setzero_ps();
            for (int64_t i = start; i < end; i += 4) {
                __m256 w0[2], w1[2];
                decode(panel + i * GGL_FP8_ROWS + 32 * half, w0);
                decode(panel + i * GGL_FP8_ROWS + 32 * half + 16, w1);
                for (int k = 0; k < count; k++) {
                    __m256 a = pair_of(x + k * x_stride + i), b = pair_of(x + k * x_stride + i + 2);
                    s0[k] = add_pairs(s0[k], _mm256_mul_ps(w0[0], a), _mm256_mul_ps(w1[0], a));
                    s1[k] = add_pairs(s1[k], _mm256_mul_ps(w0[1], b), _mm256_mul_ps(w1[1], b));
                }
            }
            for (int k = 0; k < count; k++)
                sum[k][half] = _mm256_add_ps(sum[k][half], _mm256_mul_ps(_mm256_add_ps(s0[k], s1[k]), _mm256_set1_ps(scale * 256.0f)));
        }
    }
}

void ggl_fp8_mul_avx2(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                      int64_t y_stride, int n_rows)
{
    for (int64_t k = 0; k < n_tokens;) {
        const uint16_t *v = x + k * x_stride;
        int64_t left = n_tokens - k;
        int count = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        __m256 sum[TOKENS][2];
        if (count == 4) run_tokens(panel, n, v, x_stride, 4, sum);
        else if (count == 2) run_tokens(panel, n, v, x_stride, 2, sum);
        else run_tokens(panel, n, v, x_stride, 1, sum);
        for (int i = 0; i < count; i++) {
            float all[16];
            _mm256_storeu_ps(all, in_order(sum[i][0]));
            _mm256_storeu_ps(all + 8, in_order(sum[i][1]));
            memcpy(y + (k + i) * y_stride, all, (size_t)n_rows * 4);
        }
        k += count;
    }
}

/* Nearest even by integer arithmetic; a NaN keeps its sign and upper bits and is made quiet. */
void ggl_act_bf16_avx2(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256i bits = _mm256_castps_si256(v);
        __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff))), 16);
        __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(64));
        __m256i h = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(h, h), 0x08);
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm256_castsi256_si128(packed));
    }
    for (; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        out[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 64
                                                               : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}
