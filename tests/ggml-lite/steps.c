/*
 * Steps: which barriers of a graph are left out.  Random graphs are checked pair by pair against the rule, and real
 * operations are run as a team at its worst would run them.
 */
#include "ggml-lite/graph.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/graph_impl.h"
#include "support/adversary.h"
#include "support/block_graph.h"

static uint32_t rng = 2027;

static uint32_t below(uint32_t n)
{
    rng = rng * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)rng * n >> 32);
}

static struct ggl_team *team_of(int n)
{
    struct ggl_team *team = NULL;
    assert_int_equal(ggl_team_new(n, &team, NULL), GGL_OK);
    return team;
}

/* ---- random graphs */

static uint64_t some_scratch(const struct ggl_node *node, int64_t n_tokens, int nth)
{
    return (uint64_t)(node->width * n_tokens * nth);
}

static void run_nothing(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)node, (void)run, (void)phase;
}

static const struct ggl_op ops[] = {{"one", 1, NULL, run_nothing},
                                    {"scratch", 1, some_scratch, run_nothing},
                                    {"two", 2, some_scratch, run_nothing},
                                    {"four", 4, NULL, run_nothing}};
static const char states[4];

static void decorate(struct ggl_node *node)
{
    if (node->op->n_phases == 1 && below(2)) {
        node->parts = 1 + below(2);
        node->part_src = below(1 << GGL_MAX_SRC);
    }
    if (node->op->n_phases > 1) node->late_src = below(1 << GGL_MAX_SRC);
    else node->in_place = below(2);
    for (int i = 0; i < GGL_MAX_STATE; i++)
        if (below(8) == 0) node->state[i] = &states[below(4)];
}

static struct ggl_graph *random_graph(int n_nodes)
{
    struct ggl_graph *g = ggl_graph_new(3);
    assert_non_null(g);
    for (int i = 0; i < n_nodes; i++) {
        struct ggl_node *src[GGL_MAX_SRC] = {NULL};
        const int64_t widths[] = {below(30), 8, 8, 8}; /* rows of the same width may change their owner */
        int n_src = i ? (int)below(GGL_MAX_SRC) : 0;
        for (int s = 0; s < n_src; s++)
            if (below(3)) src[s] = g->nodes[i - 1 - (int)below((uint32_t)(i < 20 ? i : 20))];
        struct ggl_node *node = below(12) ? ggl_node_new(g, &ops[below(4)], GGL_ELEM_F32, widths[below(4)], n_src, src)
                                          : ggl_input(g, GGL_ELEM_F32, 3);
        assert_non_null(node);
        if (node->op) decorate(node);
        if (below(15) == 0) ggl_graph_output(g, node);
    }
    return g;
}

/* ---- the rule, from what the executor does: barriers are counted along the way */

enum { MAX_NODES = 120, MAX_PHASES = 4 };

struct times {
    int at[MAX_NODES][MAX_PHASES]; /* barriers before the phase */
};

static int count_barriers(const struct ggl_graph *g, struct times *t)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct ggl_node *node = g->nodes[i];
        for (int phase = 0; node->op && phase < node->op->n_phases; phase++) {
            t->at[i][phase] = n;
            n += phase + 1 < node->op->n_phases || ggl_ends_step(g, node);
        }
    }
    return n;
}

static int end_of(const struct ggl_graph *g, const struct times *t, int i)
{
    return t->at[i][g->nodes[i]->op->n_phases - 1];
}

static bool own(const struct ggl_node *a, const struct ggl_node *b, int s)
{
    return a->parts && a->parts == b->parts && (b->part_src & 1u << s);
}

static bool ordered(const struct ggl_graph *g, const struct times *t, int a, int b)
{
    const struct ggl_node *x = g->nodes[a], *y = g->nodes[b];
    for (int s = 0; s < y->n_src; s++) {
        int reads = y->late_src & 1u << s ? end_of(g, t, b) : t->at[b][0];
        if (y->src[s] == x && end_of(g, t, a) >= reads && !own(x, y, s)) return false;
    }
    for (int i = 0; i < GGL_MAX_STATE; i++)
        for (int j = 0; j < GGL_MAX_STATE; j++)
            if (x->state[i] && x->state[i] == y->state[j] && end_of(g, t, a) >= t->at[b][0]) return false;
    return true;
}

struct place {
    uint64_t begin, end;
    int first, last;
};

static int places_of(const struct ggl_graph *g, const struct times *t, int i, struct place *p)
{
    const struct ggl_node *node = g->nodes[i];
    int last = end_of(g, t, i);
    for (int j = i + 1; j < g->n_nodes; j++)
        for (int s = 0; s < g->nodes[j]->n_src; s++)
            if (g->nodes[j]->src[s] == node && end_of(g, t, j) > last) last = end_of(g, t, j);
    if (node->last_use == INT32_MAX) last = INT32_MAX;
    uint64_t rows = (uint64_t)(node->width * g->n_tokens_max) * 4;
    uint64_t scratch = node->op->scratch ? node->op->scratch(node, g->n_tokens_max, 2) : 0;
    p[0] = (struct place){node->offset, node->offset + rows, t->at[i][0], last};
    p[1] = (struct place){node->scratch_offset, node->scratch_offset + scratch, t->at[i][0], end_of(g, t, i)};
    return 2;
}

