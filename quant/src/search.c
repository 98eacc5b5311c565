/* The searches that search.h describes: blocks in their own unit, then scales with and without a minimum. */
#include "search.h"
#include <float.h>
#include <math.h>
#include <string.h>
#include "quant/quant.h"
#include "scalar.h"

enum { LANES = 8, MOST = 32 /* elements of a group */ };

/* Groups below this, beside a block's largest number near 1, are zeros. */
#define GROUP_EPS 1e-15f

/* ---- blocks */

static void put_nan(uint8_t *out, int at)
{
    if (at != GGL_NO_FIELD) ggl_store_u16(out + at, GGL_F16_NAN_BITS);
}

bool ggl_block_begin(struct ggl_block *b, const float *x, int n, uint8_t *out, uint32_t bytes, int d_at, int m_at)
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
    float sum[LANES] = {0};
    for (int i = 0; i < b->n; i += LANES)
        for (int j = 0; j < LANES; j++) sum[j] += b->x[i + j] * b->x[i + j];
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

/* ---- symmetric */

static void clear(uint8_t *codes, int n)
{
    for (int i = 0; i < n; i++) codes[i] = 0;
}

static float extreme_of(const float *x, int n)
{
    float amax = 0, extreme = 0;
    for (int i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        if (a > amax) amax = a, extreme = x[i];
    }
    return amax < GROUP_EPS ? 0 : extreme;
}

/* How well codes l fit: the best scale is lx / l2, and explains lx^2 / l2 of the sum of w x^2. */
struct fit {
    float lx, l2;
};

static struct fit fit_symmetric(const float *restrict x, const float *restrict w, int n, float top, float inverse)
{
    float lx[LANES] = {0}, l2[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float l = ggl_code_within(inverse * x[i + j], -top, top - 1);
            lx[j] += w[i + j] * x[i + j] * l;
            l2[j] += w[i + j] * l * l;
        }
    return (struct fit){ggl_sum_lanes(lx), ggl_sum_lanes(l2)};
}

static void put_symmetric(const float *restrict x, int n, int top, float inverse, uint8_t *restrict codes)
{
    float t = (float)top;
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)(int)(ggl_code_within(inverse * x[i], -t, t - 1) + t);
}

float ggl_search_symmetric(const float *x, const float *w, int n, int top, uint8_t *codes)
{
    float extreme = extreme_of(x, n), inverse = -(float)top / extreme;
    if (extreme == 0) {
        clear(codes, n);
        return 0;
    }
    struct fit f = fit_symmetric(x, w, n, (float)top, inverse);
    float scale = f.l2 > 0 ? f.lx / f.l2 : 0, best = scale * f.lx;
    for (int k = -9; k <= 9; k++) {
        float candidate = -((float)top + 0.1f * (float)k) / extreme;
        if (k == 0) continue;
        f = fit_symmetric(x, w, n, (float)top, candidate);
        if (!(f.l2 > 0 && f.lx * f.lx > best * f.l2)) continue;
        scale = f.lx / f.l2;
        best = scale * f.lx;
        inverse = candidate;
    }
    put_symmetric(x, n, top, inverse, codes);
    return scale;
}

/* ---- one code at a time */

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

float ggl_search_symmetric_steps(const float *x, int n, int top, uint8_t *codes)
{
    float extreme = extreme_of(x, n), inverse = -(float)top / extreme, l[MOST], w[MOST];
    struct fit f = {0, 0};
    if (extreme == 0) {
        clear(codes, n);
        return 0;
    }
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

static float error_positive(const float *restrict x, const float *restrict w, int n, float top, float inverse)
{
    float sum[LANES] = {0}, scale = 1 / inverse;
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float e = x[i + j] - scale * ggl_code_within(inverse * x[i + j], 0, top);
            sum[j] += w[i + j] * e * e;
        }
    return ggl_sum_lanes(sum);
}

float ggl_search_positive(const float *x, const float *w, int n, int top, uint8_t *codes)
{
    float max = 0, t = (float)top, l[MOST];
    for (int i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    clear(codes, n);
    if (max < GROUP_EPS) return 0;
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

/* ---- with a minimum */

/* Sums over codes l, which are put: of w l, w l^2 and w l x. */
struct affine_sums {
    float l, l2, xl;
};

static struct affine_sums fit_affine(const float *restrict x, const float *restrict w, int n, float top, float inverse,
                                     float min, float *restrict codes)
{
    float l1[LANES] = {0}, l2[LANES] = {0}, xl[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float l = ggl_code_within(inverse * (x[i + j] - min), 0, top), wl = w[i + j] * l;
            codes[i + j] = l;
            l1[j] += wl;
            l2[j] += wl * l;
            xl[j] += wl * x[i + j];
        }
    return (struct affine_sums){ggl_sum_lanes(l1), ggl_sum_lanes(l2), ggl_sum_lanes(xl)};
}

static float error_affine(const float *restrict x, const float *restrict w, int n, const float *restrict codes,
                          float scale, float min, bool absolute)
{
    float sum[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float e = scale * codes[i + j] + min - x[i + j];
            sum[j] += w[i + j] * (absolute ? fabsf(e) : e * e);
        }
    return ggl_sum_lanes(sum);
}

/* A group's x and w with what they sum up to. */
struct affine_group {
    float min, max, w, wx;
};

static struct affine_group measure(const float *restrict x, const float *restrict w, int n)
{
    struct affine_group g = {0, x[0], 0, 0};
    float sw[LANES] = {0}, swx[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            g.min = x[i + j] < g.min ? x[i + j] : g.min;
            g.max = x[i + j] > g.max ? x[i + j] : g.max;
            sw[j] += w[i + j];
            swx[j] += w[i + j] * x[i + j];
        }
    g.w = ggl_sum_lanes(sw);
    g.wx = ggl_sum_lanes(swx);
    return g;
}

float ggl_search_affine(const float *x, const float *w, int n, const struct ggl_affine_search *how, uint8_t *codes,
                        float *min_out)
{
    struct affine_group g = measure(x, w, n);
    float min = g.min, top = (float)how->top, buffers[2][MOST], *best = buffers[0], *l = buffers[1];
    *min_out = -min;
    clear(codes, n);
    if (g.max - min < GROUP_EPS) return 0;

    float inverse = top / (g.max - min), scale = 1 / inverse;
    fit_affine(x, w, n, top, inverse, min, best);
    float least = error_affine(x, w, n, best, scale, min, how->absolute);
    for (int k = 0; k <= how->n_steps; k++) {
        /* Around the best minimum so far. */
        inverse = (how->first + how->step * (float)k + top) / (g.max - min);
        struct affine_sums s = fit_affine(x, w, n, top, inverse, min, l);
        float determinant = g.w * s.l2 - s.l * s.l;
        if (!(determinant > 0)) continue;
        float this_scale = (g.w * s.xl - g.wx * s.l) / determinant;
        float this_min = (s.l2 * g.wx - s.l * s.xl) / determinant;
        if (this_min > 0) this_min = 0, this_scale = s.xl / s.l2;
        float error = error_affine(x, w, n, l, this_scale, this_min, how->absolute);
        if (!(error < least)) continue;
        float *swap = best;
        best = l, l = swap;
        least = error, scale = this_scale, min = this_min;
    }
    for (int i = 0; i < n; i++) codes[i] = (uint8_t)(int)best[i];
    *min_out = -min;
    return scale;
}
