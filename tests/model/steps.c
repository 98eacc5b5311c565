/*
 * The model's own graphs, run as a team at its worst would run them (support/adversary.h): packed matrices, experts
 * with rounded activations, every kind of layer.  The streams have the bits of an ordinary session.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "model/src/model_impl.h"
#include "src/pack_impl.h"
#include "support/adversary.h"
#include "support/model_vectors.h"
#include "support/v4_builder.h"

enum { N = 160, MEMBERS = 3 };

static const int64_t chunks[] = {1, 5, 2, 8, 1, 1, 1, 1, 100, 32, 1, 1, 1, 1, 1, 1, 1, 1};
static int32_t ids[N];

static void evaluate(struct ggl_session *s, int64_t n, const struct adversary *a)
{
    struct ggl_error err;
    if (!a) {
        if (ggl_session_eval(s, ids + s->n_past, n, &err)) fail_msg("%s", err.what);
        return;
    }
    if (v4_cache_reserve(&s->cache, s->n_past + n, &err)) fail_msg("%s", err.what);
    ggl_node_bind(s->trunk.ids, ids + s->n_past);
    adversary_run(s->trunk.g, n, s->n_past, a);
    s->n_past += n;
}

/* The streams after every token, [N][width]. */
static float *streams(struct ggl_model *m, const struct adversary *a)
{
    size_t width = (size_t)m->hp.n_embd * (size_t)m->hp.n_hc * 4;
    uint8_t *all = malloc(N * width);
    struct ggl_session *s = mv_session(m, 100, false);
    assert_non_null(all);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        int64_t past = s->n_past;
        evaluate(s, chunks[i], a);
        memcpy(all + (size_t)past * width, ggl_node_data(s->trunk.out), (size_t)chunks[i] * width);
    }
    assert_int_equal(s->n_past, N);
    ggl_session_free(s);
    return (float *)(void *)all;
}

static void check(enum ggl_type matrices, enum ggl_precision precision, int most)
{
    struct v4b *b = v4b_new(&(struct v4b_options){.matrices = matrices, .seed = 3});
    v4b_save(b, gb_temp("steps.gguf"));
    v4b_free(b);
    mv_precision = precision;
    struct ggl_model *m = mv_load_file(gb_temp("steps.gguf"), MEMBERS);
    float *want = streams(m, NULL);
    int64_t width = (int64_t)m->hp.n_embd * m->hp.n_hc;
    for (int last_first = 0; last_first < 2; last_first++) {
        float *got = streams(m, &(struct adversary){MEMBERS, last_first, ADVERSARY_NO_STEP});
        mv_same_logits(got, want, N * width, last_first ? "the last member first" : "in order");
        free(got);
    }
    struct ggl_session *s = mv_session(m, 1, false);
    if (s->trunk.g->n_steps - 1 > most) fail_msg("%d barriers, expected %d", s->trunk.g->n_steps - 1, most);
    ggl_session_free(s);
    free(want);
    ggl_model_free(m);
    gb_remove_temp();
}

/* How often threads meet costs time at every token: it may fall, and should not rise without a reason. */
static void graphs_at_their_worst(void **state)
{
    (void)state;
    check(GGL_TYPE_F32, GGL_PRECISION_F32, 71);
    check(GGL_TYPE_Q8_0, GGL_PRECISION_FAST, 83); /* one more a layer than with float experts: they are rounded, too */
    check(GGL_TYPE_MXFP4, GGL_PRECISION_FAST, 74);
}

/* hwloc believes in a machine with a node for each member: matrices are cut into slices.  A team of another size reads
 * them across the cuts. */
static void slices_change_no_bit(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&(struct v4b_options){.matrices = GGL_TYPE_Q8_0, .seed = 3});
    v4b_save(b, gb_temp("steps.gguf"));
    v4b_free(b);
    mv_precision = GGL_PRECISION_FAST;
    struct ggl_model *plain = mv_load_file(gb_temp("steps.gguf"), MEMBERS);
    setenv("HWLOC_SYNTHETIC", "numa:3 core:1 pu:1", 1);
    struct ggl_model *sliced = mv_load_file(gb_temp("steps.gguf"), MEMBERS);
    unsetenv("HWLOC_SYNTHETIC");
    float *want = streams(plain, NULL), *got = streams(sliced, NULL);
    float *other = streams(sliced, &(struct adversary){2, false, ADVERSARY_NO_STEP});
    int64_t width = (int64_t)plain->hp.n_embd * plain->hp.n_hc;
    mv_same_logits(got, want, N * width, "sliced");
    mv_same_logits(other, want, N * width, "sliced for three, run by two");
#ifdef GGL_HAVE_HWLOC
    if (!getenv("OMP_PROC_BIND")) assert_int_equal(sliced->w.output.packed->n_slices, MEMBERS);
#endif
    assert_int_equal(plain->w.output.packed->n_slices, 1);
    free(want), free(got), free(other);
    ggl_model_free(plain);
    ggl_model_free(sliced);
    gb_remove_temp();
}

int main(void)
{
    for (int i = 0; i < N; i++) ids[i] = (int32_t)((uint32_t)i * 2654435761u >> 8) % V4B_VOCAB;
    const struct CMUnitTest tests[] = {cmocka_unit_test(graphs_at_their_worst), cmocka_unit_test(slices_change_no_bit)};
    return cmocka_run_group_tests_name("model/steps", tests, NULL, NULL);
}
