/*
 * ggl-bench's rows as JSON: valid, complete, and numbers that agree with each other.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#ifdef GGL_HAVE_JANSSON
#include <jansson.h>
#include "support/tool_path.h"

#define MODEL GGL_TEST_VECTORS "/gguf/micro-Q4_K_M-split-00001-of-00004.gguf"

static char tool[512];

static json_t *rows_of(const char *options)
{
    static char output[1 << 20];
    char command[2048];
    snprintf(command, sizeof(command), "'%s' -m '%s' --json -q %s", tool, MODEL, options);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(output, 1, sizeof(output), f);
    int status = pclose(f);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    json_error_t why;
    json_t *rows = json_loadb(output, n, JSON_REJECT_DUPLICATES, &why);
    if (!rows) fail_msg("line %d: %s", why.line, why.text);
    assert_true(json_is_array(rows));
    return rows;
}

static double number(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    if (!json_is_number(v)) fail_msg("%s is no number", key);
    return json_number_value(v);
}

static const char *text(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    if (!json_is_string(v)) fail_msg("%s is no string", key);
    return json_string_value(v);
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-4 * fabs(b))) fail_msg("%g is not %g", a, b);
}

static void check_row(const json_t *row, const char *test, int n, int depth, size_t repetitions)
{
    static const char *const texts[] = {"test", "isa", "model_type", "precision", "build_commit", "cpu_info", "gpu_info",
                                        "backends", "model_filename", "test_time"};
    static const char *const positive[] = {
        "n_tokens", "tps", "bytes_per_token", "bandwidth_gbs", "bandwidth_share", "int8_gmacs", "int8_peak_gmacs",
        "int8_share", "rss_bytes", "threads", "model_size", "model_n_params", "n_batch", "n_ubatch", "n_threads",
        "avg_ns", "avg_ts"};
    static const char *const any[] = {"depth", "tps_sd", "n_prompt", "n_gen", "n_depth", "build_number", "n_gpu_layers",
                                      "stddev_ns", "stddev_ts"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) text(row, texts[i]);
    for (size_t i = 0; i < sizeof(positive) / sizeof(positive[0]); i++)
        if (!(number(row, positive[i]) > 0)) fail_msg("%s is not positive", positive[i]);
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) assert_true(number(row, any[i]) >= 0);

    assert_string_equal(text(row, "test"), test);
    assert_true(number(row, "n_tokens") == n && number(row, "depth") == depth && number(row, "n_depth") == depth);
    bool decode = test[0] == 't';
    assert_true(number(row, "n_prompt") == (decode ? 0 : n) && number(row, "n_gen") == (decode ? n : 0));
    assert_true(number(row, "threads") == 2 && number(row, "n_threads") == 2);
    assert_string_equal(text(row, "model_filename"), MODEL);
    assert_non_null(strstr(text(row, "model_type"), "deepseek4 "));
    near(number(row, "tps"), number(row, "avg_ts"));
    near(number(row, "bandwidth_gbs"), number(row, "tps") * number(row, "bytes_per_token") / 1e9);
    near(number(row, "int8_share"), number(row, "int8_gmacs") / number(row, "int8_peak_gmacs"));

    const json_t *ns = json_object_get(row, "samples_ns"), *ts = json_object_get(row, "samples_ts");
    assert_int_equal(json_array_size(ns), repetitions);
    assert_int_equal(json_array_size(ts), repetitions);
    double sum = 0;
    for (size_t i = 0; i < repetitions; i++) {
        near(json_number_value(json_array_get(ts, i)), n / json_number_value(json_array_get(ns, i)) * 1e9);
        sum += json_number_value(json_array_get(ts, i));
    }
    near(number(row, "tps"), sum / (double)repetitions);
    if (repetitions == 1) assert_true(number(row, "tps_sd") == 0);
}

static void all_fields(void **state)
{
    (void)state;
    json_t *rows = rows_of("-p 8,20 -n 3 -r 2 -t 2");
    assert_int_equal(json_array_size(rows), 3);
    check_row(json_array_get(rows, 0), "pp8", 8, 0, 2);
    check_row(json_array_get(rows, 1), "pp20", 20, 0, 2);
    check_row(json_array_get(rows, 2), "tg3", 3, 0, 2);
    /* A prefill reads dense weights once for all of its tokens. */
    assert_true(number(json_array_get(rows, 2), "bytes_per_token") > 2 * number(json_array_get(rows, 1), "bytes_per_token"));
    json_decref(rows);
}

static void depths(void **state)
{
    (void)state;
    json_t *real = rows_of("-p 4 -n 2 -d 0,300 -r 1 -t 2 --precision f32 --chunk 3");
    json_t *made_up = rows_of("-p 4 -n 2 -d 300 -r 1 -t 2 --synthetic-depth --precision f32 --chunk 3");
    assert_int_equal(json_array_size(real), 4);
    assert_int_equal(json_array_size(made_up), 2);
    check_row(json_array_get(real, 1), "tg2", 2, 0, 1);
    for (size_t i = 0; i < 2; i++) {
        const json_t *a = json_array_get(real, 2 + i), *b = json_array_get(made_up, i);
        check_row(a, i ? "tg2" : "pp4", i ? 2 : 4, 300, 1);
        check_row(b, i ? "tg2" : "pp4", i ? 2 : 4, 300, 1);
        assert_true(number(a, "bytes_per_token") == number(b, "bytes_per_token"));
        assert_true(number(a, "bytes_per_token") > number(json_array_get(real, i), "bytes_per_token"));
        assert_string_equal(text(a, "precision"), "f32");
        assert_true(number(a, "n_batch") == 3);
    }
    json_decref(real);
    json_decref(made_up);
}

int main(int argc, char **argv)
{
    if (!tool_path(argc, argv, "ggl-bench", tool, sizeof(tool))) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields),
        cmocka_unit_test(depths),
    };
    return cmocka_run_group_tests_name("tools/bench_output", tests, NULL, NULL);
}
#else
int main(void) /* bench.sh looks for every field, too */
{
    return 0;
}
#endif
