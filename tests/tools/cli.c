/*
 * The option parser as a tool sees it.  cli_parse ends the process, so each case runs in a child whose exit
 * status, output and messages are compared.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/cli.h"

static struct {
    bool verbose, quiet, color;
    const char *model;
    int64_t count;
    uint64_t size;
    double temp;
    struct cli_list types, skips;
} args;

static const struct cli_option options[] = {
    CLI_GROUP("Model"),
    {'m', "model", "MODEL", "GGUF file or checkpoint directory", CLI_STR, &args.model},
    {0, "tensor-type", "REGEX=TYPE", "type of the tensors that match", CLI_LIST, &args.types},
    {'s', "skip", "NAME", "leave a tensor out", CLI_LIST, &args.skips},
    CLI_GROUP("Output"),
    {'v', "verbose", NULL, "say more", CLI_FLAG, &args.verbose},
    {'q', "quiet", NULL, "say less", CLI_FLAG, &args.quiet},
    {0, "no-color", NULL, "no colours", CLI_NOT, &args.color},
    {'n', "count", "N", "how many (default: 7)", CLI_INT, &args.count},
    {0, "split-max-size", "SIZE", "size of a part", CLI_SIZE, &args.size},
    {'t', "temp", "T", "temperature", CLI_FLOAT, &args.temp},
    {0}};

static const struct cli cli = {"ggl-test", "-m MODEL [options] [FILE...]", "Checks the parser. It does nothing else.",
                               "EXAMPLES\n    ggl-test -m x\n", options, 0, 2};

/* What the child does with a parsed command line: prints all of it. */
static void print_args(int n, char **argv)
{
    printf("v%d q%d c%d m=%s n=%lld size=%llu t=%g", args.verbose, args.quiet, args.color,
           args.model ? args.model : "-", (long long)args.count, (unsigned long long)args.size, args.temp);
    for (int i = 0; i < args.types.n; i++) printf(" type=%s", args.types.items[i]);
    for (int i = 0; i < args.skips.n; i++) printf(" skip=%s", args.skips.items[i]);
    for (int i = 1; i <= n; i++) printf(" [%s]", argv[i]);
}

struct result {
    int code;
    char out[8192], err[2048];
};

static void slurp(int fd, char *buf, size_t cap)
{
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, buf + n, cap - 1 - n)) > 0) n += (size_t)got;
    buf[n] = '\0';
    close(fd);
}

/* Run cli_parse on "ggl-test ARGS" (separated by '|'); out_path replaces stdout when given. */
static struct result run(const char *command, const char *out_path)
{
    static struct result r;
    char copy[512], *argv[32] = {"ggl-test"};
    int argc = 1, out[2], err[2], status;
    snprintf(copy, sizeof(copy), "%s", command);
    for (char *p = copy; p && *command; p = strchr(p, '|') ? (*strchr(p, '|') = '\0', p + strlen(p) + 1) : NULL)
        argv[argc++] = p;
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out_path ? open(out_path, O_WRONLY) : out[1], 1);
        dup2(err[1], 2);
        close(out[0]);
        close(out[1]);
        close(err[0]);
        close(err[1]);
        args.color = true;
        args.count = 7;
        int n = cli_parse(&cli, argc, argv);
        print_args(n, argv);
        exit(0);
    }
    close(out[1]);
    close(err[1]);
    slurp(err[0], r.err, sizeof(r.err));
    slurp(out[0], r.out, sizeof(r.out));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    r.code = WEXITSTATUS(status);
    return r;
}

static void accepts(const char *command, const char *out)
{
    struct result r = run(command, NULL);
    assert_string_equal(r.err, "");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, out);
}

static void refuses(const char *command, const char *message)
{
    struct result r = run(command, NULL);
    char line[1024];
    snprintf(line, sizeof(line), "ggl-test: %s\n", message);
    assert_string_equal(r.err, line);
    assert_int_equal(r.code, 2);
    assert_string_equal(r.out, "");
}

static void test_forms(void **state)
{
    (void)state;
    accepts("", "v0 q0 c1 m=- n=7 size=0 t=0");
    accepts("-vq", "v1 q1 c1 m=- n=7 size=0 t=0");
    accepts("-vqn5|--no-color", "v1 q1 c0 m=- n=5 size=0 t=0");
    accepts("-n|-5|-mx", "v0 q0 c1 m=x n=-5 size=0 t=0");
    accepts("--count=9|--model|a=b|--model=c=d", "v0 q0 c1 m=c=d n=9 size=0 t=0");
    accepts("one|-v|two", "v1 q0 c1 m=- n=7 size=0 t=0 [one] [two]");
    accepts("-|--|-v", "v0 q0 c1 m=- n=7 size=0 t=0 [-] [-v]");
    accepts("--model=", "v0 q0 c1 m= n=7 size=0 t=0");
    accepts("-s|a|--tensor-type|x=y|-sb|--skip=c|--tensor-type=z",
            "v0 q0 c1 m=- n=7 size=0 t=0 type=x=y type=z skip=a skip=b skip=c");
}

