/*
 * The scale of a block for Q4_0, Q4_1, Q5_0 and Q5_1: codes are the truncation of x / d + bias.  A block
 * with an infinity or a NaN gets a NaN scale and codes 0, so that it cannot pass for data.
 */
#include "codec.h"
#include "quant/quant.h"
#include "scalar.h"

static struct ggl_rounding of_scale(float d)
{
    struct ggl_rounding r = {.inverse = d != 0.0f ? 1.0f / d : 0.0f, .d_half = ggl_f16_from_f32(d)};
    /* A denormal d has no inverse; its half is 0 in any case. */
    if (r.inverse > 0x1p127f || r.inverse < -0x1p127f) r.inverse = 0.0f;
    return r;
}

static struct ggl_rounding spoilt(void)
{
    return (struct ggl_rounding){.d_half = 0x7e00, .m_half = 0x7e00, .spoilt = true};
}

struct ggl_rounding ggl_rounding_signed(const float *x, int n, int levels)
{
    if (ggl_amax_bits(x, n) >= GGL_F32_INF_BITS) return spoilt();
    float amax = 0.0f, extreme = 0.0f;
    for (int i = 0; i < n; i++) {
        float a = x[i] < 0 ? -x[i] : x[i];
        if (a > amax) amax = a, extreme = x[i];
    }
    struct ggl_rounding r = of_scale(extreme / (float)-levels);
    r.bias = (float)levels + 0.5f;
    return r;
}

struct ggl_rounding ggl_rounding_min(const float *x, int n, int top)
{
    float min = x[0], max = x[0];
    for (int i = 1; i < n; i++) {
        if (x[i] < min) min = x[i];
        if (x[i] > max) max = x[i];
    }
    /* The spread of finite numbers can overflow too. */
    if (ggl_amax_bits(x, n) >= GGL_F32_INF_BITS || !(max - min <= 0x1.fffffep127f)) return spoilt();
    struct ggl_rounding r = of_scale((max - min) / (float)top);
    r.min = min;
    r.m_half = ggl_f16_from_f32(min);
    r.bias = 0.5f;
    return r;
}

uint8_t ggl_round_code(const struct ggl_rounding *r, float x, int top)
{
    if (r->spoilt) return 0;
    int q = (int)((x - r->min) * r->inverse + r->bias);
    return (uint8_t)(q < 0 ? 0 : q > top ? top : q);
}
