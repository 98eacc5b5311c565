/*
 * ggl-chat on a terminal: a pseudo-terminal, a model made on the spot, keys typed, and the screen's text awaited.
 * Editing, pastes, blocks, history, commands, Ctrl-C at every moment, and the terminal as it was before.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE = 60 }; /* seconds, for a busy machine */

static char tool[4096], maker[4096], folder[64], model[96], history[96], session[96];

static struct {
    pid_t pid;
    int master, slave; /* the slave stays open, so that its mode can be looked at afterwards */
    struct termios before;
    char text[1 << 18]; /* all that was shown */
    size_t n, seen;     /* what was awaited already */
} term;

static void run(const char *path, char *const argv[])
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        execv(path, argv);
        _exit(127);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static int set_up(void **state)
{
    (void)state;
    char self[4000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0) return 0; /* the tests skip */
    self[n] = 0;
    for (int i = 0; i < 2; i++) *strrchr(self, '/') = 0; /* BUILD/tests/test-... -> BUILD */
    snprintf(tool, sizeof(tool), "%s/bin/ggl-chat", self);
    snprintf(maker, sizeof(maker), "%s/bin/ggl-make-model", self);
    if (access(tool, X_OK) || access(maker, X_OK)) return tool[0] = 0, 0;
    snprintf(folder, sizeof(folder), "/tmp/ggl-pty.XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(model, sizeof(model), "%s/m", folder);
    snprintf(history, sizeof(history), "%s/history", folder);
    snprintf(session, sizeof(session), "%s/session", folder);
    run(maker, (char *[]){maker, model, "--preset", "micro", "--seed", "3", "-q", NULL});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (*folder) run("/bin/rm", (char *[]){"rm", "-rf", folder, NULL});
    return 0;
}

/* Reads what the tool shows for a while; false when it has nothing more to show. */
static bool show(int milliseconds)
{
    struct pollfd p = {.fd = term.master, .events = POLLIN};
    if (poll(&p, 1, milliseconds) <= 0) return true;
    if (term.n == sizeof(term.text) - 1) fail_msg("too much output");
    ssize_t n = read(term.master, term.text + term.n, sizeof(term.text) - 1 - term.n);
    if (n <= 0) return false;
    term.n += (size_t)n;
    term.text[term.n] = 0;
    return true;
}

/* Waits until the text appears behind what was awaited before. */
static void await(const char *text)
{
    time_t end = time(NULL) + PATIENCE;
    for (;;) {
        char *p = strstr(term.text + term.seen, text);
        if (p) {
            term.seen = (size_t)(p - term.text) + strlen(text);
            return;
        }
        if (!show(100) || time(NULL) > end) break;
    }
    kill(term.pid, SIGKILL);
    fail_msg("\"%s\" did not appear after:\n%s", text, term.text + term.seen);
}

static void type(const char *keys)
{
    size_t n = strlen(keys);
    assert_int_equal(write(term.master, keys, n), n);
}

/* At a prompt, for a message or for more of it: keys that come earlier meet the terminal's own editing. */
static void enter(const char *keys)
{
    await("\033[?2004h\r> ");
    type(keys);
}

static void more(const char *keys)
{
    await("\033[?2004h\r. ");
    type(keys);
}

static void start(const char *terminal, const char *no_color, const char *const more[])
{
    const char *argv[32] = {tool, "-m", model, "-t1", "--temp", "0"};
    int n = 6;
    for (; *more; more++) argv[n++] = *more;
    memset(&term, 0, sizeof(term));
    term.master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(term.master >= 0 && !grantpt(term.master) && !unlockpt(term.master));
    term.slave = open(ptsname(term.master), O_RDWR | O_NOCTTY);
    assert_true(term.slave >= 0);
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    ioctl(term.slave, TIOCSWINSZ, &size);
    tcgetattr(term.slave, &term.before);
    term.pid = fork();
    if (term.pid == 0) {
        setsid();
        ioctl(term.slave, TIOCSCTTY, 0);
        for (int fd = 0; fd < 3; fd++) dup2(term.slave, fd);
        close(term.slave);
        close(term.master);
        setenv("TERM", terminal, 1);
        if (no_color) setenv("NO_COLOR", no_color, 1);
        else unsetenv("NO_COLOR");
        execv(tool, (char **)(uintptr_t)argv);
        _exit(127);
    }
    assert_true(term.pid > 0);
    await("/help");
}

/* The exit status, or minus the signal; and the terminal must be as it was. */
static int finish(void)
{
    int status = 0;
    struct termios after;
    time_t end = time(NULL) + PATIENCE;
    while (waitpid(term.pid, &status, WNOHANG) == 0 && time(NULL) < end) show(50);
    while (show(0) && waitpid(term.pid, NULL, WNOHANG) == 0) continue;
    assert_int_equal(tcgetattr(term.slave, &after), 0);
    assert_int_equal(after.c_lflag, term.before.c_lflag);
    assert_int_equal(after.c_iflag, term.before.c_iflag);
    close(term.master);
    close(term.slave);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define START(...) start("xterm", NULL, (const char *const[]){__VA_ARGS__, NULL})

static void editing(void **state)
{
    (void)state;
    if (!*tool) skip();
    START("--think", "none", "-n", "3");
    /* typed, moved in, deleted: wide, combining and accented characters are one step each */
    enter("/system aX\177bd\033[Dc\r");
    enter("/system\r");
    await("\r\nabcd\r\n");
    enter("/system \xe5\x8c\x97\xe4\xba\xac\xf0\x9f\x99\x82\177e\xcc\x81\177\xc3\xa9\033[D\033[D\177.\r");
    enter("/system\r");
    await("\r\n.\xe4\xba\xac\xc3\xa9\r\n");
    /* Ctrl-A, Ctrl-E, Ctrl-K, Ctrl-W, Ctrl-U, Home, End, Delete, words */
    enter("ystem one two three\027\001/s\005four\033OH\033[C\033[3~\033[D\033[4~\r");
    await("Unknown command");
    enter("junk\025/system one two\013\033b\033bX\033[F!\r");
    enter("/system\r");
    await("\r\nXone two!\r\n");
    /* history: twice up is the line before /system; a change of it is a new line */
    enter("\033[A\033[A\177?\r");
    enter("/system\r");
    await("\r\nXone two?\r\n");
    enter("/sy\t\t changed \033[A\033[B\r"); /* completion; the draft survives a look at history */
    enter("/system\r");
    await("\r\nchanged \r\n");
    /* unknown sequences, lone continuation bytes and an unfinished character do no harm */
    enter("/system \033[99;99z\033O\033\xff\x80|\xe5\x8c|\r");
    enter("/system\r");
    await("|\r\n");
    enter("\004");
    assert_int_equal(finish(), 0);
}

static void several_lines(void **state)
{
    (void)state;
    if (!*tool) skip();
    START("--think", "none", "-n", "3");
    /* a paste with newlines, a tab and an escape is one line and controls nothing */
    enter("/system \033[200~one\rtwo\nthree\r\nfo\tur\033[2J\007\033[201~.\r");
    await("\xe2\x86\xb5"); /* newlines are shown as arrows */
    enter("/system\r");
    await("\r\none\r\ntwo\r\nthree\r\nfo");
    await("[2J");
    await(".\r\n");
    assert_null(strstr(term.text, "\033[2J"));
    /* lines that go on, a block, Alt-Enter */
    enter("/system a\\\r");
    more("b\\\r");
    more("c\r");
    enter("/system\r");
    await("\r\na\r\nb\r\nc\r\n");
    enter("\"\"\"/system x\r");
    more("  y\r");
    more("\r");
    more("\"\"\"\r");
    enter("/system\r");
    await("\r\nx\r\n  y\r\n");
    enter("/system p\033\rq\r");
    enter("/system\r");
    await("\r\np\r\nq\r\n");
    /* Ctrl-C in a block gives it up; an empty line asks nothing */
    enter("\"\"\"\r");
    more("lost\r");
    more("\003");
    enter("   \r");
    enter("/system\r");
    await("\r\np\r\nq\r\n");
    /* a line far longer than the terminal scrolls, and arrives whole */
    char longer[700] = "/system ";
    for (int i = 8; i < 600; i++) longer[i] = (char)('a' + i % 26);
    longer[600] = '\r';
    enter(longer);
    enter("/system\r");
    longer[600] = 0;
    await(longer + 8);
    enter("/quit\r");
    assert_int_equal(finish(), 0);
}

static void answers(void **state)
{
    (void)state;
    if (!*tool) skip();
    START("-n", "3", "--history", history, "--session", session);
    enter("hello\r");
    await("\033[2m"); /* reasoning is dimmed, and the terminal is normal again */
    await("\033[0m");
    await("answer 3 tokens");
    enter("/think none\r");
    enter("hello\r");
    await("answer 3 tokens");
    assert_null(strstr(term.text + term.seen, "\033[2m"));
    enter("/think deep\r");
    await("none, high or max");
    enter("/regen\r");
    await("answer 3 tokens");
    enter("/new\r");
    enter("/regen\r");
    await("nothing to answer");
    enter("again\r");
    await("answer 3 tokens");
    enter("/save\r");
    await("Which file");
    enter("/load /nowhere/file\r");
    await("ggl-chat: /nowhere/file");
    enter("/help\r");
    await("/regen");
    enter("\004");
    assert_int_equal(finish(), 0);

    /* the next process remembers the conversation and the lines */
    START("-n", "3", "--think", "none", "--history", history, "--session", session);
    enter("\033[A\033[A\033[A\033[A\r"); /* /help, /load, /save, again */
    await("> again");
    await("reused");
    assert_null(strstr(term.text, "(+ 0 reused)"));
    enter("/quit\r");
    assert_int_equal(finish(), 0);
}

static void interrupts(void **state)
{
    (void)state;
    if (!*tool) skip();
    START("--think", "none");
    enter("talk without end\r");
    await("without end");
    await("\n");
    for (int i = 0; i < 3; i++) show(300);
    type("\003"); /* stops the answer */
    await("stopped");
    enter("and again\r");
    await("and again");
    await("\n");
    type("\003"); /* may come while the prompt is read */
    await("stopped");
    enter("abc\003"); /* at a prompt: gives up the line, then says how to leave, then leaves */
    enter("\003");
    await("again or /quit");
    enter("/system\r");
    await("no system text");
    enter("\003");
    await("again or /quit");
    enter("\003");
    assert_int_equal(finish(), 130);

    START("--think", "none"); /* a signal that ends the process restores the terminal */
    enter("half a line");
    await("half a line");
    kill(term.pid, SIGTERM);
    assert_int_equal(finish(), -SIGTERM);
}

static void dumb_terminal(void **state)
{
    (void)state;
    if (!*tool) skip();
    start("dumb", NULL, (const char *const[]){"-n", "3", NULL});
    await("> ");
    type("hello\n");
    await("[thinking]");
    await("answer 3 tokens");
    await("> ");
    type("\003");
    await("again or /quit");
    await("> ");
    type("/system \"x\\\ny\n");
    await(". ");
    await("> ");
    type("\003");
    await("> ");
    type("\003");
    assert_int_equal(finish(), 130);
    assert_null(strchr(term.text, '\033'));

    start("xterm", "1", (const char *const[]){"-n", "3", NULL}); /* NO_COLOR: edited, but not coloured */
    enter("hello\r");
    await("[thinking]");
    await("answer 3 tokens");
    assert_null(strstr(term.text, "\033[2m"));
    enter("\004");
    assert_int_equal(finish(), 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {cmocka_unit_test(editing), cmocka_unit_test(several_lines), cmocka_unit_test(answers),
                                       cmocka_unit_test(interrupts), cmocka_unit_test(dumb_terminal)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
