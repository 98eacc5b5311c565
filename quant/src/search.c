/* What search.h describes: blocks in their own unit, groups side by side, and the searches over one group. */
#include "search.h"
#include <float.h>
#include <math.h>
#include <string.h>
#include "quant/isa.h"
#include "quant/quant.h"

enum { SUMS = 8 }; /* side by side */

/* ---- blocks */

static void put_nan(uint8_t *out, int at)
{
    if (at != GGL_NO_FIELD) ggl_store_u16(out + at, GGL_F16_NAN_BITS);
}

bool ggl_block_begin(struct ggl_block *b, float *room, const float *x, int n, uint8_t *out, uint32_t bytes, int d_at,
                     int m_at)
{
    uint32_t amax = ggl_amax_bits(x, n);
    memset(out, 0, bytes);
    if (amax >= GGL_F32_INF_BITS) {
        put_nan(out, d_at);
        put_nan(out, m_at);
        return false;
    }
    int e = (int)(amax >> 23) - 127;
    if (e < -30) return false; /* the smallest half is 2^-24 */
    e = e < 126 ? e : 126;
    b->x = room;
    b->w = room + n;
    b->n = n;
    b->unit = ggl_pow2(e);
    b->inverse = ggl_pow2(-e);
    for (int i = 0; i < n; i++) b->x[i] = x[i] * b->inverse;
    return true;
}

void ggl_block_weigh_squares(struct ggl_block *b)
{
    for (int i = 0; i < b->n; i++) b->w[i] = b->x[i] * b->x[i];
}

/* In units of a power of two near the largest, which changes no choice. */
static void load_weights(float *restrict w, const float *weights, int n)
{
    float top = 0;
    for (int i = 0; i < n; i++) {
        float v = weights[i];
        w[i] = v > 0 && v <= FLT_MAX ? v : 0;
        top = w[i] > top ? w[i] : top;
    }
    int e = (int)(ggl_bits_of(top) >> 23) - 127;
    float inverse = ggl_pow2(e < -126 ? 126 : e > 126 ? -126 : -e);
    for (int i = 0; i < n; i++) w[i] = top > 0 ? w[i] * inverse : 1;
}

void ggl_block_weigh(struct ggl_block *b, const float *weights, float mean_square, int group)
{
    load_weights(b->w, weights, b->n);
    for (int i = 0; i < b->n; i += group) {
        float top = 0;
        for (int j = i; j < i + group; j++) top = b->w[j] > top ? b->w[j] : top;
        for (int j = i; j < i + group && !(top > 0); j++) b->w[j] = 1;
    }
    for (int i = 0; i < b->n && mean_square >= 0; i++) b->w[i] *= sqrtf(mean_square + b->x[i] * b->x[i]);
}

float ggl_block_mean_square(const struct ggl_block *b)
{
    float sum[SUMS] = {0};
    for (int i = 0; i < b->n; i += SUMS)
        for (int j = 0; j < SUMS; j++) sum[j] += b->x[i + j] * b->x[i + j];
    return ggl_sum_lanes(sum) / (float)b->n;
}

double ggl_row_mean_square(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return n > 0 && sum <= DBL_MAX ? sum / (double)n : 0; /* infinities are found where they are */
}

float ggl_block_of_square(const struct ggl_block *b, double square)
{
    double s = square * (double)b->inverse * (double)b->inverse;
    return s < 0x1p60 ? (float)s : 0x1p60f; /* large enough for x^2 not to matter */
}

uint16_t ggl_block_half(const struct ggl_block *b, float v)
{
    return ggl_f16_from_f32(v * b->unit);
}

float ggl_block_of_half(const struct ggl_block *b, uint16_t half)
{
    return ggl_f16_decode(half) * b->inverse;
}

/* ---- groups side by side */

void ggl_lanes_begin(struct ggl_lanes *lanes, int n, int n_groups)
{
    lanes->n = n;
    lanes->n_groups = n_groups;
    if (n_groups == GGL_LANES) return;
    memset(lanes->x, 0, (size_t)n * GGL_LANES * sizeof(float));
    memset(lanes->w, 0, (size_t)n * GGL_LANES * sizeof(float));
}

void ggl_lanes_load(struct ggl_lanes *lanes, int g, const float *x, const float *w)
{
    for (int i = 0; i < lanes->n; i++) {
        lanes->x[GGL_LANES * i + g] = x[i];
        lanes->w[GGL_LANES * i + g] = w[i];
    }
}

void ggl_lanes_load_block(struct ggl_lanes *lanes, int g, const struct ggl_block *b, int n_groups)
{
    for (int k = 0; k < n_groups; k++) ggl_lanes_load(lanes, g + k, b->x + lanes->n * k, b->w + lanes->n * k);
}

bool ggl_batch_begin(struct ggl_batch *batch, const float *x, int64_t n, int block_elems, int group, uint8_t *out,
                     uint32_t bytes, int d_at, int m_at)
{
    const int most = GGL_LANES * group;
    int n_used = 0;
    batch->n_groups = block_elems / group;
    batch->n_blocks = (int)(n < most ? n : most) / block_elems;
    for (int k = 0; k < batch->n_blocks; k++, x += block_elems, out += bytes) {
        float *room = batch->room + 2 * block_elems * k;
        batch->used[k] = ggl_block_begin(&batch->blocks[k], room, x, block_elems, out, bytes, d_at, m_at);
        n_used += batch->used[k];
    }
    ggl_lanes_begin(&batch->lanes, group, n_used * batch->n_groups); /* zeros where a block is not used */
    batch->lanes.n_groups = batch->n_blocks * batch->n_groups;
    return n_used > 0;
}

