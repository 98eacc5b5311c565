/* The searches that search.h describes: blocks in their own unit, then scales with and without a minimum. */
#include "search.h"
#include <float.h>
#include <math.h>
#include <string.h>
#include "quant/quant.h"

/* Loops over STEP elements are unrolled, and then the one over the lanes around them vectorises. */
enum { LANES = GGL_LANES, STEP = 4 };

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

/* ---- groups side by side */

void ggl_lanes_load(struct ggl_lanes *lanes, int g, const float *x, const float *w, int n)
{
    lanes->n = n;
    for (int i = 0; i < n; i++) {
        lanes->x[LANES * i + g] = x[i];
        lanes->w[LANES * i + g] = w[i];
    }
}

void ggl_lanes_load_block(struct ggl_lanes *lanes, const struct ggl_block *b, int first, int n)
{
    for (int g = 0; g < LANES; g++) ggl_lanes_load(lanes, g, b->x + first + n * g, b->w + first + n * g, n);
}

bool ggl_batch_begin(struct ggl_batch *batch, const float *x, int n_blocks, uint8_t *out, uint32_t bytes, int d_at,
                     int m_at)
{
    bool any = false;
    for (int k = 0; k < LANES; k++) {
        batch->used[k] = k < n_blocks && ggl_block_begin(&batch->blocks[k], x + GGL_GROUP_MAX * k, GGL_GROUP_MAX,
                                                         out + bytes * (uint32_t)k, bytes, d_at, m_at);
        any = any || batch->used[k];
    }
    return any;
}

void ggl_batch_load(struct ggl_batch *batch)
{
    static const float nothing[GGL_GROUP_MAX];
    for (int k = 0; k < LANES; k++) {
        const struct ggl_block *b = &batch->blocks[k];
        ggl_lanes_load(&batch->lanes, k, batch->used[k] ? b->x : nothing, batch->used[k] ? b->w : nothing, GGL_GROUP_MAX);
    }
}

/* ---- symmetric */

static float extreme_of(const float *x, int n, int stride)
{
    float amax = 0, extreme = 0;
    for (int i = 0; i < n; i++) {
        float a = fabsf(x[stride * i]);
        if (a > amax) amax = a, extreme = x[stride * i];
    }
    return amax < GROUP_EPS ? 0 : extreme;
}

/* How well codes l fit: the best scale is lx / l2, and explains lx^2 / l2 of the sum of w x^2. */
struct fit {
    float lx, l2;
};

struct fits {
    float lx[LANES], l2[LANES];
};

static inline void fit_symmetric(const struct ggl_lanes *restrict lanes, float top, const float *restrict inverse,
                                 struct fits *restrict f)
{
    *f = (struct fits){0};
    for (int i = 0; i < lanes->n; i += STEP) {
        const float *xs = lanes->x + LANES * i, *ws = lanes->w + LANES * i;
        for (int j = 0; j < LANES; j++) {
            float lx = f->lx[j], l2 = f->l2[j];
            for (int k = 0; k < STEP; k++) {
                float x = xs[LANES * k + j], w = ws[LANES * k + j];
                float l = ggl_code_within(inverse[j] * x, -top, top - 1);
                lx += w * x * l;
                l2 += w * l * l;
            }
            f->lx[j] = lx;
            f->l2[j] = l2;
        }
    }
}

static void put_symmetric(const struct ggl_lanes *lanes, int top, const float *inverse, uint8_t *restrict codes)
{
    float t = (float)top;
    for (int g = 0; g < LANES; g++)
        for (int i = 0; i < lanes->n; i++)
            *codes++ = (uint8_t)(int)(ggl_code_within(inverse[g] * lanes->x[LANES * i + g], -t, t - 1) + t);
}

