/*
 * The searches over groups side by side, for one level of the processor: each level's file includes this, built with its
 * flags, and so gets them as wide as its vectors are.  A lane is a group, and its sums run over its elements in order:
 * the width changes no bit.
 */
#include <math.h>
#include "search.h"
#include "vec.h"

/* ---- symmetric */

static ggl_vec extreme_of(const float *x, int n)
{
    ggl_vec amax = {0}, extreme = {0};
    for (int i = 0; i < n; i++) {
        ggl_vec v = vec_load(x + GGL_LANES * i), a = vec_abs(v);
        extreme = vec_choose(a > amax, v, extreme);
        amax = vec_max(a, amax);
    }
    return vec_choose(amax < vec_all(GGL_GROUP_EPS), (ggl_vec){0}, extreme);
}

/* How well codes l fit: the best scale is lx / l2, and explains lx^2 / l2 of the sum of w x^2. */
struct fit {
    ggl_vec lx, l2;
};

/* Scales that are tried at the same time: each adds to sums of its own, so they need not wait for each other. */
enum { TRIES = 3 };

static inline void fit_symmetric(const float *x, const float *w, int n, float top, const ggl_vec *inverse, int n_tries,
                                 struct fit *f)
{
    const ggl_vec low = vec_all(-top), high = vec_all(top - 1);
    for (int k = 0; k < n_tries; k++) f[k] = (struct fit){0};
    for (int i = 0; i < n; i++) {
        ggl_vec xs = vec_load(x + GGL_LANES * i), ws = vec_load(w + GGL_LANES * i), wx = ws * xs;
        for (int k = 0; k < n_tries; k++) {
            ggl_vec l = vec_code_within(inverse[k] * xs, low, high);
            f[k].lx += wx * l;
            f[k].l2 += ws * l * l;
        }
    }
}

/* The scale at which the extreme of a group lies k tenths beyond code 0; none where there is no extreme. */
static inline ggl_vec symmetric_inverse(ggl_vec extreme, int top, int k)
{
    return vec_choose(extreme != 0, -((float)top + 0.1f * (float)k) / extreme, (ggl_vec){0});
}

static inline void search_symmetric_part(const struct ggl_lanes *lanes, int first, int top, struct ggl_found *found)
{
    const float *x = lanes->x + first, *w = lanes->w + first;
    const ggl_vec extreme = extreme_of(x, lanes->n);
    ggl_vec inverse[TRIES], best_inverse = vec_choose(extreme != 0, -(float)top / extreme, (ggl_vec){0});
    struct fit f[TRIES];
    fit_symmetric(x, w, lanes->n, (float)top, &best_inverse, 1, f);
    ggl_vec scale = vec_choose(f->l2 > 0, f->lx / f->l2, (ggl_vec){0}), best = scale * f->lx;
    for (int k = -9; k <= 9; k += TRIES) {
        if (k == 0) k++; /* that was the first */
        for (int t = 0; t < TRIES; t++) inverse[t] = symmetric_inverse(extreme, top, k + t);
        fit_symmetric(x, w, lanes->n, (float)top, inverse, TRIES, f);
        for (int t = 0; t < TRIES; t++) {
            ggl_vec_bits better = (f[t].l2 > 0) & (f[t].lx * f[t].lx > best * f[t].l2);
            ggl_vec s = f[t].lx / f[t].l2;
            scale = vec_choose(better, s, scale);
            best = vec_choose(better, s * f[t].lx, best);
            best_inverse = vec_choose(better, inverse[t], best_inverse);
        }
    }
    vec_store(found->scale + first, scale);
    vec_store(found->inverse + first, best_inverse);
}

static void search_symmetric(const struct ggl_lanes *lanes, int top, struct ggl_found *found)
{
    for (int first = 0; first < lanes->n_groups; first += GGL_VEC) search_symmetric_part(lanes, first, top, found);
}

/* ---- with a minimum */

/* Groups and how far their search is: sums of w and w x, the best so far, and what gave its codes. */
struct affine {
    ggl_vec max, w, wx;
    ggl_vec scale, min, least;
    ggl_vec best_inverse, best_min;
};

/* Sums over codes l: of w l, w l^2 and w l x; then the scale and minimum that fit best. */
struct affine_fit {
    ggl_vec l, l2, xl;
    ggl_vec inverse, scale, min, error;
};

