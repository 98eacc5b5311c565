/*
 * ggl-eval --kl-base against a small computation of its own: probabilities as long double, statistics straight from
 * their definitions.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "support/gguf_builder.h"
#include "support/tool_path.h"
#include "support/v4_builder.h"

enum { N = 37, V = V4B_VOCAB };

static char tool[512];
static char output[1 << 16];
static float base[N][V], own[N][V];
static int ids[N];

static int run(const char *options)
{
    char command[4096];
    snprintf(command, sizeof(command), "'%s' -q -m '%s' --tokens '%s' %s 2>&1", tool, gb_temp("m.gguf"), gb_temp("tokens"), options);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(output, 1, sizeof(output) - 1, f);
    output[n] = '\0';
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void save(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(gb_temp(name), "wb");
    assert_true(f && fwrite(data, 1, n, f) == n && !fclose(f));
}

static int compare_with_base(void)
{
    char options[512];
    snprintf(options, sizeof(options), "--kl-base '%s'", gb_temp("base.f32"));
    return run(options);
}

/* The number after `label`, and the one after the sign of its error. */
static double number(const char *label, double *error)
{
    const char *p = strstr(output, label), *end = p ? strchr(p, '\n') : NULL, *sign = p ? strstr(p, "±") : NULL;
    if (!p) fail_msg("\"%s\" is not in %s", label, output);
    p += strlen(label);
    p += strspn(p, " :");
    if (error) *error = sign && sign < end ? atof(sign + strlen("±")) : NAN;
    return atof(p);
}

static void near(const char *what, double x, long double want, double digits)
{
    if (!(fabs(x - (double)want) <= digits + 1e-6 * fabs((double)want))) fail_msg("%s: %.9g, expected %.9Lg", what, x, want);
}

static void softmax(const float *x, long double *p)
{
    long double sum = 0;
    for (int i = 0; i < V; i++) sum += p[i] = expl((long double)x[i]);
    for (int i = 0; i < V; i++) p[i] /= sum;
}

static void make_model(void)
{
    struct v4b *b = v4b_new(&(struct v4b_options){.seed = 11});
    char options[512], text[4 * N + 1] = "";
    for (int i = 0; i < N; i++) {
        ids[i] = (i * 7 + i * i) % V;
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d ", ids[i]);
    }
    save("tokens", text, strlen(text));
    v4b_save(b, gb_temp("m.gguf"));
    v4b_free(b);
    snprintf(options, sizeof(options), "--logits '%s'", gb_temp("own.f32"));
    assert_int_equal(run(options), 0);
    FILE *f = fopen(gb_temp("own.f32"), "rb");
    assert_true(f && fread(own, sizeof(own), 1, f) == 1 && !fclose(f));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < V; j++) base[i][j] = own[i][j] + (float)sin(i + 3 * j) * (i % 5 ? 0.3f : 3.0f) + (float)i; /* a shift changes nothing */
    save("base.f32", base, sizeof(base));
}

/* What is summed of every position. */
struct position {
    long double kld, dp, nll, nll_base;
    int same;
};

static void positions(struct position *p)
{
    for (int i = 0; i + 1 < N; i++) {
        long double q[V], b[V];
        int top = 0, top_base = 0;
        softmax(own[i], q);
        softmax(base[i], b);
        p[i].kld = 0;
        for (int j = 0; j < V; j++) {
            p[i].kld += b[j] * logl(b[j] / q[j]);
            if (q[j] > q[top]) top = j;
            if (b[j] > b[top_base]) top_base = j;
        }
        p[i].dp = q[ids[i + 1]] - b[ids[i + 1]];
        p[i].nll = -logl(q[ids[i + 1]]);
        p[i].nll_base = -logl(b[ids[i + 1]]);
        p[i].same = top == top_base;
    }
}

static int compare_long(const void *a, const void *b)
{
    long double x = *(const long double *)a, y = *(const long double *)b;
    return (x > y) - (x < y);
}

