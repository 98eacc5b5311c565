/* Several graphs in one run of their team: order, places of outputs, refusals, what observers see, cancelling. */
#include "ggml-lite/graph.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/graph_impl.h"

enum { WIDTH = 12, TOKENS = 3 };

static atomic_int runs;

/* Each thread writes its share of 2x, all but the first long after it. */
static void run_double_late(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    int64_t begin, end;
    if (run->ith == 0) atomic_fetch_add(&runs, 1);
    else usleep(2000);
    ggl_share(run->n_tokens * WIDTH, run->ith, run->nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) ggl_f32_out(node, 0)[i] = 2 * ggl_f32_row(node->src[0], 0)[i];
}

/* The first thread adds pos to every element, at once. */
static void run_add_pos(const struct ggl_node *node, const struct ggl_run *run, int phase)
{
    (void)phase;
    if (run->ith) return;
    for (int64_t i = 0; i < run->n_tokens * WIDTH; i++) ggl_f32_out(node, 0)[i] = ggl_f32_row(node->src[0], 0)[i] + (float)run->pos;
}

static const struct ggl_op op_double = {"double", 1, NULL, run_double_late}, op_add = {"add_pos", 1, NULL, run_add_pos};

/* Two graphs, of which the second reads what the first makes. */
struct pair {
    struct ggl_team *team;
    struct ggl_graph *first, *second;
    struct ggl_node *in, *doubled, *between, *out;
    float x[TOKENS * WIDTH];
};

static struct ggl_graph *one_op(const struct ggl_op *op, const char *name, struct ggl_node **in, struct ggl_node **out)
{
    struct ggl_graph *g = ggl_graph_new(TOKENS);
    *in = ggl_input(g, GGL_ELEM_F32, WIDTH);
    *out = ggl_name(ggl_node_new(g, op, GGL_ELEM_F32, WIDTH, 1, in), "%s", name);
    ggl_graph_output(g, *out);
    return g;
}

static void open_pair(struct pair *p, int n_threads)
{
    assert_int_equal(ggl_team_new(n_threads, &p->team, NULL), GGL_OK);
    p->first = one_op(&op_double, "doubled", &p->in, &p->doubled);
    p->second = one_op(&op_add, "moved", &p->between, &p->out);
    assert_int_equal(ggl_graph_plan(p->first, p->team, NULL), GGL_OK);
    assert_int_equal(ggl_graph_plan(p->second, p->team, NULL), GGL_OK);
    for (int i = 0; i < TOKENS * WIDTH; i++) p->x[i] = (float)i;
    ggl_node_bind(p->in, p->x);
    ggl_node_bind(p->between, ggl_node_data(p->doubled));
}

static void close_pair(struct pair *p)
{
    ggl_graph_free(p->first);
    ggl_graph_free(p->second);
    ggl_team_free(p->team);
}

static enum ggl_status run_both(struct pair *p, int64_t n, int64_t pos)
{
    const struct ggl_pass passes[] = {{p->first, n, 7}, {p->second, n, pos}};
    return ggl_graphs_compute(passes, 2, NULL, NULL);
}

static void the_second_begins_when_all_are_done_with_the_first(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        struct pair p;
        open_pair(&p, n_threads);
        for (int round = 0; round < 5; round++) {
            for (int i = 0; i < TOKENS * WIDTH; i++) p.x[i] = (float)(i + 100 * round);
            assert_int_equal(run_both(&p, TOKENS, 1000), GGL_OK);
            const float *out = ggl_node_data(p.out);
            for (int i = 0; i < TOKENS * WIDTH; i++) assert_true(out[i] == (float)(2 * (i + 100 * round) + 1000));
        }
        close_pair(&p);
    }
}

static void an_output_goes_where_it_is_told(void **state)
{
    (void)state;
    struct pair p;
    float mine[2 * WIDTH] = {0};
    open_pair(&p, 2);
    const float *arena = ggl_node_data(p.out);
    assert_int_equal(run_both(&p, TOKENS, 1), GGL_OK);
    const float before = arena[5];
    ggl_node_place(p.second, p.out, mine);
    assert_ptr_equal(ggl_node_data(p.out), mine);
    assert_int_equal(run_both(&p, 1, 50), GGL_OK);
    assert_true(mine[5] == 60 && mine[WIDTH] == 0 && arena[5] == before);
    ggl_node_place(p.second, p.out, NULL);
    assert_ptr_equal(ggl_node_data(p.out), arena);
    assert_int_equal(run_both(&p, 2, 70), GGL_OK);
    assert_true(arena[5] == 80 && mine[5] == 60);
    ggl_node_place(p.second, p.between, mine); /* an input's rows are the caller's affair */
    assert_ptr_equal(ggl_node_data(p.between), ggl_node_data(p.doubled));
    ggl_node_place(p.second, NULL, mine);
    close_pair(&p);
}

