/*
 * What is printed and how.  The answer goes to stdout as it comes.  On a terminal reasoning is dimmed (or marked,
 * without colours) and nothing that the model writes can control the terminal; else reasoning goes to stderr, so
 * that a pipe gets the answer alone.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat.h"

static const char DIM[] = "\033[2m", NORMAL[] = "\033[0m";

void screen_init(struct screen *s, bool quiet)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool dumb = !term || !*term || !strcmp(term, "dumb");
    memset(s, 0, sizeof(*s));
    s->quiet = quiet;
    s->tty = isatty(STDOUT_FILENO) == 1;
    s->color = s->tty && !dumb && !(no_color && *no_color);
    s->error_tty = isatty(STDERR_FILENO) == 1 && !dumb;
}

/* Three bytes of a sequence at most matter: C1 is c2 80..9f, the overrides e2 80 aa..ae and e2 81 a6..a9. */
static size_t harmful(const unsigned char *p, size_t n)
{
    if (p[0] < 0x20) return p[0] != '\n' && p[0] != '\t';
    if (p[0] == 0x7f) return 1;
    if (n >= 2 && p[0] == 0xc2 && p[1] < 0xa0) return 2;
    if (n < 3 || p[0] != 0xe2) return 0;
    bool embedding = p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae, isolate = p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
    return embedding || isolate ? 3 : 0;
}

void screen_filter(struct bytes *out, const char *text, size_t size)
{
    size_t plain = 0;
    for (size_t i = 0; i < size;) {
        size_t n = harmful((const unsigned char *)text + i, size - i);
        if (n) {
            bytes_add(out, text + plain, i - plain);
            bytes_add(out, "\xef\xbf\xbd", 3);
            plain = i + n;
        }
        i += n ? n : 1;
    }
    bytes_add(out, text + plain, size - plain);
}

/* The mark between reasoning and answer. */
static void switch_part(struct screen *s, bool reasoning)
{
    s->reasoning = reasoning;
    if (!s->tty) {
        if (!reasoning && s->error_open) fputs("\n", stderr);
        s->error_open = false;
        return;
    }
    if (reasoning) {
        if (s->color) interrupt_restore(NULL, NORMAL);
        fputs(s->color ? DIM : "[thinking]\n", stdout);
        return;
    }
    if (!s->line_start) fputs("\n", stdout);
    fputs(s->color ? NORMAL : "[answer]\n", stdout);
    interrupt_restore(NULL, NULL);
    s->line_start = true;
}

void screen_begin(struct screen *s)
{
    s->reasoning = s->wrote = s->error_open = false;
    s->line_start = true;
    memset(&s->held, 0, sizeof(s->held));
}

static void put(struct screen *s, const char *text, size_t size, bool reasoning)
{
    bool error = reasoning && !s->tty;
    if (!size || (error && s->quiet)) return;
    if (error ? s->error_tty : s->tty) {
        bytes_clear(&s->scratch);
        screen_filter(&s->scratch, text, size);
        text = s->scratch.data;
        size = s->scratch.size;
    }
    fwrite(text, 1, size, error ? stderr : stdout);
    fflush(error ? stderr : stdout);
    bool ends_line = text[size - 1] == '\n';
    if (error) s->error_open = !ends_line;
    else s->wrote = true, s->line_start = ends_line;
}

void screen_write(struct screen *s, const char *text, size_t size, bool reasoning)
{
    if (reasoning != s->reasoning) {
        char rest[12];
        put(s, rest, ggl_detokenizer_flush(&s->held, rest), s->reasoning);
        switch_part(s, reasoning);
    }
    char *out = malloc(3 * (size + 4));
    if (!out) cli_die(&cli, 70, "out of memory");
    put(s, out, ggl_detokenizer_feed(&s->held, text, size, out), reasoning);
    free(out);
}

/* Every answer ends with a newline on stdout, an empty one, too. */
void screen_end(struct screen *s)
{
    char rest[12];
    put(s, rest, ggl_detokenizer_flush(&s->held, rest), s->reasoning);
    if (s->error_open) fputs("\n", stderr);
    if (s->reasoning && s->color) fputs(NORMAL, stdout);
    interrupt_restore(NULL, NULL);
    if (!s->line_start || (!s->tty && !s->wrote)) fputs("\n", stdout);
    fflush(stdout);
}

bool screen_failed(const struct screen *s)
{
    (void)s;
    return ferror(stdout) != 0;
}

/* Only a prefill that takes a while is worth a line. */
void screen_progress(struct screen *s, int64_t done, int64_t n)
{
    double now = cli_now();
    if (s->quiet || !s->error_tty || n < 64) return;
    if (s->progress_start == 0) s->progress_start = s->progress_last = now;
    if (now - s->progress_last < 0.2) return;
    double rate = (double)done / (now - s->progress_start);
    fprintf(stderr, "\r\033[Kreading the prompt: %lld of %lld tokens", (long long)done, (long long)n);
    if (done > 0) fprintf(stderr, ", %.0f s left", (double)(n - done) / rate);
    fflush(stderr);
    s->progress_last = now;
}

void screen_progress_end(struct screen *s)
{
    if (s->progress_last > s->progress_start) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    s->progress_start = s->progress_last = 0;
}

void screen_note(struct screen *s, const char *format, ...)
{
    va_list args;
    if (s->quiet) return;
    fflush(stdout);
    fputs("ggl-chat: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}
