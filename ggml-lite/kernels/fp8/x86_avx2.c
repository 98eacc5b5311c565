/*
 * AVX2 with F16C: an E4M3 code moved up by seven bits is a half 2^8 too small, denormals included, so the processor's
 * own conversion decodes it.  The factor goes into the tile's scale, which stays exact.
 *
 * In a panel of this level inputs lie in pairs: byte 2r + i of 32 is row r and input i of the two.  A byte product with
 * 128 and 0 moves the codes of one input up, signs included, and leaves those of the other out.  Halves are stored and
 * converted as they are loaded: from a register that takes a shuffle for each, and another for the upper eight.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/fetch.h"
#include "kernels/fp8/flags.h"
#include "kernels/math/x86_avx2.h"

enum {
    ROWS = GGL_FP8_ROWS,
    TILE = GGL_FP8_TILE,
    FEW = 3,    /* tokens whose four sums each fit into the registers */
    MANY = 5,   /* tokens at a time of more: one of the two sums after the other */
    CHUNK = 50, /* tokens that a tile is decoded for */
    AHEAD = 16  /* inputs that are decoded ahead for few tokens */
};

/* ---- packing */

/* Words r of rows r and r + 8 -> 16 rows of one pair of inputs a vector. */
static inline void transpose_words(__m256i w[8])
{
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(w[2 * i], w[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(w[2 * i], w[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            b[4 * i + 2 * j] = _mm256_unpacklo_epi32(a[4 * i + j], a[4 * i + 2 + j]);
            b[4 * i + 2 * j + 1] = _mm256_unpackhi_epi32(a[4 * i + j], a[4 * i + 2 + j]);
        }
    }
    for (int j = 0; j < 4; j++) {
        w[2 * j] = _mm256_unpacklo_epi64(b[j], b[4 + j]);
        w[2 * j + 1] = _mm256_unpackhi_epi64(b[j], b[4 + j]);
    }
}

void ggl_fp8_pack_avx2(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    int64_t i = 0;
    for (; n_rows == ROWS && i + 16 <= n; i += 16) {
        __m256i w[8];
        for (int r = 0; r < 8; r++) {
            __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(rows + r * row_bytes + i));
            __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(rows + (r + 8) * row_bytes + i));
            w[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        }
        transpose_words(w);
        for (int p = 0; p < 8; p++) _mm256_storeu_si256((__m256i *)(void *)(panel + i * ROWS + 32 * p), w[p]);
    }
    memset(panel + i * ROWS, 0, (size_t)((n - i) * ROWS));
    for (; i < n; i += 2)
        for (int r = 0; r < n_rows; r++) memcpy(panel + i * ROWS + 2 * r, rows + r * row_bytes + i, 2);
    ggl_fp8_write_flags(rows, row_bytes, n_rows, n, panel);
}

/* ---- decoding */

/* Codes of n inputs -> halves, 32 bytes an input. */
static inline __attribute__((always_inline)) void decode(const uint8_t *codes, int n, uint8_t *halves)
{
    const __m256i mask = _mm256_set1_epi16((short)0xbf80); /* without the second copy of the sign */
    const __m256i first = _mm256_set1_epi16(0x0080), second = _mm256_set1_epi16((short)0x8000);
    for (int i = 0; i < n; i += 2) {
        __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i * ROWS));
        __asm__("" : "+x"(c)); /* one load, not one for each use */
        __m256i *to = (__m256i *)(void *)(halves + 2 * i * ROWS);
        _mm256_store_si256(to, _mm256_and_si256(_mm256_maddubs_epi16(first, c), mask));
        _mm256_store_si256(to + 1, _mm256_and_si256(_mm256_maddubs_epi16(second, c), mask));
    }
}

/* Eight rows of an input; `half` of the rows is 0 or 1. */
static inline __m256 weights(const uint8_t *halves, int i, int half)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)(halves + 2 * i * ROWS + 16 * half)));
}

