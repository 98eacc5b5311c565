/*
 * Products with packed matrices: what the decoded rows and the rounded activations give, in double; the bits of one
 * uncut panel, although rows are cut into parts; and the same bits for every number of tokens and threads.
 */
#include "ggml-lite/pack.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/graph_impl.h"
#include "src/pack_impl.h"

/* Parts of 512 and of 1024 inputs, and a rest; two whole groups of panels and two panels, the last of five rows.  MANY vectors
 * are taken in two blocks, which a part of all these panels meets before the next part. */
enum { N_IN = 2304, N_OUT = 16 * 9 + 5, PANELS = 10, TOKENS = 9, MANY = 530, LARGE = 4 * N_IN * N_OUT };

static uint32_t rng = 4711;

static float uniform(void) /* -1 .. 1 */
{
    rng = rng * 1664525 + 1013904223;
    return (float)(rng >> 8) / 0x1p23f - 1;
}

/* ---- matrices */

static float weights[N_OUT][N_IN];
static uint8_t codes[LARGE], scales[N_OUT * N_IN / 32];
static float row_scales[N_OUT];

static struct ggl_tensor tensor_of(enum ggl_type type)
{
    struct ggl_tensor t = {.name = "w", .type = type, .n_dims = 2, .ne = {N_IN, N_OUT, 1, 1}, .data = codes};
    if (type == GGL_TYPE_FP8) t.scale_type = GGL_SCALE_E8M0, t.row_bytes = N_IN, t.scale_row_bytes = N_IN / 128;
    else if (type == GGL_TYPE_INT4) t.scale_type = GGL_SCALE_E4M3, t.row_bytes = N_IN / 2, t.scale_row_bytes = N_IN / 32;
    else assert_true(ggl_row_bytes(type, N_IN, &t.row_bytes));
    if (t.scale_type) t.scale = scales;
    if (type == GGL_TYPE_INT4) t.row_scale = row_scales;
    t.slice_bytes = t.row_bytes * N_OUT;
    assert_true(t.slice_bytes <= LARGE);
    return t;
}

/* Rows that the encoder makes, or for a type that it cannot make yet: any codes under scales that are numbers. */
static struct ggl_tensor matrix_of(enum ggl_type type)
{
    struct ggl_tensor t = tensor_of(type);
    for (int r = 0; r < N_OUT; r++)
        for (int i = 0; i < N_IN; i++) weights[r][i] = uniform() * (1 + (float)(i / 500));
    if (type == GGL_TYPE_FP8) ggl_fp8_encode(weights[0], N_OUT, N_IN, codes, scales);
    for (int r = 0; r < N_OUT; r++) {
        uint8_t *row = codes + (uint64_t)r * t.row_bytes;
        if (type == GGL_TYPE_INT4) {
            ggl_int4_encode_row(weights[r], NULL, row, scales + r * (N_IN / 32), &row_scales[r], N_IN);
        } else if (type == GGL_TYPE_Q4_K) {
            for (uint64_t i = 0; i < t.row_bytes; i++) row[i] = (uint8_t)(int)(127 * uniform());
            for (int b = 0; b < N_IN / 256; b++) {
                uint16_t d = ggl_f16_from_f32(0.01f * uniform()), dmin = ggl_f16_from_f32(0.01f * uniform());
                memcpy(row + 144 * b, &d, 2);
                memcpy(row + 144 * b + 2, &dmin, 2);
            }
        } else if (type != GGL_TYPE_FP8) {
            assert_true(ggl_encode(type, weights[r], row, N_IN));
        }
        assert_true(ggl_tensor_decode_row(&t, 0, r, weights[r]));
    }
    return t;
}

/* ---- vectors: as they are, and as they are rounded */

static float x[MANY][N_IN], rounded[TOKENS][N_IN]; /* those from TOKENS on repeat the first */
static bool halves;                                /* sums are halves, as FP8's are at one level */

static bool fp8_in_halves(void)
{
    const uint64_t needs = GGL_ISA_AVX512FP16 | GGL_ISA_INTEL;
    return GGL_ARCH_X86_FP16 && (ggl_cpu_isa() & (needs | GGL_ISA_AMX)) == needs;
}

static float as_fp8_takes_it(const uint16_t *row, int i)
{
    float scale;
    memcpy(&scale, row + N_IN, 4);
    return halves ? ggl_f16_to_f32(row[i]) * scale : ggl_bf16_to_f32(row[i]);
}

