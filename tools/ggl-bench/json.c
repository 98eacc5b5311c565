/*
 * The rows as a JSON array.  Each has our own fields and, for scripts that exist, llama-bench's.
 */
#include <math.h>
#include <string.h>
#include "ggl-bench/bench.h"

static void text(FILE *f, const char *key, const char *value)
{
    fprintf(f, ", \"%s\": ", key);
    cli_json_text(f, value, strlen(value));
}

static void number(FILE *f, const char *key, double value)
{
    if (isfinite(value)) fprintf(f, ", \"%s\": %.6g", key, value);
    else fprintf(f, ", \"%s\": null", key);
}

static void integer(FILE *f, const char *key, uint64_t value)
{
    fprintf(f, ", \"%s\": %llu", key, (unsigned long long)value);
}

static void put_own(const struct bench *b, const struct bench_row *row, const struct bench_result *r, FILE *f)
{
    char isa[256];
    bench_isa_names(b->peak.isa, isa, sizeof(isa));
    fprintf(f, "{\"test\": \"%s\"", r->test);
    integer(f, "depth", (uint64_t)row->depth);
    integer(f, "n_tokens", (uint64_t)row->n);
    number(f, "tps", r->tps);
    number(f, "tps_sd", r->tps_sd);
    integer(f, "bytes_per_token", (uint64_t)(r->bytes + 0.5));
    number(f, "bandwidth_gbs", r->bandwidth / 1e9);
    number(f, "read_gbs", r->read / 1e9);
    number(f, "bandwidth_share", r->bandwidth_share);
    number(f, "int8_gmacs", r->rate / 1e9);
    number(f, "int8_peak_gmacs", b->peak.int8_macs_per_s / 1e9);
    number(f, "int8_share", r->rate_share);
    integer(f, "rss_bytes", row->rss);
    integer(f, "threads", (uint64_t)ggl_model_n_threads(b->model));
    text(f, "isa", isa);
    text(f, "precision", b->precision);
}

static void put_samples(const struct bench *b, const struct bench_row *row, FILE *f)
{
    fputs(", \"samples_ns\": [", f);
    for (int64_t i = 0; i < b->repetitions; i++) fprintf(f, "%s%.0f", i ? ", " : "", 1e9 * row->seconds[i]);
    fputs("], \"samples_ts\": [", f);
    for (int64_t i = 0; i < b->repetitions; i++) fprintf(f, "%s%.6g", i ? ", " : "", row->tps[i]);
    fputs("]", f);
}

static void put_llama(const struct bench *b, const struct bench_row *row, const struct bench_result *r, FILE *f)
{
    char cpu[256], model[256], when[32] = "";
    struct tm utc;
    bench_cpu_name(cpu, sizeof(cpu));
    bench_model_type(b->model, model, sizeof(model));
    if (gmtime_r(&row->started, &utc)) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    text(f, "build_commit", GGL_VERSION);
    integer(f, "build_number", 0);
    text(f, "cpu_info", cpu);
    text(f, "gpu_info", "");
    text(f, "backends", "CPU");
    text(f, "model_filename", b->path);
    text(f, "model_type", model);
    integer(f, "model_size", ggl_model_weight_bytes(b->model));
    integer(f, "model_n_params", ggl_model_n_params(b->model));
    integer(f, "n_batch", (uint64_t)row->n_chunk);
    integer(f, "n_ubatch", (uint64_t)row->n_chunk);
    integer(f, "n_threads", (uint64_t)ggl_model_n_threads(b->model));
    integer(f, "n_gpu_layers", 0);
    integer(f, "n_prompt", row->decode ? 0 : (uint64_t)row->n);
    integer(f, "n_gen", row->decode ? (uint64_t)row->n : 0);
    integer(f, "n_depth", (uint64_t)row->depth);
    text(f, "test_time", when);
    integer(f, "avg_ns", (uint64_t)(1e9 * bench_mean(row->seconds, b->repetitions)));
    integer(f, "stddev_ns", (uint64_t)(1e9 * bench_deviation(row->seconds, b->repetitions)));
    number(f, "avg_ts", r->tps);
    number(f, "stddev_ts", r->tps_sd);
}

void bench_print_json(const struct bench *b, FILE *f)
{
    fputs("[", f);
    for (int i = 0; i < b->n_rows; i++) {
        struct bench_result r = bench_evaluate(b, &b->rows[i]);
        fputs(i ? ",\n  " : "\n  ", f);
        put_own(b, &b->rows[i], &r, f);
        put_llama(b, &b->rows[i], &r, f);
        put_samples(b, &b->rows[i], f);
        fputs("}", f);
    }
    fputs("\n]\n", f);
}
