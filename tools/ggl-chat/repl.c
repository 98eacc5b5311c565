/* The conversation on a terminal: reading messages, which may have several lines, and the commands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "chat.h"

static const char HELP[] =
    "  /new             forget the conversation (the system text stays)\n"
    "  /system [TEXT]   set the system text; without TEXT show it\n"
    "  /think MODE      none, high or max\n"
    "  /regen           answer the last message again\n"
    "  /save FILE       write the conversation and the model's state\n"
    "  /load FILE       read them back\n"
    "  /help            this page\n"
    "  /quit            leave (also Ctrl-D)\n"
    "A message of several lines: paste it, end lines with \\, begin and end with \"\"\", or use Alt-Enter.\n"
    "Ctrl-C stops an answer; at an empty line, twice, it leaves.\n";

static const char *const COMMANDS[] = {"/new", "/system ", "/think ", "/regen", "/save ", "/load ", "/help", "/quit", NULL};

struct repl {
    struct chat *chat;
    struct lineedit *editor; /* NULL: a terminal that cannot be edited on */
    struct bytes plain, message;
    bool leaving;
};

/* ---- input */

/* Waits for input with Ctrl-C let through only while waiting, so that none is missed; false: Ctrl-C. */
static bool wait_for_input(void)
{
    sigset_t block, before;
    fd_set in;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigprocmask(SIG_BLOCK, &block, &before);
    FD_ZERO(&in);
    FD_SET(STDIN_FILENO, &in);
    while (!interrupted && pselect(STDIN_FILENO + 1, &in, NULL, NULL, NULL, &before) < 0 && errno == EINTR) continue;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return !interrupted;
}

enum line_result plain_read(struct bytes *line)
{
    static char buffer[4096];
    static size_t n, at;
    bytes_clear(line);
    for (;;) {
        while (at < n) {
            char c = buffer[at++];
            if (c == '\n') return LINE_OK;
            bytes_add(line, &c, 1);
        }
        if (!wait_for_input()) return LINE_INTERRUPT;
        ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) cli_die(&cli, 74, "standard input: %s", strerror(errno));
        if (got == 0) return line->size ? LINE_OK : LINE_EOF;
        n = (size_t)got;
        at = 0;
    }
}

static enum line_result read_line(struct repl *r, const char *prompt, const char **text, size_t *size)
{
    if (r->editor) return lineedit_read(r->editor, prompt, text, size);
    interrupted = 0;
    fputs(prompt, stdout);
    fflush(stdout);
    enum line_result result = plain_read(&r->plain);
    if (result != LINE_OK) fputs("\n", stdout);
    *text = r->plain.data;
    *size = r->plain.size;
    return result;
}

/* The place of the closing """ at the end of the text, or NULL. */
static bool ends_block(const char *text, size_t *size)
{
    size_t n = *size;
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
    if (n < 3 || memcmp(text + n - 3, "\"\"\"", 3)) return false;
    *size = n - 3;
    return true;
}

/* One message: lines that end in a backslash go on, and so does all between """ and """. */
static enum line_result read_message(struct repl *r)
{
    const char *text;
    size_t size;
    enum line_result result = read_line(r, "> ", &text, &size);
    bytes_clear(&r->message);
    if (result != LINE_OK) return result == LINE_INTERRUPT && size ? LINE_OK : result;
    bool block = size >= 3 && !memcmp(text, "\"\"\"", 3);
    if (block) text += 3, size -= 3;
    for (;;) {
        bool closed = block && ends_block(text, &size), more = !block && size && text[size - 1] == '\\';
        bytes_add(&r->message, text, size - more);
        if (closed || (!block && !more)) break;
        if (r->message.size || !block) bytes_add(&r->message, "\n", 1);
        result = read_line(r, ". ", &text, &size);
        if (result == LINE_EOF) break;
        if (result == LINE_INTERRUPT) { /* gives up the message, not the conversation */
            bytes_clear(&r->message);
            return LINE_OK;
        }
    }
    while (block && r->message.size && r->message.data[r->message.size - 1] == '\n') r->message.data[--r->message.size] = 0;
    return LINE_OK;
}

/* ---- commands */

