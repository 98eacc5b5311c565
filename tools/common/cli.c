/*
 * Option parsing, and how a tool ends: usage errors (2), errors of the library (their own code), and errors on
 * the standard streams that only show when the process ends (74).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/cli.h"
#include "common/streams.h"

enum { EXIT_USAGE = 2, EXIT_INTERNAL = 70, EXIT_IO = 74 };

static const char *tool_name = "tool";
static bool dying;            /* an exit code was chosen already; do not replace it */
static const char **list_pool; /* items of every CLI_LIST option; a static, so it stays reachable */

int cli_stdin_errno;

/* ---- ending */

static void stop(const char *name, const char *format, va_list args)
{
    dying = true;
    fflush(stdout);
    fprintf(stderr, "%s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void cli_die(const struct cli *cli, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stop(cli->name, format, args);
    va_end(args);
    exit(code);
}

void cli_die_error(const struct cli *cli, const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    int code = ggl_status_exit_code(err->status);
    cli_die(cli, code ? code : EXIT_INTERNAL, "%s", ggl_error_line(err, line, sizeof(line)));
}

/* stdio forgets why an earlier write failed; a reader that went away still shows on the descriptor. */
static const char *write_failure(int reason)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (!reason && poll(&out, 1, 0) == 1 && (out.revents & POLLERR)) reason = EPIPE;
    return reason ? strerror(reason) : "write error";
}

/* A full disk may only show when the last buffer is written, so this is the last word on success. */
static void check_streams(void)
{
    bool failed_before = ferror(stdout) != 0;
    errno = 0;
    bool failed = fflush(stdout) != 0 || failed_before;
    const char *why = failed ? write_failure(errno) : "";
    if (close(STDOUT_FILENO) != 0 && !failed && errno != EBADF) {
        failed = true;
        why = strerror(errno);
    }
    if (dying) return;
    if (failed)
        fprintf(stderr, "%s: standard output: %s\n", tool_name, why);
    else if (ferror(stdin))
        fprintf(stderr, "%s: standard input: %s\n", tool_name,
                cli_stdin_errno ? strerror(cli_stdin_errno) : "read error");
    else
        return;
    fflush(stderr);
    _exit(EXIT_IO);
}

/*
 * A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and messages would end up in a
 * model file.  Each is opened the wrong way round, so that using it still fails.
 */
static void hold_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1) continue;
        int got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        if (got != fd) exit(EXIT_INTERNAL);
    }
}

static void prepare_process(const struct cli *cli)
{
    static bool done;
    tool_name = cli->name;
    if (done) return;
    done = true;
    hold_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    if (atexit(check_streams) != 0) cli_die(cli, EXIT_INTERNAL, "atexit failed");
}

/* ---- unknown options */

enum { MAX_NAME = 48 };

/* Edits (insert, delete, replace) between two names. */
static int edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    int row[MAX_NAME + 1];
    if (na > MAX_NAME || nb > MAX_NAME) return MAX_NAME;
    for (size_t j = 0; j <= nb; j++) row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

static _Noreturn void die_unknown_long(const struct cli *cli, const char *name, size_t n)
{
    const char *nearest = NULL;
    int best = n < 4 ? 2 : 4; /* further away is no help */
    for (const struct cli_option *o = cli->options; o->longname; o++) {
        size_t len = strlen(o->longname);
        if (!len) continue;
        bool prefix = n >= 3 && len > n && memcmp(o->longname, name, n) == 0;
        int d = prefix ? 1 : edit_distance(name, n, o->longname, len);
        if (d < best) {
            best = d;
            nearest = o->longname;
        }
    }
    if (edit_distance(name, n, "help", 4) < best) nearest = "help";
    if (edit_distance(name, n, "version", 7) < best) nearest = "version";
    if (nearest) cli_die(cli, EXIT_USAGE, "unknown option --%.*s; did you mean --%s?", (int)n, name, nearest);
    cli_die(cli, EXIT_USAGE, "unknown option --%.*s (see --help)", (int)n, name);
}

/* ---- values */

static bool takes_value(const struct cli_option *o)
{
    return o->kind != CLI_FLAG && o->kind != CLI_NOT;
}

