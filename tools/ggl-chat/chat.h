/*
 * ggl-chat's parts, from the outside in: main.c (options, one-shot and pipe mode), repl.c (the terminal's
 * conversation and its commands), lineedit.c (a line of input), turn.c (a prompt in, an answer out),
 * history.c (the messages), screen.c (what is printed and how), interrupt.c (Ctrl-C).
 */
#ifndef GGL_CHAT_TOOL_H
#define GGL_CHAT_TOOL_H

#include <signal.h>

#include "common/cli.h"
#include "model/model.h"

extern const struct cli cli;

/* ---- bytes */
struct bytes {
    char *data; /* zero-terminated once anything was added */
    size_t size, cap;
};
void bytes_add(struct bytes *b, const void *data, size_t size); /* ends the tool when memory is out */
void bytes_clear(struct bytes *b);
void bytes_free(struct bytes *b);

/* ---- history.c: owned copies of the conversation's messages */
struct history {
    struct ggl_chat_message *items;
    size_t n, cap;
};
/* Texts hold no zero bytes afterwards: U+FFFD stands for them. */
void history_add(struct history *h, const char *role, const char *content, size_t size, const char *reasoning,
                 size_t reasoning_size);
void history_drop_last(struct history *h);
void history_clear(struct history *h);
const char *history_system(const struct history *h); /* NULL: none */
void history_set_system(struct history *h, const char *text, size_t size);
/* The conversation that a session's tokens spell, in place of what was there. */
void history_read_tokens(struct history *h, const struct ggl_tokenizer *t, const int32_t *ids, int64_t n,
                         const struct ggl_chat_options *options);

/* ---- interrupt.c */
extern volatile sig_atomic_t interrupted; /* Ctrl-C came; set to 0 when a line is asked for */
void interrupt_install(struct ggl_session *s);
/* While busy, Ctrl-C stops the session's evaluation, and a second one the process (130). */
void interrupt_busy(bool busy);
/* What must be written to the terminal, and restored, if a signal ends the process; NULL: nothing. */
struct termios;
void interrupt_restore(const struct termios *t, const char *text);

/* ---- screen.c: the answer on stdout, reasoning dimmed on a terminal and on stderr otherwise */
struct screen {
    bool tty, color, error_tty, quiet;
    bool reasoning;  /* what was written last */
    bool wrote;      /* anything of this answer on stdout */
    bool line_start; /* stdout is at the beginning of a line */
    bool error_open; /* stderr is not */
    struct ggl_detokenizer held;
    struct bytes scratch;
    double progress_start, progress_last;
};
void screen_init(struct screen *s, bool quiet);
void screen_begin(struct screen *s);
void screen_write(struct screen *s, const char *text, size_t size, bool reasoning);
void screen_end(struct screen *s);
bool screen_failed(const struct screen *s); /* stdout is broken */
void screen_progress(struct screen *s, int64_t done, int64_t n);
void screen_progress_end(struct screen *s);
void screen_note(struct screen *s, const char *format, ...) __attribute__((format(printf, 2, 3))); /* stderr, unless quiet */
/* Replaces what could control a terminal (C0 but newline and tab, DEL, C1, bidirectional overrides). */
void screen_filter(struct bytes *out, const char *text, size_t size);

/* ---- turn.c */
struct chat {
    struct ggl_model *model;
    struct ggl_session *session;
    struct ggl_sampler *sampler;
    const struct ggl_tokenizer *tokenizer;
    struct ggl_chat_options options;
    int64_t n_predict; /* most tokens of an answer; 0: no limit */
    const char *session_file;
    struct history history;
    struct screen screen;
};
/* Answers the history's last message and adds the answer.  CANCELLED: Ctrl-C; what was written until then is in the
 * history, if anything was. */
enum ggl_status chat_answer(struct chat *c, struct ggl_error *err);
/* main.c: none, high or max. */
bool parse_think(const char *text, struct ggl_chat_options *o);
/* One question: adds it, answers it; the question is taken back when nothing was answered. */
enum ggl_status chat_ask(struct chat *c, const char *text, size_t size, struct ggl_error *err);
enum ggl_status chat_save(struct chat *c, const char *path, struct ggl_error *err);
/* NOT_FOUND leaves everything as it is. */
enum ggl_status chat_load(struct chat *c, const char *path, struct ggl_error *err);

/* ---- lineedit.c */
enum line_result { LINE_OK, LINE_EOF, LINE_INTERRUPT };
struct lineedit;
struct lineedit *lineedit_new(const char *history_file); /* NULL: history in memory only */
void lineedit_free(struct lineedit *e);
/* One line without its newline (a paste may hold some), in memory of the editor until the next call. */
enum line_result lineedit_read(struct lineedit *e, const char *prompt, const char **text, size_t *size);
void lineedit_remember(struct lineedit *e, const char *text, size_t size);
/* Tab completes to the one of these (NULL-terminated) that begins with the line. */
void lineedit_complete(struct lineedit *e, const char *const *words);
int character_width(uint32_t c); /* width.c: 0, 1 or 2 columns */

/* A line of a stdin that is not edited.  LINE_INTERRUPT: Ctrl-C while waiting. */
enum line_result plain_read(struct bytes *line);

/* ---- repl.c */
int repl_run(struct chat *c, const char *history_file); /* returns the exit code */

#endif
