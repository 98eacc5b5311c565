/* The messages of a conversation, and how they are found again in the tokens of a saved session. */
#include <stdlib.h>
#include <string.h>

#include "chat.h"

void bytes_add(struct bytes *b, const void *data, size_t size)
{
    if (size >= SIZE_MAX - b->size - 1) cli_die(&cli, 70, "out of memory");
    if (b->size + size + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap < b->size + size + 1) cap = cap > SIZE_MAX / 2 ? b->size + size + 1 : cap * 2;
        char *p = realloc(b->data, cap);
        if (!p) cli_die(&cli, 70, "out of memory");
        b->data = p;
        b->cap = cap;
    }
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = 0;
}

void bytes_clear(struct bytes *b)
{
    b->size = 0;
    bytes_add(b, "", 0);
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof(*b));
}

static char *copy_text(const char *text, size_t size)
{
    struct bytes b = {0};
    bytes_add(&b, "", 0);
    while (size) {
        const char *zero = memchr(text, 0, size);
        size_t n = zero ? (size_t)(zero - text) : size;
        bytes_add(&b, text, n);
        if (zero) bytes_add(&b, "\xef\xbf\xbd", 3);
        text += n + (zero != NULL);
        size -= n + (zero != NULL);
    }
    return b.data;
}

static void free_message(struct ggl_chat_message *m)
{
    free((char *)m->content);
    free((char *)m->reasoning);
}

void history_add(struct history *h, const char *role, const char *content, size_t size, const char *reasoning,
                 size_t reasoning_size)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 16;
        h->items = realloc(h->items, h->cap * sizeof(*h->items));
        if (!h->items) cli_die(&cli, 70, "out of memory");
    }
    struct ggl_chat_message *m = &h->items[h->n++];
    m->role = role;
    m->content = copy_text(content, size);
    m->reasoning = reasoning_size ? copy_text(reasoning, reasoning_size) : NULL;
}

void history_drop_last(struct history *h)
{
    if (h->n) free_message(&h->items[--h->n]);
}

void history_clear(struct history *h)
{
    while (h->n) history_drop_last(h);
    free(h->items);
    memset(h, 0, sizeof(*h));
}

const char *history_system(const struct history *h)
{
    return h->n && !strcmp(h->items[0].role, "system") ? h->items[0].content : NULL;
}

void history_set_system(struct history *h, const char *text, size_t size)
{
    if (!history_system(h)) { /* make room in front */
        history_add(h, "system", "", 0, NULL, 0);
        struct ggl_chat_message m = h->items[h->n - 1];
        memmove(h->items + 1, h->items, (h->n - 1) * sizeof(m));
        h->items[0] = m;
    }
    free((char *)h->items[0].content);
    h->items[0].content = copy_text(text, size);
}

/* ---- from tokens */

struct reading {
    struct history *h;
    const char *role; /* NULL: between messages */
    bool reasoning;
    struct bytes content, thoughts;
};

static void finish_message(struct reading *r)
{
    bool empty_system = r->role && !strcmp(r->role, "system") && !r->content.size;
    if (r->role && !empty_system)
        history_add(r->h, r->role, r->content.data, r->content.size, r->thoughts.data, r->thoughts.size);
    r->role = NULL;
    r->reasoning = false;
    bytes_clear(&r->content);
    bytes_clear(&r->thoughts);
}

/* The text that the reasoning effort puts before the system message. */
static void drop_effort(struct bytes *system, const struct ggl_chat_options *options)
{
    const struct ggl_chat_message m = {"system", "", NULL};
    struct ggl_chat_options plain = *options;
    char *with = NULL, *without = NULL;
    size_t n_with, n_without;
    plain.thinking = false;
    if (!ggl_chat_encode(&m, 1, options, &with, &n_with, NULL) && !ggl_chat_encode(&m, 1, &plain, &without, &n_without, NULL)) {
        size_t n = n_with - n_without;
        if (n && system->size >= n && !memcmp(system->data, with + n_without, n)) {
            system->size -= n;
            memmove(system->data, system->data + n, system->size + 1);
        }
    }
    ggl_chat_free(with);
    ggl_chat_free(without);
}

void history_read_tokens(struct history *h, const struct ggl_tokenizer *t, const int32_t *ids, int64_t n,
                         const struct ggl_chat_options *options)
{
    struct reading r = {.h = h, .role = "system"};
    int32_t bos = ggl_tokenizer_bos(t), eos = ggl_tokenizer_eos(t), user = ggl_token_find(t, "<｜User｜>");
    int32_t assistant = ggl_token_find(t, "<｜Assistant｜>"), think = ggl_token_find(t, "<think>");
    int32_t think_end = ggl_token_find(t, "</think>");
    history_clear(h);
    for (int64_t i = 0; i < n; i++) {
        int32_t id = ids[i];
        size_t size;
        const char *text = ggl_token_bytes(t, id, &size);
        bool answering = r.role && !strcmp(r.role, "assistant");
        if (id < 0 || (i == 0 && id == bos)) continue;
        if (id == user || id == assistant || id == eos) {
            if (r.role && !strcmp(r.role, "system")) drop_effort(&r.content, options);
            finish_message(&r);
            r.role = id == user ? "user" : id == assistant ? "assistant" : NULL;
        } else if (answering && id == think && !r.content.size) {
            r.reasoning = true;
        } else if (answering && id == think_end && (r.reasoning || !r.content.size)) {
            r.reasoning = false;
        } else if (text) {
            bytes_add(r.reasoning ? &r.thoughts : &r.content, text, size);
        }
    }
    /* A prompt that was never answered ends with an empty assistant message: that is no message. */
    if (r.role && !strcmp(r.role, "assistant") && !r.content.size && !r.thoughts.size) r.role = NULL;
    finish_message(&r);
    bytes_free(&r.content);
    bytes_free(&r.thoughts);
}
