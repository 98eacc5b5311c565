/* Ctrl-C: stops an evaluation, twice the process.  And no signal leaves the terminal in a strange state. */
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "chat.h"

volatile sig_atomic_t interrupted;

static struct ggl_session *session;
static volatile sig_atomic_t busy, have_mode, have_text;
static struct termios mode;
static char reset_text[32];

static void restore(void)
{
    if (have_mode) tcsetattr(STDIN_FILENO, TCSANOW, &mode);
    if (have_text) {
        ssize_t n = write(STDOUT_FILENO, reset_text, strlen(reset_text));
        (void)n;
    }
}

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (interrupted && busy) {
        restore();
        _exit(130);
    }
    interrupted = 1;
    if (busy) ggl_session_cancel(session);
}

/* Ends the process by the same signal, as the shell expects. */
static void on_end(int signal_number)
{
    restore();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void interrupt_install(struct ggl_session *s)
{
    struct sigaction action;
    session = s;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt; /* no SA_RESTART: waiting for input must end, too */
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_end;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

void interrupt_busy(bool b)
{
    busy = b;
}

void interrupt_restore(const struct termios *t, const char *text)
{
    have_mode = have_text = 0;
    if (t) {
        mode = *t;
        have_mode = 1;
    }
    if (text && strlen(text) < sizeof(reset_text)) {
        memcpy(reset_text, text, strlen(text) + 1);
        have_text = 1;
    }
}