static inline void measure(const float *x, const float *w, int n, struct affine *a)
{
    ggl_vec min = {0}, max = vec_load(x), sum = {0}, sum_x = {0};
    for (int i = 0; i < n; i++) {
        ggl_vec xs = vec_load(x + GGL_LANES * i), ws = vec_load(w + GGL_LANES * i);
        min = vec_min(xs, min);
        max = vec_max(xs, max);
        sum += ws;
        sum_x += ws * xs;
    }
    a->min = min;
    a->max = max;
    a->w = sum;
    a->wx = sum_x;
    a->least = vec_all(INFINITY);
    a->scale = a->best_inverse = a->best_min = (ggl_vec){0};
}

/* Two vectors are searched in turns: one's sums need not wait for the other's. */
enum { PAIR = 2 };

static GGL_INLINE void fit_affine(const float *x, const float *w, int n, const struct affine *a, float top,
                                  ggl_vec (*codes)[PAIR], struct affine_fit *f)
{
    const ggl_vec zero = {0}, high = vec_all(top);
    ggl_vec l1[PAIR] = {{0}}, l2[PAIR] = {{0}}, xl[PAIR] = {{0}};
    for (int i = 0; i < n; i++, x += GGL_LANES, w += GGL_LANES)
        for (int p = 0; p < PAIR; p++) {
            ggl_vec xs = vec_load(x + GGL_VEC * p), l = vec_code_within(f[p].inverse * (xs - a[p].min), zero, high);
            ggl_vec wl = vec_load(w + GGL_VEC * p) * l;
            codes[i][p] = l;
            l1[p] += wl;
            l2[p] += wl * l;
            xl[p] += wl * xs;
        }
    for (int p = 0; p < PAIR; p++) {
        f[p].l = l1[p];
        f[p].l2 = l2[p];
        f[p].xl = xl[p];
    }
}

/* Codes that are all alike have no scale of their own: it is then NaN, and so is the error, which is never better. */
static inline void solve_affine(const struct affine *a, struct affine_fit *f)
{
    ggl_vec determinant = a->w * f->l2 - f->l * f->l;
    ggl_vec scale = (a->w * f->xl - a->wx * f->l) / determinant, alone = f->xl / f->l2;
    ggl_vec min = (f->l2 * a->wx - f->l * f->xl) / determinant;
    f->scale = vec_choose(determinant > 0, vec_choose(min > 0, alone, scale), vec_all(NAN));
    f->min = vec_choose(min > 0, (ggl_vec){0}, min);
}

/* Squares of distances, or distances, weighted. */
static GGL_INLINE void error_affine(const float *x, const float *w, int n, ggl_vec (*codes)[PAIR], const bool absolute,
                                    struct affine_fit *f)
{
    ggl_vec error[PAIR] = {{0}};
    for (int i = 0; i < n; i++, x += GGL_LANES, w += GGL_LANES)
        for (int p = 0; p < PAIR; p++) {
            ggl_vec e = f[p].scale * codes[i][p] + f[p].min - vec_load(x + GGL_VEC * p);
            error[p] += vec_load(w + GGL_VEC * p) * (absolute ? vec_abs(e) : e * e);
        }
    for (int p = 0; p < PAIR; p++) f[p].error = error[p];
}

static inline void keep_better(struct affine *a, const struct affine_fit *f)
{
    ggl_vec_bits better = f->error < a->least;
    a->best_inverse = vec_choose(better, f->inverse, a->best_inverse);
    a->best_min = vec_choose(better, a->min, a->best_min);
    a->least = vec_choose(better, f->error, a->least);
    a->scale = vec_choose(better, f->scale, a->scale);
    a->min = vec_choose(better, f->min, a->min);
}

static inline void put_affine(const struct affine *a, int first, struct ggl_found *found)
{
    vec_store(found->scale + first, a->scale);
    vec_store(found->min + first, -a->min);
    vec_store(found->inverse + first, a->best_inverse);
    vec_store(found->code_min + first, a->best_min);
}

/* At which the codes of a group run from the best minimum so far to the maximum in `top` steps; none where numbers are all
 * alike. */
static inline ggl_vec affine_inverse(const struct affine *a, float top)
{
    ggl_vec spread = a->max - a->min;
    return vec_choose(spread > vec_all(GGL_GROUP_EPS), top / spread, (ggl_vec){0});
}

