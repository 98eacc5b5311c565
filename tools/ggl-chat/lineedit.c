/*
 * A line editor for one row of a terminal: the row scrolls sideways, and newlines inside a line (from a paste or
 * Alt-Enter) show as an arrow, so nothing depends on how a terminal wraps.  UTF-8 throughout, wide and combining
 * characters included; a paste arrives whole; history in memory and, if wanted, in a file.
 *
 * The terminal is in raw mode only while a line is edited.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "chat.h"

#define NEWLINE_SIGN "\xe2\x86\xb5" /* U+21B5 */
enum { REMEMBERED = 500, ESCAPE_WAIT = 50 /* ms */, PASTED_LINE_MAX = 64 << 20 };

/* What read_key returns beside characters. */
enum key {
    KEY_EOF = 0x110000, KEY_INTERRUPT, KEY_RESIZED, KEY_LEFT, KEY_RIGHT, KEY_UP, KEY_DOWN, KEY_HOME, KEY_END, KEY_DELETE,
    KEY_WORD_LEFT, KEY_WORD_RIGHT, KEY_NEWLINE, KEY_PASTE, KEY_IGNORE,
};

struct lineedit {
    struct bytes line, draft; /* the draft: what was typed before history was opened */
    size_t at;                /* the cursor, a byte offset */
    size_t from;              /* the first byte shown */
    const char *prompt;
    struct termios before;
    char **lines; /* history, oldest first */
    size_t n_lines, shown;
    char *file;
    const char *const *words;
    unsigned char input[256];
    size_t n_input, at_input;
};

/* ---- the terminal */

static bool raw_mode(struct lineedit *e)
{
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &e->before)) return false;
    t = e->before;
    t.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    t.c_lflag &= (tcflag_t) ~(ECHO | ICANON | IEXTEN | ISIG);
    t.c_cflag |= CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t)) return false;
    interrupt_restore(&e->before, "\033[?2004l\r\n");
    fputs("\033[?2004h", stdout); /* pastes in brackets */
    return true;
}

static void cooked_mode(struct lineedit *e)
{
    fputs("\033[?2004l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &e->before);
    interrupt_restore(NULL, NULL);
}

static int columns(void)
{
    struct winsize w;
    return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col >= 20 ? w.ws_col : 80;
}

/* ---- keys */

/* -1: the end or an error; -2: nothing within `wait` milliseconds (-1: for ever); -3: a signal came. */
static int read_byte(struct lineedit *e, int wait)
{
    if (e->at_input == e->n_input) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = poll(&p, 1, wait);
        if (ready == 0) return -2;
        ssize_t n = ready < 0 ? -1 : read(STDIN_FILENO, e->input, sizeof(e->input));
        if (n < 0 && errno == EINTR) return -3;
        if (n <= 0) return -1;
        e->n_input = (size_t)n;
        e->at_input = 0;
    }
    return e->input[e->at_input++];
}

static bool more_waits(struct lineedit *e)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return e->at_input < e->n_input || poll(&p, 1, 0) > 0;
}

/* ESC [ digits ; digits letter */
static int read_sequence(struct lineedit *e)
{
    static const struct {
        char final;
        int number, plain, with_modifier;
    } keys[] = {{'A', 0, KEY_UP, KEY_UP},         {'B', 0, KEY_DOWN, KEY_DOWN},     {'C', 0, KEY_RIGHT, KEY_WORD_RIGHT},
                {'D', 0, KEY_LEFT, KEY_WORD_LEFT}, {'H', 0, KEY_HOME, KEY_HOME},     {'F', 0, KEY_END, KEY_END},
                {'~', 1, KEY_HOME, KEY_HOME},      {'~', 3, KEY_DELETE, KEY_DELETE}, {'~', 4, KEY_END, KEY_END},
                {'~', 7, KEY_HOME, KEY_HOME},      {'~', 8, KEY_END, KEY_END},       {'~', 200, KEY_PASTE, KEY_PASTE}};
    int number[2] = {0, 0}, k = 0, b;
    while ((b = read_byte(e, ESCAPE_WAIT)) >= 0x20 && b < 0x40) {
        if (b == ';' && k < 1) k++;
        else if (b >= '0' && b <= '9' && number[k] < 10000) number[k] = number[k] * 10 + (b - '0');
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (b == keys[i].final && (b != '~' || number[0] == keys[i].number))
            return number[1] > 1 ? keys[i].with_modifier : keys[i].plain;
    return KEY_IGNORE;
}

static int read_escape(struct lineedit *e)
{
    int b = read_byte(e, ESCAPE_WAIT);
    switch (b) {
    case '[': return read_sequence(e);
    case 'O': return (b = read_byte(e, ESCAPE_WAIT)) == 'H' ? KEY_HOME : b == 'F' ? KEY_END : KEY_IGNORE;
    case 'b': return KEY_WORD_LEFT;
    case 'f': return KEY_WORD_RIGHT;
    case '\r':
    case '\n': return KEY_NEWLINE;
    default: return KEY_IGNORE;
    }
}

/* A code point, or a key. */
static int read_key(struct lineedit *e)
{
    int b = read_byte(e, -1);
    if (b == -3) return interrupted ? KEY_INTERRUPT : KEY_RESIZED;
    if (b < 0) return KEY_EOF;
    if (b == 0x1b) return read_escape(e);
    if (b < 0x80) return b;
    if (b < 0xc2 || b > 0xf4) return 0xfffd;
    int more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1, c = b & (0x3f >> more);
    while (more-- > 0) {
        b = read_byte(e, ESCAPE_WAIT);
        if (b >= 0 && (b & 0xc0) != 0x80) e->at_input--; /* begins something else */
        if (b < 0x80 || b > 0xbf) return 0xfffd;
        c = c << 6 | (b & 0x3f);
    }
    return c < 0x80 || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0xfffd : c;
}

/* ---- the text */

/* The code point at a byte offset of the line, which holds only valid UTF-8. */
static uint32_t decode(const struct bytes *line, size_t at, size_t *size)
{
    const unsigned char *p = (const unsigned char *)line->data + at;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) c = c << 6 | (p[i] & 0x3fu);
    *size = n;
    return c;
}