static void say(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

/* A command's failure ends nothing. */
static void report(enum ggl_status s, const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    if (!s || s == GGL_ERR_CANCELLED) return;
    fflush(stdout);
    fprintf(stderr, "ggl-chat: %s\n", ggl_error_line(err, line, sizeof(line)));
}

static void command_new(struct chat *c)
{
    const char *system = history_system(&c->history);
    struct bytes keep = {0};
    if (system) bytes_add(&keep, system, strlen(system));
    history_clear(&c->history);
    if (system) history_set_system(&c->history, keep.data, keep.size);
    ggl_session_clear(c->session);
    bytes_free(&keep);
}

static void command_system(struct chat *c, const char *text)
{
    const char *system = history_system(&c->history);
    if (*text) {
        history_set_system(&c->history, text, strlen(text));
        return;
    }
    say(system ? system : "(no system text)");
    say("\n");
}

static void command_regen(struct chat *c)
{
    struct ggl_error err = {0};
    struct history *h = &c->history;
    if (h->n && !strcmp(h->items[h->n - 1].role, "assistant")) history_drop_last(h);
    if (!h->n || strcmp(h->items[h->n - 1].role, "user")) {
        say("There is nothing to answer.\n");
        return;
    }
    report(chat_answer(c, &err), &err);
}

static void command_file(struct chat *c, const char *path, bool save)
{
    struct ggl_error err = {0};
    if (!*path) {
        say("Which file?\n");
        return;
    }
    enum ggl_status s = save ? chat_save(c, path, &err) : chat_load(c, path, &err);
    report(s, &err);
    if (!s)
        screen_note(&c->screen, "%s: %lld tokens %s", path, (long long)ggl_session_n_past(c->session),
                    save ? "saved" : "loaded");
}

static void run_command(struct repl *r, const char *line)
{
    struct chat *c = r->chat;
    size_t n = strcspn(line, " \t\n");
    const char *rest = line + n + strspn(line + n, " \t\n");
    char name[16] = "";
    if (n < sizeof(name)) memcpy(name, line, n);
    if (!strcmp(name, "/quit") || !strcmp(name, "/exit") || !strcmp(name, "/bye")) r->leaving = true;
    else if (!strcmp(name, "/help") || !strcmp(name, "/?")) say(HELP);
    else if (!strcmp(name, "/new") || !strcmp(name, "/clear")) command_new(c);
    else if (!strcmp(name, "/system")) command_system(c, rest);
    else if (!strcmp(name, "/regen")) command_regen(c);
    else if (!strcmp(name, "/save") || !strcmp(name, "/load")) command_file(c, rest, name[1] == 's');
    else if (!strcmp(name, "/think")) {
        if (!parse_think(rest, &c->options)) say("/think none, high or max\n");
    } else
        say("Unknown command; /help lists them.\n");
}

/* ---- the loop */

/* A line of blanks asks nothing. */
static bool blank(const struct bytes *b)
{
    return strspn(b->data, " \t\n") == b->size;
}

int repl_run(struct chat *c, const char *history_file)
{
    struct repl r = {.chat = c};
    const char *term = getenv("TERM");
    bool plain = !term || !*term || !strcmp(term, "dumb") || !c->screen.tty;
    int interrupts = 0;
    if (!plain) {
        r.editor = lineedit_new(history_file);
        lineedit_complete(r.editor, COMMANDS);
    }
    screen_note(&c->screen, "type a message, or /help");
    while (!r.leaving && interrupts < 2) {
        enum line_result result = read_message(&r);
        if (result == LINE_EOF) break;
        interrupts = result == LINE_INTERRUPT ? interrupts + 1 : 0;
        if (interrupts == 1) say("(Ctrl-C again or /quit leaves)\n");
        if (interrupts || blank(&r.message)) continue;
        if (r.editor) lineedit_remember(r.editor, r.message.data, r.message.size);
        struct ggl_error err = {0};
        if (r.message.data[0] == '/') run_command(&r, r.message.data);
        else report(chat_ask(c, r.message.data, r.message.size, &err), &err);
    }
    lineedit_free(r.editor);
    bytes_free(&r.plain);
    bytes_free(&r.message);
    return interrupts >= 2 ? 130 : 0;
}