static GGL_INLINE void search_affine_pair(const struct ggl_lanes *lanes, int first, const struct ggl_affine_search *how,
                                          const bool absolute, struct ggl_found *found)
{
    const float *x = lanes->x + first, *w = lanes->w + first, top = (float)how->top;
    struct affine a[PAIR];
    struct affine_fit f[PAIR];
    ggl_vec codes[GGL_GROUP_MAX][PAIR];
    for (int p = 0; p < PAIR; p++) {
        measure(x + GGL_VEC * p, w + GGL_VEC * p, lanes->n, &a[p]);
        f[p].inverse = affine_inverse(&a[p], top);
        f[p].scale = vec_choose(f[p].inverse > 0, 1 / f[p].inverse, (ggl_vec){0});
        f[p].min = a[p].min;
    }
    fit_affine(x, w, lanes->n, a, top, codes, f);
    error_affine(x, w, lanes->n, codes, absolute, f);
    for (int p = 0; p < PAIR; p++) keep_better(&a[p], &f[p]);
    for (int k = 0; k <= how->n_steps; k++) {
        for (int p = 0; p < PAIR; p++) f[p].inverse = affine_inverse(&a[p], how->first + how->step * (float)k + top);
        fit_affine(x, w, lanes->n, a, top, codes, f);
        for (int p = 0; p < PAIR; p++) solve_affine(&a[p], &f[p]);
        error_affine(x, w, lanes->n, codes, absolute, f);
        for (int p = 0; p < PAIR; p++) keep_better(&a[p], &f[p]);
    }
    for (int p = 0; p < PAIR; p++) put_affine(&a[p], first + GGL_VEC * p, found);
}

static void search_affine(const struct ggl_lanes *lanes, const struct ggl_affine_search *how, struct ggl_found *found)
{
    for (int first = 0; first < lanes->n_groups; first += PAIR * GGL_VEC) { /* constants, for loops that unroll */
        if (how->absolute) search_affine_pair(lanes, first, how, true, found);
        else search_affine_pair(lanes, first, how, false, found);
    }
}

/* ---- uneven levels: those of IQ4 */

/* The nearest level of v, halfway the higher one. */
static inline ggl_vec nearest_level(ggl_vec v)
{
    static const float step[][2] = {{-115.5f, 23}, {-93.5f, 21}, {-74, 18},   {-57, 16}, {-42, 14},
                                    {-28.5f, 13},  {-16, 12},    {-4.5f, 11}, {7, 12},   {19, 12},
                                    {31.5f, 13},   {45.5f, 15},  {61, 16},    {79, 20},  {101, 24}};
    ggl_vec level = vec_all(-127);
    for (int k = 0; k < 15; k++) level += (ggl_vec)((v >= vec_all(step[k][0])) & (ggl_vec_bits)vec_all(step[k][1]));
    return level;
}

static inline void search_levels_part(const struct ggl_lanes *lanes, int first, const float *places, int n_places,
                                      struct ggl_found *found)
{
    const float *x = lanes->x + first, *w = lanes->w + first;
    const ggl_vec extreme = extreme_of(x, lanes->n);
    ggl_vec scale = {0}, best = {0};
    for (int k = 0; k < n_places; k++) {
        ggl_vec inverse = vec_choose(vec_abs(extreme) > vec_all(GGL_GROUP_EPS), places[k] / extreme, (ggl_vec){0});
        ggl_vec xq = {0}, q2 = {0};
        for (int i = 0; i < lanes->n; i++) {
            ggl_vec xs = vec_load(x + GGL_LANES * i), q = nearest_level(inverse * xs);
            ggl_vec wq = vec_load(w + GGL_LANES * i) * q;
            xq += wq * xs;
            q2 += wq * q;
        }
        ggl_vec_bits better = (q2 > 0) & (xq * xq > best * q2) & (inverse != 0);
        ggl_vec s = xq / q2;
        scale = vec_choose(better, s, scale);
        best = vec_choose(better, s * xq, best);
    }
    vec_store(found->scale + first, scale);
}

static void search_levels(const struct ggl_lanes *lanes, const float *places, int n_places, struct ggl_found *found)
{
    for (int first = 0; first < lanes->n_groups; first += GGL_VEC)
        search_levels_part(lanes, first, places, n_places, found);
}

#define GGL_SEARCHES {search_symmetric, search_affine, search_levels}
