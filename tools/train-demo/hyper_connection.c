/*
 * The hyper-connections of training in one pass each, forward and backward.  hyper_connection.py says what they
 * compute, in PyTorch, and check.py compares the two; there a token costs several hundred small operations, here
 * next to none.
 *
 * Rows are float32 and dense: h [n][S][d], y [n][d], mixes [n][MIXES], pre and post [n][S], comb [n][S][S] from
 * source to destination.  Small matrices are worked on for LANES tokens at a time, so that the compiler makes
 * vectors of them.
 */
#include <math.h>
#include <string.h>

enum { S = 4, MIXES = (2 + S) * S, LANES = 16, MOST_STEPS = 64 };

typedef float lanes[LANES];

#define EACH_LANE for (int l = 0; l < LANES; l++)

/* One step of Sinkhorn's iteration: rows (stride 1) or columns (stride S) divided by their sums. */
static void normalise(lanes c[S * S], int stride, float eps, lanes sum[S])
{
    int other = stride == 1 ? S : 1;
    for (int i = 0; i < S; i++) {
        lanes *x = c + i * other;
        EACH_LANE sum[i][l] = x[0][l] + x[stride][l] + x[2 * stride][l] + x[3 * stride][l] + eps;
        for (int j = 0; j < S; j++) EACH_LANE x[j * stride][l] /= sum[i][l];
    }
}

/* g of the quotients becomes g of what was divided: (g - sum(g * quotient)) / sum. */
static void normalise_backward(lanes g[S * S], lanes c[S * S], int stride, lanes sum[S])
{
    int other = stride == 1 ? S : 1;
    for (int i = 0; i < S; i++) {
        lanes *x = c + i * other, *gx = g + i * other, along = {0};
        for (int j = 0; j < S; j++) EACH_LANE along[l] += gx[j * stride][l] * x[j * stride][l];
        for (int j = 0; j < S; j++) EACH_LANE gx[j * stride][l] = (gx[j * stride][l] - along[l]) / sum[i][l];
    }
}

static void softmax_rows(lanes c[S * S])
{
    for (int i = 0; i < S; i++) {
        lanes *x = c + i * S, top, sum = {0};
        EACH_LANE top[l] = fmaxf(fmaxf(x[0][l], x[1][l]), fmaxf(x[2][l], x[3][l]));
        for (int j = 0; j < S; j++) EACH_LANE sum[l] += x[j][l] = expf(x[j][l] - top[l]);
        for (int j = 0; j < S; j++) EACH_LANE x[j][l] /= sum[l];
    }
}

/* What the backward pass needs of the forward pass: the state behind every step, and what was divided by. */
struct trail {
    lanes soft[S * S], c[MOST_STEPS][S * S], sum[MOST_STEPS][S];
};

/* Returns the number of steps: columns first, and last. */
static int sinkhorn(lanes c[S * S], int iterations, float eps, struct trail *trail)
{
    int steps = 2 * iterations - 1;
    softmax_rows(c);
    memcpy(trail->soft, c, sizeof(trail->soft));
    for (int i = 0; i < S * S; i++) EACH_LANE c[i][l] += eps;
    for (int i = 0; i < steps; i++) {
        normalise(c, i % 2 == 0 ? S : 1, eps, trail->sum[i]);
        memcpy(trail->c[i], c, sizeof(trail->c[i]));
    }
    return steps;
}

static void sinkhorn_backward(lanes g[S * S], int steps, struct trail *trail)
{
    lanes one[S];
    for (int i = 0; i < S; i++) EACH_LANE one[i][l] = 1;
    for (int i = steps - 1; i >= 0; i--) normalise_backward(g, trail->c[i], i % 2 == 0 ? S : 1, trail->sum[i]);
    /* Softmax: the same formula without the division, times the probability. */
    normalise_backward(g, trail->soft, 1, one);
    for (int i = 0; i < S * S; i++) EACH_LANE g[i][l] *= trail->soft[i][l];
}

/* LANES rows of `width` numbers, turned; rows behind the end repeat the last. */
static void load(lanes *to, const float *from, long at, long n, int width)
{
    for (int l = 0; l < LANES; l++) {
        long row = at + l < n ? at + l : n - 1;
        for (int i = 0; i < width; i++) to[i][l] = from[row * width + i];
    }
}

static void store(float *to, lanes *from, long at, long n, int width)
{
    for (int l = 0; l < LANES && at + l < n; l++)
        for (int i = 0; i < width; i++) to[(at + l) * width + i] = from[i][l];
}

static void affine(lanes m[MIXES], const float *scale, const float *base)
{
    for (int i = 0; i < MIXES; i++) {
        float s = scale[i < S ? 0 : i < 2 * S ? 1 : 2];
        EACH_LANE m[i][l] = m[i][l] * s + base[i];
    }
}

static void sigmoids(lanes *m, int n)
{
    for (int i = 0; i < n; i++) EACH_LANE m[i][l] = 1 / (1 + expf(-m[i][l]));
}

void hc_split_forward(long n, const float *mixes, const float *scale, const float *base, int iterations, float eps,
                      float *pre, float *post, float *comb)
{
    struct trail trail;
    lanes m[MIXES];
    for (long at = 0; at < n; at += LANES) {
        load(m, mixes, at, n, MIXES);
        affine(m, scale, base);
        sigmoids(m, 2 * S);
        for (int i = 0; i < S; i++) EACH_LANE m[i][l] += eps, m[S + i][l] *= 2;
        sinkhorn(m + 2 * S, iterations, eps, &trail);
        store(pre, m, at, n, S);
        store(post, m + S, at, n, S);
        store(comb, m + 2 * S, at, n, S * S);
    }
}