static void statistics(void **state)
{
    (void)state;
    struct position p[N - 1];
    long double kld[N - 1], n = N - 1, sum = 0, square = 0, dp2 = 0, nll = 0, nll_base = 0, same = 0;
    double error;
    make_model();
    positions(p);
    assert_int_equal(compare_with_base(), 0);
    for (int i = 0; i < N - 1; i++) {
        kld[i] = p[i].kld;
        sum += p[i].kld, square += p[i].kld * p[i].kld, dp2 += p[i].dp * p[i].dp;
        nll += p[i].nll, nll_base += p[i].nll_base, same += p[i].same;
    }
    qsort(kld, N - 1, sizeof(kld[0]), compare_long);
    near("mean KLD", number("Mean    KLD:", &error), sum / n, 1e-6);
    near("its error", error, sqrtl((square / n - sum / n * sum / n) / (n - 1)), 1e-6);
    near("maximum", number("Maximum KLD:", NULL), kld[N - 2], 1e-6);
    near("median", number("Median  KLD:", NULL), (kld[17] + kld[18]) / 2, 1e-6);
    near("99.9 %", number("99.9%   KLD:", NULL), kld[34] + 0.965L * (kld[35] - kld[34]), 1e-6); /* 0.999 * 35 = 34.965 */
    near("99 %", number("99.0%   KLD:", NULL), kld[34] + 0.65L * (kld[35] - kld[34]), 1e-6);
    near("minimum", number("Minimum KLD:", NULL), kld[0], 1e-6);
    near("RMS dp", number("RMS Δp", NULL), 100 * sqrtl(dp2 / n), 1e-3);
    near("same top", number("Same top p:", &error), 100 * same / n, 1e-3);
    near("its error", error, 100 * sqrtl(same / n * (1 - same / n) / (n - 1)), 1e-3);
    assert_true(same > 0 && same < n);
    near("PPL(Q)", number("Mean PPL(Q) ", NULL), expl(nll / n), 1e-6);
    near("PPL(base)", number("Mean PPL(base) ", NULL), expl(nll_base / n), 1e-6);
    near("ratio", number("Mean PPL(Q)/PPL(base) ", &error), expl((nll - nll_base) / n), 1e-6);
    long double var = 0;
    for (int i = 0; i < N - 1; i++) var += powl(p[i].nll - p[i].nll_base - (nll - nll_base) / n, 2);
    near("its error", error, expl((nll - nll_base) / n) * sqrtl(var / n / (n - 1)), 1e-6);
}

static void with_itself(void **state)
{
    (void)state;
    double error;
    save("base.f32", own, sizeof(own));
    assert_int_equal(compare_with_base(), 0);
    near("mean KLD", number("Mean    KLD:", &error), 0, 0);
    near("its error", error, 0, 0);
    near("ratio", number("Mean PPL(Q)/PPL(base) ", &error), 1, 0);
    near("same top", number("Same top p:", &error), 100, 0);
    near("correlation", number("Cor(ln(PPL(Q)), ln(PPL(base)))", NULL), 100, 0);
}

static void refuse(int code, const char *text)
{
    int status = compare_with_base();
    if (status != code || !strstr(output, text)) fail_msg("exit %d, expected %d and \"%s\": %s", status, code, text, output);
    if (strcspn(output, "\n") + 1 != strlen(output)) fail_msg("more than one line: %s", output);
}

static void broken_base(void **state)
{
    (void)state;
    save("base.f32", base, sizeof(base) - 4);
    refuse(65, "expected 5920");
    save("base.f32", base, 0);
    refuse(65, "found 0 bytes");
    base[20][3] = NAN;
    save("base.f32", base, sizeof(base));
    refuse(65, "logit 3 of token 20");
    remove(gb_temp("base.f32"));
    refuse(66, "base.f32");
    save("tokens", "3", 1);
    save("base.f32", base, sizeof(base[0]));
    refuse(65, "two tokens");
}

static int clean(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(int argc, char **argv)
{
    if (!tool_path(argc, argv, "ggl-eval", tool, sizeof(tool))) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(statistics), cmocka_unit_test(with_itself), cmocka_unit_test(broken_base)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
