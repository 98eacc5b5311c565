/*
 * --kl-base: how far this model's predictions are from those of a base, in the
 * terms of llama-perplexity --kl-divergence.  Positions with a next token count;
 * everything is computed in double from float logits.
 *
 *   KLD   sum over tokens of p_base * (log p_base - log p)
 *   dp    p - p_base of the token that follows
 *   +-    one standard error of the mean over positions
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ggl-eval/eval.h"

struct position {
    double kld, dp, nll, nll_base;
};

struct comparison {
    FILE *f;
    const char *path;
    int64_t n_vocab, row, n;
    float *base; /* [n_vocab] */
    struct position *positions;
    int64_t same_top;
};

struct comparison *comparison_new(const char *path, int64_t n_tokens, int64_t n_vocab)
{
    struct comparison *c = calloc(1, sizeof(*c));
    if (c) c->base = malloc((size_t)n_vocab * sizeof(float));
    if (c) c->positions = malloc((size_t)n_tokens * sizeof(*c->positions));
    if (!c || !c->base || !c->positions) cli_die(&eval_cli, 70, "out of memory");
    c->path = path;
    c->n_vocab = n_vocab;
    c->f = fopen(path, "rb");
    if (!c->f) cli_die(&eval_cli, 66, "%s: cannot be opened", path);
    int64_t bytes = fseek(c->f, 0, SEEK_END) ? -1 : (int64_t)ftell(c->f), expected = n_tokens * n_vocab * 4;
    rewind(c->f);
    if (bytes != expected)
        cli_die(&eval_cli, 65, "%s: found %lld bytes, expected %lld (float32 logits, %lld tokens x %lld)", path, (long long)bytes,
                (long long)expected, (long long)n_tokens, (long long)n_vocab);
    return c;
}

void comparison_free(struct comparison *c)
{
    fclose(c->f);
    free(c->base);
    free(c->positions);
    free(c);
}

/* ---- one position */

/* log of the sum of exponentials; *top: the first largest. */
static double log_sum(const float *x, int64_t n, int64_t *top)
{
    double sum = 0;
    *top = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[*top]) *top = i;
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - (double)x[*top]);
    return log(sum) + (double)x[*top];
}

double eval_surprise(const float *logits, int64_t n, int32_t next)
{
    int64_t top;
    return log_sum(logits, n, &top) - (double)logits[next];
}

static void read_base(struct comparison *c)
{
    if (fread(c->base, 4, (size_t)c->n_vocab, c->f) != (size_t)c->n_vocab) cli_die(&eval_cli, 74, "%s: cannot be read", c->path);
    for (int64_t i = 0; i < c->n_vocab; i++)
        if (!isfinite(c->base[i]))
            cli_die(&eval_cli, 65, "%s: logit %lld of token %lld is not finite", c->path, (long long)i, (long long)c->row);
}

void comparison_add(struct comparison *c, const float *logits, int32_t next)
{
    int64_t top, top_base;
    read_base(c);
    c->row++;
    if (next < 0) return;
    double z = log_sum(logits, c->n_vocab, &top), z_base = log_sum(c->base, c->n_vocab, &top_base), kld = 0;
    for (int64_t i = 0; i < c->n_vocab; i++) {
        double log_base = (double)c->base[i] - z_base;
        kld += exp(log_base) * (log_base - ((double)logits[i] - z));
    }
    double nll = z - (double)logits[next], nll_base = z_base - (double)c->base[next];
    c->positions[c->n++] = (struct position){kld, exp(-nll) - exp(-nll_base), nll, nll_base};
    c->same_top += top == top_base;
}

/* ---- all positions */

struct estimate {
    double mean, error;
};

static struct estimate estimate(const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    struct estimate e = {sum / (double)n, 0};
    for (int64_t i = 0; i < n; i++) squares += (x[i] - e.mean) * (x[i] - e.mean);
    if (n > 1) e.error = sqrt(squares / (double)n / (double)(n - 1));
    return e;
}