/* g_mixes is written; g_scale [3] and g_base [MIXES] are added to. */
void hc_split_backward(long n, const float *mixes, const float *scale, const float *base, int iterations, float eps,
                       const float *g_pre, const float *g_post, const float *g_comb, float *g_mixes, float *g_scale,
                       float *g_base)
{
    struct trail trail;
    lanes m[MIXES], raw[MIXES], g[MIXES];
    for (long at = 0; at < n; at += LANES) {
        load(raw, mixes, at, n, MIXES);
        memcpy(m, raw, sizeof(m));
        affine(m, scale, base);
        sigmoids(m, 2 * S);
        int steps = sinkhorn(m + 2 * S, iterations, eps, &trail);
        load(g, g_pre, at, n, S);
        load(g + S, g_post, at, n, S);
        load(g + 2 * S, g_comb, at, n, S * S);
        for (int i = 0; i < 2 * S; i++) EACH_LANE g[i][l] *= (i < S ? 1 : 2) * m[i][l] * (1 - m[i][l]);
        sinkhorn_backward(g + 2 * S, steps, &trail);
        for (int i = 0; i < MIXES; i++) {
            int part = i < S ? 0 : i < 2 * S ? 1 : 2;
            for (int l = 0; l < LANES && at + l < n; l++) {
                g_base[i] += g[i][l];
                g_scale[part] += g[i][l] * raw[i][l];
            }
            EACH_LANE g[i][l] *= scale[part];
        }
        store(g_mixes, g, at, n, MIXES);
    }
}

/* r [n]: one over the root mean square of a token's streams. */
void hc_size(long n, long d, float eps, const float *h, float *r)
{
    for (long t = 0; t < n; t++) {
        const float *x = h + t * S * d;
        float sum = 0;
        for (long i = 0; i < S * d; i++) sum += x[i] * x[i];
        r[t] = 1 / sqrtf(sum / (float)(S * d) + eps);
    }
}

void hc_gather_forward(long n, long d, const float *h, const float *pre, float *y)
{
    for (long t = 0; t < n; t++) {
        const float *x = h + t * S * d, *p = pre + t * S;
        for (long i = 0; i < d; i++)
            y[t * d + i] = p[0] * x[i] + p[1] * x[d + i] + p[2] * x[2 * d + i] + p[3] * x[3 * d + i];
    }
}

void hc_gather_backward(long n, long d, const float *h, const float *g_y, float *g_pre)
{
    for (long t = 0; t < n; t++)
        for (int s = 0; s < S; s++) {
            const float *x = h + (t * S + s) * d, *g = g_y + t * d;
            float sum = 0;
            for (long i = 0; i < d; i++) sum += x[i] * g[i];
            g_pre[t * S + s] = sum;
        }
}

/* The rest of the gradient of h: what pre sends it, and what the root mean square does (along [n] times h). */
void hc_gather_backward_h(long n, long d, const float *h, const float *pre, const float *along, const float *g_y,
                          float *g_h)
{
    for (long t = 0; t < n; t++)
        for (int s = 0; s < S; s++) {
            const float *x = h + (t * S + s) * d, *g = g_y + t * d;
            float p = pre[t * S + s], a = along[t], *out = g_h + (t * S + s) * d;
            for (long i = 0; i < d; i++) out[i] = p * g[i] + a * x[i];
        }
}

void hc_scatter_forward(long n, long d, const float *y, const float *h, const float *post, const float *comb,
                        float *out)
{
    for (long t = 0; t < n; t++) {
        const float *x = h + t * S * d, *c = comb + t * S * S, *f = y + t * d;
        for (int k = 0; k < S; k++) {
            float p = post[t * S + k], *o = out + (t * S + k) * d;
            for (long i = 0; i < d; i++)
                o[i] = p * f[i] + c[k] * x[i] + c[S + k] * x[d + i] + c[2 * S + k] * x[2 * d + i] +
                       c[3 * S + k] * x[3 * d + i];
        }
    }
}

static float dot(const float *a, const float *b, long n)
{
    float sum = 0;
    for (long i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

void hc_scatter_backward(long n, long d, const float *y, const float *h, const float *post, const float *comb,
                         const float *g, float *g_y, float *g_h, float *g_post, float *g_comb)
{
    for (long t = 0; t < n; t++) {
        const float *x = h + t * S * d, *c = comb + t * S * S, *p = post + t * S, *gt = g + t * S * d;
        for (long i = 0; i < d; i++)
            g_y[t * d + i] = p[0] * gt[i] + p[1] * gt[d + i] + p[2] * gt[2 * d + i] + p[3] * gt[3 * d + i];
        for (int k = 0; k < S; k++) g_post[t * S + k] = dot(gt + k * d, y + t * d, d);
        for (int j = 0; j < S; j++) {
            float *out = g_h + (t * S + j) * d;
            const float *cj = c + j * S;
            for (long i = 0; i < d; i++)
                out[i] = cj[0] * gt[i] + cj[1] * gt[d + i] + cj[2] * gt[2 * d + i] + cj[3] * gt[3 * d + i];
            for (int k = 0; k < S; k++) g_comb[(t * S + j) * S + k] = dot(x + j * d, gt + k * d, d);
        }
    }
}