static void make_vectors(enum ggl_type type)
{
    static _Alignas(64) int8_t q8[N_IN * 2];
    static uint16_t row[N_IN + 2];
    halves = type == GGL_TYPE_FP8 && fp8_in_halves();
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < N_IN; i++) x[t][i] = uniform() * (i % 37 ? 1.0f : 20.0f);
        ggl_act_q8_ref(x[t], N_IN, q8);
        (halves ? ggl_act_fp8_halves_ref : ggl_act_fp8_ref)(x[t], N_IN, row);
        for (int i = 0; i < N_IN; i++)
            rounded[t][i] = type == GGL_TYPE_FP8 || type == GGL_TYPE_BF16 ? as_fp8_takes_it(row, i)
                                                 : (float)q8[i] * ggl_act_q8_scales(q8, N_IN)[i / 32];
    }
    for (int t = TOKENS; t < MANY; t++) memcpy(x[t], x[t % TOKENS], sizeof(x[t]));
}

/* ---- products */

static float y[MANY][N_OUT];

static void multiply(const struct ggl_packed *p, struct ggl_team *team, int n_tokens)
{
    struct ggl_graph *g = ggl_graph_new(n_tokens);
    struct ggl_node *input = ggl_input(g, GGL_ELEM_F32, N_IN), *node = ggl_linear(g, p, input, 1);
    assert_non_null(node);
    ggl_graph_output(g, node);
    assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
    ggl_node_bind(input, x);
    assert_int_equal(ggl_graph_compute(g, n_tokens, 0, NULL, NULL), GGL_OK);
    memset(y, 0xff, sizeof(y));
    memcpy(y, ggl_node_data(node), (size_t)n_tokens * sizeof(y[0]));
    ggl_graph_free(g);
}

/* What rounding after each product may add up to where sums are halves: half a step of all there is in between. */
static double steps_of_halves(int t, int r)
{
    double steps = 0, s[4] = {0};
    for (int i = 0; i < N_IN; i++) {
        if (i % 128 == 0) memset(s, 0, sizeof(s));
        s[i % 4] += (double)weights[r][i] * (double)rounded[t][i];
        steps += fabs(s[i % 4]);
        if (i % 128 == 127) steps += fabs(s[0] + s[2]) + fabs(s[1] + s[3]) + fabs(s[0] + s[1] + s[2] + s[3]);
    }
    return 0x1.01p-11 * steps;
}

/* Three roundings a block of 32 and its sum, two for a row or block scale: never more than an eighth of the inputs. */
static const char *check_sums(int n_tokens)
{
    static char message[100];
    for (int t = 0; t < n_tokens; t++) {
        for (int r = 0; r < N_OUT; r++) {
            double want = 0, terms = 0;
            for (int i = 0; i < N_IN; i++) {
                double p = (double)weights[r][i] * (double)rounded[t][i];
                want += p;
                terms += fabs(p);
            }
            bool close = fabs((double)y[t][r] - want) <= N_IN / 8 * 0x1p-24 * terms + (halves ? steps_of_halves(t, r) : 0);
            if (isnan(want) ? isnan(y[t][r]) : close) continue;
            snprintf(message, sizeof(message), "token %d, row %d: %g, not %g", t, r, (double)y[t][r], want);
            return message;
        }
    }
    return NULL;
}

static const enum ggl_type types[] = {GGL_TYPE_Q8_0, GGL_TYPE_Q4_0, GGL_TYPE_INT4, GGL_TYPE_FP8, GGL_TYPE_Q4_K, GGL_TYPE_BF16};
enum { N_TYPES = sizeof(types) / sizeof(*types) };

static struct ggl_packed *pack(const struct ggl_tensor *w, struct ggl_team *team)
{
    struct ggl_packed *p;
    assert_int_equal(ggl_pack(w, team, &p, NULL), GGL_OK);
    assert_non_null(p);
    assert_int_equal(p->n_panels, PANELS);
    if (w->type == GGL_TYPE_BF16) assert_true(p->part == N_IN && ggl_packed_bytes(p) == (uint64_t)PANELS * 16 * 2 * N_IN);
    else assert_true(p->part < N_IN && N_IN % p->part);
    return p;
}

static struct ggl_team *team_of(int n)
{
    struct ggl_team *team;
    assert_int_equal(ggl_team_new(n, &team, NULL), GGL_OK);
    return team;
}