static void test_refusals(void **state)
{
    (void)state;
    refuses("--modle|x", "unknown option --modle; did you mean --model?");
    refuses("--split|x", "unknown option --split; did you mean --split-max-size?");
    refuses("--hepl", "unknown option --hepl; did you mean --help?");
    refuses("--frobnicate", "unknown option --frobnicate (see --help)");
    refuses("-vx", "unknown option -x in \"-vx\" (see --help)");
    refuses("--verbose=1", "--verbose takes no value");
    refuses("--model", "--model needs a value (MODEL)");
    refuses("-vn", "-n needs a value (N)");
    refuses("--=x", "unknown option -- (see --help)");
    refuses("a|b|c", "unexpected argument \"c\" (see --help)");
    refuses("-n|5x", "--count: \"5x\" is not a whole number");
    refuses("-n9223372036854775808", "--count: \"9223372036854775808\" is not a whole number");
    refuses("-t|nan", "--temp: \"nan\" is not a number");
    refuses("--split-max-size=4Q", "--split-max-size: \"4Q\" is not a size such as 4096, 64K, 4M or 4G");
}

static void test_help_and_version(void **state)
{
    (void)state;
    struct result r = run("--help|--nonsense", NULL);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    const char *const parts[] = {"NAME\n    ggl-test - Checks the parser\n\nSYNOPSIS\n    ggl-test -m MODEL",
                                 "\n\nDESCRIPTION\n    It does nothing else.\n\nOPTIONS\n  Model\n",
                                 "    -m, --model MODEL         GGUF file",
                                 "        --tensor-type REGEX=TYPE\n                              type of",
                                 "\n\n  Output\n", "\n    -h, --help  ", "\n        --version  ",
                                 "\n\nEXAMPLES\n    ggl-test -m x\n\nEXIT STATUS\n    0 "};
    const char *at = r.out;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        const char *found = strstr(at, parts[i]);
        if (!found) print_error("missing: %s\nin: %s\n", parts[i], r.out);
        assert_non_null(found);
        at = found + 1;
    }
    accepts("--version", "ggl-test " GGL_VERSION "\n");
    assert_int_equal(run("-h", NULL).code, 0);
}

static void test_output_errors(void **state)
{
    (void)state;
    const char *const commands[] = {"--help", "-v", "--version"};
    for (size_t i = 0; access("/dev/full", W_OK) == 0 && i < 3; i++) {
        struct result r = run(commands[i], "/dev/full");
        assert_int_equal(r.code, 74);
        assert_string_equal(r.err, "ggl-test: standard output: No space left on device\n");
    }
    struct result r = run("--nonsense", "/dev/full"); /* the first reason is the one that counts */
    assert_int_equal(r.code, 2);
}

static void test_integers(void **state)
{
    (void)state;
    const struct { const char *text; int64_t value; } good[] = {
        {"0", 0}, {"-0", 0}, {"007", 7}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775807", -INT64_MAX}};
    const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x10", "--1", "9223372036854775808", "1e3",
                               "99999999999999999999"};
    int64_t v;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(cli_number_int(good[i].text, &v));
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) assert_false(cli_number_int(bad[i], &v));
}

static void test_sizes(void **state)
{
    (void)state;
    const struct { const char *text; uint64_t value; } good[] = {
        {"0", 0}, {"4096", 4096}, {"64K", 65536}, {"4m", 4 << 20}, {"4G", 4ull << 30}, {"1T", 1ull << 40},
        {"18446744073709551615", UINT64_MAX}, {"16777215T", 16777215ull << 40}};
    const char *const bad[] = {"", "K", "-1", "4KB", "4 G", "1.5G", "18446744073709551616", "16777216T", "4Q"};
    uint64_t v;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(cli_number_size(good[i].text, &v));
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) assert_false(cli_number_size(bad[i], &v));
}

static void test_floats(void **state)
{
    (void)state;
    const struct { const char *text; double value; } good[] = {
        {"0", 0}, {"0.7", 0.7}, {".5", 0.5}, {"1.", 1}, {"-1e-3", -1e-3}, {"1E5", 1e5}, {"1e+2", 100},
        {"0.30000000000000004", 0.30000000000000004}, {"1e300", 1e300}, {"5e-9999", 0}, {"0e9999", 0},
        {"12345678901234567890123", 12345678901234567890123.0}};
    const char *const bad[] = {"", ".", "-", "e5", "1e", "1e+", "inf", "nan", "0x1p3", "1,5", "1.2.3", " 1", "1e9999", "+1"};
    double v;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(cli_number_float(good[i].text, &v));
        double bound = 4e-16 * (good[i].value < 0 ? -good[i].value : good[i].value);
        if (!(v >= good[i].value - bound && v <= good[i].value + bound))
            fail_msg("%s gave %.17g", good[i].text, v);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) assert_false(cli_number_float(bad[i], &v));
    assert_true(cli_number_float("0.95", &v) && v == 0.95); /* common values are exact */
    assert_true(cli_number_float("0.1", &v) && v == 0.1);
}

static void test_bytes(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(cli_bytes(0, buf), "0 B");
    assert_string_equal(cli_bytes(1023, buf), "1023 B");
    assert_string_equal(cli_bytes(1024, buf), "1.0 KiB");
    assert_string_equal(cli_bytes(1048575, buf), "1.0 MiB");
    assert_string_equal(cli_bytes(156366962688u, buf), "145.6 GiB");
    assert_string_equal(cli_bytes(UINT64_MAX, buf), "16.0 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),    cmocka_unit_test(test_refusals),      cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_output_errors), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_floats),   cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
