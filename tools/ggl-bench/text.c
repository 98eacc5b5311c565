/*
 * What the measurements come to, and the tables for people.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ggl-bench/bench.h"

double bench_mean(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    return sum / (double)n;
}

double bench_deviation(const double *v, int64_t n)
{
    double mean = bench_mean(v, n), sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (v[i] - mean) * (v[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : 0;
}

/* Speeds are averaged, as other tools do it, and not times. */
struct bench_result bench_evaluate(const struct bench *b, const struct bench_row *row)
{
    struct bench_result r = {0};
    double n = (double)row->n;
    r.tps = bench_mean(row->tps, b->repetitions);
    r.tps_sd = bench_deviation(row->tps, b->repetitions);
    r.bytes = (double)(row->cost.weight_bytes + row->cost.cache_bytes) / n;
    r.macs = (double)row->cost.weight_macs / n;
    r.bandwidth = r.bytes * r.tps;
    r.read = bench_mean(row->read, b->repetitions);
    r.bandwidth_share = r.bandwidth / r.read;
    r.rate = r.macs * r.tps;
    r.rate_share = r.rate / b->peak.int8_macs_per_s;
    snprintf(r.test, sizeof(r.test), "%s%lld", row->decode ? "tg" : "pp", (long long)row->n);
    return r;
}

static void print_head(const struct bench *b, FILE *f)
{
    char text[256], names[256], weights[32], cache[32], arena[32];
    bench_model_type(b->model, text, sizeof(text));
    fprintf(f, "model    %s, precision %s: %s\n", text, b->precision, b->path);
    bench_cpu_name(text, sizeof(text));
    bench_isa_names(b->peak.isa, names, sizeof(names));
    fprintf(f, "machine  %s%s%d threads, %s\n", text, text[0] ? ", " : "", ggl_model_n_threads(b->model), names);
    fprintf(f, "peaks    read %.1f GB/s, int8 %.1f GMAC/s, bf16 %.1f GMAC/s", b->peak.read_bytes_per_s / 1e9,
            b->peak.int8_macs_per_s / 1e9, b->peak.bf16_macs_per_s / 1e9);
    if (b->peak.tile_macs_per_s > 0) fprintf(f, "; tiles of int8 %.1f GMAC/s", b->peak.tile_macs_per_s / 1e9);
    fprintf(f, "\n");
    fprintf(f, "memory   weights %s, at most cache %s, activations %s\n\n", cli_bytes(b->memory.weights, weights),
            cli_bytes(b->memory.cache, cache), cli_bytes(b->memory.activations, arena));
}

void bench_print_text(const struct bench *b, FILE *f)
{
    print_head(b, f);
    fprintf(f, "%-10s %8s %10s %8s  %10s %8s %7s  %9s %7s  %10s\n", "test", "depth", "t/s", "+-", "MB/token", "GB/s",
            "of read", "GMAC/s", "of int8", "peak RSS");
    for (int i = 0; i < b->n_rows; i++) {
        struct bench_result r = bench_evaluate(b, &b->rows[i]);
        char rss[32];
        fprintf(f, "%-10s %8lld %10.2f %8.2f  %10.3f %8.2f %6.1f%%  %9.2f %6.1f%%  %10s\n", r.test,
                (long long)b->rows[i].depth, r.tps, r.tps_sd, r.bytes / 1e6, r.bandwidth / 1e9, 100 * r.bandwidth_share,
                r.rate / 1e9, 100 * r.rate_share, cli_bytes(b->rows[i].rss, rss));
    }
}

/* ---- profiles */

static double op_seconds(const struct ggl_profile_op *op)
{
    return op->run_s + op->wait_s;
}

static int longer_first(const void *a, const void *b)
{
    double x = op_seconds(a), y = op_seconds(b);
    return (x < y) - (x > y);
}

static void print_op(FILE *f, const char *name, double all_s, double wait_s, double total_s, double tokens, uint64_t calls)
{
    fprintf(f, "  %-20s %6.1f%% %10.4f %10.4f", name, 100 * all_s / total_s, 1e3 * all_s / tokens, 1e3 * wait_s / tokens);
    if (calls) fprintf(f, " %10llu", (unsigned long long)calls);
    fputc('\n', f);
}

void bench_print_profiles(const struct bench *b, FILE *f)
{
    for (int i = 0; i < b->n_rows; i++) {
        const struct bench_row *row = &b->rows[i];
        struct ggl_profile p = row->profile; /* sorted here */
        double tokens = (double)(row->n * b->repetitions), total = bench_mean(row->seconds, b->repetitions) * (double)b->repetitions;
        double run = 0, wait = 0;
        qsort(p.ops, (size_t)p.n_ops, sizeof(p.ops[0]), longer_first);
        fprintf(f, "\n%s at depth %lld: thread 0 of %d\n  %-20s %7s %10s %10s %10s\n", bench_evaluate(b, row).test,
                (long long)row->depth, ggl_model_n_threads(b->model), "operation", "share", "ms/token", "waiting", "calls");
        for (int j = 0; j < p.n_ops; j++) {
            print_op(f, p.ops[j].name, op_seconds(&p.ops[j]), p.ops[j].wait_s, total, tokens, p.ops[j].calls);
            run += p.ops[j].run_s;
            wait += p.ops[j].wait_s;
        }
        print_op(f, "(between runs)", total - run - wait, 0, total, tokens, 0);
        print_op(f, "(all)", total, wait, total, tokens, 0);
        fprintf(f, "  a token: %.2f runs of the team, %.1f nodes, %.1f barriers\n", (double)p.runs / tokens,
                (double)p.nodes / tokens, (double)p.barriers / tokens);
    }
}