/* Input i + odd of a token as float. */
static inline __m256 input(const uint16_t *x, int i, const int odd)
{
    int32_t both;
    memcpy(&both, x + i, 4);
    __m256i v = _mm256_set1_epi32(both);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(v, _mm256_set1_epi32((int)0xffff0000)) : _mm256_slli_epi32(v, 16));
}

/* ---- multiplying; s[k][half]: sums of token k, eight rows each */

/* Inputs i and i + 1 of `count` tokens, the second one first. */
static inline __attribute__((always_inline)) void add_pair(const uint8_t *halves, const uint16_t *x, int64_t x_stride, int i,
                                                           const int count, __m256 s[][2])
{
    for (int odd = 1; odd >= 0; odd--) {
        __m256 w0 = weights(halves, i + odd, 0), w1 = weights(halves, i + odd, 1);
        for (int k = 0; k < count; k++) {
            __m256 v = input(x + k * x_stride, i, odd);
            s[k][0] = _mm256_fmadd_ps(w0, v, s[k][0]);
            s[k][1] = _mm256_fmadd_ps(w1, v, s[k][1]);
            if (count > FEW) __asm__("" ::: "memory"); /* one at a time: five tokens leave no registers for more */
        }
    }
}

static inline __attribute__((always_inline)) void set_zero(__m256 s[][2], const int count)
{
    for (int k = 0; k < count; k++) s[k][0] = s[k][1] = _mm256_setzero_ps();
}

/* sum += (s0 + s1) * scale */
static inline __attribute__((always_inline)) void add_tile(__m256 sum[][2], __m256 s0[][2], __m256 s1[][2], const int count,
                                                           float scale)
{
    for (int k = 0; k < count; k++)
        for (int half = 0; half < 2; half++) {
            __m256 p = _mm256_mul_ps(_mm256_add_ps(s0[k][half], s1[k][half]), _mm256_set1_ps(scale * 256.0f));
            sum[k][half] = _mm256_add_ps(sum[k][half], p);
        }
}

static inline float scale_of(const uint8_t *panel, int64_t n, int64_t i)
{
    float scale;
    memcpy(&scale, panel + n * ROWS + i / TILE * 4, 4);
    return scale;
}

static inline int64_t end_of_tile(int64_t i, int64_t n)
{
    return i + TILE < n ? i + TILE : n;
}

/* Decoding runs ahead of multiplying, so that the stores are done when their halves are loaded. */
static inline __attribute__((always_inline)) void run_few(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride,
                                                          const int count, __m256 sum[][2], const struct ggl_fetch fetch)
{
    _Alignas(32) uint8_t ring[2 * AHEAD * ROWS];
    for (int64_t i = 0; i < AHEAD && i < n; i += 4) decode(panel + i * ROWS, 4, ring + 2 * i * ROWS);
    for (int64_t i = 0; i < n;) {
        __m256 s0[FEW][2], s1[FEW][2];
        float scale = scale_of(panel, n, i);
        int64_t end = end_of_tile(i, n);
        set_zero(s0, count);
        set_zero(s1, count);
        for (; i < end; i += 4) {
            uint8_t *halves = ring + 2 * (i % AHEAD) * ROWS;
            int64_t ahead = i + AHEAD < n ? i + AHEAD : n - 4;
            ggl_fetch_line(fetch, panel + i * ROWS);
            add_pair(halves, x + i, x_stride, 0, count, s0);
            add_pair(halves, x + i, x_stride, 2, count, s1);
            decode(panel + ahead * ROWS, 4, halves);
        }
        add_tile(sum, s0, s1, count, scale);
    }
}

/* One tile of n inputs for up to five tokens. */
static inline __attribute__((always_inline)) void run_block(const uint8_t *halves, int n, const uint16_t *x, int64_t x_stride,
                                                            const int count, float scale, __m256 sum[][2])
{
    __m256 s0[MANY][2], s1[MANY][2];
    set_zero(s0, count);
    for (int i = 0; i < n; i += 4) add_pair(halves, x, x_stride, i, count, s0);
    set_zero(s1, count);
    for (int i = 2; i < n; i += 4) add_pair(halves, x, x_stride, i, count, s1);
    add_tile(sum, s0, s1, count, scale);
}

