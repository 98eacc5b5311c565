/*
 * From tokens to tiles, for the levels whose 16 rows are several registers (ggl_rows); included by their files behind
 *
 *     enum { TOKENS, UNIT };    most tokens of a tile; how many it grows by, 1 or 2
 *     tile                      below
 *     run_tile(f, kind, panel, n_blocks, x, n, sum)    n units, whose sums go on
 */
typedef struct ggl_act_q8_row tile[TOKENS];

static inline __attribute__((always_inline)) void run_tile(const struct ggl_panel_format *f, enum ggl_panel_kind kind, const uint8_t *panel, int64_t n_blocks,
                               const tile x, int n, ggl_rows sum[TOKENS]);

#define CASES(kind)                                                                                                    \
    switch (n) {                                                                                                       \
    case 1: run_tile(f, kind, panel, n_blocks, x, 1, sum); break;                                                      \
    case 2: run_tile(f, kind, panel, n_blocks, x, 2, sum); break;                                                      \
    case 3: run_tile(f, kind, panel, n_blocks, x, 3, sum); break;                                                      \
    default: run_tile(f, kind, panel, n_blocks, x, 4, sum); break;                                                     \
    }

static void dispatch(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n_blocks, const tile x, int n,
                     ggl_rows sum[TOKENS])
{
    if (f->kind == GGL_PANEL_Q8) {
        CASES(GGL_PANEL_Q8)
    } else if (f->kind == GGL_PANEL_X8) {
        CASES(GGL_PANEL_X8)
    } else if (f->kind == GGL_PANEL_I4) {
        CASES(GGL_PANEL_I4)
    } else {
        CASES(GGL_PANEL_T4)
    }
}

/* x->n_tokens is a multiple of UNIT. */
static void mul_one(const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y,
                    int64_t y_stride, int n_rows)
{
    int old = x->begin ? n_rows : 0;
    for (int64_t t = 0; t < x->n_tokens; t += TOKENS, y += TOKENS * y_stride) {
        int count = (int)(x->n_tokens - t < TOKENS ? x->n_tokens - t : TOKENS);
        tile v;
        ggl_rows sum[TOKENS];
        for (int i = 0; i < count; i++) {
            v[i] = ggl_act_q8_row(x, t + i);
            ggl_load_rows(y + i * y_stride, old, sum[i]);
        }
        dispatch(f, panel, n / GGL_PANEL_BLOCK, v, count / UNIT, sum);
        for (int i = 0; i < count; i++) ggl_store_rows(y + i * y_stride, n_rows, sum[i]);
    }
}