static bool apart(const struct place *a, const struct place *b)
{
    return a->end <= b->begin || b->end <= a->begin || a->last < b->first || b->last < a->first;
}

/* Whether b has the place of its first source, and may: it is the last reader, and the others are done when it begins. */
static bool took_over(const struct ggl_graph *g, const struct times *t, int b)
{
    const struct ggl_node *node = g->nodes[b], *src = node->n_src ? node->src[0] : NULL;
    if (!node->in_place || !src || !src->op || src->offset != node->offset || src->width != node->width) return false;
    if (src->last_use == INT32_MAX) return false;
    for (int i = 0; i < g->n_nodes; i++)
        for (int s = 0; s < g->nodes[i]->n_src; s++)
            if (i != b && g->nodes[i]->src[s] == src && (i > b || end_of(g, t, i) >= t->at[b][0])) return false;
    return true;
}

/* Whether a's rows went from node to node until they were b's. */
static bool inherited(const struct ggl_graph *g, const struct times *t, int a, int b)
{
    while (b > a && took_over(g, t, b)) b = g->nodes[b]->src[0]->index;
    return b == a;
}

static bool places_apart(const struct ggl_graph *g, const struct times *t, int a, int b)
{
    struct place p[2], q[2];
    int n = places_of(g, t, a, p), m = places_of(g, t, b, q);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            if (!apart(&p[i], &q[j]) && !(i == 0 && j == 0 && inherited(g, t, a, b))) return false;
    return true;
}

static bool obeys(const struct ggl_graph *g)
{
    static struct times t;
    count_barriers(g, &t);
    for (int b = 1; b < g->n_nodes; b++)
        for (int a = 0; a < b; a++)
            if (g->nodes[a]->op && g->nodes[b]->op && (!ordered(g, &t, a, b) || !places_apart(g, &t, a, b))) return false;
    return true;
}

static void random_graphs_obey(void **state)
{
    (void)state;
    struct ggl_team *team = team_of(2);
    static struct times t;
    int64_t phases = 0, barriers = 0, noticed = 0, tried = 0, took = 0;
    for (int trial = 0; trial < 300; trial++) {
        struct ggl_graph *g = random_graph(2 + (int)below(MAX_NODES - 2));
        assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
        if (!obeys(g)) fail_msg("trial %d", trial);
        barriers += count_barriers(g, &t);
        for (int i = 1; i < g->n_nodes; i++) took += took_over(g, &t, i);
        assert_int_equal(count_barriers(g, &t), g->n_steps ? g->n_steps - 1 : 0);
        for (int i = 0; i < g->n_nodes; i++) phases += g->nodes[i]->op ? g->nodes[i]->op->n_phases : 0;
        /* one barrier less, and the rule is broken */
        int cut = (int)below((uint32_t)g->n_nodes);
        while (cut < g->n_nodes && !(g->nodes[cut]->op && ggl_ends_step(g, g->nodes[cut]))) cut++;
        if (cut < g->n_nodes) {
            for (int i = cut + 1; i < g->n_nodes; i++) g->nodes[i]->first_step--, g->nodes[i]->last_step--;
            tried++;
            noticed += !obeys(g);
        }
        ggl_graph_free(g);
    }
    assert_true(took > 300); /* rows changed their owner */
    assert_true(barriers * 10 < phases * 9); /* some are left out */
    assert_true(tried > 100 && noticed == tried); /* and none of the others can be */
    ggl_team_free(team);
}

/* ---- cases */

static int barriers_of(struct ggl_graph *g, struct ggl_team *team)
{
    static struct times t;
    assert_int_equal(ggl_graph_plan(g, team, NULL), GGL_OK);
    int n = count_barriers(g, &t);
    ggl_graph_free(g);
    return n;
}

static struct ggl_tensor square(void)
{
    static const float zeros[64];
    struct ggl_tensor w = {.name = "w", .type = GGL_TYPE_F32, .n_dims = 2, .ne = {8, 8, 1, 1}, .row_bytes = 32, .slice_bytes = 256};
    w.data = (const uint8_t *)zeros;
    return w;
}

