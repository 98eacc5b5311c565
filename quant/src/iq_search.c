/* Neighbours on the grid of IQ2_XXS, made once; and the choice among them. */
#include "iq_search.h"
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include "iq_grids.h"
#include "search.h"

enum { N_TUPLES = 6561, N_POINTS = 256, MAX_DISTANCE = 8 * 4 };

struct ggl_iq2_neighbours {
    uint32_t first[N_TUPLES + 1]; /* of the tuple's points in `points` */
    uint8_t points[];
};

/* Digits of a tuple, element 0 lowest; of a point in its code, two bits each. */
static void digits_of_tuple(int tuple, int *digits)
{
    for (int j = 0; j < 8; j++, tuple /= 3) digits[j] = tuple % 3;
}

static int digit(int point, int j)
{
    return ggl_grid_iq2_xxs[point] >> 2 * j & 3;
}

static int distance(const int *digits, int point)
{
    int sum = 0;
    for (int j = 0; j < 8; j++) sum += (digits[j] - digit(point, j)) * (digits[j] - digit(point, j));
    return sum;
}

/* Points in the two smallest distances of a tuple; returns how many. */
static uint32_t find_near(int tuple, uint8_t *points)
{
    int digits[8], distances[N_POINTS], near = MAX_DISTANCE + 1, next = MAX_DISTANCE + 1;
    uint32_t n = 0;
    digits_of_tuple(tuple, digits);
    for (int p = 0; p < N_POINTS; p++) {
        int d = distances[p] = distance(digits, p);
        if (d < near) next = near, near = d;
        else if (d > near && d < next) next = d;
    }
    for (int p = 0; p < N_POINTS; p++)
        if (distances[p] <= next) points[n++] = (uint8_t)p;
    return n;
}

static struct ggl_iq2_neighbours *make_neighbours(void)
{
    uint8_t points[N_POINTS];
    size_t n_points = 0;
    for (int t = 0; t < N_TUPLES; t++) n_points += find_near(t, points);
    struct ggl_iq2_neighbours *near = malloc(sizeof(*near) + n_points);
    if (!near) return NULL;
    near->first[0] = 0;
    for (int t = 0; t < N_TUPLES; t++) {
        uint32_t n = find_near(t, points), first = near->first[t];
        for (uint32_t i = 0; i < n; i++) near->points[first + i] = points[i];
        near->first[t + 1] = first + n;
    }
    return near;
}

const struct ggl_iq2_neighbours *ggl_iq2_xxs_neighbours(void)
{
    static _Atomic(struct ggl_iq2_neighbours *) made;
    struct ggl_iq2_neighbours *near = atomic_load(&made), *none = NULL;
    if (near) return near;
    near = make_neighbours();
    if (!near || atomic_compare_exchange_strong(&made, &none, near)) return near;
    free(near); /* another thread was quicker, with the same */
    return none;
}

/* The point with exactly this code, or -1: codes ascend. */
static int find_code(uint32_t code)
{
    int low = 0, high = N_POINTS - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (ggl_grid_iq2_xxs[middle] < code) low = middle + 1;
        else high = middle;
    }
    return ggl_grid_iq2_xxs[low] == code ? low : -1;
}

/* costs[pair][4 * second digit + first digit] of elements 2 pair and 2 pair + 1. */
static void cost_pairs(const float *x, const float *w, float scale, float costs[4][16])
{
    float cost[8][3];
    for (int j = 0; j < 8; j++)
        for (int d = 0; d < 3; d++) {
            float e = scale * (float)(2 * d + 1) - x[j];
            cost[j][d] = w[j] * e * e;
        }
    for (int pair = 0; pair < 4; pair++)
        for (int d = 0; d < 9; d++) costs[pair][4 * (d / 3) + d % 3] = cost[2 * pair][d % 3] + cost[2 * pair + 1][d / 3];
}

int ggl_iq2_xxs_point(const struct ggl_iq2_neighbours *near, const float *x, const float *w, float scale, int *exact)
{
    uint32_t tuple = 0, code = 0, power = 1;
    float inverse = 1 / scale, least = INFINITY, costs[4][16];
    for (int j = 0; j < 8; j++, power *= 3) {
        uint32_t d = (uint32_t)(int)ggl_code_within(0.5f * (inverse * x[j] - 1), 0, 2);
        tuple += power * d;
        code |= d << 2 * j;
    }
    int best = find_code(code);
    *exact = best >= 0;
    if (best >= 0) return best;
    cost_pairs(x, w, scale, costs);
    uint8_t found[N_POINTS];
    const uint8_t *points = near ? near->points + near->first[tuple] : found;
    uint32_t n = near ? near->first[tuple + 1] - near->first[tuple] : find_near((int)tuple, found);
    best = points[0];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t c = ggl_grid_iq2_xxs[points[i]];
        float error = (costs[0][c & 15] + costs[1][c >> 4 & 15]) + (costs[2][c >> 8 & 15] + costs[3][c >> 12]);
        if (error < least) least = error, best = points[i];
    }
    return best;
}
