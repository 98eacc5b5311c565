/*
 * Products with panels: every kind of panel at every level gives the bits that panel.h prescribes, for any number of
 * tokens and rows, writing nothing else, on memory that ends where the data ends.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "kernels/kernels.h"
#include "quant/quant.h"

enum { MAX_N = 4096, MAX_BLOCKS = MAX_N / 32, MAX_TOKENS = 20, ROWS = 16, MAX_ROWS = 9 * ROWS, CANARY = 0x7f };

/* ---- numbers, and memory before an unmapped page */

static uint64_t rng = 88172645463325252u;

static uint32_t random_u32(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 32);
}

static float random_scale(void) /* 2^-6 .. 2 */
{
    return (1 + (float)(random_u32() % 1024) / 1024) * ldexpf(1, (int)(random_u32() % 7) - 6);
}

struct guarded {
    uint8_t *base, *end;
    size_t bytes;
};

static struct guarded guarded_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (bytes + page - 1) / page * page;
    struct guarded g = {mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), NULL, size + page};
    assert_true(g.base != MAP_FAILED);
    g.end = g.base + size;
    assert_int_equal(mprotect(g.end, page, PROT_NONE), 0);
    return g;
}

static void guarded_free(struct guarded *g)
{
    munmap(g->base, g->bytes);
}

/* ---- a matrix, taken apart: its panels are made from it here, by the words of panel.h */