static void cases(void **state)
{
    (void)state;
    struct ggl_team *team = team_of(2);
    struct ggl_tensor w = square();
    struct ggl_graph *g = ggl_graph_new(4);
    struct ggl_node *x = ggl_input(g, GGL_ELEM_F32, 8);
    ggl_mul_mat(g, &w, x, 1), ggl_mul_mat(g, &w, x, 1);
    assert_int_equal(barriers_of(g, team), 0); /* of one input, beside each other */

    g = ggl_graph_new(4), x = ggl_input(g, GGL_ELEM_F32, 8);
    ggl_mul_mat(g, &w, ggl_mul_mat(g, &w, x, 1), 1);
    assert_int_equal(barriers_of(g, team), 1); /* one after the other */

    g = ggl_graph_new(4), x = ggl_input(g, GGL_ELEM_F32, 8);
    ggl_rms_norm(g, ggl_rms_norm(g, x, NULL, 4, 0), NULL, 4, 0);
    assert_int_equal(barriers_of(g, team), 0); /* the same parts */

    g = ggl_graph_new(4), x = ggl_input(g, GGL_ELEM_F32, 8);
    ggl_rms_norm(g, ggl_rms_norm(g, x, NULL, 4, 0), NULL, 0, 0);
    assert_int_equal(barriers_of(g, team), 1); /* other parts */

    const float freqs[2] = {1, 1};
    g = ggl_graph_new(4), x = ggl_input(g, GGL_ELEM_F32, 8);
    ggl_rope(g, x, ggl_rope_table(g, freqs, 2), 8, 4, false);
    assert_int_equal(barriers_of(g, team), 0); /* a token's angles are read by who wrote them */

    g = ggl_graph_new(4), x = ggl_input(g, GGL_ELEM_F32, 8);
    ggl_rope(g, x, ggl_rope_table(g, freqs, 2), 4, 4, false);
    assert_int_equal(barriers_of(g, team), 1); /* and by others when it has two heads */

    struct ggl_row_format format = ggl_row_format(GGL_ROW_FLOAT, 8, 0);
    struct ggl_row_ring ring = {NULL, 8, format.bytes};
    for (int same = 0; same < 2; same++) { /* a ring is written, then read: nothing but the ring says so */
        struct ggl_row_ring other = ring;
        const struct ggl_attention a = {.n_head = 1, .n_dim = 8, .window = 4, .sinks = freqs, .format = format, .ring = &ring};
        g = ggl_graph_new(4), x = ggl_input(g, GGL_ELEM_F32, 8);
        struct ggl_node *rows = ggl_input(g, GGL_ELEM_U8, format.bytes);
        ggl_ring_store(g, rows, same ? &ring : &other, 4, x);
        ggl_attention(g, x, rows, NULL, NULL, &a);
        assert_int_equal(barriers_of(g, team), same);
    }
    ggl_team_free(team);
}

/* ---- real operations */

enum { TOKENS = 40 };

static void run_all(struct block_graph *b, const struct adversary *a, float *out)
{
    static const int64_t chunks[] = {1, 2, 9, 1, 1, 1, 16, 4, 1, 1, 1, 1, 1};
    int64_t pos = 0;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); pos += chunks[i++]) {
        if (a) {
            ggl_node_bind(b->ids, b->tokens + pos);
            adversary_run(b->g, chunks[i], pos, a);
        } else {
            assert_int_equal(block_graph_run(b, chunks[i], pos, NULL), GGL_OK);
        }
        memcpy(out + pos * BLOCK_OUT, ggl_node_data(b->out), (size_t)chunks[i] * BLOCK_OUT * 4);
    }
    assert_int_equal(pos, TOKENS);
}

static bool same_with(struct ggl_team *team, const struct adversary *a, const float *expected)
{
    static float out[TOKENS * BLOCK_OUT];
    struct block_graph *b = block_graph_new(16, team);
    run_all(b, a, out);
    block_graph_free(b);
    return memcmp(out, expected, sizeof(out)) == 0;
}

/* In a child: without a barrier an index may be what lay in memory before. */
static bool misses(struct ggl_team *team, int step, const float *expected)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool same = true;
        signal(SIGSEGV, SIG_DFL); /* the test runner has its own */
        signal(SIGBUS, SIG_DFL);
        close(2);
        for (int last_first = 0; last_first < 2; last_first++)
            same = same && same_with(team, &(struct adversary){3, last_first, step}, expected);
        _exit(same ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void a_team_at_its_worst(void **state)
{
    (void)state;
    static float expected[TOKENS * BLOCK_OUT];
    struct ggl_team *team = team_of(8);
    struct block_graph *b = block_graph_new(16, team);
    run_all(b, NULL, expected);
    int n_steps = b->g->n_steps, needed = 0;
    block_graph_free(b);
    for (int nth = 1; nth <= 8; nth++)
        for (int last_first = 0; last_first < 2; last_first++)
            if (!same_with(team, &(struct adversary){nth, last_first, ADVERSARY_NO_STEP}, expected))
                fail_msg("%d members, last first %d", nth, last_first);
    /* This would notice: nearly every barrier that is left out changes bits.  Not those for rings, which are larger
     * than such short runs need. */
    for (int step = 0; step + 1 < n_steps; step++) needed += misses(team, step, expected);
    if (needed < (n_steps - 1) * 4 / 5) fail_msg("%d of %d barriers are needed", needed, n_steps - 1);
    ggl_team_free(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_obey),
        cmocka_unit_test(cases),
        cmocka_unit_test(a_team_at_its_worst),
    };
    return cmocka_run_group_tests_name("ggml-lite/steps", tests, NULL, NULL);
}