void ggl_search_symmetric(const struct ggl_lanes *lanes, int top, float *scale, uint8_t *codes)
{
    float extreme[LANES], inverse[LANES], best_inverse[LANES], best[LANES];
    struct fits f;
    for (int j = 0; j < LANES; j++) {
        extreme[j] = extreme_of(lanes->x + j, lanes->n, LANES);
        best_inverse[j] = extreme[j] != 0 ? -(float)top / extreme[j] : 0;
    }
    fit_symmetric(lanes, (float)top, best_inverse, &f);
    for (int j = 0; j < LANES; j++) {
        scale[j] = f.l2[j] > 0 ? f.lx[j] / f.l2[j] : 0;
        best[j] = scale[j] * f.lx[j];
    }
    for (int k = -9; k <= 9; k++) {
        if (k == 0) continue;
        for (int j = 0; j < LANES; j++)
            inverse[j] = extreme[j] != 0 ? -((float)top + 0.1f * (float)k) / extreme[j] : 0;
        fit_symmetric(lanes, (float)top, inverse, &f);
        for (int j = 0; j < LANES; j++) {
            uint32_t better = 0u - (uint32_t)((f.l2[j] > 0) & (f.lx[j] * f.lx[j] > best[j] * f.l2[j]));
            float s = f.lx[j] / f.l2[j];
            scale[j] = ggl_choose(better, s, scale[j]);
            best[j] = ggl_choose(better, s * f.lx[j], best[j]);
            best_inverse[j] = ggl_choose(better, inverse[j], best_inverse[j]);
        }
    }
    put_symmetric(lanes, top, best_inverse, codes);
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
    float extreme = extreme_of(x, n, 1), inverse = extreme != 0 ? -(float)top / extreme : 0;
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

/* Eight groups and how far their search is: sums of w and w x, the best so far, and what gave its codes. */
struct affine {
    float max[LANES], w[LANES], wx[LANES];
    float scale[LANES], min[LANES], least[LANES];
    float best_inverse[LANES], best_min[LANES];
};

/* Codes l, and sums over them: of w l, w l^2 and w l x; then the scale and minimum that fit best. */
struct affine_fit {
    float codes[GGL_GROUP_MAX * LANES];
    float l[LANES], l2[LANES], xl[LANES];
    float inverse[LANES], scale[LANES], min[LANES], error[LANES];
};

static inline float affine_code(float x, float inverse, float min, float top)
{
    return ggl_code_within(inverse * (x - min), 0, top);
}

static void measure(const struct ggl_lanes *lanes, struct affine *a)
{
    for (int j = 0; j < LANES; j++) {
        float min = 0, max = lanes->x[j], w = 0, wx = 0;
        for (int i = 0; i < lanes->n; i++) {
            float x = lanes->x[LANES * i + j], xw = lanes->w[LANES * i + j];
            min = x < min ? x : min;
            max = x > max ? x : max;
            w += xw;
            wx += xw * x;
        }
        a->min[j] = min;
        a->max[j] = max;
        a->w[j] = w;
        a->wx[j] = wx;
    }
}

static inline void fit_affine(const struct ggl_lanes *restrict lanes, const struct affine *restrict a, float top,
                              struct affine_fit *restrict f)
{
    for (int j = 0; j < LANES; j++) f->l[j] = f->l2[j] = f->xl[j] = 0;
    for (int i = 0; i < lanes->n; i += STEP) {
        const float *xs = lanes->x + LANES * i, *ws = lanes->w + LANES * i;
        float *restrict codes = f->codes + LANES * i;
        for (int j = 0; j < LANES; j++) {
            float l1 = f->l[j], l2 = f->l2[j], xl = f->xl[j];
            for (int k = 0; k < STEP; k++) {
                float x = xs[LANES * k + j], l = affine_code(x, f->inverse[j], a->min[j], top);
                float wl = ws[LANES * k + j] * l;
                codes[LANES * k + j] = l;
                l1 += wl;
                l2 += wl * l;
                xl += wl * x;
            }
            f->l[j] = l1;
            f->l2[j] = l2;
            f->xl[j] = xl;
        }
    }
}

/* Codes that are all alike have no scale of their own: it is then NaN, and so is the error, which is never better. */
static inline void solve_affine(const struct affine *a, struct affine_fit *restrict f)
{
    for (int j = 0; j < LANES; j++) {
        float determinant = a->w[j] * f->l2[j] - f->l[j] * f->l[j];
        float scale = (a->w[j] * f->xl[j] - a->wx[j] * f->l[j]) / determinant;
        float min = (f->l2[j] * a->wx[j] - f->l[j] * f->xl[j]) / determinant, alone = f->xl[j] / f->l2[j];
        uint32_t positive = 0u - (uint32_t)(min > 0), solved = 0u - (uint32_t)(determinant > 0);
        f->scale[j] = ggl_choose(solved, ggl_choose(positive, alone, scale), NAN);
        f->min[j] = ggl_choose(positive, 0, min);
    }
}

/* Squares of distances, or distances, weighted. */
static inline void error_affine(const struct ggl_lanes *restrict lanes, struct affine_fit *restrict f, const bool absolute)
{
    for (int j = 0; j < LANES; j++) f->error[j] = 0;
    for (int i = 0; i < lanes->n; i += STEP) {
        const float *xs = lanes->x + LANES * i, *ws = lanes->w + LANES * i, *codes = f->codes + LANES * i;
        for (int j = 0; j < LANES; j++) {
            float error = f->error[j];
            for (int k = 0; k < STEP; k++) {
                float e = f->scale[j] * codes[LANES * k + j] + f->min[j] - xs[LANES * k + j];
                error += ws[LANES * k + j] * (absolute ? fabsf(e) : e * e);
            }
            f->error[j] = error;
        }
    }
}

static inline void keep_better(struct affine *restrict a, const struct affine_fit *restrict f)
{
    for (int j = 0; j < LANES; j++) {
        uint32_t better = 0u - (uint32_t)(f->error[j] < a->least[j]);
        a->best_inverse[j] = ggl_choose(better, f->inverse[j], a->best_inverse[j]);
        a->best_min[j] = ggl_choose(better, a->min[j], a->best_min[j]);
        a->least[j] = ggl_choose(better, f->error[j], a->least[j]);
        a->scale[j] = ggl_choose(better, f->scale[j], a->scale[j]);
        a->min[j] = ggl_choose(better, f->min[j], a->min[j]);
    }
}

/* From the minimum to the maximum; groups whose numbers are all alike get no scale. */
static void begin_affine(const struct ggl_lanes *lanes, const struct ggl_affine_search *how, struct affine *a)
{
    struct affine_fit f;
    measure(lanes, a);
    for (int j = 0; j < LANES; j++) {
        float spread = a->max[j] - a->min[j];
        f.inverse[j] = spread > GROUP_EPS ? (float)how->top / spread : 0;
        f.scale[j] = spread > GROUP_EPS ? 1 / f.inverse[j] : 0;
        f.min[j] = a->min[j];
        a->least[j] = INFINITY;
    }
    fit_affine(lanes, a, (float)how->top, &f);
    if (how->absolute) error_affine(lanes, &f, true);
    else error_affine(lanes, &f, false);
    keep_better(a, &f);
}

static void put_affine(const struct ggl_lanes *lanes, int top, const struct affine *a, uint8_t *restrict codes)
{
    for (int g = 0; g < LANES; g++)
        for (int i = 0; i < lanes->n; i++)
            *codes++ = (uint8_t)(int)affine_code(lanes->x[LANES * i + g], a->best_inverse[g], a->best_min[g], (float)top);
}

void ggl_search_affine(const struct ggl_lanes *lanes, const struct ggl_affine_search *how, float *scale, float *min,
                       uint8_t *codes)
{
    struct affine a;
    struct affine_fit f;
    begin_affine(lanes, how, &a);
    for (int k = 0; k <= how->n_steps; k++) {
        for (int j = 0; j < LANES; j++) { /* around the best minimum so far */
            float spread = a.max[j] - a.min[j];
            f.inverse[j] = spread > GROUP_EPS ? (how->first + how->step * (float)k + (float)how->top) / spread : 0;
        }
        fit_affine(lanes, &a, (float)how->top, &f);
        solve_affine(&a, &f);
        if (how->absolute) error_affine(lanes, &f, true);
        else error_affine(lanes, &f, false);
        keep_better(&a, &f);
    }
    for (int j = 0; j < LANES; j++) scale[j] = a.scale[j], min[j] = -a.min[j];
    put_affine(lanes, how->top, &a, codes);
}
