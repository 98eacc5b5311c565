/*
 * AVX2: eight rows at a time.  A block's nibbles become 32 biased weights, their products eight partial sums, and a
 * tree over the eight rows one integer a row, so that scaling and summing go on with a row a lane.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>


enum { BLOCK = 32, BLOCK_BYTES = 17 };

static inline __m256i biased_table(void)
{
    return _mm256_broadcastsi128_si256(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

/* The 32 biased weights of a block, in order. */
static inline __m256i unpack(const uint8_t *block, __m256i table)
{
    __m128i packed = _mm_loadu_si128((const __m128i *)(const void *)(block + 1));
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(packed), _mm_srli_epi16(packed, 4), 1);
    return _mm256_shuffle_epi8(table, _mm256_and_si256(both, _mm256_set1_epi8(15)));
}

/* d[r]: eight partial sums of row r -> one sum a row. */
static inline __m256i add_up(const __m256i d[8])
{
    __m256i q[2];
    for (int i = 0; i < 2; i++) {
        __m256i s[2];
        for (int j = 0; j < 2; j++) {
            __m256i x = d[4 * i + 2 * j], y = d[4 * i + 2 * j + 1];
            s[j] = _mm256_add_epi32(_mm256_unpacklo_epi32(x, y), _mm256_unpackhi_epi32(x, y));
        }
        q[i] = _mm256_add_epi32(_mm256_unpacklo_epi64(s[0], s[1]), _mm256_unpackhi_epi64(s[0], s[1]));
    }
    return _mm256_add_epi32(_mm256_permute2x128_si256(q[0], q[1], 0x20), _mm256_permute2x128_si256(q[0], q[1], 0x31));
}

/* Eight exponent bytes -> 2^(e - 128), the denormal ones as zero. */
static inline __m256 half_scales(const uint8_t *e)
{
    __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)e)), one = _mm256_set1_epi32(1);
    __m256i bits = _mm256_slli_epi32(_mm256_sub_epi32(v, one), 23);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_cmpgt_epi32(v, one), bits));
}

void ggl_mxfp4_rows_avx2(const uint8_t *rows, int64_t row_bytes, int64_t n, const int8_t *x, float *y)
{
    const __m256i table = biased_table();
    const float *scales = ggl_act_q8_scales(x, n);
    const int32_t *sums = ggl_act_q8_sums(x, n);
    for (int half = 0; half < 2; half++) {
        const uint8_t *p = rows + 8 * half * row_bytes;
        __m256 sum = _mm256_setzero_ps();
        for (int64_t b = 0; b < n / BLOCK; b++, p += BLOCK_BYTES) {
            __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)(x + b * BLOCK)), d[8];
            uint8_t e[8];
            for (int r = 0; r < 8; r++) {
                e[r] = p[r * row_bytes];
                d[r] = _mm256_madd_epi16(_mm256_maddubs_epi16(unpack(p + r * row_bytes, table), codes), _mm256_set1_epi16(1));
            }
            __m256i dot = _mm256_sub_epi32(add_up(d), _mm256_set1_epi32(GGL_MXFP4_BIAS * sums[b]));
            __m256 s = _mm256_mul_ps(half_scales(e), _mm256_set1_ps(scales[b]));
            sum = _mm256_add_ps(sum, _mm256_mul_ps(_mm256_cvtepi32_ps(dot), s));
        }
        _mm256_storeu_ps(y + 8 * half, sum);
    }
}

/* Eight rows of eight dwords -> eight vectors of one dword a row. */
static inline void transpose(__m256i w[8])
{
    __m256i s[8], q[8];
    for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm256_unpacklo_epi32(w[2 * i], w[2 * i + 1]);
        s[2 * i + 1] = _mm256_unpackhi_epi32(w[2 * i], w[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            q[4 * i + 2 * j] = _mm256_unpacklo_epi64(s[4 * i + j], s[4 * i + 2 + j]);
            q[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(s[4 * i + j], s[4 * i + 2 + j]);
        }
    }
    for (int j = 0; j < 4; j++) {
        w[j] = _mm256_permute2x128_si256(q[j], q[4 + j], 0x20);
        w[4 + j] = _mm256_permute2x128_si256(q[j], q[4 + j], 0x31);
    }
}

void ggl_mxfp4_expand_avx2(const uint8_t *rows, int64_t row_bytes, int64_t n, uint8_t *panel)
{
    const __m256i table = biased_table();
    for (int64_t b = 0; b < n / BLOCK; b++, panel += 64 + 16 * BLOCK) {
        for (int half = 0; half < 2; half++) {
            const uint8_t *p = rows + 8 * half * row_bytes + b * BLOCK_BYTES;
            __m256i w[8];
            uint8_t e[8];
            for (int r = 0; r < 8; r++) {
                e[r] = p[r * row_bytes];
                w[r] = unpack(p + r * row_bytes, table);
            }
            transpose(w);
            _mm256_storeu_ps((float *)(void *)(panel + 32 * half), half_scales(e));
            for (int j = 0; j < 8; j++) _mm256_storeu_si256((__m256i *)(void *)(panel + 64 + 64 * j + 32 * half), w[j]);
        }
    }
}