static void run_many(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int n_tokens, __m256 sum[][2])
{
    _Alignas(32) uint8_t halves[2 * TILE * ROWS];
    for (int64_t tile = 0; tile < n; tile += TILE) {
        int inputs = (int)(end_of_tile(tile, n) - tile);
        float scale = scale_of(panel, n, tile);
        decode(panel + tile * ROWS, inputs, halves);
        for (int k = 0, count; k < n_tokens; k += count) {
            int left = n_tokens - k;
            const uint16_t *v = x + k * x_stride + tile;
            count = left >= 2 * MANY || left == MANY ? MANY : left > MANY ? (left + 1) / 2 : left;
            switch (count) {
            case 5: run_block(halves, inputs, v, x_stride, 5, scale, sum + k); break;
            case 4: run_block(halves, inputs, v, x_stride, 4, scale, sum + k); break;
            case 3: run_block(halves, inputs, v, x_stride, 3, scale, sum + k); break;
            case 2: run_block(halves, inputs, v, x_stride, 2, scale, sum + k); break;
            default: run_block(halves, inputs, v, x_stride, 1, scale, sum + k); break;
            }
        }
    }
}

static void mul_panel(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                      int64_t y_stride, int n_rows, bool more)
{
    const struct ggl_fetch none = {0, 0};
    int old = more ? n_rows : 0;
    for (int64_t k = 0; k < n_tokens;) {
        const uint16_t *v = x + k * x_stride;
        int64_t left = n_tokens - k;
        int count = left < CHUNK ? (int)left : CHUNK;
        __m256 sum[CHUNK][2];
        for (int i = 0; i < count; i++) ggl_load_rows(y + (k + i) * y_stride, old, sum[i]);
        if (count > FEW) run_many(panel, n, v, x_stride, count, sum);
        else if (count == 3) run_few(panel, n, v, x_stride, 3, sum, none);
        else if (count == 2) run_few(panel, n, v, x_stride, 2, sum, none);
        else run_few(panel, n, v, x_stride, 1, sum, none);
        for (int i = 0; i < count; i++) ggl_store_rows(y + (k + i) * y_stride, n_rows, sum[i]);
        k += count;
    }
    ggl_fp8_spoil(panel, n, n_tokens, y, y_stride, n_rows);
}

void ggl_fp8_mul_avx2(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                      int64_t y_stride, int n_rows, bool more)
{
    for (int r = 0; r < n_rows; r += GGL_FP8_ROWS, panel += ggl_fp8_panel_bytes(n))
        mul_panel(panel, n, x, x_stride, n_tokens, y + r, y_stride, n_rows - r < GGL_FP8_ROWS ? n_rows - r : GGL_FP8_ROWS, more);
}

/* One token's panels are fetched ahead. */
void ggl_fp8_mul_avx2fetch(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                           int64_t y_stride, int n_rows, bool more)
{
    const struct ggl_fetch ahead = {6144, 1024};
    if (n_tokens != 1) {
        ggl_fp8_mul_avx2(panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
        return;
    }
    for (int r = 0; r < n_rows; r += ROWS, panel += ggl_fp8_panel_bytes(n)) {
        int rows = n_rows - r < ROWS ? n_rows - r : ROWS;
        __m256 sum[1][2];
        ggl_load_rows(y + r, more ? rows : 0, sum[0]);
        run_few(panel, n, x, x_stride, 1, sum, ahead);
        ggl_store_rows(y + r, rows, sum[0]);
        ggl_fp8_spoil(panel, n, 1, y + r, y_stride, rows);
    }
}

void ggl_fp8_pack_avx2fetch(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    ggl_fp8_pack_avx2(rows, row_bytes, n_rows, n, panel);
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

void ggl_act_fp8_avx2(const float *x, int64_t n, uint16_t *out)
{
    ggl_act_bf16_avx2(x, n, out);
    ggl_act_fp8_put_scale(out, n, 1);
}