/* The same for all vectors as for the first few, whose results are still in y. */
static void check_many(const struct ggl_packed *p, struct ggl_team *team, const char *name)
{
    static float few[TOKENS][N_OUT];
    memcpy(few, y, sizeof(few));
    for (int n = 64; n <= MANY; n += MANY - 64) {
        multiply(p, team, n);
        for (int t = 0; t < n; t++)
            if (memcmp(few[t % TOKENS], y[t], sizeof(y[t])) != 0) fail_msg("%s: %d tokens change a bit of token %d", name, n, t);
    }
}

static void sums_are_right_and_the_same_for_all(void **state)
{
    (void)state;
    static float first[TOKENS][N_OUT];
    for (int k = 0; k < N_TYPES; k++) {
        struct ggl_tensor w = matrix_of(types[k]);
        const char *name = ggl_type_info((uint32_t)types[k])->name, *fault;
        make_vectors(types[k]);
        for (int threads = 1; threads <= 3; threads++) {
            struct ggl_team *team = team_of(threads);
            struct ggl_packed *p = pack(&w, team);
            for (int n = 1; n <= TOKENS; n += n < 2 ? 1 : TOKENS - 2) {
                multiply(p, team, n);
                if ((fault = check_sums(n))) fail_msg("%s, %d threads, %d tokens: %s", name, threads, n, fault);
                if (threads == 1 && n == 1) memcpy(first, y, sizeof(first));
                if (memcmp(first, y, sizeof(y[0])) != 0) fail_msg("%s: %d threads or %d tokens change a bit", name, threads, n);
            }
            check_many(p, team, name);
            ggl_packed_free(p);
            ggl_team_free(team);
        }
    }
}

/* The contract of panel.h, kquant.h and fp8.h is about whole rows. */
static void parts_leave_no_trace(void **state)
{
    (void)state;
    static _Alignas(64) uint8_t panel[N_IN * 64], act[2 * N_IN + 64];
    for (int k = 0; k < N_TYPES; k++) {
        if (types[k] == GGL_TYPE_INT4 || types[k] == GGL_TYPE_BF16) continue; /* no other way into a panel; no parts */
        struct ggl_tensor w = matrix_of(types[k]);
        struct ggl_team *team = team_of(2);
        struct ggl_packed *p = pack(&w, team);
        float whole[16];
        make_vectors(types[k]);
        multiply(p, team, 1);
        const struct ggl_act_q8 q8 = {(const int8_t *)act, N_IN, sizeof(act), 0, 1};
        for (int r = 0; r < N_OUT; r += 16) {
            int n_rows = N_OUT - r < 16 ? N_OUT - r : 16;
            const uint8_t *rows = codes + (uint64_t)r * w.row_bytes;
            if (p->fp8) {
                const bool tiles = ggl_cpu_isa() & GGL_ISA_AMX;
                float scale;
                (halves ? ggl_act_fp8_halves_ref : ggl_act_fp8_ref)(x[0], N_IN, (uint16_t *)(void *)act);
                memcpy(&scale, act + 2 * N_IN, 4);
                ggl_fp8_pack_ref(rows, N_IN, n_rows, N_IN, panel);
                for (int i = 0; i < N_IN / 128; i++) {
                    float s = ggl_e8m0_to_f32(scales[r / 128 * (N_IN / 128) + i]);
                    memcpy(panel + 16 * N_IN + 4 * i, &s, 4);
                }
                ggl_fp8_mul_fn *twin = tiles ? ggl_fp8_mul_steps_ref : halves ? ggl_fp8_mul_halves_ref : ggl_fp8_mul_ref;
                twin(panel, N_IN, (const uint16_t *)(const void *)act, N_IN, 1, whole, 16, n_rows, false);
                for (int i = 0; i < n_rows; i++) whole[i] *= scale;
            } else if (p->kquant) {
                ggl_act_q8_ref(x[0], N_IN, (int8_t *)act);
                ggl_kquant_expand_ref(p->kquant, rows, (int64_t)w.row_bytes, n_rows, N_IN, panel);
                ggl_kquant_mul_ref(p->kquant, panel, N_IN, &q8, whole, 16, n_rows);
            } else {
                ggl_act_q8_ref(x[0], N_IN, (int8_t *)act);
                ggl_panel_expand_ref(types[k], rows, (int64_t)w.row_bytes, n_rows, N_IN, panel);
                ggl_panel_mul_ref(&p->format, panel, N_IN, &q8, whole, 16, n_rows);
            }
            if (memcmp(whole, y[0] + r, (size_t)n_rows * 4) != 0)
                fail_msg("%s: parts change a bit of rows %d ..", ggl_type_info((uint32_t)types[k])->name, r);
        }
        ggl_packed_free(p);
        ggl_team_free(team);
    }
}

