/*
 * A turn: the conversation's prompt is encoded, what the session has read of it already is skipped, the rest is
 * read, and an answer is drawn token by token.
 *
 * Texts are compared, not tokens, so an answer stays as it was drawn even where its text would be split into
 * other tokens.  A session cannot go back: when the prompt's beginning changed - dropped reasoning, /regen - it
 * is read anew.
 */
#include <stdlib.h>
#include <string.h>

#include "chat.h"

struct turn {
    struct chat *c;
    struct bytes reasoning, content;
    int64_t n_prompt, n_reused, n_answer;
    double prefill, decode; /* seconds */
    bool full;              /* the context ended before the answer did */
};

static bool on_progress(void *user, int64_t done, int64_t n)
{
    struct chat *c = user;
    screen_progress(&c->screen, done, n);
    return !interrupted;
}

/* Evaluates; a cancel that was meant for an earlier evaluation does not count. */
static enum ggl_status eval(struct chat *c, const int32_t *ids, int64_t n, struct ggl_error *err)
{
    int64_t before = ggl_session_n_past(c->session), done = 0;
    enum ggl_status s;
    if (interrupted) return ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    do {
        s = ggl_session_eval(c->session, ids + done, n - done, err);
        done = ggl_session_n_past(c->session) - before;
    } while (s == GGL_ERR_CANCELLED && !interrupted && done < n);
    return s;
}

/* How many bytes of the prompt the session has read; 0 after clearing it, when they are not its beginning. */
static size_t reuse(struct chat *c, const char *text, size_t size)
{
    const int32_t *ids = ggl_session_tokens(c->session);
    int64_t n = ggl_session_n_past(c->session);
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *token = ggl_token_bytes(c->tokenizer, ids[i], &len);
        if (!token || len > size - at || memcmp(text + at, token, len)) {
            ggl_session_clear(c->session);
            return 0;
        }
        at += len;
    }
    return at;
}

static enum ggl_status prefill(struct turn *t, struct ggl_error *err)
{
    struct chat *c = t->c;
    const struct history *h = &c->history;
    char *text;
    int32_t *ids;
    size_t size;
    enum ggl_status s = ggl_chat_encode(h->items, h->n, &c->options, &text, &size, err);
    if (s) return s;
    size_t from = reuse(c, text, size);
    if (from == size && size) { /* all of it was read, but there may be no logits to go on from */
        if (!ggl_session_logits(c->session)) ggl_session_clear(c->session), from = 0;
    }
    t->n_reused = ggl_session_n_past(c->session);
    ggl_chat_free(text);
    if ((s = ggl_chat_tokenize(c->tokenizer, h->items, h->n, &c->options, from, &ids, &t->n_prompt, err))) return s;
    double start = cli_now();
    ggl_session_set_progress(c->session, on_progress, c);
    if (t->n_prompt) s = eval(c, ids, t->n_prompt, err);
    ggl_session_set_progress(c->session, NULL, NULL);
    screen_progress_end(&c->screen);
    t->prefill = cli_now() - start;
    free(ids);
    return s;
}

static enum ggl_status generate(struct turn *t, struct ggl_error *err)
{
    struct chat *c = t->c;
    int32_t eos = ggl_tokenizer_eos(c->tokenizer), user = ggl_token_find(c->tokenizer, "<｜User｜>");
    int32_t think_end = ggl_token_find(c->tokenizer, "</think>"), id;
    bool reasoning = c->options.thinking;
    double start = cli_now();
    enum ggl_status s = GGL_OK;
    while (!s && (c->n_predict == 0 || t->n_answer < c->n_predict)) {
        size_t size = 0;
        if ((s = ggl_sample(c->sampler, ggl_session_logits(c->session), &id, err))) break;
        if (id == eos || id == user) break; /* the user's token: a model that forgot to stop */
        const char *text = ggl_token_bytes(c->tokenizer, id, &size);
        bool closes = reasoning && id == think_end;
        if (closes) reasoning = false;
        if (text && !closes) {
            bytes_add(reasoning ? &t->reasoning : &t->content, text, size);
            if (!ggl_token_is_special(c->tokenizer, id) && id != think_end) screen_write(&c->screen, text, size, reasoning);
        }
        t->n_answer++;
        if (screen_failed(&c->screen)) s = ggl_fail(err, GGL_ERR_IO, NULL, GGL_NO_OFFSET, "write error", NULL, "standard output");
        else s = eval(c, &id, 1, err);
    }
    t->decode = cli_now() - start;
    if (s == GGL_ERR_LIMIT) { /* the answer is as long as it can be */
        t->full = true;
        s = GGL_OK;
    }
    return s;
}

static double rate(int64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void show_stats(struct turn *t, bool stopped)
{
    char memory[32];
    screen_note(&t->c->screen, "prompt %lld tokens (+ %lld reused) %.1f t/s, answer %lld tokens %.2f t/s, memory %s%s",
                (long long)t->n_prompt, (long long)t->n_reused, rate(t->n_prompt, t->prefill), (long long)t->n_answer,
                rate(t->n_answer, t->decode), cli_bytes(cli_peak_rss(), memory),
                stopped ? ", stopped" : t->full ? ", the context is full" : "");
}

enum ggl_status chat_answer(struct chat *c, struct ggl_error *err)
{
    struct turn t = {.c = c};
    interrupt_busy(true);
    enum ggl_status s = prefill(&t, err);
    if (!s) {
        screen_begin(&c->screen);
        s = generate(&t, err);
        screen_end(&c->screen);
    }
    bool stopped = interrupted;
    interrupt_busy(false);
    if (!s || t.n_answer)
        history_add(&c->history, "assistant", t.content.data ? t.content.data : "", t.content.size, t.reasoning.data,
                    t.reasoning.size);
    if (!s || s == GGL_ERR_CANCELLED) show_stats(&t, stopped);
    bytes_free(&t.content);
    bytes_free(&t.reasoning);
    return s;
}

enum ggl_status chat_ask(struct chat *c, const char *text, size_t size, struct ggl_error *err)
{
    size_t before = c->history.n;
    history_add(&c->history, "user", text, size, NULL, 0);
    enum ggl_status s = chat_answer(c, err);
    if (s && c->history.n == before + 1) history_drop_last(&c->history);
    return s;
}

enum ggl_status chat_save(struct chat *c, const char *path, struct ggl_error *err)
{
    return ggl_session_save(c->session, path, err);
}

enum ggl_status chat_load(struct chat *c, const char *path, struct ggl_error *err)
{
    enum ggl_status s = ggl_session_load(c->session, path, err);
    if (s) return s;
    history_read_tokens(&c->history, c->tokenizer, ggl_session_tokens(c->session), ggl_session_n_past(c->session),
                        &c->options);
    return GGL_OK;
}