/* Covariance of two means. */
static double covariance(const double *x, const double *y, int64_t n)
{
    double mx = estimate(x, n).mean, my = estimate(y, n).mean, sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (x[i] - mx) * (y[i] - my);
    return n > 1 ? sum / (double)n / (double)(n - 1) : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two nearest of sorted values. */
static double percentile(const double *sorted, int64_t n, double share)
{
    double at = share * (double)(n - 1);
    int64_t i = (int64_t)at, next = i + 1 < n ? i + 1 : i;
    return sorted[i] + (at - (double)i) * (sorted[next] - sorted[i]);
}

static double *field(const struct comparison *c, size_t offset)
{
    double *x = malloc((size_t)(c->n ? c->n : 1) * sizeof(*x));
    if (!x) cli_die(&eval_cli, 70, "out of memory");
    for (int64_t i = 0; i < c->n; i++) memcpy(&x[i], (const char *)&c->positions[i] + offset, sizeof(*x));
    return x;
}
#define FIELD(c, name) field(c, offsetof(struct position, name))

static void print_perplexities(const struct comparison *c, FILE *f)
{
    double *nll = FIELD(c, nll), *nll_base = FIELD(c, nll_base);
    struct estimate q = estimate(nll, c->n), base = estimate(nll_base, c->n);
    double cov = covariance(nll, nll_base, c->n), ppl = exp(q.mean), ppl_base = exp(base.mean), ratio = exp(q.mean - base.mean);
    double var = q.error * q.error + base.error * base.error - 2 * cov, log_error = var > 0 ? sqrt(var) : 0;
    double ppl_var = ppl * ppl * q.error * q.error + ppl_base * ppl_base * base.error * base.error - 2 * ppl * ppl_base * cov;
    fprintf(f, "====== Perplexity statistics ======\n");
    fprintf(f, "Mean PPL(Q)                   : %11.6f ± %11.6f\n", ppl, ppl * q.error);
    fprintf(f, "Mean PPL(base)                : %11.6f ± %11.6f\n", ppl_base, ppl_base * base.error);
    fprintf(f, "Cor(ln(PPL(Q)), ln(PPL(base))): %10.2f%%\n", q.error > 0 && base.error > 0 ? 100 * cov / (q.error * base.error) : 100.0);
    fprintf(f, "Mean ln(PPL(Q)/PPL(base))     : %11.6f ± %11.6f\n", q.mean - base.mean, log_error);
    fprintf(f, "Mean PPL(Q)/PPL(base)         : %11.6f ± %11.6f\n", ratio, ratio * log_error);
    fprintf(f, "Mean PPL(Q)-PPL(base)         : %11.6f ± %11.6f\n", ppl - ppl_base, ppl_var > 0 ? sqrt(ppl_var) : 0);
    free(nll);
    free(nll_base);
}

static void print_divergence(const struct comparison *c, FILE *f)
{
    static const struct {
        const char *name;
        double share;
    } lines[] = {{"Maximum KLD:", 1}, {"99.9%   KLD:", 0.999}, {"99.0%   KLD:", 0.99}, {"95.0%   KLD:", 0.95}, {"90.0%   KLD:", 0.9},
                 {"Median  KLD:", 0.5}, {"10.0%   KLD:", 0.1}, {" 5.0%   KLD:", 0.05}, {" 1.0%   KLD:", 0.01}, {"Minimum KLD:", 0}};
    double *kld = FIELD(c, kld);
    struct estimate mean = estimate(kld, c->n);
    qsort(kld, (size_t)c->n, sizeof(*kld), compare_doubles);
    fprintf(f, "\n====== KL divergence statistics ======\n");
    fprintf(f, "Mean    KLD: %11.6f ± %11.6f\n", mean.mean, mean.error);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) fprintf(f, "%s %11.6f\n", lines[i].name, percentile(kld, c->n, lines[i].share));
    free(kld);
}

static void print_probabilities(const struct comparison *c, FILE *f)
{
    static const struct {
        const char *name;
        double share;
    } lines[] = {{"Maximum Δp:", 1}, {"99.9%   Δp:", 0.999}, {"99.0%   Δp:", 0.99}, {"95.0%   Δp:", 0.95}, {"90.0%   Δp:", 0.9},
                 {"75.0%   Δp:", 0.75}, {"Median  Δp:", 0.5}, {"25.0%   Δp:", 0.25}, {"10.0%   Δp:", 0.1}, {" 5.0%   Δp:", 0.05},
                 {" 1.0%   Δp:", 0.01}, {" 0.1%   Δp:", 0.001}, {"Minimum Δp:", 0}};
    double *dp = FIELD(c, dp), n = (double)c->n, same = (double)c->same_top / n;
    struct estimate mean = estimate(dp, c->n);
    qsort(dp, (size_t)c->n, sizeof(*dp), compare_doubles);
    fprintf(f, "\n====== Token probability statistics ======\n");
    fprintf(f, "Mean    Δp: %6.3f ± %.3f %%\n", 100 * mean.mean, 100 * mean.error);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) fprintf(f, "%s %6.3f%%\n", lines[i].name, 100 * percentile(dp, c->n, lines[i].share));
    for (int64_t i = 0; i < c->n; i++) dp[i] *= dp[i];
    struct estimate square = estimate(dp, c->n);
    double rms = sqrt(square.mean);
    fprintf(f, "RMS Δp    : %6.3f ± %.3f %%\n", 100 * rms, rms > 0 ? 100 * square.error / (2 * rms) : 0);
    fprintf(f, "Same top p: %6.3f ± %.3f %%\n", 100 * same, c->n > 1 ? 100 * sqrt(same * (1 - same) / (n - 1)) : 0);
    free(dp);
}

void comparison_print(struct comparison *c, FILE *f)
{
    print_perplexities(c, f);
    print_divergence(c, f);
    print_probabilities(c, f);
}