/* Over a character with the marks that sit on it. */
static size_t step_right(const struct bytes *line, size_t at)
{
    size_t size;
    if (at < line->size) {
        decode(line, at, &size);
        at += size;
    }
    while (at < line->size && !character_width(decode(line, at, &size))) at += size;
    return at;
}

static size_t step_left(const struct bytes *line, size_t at)
{
    size_t size;
    while (at > 0) {
        do at--;
        while (at > 0 && ((unsigned char)line->data[at] & 0xc0) == 0x80);
        if (character_width(decode(line, at, &size))) break;
    }
    return at;
}

static bool is_space(const struct bytes *line, size_t at)
{
    return line->data[at] == ' ' || line->data[at] == '\n' || line->data[at] == '\t';
}

static size_t word_left(const struct bytes *line, size_t at)
{
    while (at > 0 && is_space(line, at - 1)) at--;
    while (at > 0 && !is_space(line, at - 1)) at--;
    return at;
}

static size_t word_right(const struct bytes *line, size_t at)
{
    while (at < line->size && is_space(line, at)) at++;
    while (at < line->size && !is_space(line, at)) at++;
    return at;
}

static void delete_range(struct lineedit *e, size_t from, size_t to)
{
    memmove(e->line.data + from, e->line.data + to, e->line.size - to + 1);
    e->line.size -= to - from;
    e->at = from;
}

static void insert(struct lineedit *e, const char *text, size_t size)
{
    size_t old = e->line.size;
    bytes_add(&e->line, text, size); /* room; the right place comes now */
    memmove(e->line.data + e->at + size, e->line.data + e->at, old - e->at);
    memcpy(e->line.data + e->at, text, size);
    e->at += size;
}

