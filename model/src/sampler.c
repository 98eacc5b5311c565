/*
 * From logits to a token.
 *
 * The same seed gives the same tokens everywhere: the generator is integer arithmetic, the exponential is our own
 * (IEEE double multiplies and adds in a fixed order, no libm), and sums run in a fixed order - by token id when
 * nothing is cut, from the best token down otherwise.  This needs double arithmetic without excess precision or
 * contraction, which every 64-bit target built with this project's flags has.
 *
 * Everything is allocated when the sampler is made.  Only as many tokens as needed are put in order: top-k keeps a
 * heap of k, top-p takes the best from a heap until the share is reached.
 */
#include "model/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
    float logit;
    int32_t id;
};

struct ggl_sampler {
    struct ggl_sampler_params p;
    int32_t n_vocab;
    uint64_t state[4];
    struct candidate *list; /* [n_vocab] */
    double *share;          /* [n_vocab] */
};

/* ---- randomness: xoshiro256++ (Blackman and Vigna, 2018), seeded with splitmix64 */

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t next_random(uint64_t s[4])
{
    uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* In [0, 1), 53 bits. */
static double uniform(uint64_t s[4])
{
    return (double)(next_random(s) >> 11) * 0x1p-53;
}

/* e^x for x <= 0, to about 1e-15: x = k ln 2 + r with |r| <= ln 2 / 2, and e^r by its series. */
static double exp_negative(double x)
{
    static const double inverse[] = {0,       1,       1.0 / 2, 1.0 / 3,  1.0 / 4,  1.0 / 5,  1.0 / 6,
                                     1.0 / 7, 1.0 / 8, 1.0 / 9, 1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13};
    if (!(x > -700)) return 0;
    int k = (int)(x * 1.4426950408889634 - 0.5);
    double r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33, e = 1;
    for (int i = 13; i > 0; i--) e = 1 + e * r * inverse[i];
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof(scale));
    return e * scale;
}

/* ---- order: higher logits first, then lower ids */

static bool better(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* Restores the heap below i; `best`: the best on top, else the worst. */
static void sift(struct candidate *h, int32_t n, int32_t i, bool best)
{
    struct candidate c = h[i];
    for (;;) {
        int64_t j = 2 * (int64_t)i + 1;
        if (j >= n) break;
        if (j + 1 < n && better(h[j + 1], h[j]) == best) j++;
        if (better(h[j], c) != best) break;
        h[i] = h[j];
        i = (int32_t)j;
    }
    h[i] = c;
}

static void make_heap(struct candidate *h, int32_t n, bool best)
{
    for (int32_t i = n / 2; i-- > 0;) sift(h, n, i, best);
}

/* The k best of n to the front, in order. */
static void keep_best(struct candidate *h, int32_t n, int32_t k)
{
    make_heap(h, k, false);
    for (int32_t i = k; i < n; i++) {
        if (!better(h[i], h[0])) continue;
        h[0] = h[i];
        sift(h, k, 0, false);
    }
    for (int32_t m = k - 1; m > 0; m--) { /* the worst goes to the end */
        struct candidate worst = h[0];
        h[0] = h[m];
        h[m] = worst;
        sift(h, m, 0, false);
    }
}

/* ---- parameters */

struct ggl_sampler_params ggl_sampler_defaults(void)
{
    struct ggl_sampler_params p = {.struct_size = sizeof(p), .temperature = 1, .top_p = 1};
    return p;
}

static enum ggl_status out_of_range(const char *name, double value, const char *range, struct ggl_error *err)
{
    char found[48];
    snprintf(found, sizeof(found), "%g", value);
    return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, found, range, "sampler: %s", name);
}

static enum ggl_status check(const struct ggl_sampler_params *p, int32_t n_vocab, struct ggl_error *err)
{
    if (p->struct_size != sizeof(*p)) return out_of_range("struct_size", p->struct_size, "this version's size", err);
    if (n_vocab < 1) return out_of_range("n_vocab", n_vocab, "at least 1", err);
    if (!(p->temperature >= 0 && p->temperature <= 100)) return out_of_range("temperature", p->temperature, "0 to 100", err);
    if (!(p->top_p >= 0 && p->top_p <= 1)) return out_of_range("top_p", p->top_p, "0 to 1", err);
    if (!(p->min_p >= 0 && p->min_p <= 1)) return out_of_range("min_p", p->min_p, "0 to 1", err);
    if (p->top_k < 0) return out_of_range("top_k", p->top_k, "0 or more", err);
    return GGL_OK;
}

