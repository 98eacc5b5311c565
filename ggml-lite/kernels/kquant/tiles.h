/* From tokens to tiles of 4, 2 and 1, for the levels whose 16 rows are several registers (ggl_rows); included by their
 * files behind enum { TOKENS }, the type tile, run_fn and choose(). */
static void mul_one(const struct ggl_kquant_format *f, run_fn *run, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x,
                    float *y, int64_t y_stride, int n_rows)
{
    int old = x->begin ? n_rows : 0;
    for (int64_t t = 0, count; t < x->n_tokens; t += count, y += count * y_stride) {
        int64_t left = x->n_tokens - t;
        tile v;
        ggl_rows sum[TOKENS];
        count = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        for (int64_t i = 0; i < count; i++) {
            v[i] = ggl_act_q8_row(x, t + i);
            ggl_load_rows(y + i * y_stride, old, sum[i]);
        }
        run(f, panel, n / GGL_KQUANT_BLOCK, v, (int)count, sum);
        for (int64_t i = 0; i < count; i++) ggl_store_rows(y + i * y_stride, n_rows, sum[i]);
    }
}

static inline void mul(const struct ggl_kquant_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                int64_t y_stride, int n_rows)
{
    run_fn *run = choose(f);
    for (int r = 0; r < n_rows; r += GGL_KQUANT_ROWS, panel += ggl_kquant_panel_bytes(f, n))
        mul_one(f, run, panel, n, x, y + r, y_stride, n_rows - r < GGL_KQUANT_ROWS ? n_rows - r : GGL_KQUANT_ROWS);
}