static const uint8_t plain_levels[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t uneven_levels[16] = {0, 23, 44, 62, 78, 92, 105, 117, 128, 140, 152, 165, 180, 196, 216, 240};

static const struct kind {
    const char *name;
    struct ggl_panel_format format;
    int most; /* the largest stored byte, or 16 levels */
} kinds[] = {
    {"Q8", {GGL_PANEL_Q8, 128, NULL}, 255},           {"X8", {GGL_PANEL_X8, 12, NULL}, 32},
    {"T4 even", {GGL_PANEL_T4, 8, plain_levels}, 15}, {"T4 uneven", {GGL_PANEL_T4, 127, uneven_levels}, 15},
    {"I4", {GGL_PANEL_I4, 127, uneven_levels}, 15},
};
enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

static struct {
    uint8_t code[MAX_ROWS][MAX_N];
    float scale[MAX_ROWS][MAX_BLOCKS]; /* as it is multiplied */
} m;

/* How the numbers are drawn: anything; all as large as possible, which saturates what can saturate. */
enum draw { ANY, LARGEST, SMALLEST };

static uint8_t draw_code(const struct kind *k, enum draw draw)
{
    if (draw != ANY) return (uint8_t)(draw == LARGEST ? k->most : 0);
    return (uint8_t)(random_u32() % (uint32_t)(k->most + 1));
}

static void put_scale(const struct kind *k, uint8_t *scales, int row, float *value)
{
    float s = random_scale() * (random_u32() % 4 ? 1.0f : -1.0f);
    if (k->format.kind == GGL_PANEL_X8) {
        *value = s;
        memcpy(scales + 4 * row, value, 4);
    } else if (k->format.kind == GGL_PANEL_I4) {
        uint8_t code = (uint8_t)random_u32();
        if ((code & 0x7f) == 0x7f) code = 0x80;
        scales[row] = code;
        *value = ggl_e4m3_to_f32(code) / 256;
    } else {
        uint16_t h = random_u32() % 8 ? ggl_f16_from_f32(s) : (uint16_t)(random_u32() % 1024); /* denormals too */
        memcpy(scales + 2 * row, &h, 2);
        *value = ggl_f16_to_f32(h);
    }
}

static void put_code(const struct kind *k, uint8_t *codes, int row, int i, uint8_t code)
{
    if (k->most > 15) codes[i / 4 * 64 + 4 * row + i % 4] = code;
    else codes[i % 16 / 4 * 64 + 4 * row + i % 4] |= (uint8_t)(i < 16 ? code : code << 4);
}

/* Fill m from row `first` on and one panel. */
static void make_panel(const struct kind *k, int64_t n, enum draw draw, int first, uint8_t *panel, int64_t bytes)
{
    static const int scale_bytes[] = {[GGL_PANEL_Q8] = 32, [GGL_PANEL_X8] = 64, [GGL_PANEL_T4] = 32, [GGL_PANEL_I4] = 16};
    const int64_t block_scales = scale_bytes[k->format.kind], block_codes = k->most > 15 ? 512 : 256;
    uint8_t *scales = panel + n / 32 * block_codes;
    assert_int_equal(bytes, n / 32 * (block_codes + block_scales));
    memset(panel, 0, (size_t)bytes);
    for (int r = 0; r < ROWS; r++) {
        for (int64_t b = 0; b < n / 32; b++) {
            put_scale(k, scales + b * block_scales, r, &m.scale[first + r][b]);
            for (int i = 0; i < 32; i++) {
                uint8_t code = draw_code(k, draw);
                m.code[first + r][32 * b + i] = code;
                put_code(k, panel + b * block_codes, r, i, code);
            }
        }
    }
}

/* Fill m and the panels of n inputs that end at `end`; returns the first. */
static uint8_t *make_panels(const struct kind *k, int64_t n, int n_rows, enum draw draw, uint8_t *end)
{
    int64_t bytes = ggl_panel_bytes(k->format.kind, n);
    int n_panels = (n_rows + ROWS - 1) / ROWS;
    for (int i = 0; i < n_panels; i++) make_panel(k, n, draw, i * ROWS, end - (n_panels - i) * bytes, bytes);
    return end - n_panels * bytes;
}

/* Rows of n activations that end at `end`, `stride` bytes apart. */
static int8_t *make_activations(int64_t n, int64_t rows, int64_t stride, enum draw draw, uint8_t *end)
{
    int8_t *x = (int8_t *)end - rows * stride + (stride - (n + n / 32 * 8));
    for (int64_t t = 0; t < rows; t++) {
        int8_t *row = x + t * stride;
        for (int64_t b = 0; b < n / 32; b++) {
            int32_t sum = 0;
            for (int i = 0; i < 32; i++) {
                int v = draw == ANY ? (int)(random_u32() % 255) - 127 : t % 2 ? -127 : 127;
                row[32 * b + i] = (int8_t)v;
                sum += v;
            }
            float scale = random_scale();
            memcpy(row + n + 4 * b, &scale, 4);
            memcpy(row + n + n / 32 * 4 + 4 * b, &sum, 4);
        }
    }
    return x;
}

/* y after the panel's n inputs, of the `width` of x those from `begin` on. */
static float expected(const struct kind *k, int64_t n, const int8_t *x, int64_t width, int64_t begin, int row, float y)
{
    for (int64_t b = 0; b < n / 32; b++) {
        int32_t dot = 0;
        float scale;
        for (int i = 0; i < 32; i++) {
            int code = m.code[row][32 * b + i];
            dot += (k->format.table ? k->format.table[code] - k->format.bias : code - k->format.bias) * x[begin + 32 * b + i];
        }
        memcpy(&scale, x + width + 4 * (begin / 32 + b), 4);
        y = fmaf((float)dot * scale, m.scale[row][b], y);
    }
    return y;
}

/* ---- one implementation */

struct level {
    const char *name;
    ggl_panel_mul_fn *mul;
    bool wrong; /* found in silence: for implementations that are meant to be */
};

struct shape {
    int64_t n, tokens;
    int rows;
    enum draw draw;
    int64_t begin, rest; /* inputs before and behind the panel's */
};

static bool same(float a, float b)
{
    return memcmp(&a, &b, 4) == 0;
}

/* Rows past n_rows and the gaps between tokens keep what was there. */
static const char *compare(const struct kind *k, const struct shape *s, const int8_t *x, int64_t stride, const float *y,
                           const float *start, int64_t y_stride)
{
    int64_t width = s->begin + s->n + s->rest;
    uint8_t canary[4];
    memset(canary, CANARY, 4);
    for (int64_t t = 0; t < s->tokens; t++) {
        const int8_t *row = x + t * stride;
        for (int r = 0; r < s->rows; r++)
            if (!same(y[t * y_stride + r], expected(k, s->n, row, width, s->begin, r, s->begin ? start[t * y_stride + r] : 0)))
                return "a wrong result";
        for (int64_t r = s->rows; r < y_stride && t + 1 < s->tokens; r++)
            if (memcmp(&y[t * y_stride + r], canary, 4) != 0) return "a write past the rows";
    }
    return NULL;
}

static void check(struct level *l, const struct kind *k, const struct shape *s)
{
    int64_t width = s->begin + s->n + s->rest, stride = ggl_act_q8_bytes(width) + (s->tokens % 3 ? 0 : 64);
    int64_t y_stride = s->tokens % 2 ? s->rows + 5 : s->rows;
    size_t y_floats = (size_t)((s->tokens - 1) * y_stride + s->rows);
    struct guarded gp = guarded_new((size_t)((s->rows + ROWS - 1) / ROWS * ggl_panel_bytes(k->format.kind, s->n)));
    struct guarded gx = guarded_new((size_t)(s->tokens * stride)), gy = guarded_new(y_floats * 4);
    const uint8_t *panel = make_panels(k, s->n, s->rows, s->draw, gp.end);
    const int8_t *x = make_activations(width, s->tokens, stride, s->draw, gx.end);
    float *y = (float *)(void *)gy.end - y_floats;
    static float start[MAX_TOKENS * (MAX_ROWS + 5)];
    memset(gy.base, CANARY, (size_t)(gy.end - gy.base));
    for (int64_t t = 0; t < s->tokens && s->begin; t++)
        for (int r = 0; r < s->rows; r++) y[t * y_stride + r] = start[t * y_stride + r] = random_scale();
    const struct ggl_act_q8 inputs = {x, width, stride, s->begin, s->tokens};
    l->mul(&k->format, panel, s->n, &inputs, y, y_stride, s->rows);
    const char *fault = compare(k, s, x, stride, y, start, y_stride);
    for (const uint8_t *p = gy.base; !fault && p < (const uint8_t *)y; p++)
        if (*p != CANARY) fault = "a write before the result";
    if (fault && !l->wrong)
        fail_msg("%s, %s: %s for n %d, %d tokens, %d rows", l->name, k->name, fault, (int)s->n, (int)s->tokens, s->rows);
    if (fault) l->wrong = false;
    guarded_free(&gp);
    guarded_free(&gx);
    guarded_free(&gy);
}

/* All token and row counts of a panel on short rows, several panels, all row lengths, the largest sums there are, and
 * panels of a part of the inputs. */
static void check_kind(struct level *l, const struct kind *k)
{
    for (int64_t tokens = 1; tokens <= MAX_TOKENS; tokens++)
        for (int rows = 1; rows <= ROWS; rows++)
            check(l, k, &(struct shape){tokens % 2 ? 32 : 96, tokens, rows, ANY, rows % 3 * 32, rows % 2 * 64});
    static const int many[] = {17, 32, 33, 48, 63, 64, 65, 79, 96, 127, 128, 130, MAX_ROWS};
    for (int64_t tokens = 1; tokens <= MAX_TOKENS; tokens++)
        for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++)
            check(l, k, &(struct shape){tokens % 3 ? 32 : 160, tokens, many[i], ANY, tokens / 4 % 2 * 96, 32});
    for (int64_t n = 32; n <= MAX_N; n += 32)
        check(l, k, &(struct shape){n, n / 32 % 5 + 1, n % 64 ? ROWS : 13, ANY, 0, 0});
    check(l, k, &(struct shape){MAX_N, MAX_TOKENS, ROWS, ANY, 0, 0});
    check(l, k, &(struct shape){MAX_N, 7, 5 * ROWS - 1, ANY, 0, 0});
    for (int draw = LARGEST; draw <= SMALLEST; draw++)
        for (int64_t tokens = 1; tokens <= 4; tokens++) check(l, k, &(struct shape){128, tokens, 4 * ROWS, (enum draw)draw, 0, 0});
}

