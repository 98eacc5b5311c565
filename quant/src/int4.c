/*
 * INT4: a nibble chooses one of IQ4_NL's 16 uneven levels, an E4M3 scale serves 32 elements, a float the row:
 * value = row scale * scale * level.  Byte j of a group's 16 holds elements j (low nibble) and j + 16.
 *
 * The encoder takes for every group the scale that gives the smallest (weighted) squared error.  The levels are not
 * symmetric, so scales of both signs are tried.  The row scale has 8 significant bits: every decoded value is then
 * exact in float, in whatever order its factors are multiplied.
 */
#include <float.h>
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

enum { GROUP = 32, N_LEVELS = 16, TOP_CODE = 0x7e, NAN_CODE = 0x7f };

/* Scales tried around the one at which no element is clipped, in codes: below it clipping a few elements serves the
 * others, above it the largest lands on a level further in.  Weights, which differ by orders of magnitude, move the
 * best scale further.  What lies outside would gain less than 0.05 % of the error. */
enum { BELOW = 3, ABOVE = 6, BELOW_WEIGHTED = 12, ABOVE_WEIGHTED = 12 };

void ggl_int4_decode_row(const uint8_t *codes, const uint8_t *scales, float row_scale, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP)
        ggl_iq4_decode_run(row_scale * ggl_e4m3_decode(scales[i / GROUP]), codes + i / 2, y + i);
}

/* The nearest level of t, at index 2 t + 256 rounded down: halfway between two levels 2 t is a whole number. */
enum { N_NEAREST = 512 };

struct nearest {
    float level[N_NEAREST];
    uint8_t code[N_NEAREST];
};

static void make_nearest(struct nearest *near)
{
    int code = 0;
    for (int i = 0; i < N_NEAREST; i++) {
        while (code < N_LEVELS - 1 && i - 256 >= ggl_iq4_levels[code] + ggl_iq4_levels[code + 1]) code++;
        near->code[i] = (uint8_t)code;
        near->level[i] = ggl_iq4_levels[code];
    }
}

static inline int nearest_index(float t)
{
    float i = 2 * t + 256;
    i = i > 0 ? i : 0;
    return (int)(i < N_NEAREST - 1 ? i : N_NEAREST - 1);
}

/* One group in units of the row scale, with its weights. */
struct group {
    float x[GROUP], w[GROUP];
    bool even; /* all weights are alike */
};

/* Sum of the weighted squared errors when the scale is d; eight partial sums run side by side. */
static float error_at(const struct nearest *near, const struct group *g, float d)
{
    float sum[8] = {0}, inverse = 1 / d;
    for (int i = 0; i < GROUP; i += 8)
        for (int j = 0; j < 8; j++) {
            float e = g->x[i + j] - d * near->level[nearest_index(g->x[i + j] * inverse)];
            sum[j] += g->w[i + j] * (e * e);
        }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void assign_codes(const struct nearest *near, const struct group *g, float d, uint8_t *codes)
{
    float inverse = d != 0 ? 1 / d : 0.0f;
    for (int j = 0; j < GROUP / 2; j++) {
        uint8_t low = near->code[nearest_index(g->x[j] * inverse)];
        uint8_t high = near->code[nearest_index(g->x[j + GROUP / 2] * inverse)];
        codes[j] = (uint8_t)(low | high << 4);
    }
}

/* The scale's code.  Zero, which makes everything zero, is the one to beat: all others may be too coarse for a group
 * that is very small beside its row. */
static uint8_t best_scale(const struct nearest *near, const struct group *g, float row_scale)
{
    uint8_t best = 0;
    float least = 0, high = 0, low = 0;
    int below = g->even ? BELOW : BELOW_WEIGHTED, above = g->even ? ABOVE : ABOVE_WEIGHTED;
    for (int i = 0; i < GROUP; i++) {
        least += g->w[i] * (g->x[i] * g->x[i]);
        if (!(g->w[i] > 0)) continue;
        high = g->x[i] > high ? g->x[i] : high;
        low = g->x[i] < low ? g->x[i] : low;
    }
    for (int sign = 0; sign < 2; sign++) {
        float up = (sign ? -low : high) / (float)ggl_iq4_levels[N_LEVELS - 1];
        float down = (sign ? high : -low) / -(float)ggl_iq4_levels[0];
        int fits = ggl_e4m3_encode(up > down ? up : down);
        int first = fits > below ? fits - below : 1, last = fits + above < TOP_CODE ? fits + above : TOP_CODE;
        for (int code = first; code <= last; code++) {
            float d = ggl_e4m3_decode((uint8_t)code);
            if (!(row_scale * d * 127 <= FLT_MAX)) break; /* would decode to infinity */
            float error = error_at(near, g, sign ? -d : d);
            if (!(error < least)) continue;
            least = error;
            best = (uint8_t)(code | sign << 7);
        }
    }
    return best;
}

/* An octave above the scale at which the row's largest element is not clipped is the top of E4M3, 448. */
static float choose_row_scale(const float *x, int64_t n)
{
    uint32_t top = 0;
    for (int64_t i = 0; i < n; i += GROUP) {
        uint32_t amax = ggl_amax_bits(x + i, GROUP);
        if (amax < GGL_F32_INF_BITS && amax > top) top = amax;
    }
    if (!top) return 0;
    float scale = ggl_float_of(top) / (113 * 224);
    if (scale < 0x1p-117f) return 0x1p-117f; /* the smallest scale times this is still no denormal */
    return ggl_float_of((ggl_bits_of(scale) + 0xffffu) & 0xffff0000u);
}

/* Weights relative to the largest; what is no weight counts as zero, and nothing but zeros as all alike. */
static void load_weights(struct group *g, const float *weights)
{
    float top = 0;
    g->even = true;
    for (int i = 0; i < GROUP; i++) {
        float w = weights ? weights[i] : 1;
        g->w[i] = w > 0 && w <= FLT_MAX ? w : 0;
        top = g->w[i] > top ? g->w[i] : top;
        g->even = g->even && g->w[i] == g->w[0];
    }
    for (int i = 0; i < GROUP; i++) g->w[i] = top > 0 ? g->w[i] / top : 1;
}

void ggl_int4_encode_row(const float *x, const float *weights, uint8_t *codes, uint8_t *scales, float *row_scale, int64_t n)
{
    float row = choose_row_scale(x, n), inverse = row > 0 ? 1 / row : 0.0f;
    struct nearest near;
    make_nearest(&near);
    *row_scale = row;
    for (int64_t i = 0; i < n; i += GROUP) {
        struct group g;
        if (ggl_amax_bits(x + i, GROUP) >= GGL_F32_INF_BITS) { /* lost visibly: the whole group decodes to NaN */
            scales[i / GROUP] = NAN_CODE;
            memset(codes + i / 2, 0, GROUP / 2);
            continue;
        }
        for (int k = 0; k < GROUP; k++) g.x[k] = x[i + k] * inverse;
        load_weights(&g, weights ? weights + i : NULL);
        scales[i / GROUP] = best_scale(&near, &g, row);
        assign_codes(&near, &g, ggl_e4m3_decode(scales[i / GROUP]), codes + i / 2);
    }
}
