/*
 * Products in F32 against a library that knows nothing of ours: OpenBLAS, and at each level of this machine.
 */
#include "support/checkkernel.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { IN = 1000, OUT = 90, TOKENS = 17 };

struct product {
    float *w, *x, *blas, *y; /* (OUT, IN), (TOKENS, IN), (TOKENS, OUT) twice */
    void *scratch;
};

static int make(void **state)
{
    struct product *p = *state = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->w = malloc(IN * OUT * 4), p->x = malloc(IN * TOKENS * 4);
    p->blas = malloc(OUT * TOKENS * 4), p->y = malloc(OUT * TOKENS * 4);
    p->scratch = malloc(ggl_mul_mat_scratch(IN));
    assert_true(p->w && p->x && p->blas && p->y && p->scratch);
    for (int i = 0; i < IN * OUT; i++)
        p->w[i] = (float)(i * 7919 % 2003 - 1001) / 777;
    for (int i = 0; i < IN * TOKENS; i++)
        p->x[i] = (float)(i * 104729 % 1999 - 999) / 555;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, TOKENS, OUT, IN, 1, p->x, IN, p->w, IN, 0, p->blas, OUT);
    return 0;
}

static int discard(void **state)
{
    struct product *p = *state;
    free(p->w), free(p->x), free(p->blas), free(p->y), free(p->scratch), free(p);
    return 0;
}

/* Both are sums of IN products in some order; in blocks, so far less than IN roundings each. */
static int n_outside(const struct product *p)
{
    int n = 0;
    for (int at = 0; at < TOKENS * OUT; at++) {
        const float *x = p->x + at / OUT * IN, *w = p->w + at % OUT * IN;
        double terms = 0;
        for (int i = 0; i < IN; i++)
            terms += fabs((double)w[i] * (double)x[i]);
        n += !(fabs((double)p->y[at] - (double)p->blas[at]) <= 2 * 100 * CK_U * terms);
    }
    return n;
}

static void every_level(void **state)
{
    const struct product *p = *state;
    const struct ggl_tensor t = {.name = "w",
                                 .type = GGL_TYPE_F32,
                                 .n_dims = 2,
                                 .ne = {IN, OUT, 1, 1},
                                 .row_bytes = IN * 4,
                                 .slice_bytes = IN * OUT * 4,
                                 .data = (const uint8_t *)p->w};
    struct ggl_kernels k;
#define KERNEL(operation, isa, symbol)                                               \
    if (!((isa) & ~ggl_cpu_isa())) {                                                 \
        ggl_kernels_pick(&k, isa);                                                   \
        symbol(&k, &t, 0, 0, OUT, p->x, IN, NULL, TOKENS, p->y, OUT, p->scratch);    \
        assert_int_equal(n_outside(p), 0);                                           \
    }
#include "kernels/mul_mat/kernels.def"
#undef KERNEL
}

/* One element, off by a hundred thousandth of what it sums. */
static void a_wrong_one_is_caught(void **state)
{
    struct product *p = *state;
    for (int at = 0; at < TOKENS * OUT; at++)
        p->y[at] = p->blas[at];
    assert_int_equal(n_outside(p), 0);
    p->y[TOKENS * OUT - 1] += 0.03f;
    assert_int_equal(n_outside(p), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level),
        cmocka_unit_test(a_wrong_one_is_caught),
    };
    return cmocka_run_group_tests(tests, make, discard);
}