static void append(const struct cli *cli, const struct cli_option *o, int argc, const char *value)
{
    struct cli_list *list = o->value;
    if (!list_pool) {
        size_t lists = 0;
        for (const struct cli_option *p = cli->options; p->longname; p++) lists += p->kind == CLI_LIST;
        list_pool = calloc(lists * (size_t)argc, sizeof(*list_pool));
        if (!list_pool) cli_die(cli, EXIT_INTERNAL, "out of memory");
    }
    if (!list->n) {
        size_t index = 0;
        for (const struct cli_option *p = cli->options; p != o; p++) index += p->kind == CLI_LIST;
        list->items = list_pool + index * (size_t)argc;
    }
    list->items[list->n++] = value; /* at most one item an argument */
}

static void store(const struct cli *cli, const struct cli_option *o, int argc, const char *value)
{
    const char *wanted = NULL;
    switch (o->kind) {
    case CLI_FLAG: *(bool *)o->value = true; break;
    case CLI_NOT: *(bool *)o->value = false; break;
    case CLI_STR: *(const char **)o->value = value; break;
    case CLI_LIST: append(cli, o, argc, value); break;
    case CLI_INT:
        if (!cli_number_int(value, o->value)) wanted = "a whole number";
        break;
    case CLI_SIZE:
        if (!cli_number_size(value, o->value)) wanted = "a size such as 4096, 64K, 4M or 4G";
        break;
    case CLI_FLOAT:
        if (!cli_number_float(value, o->value)) wanted = "a number";
        break;
    }
    if (wanted) cli_die(cli, EXIT_USAGE, "--%s: \"%.200s\" is not %s", o->longname, value, wanted);
}

/* ---- parsing */

static _Noreturn void show_and_exit(const struct cli *cli, bool help)
{
    if (help)
        cli_help(cli, stdout);
    else
        printf("%s %s\n", cli->name, GGL_VERSION);
    exit(0);
}

/* argv[i] is "--name", "--name=value"; returns the index of the last argument used. */
static int parse_long(const struct cli *cli, int argc, char **argv, int i)
{
    const char *name = argv[i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *o = cli->options;
    while (o->longname && !(n && strlen(o->longname) == n && memcmp(o->longname, name, n) == 0)) o++;
    if (!o->longname) {
        if (!equals && strcmp(name, "help") == 0) show_and_exit(cli, true);
        if (!equals && strcmp(name, "version") == 0) show_and_exit(cli, false);
        die_unknown_long(cli, name, n);
    }
    if (!takes_value(o)) {
        if (equals) cli_die(cli, EXIT_USAGE, "--%s takes no value", o->longname);
        store(cli, o, argc, NULL);
        return i;
    }
    if (!equals && i + 1 >= argc) cli_die(cli, EXIT_USAGE, "--%s needs a value (%s)", o->longname, o->arg);
    store(cli, o, argc, equals ? equals + 1 : argv[i + 1]);
    return equals ? i : i + 1;
}

/* argv[i] is "-x", "-xy", "-nVALUE" or "-n VALUE". */
static int parse_short(const struct cli *cli, int argc, char **argv, int i)
{
    for (const char *p = argv[i] + 1; *p; p++) {
        const struct cli_option *o = cli->options;
        while (o->longname && !(*o->longname && o->shortname == *p)) o++;
        if (!o->longname) {
            if (*p == 'h') show_and_exit(cli, true);
            cli_die(cli, EXIT_USAGE, "unknown option -%c in \"%.64s\" (see --help)", *p, argv[i]);
        }
        if (!takes_value(o)) {
            store(cli, o, argc, NULL);
            continue;
        }
        if (p[1]) {
            store(cli, o, argc, p + 1);
            return i;
        }
        if (i + 1 >= argc) cli_die(cli, EXIT_USAGE, "-%c needs a value (%s)", *p, o->arg);
        store(cli, o, argc, argv[i + 1]);
        return i + 1;
    }
    return i;
}

int cli_parse(const struct cli *cli, int argc, char **argv)
{
    int n = 0, i = 1;
    prepare_process(cli);
    for (; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (argv[i][0] != '-' || !argv[i][1])
            argv[++n] = argv[i];
        else if (argv[i][1] == '-')
            i = parse_long(cli, argc, argv, i);
        else
            i = parse_short(cli, argc, argv, i);
    }
    for (; i < argc; i++) argv[++n] = argv[i];
    if (n < cli->min_args)
        cli_die(cli, EXIT_USAGE, "an argument is missing; usage: %s %s", cli->name, cli->synopsis);
    if (n > cli->max_args) cli_die(cli, EXIT_USAGE, "unexpected argument \"%.200s\" (see --help)", argv[cli->max_args + 1]);
    return n;
}
