/*
 * Progress on stderr, and the few measurements that tools print.
 */
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "common/cli.h"

enum { BAR = 24 };
static const double TTY_EVERY = 0.1, LINE_EVERY = 10; /* seconds */

double cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *cli_bytes(uint64_t n, char buf[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (n < 1024) {
        snprintf(buf, 32, "%u B", (unsigned)n);
        return buf;
    }
    double v = (double)n / 1024;
    int u = 0;
    for (; v >= 1023.95 && u < 5; u++) v /= 1024; /* 1023.95 would print as 1024.0 */
    snprintf(buf, 32, "%.1f %s", v, units[u]);
    return buf;
}

uint64_t cli_peak_rss(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0 || u.ru_maxrss < 0) return 0;
#ifdef __APPLE__
    return (uint64_t)u.ru_maxrss;
#else
    return (uint64_t)u.ru_maxrss * 1024;
#endif
}

static bool counts_bytes(const struct cli_progress *p)
{
    return strcmp(p->unit, "B") == 0;
}

static void format_amount(const struct cli_progress *p, uint64_t n, char buf[32])
{
    if (counts_bytes(p))
        cli_bytes(n, buf);
    else
        snprintf(buf, 32, "%llu", (unsigned long long)n);
}

static void format_rate(const struct cli_progress *p, double per_second, char buf[64])
{
    if (counts_bytes(p))
        snprintf(buf, 64, "%.1f MB/s", per_second / 1e6);
    else
        snprintf(buf, 64, "%.*f %s/s", per_second < 10 ? 2 : 0, per_second, p->unit);
}

static void format_time(double seconds, char buf[32])
{
    uint64_t s = seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(buf, 32, "%llu:%02u:%02u", (unsigned long long)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    else
        snprintf(buf, 32, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
}

/* "label   42% [=====     ] 1.2 GiB of 2.9 GiB, 310.0 MB/s, ETA 0:05"; the end says the time taken instead. */
static void show(const struct cli_progress *p, uint64_t done, double now, bool end)
{
    char amount[32], total[32], rate[64], left[32], line[256];
    double elapsed = now - p->start;
    size_t n = 0;
    format_amount(p, done, amount);
    format_amount(p, p->total, total);
    format_rate(p, elapsed > 1e-6 ? (double)done / elapsed : 0, rate);
    double share = p->total ? (double)done / (double)p->total : 0;
    if (share > 1) share = 1;
    if (p->total && !end) {
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%3.0f%% ", 100 * share);
        if (p->tty) {
            int filled = (int)(share * BAR);
            n += (size_t)snprintf(line + n, sizeof(line) - n, "[%.*s%*s] ", filled, "========================",
                                  BAR - filled, "");
        }
    }
    n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", amount);
    if (p->total && !end) n += (size_t)snprintf(line + n, sizeof(line) - n, " of %s", total);
    if (!counts_bytes(p)) n += (size_t)snprintf(line + n, sizeof(line) - n, " %s", p->unit);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ", %s", rate);
    if (end) {
        snprintf(line + n, sizeof(line) - n, ", %.1f s", elapsed);
    } else if (p->total && done) {
        format_time(elapsed / share * (1 - share), left);
        snprintf(line + n, sizeof(line) - n, ", ETA %s", left);
    }
    if (p->tty)
        fprintf(stderr, "\r%s: %s\033[K%s", p->label, line, end ? "\n" : "");
    else
        fprintf(stderr, "%s: %s\n", p->label, line);
    fflush(stderr);
}

void cli_progress_begin(struct cli_progress *p, const char *label, const char *unit, uint64_t total, bool quiet)
{
    *p = (struct cli_progress){.label = label, .unit = unit, .quiet = quiet, .tty = isatty(STDERR_FILENO) == 1,
                               .start = cli_now(), .total = total};
    p->last = p->start;
}

void cli_progress_update(struct cli_progress *p, uint64_t done)
{
    if (p->quiet) return;
    double now = cli_now();
    if (now - p->last < (p->tty ? TTY_EVERY : LINE_EVERY)) return;
    p->last = now;
    show(p, done, now, false);
}

void cli_progress_end(struct cli_progress *p, uint64_t done)
{
    if (!p->quiet) show(p, done, cli_now(), true);
}