static void insert_character(struct lineedit *e, uint32_t c)
{
    char s[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (n == 1) s[0] = (char)c;
    else {
        for (size_t i = n; i-- > 1; c >>= 6) s[i] = (char)(0x80 | (c & 0x3f));
        s[0] = (char)((0xf00u >> n) | c);
    }
    insert(e, s, n);
}

/* Everything up to ESC [201~, as it is but for line ends; then inserted at once, so that a long paste is quick. */
static void paste(struct lineedit *e)
{
    static const char end[] = "\033[201~";
    struct bytes raw = {0};
    size_t matched = 0;
    int b;
    bool was_return = false;
    bytes_add(&raw, "", 0);
    while (matched < sizeof(end) - 1 && (b = read_byte(e, 1000)) != -1 && b != -2 && raw.size < PASTED_LINE_MAX) {
        if (b == -3) continue;
        if (b == end[matched]) {
            matched++;
            continue;
        }
        if (matched) bytes_add(&raw, end, matched);
        matched = b == end[0];
        if (matched) continue;
        char c = b == '\r' ? '\n' : (char)b;
        if (!(b == '\n' && was_return)) bytes_add(&raw, &c, 1);
        was_return = b == '\r';
    }
    /* valid UTF-8 only: the streaming decoder puts U+FFFD in place of the rest; escapes and controls go */
    struct ggl_detokenizer d = {.n_held = 0};
    char *valid = malloc(3 * (raw.size + 4) + 12);
    if (!valid) cli_die(&cli, 70, "out of memory");
    size_t n = ggl_detokenizer_feed(&d, raw.data, raw.size, valid);
    n += ggl_detokenizer_flush(&d, valid + n);
    bytes_clear(&raw);
    screen_filter(&raw, valid, n);
    insert(e, raw.data, raw.size);
    free(valid);
    bytes_free(&raw);
}

/* ---- the row */

static int width_at(const struct bytes *line, size_t at, size_t *size)
{
    uint32_t c = decode(line, at, size);
    return c < 0x20 ? 1 : character_width(c);
}

/* Columns from one offset to another, counting no further than `limit`. */
static int columns_between(const struct bytes *line, size_t from, size_t to, int limit)
{
    int n = 0;
    size_t size;
    for (; from < to && n <= limit; from += size) n += width_at(line, from, &size);
    return n;
}

/* Keeps the cursor inside, with a little of the text before it. */
static void scroll(struct lineedit *e, int room)
{
    if (e->from > e->line.size || e->at < e->from) e->from = e->at;
    if (e->at - e->from > (size_t)room * 16 || columns_between(&e->line, e->from, e->at, room) >= room) {
        e->from = e->at;
        for (int n = 0; e->from > 0 && n < room * 2 / 3; n += 2) e->from = step_left(&e->line, e->from);
    }
}

static void refresh(struct lineedit *e)
{
    struct bytes out = {0};
    int room = columns() - (int)strlen(e->prompt) - 1, used = 0, cursor = 0;
    char move[32];
    scroll(e, room);
    bytes_add(&out, "\r", 1);
    bytes_add(&out, e->prompt, strlen(e->prompt));
    for (size_t at = e->from, size; at < e->line.size; at += size) {
        if (at == e->at) cursor = used;
        int w = width_at(&e->line, at, &size);
        if (used + w > room) break;
        unsigned char c = (unsigned char)e->line.data[at];
        if (c == '\n') bytes_add(&out, NEWLINE_SIGN, 3);
        else bytes_add(&out, c < 0x20 ? " " : e->line.data + at, size);
        used += w;
    }
    if (e->at == e->line.size) cursor = used;
    bytes_add(&out, "\033[K\r", 4);
    snprintf(move, sizeof(move), "\033[%dC", (int)strlen(e->prompt) + cursor);
    bytes_add(&out, move, strlen(move));
    fwrite(out.data, 1, out.size, stdout);
    fflush(stdout);
    bytes_free(&out);
}

/* ---- history */

static void show_line(struct lineedit *e, const char *text, size_t size)
{
    bytes_clear(&e->line);
    bytes_add(&e->line, text, size);
    e->at = size;
    e->from = 0;
}

static void browse(struct lineedit *e, int direction)
{
    if (direction < 0 ? e->shown == 0 : e->shown == e->n_lines) return;
    if (e->shown == e->n_lines) { /* leaving the line that is being written */
        bytes_clear(&e->draft);
        bytes_add(&e->draft, e->line.data, e->line.size);
    }
    e->shown = direction < 0 ? e->shown - 1 : e->shown + 1;
    if (e->shown == e->n_lines) show_line(e, e->draft.data, e->draft.size);
    else show_line(e, e->lines[e->shown], strlen(e->lines[e->shown]));
}

static void keep(struct lineedit *e, const char *text, size_t size)
{
    if (!size || memchr(text, 0, size)) return;
    if (e->n_lines && strlen(e->lines[e->n_lines - 1]) == size && !memcmp(e->lines[e->n_lines - 1], text, size)) return;
    char *copy = malloc(size + 1);
    if (!copy) return; /* a line less to remember */
    memcpy(copy, text, size);
    copy[size] = 0;
    if (e->n_lines == REMEMBERED) {
        free(e->lines[0]);
        memmove(e->lines, e->lines + 1, (REMEMBERED - 1) * sizeof(*e->lines));
        e->n_lines--;
    }
    e->lines[e->n_lines++] = copy;
}

/* In the file a line is a line: newlines are \n and backslashes are doubled. */
static void append_to_file(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "a");
    if (!f) return; /* not worth stopping a conversation */
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') fputs("\\n", f);
        else if (text[i] == '\\') fputs("\\\\", f);
        else fputc(text[i], f);
    }
    fputc('\n', f);
    fclose(f);
}

static void load_file(struct lineedit *e)
{
    FILE *f = fopen(e->file, "r");
    struct bytes line = {0};
    int c, next;
    bytes_add(&line, "", 0);
    while (f && (c = fgetc(f)) != EOF) {
        if (c == '\n') {
            keep(e, line.data, line.size);
            bytes_clear(&line);
            continue;
        }
        if (c == '\\' && (next = fgetc(f)) != EOF) c = next == 'n' ? '\n' : next;
        char byte = (char)c;
        bytes_add(&line, &byte, 1);
    }
    if (f) fclose(f);
    bytes_free(&line);
}

