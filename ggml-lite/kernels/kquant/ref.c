#include "kernels/kernels.h"
#include "kernels/kquant/expand.h"

/* ---- formats */

#define NIBBLES {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
/* Biased: three magnitudes and an unused index, then the same negative. */
#define IQ2_VALUES {43 + 8, 43 + 25, 43 + 43, 43, 43 - 8, 43 - 25, 43 - 43, 43}
/* Eighths, biased: -1, 0, 1 with an eighth more, then with an eighth less. */
#define IQ1_VALUES {9 - 7, 9 + 1, 9 + 9, 9, 9 - 9, 9 - 1, 9 + 7, 9}

static const struct ggl_kquant_format formats[] = {
    /* type, bits, parts, mins, each, bias, most, factor, table */
    {GGL_TYPE_Q4_1, 4, 1, true, true, 0, 15, 1, NIBBLES},
    {GGL_TYPE_Q5_0, 6, 1, false, true, 16, 31, 1, NIBBLES},
    {GGL_TYPE_Q5_1, 6, 1, true, true, 0, 31, 1, NIBBLES},
    {GGL_TYPE_Q2_K, 4, 2, true, false, 0, 15, 1, NIBBLES},
    {GGL_TYPE_Q3_K, 4, 2, false, false, 4, 15, 1, NIBBLES},
    {GGL_TYPE_Q4_K, 4, 1, true, false, 0, 15, 1, NIBBLES},
    {GGL_TYPE_Q5_K, 6, 1, true, false, 0, 63, 1, NIBBLES},
    {GGL_TYPE_Q6_K, 6, 2, false, false, 32, 63, 1, NIBBLES},
    {GGL_TYPE_IQ4_XS, 4, 1, false, false, 127, 240, 1,
     {0, 23, 44, 62, 78, 92, 105, 117, 128, 140, 152, 165, 180, 196, 216, 240}},
    {GGL_TYPE_IQ3_S, 4, 1, false, false, 15, 30, 1, {16, 18, 20, 22, 24, 26, 28, 30, 14, 12, 10, 8, 6, 4, 2, 0}},
    {GGL_TYPE_IQ3_XXS, 4, 1, false, false, 62, 124, 0.25f,
     {66, 74, 82, 90, 98, 106, 114, 124, 58, 50, 42, 34, 26, 18, 10, 0}},
    {GGL_TYPE_IQ2_S, 4, 2, false, false, 43, 86, 0.125f, IQ2_VALUES},
    {GGL_TYPE_IQ2_XS, 4, 2, false, false, 43, 86, 0.125f, IQ2_VALUES},
    {GGL_TYPE_IQ2_XXS, 4, 1, false, false, 43, 86, 0.125f, IQ2_VALUES},
    {GGL_TYPE_IQ1_M, 4, 2, false, false, 9, 18, 0.125f, IQ1_VALUES},
    {GGL_TYPE_IQ1_S, 4, 1, false, false, 9, 18, 0.125f, IQ1_VALUES},
};

const struct ggl_kquant_format *ggl_kquant_format(enum ggl_type type)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].type == type) return &formats[i];
    return NULL;
}

/* ---- expanding */

void ggl_kquant_expand_ref(const struct ggl_kquant_format *f, const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n,
                           uint8_t *panel)
{
    kquant_expand(f, rows, row_bytes, n_rows, n, panel);
}

/* ---- multiplying */

/* Input i of 32, before the bias is taken from it. */
static int32_t value_at(const struct ggl_kquant_format *f, const uint8_t *codes, int row, int i)
{
    uint8_t byte = codes[i % 16 / 4 * 64 + 4 * row + i % 4];
    int code = i < 16 ? byte & 15 : byte >> 4;
    if (f->bits == 4) return f->table[code];
    return code | (codes[256 + i / 16 * 64 + 4 * row + i % 4] >> 2 * (i % 16 / 4) & 3) << 4;
}

/* Eight blocks of 32 of one row. */
static float each_sum(const struct ggl_kquant_format *f, const uint8_t *block, int row, const int8_t *a, const float *scale_x)
{
    const uint8_t *codes = block + ggl_kquant_head_bytes(f);
    float s = 0, m = 0;
    for (int b = 0; b < 8; b++, codes += ggl_kquant_code_bytes(f)) {
        int32_t dot = 0, sum_x = 0;
        float d, min;
        for (int i = 0; i < 32; i++) {
            dot += (value_at(f, codes, row, i) - f->bias) * a[32 * b + i];
            sum_x += a[32 * b + i];
        }
        memcpy(&d, block + 64 * b + 4 * row, 4);
        float scale = d * scale_x[b], product = (float)dot * scale;
        s = s + product;
        if (!f->mins) continue;
        memcpy(&min, block + 512 + 64 * b + 4 * row, 4);
        float x = (float)sum_x * scale_x[b], less = min * x;
        m = m + less;
    }
    return f->mins ? s - m : s;
}

/* One block of one row. */
static float block_sum(const struct ggl_kquant_format *f, const uint8_t *block, int row, const int8_t *a, const float *scale_x)
{
    if (f->each) return each_sum(f, block, row, a, scale_x);
    const uint8_t *scales = block + (f->mins ? 128 : 64), *mins = scales + 8 * f->parts * 16;
    const uint8_t *codes = block + ggl_kquant_head_bytes(f);
    const int width = 32 / f->parts;
    float s = 0, m = 0, d, dmin;
    for (int b = 0; b < 8; b++, codes += ggl_kquant_code_bytes(f)) {
        int32_t sum = 0;
        for (int p = 0; p < f->parts; p++) {
            int32_t dot = 0, sum_x = 0;
            for (int i = p * width; i < (p + 1) * width; i++) {
                dot += (value_at(f, codes, row, i) - f->bias) * a[32 * b + i];
                sum_x += a[32 * b + i];
            }
            int at = 16 * (b * f->parts + p) + row;
            sum += dot * (int8_t)scales[at];
            if (!f->mins) continue;
            float x = (float)sum_x * scale_x[b], product = (float)mins[at] * x;
            m = m + product;
        }
        float product = (float)sum * scale_x[b];
        s = s + product;
    }
    memcpy(&d, block + 4 * row, 4);
    float y = d * s;
    if (!f->mins) return y;
    memcpy(&dmin, block + 64 + 4 * row, 4);
    float less = dmin * m;
    return y - less;
}

void ggl_kquant_mul_ref(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                        int64_t y_stride, int n_rows)
{
    const int64_t n_blocks = n / GGL_KQUANT_BLOCK, block_bytes = ggl_kquant_panel_bytes(f, GGL_KQUANT_BLOCK);
    for (int64_t t = 0; t < x->n_tokens; t++) {
        struct ggl_act_q8_row a = ggl_act_q8_row(x, t);
        for (int r = 0; r < n_rows; r++) {
            const uint8_t *block = panel + r / GGL_KQUANT_ROWS * n_blocks * block_bytes;
            float sum = x->begin ? y[t * y_stride + r] : 0;
            for (int64_t i = 0; i < n_blocks; i++, block += block_bytes) {
                float part = block_sum(f, block, r % GGL_KQUANT_ROWS, a.codes + GGL_KQUANT_BLOCK * i, a.scales + 8 * i);
                sum = sum + part;
            }
            y[t * y_stride + r] = sum;
        }
    }
}