static void every_level(void **state)
{
    (void)state;
    uint64_t isa = ggl_cpu_isa();
#define KERNEL(operation, needs, symbol) \
    if (((needs) & ~isa) == 0) { \
        struct level l = {#symbol, symbol, false}; \
        for (int k = 0; k < N_KINDS; k++) check_kind(&l, &kinds[k]); \
        print_message("%s: %d kinds\n", #symbol, N_KINDS); \
    } else { \
        print_message("%s: this machine cannot run it\n", #symbol); \
    }
#include "kernels/panel/kernels.def"
#undef KERNEL
}

/* ---- the check itself is checked */

#define ARGUMENTS \
    const struct ggl_panel_format *f, const uint8_t *panel, int64_t n, const struct ggl_act_q8 *x, float *y, int64_t y_stride, \
        int n_rows
#define CALL(rows) ggl_panel_mul_ref(f, panel, n, x, y, y_stride, rows)

static void does_nothing(ARGUMENTS)
{
    (void)f, (void)panel, (void)n, (void)x, (void)y, (void)y_stride, (void)n_rows;
}

static void skips_a_row(ARGUMENTS)
{
    CALL(n_rows > 1 ? n_rows - 1 : 1);
}

static void writes_past_the_rows(ARGUMENTS)
{
    CALL(n_rows);
    if (x->n_tokens > 1 && y_stride > n_rows) y[n_rows] = 0;
}

static void ignores_the_stride(ARGUMENTS)
{
    struct ggl_act_q8 first = *x;
    first.stride = ggl_act_q8_bytes(x->width);
    x = &first;
    CALL(n_rows);
}

static void last_bit(ARGUMENTS)
{
    CALL(n_rows);
    y[n_rows - 1] = nextafterf(y[n_rows - 1], INFINITY);
}

static void begins_anew(ARGUMENTS)
{
    for (int64_t t = 0; t < x->n_tokens; t++) memset(y + t * y_stride, 0, (size_t)n_rows * 4);
    CALL(n_rows);
}

static void begins_with_the_first(ARGUMENTS)
{
    struct ggl_act_q8 first = *x;
    first.begin -= 32; /* and the sums of the inputs before, which is what an implementation could mistake it for */
    x = &first;
    CALL(n_rows);
}

static void finds_broken_ones(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ggl_panel_mul_fn *mul;
    } broken[] = {{"nothing", does_nothing},           {"a row less", skips_a_row}, {"a row more", writes_past_the_rows},
                  {"no stride", ignores_the_stride}, {"last bit", last_bit},     {"a new sum", begins_anew},
                  {"other inputs", begins_with_the_first}};
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        for (int k = 0; k < N_KINDS; k++) {
            struct level l = {broken[i].name, broken[i].mul, true};
            for (int tokens = 1; tokens <= 5 && l.wrong; tokens++)
                for (int rows = 14; rows <= ROWS && l.wrong; rows++)
                    check(&l, &kinds[k], &(struct shape){64, tokens, rows, ANY, 32, 32});
            if (l.wrong) fail_msg("nobody noticed \"%s\" for %s", broken[i].name, kinds[k].name);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level),
        cmocka_unit_test(finds_broken_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