/* Any part of any panel is needed: with its codes turned around, the check above finds the sums wrong. */
static void every_part_counts(void **state)
{
    (void)state;
    for (int k = 0; k < N_TYPES; k++) {
        if (types[k] == GGL_TYPE_BF16) continue;
        struct ggl_tensor w = matrix_of(types[k]);
        struct ggl_team *team = team_of(1);
        struct ggl_packed *p = pack(&w, team);
        make_vectors(types[k]);
        for (int64_t panel = 0; panel < PANELS; panel += 3)
            for (int64_t begin = 0; begin < N_IN; begin += p->part) {
                uint8_t *part = ggl_packed_part(p, panel, begin);
                uint64_t bytes = ggl_packed_part_bytes(p, ggl_packed_inputs(p, begin));
                /* Four inputs; where so few may be lost in rounding, a quarter of the part. */
                const uint64_t count = halves ? bytes / 4 : 64;
                for (uint64_t i = bytes / 2; i < bytes / 2 + count; i++) part[i] ^= 0x44;
                multiply(p, team, 1);
                if (!check_sums(1)) fail_msg("panel %d, inputs from %d on: nobody noticed", (int)panel, (int)begin);
                for (uint64_t i = bytes / 2; i < bytes / 2 + count; i++) part[i] ^= 0x44;
            }
        multiply(p, team, 1);
        assert_null(check_sums(1));
        ggl_packed_free(p);
        ggl_team_free(team);
    }
}

/* What is no number spoils its own row: a scale of INT4 in the last part, a code of FP8 in the first. */
static void no_number_spoils_its_row(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct ggl_tensor w = matrix_of(k ? GGL_TYPE_FP8 : GGL_TYPE_INT4);
        if (k) codes[20 * N_IN + 3] = 0x7f;
        else scales[20 * (N_IN / 32) + N_IN / 32 - 1] = 0xff;
        struct ggl_team *team = team_of(2);
        struct ggl_packed *p = pack(&w, team);
        make_vectors(w.type);
        multiply(p, team, TOKENS);
        for (int t = 0; t < TOKENS; t++)
            for (int r = 0; r < N_OUT; r++) assert_int_equal(isnan(y[t][r]) != 0, r == 20);
        ggl_packed_free(p);
        ggl_team_free(team);
    }
}

/* What threads fetch while they wait is what they take first, and ends with the matrix. */
static void what_is_read_first(void **state)
{
    (void)state;
    for (int k = 0; k < N_TYPES; k++) {
        for (int nth = 1; nth <= 3; nth++) {
            struct ggl_tensor w = matrix_of(types[k]);
            struct ggl_team *team = team_of(nth);
            struct ggl_packed *p = pack(&w, team);
            struct ggl_graph *g = ggl_graph_new(1);
            const struct ggl_node *node = ggl_linear(g, p, ggl_input(g, GGL_ELEM_F32, N_IN), 1);
            struct ggl_domains domains = ggl_domains_find(nth, NULL);
            for (int ith = 0; ith < nth; ith++) {
                struct ggl_given given[3] = {0};
                struct ggl_run run = {.ith = ith, .nth = nth, .n_tokens = 1, .domains = &domains, .given = given};
                struct ggl_guided guided = ggl_guided_begin(&run, p->n_groups, 1);
                struct ggl_ahead first = {NULL, NULL};
                int64_t begin, end, own, unused;
                ggl_share(p->n_groups, ith, nth, &own, &unused);
                assert_true(ggl_guided_next(&guided, &begin, &end));
                assert_true(node->reads(node, &run, 0, &first));
                if (begin == own) assert_ptr_equal(first.p, ggl_packed_part(p, begin * p->group, 0));
                assert_true(first.end >= first.p && (!first.p || first.end <= p->data + p->bytes));
                assert_false(node->reads(node, &run, 1, &first));
            }
            ggl_graph_free(g);
            ggl_packed_free(p);
            ggl_team_free(team);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_right_and_the_same_for_all), cmocka_unit_test(parts_leave_no_trace),
                                       cmocka_unit_test(every_part_counts), cmocka_unit_test(no_number_spoils_its_row),
                                       cmocka_unit_test(what_is_read_first)};
    return cmocka_run_group_tests_name("ggml-lite/linear", tests, NULL, NULL);
}