enum ggl_status ggl_sampler_new(const struct ggl_sampler_params *p, int32_t n_vocab, struct ggl_sampler **out,
                                struct ggl_error *err)
{
    enum ggl_status status = check(p, n_vocab, err);
    if (status) return status;
    struct ggl_sampler *s = calloc(1, sizeof(*s));
    if (s) {
        s->list = malloc((size_t)n_vocab * sizeof(*s->list));
        s->share = malloc((size_t)n_vocab * sizeof(*s->share));
    }
    if (!s || !s->list || !s->share) {
        ggl_sampler_free(s);
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "sampler");
    }
    uint64_t seed = p->seed;
    for (int i = 0; i < 4; i++) s->state[i] = splitmix(&seed);
    s->p = *p;
    s->n_vocab = n_vocab;
    *out = s;
    return GGL_OK;
}

void ggl_sampler_free(struct ggl_sampler *s)
{
    if (!s) return;
    free(s->list);
    free(s->share);
    free(s);
}

/* ---- sampling */

/* The best token, after all logits are known to be finite. */
static enum ggl_status find_best(const struct ggl_sampler *s, const float *logits, int32_t *best, struct ggl_error *err)
{
    *best = 0;
    for (int32_t i = 0; i < s->n_vocab; i++) {
        if (!(fabsf(logits[i]) <= 3.402823466e38f))
            return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, isnan(logits[i]) ? "not a number" : "infinite",
                            "a finite number", "logit of token %d", i);
        if (logits[i] > logits[*best]) *best = i;
    }
    return GGL_OK;
}

/* e to the distance from the best logit over the temperature: the best token's share is 1. */
static double share_of(const struct ggl_sampler *s, float logit, float best)
{
    return exp_negative(((double)logit - (double)best) / (double)s->p.temperature);
}

/* The best candidate of a heap of n goes behind the others. */
static void pop_best(struct candidate *h, int32_t n)
{
    struct candidate c = h[0];
    h[0] = h[n - 1];
    h[n - 1] = c;
    sift(h, n - 1, 0, true);
}

static void reverse(struct candidate *list, int32_t n)
{
    for (int32_t i = 0; i < n / 2; i++) {
        struct candidate c = list[i];
        list[i] = list[n - 1 - i];
        list[n - 1 - i] = c;
    }
}

/* The fewest best candidates whose shares reach top_p of all, to the front and in order; at least one. */
static int32_t cut_top_p(struct ggl_sampler *s, int32_t n, bool sorted, float best)
{
    double total = 0, sum = 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) total += share_of(s, s->list[i].logit, best);
    if (!sorted) make_heap(s->list, n, true);
    do {
        if (!sorted) pop_best(s->list, n - kept);
        sum += share_of(s, s->list[sorted ? kept : n - 1 - kept].logit, best);
        kept++;
    } while (kept < n && sum < (double)s->p.top_p * total);
    if (!sorted) reverse(s->list, n); /* what was popped lies at the end, the best last */
    return kept;
}

/* Shares of the candidates; those below min_p of the best go. */
static int32_t cut_min_p(struct ggl_sampler *s, int32_t n, float best, double *total)
{
    int32_t kept = 0;
    *total = 0;
    for (int32_t i = 0; i < n; i++) {
        double share = share_of(s, s->list[i].logit, best);
        if (share < (double)s->p.min_p) continue;
        s->list[kept] = s->list[i];
        s->share[kept++] = share;
        *total += share;
    }
    return kept;
}

static int32_t draw(struct ggl_sampler *s, int32_t n, double total)
{
    double at = uniform(s->state) * total, sum = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < n; i++) {
        if (s->share[i] <= 0) continue;
        sum += s->share[i];
        last = i;
        if (at < sum) break;
    }
    return s->list[last].id; /* the last possible one, should rounding have carried us past the end */
}

enum ggl_status ggl_sample(struct ggl_sampler *s, const float *logits, int32_t *id, struct ggl_error *err)
{
    int32_t best, n = s->n_vocab, k = s->p.top_k;
    double total;
    enum ggl_status status = find_best(s, logits, &best, err);
    if (status) return status;
    if (s->p.temperature == 0 || k == 1) {
        *id = best;
        return GGL_OK;
    }
    for (int32_t i = 0; i < n; i++) s->list[i] = (struct candidate){logits[i], i};
    bool sorted = k > 0 && k < n;
    if (sorted) {
        keep_best(s->list, n, k);
        n = k;
    }
    if (s->p.top_p < 1) n = cut_top_p(s, n, sorted, logits[best]);
    n = cut_min_p(s, n, logits[best], &total);
    *id = draw(s, n, total);
    return GGL_OK;
}