void ggl_batch_load(struct ggl_batch *batch)
{
    const int n = batch->n_groups;
    for (int k = 0; k < batch->n_blocks; k++)
        if (batch->used[k]) ggl_lanes_load_block(&batch->lanes, k * n, &batch->blocks[k], n);
}

void ggl_put_symmetric(const struct ggl_found *found, int g, int top, const float *x, int n, uint8_t *codes)
{
    float t = (float)top, inverse = found->inverse[g];
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)(int)(ggl_code_within(inverse * x[i], -t, t - 1) + t);
}

void ggl_put_affine(const struct ggl_found *found, int g, int top, const float *x, int n, uint8_t *codes)
{
    float inverse = found->inverse[g], min = found->code_min[g];
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)(int)ggl_code_within(inverse * (x[i] - min), 0, (float)top);
}

const struct ggl_searches *ggl_searches_pick(uint64_t isa)
{
#if defined(__x86_64__) && !defined(GGL_PLAIN_C)
    if (isa & GGL_ISA_AVX512) return &ggl_searches_avx512;
    if (isa & GGL_ISA_AVX2) return &ggl_searches_avx2;
#endif
    (void)isa;
    return &ggl_searches_c;
}

/* ---- one code at a time */

/* How well codes l fit: the best scale is lx / l2, and explains lx^2 / l2 of the sum of w x^2. */
struct fit {
    float lx, l2;
};

/* l[i] is changed to the best whole number beside all others, if the fit gets better; at most five times round. */
static void step_codes(const float *x, const float *w, int n, float low, float high, float *l, struct fit *f)
{
    for (int round = 0; round < 5; round++) {
        int n_changed = 0;
        for (int i = 0; i < n; i++) {
            float wx = w[i] * x[i];
            struct fit rest = {f->lx - wx * l[i], f->l2 - w[i] * l[i] * l[i]};
            if (!(rest.lx > 0 && rest.l2 > 0)) continue;
            /* Most codes stay; away from a half this can be told without a division. */
            float off = x[i] * rest.l2 - l[i] * rest.lx;
            if (fabsf(off) < 0.499f * rest.lx) continue;
            float code = ggl_code_within(x[i] * rest.l2 / rest.lx, low, high);
            if (code == l[i]) continue;
            rest.lx += wx * code;
            rest.l2 += w[i] * code * code;
            if (!(rest.l2 > 0 && rest.lx * rest.lx * f->l2 > f->lx * f->lx * rest.l2)) continue;
            l[i] = code;
            *f = rest;
            n_changed++;
        }
        if (!n_changed) break;
    }
}

static float extreme_of(const float *x, int n)
{
    float amax = 0, extreme = 0;
    for (int i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        if (a > amax) amax = a, extreme = x[i];
    }
    return amax < GGL_GROUP_EPS ? 0 : extreme;
}

float ggl_search_symmetric_steps(const float *x, int n, int top, uint8_t *codes)
{
    float extreme = extreme_of(x, n), inverse = extreme != 0 ? -(float)top / extreme : 0;
    float l[GGL_GROUP_MAX] = {0}, w[GGL_GROUP_MAX] = {0};
    struct fit f = {0, 0};
    for (int i = 0; i < n; i++) {
        w[i] = x[i] * x[i];
        l[i] = ggl_code_within(inverse * x[i], -(float)top, (float)top - 1);
        f.lx += w[i] * x[i] * l[i];
        f.l2 += w[i] * l[i] * l[i];
    }
    step_codes(x, w, n, -(float)top, (float)top - 1, l, &f);
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)((int)l[i] + top);
    return f.l2 > 0 ? f.lx / f.l2 : 0;
}

/* ---- not negative: the scales of groups */

float ggl_round_positive(const float *x, int n, int top, uint8_t *codes)
{
    float max = 0;
    for (int i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    float inverse = max > 0 ? (float)top / max : 0;
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)(int)ggl_code_within(inverse * x[i], 0, (float)top);
    return max / (float)top;
}

uint16_t ggl_quantise_positive(const struct ggl_block *b, const float *x, const float *w, int n, int top, uint8_t *codes)
{
    return ggl_block_half(b, w ? ggl_search_positive(x, w, n, top, codes) : ggl_round_positive(x, n, top, codes));
}

static float error_positive(const float *restrict x, const float *restrict w, int n, float top, float inverse)
{
    float sum = 0, scale = 1 / inverse;
    for (int i = 0; i < n; i++) {
        float e = x[i] - scale * ggl_code_within(inverse * x[i], 0, top);
        sum += w[i] * e * e;
    }
    return sum;
}

float ggl_search_positive(const float *x, const float *w, int n, int top, uint8_t *codes)
{
    float max = 0, t = (float)top, l[GGL_GROUP_MAX];
    for (int i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    for (int i = 0; i < n; i++) codes[i] = 0;
    if (max < GGL_GROUP_EPS) return 0;
    float inverse = t / max, least = error_positive(x, w, n, t, inverse);
    for (int k = -4; k <= 4; k++) {
        float candidate = (0.1f * (float)k + t) / max;
        float error = k ? error_positive(x, w, n, t, candidate) : least;
        if (error < least) least = error, inverse = candidate;
    }
    struct fit f = {0, 0};
    for (int i = 0; i < n; i++) {
        l[i] = ggl_code_within(inverse * x[i], 0, t);
        f.lx += w[i] * x[i] * l[i];
        f.l2 += w[i] * l[i] * l[i];
    }
    step_codes(x, w, n, 0, t, l, &f);
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)(int)l[i];
    return f.l2 > 0 ? f.lx / f.l2 : 0;
}