static void passes_that_cannot_be(void **state)
{
    (void)state;
    struct pair p, other;
    struct ggl_error err = {0};
    open_pair(&p, 2);
    open_pair(&other, 1);
    const int before = atomic_load(&runs);
    const struct ggl_pass long_second[] = {{p.first, 1, 0}, {p.second, TOKENS + 1, 0}}, twice[] = {{p.first, 1, 0}, {p.first, 1, 1}},
                          of_others[] = {{p.first, 1, 0}, {other.second, 1, 0}};
    assert_int_equal(ggl_graphs_compute(long_second, 0, NULL, &err), GGL_ERR_ARGUMENT);
    assert_string_equal(err.what, "graph: 0 passes");
    assert_int_equal(ggl_graphs_compute(long_second, 2, NULL, &err), GGL_ERR_ARGUMENT);
    assert_string_equal(err.what, "graph: 4 tokens at 0");
    assert_int_equal(ggl_graphs_compute(twice, 2, NULL, &err), GGL_ERR_ARGUMENT);
    assert_string_equal(err.what, "graph: pass 1 has the graph of pass 0");
    assert_int_equal(ggl_graphs_compute(of_others, 2, NULL, &err), GGL_ERR_ARGUMENT);
    assert_string_equal(err.what, "graph: pass 1 has another team");
    assert_int_equal(atomic_load(&runs), before); /* nothing has run */
    close_pair(&p);
    close_pair(&other);
}

/* ---- observers, and the flag */

struct seen {
    const char *names[4];
    int64_t pos[4];
    int n;
    atomic_bool *raise;
};

static void watch(void *user, const struct ggl_node *node, int64_t n_tokens, int64_t pos)
{
    struct seen *s = user;
    (void)n_tokens;
    s->names[s->n] = ggl_node_name(node), s->pos[s->n++] = pos;
    if (s->raise) atomic_store(s->raise, true);
}

static void taps_and_profiles_are_each_graphs_own(void **state)
{
    (void)state;
    struct pair p;
    struct seen a = {.n = 0}, b = {.n = 0};
    struct ggl_profile profile = {0};
    open_pair(&p, 2);
    ggl_graph_set_tap(p.first, watch, &a);
    ggl_graph_set_tap(p.second, watch, &b);
    ggl_graph_set_profile(p.first, &profile);
    ggl_graph_set_profile(p.second, &profile);
    assert_int_equal(run_both(&p, 2, 30), GGL_OK);
    assert_true(a.n == 1 && a.pos[0] == 7 && b.n == 1 && b.pos[0] == 30);
    assert_string_equal(a.names[0], "doubled");
    assert_string_equal(b.names[0], "moved");
    assert_true(profile.runs == 1 && profile.nodes == 2 && profile.n_ops == 2);
    close_pair(&p);
}

static void a_flag_raised_in_the_first_leaves_the_second_out(void **state)
{
    (void)state;
    struct pair p;
    atomic_bool flag;
    atomic_init(&flag, false);
    struct seen a = {.raise = &flag}, b = {.n = 0};
    open_pair(&p, 3);
    ggl_graph_set_tap(p.first, watch, &a);
    ggl_graph_set_tap(p.second, watch, &b);
    const struct ggl_pass passes[] = {{p.first, 1, 7}, {p.second, 1, 8}};
    assert_int_equal(ggl_graphs_compute(passes, 2, &flag, NULL), GGL_ERR_CANCELLED);
    assert_true(a.n == 1 && b.n == 0);
    atomic_store(&flag, false);
    a.n = 0, a.raise = NULL;
    assert_int_equal(ggl_graphs_compute(passes, 2, &flag, NULL), GGL_OK);
    assert_true(a.n == 1 && b.n == 1);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_begins_when_all_are_done_with_the_first),
        cmocka_unit_test(an_output_goes_where_it_is_told),
        cmocka_unit_test(passes_that_cannot_be),
        cmocka_unit_test(taps_and_profiles_are_each_graphs_own),
        cmocka_unit_test(a_flag_raised_in_the_first_leaves_the_second_out),
    };
    return cmocka_run_group_tests_name("ggml-lite/passes", tests, NULL, NULL);
}