void lineedit_remember(struct lineedit *e, const char *text, size_t size)
{
    keep(e, text, size);
    if (e->file && size && !memchr(text, 0, size)) append_to_file(e->file, text, size);
}

/* ---- editing */

void lineedit_complete(struct lineedit *e, const char *const *words)
{
    e->words = words;
}

/* To the only word that begins with the line, or to what the matching ones have in common. */
static void complete(struct lineedit *e)
{
    const char *first = NULL;
    size_t common = 0;
    for (const char *const *w = e->words; w && *w; w++) {
        if (strncmp(*w, e->line.data, e->line.size)) continue;
        size_t n = 0;
        while (first && n < common && (*w)[n] == first[n]) n++;
        common = first ? n : strlen(*w);
        first = first ? first : *w;
    }
    if (first && common > e->line.size && e->at == e->line.size) insert(e, first + e->line.size, common - e->line.size);
}

static void suspend(struct lineedit *e)
{
    cooked_mode(e);
    fputs("\n", stdout);
    fflush(stdout);
    raise(SIGTSTP);
    raw_mode(e);
}

/* One key's effect; true when the line is finished, with *result. */
static bool handle(struct lineedit *e, int key, enum line_result *result)
{
    struct bytes *l = &e->line;
    *result = LINE_OK;
    switch (key) {
    case '\r':
    case '\n': return true;
    case 3:
    case KEY_INTERRUPT: return *result = LINE_INTERRUPT, true;
    case KEY_EOF: return *result = l->size ? LINE_OK : LINE_EOF, true;
    case 4:
        if (!l->size) return *result = LINE_EOF, true;
        delete_range(e, e->at, step_right(l, e->at));
        break;
    case KEY_DELETE: delete_range(e, e->at, step_right(l, e->at)); break;
    case 8:
    case 127: delete_range(e, step_left(l, e->at), e->at); break;
    case 1:
    case KEY_HOME: e->at = 0; break;
    case 5:
    case KEY_END: e->at = l->size; break;
    case 2:
    case KEY_LEFT: e->at = step_left(l, e->at); break;
    case 6:
    case KEY_RIGHT: e->at = step_right(l, e->at); break;
    case KEY_WORD_LEFT: e->at = word_left(l, e->at); break;
    case KEY_WORD_RIGHT: e->at = word_right(l, e->at); break;
    case 16:
    case KEY_UP: browse(e, -1); break;
    case 14:
    case KEY_DOWN: browse(e, 1); break;
    case 11: delete_range(e, e->at, l->size); break;
    case 21: delete_range(e, 0, e->at); break;
    case 23: delete_range(e, word_left(l, e->at), e->at); break;
    case 12: fputs("\033[H\033[2J", stdout); break;
    case 26: suspend(e); break;
    case '\t': complete(e); break;
    case KEY_NEWLINE: insert(e, "\n", 1); break;
    case KEY_PASTE: paste(e); break;
    default:
        if (key >= 0x20 && key < KEY_EOF && !(key >= 0x7f && key < 0xa0)) insert_character(e, (uint32_t)key);
    }
    return false;
}

enum line_result lineedit_read(struct lineedit *e, const char *prompt, const char **text, size_t *size)
{
    enum line_result result;
    e->prompt = prompt;
    e->shown = e->n_lines;
    show_line(e, "", 0);
    interrupted = 0;
    if (!raw_mode(e)) return LINE_EOF;
    do
        if (!more_waits(e)) refresh(e);
    while (!handle(e, read_key(e), &result));
    e->at = e->line.size;
    refresh(e);
    cooked_mode(e);
    fputs("\n", stdout);
    fflush(stdout);
    *text = e->line.data;
    *size = e->line.size;
    return result;
}

struct lineedit *lineedit_new(const char *history_file)
{
    struct lineedit *e = calloc(1, sizeof(*e));
    if (e) e->lines = calloc(REMEMBERED, sizeof(*e->lines));
    if (e && history_file) e->file = strdup(history_file);
    if (!e || !e->lines || (history_file && !e->file)) cli_die(&cli, 70, "out of memory");
    if (e->file) load_file(e);
    return e;
}

void lineedit_free(struct lineedit *e)
{
    if (!e) return;
    while (e->n_lines) free(e->lines[--e->n_lines]);
    free(e->lines);
    free(e->file);
    bytes_free(&e->line);
    bytes_free(&e->draft);
    free(e);
}
