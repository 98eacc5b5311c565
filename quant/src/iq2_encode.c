/*
 * IQ2_XXS from rows with importances; iq2.c has the layout.  A group of 32 has one scale; each eight of its magnitudes go
 * to a point of the grid, and seven bits hold eight signs, so an odd number of minuses costs the least important element
 * its sign.
 */
#include <math.h>
#include "codec.h"
#include "iq_grids.h"
#include "iq_search.h"
#include "search.h"

enum { GROUP = 32, N_GROUPS = 8, EIGHTS = 4 };

/* Magnitudes, weights, and weights for the choice of a point; then what was chosen. */
struct group {
    float x[GROUP], w[GROUP], root[GROUP];
    float scale;
    uint8_t signs[EIGHTS], points[EIGHTS];
    int exact[EIGHTS]; /* the magnitudes rounded to the point by themselves */
};

static uint8_t take_signs(float *x, const float *w)
{
    uint32_t signs = 0, n = 0;
    int least = 0;
    for (int j = 0; j < 8; j++) {
        if (w[j] * x[j] * x[j] < w[least] * x[least] * x[least]) least = j;
        if (!(x[j] < 0)) continue;
        x[j] = -x[j];
        signs |= 1u << j;
        n++;
    }
    if (n % 2) {
        x[least] = -x[least];
        signs ^= 1u << least;
    }
    return (uint8_t)(signs & 127);
}

static void load_group(struct group *g, const struct ggl_block *block, int first)
{
    for (int i = 0; i < GROUP; i++) {
        g->x[i] = block->x[first + i];
        g->w[i] = block->w[first + i];
        g->root[i] = sqrtf(g->w[i]);
    }
    for (int k = 0; k < EIGHTS; k++) g->signs[k] = take_signs(g->x + 8 * k, g->w + 8 * k);
}

/* Sums of w x q and w q^2 over the points' levels q = 1, 3, 5. */
static void fit(const struct group *g, const uint8_t *points, float *xq, float *q2)
{
    *xq = *q2 = 0;
    for (int k = 0; k < EIGHTS; k++)
        for (int j = 0; j < 8; j++) {
            float q = (float)(2 * (ggl_grid_iq2_xxs[points[k]] >> 2 * j & 3) + 1), wq = g->w[8 * k + j] * q;
            *xq += wq * g->x[8 * k + j];
            *q2 += wq * q;
        }
}

/* The best of 13 scales around the one that a plain fit to levels 0 .. 4 gives. */
static void search_scale(struct group *g, const struct ggl_iq2_neighbours *near)
{
    uint8_t codes[GROUP], points[EIGHTS];
    int exact[EIGHTS];
    float top = 3 * ggl_search_positive(g->x, g->w, GROUP, 4, codes), best = 0, xq, q2;
    g->scale = 0;
    for (int k = 0; k < EIGHTS; k++) g->points[k] = 0, g->exact[k] = 1;
    for (int try = -6; try <= 6 && top > 0; try++) {
        float scale = top / (5 + 0.1f * (float)try);
        for (int k = 0; k < EIGHTS; k++)
            points[k] = (uint8_t)ggl_iq2_xxs_point(near, g->x + 8 * k, g->root + 8 * k, scale, &exact[k]);
        fit(g, points, &xq, &q2);
        if (!(q2 > 0 && xq * xq > best * q2)) continue;
        g->scale = xq / q2;
        best = g->scale * xq;
        for (int k = 0; k < EIGHTS; k++) g->points[k] = points[k], g->exact[k] = exact[k];
    }
}

/* Once more with the scale that fits: eights that were not on the grid may find a better point. */
static void search_again(struct group *g, const struct ggl_iq2_neighbours *near)
{
    float xq, q2;
    bool all = true;
    for (int k = 0; k < EIGHTS; k++) {
        int exact;
        if (g->exact[k] || !(g->scale > 0)) continue;
        g->points[k] = (uint8_t)ggl_iq2_xxs_point(near, g->x + 8 * k, g->root + 8 * k, g->scale, &exact);
        all = false;
    }
    if (all) return;
    fit(g, g->points, &xq, &q2);
    if (q2 > 0) g->scale = xq / q2;
}

/* A negative scale can only be that of signs the other way round; they stay even in number. */
static void make_positive(struct group *g)
{
    if (!(g->scale < 0)) return;
    g->scale = -g->scale;
    for (int k = 0; k < EIGHTS; k++) g->signs[k] = (uint8_t)(~g->signs[k] & 127);
}

static void put_group(const struct group *g, uint32_t scale_code, uint8_t *b)
{
    uint32_t word = scale_code << 28;
    for (int k = 0; k < EIGHTS; k++) {
        b[k] = g->points[k];
        word |= (uint32_t)g->signs[k] << 7 * k;
    }
    ggl_store_u16(b + 4, (uint16_t)word);
    ggl_store_u16(b + 6, (uint16_t)(word >> 16));
}

static void encode_block(const struct ggl_block *block, const struct ggl_iq2_neighbours *near, uint8_t *b)
{
    struct group groups[N_GROUPS];
    float top = 0;
    for (int k = 0; k < N_GROUPS; k++) {
        load_group(&groups[k], block, GROUP * k);
        search_scale(&groups[k], near);
        search_again(&groups[k], near);
        make_positive(&groups[k]);
        top = groups[k].scale > top ? groups[k].scale : top;
    }
    float d = top / 31, inverse = top > 0 ? 31 / top : 0;
    ggl_store_u16(b, ggl_block_half(block, d));
    for (int k = 0; k < N_GROUPS; k++) {
        float code = ggl_code_within(0.5f * (inverse * groups[k].scale - 1), 0, 15);
        put_group(&groups[k], (uint32_t)(int)code, b + 2 + 8 * k);
    }
}

void ggl_iq2_xxs_encode_row(const struct ggl_searches *s, const float *x, const float *weights, void *blocks, int64_t n)
{
    (void)s;
    const struct ggl_iq2_neighbours *near = ggl_iq2_xxs_neighbours();
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += 256, b += 66) {
        struct ggl_block block;
        float room[GGL_BLOCK_ROOM];
        if (!ggl_block_begin(&block, room, x + i, 256, b, 66, 0, GGL_NO_FIELD)) continue;
        ggl_block_weigh(&block, weights + i, ggl_block_mean_square(&block), GROUP);
        encode_block(&block, near, b);
    }
}
