/* FP8 panels against double on the decoded codes, for 1 .. 19 tokens and 1 .. 16 rows, sometimes up to 96; BF16 rounding; the same bits at
 * every level. */
#include "support/checkkernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"

static void check_act_bf16(ck_kernel *kernel, int64_t n)
{
    float *x = ck_random(n);
    if (n > 20) x[3] = INFINITY, x[7] = NAN, x[11] = 3.4e38f, x[12] = -NAN, x[13] = 1e-41f;
    uint16_t *out = ck_bytes(2 * (uint64_t)n, 0);
    ((ggl_act_bf16_fn *)kernel)(x, n, out);
    for (int64_t i = 0; i < n; i++)
        if (out[i] != ggl_bf16_from_f32(x[i])) ck_fail("%d: 0x%04x for %g", (int)i, out[i], (double)x[i]);
}

/* ---- panels, which each level writes for itself */

/* The implementation of an operation for exactly this level. */
static ck_kernel *kernel_of(const char *name, uint64_t level)
{
#define KERNEL(operation, isa, symbol) \
    if (strcmp(name, #operation) == 0 && (isa) == level) return (ck_kernel *)symbol;
#include "kernels/fp8/kernels.def"
#undef KERNEL
    return NULL;
}

/* The level of an implementation; broken ones, which read plain panels, need none. */
static uint64_t level_of(ck_kernel *kernel)
{
#define KERNEL(operation, isa, symbol) \
    if (kernel == (ck_kernel *)symbol) return (isa);
#include "kernels/fp8/kernels.def"
#undef KERNEL
    return 0;
}

/* Whether it adds halves. */
static bool in_halves(ck_kernel *kernel)
{
    return level_of(kernel) & GGL_ISA_AVX512FP16;
}

/* Plain C in the same order. */
static ggl_fp8_mul_fn *twin_of(ck_kernel *kernel)
{
    if (in_halves(kernel)) return ggl_fp8_mul_halves_ref;
    return level_of(kernel) & GGL_ISA_AMX ? ggl_fp8_mul_steps_ref : ggl_fp8_mul_ref;
}

/* The activations it takes, in plain C, and what they are. */
static ggl_act_fp8_fn *act_of(ck_kernel *kernel)
{
    return in_halves(kernel) ? ggl_act_fp8_halves_ref : ggl_act_fp8_ref;
}

static double value_of(ck_kernel *kernel, uint16_t x)
{
    return (double)(in_halves(kernel) ? ggl_f16_to_f32(x) : ggl_bf16_to_f32(x));
}

static void check_act_fp8(ck_kernel *kernel, int64_t length)
{
    const int64_t n = (length + 1) / 2 * 2;
    float *x = ck_random(n);
    uint16_t *out = ck_bytes(2 * (uint64_t)n + 4, 0), *want = ck_bytes(2 * (uint64_t)n + 4, 0);
    const int kind = (int)ck_next(8);
    if (n > 20) x[3] = (float[]){INFINITY, NAN, 0x1p100f, 0x1p99f, 1e-41f, -0.0f, 1e6f, 1}[kind];
    for (int64_t i = 0; i < n && ck_next(8) == 0; i++) x[i] *= 0x1p-110f;
    ((ggl_act_fp8_fn *)kernel)(x, n, out);
    act_of(kernel)(x, n, want);
    if (memcmp(out, want, (size_t)n * 2 + 4)) ck_fail("not the reference's bits");
    float scale, amax = 0;
    memcpy(&scale, out + n, 4);
    for (int64_t i = 0; i < n; i++) amax = fmaxf(amax, fabsf(x[i]));
    if (n > 20 && kind < 2 && in_halves(kernel) && isfinite(scale)) ck_fail("what is no number is lost");
    if (n > 20 && kind < 3) return;
    /* BF16's rounding; half a step of a half and of the smallest ones, or all of what is below 2^-100. */
    for (int64_t i = 0; i < n; i++)
        ck_close("x", i, (float)value_of(kernel, out[i]) * scale, (double)x[i], 0x1p-8 * fabs((double)x[i]) + 0x1p-31 * (double)amax + 0x1p-100);
}

enum { MOST_ROWS = 96, MOST_INPUTS = 128 * 66 };

struct matrix {
    int64_t n, row_bytes, tiles;
    int rows;
    uint8_t *codes;
    float scales[66];
};

static struct matrix random_matrix(int64_t length, int most)
{
    struct matrix m = {.n = (length % 600 + 3) / 4 * 4, .rows = 1 + (int)ck_next(16)};
    if (!m.n) m.n = 4;
    if (ck_next(3) == 0) m.n = 128 * (1 + ck_next(5)); /* whole tiles, as in every published model */
    if (ck_next(50) == 0) m.n = MOST_INPUTS - 128 * ck_next(4);
    if (ck_next(2)) m.rows = 16;
    if (most > 16 && ck_next(3) == 0) m.rows = 1 + (int)ck_next((uint32_t)most);
    m.tiles = (m.n + 127) / 128, m.row_bytes = m.n + ck_next(4);
    m.codes = ck_bytes((uint64_t)(m.row_bytes * (m.rows - 1) + m.n), 0);
    for (int r = 0; r < m.rows; r++)
        for (int64_t i = 0; i < m.n; i++) {
            uint8_t c = (uint8_t)ck_next(256);
            m.codes[r * m.row_bytes + i] = (uint8_t)((c & 127) == 127 ? c - 1 : c);
        }
    for (int64_t i = 0; i < m.n; i++) /* two of three steps without denormals and zeros */
        for (int r = 0; r < m.rows && (i / 32 + m.n) % 3; r++)
            if (!(m.codes[r * m.row_bytes + i] & 0x78)) m.codes[r * m.row_bytes + i] ^= (uint8_t)(8u << ck_next(4));
    if (ck_next(4) == 0) /* no number: it spoils its row and no other */
        m.codes[ck_next((uint32_t)m.rows) * m.row_bytes + ck_next((uint32_t)m.n)] = ck_next(2) ? 0x7f : 0xff;
    for (int64_t t = 0; t < m.tiles; t++) m.scales[t] = ldexpf(1, (int)ck_next(8) - 10);
    return m;
}

/* Bytes of a panel up to its last one that means anything. */
static int64_t meaning(int64_t n)
{
    return ggl_fp8_steps_at(n) + (n + 127) / 128;
}

/* Panels of 16 rows, of which nothing follows the last. */
static uint8_t *packed(const struct matrix *m, ggl_fp8_pack_fn *pack, int rows)
{
    int64_t bytes = ggl_fp8_panel_bytes(m->n), panels = (rows + 15) / 16;
    uint8_t *first = ck_bytes((uint64_t)((panels - 1) * bytes + meaning(m->n)), 0);
    for (int64_t p = 0; p < panels; p++) {
        memcpy(first + p * bytes + m->n * 16, m->scales, (size_t)m->tiles * 4);
        pack(m->codes + 16 * p * m->row_bytes, m->row_bytes, rows - 16 * p < 16 ? (int)(rows - 16 * p) : 16, m->n, first + p * bytes);
    }
    return first;
}

/* A matrix with its scales, and BF16 numbers, once for all products. */
static const double *decoded_matrix(const struct matrix *m)
{
    static double w[MOST_ROWS * MOST_INPUTS];
    for (int r = 0; r < m->rows; r++)
        for (int64_t i = 0; i < m->n; i++) w[r * m->n + i] = (double)ggl_e4m3_to_f32(m->codes[r * m->row_bytes + i]) * (double)m->scales[i / 128];
    return w;
}

static const double *decoded(ck_kernel *kernel, const uint16_t *h, int64_t n)
{
    static double x[64 * 1024];
    for (int64_t i = 0; i < n; i++) x[i] = value_of(kernel, h[i]);
    return x;
}

static void check_fp8_mul(ck_kernel *kernel, int64_t length)
{
    struct matrix m = random_matrix(length, MOST_ROWS);
    int64_t n = m.n, stride = n + ck_next(5), y_stride = (m.rows + 15) / 16 * 16 + (int64_t)ck_next(3);
    int rows = m.rows, tokens = n > 1000 || ck_next(2) ? 1 : 1 + (int)ck_next(19);
    if (n < 1000 && ck_next(16) == 0) tokens = 49 + (int)ck_next(16);
    uint8_t *panel = packed(&m, (ggl_fp8_pack_fn *)kernel_of("fp8_pack", level_of(kernel)), rows);
    uint8_t *plain = packed(&m, ggl_fp8_pack_ref, rows);
    float *x = ck_random(stride * tokens), *y = ck_f32(y_stride * tokens), *same = ck_f32(y_stride * tokens);
    uint16_t *h = ck_bytes(2 * (uint64_t)(stride * (tokens - 1) + n), 0), row[MOST_INPUTS + 2];
    const bool more = ck_next(3) == 0;
    for (int t = 0; t < tokens; t++) {
        act_of(kernel)(x + t * stride, n, row);
        memcpy(h + t * stride, row, (size_t)n * 2);
    }
    if (level_of(kernel) & GGL_ISA_AMX && ck_next(4) == 0) /* takes denormals for zeros, the same for one token and for many */
        for (int64_t i = 0; i < stride * (tokens - 1) + n; i++) h[i] = (uint16_t)((h[i] & 0x807f) | ck_next(4) << 7);
    for (int64_t i = 0; i < y_stride * tokens && more; i++)
        if (i % y_stride < rows) y[i] = same[i] = (float)ck_uniform();
    const float *start = ck_copy(y, y_stride * tokens);
    ((ggl_fp8_mul_fn *)kernel)(panel, n, h, stride, tokens, y, y_stride, rows, more);
    twin_of(kernel)(plain, n, h, stride, tokens, same, y_stride, rows, more);
    const double *w = decoded_matrix(&m), *a = decoded(kernel, h, stride * (tokens - 1) + n);
    double error = 0, power = 0;
    for (int t = 0; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
            double want = more ? (double)start[t * y_stride + r] : 0, terms = fabs(want);
            for (int64_t i = 0; i < n; i++) {
                double p = w[r * n + i] * a[t * stride + i];
                want += p;
                terms += fabs(p);
            }
            /* 64 sums in each half of a tile, the halves, the scale, and a sum a tile; and what is flushed: inputs under a
             * weight of up to 448, the sums, products with a scale (below 1). */
            double flushed = level_of(kernel) & GGL_ISA_AMX ? (double)(n * 449 + 4) * 0x1p-126 : 0;
            /* Halves: 32 sums in each quarter of a tile, and two more, of 11 bits. */
            double unit = in_halves(kernel) ? 34 * 0x1p-11 : 67 * CK_U;
            if (!isnan(want)) ck_close("y", t * MOST_ROWS + r, y[t * y_stride + r], want, (unit + (double)m.tiles * CK_U) * terms + flushed);
            else if (!isnan(y[t * y_stride + r])) ck_fail("row %d has a code that is no number, and is one", r);
            ck_same("y", t * MOST_ROWS + r, y[t * y_stride + r], same[t * y_stride + r]);
            if (isnan(want)) continue;
            error += ((double)y[t * y_stride + r] - want) * ((double)y[t * y_stride + r] - want);
            power += want * want;
        }
        for (int64_t r = rows; r < y_stride; r++)
            if (!isnan(y[t * y_stride + r])) ck_fail("wrote beyond row %d", rows);
    }
    if (rows * tokens >= 64 && !more && error > 4e-6 * power) ck_fail("NMSE %g", error / power);
}

/* With the multiplication of its level, input after input is asked for; all 16 rows, of which some may be missing. */
static void check_fp8_pack(ck_kernel *kernel, int64_t length)
{
    struct matrix m = random_matrix(length, 16);
    ggl_fp8_mul_fn *mul = (ggl_fp8_mul_fn *)kernel_of("fp8_mul", level_of(kernel));
    uint8_t *panel = packed(&m, (ggl_fp8_pack_fn *)kernel, m.rows);
    uint16_t *one = ck_bytes(2 * (uint64_t)m.n, 0);
    float y[16];
    uint32_t flags, want = 0;
    memcpy(&flags, panel + ggl_fp8_flags_at(m.n), 4);
    for (int r = 0; r < m.rows; r++)
        for (int64_t i = 0; i < m.n; i++)
            if ((m.codes[r * m.row_bytes + i] & 127) == 127) want |= 1u << r;
    if (flags != want) ck_fail("flags are %04x, expected %04x", (unsigned)flags, (unsigned)want);
    for (int64_t i = 0; i < m.n; i += 32) {
        unsigned odd = m.rows < 16, said = panel[ggl_fp8_steps_at(m.n) + i / 128] >> i % 128 / 32 & 1;
        for (int r = 0; r < m.rows; r++)
            for (int64_t j = i; j < m.n && j < i + 32; j++) {
                uint8_t c = m.codes[r * m.row_bytes + j];
                odd |= !(c & 0x78) || (c & 127) == 127;
            }
        if (said != odd) ck_fail("the step of input %d is said to be %u, expected %u", (int)i, said, odd);
    }
    memset(one, 0, (size_t)m.n * 2);
    for (int64_t i = (int64_t)ck_next(3); i < m.n; i += 1 + (int64_t)ck_next(5) + m.n / 16) {
        one[i] = in_halves(kernel) ? 0x3c00 : 0x3f80;
        mul(panel, m.n, one, m.n, 1, y, 16, 16, false);
        one[i] = 0;
        for (int r = 0; r < 16; r++) {
            float w = r < m.rows ? ggl_e4m3_to_f32(m.codes[r * m.row_bytes + i]) * m.scales[i / 128] : 0;
            if (!(want >> r & 1) && y[r] != w) ck_fail("row %d, input %d: %g, not %g", r, (int)i, (double)y[r], (double)w);
        }
    }
}

static void every_kernel(void **state)
{
    (void)state;
#define KERNEL(operation, isa, symbol) ck_run(#symbol, isa, check_##operation, (ck_kernel *)symbol);
#include "kernels/fp8/kernels.def"
#undef KERNEL
}

/* Whatever a processor has: who multiplies knows the panels of who packed. */
static void the_pick_takes_both_of_one_level(void **state)
{
    (void)state;
    uint64_t every = 0, seen[8] = {0};
    int n_seen = 0;
#define KERNEL(operation, isa, symbol) every |= (isa);
#include "kernels/kernels.def"
#undef KERNEL
    for (uint64_t isa = every;; isa = (isa - 1) & every) {
        struct ggl_kernels k;
        ggl_kernels_pick(&k, isa);
        uint64_t pack = level_of((ck_kernel *)k.fp8_pack), mul = level_of((ck_kernel *)k.fp8_mul), act = level_of((ck_kernel *)k.act_fp8);
        if ((act ^ mul) & (GGL_ISA_AVX512FP16 | GGL_ISA_AMX)) fail_msg("levels %llx: activations of %llx for %llx", (unsigned long long)isa, (unsigned long long)act, (unsigned long long)mul);
        if (pack != mul) fail_msg("levels %llx: panels of %llx for %llx", (unsigned long long)isa, (unsigned long long)pack, (unsigned long long)mul);
        int i = 0;
        while (i < n_seen && seen[i] != pack) i++;
        if (i == n_seen) seen[n_seen++] = pack;
        if (!isa) break;
    }
    int n_levels = 0;
#define KERNEL(operation, isa, symbol) n_levels += strcmp(#operation, "fp8_mul") == 0;
#include "kernels/fp8/kernels.def"
#undef KERNEL
    assert_int_equal(n_seen, n_levels);
}

/* ---- broken ones, on plain panels */

static uint8_t *copy_of(const uint8_t *panels, int64_t n, int n_rows)
{
    size_t bytes = (size_t)((n_rows - 1) / 16 * ggl_fp8_panel_bytes(n) + meaning(n));
    uint8_t *copy = malloc(bytes);
    memcpy(copy, panels, bytes);
    return copy;
}

static void first_scale_for_all(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens,
                                float *y, int64_t y_stride, int n_rows, bool more)
{
    uint8_t *copy = copy_of(panel, n, n_rows);
    for (int64_t t = 1; t < (n + 127) / 128; t++) memcpy(copy + n * 16 + 4 * t, copy + n * 16, 4);
    ggl_fp8_mul_ref(copy, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
    free(copy);
}

static void loses_denormals(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows, bool more)
{
    uint8_t *copy = copy_of(panel, n, n_rows);
    for (int64_t i = 0; i < n * 16; i++)
        if (!(copy[i] & 0x78)) copy[i] = 0;
    ggl_fp8_mul_ref(copy, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
    free(copy);
}

static void decodes_what_is_no_number(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens,
                                      float *y, int64_t y_stride, int n_rows, bool more)
{
    uint8_t *copy = copy_of(panel, n, n_rows);
    for (int64_t i = 0; i < n * 16; i++)
        if ((copy[i] & 127) == 127) copy[i]--;
    ggl_fp8_mul_ref(copy, n, x, x_stride, n_tokens, y, y_stride, n_rows, more);
    free(copy);
}

static void writes_all_rows(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                            int64_t y_stride, int n_rows, bool more)
{
    ggl_fp8_mul_ref(panel, n, x, x_stride, n_tokens, y, y_stride, (n_rows + 15) / 16 * 16, more);
}

static void first_panel_for_all(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                                int64_t y_stride, int n_rows, bool more)
{
    for (int r = 0; r < n_rows; r += 16)
        ggl_fp8_mul_ref(panel, n, x, x_stride, n_tokens, y + r, y_stride, n_rows - r < 16 ? n_rows - r : 16, more);
}

static void begins_anew(const uint8_t *panel, int64_t n, const uint16_t *x, int64_t x_stride, int64_t n_tokens, float *y,
                        int64_t y_stride, int n_rows, bool more)
{
    (void)more;
    ggl_fp8_mul_ref(panel, n, x, x_stride, n_tokens, y, y_stride, n_rows, false);
}

static void forgets_the_flags(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
    memset(panel + ggl_fp8_flags_at(n), 0, 4);
}

/* As if denormals could be multiplied as normal numbers are. */
static void calls_all_normal(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
    memset(panel + ggl_fp8_steps_at(n), 0, (size_t)(n + 127) / 128);
}

static void keeps_old_rows(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
    if (n_rows < 16) panel[16 * 3 + 3 * 2] = 0x40; /* row 15 */
}

static void swaps_inputs(const uint8_t *rows, int64_t row_bytes, int n_rows, int64_t n, uint8_t *panel)
{
    ggl_fp8_pack_ref(rows, row_bytes, n_rows, n, panel);
    uint8_t c = panel[0];
    panel[0] = panel[1], panel[1] = c;
}

static void cuts_instead_of_rounding(const float *x, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        out[i] = (uint16_t)(bits >> 16);
    }
}

static void broken_ones_are_caught(void **state)
{
    (void)state;
    ck_must_fail("one scale", check_fp8_mul, (ck_kernel *)first_scale_for_all);
    ck_must_fail("denormals", check_fp8_mul, (ck_kernel *)loses_denormals);
    ck_must_fail("all rows", check_fp8_mul, (ck_kernel *)writes_all_rows);
    ck_must_fail("no number", check_fp8_mul, (ck_kernel *)decodes_what_is_no_number);
    ck_must_fail("one panel", check_fp8_mul, (ck_kernel *)first_panel_for_all);
    ck_must_fail("a new sum", check_fp8_mul, (ck_kernel *)begins_anew);
    ck_must_fail("flags", check_fp8_pack, (ck_kernel *)forgets_the_flags);
    ck_must_fail("normal", check_fp8_pack, (ck_kernel *)calls_all_normal);
    ck_must_fail("old rows", check_fp8_pack, (ck_kernel *)keeps_old_rows);
    ck_must_fail("inputs", check_fp8_pack, (ck_kernel *)swaps_inputs);
    ck_must_fail("cuts", check_act_bf16, (ck_kernel *)cuts_instead_of_rounding);
}

/* ---- benchmark: one token, and some, with panels that fit in the second-level cache */

enum { BENCH_IN = 4096, BENCH_PANELS = 8, BENCH_TOKENS = 32 };
static uint8_t *bench_rows, *bench_panels;
static uint16_t bench_x[BENCH_IN * BENCH_TOKENS];

static void bench_fp8_pack(ck_kernel *kernel, int64_t n)
{
    for (int p = 0; p < BENCH_PANELS; p++)
        ((ggl_fp8_pack_fn *)kernel)(bench_rows, n, 16, n, bench_panels + p * ggl_fp8_panel_bytes(n));
}

static void bench_tokens(ck_kernel *kernel, int64_t n, int64_t n_tokens)
{
    static float y[64 * BENCH_TOKENS];
    for (int p = 0; p < BENCH_PANELS; p += 4)
        ((ggl_fp8_mul_fn *)kernel)(bench_panels + p * ggl_fp8_panel_bytes(n), n, bench_x, n, n_tokens, y, 64, 64, false);
}

static void bench_fp8_mul(ck_kernel *kernel, int64_t n)
{
    bench_tokens(kernel, n, 1);
}

static void bench_fp8_mul_many(ck_kernel *kernel, int64_t n)
{
    bench_tokens(kernel, n, BENCH_TOKENS);
}

static void bench_act_bf16(ck_kernel *kernel, int64_t n)
{
    static float x[BENCH_IN];
    ((ggl_act_bf16_fn *)kernel)(x, n, bench_x);
}

static void bench_act_fp8(ck_kernel *kernel, int64_t n)
{
    static float x[BENCH_IN];
    ((ggl_act_fp8_fn *)kernel)(x, n, bench_x);
}

/* GB/s of "many" are those of 32 single tokens. */
static void bench(void)
{
    double bytes = (double)BENCH_PANELS * 16 * BENCH_IN;
    bench_rows = malloc(16 * BENCH_IN);
    bench_panels = aligned_alloc(64, (size_t)(BENCH_PANELS * ggl_fp8_panel_bytes(BENCH_IN)));
    if (bench_rows && bench_panels) {
        for (int i = 0; i < 16 * BENCH_IN; i++) bench_rows[i] = (uint8_t)((ck_next(256) & 0xfb) | 8u << ck_next(4)); /* normal, as nearly all are */
        for (int i = 0; i < BENCH_IN * BENCH_TOKENS; i++) bench_x[i] = (uint16_t)(0x3f00 + ck_next(256));
        for (int64_t p = 0; p < BENCH_PANELS; p++)
            for (int64_t t = 0; t < BENCH_IN / 128; t++)
                memset(bench_panels + p * ggl_fp8_panel_bytes(BENCH_IN) + BENCH_IN * 16 + 4 * t, 0x3f, 4);
#define KERNEL(operation, isa, symbol) \
    ck_bench(#symbol, isa, bench_##operation, (ck_kernel *)symbol, BENCH_IN, \
             strncmp(#operation, "act_", 4) == 0 ? 4.0 * BENCH_IN : bytes);
#include "kernels/fp8/kernels.def"
#undef KERNEL
#define KERNEL(operation, isa, symbol) \
    if (strcmp(#operation, "fp8_mul") == 0) \
        ck_bench(#symbol " many", isa, bench_fp8_mul_many, (ck_kernel *)symbol, BENCH_IN, bytes * BENCH_TOKENS);
#include "kernels/fp8/kernels.def"
#undef KERNEL
    }
    free(bench_rows), free(bench_panels);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(every_kernel), cmocka_unit_test(the_pick_takes_both_of_one_level),
                                      cmocka_unit_test(broken_ones_are_caught)};
    return cmocka_run_group_tests_name("kernels/fp8", list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return ck_main(argc, argv, tests, bench);
}
